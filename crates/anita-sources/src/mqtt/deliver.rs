//! From the queue to the intake, and back as acknowledgements.

use std::time::Duration;

use anita_model::Report;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use tokio::sync::mpsc;

use super::client::{Client, Receipt};
use super::config::Settings;
use super::{Arrived, UNACCEPTED_MAX};
use crate::{Fault, Health, Intake, Unavailable};

/// The bounds of what an intake may ask to wait.
const RETRY_AFTER_MIN: Duration = Duration::from_millis(50);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

enum Wake {
    Arrived(Arrived),
    Accepted(Receipt),
    Ended,
}

/// Hands messages to the intake, many at a time, and acknowledges them in the order they came in, as MQTT wants it.
/// Ends when the queue is closed.
pub(super) async fn deliver(
    client: &Client,
    mut arrived_rx: mpsc::Receiver<Arrived>,
    intake: &dyn Intake,
    health: &Health,
    settings: &Settings,
) -> Result<(), Fault> {
    let mut unaccepted = FuturesOrdered::new();
    loop {
        // Both branches are cancel safe: a message stays in its queue, a future stays in its set.
        let wake = tokio::select! {
            Some(receipt) = unaccepted.next() => Wake::Accepted(receipt),
            arrived = arrived_rx.recv(), if unaccepted.len() < UNACCEPTED_MAX => arrived.map_or(Wake::Ended, Wake::Arrived),
        };
        match wake {
            Wake::Arrived(Arrived { decoded, receipt }) => {
                let reports = health.take(decoded);
                unaccepted.push_back(accept(reports, receipt, intake, health));
            }
            Wake::Accepted(receipt) => client.acknowledge(receipt, settings)?,
            Wake::Ended => return Ok(()),
        }
    }
}

/// Waits until the reports are accepted, or, where nobody keeps the message, lost.
async fn accept(reports: Vec<Report>, receipt: Receipt, intake: &dyn Intake, health: &Health) -> Receipt {
    if reports.is_empty() {
        return receipt;
    }
    if !receipt.is_wanted() {
        let count = reports.len();
        if intake.submit(reports).await.is_err() {
            health.count_dropped(count);
        }
        return receipt;
    }
    while let Err(Unavailable { retry_after }) = intake.submit(reports.clone()).await {
        tokio::time::sleep(retry_after.clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX)).await;
    }
    receipt
}
