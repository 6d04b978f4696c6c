//! Somebody who may write the store changes it.

use rusqlite::Connection;

use crate::cuts::breaks;
use crate::server::Home;
use crate::verify::{broken_store, leave, verify, whole};

/// A store with a trail of `start`, eight readings and `stop`, and its head.
async fn home() -> (Home, String) {
    let home = Home::new("");
    let server = home.start();
    leave(&server, 8).await;
    server.stop();
    let (head, count) = whole(&verify(&home, &[]));
    assert_eq!(count, 10);
    (home, head)
}

fn tamper(home: &Home, sql: &str) {
    Connection::open(home.file("anita.db")).unwrap().execute_batch(sql).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_entry_is_named() {
    let (home, head) = home().await;
    let copy = std::fs::read(home.file("anita.db")).unwrap();
    for (sql, what) in [
        ("UPDATE audit SET subject = 'mallory' WHERE seq = 5", "entry 5 was changed"),
        ("UPDATE audit SET at_us = at_us + 1 WHERE seq = 1", "entry 1 was changed"),
        ("UPDATE audit SET address = NULL WHERE seq = 6", "entry 6 was changed"),
        ("UPDATE audit SET issuer = subject, subject = issuer WHERE seq = 7", "entry 7 was changed"),
        ("UPDATE audit SET hash = previous WHERE seq = 4", "entry 4 was changed"),
        ("UPDATE audit SET hash = x'00' WHERE seq = 10", "entry 10 was changed"),
        ("UPDATE audit SET previous = hash WHERE seq = 4", "entry 4 does not follow"),
        ("DELETE FROM audit WHERE seq = 5", "1 entries are missing between 4 and 6"),
        ("DELETE FROM audit WHERE seq IN (3, 4, 5)", "3 entries are missing between 2 and 6"),
        (
            "UPDATE audit SET seq = NULL, previous = NULL, hash = NULL WHERE seq = 5",
            "after entry 4 stands one without",
        ),
        (
            "UPDATE audit SET seq = -seq WHERE seq IN (5, 6); UPDATE audit SET seq = 11 + seq WHERE seq < 0",
            "entry ",
        ),
        (
            "INSERT INTO audit (at_us, subject, action, object, outcome) VALUES (1, 'x', 'x', 'x', 'done')",
            "after entry 10 stands one without",
        ),
    ] {
        tamper(&home, sql);
        broken_store(&verify(&home, &[]), what);
        std::fs::write(home.file("anita.db"), &copy).unwrap();
        whole(&verify(&home, &["--head", &head]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retention_took_away_is_no_harm_and_the_rest_is_verified() {
    let (home, head) = home().await;
    tamper(&home, "DELETE FROM audit WHERE seq < 4");
    let said = verify(&home, &["--head", &head]);
    assert!(said.out.starts_with("7 entries, seq 4 to 10, head 10:"), "{said:?}");
    tamper(&home, "UPDATE audit SET object = 'x' WHERE seq = 4");
    broken_store(&verify(&home, &[]), "entry 4 was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_trail_was_tampered_with_starts_and_goes_on() {
    let (home, _head) = home().await;
    tamper(&home, "UPDATE audit SET hash = x'00' WHERE seq = 10");
    let server = home.start();
    leave(&server, 2).await;
    assert_eq!(breaks(&server).await, 1, "the file has another end");
    server.stop();
    let said = verify(&home, &[]);
    assert!(
        said.code == Some(1) && said.err.contains("the audit trail is broken: entry 10 was changed"),
        "{said:?}"
    );
}
