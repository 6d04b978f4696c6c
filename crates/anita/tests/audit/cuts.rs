//! Somebody who may write the store, or the file, cuts its end off: with the configuration as it is by default.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use rusqlite::Connection;

use crate::server::{Home, Server};
use crate::verify::{Said, audit, broken, broken_files, broken_store, leave, verify, whole};

/// Where the lines are by default.
const LINES: &str = "anita.db.audit.jsonl";

/// A store with a trail of `start`, eight readings and `stop`.
async fn home(more: &str) -> Home {
    let home = Home::new(more);
    let server = home.start();
    leave(&server, 8).await;
    server.stop();
    assert_eq!(whole(&verify(&home, &[])).1, 10);
    home
}

fn cut(home: &Home, sql: &str) {
    Connection::open(home.file("anita.db")).unwrap().execute_batch(sql).unwrap();
}

/// Leaves so many lines of the file.
fn cut_lines(home: &Home, left: usize) {
    let text = std::fs::read_to_string(home.file(LINES)).unwrap();
    let left: String = text.split_inclusive('\n').take(left).collect();
    std::fs::write(home.file(LINES), left).unwrap();
}

/// Starts the server, leaves an entry, stops it: what the log said, and the metric of breaks.
async fn start(home: &Home) -> (String, u64) {
    let server = home.start_telling(std::fs::File::create(home.file("log")).unwrap().into());
    leave(&server, 1).await;
    let breaks = breaks(&server).await;
    server.stop();
    (std::fs::read_to_string(home.file("log")).unwrap(), breaks)
}

/// What starts found, by the metric.
pub(crate) async fn breaks(server: &Server) -> u64 {
    let (_status, metrics) = crate::http::request(server.address, "GET", "/metrics", "", "").await.unwrap();
    let line = metrics.lines().find_map(|line| line.strip_prefix("anita_audit_breaks_total "));
    line.unwrap().parse().unwrap()
}

/// The objects of the entries of an action.
fn entered(home: &Home, action: &str) -> Vec<String> {
    let config = home.file("anita.toml");
    let shown = audit(&["show", "--config", config.to_str().unwrap(), "--action", action]).out;
    let object = |line: &str| -> String {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((line["subject"].as_str(), line["outcome"].as_str()), (Some(""), Some("done")));
        line["object"].as_str().unwrap().to_owned()
    };
    shown.lines().map(object).collect()
}

#[track_caller]
fn says(said: &Said, what: &[&str]) {
    assert!(said.code == Some(1) && what.iter().all(|what| said.err.contains(what)), "{what:?}: {said:?}");
}

