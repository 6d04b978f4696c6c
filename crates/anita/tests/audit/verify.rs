//! The command, as a person or a script runs it.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::files::until_stored;
use crate::server::{Home, Server};

/// What the command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn audit(arguments: &[&str]) -> Said {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_anita")).arg("audit").args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: status.code(), out: text(stdout), err: text(stderr) }
}

/// Verifies the store of a home, with more arguments.
pub(crate) fn verify(home: &Home, more: &[&str]) -> Said {
    let config = home.file("anita.toml");
    audit(&[&["verify", "--config", config.to_str().unwrap()], more].concat())
}

/// The head that a whole trail has, `SEQ:HASH`, and how many entries there are.
#[track_caller]
pub(crate) fn whole(said: &Said) -> (String, u64) {
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    let line = said.out.lines().next().unwrap();
    let (count, rest) = line.split_once(" entries, seq ").unwrap();
    let head = rest.split_once("head ").unwrap().1.strip_suffix(", whole").unwrap();
    (head.to_owned(), count.parse().unwrap())
}

/// The store is broken, and there are no files; or files are verified alone.
#[track_caller]
pub(crate) fn broken(said: &Said, what: &str) {
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
    assert!(
        said.err.starts_with("anita: the audit trail is broken: ") && said.err.contains(what),
        "{said:?}"
    );
}

/// The store is broken, and the files are whole.
#[track_caller]
pub(crate) fn broken_store(said: &Said, what: &str) {
    let (lines, broken) = (said.out.lines().count(), "anita: the audit trail is broken: ");
    assert_eq!((said.code, lines, said.err.lines().count()), (Some(1), 1, 1), "{said:?}");
    assert!(said.out.starts_with("audit.file: ") && said.out.ends_with(", whole\n"), "{said:?}");
    assert!(said.err.starts_with(broken) && said.err.contains(what), "{said:?}");
}

/// The store is whole, and the files are broken.
#[track_caller]
pub(crate) fn broken_files(said: &Said, what: &str) {
    let (lines, broken) = (said.out.lines().count(), "anita: audit.file: the audit trail is broken: ");
    assert_eq!((said.code, lines, said.err.lines().count()), (Some(1), 1, 1), "{said:?}");
    assert!(!said.out.starts_with("audit.file") && said.out.ends_with(", whole\n"), "{said:?}");
    assert!(said.err.starts_with(broken) && said.err.contains(what), "{said:?}");
}

/// Leaves so many entries.
pub(crate) async fn leave(server: &Server, count: usize) {
    for _entry in 0..count {
        read(server, "").await;
    }
}

