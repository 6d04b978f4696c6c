//! What is left of clients that are gone: nothing.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::{Client, frame};
use crate::house::House;
use crate::round_of;

const CLIENTS: usize = 300;

/// How a client vanishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Its socket is closed, with whatever it has not read.
    Dropped,
    /// Its socket is reset.
    Reset,
    /// It says goodbye and waits for the answer.
    Goodbye,
    /// It says nothing more, and reads to the end.
    HalfClosed,
    /// It breaks the protocol.
    Violation,
    /// It stops in the middle of a frame.
    HalfFrame,
    /// It stops reading, and is reset when much waits for it.
    Stalled,
    /// It ends its view and is dropped.
    Unsubscribed,
    /// It asks for another view, and is reset before it reads the answer.
    Changing,
    /// It is still there, and neither reads nor says anything.
    Silent,
}

const WAYS: [Way; 10] = [
    Way::Dropped,
    Way::Reset,
    Way::Goodbye,
    Way::HalfClosed,
    Way::Violation,
    Way::HalfFrame,
    Way::Stalled,
    Way::Unsubscribed,
    Way::Changing,
    Way::Silent,
];

fn area(number: usize) -> serde_json::Value {
    let side = u32::try_from(number).unwrap();
    json!({ "box": { "min_x": -1.0 - f64::from(side), "min_y": -1, "max_x": 100, "max_y": 100 } })
}

impl Way {
    /// What is still there of the client.
    async fn vanish(self, mut client: Client, number: usize) -> Option<Client> {
        match self {
            Self::Dropped => {}
            Self::Reset => client.stream.set_zero_linger().unwrap(),
            Self::Goodbye => {
                client.close().await;
                return None;
            }
            Self::HalfClosed => {
                client.stream.shutdown().await.unwrap();
                client.read_to_end().await;
            }
            Self::Violation => {
                // Not masked.
                client.send_bytes(&[0x81, 0x01, b'x']).await;
                let close = client.read_to_end().await;
                assert_eq!(close.map(|close| close["code"].clone()), Some(json!(1002)));
            }
            Self::HalfFrame => client.send_bytes(&frame(0x1, &[b' '; 1000])[..500]).await,
            Self::Stalled => {
                client.stall(Duration::from_millis(500)).await;
                client.stream.set_zero_linger().unwrap();
            }
            Self::Unsubscribed => {
                client.request("unsubscribe", &json!({ "subscription": "s1" })).await;
            }
            Self::Changing => {
                let view = json!({ "subscription": "s1", "view": { "area": area(number + CLIENTS) } });
                client.send("update_subscription", &view).await;
                client.stream.set_zero_linger().unwrap();
            }
            Self::Silent => return Some(client),
        }
        None
    }
}

/// One client: subscribes to an area of its own, and reads until it is time to vanish.
async fn live(house: Arc<House>, number: usize, mut is_over: watch::Receiver<bool>) -> Option<Client> {
    let mut client = house.narrow_client("viewer").await;
    let mode = ["batch", "single", "columns"][number % 3];
    client.subscribe(&json!({ "view": { "area": area(number) }, "mode": mode })).await;
    tokio::select! {
        end = client.keep_up() => panic!("client {number} did not vanish by itself: {end}"),
        it_is_over = is_over.wait_for(|&is_over| is_over) => assert!(it_is_over.is_ok()),
    }
    WAYS[number % WAYS.len()].vanish(client, number).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_clients_that_vanish_in_whatever_way() {
    let house = Arc::new(House::open("send_buffer_bytes = 4096", "[heartbeat]\ninterval_secs = 8").await);
    let mut publisher = house.client("publisher").await;
    let (over, is_over) = watch::channel(false);
    let (stop, is_stopped) = watch::channel(false);
    publisher.report(round_of(50, 0)).await;
    let reporting = tokio::spawn(async move {
        let (mut round, mut turns) = (0, tokio::time::interval(Duration::from_millis(50)));
        while !*is_stopped.borrow() {
            turns.tick().await;
            round += 1;
            publisher.report(round_of(50, round)).await;
        }
        publisher.close().await;
    });
    let mut clients: JoinSet<Option<Client>> = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(live(Arc::clone(&house), number, is_over.clone()));
    }
    let all = i64::try_from(CLIENTS).unwrap();
    house.until_metric("anita_view_classes", all).await;
    house.until_metric("anita_connections", all + 1).await;
    // Some never get as far as a WebSocket.
    let mut half = Vec::new();
    for _half in 0..10 {
        let mut stream = TcpStream::connect(house.address()).await.unwrap();
        stream.write_all(b"GET /ws HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\n").await.unwrap();
        half.push(stream);
    }
    over.send(true).unwrap();
    drop(half);
    let silent: Vec<Client> = clients.join_all().await.into_iter().flatten().collect();
    assert_eq!(silent.len(), CLIENTS / WAYS.len(), "these still have their sockets");

    house.until_metric("anita_connections", 1).await;
    house.until_metric("anita_view_classes", 0).await;
    house.until_metric("anita_queued_bytes", 0).await;
    stop.send(true).unwrap();
    reporting.await.unwrap();
    house.until_metric("anita_connections", 0).await;
    house.until_metric("anita_closes_total", all + 1).await;
    for code in ["by_peer", "gone", "silence", "violation"] {
        let name = format!("anita_closes_total{{code=\"{code}\"}}");
        let count = house.metric(&name).await;
        assert!(count >= all / 10, "{count} ended as {code}");
    }
    // And the places are free for others.
    let mut client = house.client("viewer").await;
    client.subscribe(&json!({})).await;
    client.close().await;
    drop(silent);
    Arc::into_inner(house).expect("nobody else has it").stop().await;
}
