//! `anita export`, `backup` and `restore`: the built program.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::house::{House, MEMORY, SQLITE, configuration, item, token};

fn anita(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anita"));
    command.args(arguments).env_remove("ANITA_TOKEN").stdin(Stdio::null());
    command
}

/// Runs it while the server of this process goes on.
async fn run(arguments: &[&str]) -> Output {
    let mut command = anita(arguments);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

async fn furnished(storage: &str) -> House {
    let house = House::open(storage).await;
    let items: Vec<Value> = (0..3_000_u32).map(|i| item("tag-1", f64::from(i), f64::from(i), 1.0)).collect();
    house.report(&items).await;
    house.report(&[item("tag-2", 0.0, 1.0, 1.0)]).await;
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn export_writes_what_the_server_has() {
    let house = furnished(MEMORY).await;
    let (url, viewer) = (house.url(), token("viewer"));
    let common = ["export", "--url", &url, "--token", &viewer];
    let out = run(&[&common[..], &["--format", "csv"]].concat()).await;
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert_eq!(text(&out.stdout), house.get("/api/v1/history?format=csv", &viewer).await.text());
    assert!(text(&out.stderr).contains("3001 fixes"), "{}", text(&out.stderr));
    let some = ["--format", "ndjson", "--devices", "tag-[2-9]", "--from", "2026-03-01T11:00:00+01:00"];
    let out = run(&[&common[..], &some].concat()).await;
    assert_eq!(text(&out.stdout).lines().count(), 1, "{}", text(&out.stderr));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.geojson.gz");
    std::fs::write(&file, "an older one").unwrap();
    let to_file = ["--format", "geojson", "--gzip", "--output", file.to_str().unwrap()];
    let out = run(&[&common[..], &to_file].concat()).await;
    assert!(out.status.success(), "{}", text(&out.stderr));
    let mut inflated = String::new();
    let compressed = std::fs::File::open(&file).unwrap();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(compressed), &mut inflated).unwrap();
    assert_eq!(inflated, house.get("/api/v1/history?format=geojson", &viewer).await.text());
    assert_eq!(names(folder.path()), ["all.geojson.gz"]);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn export_that_fails_leaves_no_file_and_says_why() {
    let house = furnished(MEMORY).await;
    let (url, viewer) = (house.url(), token("viewer"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.csv");
    let file = file.to_str().unwrap();
    let common = ["export", "--url", &url, "--format", "csv", "--output", file, "--token"];
    let out = run(&[&common[..], &[&viewer, "--devices", "nobody"]].concat()).await;
    assert!(!out.status.success());
    assert!(text(&out.stderr).contains("There is no device \"nobody\""), "{}", text(&out.stderr));
    let out = run(&[&common[..], &[&token("publisher")]].concat()).await;
    assert!(text(&out.stderr).contains("history.read"), "{}", text(&out.stderr));
    let out = run(&[&common[..], &[&viewer, "--from", "yesterday"]].concat()).await;
    assert!(text(&out.stderr).contains("RFC 3339"), "{}", text(&out.stderr));
    assert_eq!(names(folder.path()), [""; 0]);
}

/// How half a server goes on.
#[derive(PartialEq, Eq)]
enum Half {
    BreaksOff,
    Waits,
}

/// Where it is, what runs it, and what says that it has begun.
type HalfAServer = (String, tokio::task::JoinHandle<()>, tokio::sync::oneshot::Receiver<()>);

/// A server that begins an export and never ends it, or breaks it off.
async fn half_a_server(half: Half) -> HalfAServer {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(async move {
        let (mut stream, _address) = listener.accept().await.unwrap();
        let mut request = [0; 1_024];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(format!("{head}5\r\na,b\r\n\r\n").as_bytes()).await.unwrap();
        begun.send(()).ok();
        if half == Half::Waits {
            // Until the client goes.
            while stream.read(&mut request).await.is_ok_and(|count| count > 0) {}
        }
    });
    (url, task, has_begun)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_breaks_off_is_a_failure_and_leaves_the_older_file() {
    let (url, task, _begun) = half_a_server(Half::BreaksOff).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.csv");
    std::fs::write(&file, "an older one").unwrap();
    let out = run(&[
        "export",
        "--url",
        &url,
        "--token",
        "x",
        "--format",
        "csv",
        "--output",
        file.to_str().unwrap(),
    ])
    .await;
    task.await.unwrap();
    assert!(!out.status.success());
    assert!(text(&out.stderr).contains("broke off after 5 bytes"), "{}", text(&out.stderr));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "an older one");
    assert_eq!(names(folder.path()), ["all.csv"]);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_leaves_no_half_file() {
    let (url, task, has_begun) = half_a_server(Half::Waits).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.csv");
    let arguments =
        ["export", "--url", &url, "--token", "x", "--format", "csv", "--output", file.to_str().unwrap()];
    let child = anita(&arguments).stderr(Stdio::piped()).spawn().unwrap();
    has_begun.await.unwrap();
    assert_eq!(names(folder.path()).len(), 1, "what comes is written under another name");
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let out = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    task.await.unwrap();
    assert!(!out.status.success());
    assert!(text(&out.stderr).contains("stopped after"), "{}", text(&out.stderr));
    assert_eq!(names(folder.path()), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_server_can_be_restored_and_the_old_store_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (config, copy) = (path("anita.toml"), path("copy.db"));
    let house = House::open_in(folder.path(), SQLITE).await;
    let items: Vec<Value> = (0..3_000_u32).map(|i| item("tag-1", f64::from(i), f64::from(i), 1.0)).collect();
    house.report(&items).await;
    let out = run(&["backup", "--config", &config, "--to", &copy]).await;
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(text(&out.stdout).contains("1 devices and 3000 fixes"), "{}", text(&out.stdout));
    let again = run(&["backup", "--config", &config, "--to", &copy]).await;
    assert!(text(&again.stderr).contains("never replaces a file"), "{}", text(&again.stderr));

    house.report(&[item("tag-2", 0.0, 1.0, 1.0)]).await;
    let restore = ["restore", "--config", &config, "--from", &copy];
    let forced = [&restore[..], &["--force"]].concat();
    let out = run(&forced).await;
    assert!(!out.status.success() && text(&out.stderr).contains("a server runs"), "{}", text(&out.stderr));
    house.running.stop().await.unwrap();

    let out = run(&restore).await;
    assert!(!out.status.success() && text(&out.stderr).contains("--force"), "{}", text(&out.stderr));
    let out = run(&forced).await;
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(text(&out.stdout).contains("1 devices and 3000 fixes"), "{}", text(&out.stdout));
    let kept: Vec<String> =
        names(folder.path()).into_iter().filter(|name| name.contains("before-restore")).collect();
    assert_eq!(
        (kept.len(), &kept[1]),
        (2, &format!("{}.audit.jsonl", kept[0])),
        "the store and its trail's file"
    );
    assert!(kept.iter().all(|name| text(&out.stdout).contains(name)), "{}", text(&out.stdout));

    let viewer = token("viewer");
    let ids = |list: Value| list["devices"].as_array().unwrap().len();
    let every_status = "/api/v1/devices?status=connected,stale,disconnected";
    let house = House::open_in(folder.path(), SQLITE).await;
    assert_eq!(ids(house.get(every_status, &viewer).await.json()), 1);
    assert_eq!(house.get("/api/v1/history?format=ndjson", &viewer).await.text().lines().count(), 3_000);
    house.running.stop().await.unwrap();
    let other = format!("url = \"sqlite:{}\"", kept[0]);
    let house = House::open_in(folder.path(), &other).await;
    assert_eq!(ids(house.get(every_status, &viewer).await.json()), 2, "the old store is whole");
    let metrics = house.get("/metrics", "").await.text().to_owned();
    assert!(metrics.contains("anita_audit_breaks_total 0"), "and its audit file is found");
    house.running.stop().await.unwrap();
}

#[test]
fn what_cannot_be_restored_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("anita.toml"), configuration(folder.path(), SQLITE)).unwrap();
    std::fs::write(path("noise.db"), vec![7; 100_000]).unwrap();
    std::fs::write(path("anita.db"), "the store").unwrap();
    let config = path("anita.toml");
    for from in ["noise.db", "nothing.db", "anita.db"] {
        let from = path(from);
        let arguments =
            ["restore", "--config", config.to_str().unwrap(), "--from", from.to_str().unwrap(), "--force"];
        let out = anita(&arguments).output().unwrap();
        assert!(!out.status.success(), "{from:?}");
        assert!(!out.stderr.is_empty());
        assert_eq!(std::fs::read_to_string(path("anita.db")).unwrap(), "the store", "{from:?}");
    }
}

#[test]
fn stores_that_are_no_file_name_what_to_use_instead() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("anita.toml");
    let to = folder.path().join("copy.db");
    for (storage, words) in [("url = \"memory\"", "sqlite:FILE"), ("url = \"postgres://a@b/c\"", "pg_dump")] {
        std::fs::write(&config, configuration(folder.path(), storage)).unwrap();
        let arguments = ["backup", "--config", config.to_str().unwrap(), "--to", to.to_str().unwrap()];
        let out = anita(&arguments).output().unwrap();
        assert!(!out.status.success() && text(&out.stderr).contains(words), "{}", text(&out.stderr));
    }
    for command in ["export", "backup", "restore"] {
        let help = anita(&[command, "--help"]).output().unwrap();
        assert!(text(&help.stdout).contains(&format!("  anita {command} --")), "{}", text(&help.stdout));
    }
}
