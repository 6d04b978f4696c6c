//! Many more than may come in: those that are inside are served.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::house::{HERE, House, request_text};

/// How many ask for an upgrade.
const REQUESTS: usize = 10_000;

/// Over how many connections.
const CONNECTIONS: usize = 100;

/// The slowest of the fastest 99 % of answers.
async fn slowest_of_most(
    client: &mut crate::house::Client,
    is_over: impl Fn(usize) -> bool,
) -> (Duration, usize) {
    let mut took = Vec::new();
    while !is_over(took.len()) {
        took.push(client.ping().await);
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
    took.sort();
    (took[took.len() * 99 / 100], took.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_upgrades_too_many_are_refused_quickly_and_whoever_is_inside_is_served() {
    let house = House::limited("sockets_max = 1\nhandshakes_per_second = 5000").await;
    let mut served = house.client("alice").await;
    let (calm, _) = slowest_of_most(&mut served, |count| count >= 300).await;

    let request = request_text(
        "GET",
        "/ws",
        &[
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ],
    );
    let began = Instant::now();
    let mut flood = Vec::new();
    for _ in 0..CONNECTIONS {
        let (mut stream, request) = (house.tcp_from(HERE).await, request.clone());
        flood.push(tokio::spawn(async move {
            let mut refused = [0, 0];
            for _ in 0..REQUESTS / CONNECTIONS {
                stream.write_all(request.as_bytes()).await.unwrap();
                let head = head_of(&mut stream).await;
                let index = usize::from(head.starts_with("HTTP/1.1 429 "));
                assert!(index == 1 || head.starts_with("HTTP/1.1 503 "), "{head}");
                assert!(head.contains("retry-after: "), "{head}");
                refused[index] += 1;
            }
            refused
        }));
    }
    let (busy, answers) = slowest_of_most(&mut served, |count| {
        count >= 20 && flood.iter().all(tokio::task::JoinHandle::is_finished)
    })
    .await;
    let took = began.elapsed();
    let mut refused = [0, 0];
    for task in flood {
        let [full, fast] = task.await.unwrap();
        refused = [refused[0] + full, refused[1] + fast];
    }
    println!(
        "{REQUESTS} upgrades refused in {took:.2?} ({} with 503, {} with 429); the 99th percentile of {answers} answers \
         to a client inside went from {calm:.2?} to {busy:.2?}: {:.1} times",
        refused[0],
        refused[1],
        busy.as_secs_f64() / calm.as_secs_f64()
    );
    assert_eq!(refused[0] + refused[1], REQUESTS);
    // How long it takes is printed above; this is for somebody who is forgotten.
    assert!(busy < Duration::from_secs(10), "whoever is inside was held up: {busy:?}");
    let counted = house.metric("anita_connections_refused_total{reason=\"sockets\"}").await
        + house.metric("anita_connections_refused_total{reason=\"handshakes_of_address\"}").await
        + house.metric("anita_connections_refused_total{reason=\"handshakes\"}").await;
    assert_eq!(counted, 10_000);
}

/// Reads an answer with its body; its head.
pub(crate) async fn head_of(stream: &mut tokio::net::TcpStream) -> String {
    let mut heard = Vec::new();
    loop {
        let mut piece = [0; 4_096];
        let count = stream.read(&mut piece).await.unwrap();
        assert!(count > 0, "closed: {}", String::from_utf8_lossy(&heard));
        heard.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&heard).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return head.to_owned();
            }
        }
    }
}