/// Reads the trail, which leaves an entry about this subject; as often as the server lets a caller.
pub(crate) async fn read(server: &Server, subject: &str) {
    let path = format!("/api/v1/audit?limit=1&subject={subject}");
    let path = if subject.is_empty() { "/api/v1/audit?limit=1" } else { &path };
    while server.try_get(path).await.is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trail_is_verified_while_the_server_runs_and_after_it_ended() {
    let home = Home::new("");
    let server = home.start();
    leave(&server, 5).await;
    // The entry of a request is stored a moment after its answer.
    until_stored(&server, 6).await;
    let newest = server.get("/api/v1/audit?limit=1").await["entries"][0].clone();
    let told = format!("{}:{}", newest["seq"], newest["hash"].as_str().unwrap());
    let (head, count) = whole(&verify(&home, &["--head", &told]));
    assert!(count >= 6, "the start, and five times reading: {count}");
    server.stop();
    let (end, count) = whole(&verify(&home, &["--head", &head, "--head", &told]));
    assert!(end.starts_with(&format!("{count}:")), "{end}");
    // The chain goes on over a restart.
    let server = home.start();
    leave(&server, 1).await;
    server.stop();
    assert_eq!(whole(&verify(&home, &["--head", &end])).1, count + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_verified_is_refused_with_what_to_do() {
    let home = Home::new("");
    let said = verify(&home, &[]);
    assert!(said.code == Some(1) && said.err.contains("no server ran with this configuration"), "{said:?}");
    let said = verify(&home, &["--head", "12"]);
    assert!(said.code == Some(2) && said.err.contains("SEQ:HASH"), "{said:?}");
    let said = verify(&home, &["--file", "x"]);
    assert!(said.code == Some(2), "{said:?}");
    let said = audit(&["verify", "--file", "/nowhere/audit.ndjson"]);
    assert!(said.code == Some(1) && said.err.contains("/nowhere/audit.ndjson"), "{said:?}");
    let memory = Home::new("[storage]\nurl = \"memory\"\n");
    let said = verify(&memory, &[]);
    assert!(said.code == Some(1) && said.err.contains("GET /api/v1/audit"), "{said:?}");
    let said = audit(&["verify", "--help"]);
    assert!(said.out.contains("--head") && said.out.contains("note its head"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trail_is_shown_as_lines_that_can_be_verified() {
    let home = Home::new("");
    let server = home.start();
    leave(&server, 3).await;
    let (status, _body) = crate::http::request(
        server.address,
        "GET",
        "/api/v1/connections",
        &crate::server::token("viewer"),
        "",
    )
    .await
    .unwrap();
    assert_eq!(status, 403);
    server.stop();
    let config = home.file("anita.toml");
    let show = |more: &[&str]| audit(&[&["show", "--config", config.to_str().unwrap()], more].concat());
    let all = show(&[]);
    assert_eq!((all.code, all.out.lines().count()), (Some(0), 6), "{all:?}");
    let copy = home.file("copy.ndjson");
    std::fs::write(&copy, &all.out).unwrap();
    assert_eq!(whole(&audit(&["verify", "--file", copy.to_str().unwrap()])).1, 6);
    let of = |said: &crate::verify::Said| said.out.lines().count();
    assert_eq!(of(&show(&["--subject", "viewer"])), 1);
    assert_eq!(of(&show(&["--action", "read audit trail"])), 3);
    assert_eq!(of(&show(&["--subject", ""])), 2, "the start and the stop");
    assert_eq!(of(&show(&["--since", "2999-01-01T00:00:00Z"])), 0);
    assert_eq!(of(&show(&["--until", "2999-01-01T00:00:00Z", "--subject", "viewer"])), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_bad_tokens_leave_a_bounded_number_of_entries_and_a_sum() {
    let home = Home::new("[audit]\nrefusals_per_second = 2\nrefusals_burst = 10\nsummary_secs = 3600\n");
    let server = home.start();
    let started = Instant::now();
    let address = server.address;
    let tasks: Vec<_> = (0..8)
        .map(|_task| {
            tokio::spawn(async move {
                for _n in 0..125 {
                    let answer =
                        crate::http::request(address, "GET", "/api/v1/devices", "no.to.ken", "").await;
                    assert_eq!(answer.unwrap().0, 401);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let most = 10 + 2 * (started.elapsed().as_secs() + 2);
    let (_status, metrics) = crate::http::request(address, "GET", "/metrics", "", "").await.unwrap();
    let value = |name: &str| -> u64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name}: {metrics}")).parse().unwrap()
    };
    let suppressed = value("anita_audit_suppressed_total");
    assert!(suppressed >= 1_000 - most && suppressed < 1_000, "{suppressed} of 1000, {most}");
    assert!(value("anita_audit_last_seq") <= 1 + most);
    assert_eq!(value("anita_audit_lines_lost_total"), 0);
    server.stop();
    let config = home.file("anita.toml");
    let shown = audit(&["show", "--config", config.to_str().unwrap(), "--action", "authenticate"]).out;
    let said = format!("… and {suppressed} more from 127.0.0.1");
    assert!(shown.contains(&said), "{said}: {shown}");
    whole(&verify(&home, &[]));
}
