//! The wall clock of the machine jumps under the real program.

use std::time::{Duration, Instant};

use anita_model::Timestamp;
use serde_json::{Value, json};

use crate::house::{Client, Home, PATIENCE, Program, get, post, send, token, token_for};
use crate::layer::Faults;

const TWO_DAYS: i64 = 2 * 86_400;

/// What is asked here again and again is asked seldom elsewhere.
const OFTEN: &str = "[limits.requests_per_second]\nauth = 1000\n";

/// A token that lasts longer than the jump: only what the server remembers speaks against it.
fn lasting(subject: &str, role: &str) -> String {
    token_for(subject, role, Duration::from_secs(4 * 86_400))
}

impl Program {
    /// Waits until a metric of the clock is so.
    async fn until_clock(&self, metric: &str, is_so: impl Fn(f64) -> bool) {
        let started = Instant::now();
        loop {
            let found = self.metric(metric).await;
            if is_so(found) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{metric} is {found}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Somebody who is connected, somebody whose tokens were taken back, and a page that is signed in.
struct People {
    client: Client,
    cookie: String,
}

impl People {
    async fn of(server: &Program) -> Self {
        let client = Client::connect(server.address, &token("alice", "operator")).await.unwrap();
        let until = Timestamp::now().plus(Duration::from_secs(3_600)).to_string();
        let body = json!({ "subject": "mallory", "until": until }).to_string();
        let made = post(server.address, "/api/v1/revocations", &token("root", "admin"), &body).await;
        assert_eq!(made.unwrap().status, 201);
        let begun = post(server.address, "/api/v1/session", &token("page", "viewer"), "").await.unwrap();
        Self { client, cookie: begun.cookie.expect("a session") }
    }

    /// What has to be so whatever the clock does.
    async fn check(&mut self, server: &Program, when: &str) {
        let address = server.address;
        let pong = self.client.ask("ping", json!({})).await;
        assert_eq!(pong["type"], "system.pong", "{when}: who is connected stays");
        let cookie = &self.cookie;
        let request = format!(
            "GET /api/v1/session HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncookie: {cookie}\r\n\r\n"
        );
        let shown = send(address, &request).await.unwrap();
        assert_eq!(shown.status, 200, "{when}: and so does who is signed in");
        let shown = get(address, "/api/v1/revocations", Some(&lasting("root", "admin"))).await.unwrap();
        let shown: Value = serde_json::from_str(&shown.body).unwrap();
        assert_eq!(shown["total"], 1, "{when}: no revocation is forgotten: {shown}");
        let back = Client::connect(address, &lasting("mallory", "viewer")).await;
        assert!(back.is_err(), "{when}: who was revoked does not come back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_and_comes_back_within_a_minute_was_nothing() {
    for jump in [TWO_DAYS, -TWO_DAYS] {
        let mut home = Home::new(0, OFTEN);
        let Some(faults) = Faults::between(&mut home) else { return };
        let server = home.start();
        let mut people = People::of(&server).await;
        people.check(&server, "before").await;
        faults.clock(jump);
        server.until_clock("anita_clock_jumps_total", |count| count >= 1.0).await;
        server.until_clock("anita_clock_doubt_seconds", |secs| secs.abs() > 170_000.0).await;
        // Over several looks at the clock, one a second.
        let doubted = Instant::now();
        while doubted.elapsed() < Duration::from_secs(3) {
            people.check(&server, "while it is doubted").await;
            let newcomer = Client::connect(server.address, &token("bob", "viewer")).await;
            assert!(newcomer.is_ok(), "a token of an hour is good");
            // As often as one may ask.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        faults.clock(0);
        server.until_logged("the clock of the machine is where it was before its jump").await;
        server.until_clock("anita_clock_doubt_seconds", |secs| secs.abs() < 1.0).await;
        people.check(&server, "afterwards").await;
        assert!(Client::connect(server.address, &token("bob", "viewer")).await.is_ok());
        assert_eq!(server.log().matches("jumped").count(), 1, "said once: {}", server.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_that_stays_ends_nobody_and_forgets_no_revocation() {
    let mut home = Home::new(0, OFTEN);
    let Some(faults) = Faults::between(&mut home) else { return };
    let server = home.start();
    let mut people = People::of(&server).await;
    faults.clock(TWO_DAYS);
    // This takes the minute for which a jump is doubted.
    server.until_clock("anita_clock_jumps_total", |count| count >= 1.0).await;
    let doubted = Instant::now();
    while server.metric("anita_clock_doubt_seconds").await.abs() > 1.0 {
        assert!(doubted.elapsed() < PATIENCE * 2, "it is not believed: {}", server.log());
        people.check(&server, "while it is doubted").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(server.log().contains("stays where it jumped to, and is believed"), "{}", server.log());
    let newcomer = Client::connect(server.address, &token("bob", "viewer")).await;
    assert!(newcomer.is_err(), "the clock is believed: a token of an hour ran out long ago");
    // Several times what is between two looks at what can be forgotten.
    let believed = Instant::now();
    while believed.elapsed() < Duration::from_secs(2) {
        people.check(&server, "two days ahead").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    faults.clock(0);
    server.until_clock("anita_clock_jumps_total", |count| count >= 2.0).await;
    people.check(&server, "on the way back").await;
}
