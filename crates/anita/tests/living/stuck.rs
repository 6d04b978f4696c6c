//! A part that hangs is noticed.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::house::{Client, PATIENCE, get, token};
use crate::panics::{metric, open};

/// What a path says, from a thread that is not stuck; a request that lands on one that is gets no answer.
async fn ask(address: std::net::SocketAddr, path: &str) -> Option<(u16, String)> {
    let asked = tokio::time::timeout(Duration::from_secs(1), get(address, path, None)).await;
    asked.ok()?.ok().map(|answered| (answered.status, answered.body))
}

async fn until_well(address: std::net::SocketAddr) {
    let started = Instant::now();
    while ask(address, "/healthz").await != Some((200, "ok\n".to_owned())) {
        assert!(started.elapsed() < PATIENCE, "it is not well");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_handler_that_blocks_its_thread_is_noticed_and_so_is_its_end() {
    // Longer than a busy machine holds up a thread that is well, and much less than the handler blocks its own.
    let (_folder, running) = open("[watchdog]\nstuck_secs = 4\n").await;
    let address = running.address();
    let mut client = Client::connect(address, &token("alice", "viewer")).await.unwrap();
    until_well(address).await;
    let started = Instant::now();
    client.say(&json!({ "type": "domain.block", "payload": { "ms": 15_000 }, "id": 1 })).await;
    let said = loop {
        if let Some((503, said)) = ask(address, "/healthz").await {
            break said;
        }
        assert!(started.elapsed() < PATIENCE, "nobody notices");
    };
    assert!(said.starts_with("stuck: shard-") && !said.contains(','), "{said}");
    // Its last sign of life may have been a look before it began to block.
    assert!(started.elapsed() >= Duration::from_secs(3), "{:?}", started.elapsed());
    let blocked = client.hear("domain.blocked").await;
    assert!(blocked.is_ok());
    until_well(address).await;
    let started = Instant::now();
    while metric(address, "anita_stuck_tasks").await > 0.1 {
        assert!(started.elapsed() < PATIENCE, "it counts as stuck still");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.stop().await.unwrap();
}
