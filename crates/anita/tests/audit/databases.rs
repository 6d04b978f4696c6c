//! The trail in PostgreSQL.

use crate::cluster::{Cluster, execute};
use crate::crashes::noted;
use crate::files::until_stored;
use crate::server::Home;
use crate::verify::{broken_files, broken_store, leave, verify, whole};

fn seq(head: &str) -> u64 {
    head.split(':').next().unwrap().parse().unwrap()
}

async fn home() -> Option<(Cluster, Home)> {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap()?;
    execute(&format!("{}/postgres", cluster.url()), "CREATE DATABASE anita").await;
    let home = Home::new(&format!(
        "[storage]\nurl = \"{}/anita\"\n[audit]\nfile = \"audit.ndjson\"\n",
        cluster.url()
    ));
    Some((cluster, home))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_in_a_database_is_verified_while_the_server_runs_and_tampering_is_named() {
    let Some((cluster, home)) = home().await else { return };
    let server = home.start();
    leave(&server, 9).await;
    until_stored(&server, 10).await;
    whole(&verify(&home, &[]));
    server.stop();
    let (head, _count) = whole(&verify(&home, &[]));
    let url = format!("{}/anita", cluster.url());
    execute(&url, "UPDATE audit SET outcome = 'refused' WHERE seq = 4").await;
    broken_store(&verify(&home, &[]), "entry 4 was changed");
    execute(&url, "UPDATE audit SET outcome = 'done' WHERE seq = 4").await;
    whole(&verify(&home, &["--head", &head]));
    let last = head.split(':').next().unwrap();
    execute(&url, &format!("DELETE FROM audit WHERE seq = {last}")).await;
    let said = verify(&home, &[]);
    broken_store(&said, "was noted");
    assert!(said.err.contains(&format!("audit.file has entries {last} to {last}")), "{said:?}");
    // The next start says so, too.
    let server = home.start();
    assert_eq!(crate::cuts::breaks(&server).await, 1);
    server.stop();
    broken_files(&verify(&home, &[]), "entry 1 stands after entry ");
}

/// Once, what was spooled was not seen by the next server: it numbered its entries again from where the database was.
#[tokio::test(flavor = "multi_thread")]
async fn entries_and_revocations_that_wait_in_the_spool_are_known_to_the_next_server() {
    let Some((cluster, home)) = home().await else { return };
    let server = home.start();
    leave(&server, 3).await;
    cluster.stop();
    let body = r#"{"subject":"mallory","reason":"left"}"#;
    let admin = crate::server::token("admin");
    let (status, answer) =
        crate::http::request(server.address, "POST", "/api/v1/revocations", &admin, body).await.unwrap();
    assert!((200..300).contains(&status), "{status}: {answer}");
    server.until_store_is("spooling").await;
    for _entry in 0..50 {
        // Refused, since the store does not answer; and entered all the same.
        server.try_get("/api/v1/audit?limit=1").await;
    }
    server.kill();
    // What the file has was in the spool before.
    let spooled = noted(&home, "audit.ndjson").unwrap();
    cluster.resume();
    // The database has the beginning, and the spool the rest: that is no cut.
    let said = verify(&home, &["--head", &spooled]);
    let (head, _count) = whole(&said);
    assert!(said.out.contains(" of them wait in storage.spool_file"), "{said:?}");
    assert!(seq(&head) >= seq(&spooled), "{said:?}");
    std::fs::rename(home.file("anita-spool.db"), home.file("elsewhere")).unwrap();
    let said = verify(&home, &["--head", &spooled]);
    broken_store(&said, "was noted");
    assert!(said.err.contains("verify on the machine of the server"), "{said:?}");
    std::fs::rename(home.file("elsewhere"), home.file("anita-spool.db")).unwrap();
    let server = home.start();
    let listed = server.get("/api/v1/revocations").await.to_string();
    assert!(listed.contains("mallory"), "{listed}");
    server.until_store_is("well").await;
    leave(&server, 3).await;
    server.stop();
    let said = verify(&home, &["--head", &spooled]);
    let (head, count) = whole(&said);
    assert!(count > 10, "{said:?}");
    assert_eq!(head.split(':').next().unwrap().parse(), Ok(count), "nothing is missing: {said:?}");
}
