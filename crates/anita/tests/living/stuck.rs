//! A part that hangs is noticed.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::house::{Client, PATIENCE, get, token};
use crate::panics::{metric, open};

/// What a path says, from a thread that is not stuck; a request that lands on one that is gets no answer.
async fn ask(address: std::net::SocketAddr, path: &str) -> Option<(u16, String)> {
    let asked = tokio::time::timeout(Duration::from_millis(300), get(address, path, None)).await;
    asked.ok()?.ok().map(|answered| (answered.status, answered.body))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_handler_that_blocks_its_thread_is_noticed_and_so_is_its_end() {
    let (_folder, running) = open("[watchdog]\nstuck_secs = 0.5\n").await;
    let address = running.address();
    let mut client = Client::connect(address, &token("alice", "viewer")).await.unwrap();
    assert_eq!(ask(address, "/healthz").await, Some((200, "ok\n".to_owned())));
    client.say(&json!({ "type": "domain.block", "payload": { "ms": 6_000 }, "id": 1 })).await;
    let started = Instant::now();
    let said = loop {
        if let Some((503, said)) = ask(address, "/healthz").await {
            break said;
        }
        assert!(started.elapsed() < Duration::from_millis(5_500), "nobody notices");
    };
    assert!(said.starts_with("stuck: shard-") && !said.contains(','), "{said}");
    assert!(started.elapsed() >= Duration::from_millis(400), "{:?}", started.elapsed());
    let blocked = client.hear("domain.blocked").await;
    assert!(blocked.is_ok());
    let started = Instant::now();
    while ask(address, "/healthz").await != Some((200, "ok\n".to_owned())) {
        assert!(started.elapsed() < PATIENCE, "it stays sick");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(metric(address, "anita_stuck_tasks").await.abs() < 0.1);
    running.stop().await.unwrap();
}
