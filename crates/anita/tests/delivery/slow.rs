//! Positions, and clients that stop reading or read slowly.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::house::{House, PATIENCE};
use crate::{Round, TAGS, Watcher, round_of};

const ROUNDS: Round = 60;

/// What the kernel can hold of a narrow connection, on both sides and with what it adds, bytes.
const KERNEL_BYTES: usize = 48 * 1024;

/// What may wait in the server for one connection: the rest of a frame, and one more.
const QUEUED_BYTES_MAX: i64 = 32 * 1024;

/// How a client that reads again gets up to date.
#[derive(Debug, Default)]
struct Resumed {
    /// What it heard before it was up to date, bytes.
    old_bytes: usize,
    /// Positions that it was told.
    positions: u64,
    /// What it heard of being slow.
    dropped: u64,
    paces: u64,
}

impl Resumed {
    /// Reads until the last round has come and the slowness was told. What was in the kernel comes first; then
    /// everything with one frame.
    async fn read(watcher: &mut Watcher, reported: u64, last: Round) -> Self {
        let mut it = Self::default();
        let mut is_current = false;
        while !is_current || it.positions + it.dropped < reported {
            let message = watcher.client.next().await;
            let told = watcher.pictures.hear(&message);
            if message["type"] == "system.pace" {
                it.paces += 1;
                it.dropped += message["payload"]["dropped"].as_u64().unwrap();
            }
            if told.is_empty() {
                continue;
            }
            it.positions += told.len() as u64;
            assert!(!is_current, "told again: {message}");
            if told.iter().any(|told| told.place.unwrap().count == last) {
                let is_last = told.iter().all(|told| told.place.unwrap().count == last);
                assert!(told.len() == TAGS && is_last, "not all with one frame: {message}");
                is_current = true;
            } else {
                it.old_bytes += watcher.client.message_bytes;
            }
        }
        it
    }
}

#[tokio::test]
async fn a_client_that_stops_reading_is_current_with_one_frame_and_costs_nobody_anything() {
    let house = House::open("send_buffer_bytes = 8192", "").await;
    let mut publisher = house.client("publisher").await;
    publisher.report(round_of(TAGS, 0)).await;
    let mut stalled = Watcher::new(house.narrow_client("viewer").await, &json!({})).await;
    let mut others = Vec::new();
    // Some of each on either thread; one of them says when the class of the stalled client was told.
    for mode in ["batch", "batch", "single", "single", "columns"] {
        others.push(Watcher::new(house.client("viewer").await, &json!({ "mode": mode })).await);
    }

    let mut from = 0;
    for stall in 1..=2 {
        let started = Instant::now();
        for round in from + 1..=from + ROUNDS {
            publisher.report(round_of(TAGS, round)).await;
            for other in &mut others {
                other.hear_round(TAGS, round).await;
            }
            if round % 10 == 0 {
                let queued = house.metric("anita_queued_bytes").await;
                assert!(queued <= QUEUED_BYTES_MAX, "{queued} bytes wait in round {round}");
            }
        }
        let reported = u64::try_from(ROUNDS).unwrap() * TAGS as u64;
        let resumed = Resumed::read(&mut stalled, reported, from + ROUNDS).await;
        assert!(resumed.old_bytes <= KERNEL_BYTES, "{resumed:?}");
        assert!(resumed.positions < reported / 3, "{resumed:?} of {reported}");
        assert_eq!(resumed.positions + resumed.dropped, reported, "{resumed:?} in stall {stall}");
        assert!(resumed.paces <= started.elapsed().as_secs() + 1, "{resumed:?} in {:?}", started.elapsed());
        from += ROUNDS;
        // It keeps up again: whatever moves, it hears with the others.
        for round in from + 1..=from + 5 {
            publisher.report(round_of(TAGS, round)).await;
            stalled.hear_round(TAGS, round).await;
            for other in &mut others {
                other.hear_round(TAGS, round).await;
            }
        }
        from += 5;
        let stats = stalled.client.request("get_connection_stats", &json!({})).await;
        assert_eq!(stats["payload"]["subscriptions"][0]["is_behind"], false, "{stats}");
        house.until_metric("anita_queued_bytes", 0).await;
    }
    assert_eq!(house.metric("anita_closes_total").await, 0, "nobody was closed");
}

