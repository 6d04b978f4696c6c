//! Numbered messages of a room, and a client that stops reading them while tags move.

use serde_json::{Value, json};

use crate::client::{Client, Dial};
use crate::house::House;
use crate::picture::Pictures;
use crate::round_of;

const ROOM: &str = "hall";

/// What a room keeps of its messages.
const RING: u64 = 60;

/// Bytes of one message; so many of them that the kernel can't hold a ring of them.
const DATA_BYTES: usize = 2_000;

/// What a client heard of the room, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Message(u64),
    Gap(u64, u64),
}

/// Somebody who speaks in the room, and moves tags in between.
struct Speaker {
    client: Client,
    /// The number of the last message.
    seq: u64,
}

impl Speaker {
    async fn new(house: &House) -> Self {
        let mut client = house.client("operator").await;
        client.request("join_room", &json!({ "room": ROOM })).await;
        client.report(round_of(50, 0)).await;
        Self { client, seq: 0 }
    }

    async fn say(&mut self, count: u64) {
        for _message in 0..count {
            self.seq += 1;
            let data = json!({ "number": self.seq, "text": "x".repeat(DATA_BYTES) });
            let said = json!({ "room": ROOM, "name": "note", "data": data });
            let answer = self.client.request("send_to_room", &said).await;
            assert_eq!(answer["payload"]["seq"], self.seq, "{answer}");
            self.client.report(round_of(50, i64::try_from(self.seq).unwrap())).await;
        }
    }
}

/// Reads until a number, also of the positions in between.
async fn read_to(client: &mut Client, pictures: &mut Pictures, last: u64) -> Vec<Heard> {
    let mut heard = Vec::new();
    while !matches!(heard.last(), Some(Heard::Message(seq)) if *seq == last) {
        let message = client.next().await;
        let payload = &message["payload"];
        match message["type"].as_str().unwrap() {
            "room.message" => {
                let seq = message["seq"].as_u64().unwrap();
                assert_eq!(payload["data"]["number"], seq, "{message}");
                heard.push(Heard::Message(seq));
            }
            "room.gap" => {
                let number = |name: &str| payload[name].as_u64().unwrap();
                heard.push(Heard::Gap(number("from_seq"), number("to_seq")));
            }
            _ => drop(pictures.hear(&message)),
        }
    }
    heard
}

fn messages(numbers: std::ops::RangeInclusive<u64>) -> Vec<Heard> {
    numbers.map(Heard::Message).collect()
}

#[tokio::test]
async fn what_a_room_still_has_comes_in_order_and_once_and_what_it_has_not_is_a_gap() {
    let house =
        House::open("send_buffer_bytes = 8192", &format!("[rooms]\nring_messages_max = {RING}")).await;
    let mut speaker = Speaker::new(&house).await;
    let mut client = house.narrow_client("viewer").await;
    let mut pictures = Pictures::default();
    let joined = client.request("join_room", &json!({ "room": ROOM })).await;
    client.send("subscribe", &json!({})).await;

    speaker.say(3 * RING).await;
    let heard = read_to(&mut client, &mut pictures, speaker.seq).await;
    let gap = heard.iter().position(|it| matches!(it, Heard::Gap(..))).expect("the ring has gone round");
    let before = u64::try_from(gap).unwrap();
    let oldest_kept = speaker.seq - RING + 1;
    let mut expected = messages(1..=before);
    expected.push(Heard::Gap(before + 1, oldest_kept - 1));
    expected.extend(messages(oldest_kept..=speaker.seq));
    assert_eq!(heard, expected);

    for _stall in 0..3 {
        let from = speaker.seq + 1;
        speaker.say(RING - 5).await;
        let heard = read_to(&mut client, &mut pictures, speaker.seq).await;
        assert_eq!(heard, messages(from..=speaker.seq));
    }

    // It breaks off in the middle of what waits for it, and comes back with the last that it has heard.
    let from = speaker.seq + 1;
    speaker.say(RING - 5).await;
    assert_eq!(read_to(&mut client, &mut pictures, from).await, messages(from..=from));
    drop(client);
    let mut client =
        Client::connect(house.address(), &Dial::new(House::token("viewer", None)).narrow()).await;
    let since = json!({ "epoch": joined["payload"]["epoch"], "seq": from });
    let joined: Value = client.request("join_room", &json!({ "room": ROOM, "since": since })).await;
    assert_eq!(joined["payload"]["recovered"], true, "{joined}");
    let mut pictures = Pictures::default();
    let heard = read_to(&mut client, &mut pictures, speaker.seq).await;
    assert_eq!(heard, messages(from + 1..=speaker.seq));
    house.until_metric("anita_queued_bytes", 0).await;
}
