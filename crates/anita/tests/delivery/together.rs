//! Several views on one connection, and the same compressed.

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::client::{Client, Dial};
use crate::house::House;
use crate::picture::Pictures;
use crate::{TAGS, Watcher, round_of};

#[tokio::test]
async fn what_is_compressed_says_the_same_and_catches_up_as_well() {
    const ROUNDS: i64 = 30;
    let house = House::open("send_buffer_bytes = 8192\ncompression = true", "").await;
    let mut publisher = house.client("publisher").await;
    publisher.report(round_of(TAGS, 0)).await;
    let token = || Dial::new(House::token("viewer", None));
    let mut packed = Vec::new();
    for mode in ["batch", "columns"] {
        let client = Client::connect(house.address(), &token().offering_compression()).await;
        packed.push(Watcher::new(client, &json!({ "mode": mode })).await);
    }
    let mut stalled = Watcher::new(
        Client::connect(house.address(), &token().narrow().offering_compression()).await,
        &json!({}),
    )
    .await;
    let mut plain = Watcher::new(house.client("viewer").await, &json!({})).await;
    for round in 1..=4 * ROUNDS {
        publisher.report(round_of(TAGS, round)).await;
        plain.hear_round(TAGS, round).await;
        for it in &mut packed {
            it.hear_round(TAGS, round).await;
            let (packed, plain) = (&it.pictures.views["s1"].devices, &plain.pictures.views["s1"].devices);
            assert_eq!(packed, plain);
        }
    }
    for it in &packed {
        assert!(it.client.is_compressed && it.client.compressed >= 120, "{} frames", it.client.compressed);
        assert!(2 * it.client.read_bytes < plain.client.read_bytes, "compression pays");
    }
    assert!(!plain.client.is_compressed && plain.client.compressed == 0);
    let mut last = 0;
    while last < 4 * ROUNDS {
        let message = stalled.client.next().await;
        last = stalled.pictures.hear(&message).iter().map(|it| it.place.unwrap().count).fold(last, i64::max);
    }
    assert_eq!(stalled.pictures.views["s1"].devices, plain.pictures.views["s1"].devices);
}

#[tokio::test]
async fn several_views_of_a_connection_are_told_with_one_write_a_tick() {
    let house = House::open("", "").await;
    let mut publisher = house.client("publisher").await;
    publisher.report(round_of(20, 0)).await;
    let mut client = house.client("viewer").await;
    let views = [
        json!({ "view": { "devices": ["t00?"] } }),
        json!({ "view": { "devices": ["t01?"] }, "mode": "columns" }),
        json!({ "view": { "devices": ["t005", "t015"] }, "mode": "single" }),
    ];
    let mut pictures = Pictures::default();
    for view in &views {
        client.send("subscribe", view).await;
    }
    let mut snapshots = 0;
    while snapshots < views.len() {
        let message = client.next().await;
        snapshots += usize::from(message["type"] == "view.snapshot");
        pictures.hear(&message);
    }
    for round in 1..=60 {
        publisher.report(round_of(20, round)).await;
        let mut missing = 22;
        let mut reads = None;
        while missing > 0 {
            let message = client.next().await;
            for told in pictures.hear(&message) {
                assert_eq!(told.place.unwrap().count, round, "{message}");
                missing -= 1;
            }
            // The first rounds may come while the snapshots are still being written.
            let is_at_once = *reads.get_or_insert(client.reads) == client.reads;
            assert!(is_at_once || round < 10, "the rest came later in round {round}: {message}");
        }
    }
}

#[tokio::test]
async fn unsubscribed_is_the_last_word_of_a_view() {
    let house = House::open("send_buffer_bytes = 8192", "").await;
    let mut publisher = house.client("publisher").await;
    publisher.report(round_of(TAGS, 0)).await;
    let (stop, mut is_stopped) = watch::channel(false);
    let reporting = tokio::spawn(async move {
        let mut round = 0;
        while !*is_stopped.borrow_and_update() {
            round += 1;
            publisher.report(round_of(TAGS, round)).await;
        }
    });
    let mut client = house.narrow_client("viewer").await;
    let mut pictures = Pictures::default();
    client.send("subscribe", &json!({ "view": { "devices": ["t000"] }, "mode": "single" })).await;
    until(&mut client, &mut pictures, |message| message["type"] == "view.snapshot").await;
    for mode in ["batch", "single", "columns"].into_iter().cycle().take(12) {
        client.send("subscribe", &json!({ "mode": mode })).await;
        let is_told = |message: &Value| message["subscription"] == "s2";
        until(&mut client, &mut pictures, is_told).await;
        // While much is on its way, or nothing is.
        if mode != "single" {
            client.stall(std::time::Duration::from_millis(100)).await;
        }
        client.send("unsubscribe", &json!({ "subscription": "s2" })).await;
        until(&mut client, &mut pictures, |message| message["type"] == "unsubscribed").await;
        for _message in 0..5 {
            until(&mut client, &mut pictures, |message| message["subscription"] == "s1").await;
        }
    }
    stop.send(true).unwrap();
    reporting.await.unwrap();
}

/// Hears until a message comes that is as it should be. The pictures judge every one.
async fn until(client: &mut Client, pictures: &mut Pictures, is_it: impl Fn(&Value) -> bool) {
    loop {
        let message = client.next().await;
        pictures.hear(&message);
        if is_it(&message) {
            return;
        }
    }
}