/// How far behind the slow client is, by what it has read: that says more than the time on a busy machine.
struct Lag {
    /// What it had read when each round was reported.
    read_at: Vec<usize>,
    bytes_max: usize,
}

impl Lag {
    /// A position of a round came: until the next round was reported, it was the newest.
    fn came(&mut self, round: Round, read_bytes: usize) {
        let next = usize::try_from(round).unwrap() + 1;
        if let Some(read_before) = self.read_at.get(next) {
            self.bytes_max = self.bytes_max.max(read_bytes - read_before);
        }
    }
}

#[tokio::test]
async fn a_slow_reader_gets_newer_positions_instead_of_old_ones_that_waited() {
    const READ_BYTES_PER_STEP: usize = 1_000;
    const STEP: Duration = Duration::from_millis(50);
    const SLOWLY_READ_BYTES: usize = 160_000;
    let house = House::open("send_buffer_bytes = 8192", "").await;
    let mut publisher = house.client("publisher").await;
    publisher.report(round_of(TAGS, 0)).await;
    let mut fast = Watcher::new(house.client("viewer").await, &json!({})).await;
    let mut slow = Watcher::new(house.narrow_client("viewer").await, &json!({})).await;
    let begun_at = slow.client.read_bytes;
    let mut lag = Lag { read_at: vec![0], bytes_max: 0 };
    let (mut round, mut told, mut dropped, mut paces) = (0, 0, 0, 0);
    let started = Instant::now();
    let mut steps = tokio::time::interval(STEP);
    // After the steps it reads as fast as it can, until it is up to date.
    let mut is_current = false;
    loop {
        let is_slow = slow.client.read_bytes - begun_at < SLOWLY_READ_BYTES;
        if is_slow {
            steps.tick().await;
            round += 1;
            lag.read_at.push(slow.client.read_bytes);
            publisher.report(round_of(TAGS, round)).await;
            fast.hear_round(TAGS, round).await;
            // Where nothing is there to be read, the next step comes all the same.
            tokio::time::timeout(STEP, slow.client.fill(READ_BYTES_PER_STEP)).await.ok();
        } else {
            slow.client.fill(READ_BYTES_PER_STEP).await;
        }
        while let Some(message) = slow.client.take() {
            for it in slow.pictures.hear(&message) {
                let count = it.place.unwrap().count;
                is_current = count == round;
                told += 1;
                lag.came(count, slow.client.read_bytes);
            }
            if message["type"] == "system.pace" {
                paces += 1;
                dropped += message["payload"]["dropped"].as_u64().unwrap();
            }
        }
        if !is_slow && is_current && told + dropped == u64::try_from(round).unwrap() * TAGS as u64 {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{told} and {dropped} of {round} rounds");
    }
    let read = slow.client.read_bytes - begun_at;
    assert!(lag.bytes_max <= KERNEL_BYTES, "{} bytes lay between it and the present", lag.bytes_max);
    assert!(read > 3 * lag.bytes_max / 2, "the run was too short to tell: {read} and {}", lag.bytes_max);
    assert!(dropped > told, "{told} positions told, {dropped} replaced");
    assert!(paces <= started.elapsed().as_secs() + 1, "{paces} notices in {:?}", started.elapsed());
    assert_eq!(house.metric("anita_closes_total").await, 0, "nobody was closed");
    house.until_metric("anita_queued_bytes", 0).await;
}

/// What waits in all connections together is bounded: whoever has more than its part of it is closed, and nobody else.
#[tokio::test]
async fn when_too_much_waits_in_all_whoever_lets_most_wait_is_closed() {
    let house = House::open("send_buffer_bytes = 8192\nqueued_bytes_max = 1000", "").await;
    let mut publisher = house.client("publisher").await;
    let tags = (0..300)
        .map(|tag| json!({"device_id": format!("tag-{tag}"), "location": {"x": tag, "y": 0, "z": 0}}));
    publisher.report(tags.collect()).await;
    let mut greedy = house.narrow_client("viewer").await;
    let mut modest = house.client("viewer").await;
    for _ in 0..20 {
        greedy.send("get_active_devices", &json!({})).await;
    }
    house.until_metric("anita_closes_total{code=\"memory_limit\"}", 1).await;
    assert_eq!(modest.request("ping", &json!({})).await["type"], "system.pong");
    drop(greedy);
    house.until_metric("anita_queued_bytes", 0).await;
}
