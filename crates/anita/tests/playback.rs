//! Playing back over a real server, with the embedded store, beside what is live.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "the code of a test")]

use std::time::{Duration, Instant};

use anita::config::{Config, Written};
use anita::{App, Running};
use anita_auth::{Grant, Minter};
use anita_client::{Client, Connection, Envelope, Options, Token};
use anita_model::Timestamp;
use serde_json::{Value, json};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

const PATIENCE: Duration = Duration::from_secs(60);

/// A server in a folder of its own.
struct House {
    folder: tempfile::TempDir,
    running: Running,
}

impl House {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("jwt.secret"), SECRET).unwrap();
        let text = "[server]\nlisten = \"127.0.0.1:0\"\nplaintext = \"loopback\"\n[auth]\nsecret_file = \"jwt.secret\"\n\
            [storage]\nurl = \"sqlite:anita.db\"\n[drain]\nspread_secs = 0.01\n";
        let written = Written::parse(&folder.path().join("anita.toml"), text, std::iter::empty()).unwrap();
        let running = App::new(Config::from_written(&written).unwrap()).start().await.unwrap();
        Self { folder, running }
    }

    async fn connect(&self, path: &str, role: &str) -> Connection {
        let minter = Minter::hs256(SECRET.as_bytes(), "anita", "anita").unwrap();
        let roles = [role.to_owned()];
        let grant = Grant { subject: "alice", roles: &roles, ..Grant::default() };
        let token = minter.mint(&grant, Timestamp::now(), Duration::from_secs(300)).unwrap();
        let mut options = Options::new(format!("ws://{}{path}", self.running.address()));
        options.token = Some(Token::new(token));
        Client::connect(options).await.unwrap()
    }

    async fn close(self) {
        self.running.stop().await.unwrap();
        self.folder.close().unwrap();
    }
}

/// A fix whose x is the seconds after a moment.
fn item(device: &str, start: Timestamp, secs: f64) -> Value {
    let timestamp = start.plus(Duration::from_secs_f64(secs)).to_string();
    json!({ "device_id": device, "location": { "x": secs, "y": 0, "z": 0 }, "timestamp": timestamp })
}

async fn report(publisher: &mut Connection, items: Vec<Value>) {
    let count = items.len();
    let answer =
        publisher.request("report_location", &json!({ "locations": items }), PATIENCE).await.unwrap();
    assert_eq!(payload(&answer)["accepted"], count, "{answer:?}");
}

fn whole(envelope: &Envelope) -> Value {
    serde_json::from_str(&envelope.text).unwrap()
}

fn payload(envelope: &Envelope) -> Value {
    whole(envelope)["payload"].clone()
}

async fn next(connection: &mut Connection) -> Value {
    let told = tokio::time::timeout(PATIENCE, connection.next()).await.unwrap();
    whole(&told.unwrap().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_is_played_back_in_its_order_and_time_beside_what_is_live() {
    let house = House::open().await;
    let mut publisher = house.connect("/ws", "publisher").await;
    let start = Timestamp::now().minus(Duration::from_secs(3_600));
    let items = |device: &str| (0..600_u32).map(|n| item(device, start, f64::from(n) / 10.0)).collect();
    report(&mut publisher, items("a")).await;
    report(&mut publisher, items("b")).await;

    let mut viewer = house.connect("/ws/uwb", "viewer").await;
    let asked = json!({
        "start_time": start.to_string(), "end_time": start.plus(Duration::from_secs(60)).to_string(), "speed": 30,
    });
    let begun = Instant::now();
    let started = viewer.request("play_history", &asked, PATIENCE).await.unwrap();
    assert_eq!(payload(&started)["devices"], 2, "{started:?}");
    // Told while the past goes on.
    report(&mut publisher, vec![json!({ "device_id": "a", "location": { "x": 999, "y": 0, "z": 0 } })]).await;
    let (mut updates, mut live, mut took) = (Vec::new(), 0, Duration::ZERO);
    let mut is_over = false;
    // The report may be late, and the past over before it.
    while !is_over || live == 0 {
        let message = next(&mut viewer).await;
        let is_past = message["playback"] == "p1";
        assert_eq!(
            message["payload"]["playback"] == "p1",
            is_past,
            "named in both places or in none: {message}"
        );
        match message["type"].as_str().unwrap() {
            "uwb.position_update" => {
                assert!(is_past, "{message}");
                updates.push(message);
            }
            "uwb.location" => {
                assert!(!is_past, "{message}");
                live += usize::from(message["payload"]["location"]["x"] == 999.0);
            }
            "playback.ended" => {
                assert_eq!(message["payload"]["reason"], "end");
                is_over = true;
                took = begun.elapsed();
            }
            _ => {}
        }
    }
    assert!(took >= Duration::from_millis(1_900), "a minute at thirty times is two seconds: {took:?}");
    assert_eq!(live, 1);
    // At most one update each tenth of a second, and all in one after a pause.
    let most = usize::try_from(took.as_millis() / 100).unwrap() + 10;
    assert!((1..=most).contains(&updates.len()), "{} updates in {took:?}", updates.len());
    let mut last = [-1.0; 2];
    for update in &updates {
        for (place, last) in ["a", "b"].iter().zip(&mut last) {
            let Some(x) = update["payload"]["positions"][place]["x"].as_f64() else { continue };
            assert!(x > *last, "{x} after {last}");
            *last = x;
        }
    }
    assert!(last.iter().all(|x| (x - 59.9).abs() < 1e-9), "the last of each is told: {last:?}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_jumps_and_pauses_is_told_where_everything_was_and_nothing_of_it_stays() {
    let house = House::open().await;
    let mut publisher = house.connect("/ws", "publisher").await;
    let start = Timestamp::now().minus(Duration::from_secs(3_600));
    report(&mut publisher, (0..600_u32).map(|n| item("a", start, f64::from(n))).collect()).await;
    let mut viewer = house.connect("/ws", "viewer").await;
    let moment = |secs: u64| start.plus(Duration::from_secs(secs)).to_string();
    let asked = json!({ "start_time": start.to_string(), "end_time": moment(600) });
    viewer.request("play_history", &asked, PATIENCE).await.unwrap();
    let change = json!({ "paused": true, "at": moment(300) });
    let updated = viewer.request("update_playback", &change, PATIENCE).await.unwrap();
    assert_eq!(payload(&updated)["state"], "paused");
    let told = loop {
        let message = next(&mut viewer).await;
        if message["payload"]["timestamp"] == moment(300) {
            break message;
        }
    };
    assert_eq!(told["payload"]["positions"]["a"]["x"], 300.0);
    // As many as may be, each on its own connection, and one more.
    let mut others = Vec::new();
    for _ in 1..anita_session::PLAYBACKS_MAX {
        let mut other = house.connect("/ws", "viewer").await;
        other.request("play_history", &asked, PATIENCE).await.unwrap();
        others.push(other);
    }
    let mut late = house.connect("/ws", "viewer").await;
    let refused = late.request("play_history", &asked, PATIENCE).await.unwrap_err().to_string();
    assert!(refused.contains("100"), "{refused}");
    others.pop().unwrap().close().await;
    // The place of a connection that ended is free, as soon as the server knows.
    let begun = Instant::now();
    while late.request("play_history", &asked, PATIENCE).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "its place is never free");
    }
    house.close().await;
}
