//! The trail as JSON lines.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::server::{Home, PATIENCE, Server};
use crate::verify::{audit, broken, broken_files, broken_store, leave, read, verify, whole};

fn home(more: &str) -> Home {
    Home::new(&format!("[audit]\nfile = \"audit.ndjson\"\n{more}\n"))
}

fn files(home: &Home) -> Vec<PathBuf> {
    let names = ["audit.ndjson.3", "audit.ndjson.2", "audit.ndjson.1", "audit.ndjson"];
    names.map(|name| home.file(name)).into_iter().filter(|path| path.exists()).collect()
}

async fn until_lines(home: &Home, count: usize) {
    let started = Instant::now();
    while std::fs::read_to_string(home.file("audit.ndjson")).unwrap().lines().count() < count {
        assert!(started.elapsed() < PATIENCE, "{count} lines are not written");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_is_an_object_and_nothing_of_a_caller_breaks_it() {
    let home = home("");
    let server = home.start();
    server.get("/api/v1/audit?subject=a%0A%22%7D%0D%1B%5B31m%C2%9B").await;
    until_lines(&home, 2).await;
    let metadata = std::fs::metadata(home.file("audit.ndjson")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    server.stop();
    let text = std::fs::read_to_string(home.file("audit.ndjson")).unwrap();
    assert!(!text.replace('\n', "").contains(char::is_control), "{text:?}");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        (&lines[1]["seq"], &lines[1]["subject"], &lines[1]["issuer"]),
        (&2.into(), &"admin".into(), &"anita".into())
    );
    assert_eq!(lines[1]["object"], "a\n\"}\r\u{1b}[31m\u{9b}");
    assert_eq!((&lines[1]["outcome"], &lines[1]["address"]), (&"done".into(), &"127.0.0.1".into()));
    let said = verify(&home, &[]);
    whole(&said);
    assert!(
        said.out.lines().nth(1).unwrap().starts_with("audit.file: 3 entries, seq 1 to 3, head 3:"),
        "{said:?}"
    );
}

/// Once, a file that was removed was passed over in silence.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_named_and_not_there_or_empty_is_told() {
    let home = home("");
    let server = home.start();
    leave(&server, 2).await;
    until_lines(&home, 3).await;
    server.stop();
    whole(&verify(&home, &[]));
    let told = |words: &str| {
        let said = verify(&home, &[]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.out.starts_with("4 entries") && said.out.contains(", whole"), "the store is: {said:?}");
        assert!(said.err.starts_with("anita: audit.file: ") && said.err.contains(words), "{said:?}");
    };
    std::fs::rename(home.file("audit.ndjson"), home.file("audit.ndjson.1")).unwrap();
    told("is not there (1 older ones are)");
    std::fs::rename(home.file("audit.ndjson.1"), home.file("taken")).unwrap();
    told("is not there, though the configuration has it");
    std::fs::write(home.file("audit.ndjson"), "").unwrap();
    told("it is empty, and the store is not");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_rotated_and_verified_in_any_order() {
    let home = home("file_bytes_max = 65536\nfiles_max = 3\n");
    let server = home.start();
    let long = "x".repeat(900);
    for _entry in 0..170 {
        read(&server, &long).await;
    }
    server.stop();
    let files = files(&home);
    assert_eq!(files.len(), 3);
    for file in &files {
        let metadata = std::fs::metadata(file).unwrap();
        assert!(metadata.len() <= 65_536 && metadata.permissions().mode() & 0o777 == 0o600, "{metadata:?}");
    }
    let of = |files: &[&PathBuf]| {
        let named = files.iter().flat_map(|file| ["--file", file.to_str().unwrap()]);
        audit(&["verify"].into_iter().chain(named).collect::<Vec<_>>())
    };
    let (head, _count) = whole(&verify(&home, &[]));
    assert!(head.starts_with("172:"), "{head}");
    assert_eq!(whole(&of(&[&files[2], &files[0], &files[1]])).0, head);
    whole(&of(&[&files[1]]));
    broken(&of(&[&files[0], &files[2]]), "entries are missing between");
    // A changed byte, a removed line, a torn file.
    let text = std::fs::read_to_string(&files[1]).unwrap();
    std::fs::write(&files[1], text.replacen("\"admin\"", "\"Admin\"", 7)).unwrap();
    broken(&of(&[&files[1]]), "line 1: entry ");
    broken_files(&verify(&home, &[]), "audit.ndjson.1, line 1: entry ");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    std::fs::write(&files[1], [&lines[..4], &lines[5..]].concat().concat()).unwrap();
    broken(&of(&[&files[1]]), "line 5: 1 entries are missing between");
    std::fs::write(&files[1], lines[1..].concat()).unwrap();
    broken(&of(&[&files[1]]), "does not say what was before it");
    std::fs::write(&files[1], text.replacen("\"seq\"", " \"seq\"", 1)).unwrap();
    broken_files(&verify(&home, &[]), "it was changed");
    // Both are verified, also when the first is broken, and both are told.
    let db = rusqlite::Connection::open(home.file("anita.db")).unwrap();
    db.execute("UPDATE audit SET outcome = 'refused' WHERE seq = 99", []).unwrap();
    let said = verify(&home, &[]);
    let lines: Vec<&str> = said.err.lines().collect();
    assert_eq!((said.code, said.out.as_str(), lines.len()), (Some(1), "", 2), "{said:?}");
    assert!(lines[0].starts_with("anita: the audit trail is broken: entry 99 was changed"), "{said:?}");
    assert!(lines[1].starts_with("anita: audit.file: the audit trail is broken: "), "{said:?}");
    std::fs::write(&files[1], &text).unwrap();
    broken_store(&verify(&home, &[]), "entry 99 was changed");
}

/// What the documents say can be done by hand.
#[tokio::test(flavor = "multi_thread")]
async fn the_few_lines_of_python_of_the_documents_verify_a_file() {
    let home = home("");
    let server = home.start();
    leave(&server, 5).await;
    server.stop();
    let text = std::fs::read_to_string(home.file("audit.ndjson")).unwrap();
    let documents = include_str!("../../../../docs/OPERATIONS.md");
    let program = documents.split_once("```python\n").unwrap().1.split_once("```").unwrap().0;
    let verify = |text: &str| {
        let input = home.file("input");
        std::fs::write(&input, text).unwrap();
        let mut python = std::process::Command::new("python3");
        python.args(["-c", program]).stdin(std::fs::File::open(&input).unwrap()).output()
    };
    let Ok(output) = verify(&text) else { return crate::cluster::skip("there is no python3") };
    assert!(output.status.success(), "{output:?}");
    assert!(!verify(&text.replacen("read audit", "Read audit", 1)).unwrap().status.success());
}

/// Whoever cuts the end of the store off has to know of the file, too.
#[tokio::test(flavor = "multi_thread")]
async fn the_file_shows_that_the_end_of_the_store_was_cut_off() {
    let home = home("");
    let server = home.start();
    leave(&server, 5).await;
    server.stop();
    let db = rusqlite::Connection::open(home.file("anita.db")).unwrap();
    let sql = "DELETE FROM audit WHERE seq >= 6; UPDATE sqlite_sequence SET seq = 5 WHERE name = 'audit'";
    db.execute_batch(sql).unwrap();
    drop(db);
    broken_store(&verify(&home, &[]), "ends with entry 5, and entry 7 was noted");
    // The server starts, and says in the log that the two don't belong together; another file begins.
    let server = home.start();
    leave(&server, 1).await;
    server.stop();
    assert_eq!(files(&home).len(), 2);
    let said = verify(&home, &[]);
    broken_files(&said, "entry 1 stands after entry 7");
    assert!(said.err.contains("--file"), "what to do: {said:?}");
    whole(&audit(&["verify", "--file", home.file("audit.ndjson.1").to_str().unwrap()]));
    // With the old ones elsewhere all is well again.
    std::fs::rename(home.file("audit.ndjson.1"), home.file("before")).unwrap();
    whole(&verify(&home, &[]));
}

/// Once, the file went on when the store had reached its numbers again, and was broken from there on.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_restored_and_has_the_numbers_of_the_file_again_gets_another_file_and_the_log_says_so_once()
 {
    let home = home("");
    let server = home.start();
    leave(&server, 3).await;
    server.stop();
    let backup = std::fs::read(home.file("anita.db")).unwrap();
    let server = home.start();
    leave(&server, 2).await;
    server.stop();
    let before = std::fs::read(home.file("audit.ndjson")).unwrap();
    // An older copy, and meanwhile the file is at another place.
    std::fs::write(home.file("anita.db"), backup).unwrap();
    std::fs::rename(home.file("audit.ndjson"), home.file("aside")).unwrap();
    let server = home.start();
    leave(&server, 9).await;
    server.stop();
    std::fs::rename(home.file("aside"), home.file("audit.ndjson")).unwrap();
    broken_store(&verify(&home, &[]), "is not the one whose hash was noted");
    let mut told = Vec::new();
    for _start in 0..2 {
        let server = home.start_telling(std::fs::File::create(home.file("log")).unwrap().into());
        leave(&server, 1).await;
        server.stop();
        let said = std::fs::read_to_string(home.file("log")).unwrap();
        told.push(said.lines().filter(|line| line.contains("audit file is not in the store")).count());
        assert_eq!(std::fs::read(home.file("audit.ndjson.1")).unwrap(), before, "the old one is kept");
        assert!(!home.file("audit.ndjson.2").exists());
    }
    assert_eq!(told, [1, 0]);
    std::fs::remove_file(home.file("audit.ndjson.1")).unwrap();
    let said = verify(&home, &[]);
    let (head, count) = whole(&said);
    assert!(
        said.out.contains(&format!("audit.file: {count} entries, seq 1 to {count}, head {head}")),
        "{said:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_can_not_be_written_stops_the_start_and_says_which() {
    for (file, what) in [("nowhere/audit.ndjson", "nowhere/audit.ndjson"), (".", "audit.file")] {
        let home = Home::new(&format!("[audit]\nfile = \"{file}\"\n"));
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_anita"))
            .args(["serve", "--config", home.file("anita.toml").to_str().unwrap()])
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(78) && told.contains(what), "{file}: {told}");
    }
}

/// Waits until an entry with this number is answered.
pub(crate) async fn until_stored(server: &Server, seq: u64) {
    let started = Instant::now();
    while server.get("/api/v1/audit?limit=1").await["entries"][0]["seq"].as_u64() < Some(seq) {
        assert!(started.elapsed() < PATIENCE, "entry {seq} is not stored");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
