//! The log under attack: bounded, one line an event, and without secrets.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpStream;

use crate::house::{Client, Home, PATIENCE, get, send, token};

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_lines_of_their_own_and_no_token_is_in_any() {
    let home = Home::new(0, "[log]\nlevel = \"trace\"\nlines_per_second = 0\n");
    let server = home.start();
    let address = server.address;
    let evil = "evil\n2026-01-01T00:00:00.000000Z  INFO anita: forged=1";
    let secret = token("alice", "operator");
    let (path, host) = ("/ws?token=", format!("HTTP/1.1\r\nhost: {address}"));
    send(address, &format!("GET {path}{secret} {host}\r\nconnection: close\r\n\r\n")).await.unwrap();
    let upgrade = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nuser-agent: \u{1b}[2Jforged=2";
    // It stays open as a WebSocket; nothing of it has to be read.
    let request = format!("GET {path}{secret} {host}\r\n{upgrade}\r\n\r\n");
    let upgrading = send(address, &request);
    drop(tokio::time::timeout(Duration::from_millis(500), upgrading).await);
    get(address, "/api/v1/devices/evil%0aforged=3%1b%5b2J", Some(&secret)).await.unwrap();
    // Such a name is refused, or is not: in the log it is one line in any case.
    drop(Client::connect(address, &token(evil, "operator")).await);
    let mut client = Client::connect(address, &token("alice", "operator")).await.unwrap();
    client.ask("register_device", json!({ "device_id": evil })).await;
    client.ask("register_device", json!({ "device_id": "tag-1", "name": evil })).await;
    client.ask("remove_device", json!({ "device_id": "tag-1" })).await;
    client.ask(&format!("no.such\n{evil}"), json!({})).await;
    drop(client);
    let log = server.log();
    assert!(log.contains("register"), "something was logged: {log}");
    for line in log.lines() {
        assert!(!line.starts_with("2026-01-01") && !line.trim_start().starts_with("forged"), "{line}");
        assert!(!line.contains('\u{1b}'), "{line:?}");
        assert!(!line.contains(&secret), "a token is in the log: {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_a_few_lines_and_a_count() {
    let home = Home::new(0, "[log]\nlevel = \"anita_server=debug,info\"\nlines_per_second = 2\n");
    let server = home.start();
    for _ in 0..400 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"\x00nonsense\r\n\r\n").await.unwrap();
    }
    server.until_logged("more like this suppressed").await;
    let log = server.log();
    let lines = log.lines().filter(|line| line.contains("ended badly")).count();
    assert!((1..100).contains(&lines), "{lines} lines of 400: {log}");
    // The last of them may not have been looked at yet.
    let started = Instant::now();
    while server.metric("anita_log_suppressed_total").await < 200.0 {
        assert!(started.elapsed() < PATIENCE, "{}", server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
