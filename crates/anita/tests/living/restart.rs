//! Stopping in stages, and what a restart is for many clients.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::house::{Client, Home, PATIENCE, free_port, get, read_close, token};

const CLIENTS: usize = 500;

const SPREAD: Duration = Duration::from_secs(2);

async fn fleet(address: SocketAddr, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for batch in 0..count.div_ceil(50) {
        let joining = (batch * 50..count.min(batch * 50 + 50))
            .map(|_| async move { Client::connect(address, &token("alice", "viewer")).await.unwrap() });
        clients.extend(join_all(joining).await);
    }
    clients
}

/// How many of the moments are in the fullest window of this length.
fn peak(moments: &mut [Duration], window: Duration) -> usize {
    moments.sort_unstable();
    let within = |(index, from): (usize, &Duration)| {
        moments[index..].iter().take_while(|at| **at < *from + window).count()
    };
    moments.iter().enumerate().map(within).max().unwrap_or(0)
}

/// Comes back after so long, and again after a random and growing wait as the clients do it.
async fn come_back(address: SocketAddr, began: Instant, after: Duration) -> Duration {
    tokio::time::sleep(after).await;
    let mut bound_ms = 500;
    loop {
        if let Ok(client) = Client::connect(address, &token("alice", "viewer")).await {
            let back = began.elapsed();
            std::mem::forget(client);
            return back;
        }
        assert!(began.elapsed() < PATIENCE, "a client does not come back");
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..bound_ms))).await;
        bound_ms = (bound_ms * 2).min(20_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_clients_of_a_server_that_is_restarted_come_back_evenly() {
    let drain = format!("[drain]\nspread_secs = {}\n[log]\nlevel = \"info\"\n", SPREAD.as_secs());
    let home = Home::new(free_port(), &drain);
    let mut server = home.start();
    let address = server.address;
    let clients = fleet(address, CLIENTS).await;
    let began = Instant::now();
    server.signal("-TERM");
    let farewells = clients.into_iter().map(|mut client| async move {
        let told = client.hear("system.reconnect").await.expect("told when to come back");
        let told_ms = told["retry_after_ms"].as_u64().unwrap();
        let closed = read_close(&client.closed().await.expect("closed in good order"));
        assert_eq!(closed, (1012, Some(told_ms)), "the close says the same");
        Duration::from_millis(told_ms)
    });
    let mut waits = join_all(farewells).await;
    assert!(server.ended().await.success(), "{}", server.log());
    assert!(began.elapsed() < PATIENCE, "all are gone after {:?}", began.elapsed());
    let tenth = peak(&mut waits, SPREAD / 10);
    assert!(tenth <= CLIENTS / 10 + 3, "{tenth} are told to come back in the fullest tenth of the time");
    assert!(waits.iter().all(|wait| *wait <= SPREAD), "nobody waits for longer than the spread");
    let next = home.start();
    assert_eq!(next.address, address);
    let began = Instant::now();
    let mut back = join_all(waits.iter().map(|wait| come_back(address, began, *wait))).await;
    let fullest = peak(&mut back, Duration::from_secs(1));
    // How evenly they are told to come is judged above. A busy machine may gather them.
    println!(
        "{fullest} of {CLIENTS} came back in the fullest second, the last after {:.1?}",
        back.last().unwrap()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_killed_is_found_again_by_all() {
    let home = Home::new(free_port(), "[limits]\nhandshakes_per_second = 100\n");
    let server = home.start();
    let address = server.address;
    let clients = fleet(address, 80).await;
    drop(server);
    let ends = clients.into_iter().map(|mut client| async move { client.closed().await });
    join_all(ends).await;
    let began = Instant::now();
    let _next = home.start();
    // All at once, without any word of when: the limit of handshakes spreads those that are too many.
    join_all((0..80).map(|_| come_back(address, began, Duration::ZERO))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_balances_the_load_has_time_to_notice_and_who_asks_is_served_until_the_end() {
    let home = Home::new(0, "[drain]\nready_wait_secs = 10\nspread_secs = 0.1\n");
    let mut server = home.start();
    let address = server.address;
    let mut client = Client::connect(address, &token("alice", "viewer")).await.unwrap();
    let began = Instant::now();
    server.signal("-TERM");
    loop {
        let answered = get(address, "/readyz", None).await.unwrap();
        if answered.status == 503 {
            assert!(answered.body.contains("draining"), "{}", answered.body);
            break;
        }
        assert!(began.elapsed() < PATIENCE, "it still says that it is ready");
    }
    let another = Client::connect(address, &token("bob", "viewer")).await;
    assert!(another.is_ok(), "it serves on while the balancer looks");
    assert_eq!(client.ask("ping", json!({})).await["type"], "system.pong");
    let closed = read_close(&client.closed().await.unwrap());
    assert_eq!(closed.0, 1012);
    assert!(began.elapsed() >= Duration::from_secs(10), "{:?}", began.elapsed());
    server.ended().await;
    assert!(Client::connect(address, &token("bob", "viewer")).await.is_err(), "nobody listens");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_comes_while_the_server_stops_is_told_when_to_come_back() {
    let home = Home::new(0, "[drain]\nspread_secs = 3\nwait_secs = 30\n");
    let mut server = home.start();
    let address = server.address;
    // Connections that have begun to speak, and have not said yet what they want.
    let mut begun = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET /ws HTTP/1.1\r\nhost: {address}\r\n").as_bytes()).await.unwrap();
        begun.push(stream);
    }
    // Whoever comes later to each thread is served after them.
    for _ in 0..16 {
        assert_eq!(get(address, "/healthz", None).await.unwrap().status, 200);
    }
    let mut client = Client::connect(address, &token("alice", "viewer")).await.unwrap();
    server.signal("-TERM");
    client.hear("system.reconnect").await.expect("it stops");
    for mut stream in begun {
        let rest = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(rest.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let after =
            head.lines().find_map(|line| line.strip_prefix("retry-after: ")).expect("when to come back");
        assert!((1..=3).contains(&after.parse::<u64>().unwrap()), "within the spread: {after}");
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (&problem["code"], &problem["retryable"]),
            (&json!("unavailable"), &json!(true)),
            "{body}"
        );
    }
    assert!(server.ended().await.success(), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once() {
    let home = Home::new(0, "[drain]\nready_wait_secs = 300\n[log]\nlevel = \"info\"\n");
    let mut server = home.start();
    server.signal("-TERM");
    server.until_logged("draining").await;
    let began = Instant::now();
    server.signal("-TERM");
    server.ended().await;
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
}

/// Once, a closed terminal, or whoever expected files to be read again by it, ended the server without a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_ends_nothing_and_is_told() {
    let home = Home::new(0, "[drain]\nspread_secs = 0.1\n[log]\nlevel = \"info\"\n");
    let mut server = home.start();
    server.signal("-HUP");
    server.until_logged("SIGHUP does nothing").await;
    assert_eq!(get(server.address, "/healthz", None).await.unwrap().status, 200);
    server.signal("-TERM");
    assert!(server.ended().await.success(), "{}", server.log());
}
