//! Above its ceiling of memory the server lets nobody new in, and those that came last go first.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::house::{Client, Home, PATIENCE, get, read_close, token};

const MIB: f64 = 1024.0 * 1024.0;

/// A polygon of its own for each number: no class is shared.
fn area(number: usize) -> serde_json::Value {
    let corners = (0..64).map(|corner| {
        let angle = f64::from(corner) / 64.0 * std::f64::consts::TAU;
        json!([number as f64 + 10.0 * angle.cos(), 10.0 * angle.sin()])
    });
    json!({ "area": { "polygon": corners.collect::<Vec<_>>() } })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_connections_go_first_and_the_oldest_stay() {
    let limits = "viewer_requests_per_second = 1000\n";
    let home = Home::new(0, &format!("[limits]\nmemory_bytes_max = 0\n{limits}"));
    let server = home.start();
    let mut base = 0.0;
    let started = Instant::now();
    while base < MIB {
        assert!(started.elapsed() < PATIENCE);
        base = server.metric("anita_memory_bytes").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(server);
    // Room for a good many, and an end to it.
    let ceiling = base + 24.0 * MIB;
    // They read nothing until the end, however long it takes to fill the room: that is no silence here.
    let patient = "[heartbeat]\ninterval_secs = 300\n";
    home.configure(0, &format!("[limits]\nmemory_bytes_max = {ceiling:.0}\n{limits}{patient}"));
    let server = home.start();
    let address = server.address;
    let mut clients = Vec::new();
    let refused = loop {
        let number = clients.len();
        assert!(number < 4_000, "{number} connections, and nobody is refused: {}", server.log());
        let joined = Client::connect(address, &token("alice", "viewer")).await;
        let Ok(mut client) = joined else { break joined.err().unwrap() };
        let mut is_over = false;
        for view in 0..16 {
            let wanted = area(number * 16 + view);
            client.say(&json!({ "type": "subscribe", "payload": { "filter": wanted } })).await;
        }
        is_over |= server.metric("anita_shed_total").await > 0.0;
        clients.push(client);
        if is_over {
            break Client::connect(address, &token("alice", "viewer")).await.err().expect("nobody new");
        }
    };
    let tokio_tungstenite::tungstenite::Error::Http(response) = refused else { panic!("{refused}") };
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    let started = Instant::now();
    while server.metric("anita_shed_total").await < 1.0 {
        assert!(started.elapsed() < PATIENCE, "nobody goes: {}", server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut newest = clients.pop().unwrap();
    let (code, retry_after) = read_close(&newest.closed().await.expect("a close"));
    assert_eq!(code, 4413);
    assert!((10_000..=20_000).contains(&retry_after.unwrap()), "{retry_after:?}");
    let oldest = clients.first_mut().unwrap();
    assert_eq!(oldest.ask("ping", json!({})).await["type"], "system.pong", "the oldest stays");
    assert_eq!(get(address, "/healthz", None).await.unwrap().status, 200);
    assert_eq!(server.log().matches("memory is above its ceiling").count(), 1, "{}", server.log());
}
