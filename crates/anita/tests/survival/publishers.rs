//! Somebody who reports without a pause, sends again what was not acknowledged, and remembers what was.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::http;
use crate::server::token;

/// How many items a report has.
const ITEMS: u64 = 5;

/// The time of the first item of every publisher; the n-th is taken so many milliseconds later.
pub(crate) const FIRST_MS: i64 = 1_767_225_600_000;

/// Where the server is now, if it runs.
pub(crate) type Whereabouts = watch::Receiver<Option<SocketAddr>>;

/// What a publisher has sent, and what of it was acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) sent: u64,
    pub(crate) acknowledged: BTreeSet<u64>,
}

pub(crate) struct Publisher {
    pub(crate) device: &'static str,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Publisher {
    /// Reports by `POST /api/v1/locations`.
    pub(crate) fn by_http(device: &'static str, whereabouts: Whereabouts) -> Self {
        Self::start(device, |ledger, stop| publish_http(device, ledger, whereabouts, stop))
    }

    /// Reports by `report_location`.
    pub(crate) fn by_websocket(device: &'static str, whereabouts: Whereabouts) -> Self {
        Self::start(device, |ledger, stop| publish_websocket(device, ledger, whereabouts, stop))
    }

    fn start<F: Future<Output = ()> + Send + 'static>(
        device: &'static str,
        publish: impl FnOnce(Arc<Mutex<Ledger>>, watch::Receiver<bool>) -> F,
    ) -> Self {
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(publish(Arc::clone(&ledger), stopped));
        Self { device, ledger, stop, task }
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.ledger.lock().acknowledged.len()
    }

    /// Ends once everything that was sent is acknowledged.
    pub(crate) async fn finish(&mut self) {
        self.stop.send(true).unwrap();
        (&mut self.task).await.unwrap();
        let ledger = self.ledger.lock();
        assert_eq!(ledger.acknowledged.len() as u64, ledger.sent);
    }
}

fn items(device: &str, first: u64) -> Value {
    (first..first + ITEMS).map(|number| item(device, number)).collect()
}

/// The n-th item of a device: its place says its number.
pub(crate) fn item(device: &str, number: u64) -> Value {
    let millis = FIRST_MS + i64::try_from(number).unwrap();
    let taken = anita_model::Timestamp::from_micros(millis * 1_000).unwrap();
    json!({ "device_id": device, "location": { "x": number, "y": 1.5, "z": 0.25 }, "timestamp": taken.to_string() })
}

async fn address(whereabouts: &mut Whereabouts) -> SocketAddr {
    whereabouts.wait_for(Option::is_some).await.unwrap().unwrap()
}

async fn publish_http(
    device: &str,
    ledger: Arc<Mutex<Ledger>>,
    mut whereabouts: Whereabouts,
    stop: watch::Receiver<bool>,
) {
    let token = token("publisher");
    let mut first = 0;
    while !*stop.borrow() {
        let body = items(device, first).to_string();
        ledger.lock().sent = first + ITEMS;
        loop {
            let address = address(&mut whereabouts).await;
            let answer = http::request(address, "POST", "/api/v1/locations", &token, &body).await;
            if matches!(answer, Ok((200, _))) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        ledger.lock().acknowledged.extend(first..first + ITEMS);
        first += ITEMS;
    }
}

async fn publish_websocket(
    device: &str,
    ledger: Arc<Mutex<Ledger>>,
    mut whereabouts: Whereabouts,
    stop: watch::Receiver<bool>,
) {
    /// How many reports are under way at once.
    const UNDER_WAY: usize = 4;
    let token = token("publisher");
    // The numbers of the reports that are not acknowledged; they count up.
    let mut open: BTreeSet<u64> = BTreeSet::new();
    let mut next = 0;
    loop {
        let address = address(&mut whereabouts).await;
        let mut request = format!("ws://{address}/ws").into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let Ok((mut socket, _)) = tokio_tungstenite::connect_async(request).await else { continue };
        let mut unsent: VecDeque<u64> = open.iter().copied().collect();
        loop {
            let is_stopped = *stop.borrow();
            while open.len() < UNDER_WAY && !is_stopped {
                open.insert(next);
                unsent.push_back(next);
                next += 1;
                ledger.lock().sent = next * ITEMS;
            }
            if open.is_empty() {
                return;
            }
            let mut is_gone = false;
            while let (Some(number), false) = (unsent.pop_front(), is_gone) {
                let payload = json!({ "locations": items(device, number * ITEMS) });
                let text = json!({ "type": "report_location", "id": number, "payload": payload }).to_string();
                is_gone = socket.send(Message::text(text)).await.is_err();
            }
            let Some(Ok(message)) = socket.next().await else { break };
            let Ok(text) = message.into_text() else { continue };
            let Ok(value) = serde_json::from_str::<Value>(&text) else { continue };
            if value["type"] == "uwb.locations_reported" {
                let number = value["id"].as_u64().unwrap();
                assert_eq!(value["payload"]["accepted"], ITEMS, "{text}");
                ledger.lock().acknowledged.extend(number * ITEMS..(number + 1) * ITEMS);
                open.remove(&number);
            } else if value["type"] == "error" {
                // Not taken: everything that is open is sent again on a new connection.
                break;
            }
        }
    }
}
