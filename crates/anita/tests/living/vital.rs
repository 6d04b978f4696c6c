//! Parts without which the server is none, in the real program: one that is gone, one that hangs, and what the supervisor of
//! the process hears.

use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::house::{Client, Home, PATIENCE, get, token};
use crate::layer::Faults;

/// One thread for connections, so that everybody is on it. It is stuck after longer than a busy machine holds one up.
const ONE_THREAD: &str = "[delivery]\nthreads = 1\n[watchdog]\nstuck_secs = 4\n";

const STUCK: &str = "a part of the server makes no progress";

const WELL: &str = "a part of the server makes progress again";

#[tokio::test(flavor = "multi_thread")]
async fn a_vital_part_that_panics_ends_the_process_and_what_was_acknowledged_is_stored() {
    let mut home = Home::new(0, "");
    let Some(faults) = Faults::between(&mut home) else { return };
    home.configure_with_store(0, ONE_THREAD, "sqlite:anita.db");
    let mut server = home.start();
    let mut client = Client::connect(server.address, &token("alice", "operator")).await.unwrap();
    let registered = client.ask("register_device", json!({ "device_id": "tag-1" })).await;
    assert_eq!(registered["type"], "uwb.device_registered", "{registered}");
    faults.thread("fail shard-0");
    let status = server.ended().await;
    assert_eq!(status.code(), Some(1), "whoever supervises it starts it again: {}", server.log());
    let log = server.log();
    let said = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!(said("a part of the server panicked"), 1, "{log}");
    assert_eq!(said("a part of the server is gone without which it is none; it ends"), 1, "{log}");
    assert!(
        log.contains("shard-0 is gone, without which the server is none"),
        "the last line says it: {log}"
    );
    faults.thread("");
    let server = home.start();
    let devices = get(server.address, "/api/v1/devices", Some(&token("alice", "operator"))).await.unwrap();
    assert!(devices.body.contains("tag-1"), "{}", devices.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_hangs_aborts_the_process_only_where_that_is_asked_for() {
    for (more, aborts) in [("abort = true\n", true), ("", false)] {
        let mut home = Home::new(0, &format!("{ONE_THREAD}{more}"));
        let Some(faults) = Faults::between(&mut home) else { return };
        let mut server = home.start();
        let stuck_before = server.logged(STUCK);
        faults.thread("hang shard-0");
        if aborts {
            let status = server.ended().await;
            assert_eq!(
                status.signal(),
                Some(6),
                "SIGABRT, which a supervisor sees: {status} {}",
                server.log()
            );
            let log = server.log();
            assert!(log.contains(STUCK) && log.contains("shard-0"), "{log}");
            assert!(log.contains("the process is aborted, as watchdog.abort asks"), "{log}");
        } else {
            server.until_logged_again(STUCK, stuck_before).await;
            let well_before = server.logged(WELL);
            faults.thread("");
            server.until_logged_again(WELL, well_before).await;
            assert_eq!(get(server.address, "/healthz", None).await.unwrap().status, 200);
            assert!(!server.log().contains("aborted"));
        }
    }
}

/// What a supervisor hears.
struct Supervisor(UnixDatagram);

impl Supervisor {
    /// The next word; `None` when none comes in this time.
    fn next(&self, patience: Duration) -> Option<String> {
        let mut bytes = [0; 256];
        self.0.set_read_timeout(Some(patience)).unwrap();
        let count = self.0.recv(&mut bytes).ok()?;
        Some(String::from_utf8(bytes[..count].to_vec()).unwrap().trim_end().to_owned())
    }

    /// Waits for a word; what came before it.
    fn until(&self, word: &str) -> Vec<String> {
        let started = Instant::now();
        let mut heard = Vec::new();
        loop {
            assert!(started.elapsed() < PATIENCE, "{word} never comes: {heard:?}");
            match self.next(PATIENCE) {
                Some(next) if next == word => return heard,
                other => heard.extend(other),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_supervisor_hears_when_it_is_ready_that_it_is_well_and_when_it_stops() {
    let mut home = Home::new(0, ONE_THREAD);
    let path = home.folder.path().join("notify");
    let supervisor = Supervisor(UnixDatagram::bind(&path).unwrap());
    home.environment.push(("NOTIFY_SOCKET".to_owned(), path.into()));
    let Some(faults) = Faults::between(&mut home) else { return };
    let mut server = home.start();
    // Whoever is told may connect at once. The watchdog may have looked before.
    let before = supervisor.until("READY=1");
    assert!(before.iter().all(|word| word == "WATCHDOG=1"), "{before:?}");
    assert_eq!(get(server.address, "/healthz", None).await.unwrap().status, 200);
    for _ in 0..3 {
        assert_eq!(supervisor.until("WATCHDOG=1"), [""; 0], "again and again, and nothing else");
    }
    let stuck_before = server.logged(STUCK);
    faults.thread("hang shard-0");
    server.until_logged_again(STUCK, stuck_before).await;
    while supervisor.next(Duration::from_millis(50)).is_some() {}
    // Several times as long as between two looks.
    assert_eq!(supervisor.next(Duration::from_secs(3)), None, "nobody says that it is well while it is not");
    faults.thread("");
    assert_eq!(supervisor.until("WATCHDOG=1"), [""; 0]);
    server.signal("-TERM");
    assert!(supervisor.until("STOPPING=1").iter().all(|word| word == "WATCHDOG=1"));
    assert!(server.ended().await.success(), "{}", server.log());
}