/// Once, `verify` said "whole" after it, and the next start gave the numbers to others without a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_of_the_store_shows_by_default_and_the_next_start_says_so_in_the_log_the_trail_and_a_metric() {
    let home = home("").await;
    let mode = std::fs::metadata(home.file(LINES)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = std::fs::read(home.file(LINES)).unwrap();
    cut(&home, "DELETE FROM audit WHERE seq >= 3");
    let said = verify(&home, &[]);
    broken_store(&said, "ends with entry 2, and entry 10 was noted");
    says(
        &said,
        &["audit.file has entries 3 to 10, which the store has not", "8 entries were removed from the end"],
    );
    let (log, breaks) = start(&home).await;
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
    assert!(errors.len() == 2 && breaks == 2, "{breaks}: {log}");
    assert!(errors[0].contains("entries were removed from the end of the audit trail"), "{log}");
    assert!(errors[1].contains("the last line of the audit file is not in the store"), "{log}");
    assert!(errors.iter().all(|error| error.contains("anita audit verify")), "what to do: {log}");
    let removed = entered(&home, "find audit entries removed");
    assert!(removed.len() == 1 && removed[0].starts_with("8 after 2:"), "{removed:?}");
    let aside = entered(&home, "set audit file aside");
    assert!(aside.len() == 1 && aside[0].starts_with("it ends with 10:"), "{aside:?}");
    // What was cut off is kept, and both still say so.
    assert_eq!(std::fs::read(home.file(&format!("{LINES}.1"))).unwrap(), before);
    says(
        &verify(&home, &[]),
        &[
            "8 entries after entry 2 were removed, and their numbers given to others",
            "entry 1 stands after entry 10",
        ],
    );
    // It is said once.
    let (log, breaks) = start(&home).await;
    assert!(!log.contains("audit") && breaks == 0, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_of_the_store_that_also_corrects_what_it_counts_shows_by_the_file() {
    let home = home("").await;
    cut(&home, "DELETE FROM audit WHERE seq >= 3; UPDATE sqlite_sequence SET seq = 2 WHERE name = 'audit'");
    let said = verify(&home, &[]);
    broken_store(&said, "ends with entry 2, and entry 10 was noted");
    says(&said, &["audit.file has entries 3 to 10"]);
    assert!(!said.err.contains("no older copy"), "nobody knows: {said:?}");
    let (log, breaks) = start(&home).await;
    assert!(breaks == 1 && log.contains("the last line of the audit file is not in the store"), "{log}");
    assert_eq!(entered(&home, "set audit file aside").len(), 1);
    broken_files(&verify(&home, &[]), "entry 1 stands after entry 10");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_entries_and_one_that_is_gone_are_told() {
    let home = home("").await;
    cut(&home, "DELETE FROM audit");
    says(&verify(&home, &[]), &["audit.file has entries 1 to 10", "10 entries were removed"]);
    let (log, breaks) = start(&home).await;
    assert!(breaks == 2 && log.contains("the last line of the audit file is not in the store"), "{log}");
    for end in ["", "-told"] {
        std::fs::remove_file(home.file(&format!("anita.db{end}"))).unwrap();
    }
    says(&verify(&home, &[]), &["there is no store at"]);
    let (log, breaks) = start(&home).await;
    assert!(breaks == 1 && log.contains("the last line of the audit file is not in the store"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_file_the_store_alone_shows_a_cut_also_when_a_server_went_on() {
    let home = home("[audit]\nfile = \"\"\n").await;
    assert!(!home.file(LINES).exists(), "it is switched off");
    let (head, _count) = whole(&verify(&home, &[]));
    let copy = std::fs::read(home.file("anita.db")).unwrap();
    cut(&home, "DELETE FROM audit WHERE seq >= 3");
    broken(&verify(&home, &[]), "8 entries after entry 2 were removed");
    let (log, breaks) = start(&home).await;
    assert!(breaks == 1 && log.contains("entries were removed from the end of the audit trail"), "{log}");
    broken(&verify(&home, &[]), "8 entries after entry 2 were removed, and their numbers given to others");
    // Who also corrects the counter is seen against a head that was noted elsewhere only.
    std::fs::write(home.file("anita.db"), copy).unwrap();
    cut(&home, "DELETE FROM audit WHERE seq = 10; UPDATE sqlite_sequence SET seq = 9 WHERE name = 'audit'");
    assert_eq!(whole(&verify(&home, &[])).1, 9);
    broken(&verify(&home, &["--head", &head]), "ends with entry 9, and entry 10 was noted");
    assert_eq!(start(&home).await.1, 0);
    broken(&verify(&home, &["--head", &head]), "entry 10 is not the one whose hash was noted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_of_the_file_shows_after_a_good_end_and_the_next_start_mends_it() {
    let home = home("").await;
    cut_lines(&home, 4);
    broken_files_by(&verify(&home, &[]), "entries 5 to 10 are in the store and not in the file");
    let (log, breaks) = start(&home).await;
    assert!(breaks == 0 && log.contains("the audit file lacked its last lines"), "nothing is lost: {log}");
    assert_eq!(entered(&home, "mend audit file"), ["5-10"]);
    whole(&verify(&home, &[]));
    // Gone as a whole, and empty.
    std::fs::remove_file(home.file(LINES)).unwrap();
    broken_files_by(&verify(&home, &[]), "is not there, though the configuration has it");
    let (log, breaks) = start(&home).await;
    assert!(breaks == 0 && log.contains("the audit file begins now"), "{log}");
    assert_eq!(entered(&home, "begin audit file").len(), 1);
    whole(&verify(&home, &[]));
    cut_lines(&home, 0);
    broken_files_by(&verify(&home, &[]), "it is empty, and the store is not");
}

/// The store is whole, and something is wrong with the file that is not in its lines.
#[track_caller]
fn broken_files_by(said: &Said, what: &str) {
    assert!(
        said.code == Some(1) && said.out.lines().count() == 1 && said.out.ends_with(", whole\n"),
        "{said:?}"
    );
    assert!(said.err.starts_with("anita: audit.file: ") && said.err.contains(what), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_of_both_at_the_same_place_shows_by_what_the_store_counts() {
    let home = home("").await;
    cut(&home, "DELETE FROM audit WHERE seq >= 3");
    cut_lines(&home, 2);
    broken_store(&verify(&home, &[]), "8 entries after entry 2 were removed");
    let (log, breaks) = start(&home).await;
    assert!(breaks == 1 && log.contains("entries were removed from the end of the audit trail"), "{log}");
    broken_store(
        &verify(&home, &[]),
        "8 entries after entry 2 were removed, and their numbers given to others",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_anita_restore_put_back_is_no_cut_and_the_trail_says_that_it_was_restored() {
    let home = home("").await;
    let (config, copy) = (home.file("anita.toml"), home.file("copy.db"));
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_anita"));
        let output = command.args(arguments).args(["--config", config.to_str().unwrap()]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["backup", "--to", copy.to_str().unwrap()]);
    start(&home).await;
    let (before, _count) = whole(&verify(&home, &[]));
    let lines = std::fs::read(home.file(LINES)).unwrap();
    let said = run(&["restore", "--from", copy.to_str().unwrap(), "--force"]);
    let kept = said.lines().find_map(|line| line.strip_prefix("audit lines of before are kept as ")).unwrap();
    assert_eq!(std::fs::read(kept).unwrap(), lines);
    whole(&audit(&["verify", "--file", kept]));
    for _start in 0..2 {
        let (log, breaks) = start(&home).await;
        assert!(breaks == 0 && !log.contains("ERROR"), "{log}");
        let (head, count) = whole(&verify(&home, &[]));
        assert!(head.starts_with(&format!("{count}:")), "nothing is missing: {head}");
    }
    let restored = entered(&home, "restore store");
    assert!(
        restored.len() == 1 && restored[0].ends_with(&format!("of before ends with {before}")),
        "{restored:?}"
    );
}

/// What is in memory is gone with every server: a file that has more is no break.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_named_beside_a_store_in_memory_begins_anew_without_a_word() {
    let home = Home::new("[storage]\nurl = \"memory\"\n[audit]\nfile = \"trail.jsonl\"\n");
    for start_no in 0..3 {
        let (log, breaks) = start(&home).await;
        assert!(breaks == 0 && !log.contains("audit"), "{log}");
        assert_eq!(home.file("trail.jsonl.1").exists(), start_no > 0);
    }
}

#[test]
fn the_default_is_shown_with_its_origin() {
    for (more, shown) in [
        ("", format!("\"{LINES}\"  # default")),
        (
            "[storage]\nurl = \"postgres://anita@db.example/anita\"\n",
            "\"anita-spool.db.audit.jsonl\"  # default".into(),
        ),
        ("[storage]\nurl = \"memory\"\n", "\"\"  # default".into()),
        ("[audit]\nfile = \"\"\n", "\"\"  # file".into()),
        ("[audit]\nfile = \"trail.jsonl\"\n", "\"trail.jsonl\"  # file".into()),
    ] {
        let home = Home::new(more);
        let mut command = Command::new(env!("CARGO_BIN_EXE_anita"));
        let output =
            command.args(["check-config", "--config"]).arg(home.file("anita.toml")).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let line = said.lines().find(|line| line.starts_with("audit.file ")).unwrap();
        assert!(line.ends_with(&format!("= {shown}")), "{more}: {line}");
    }
}
