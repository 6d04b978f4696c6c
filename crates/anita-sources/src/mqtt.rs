//! Gateways behind an MQTT broker, 3.1.1 or 5.
//!
//! Messages of `QoS` 1 are acknowledged only after the [`Intake`] has accepted what they hold; while it accepts nothing, they are
//! handed over again, and the broker keeps the rest. Messages of `QoS` 0 have nobody who keeps them: reading waits a little for
//! room, and what is not accepted then is dropped and counted. Both are bounded by [`QUEUED_MAX`] and [`UNACCEPTED_MAX`].

mod client;
mod config;
mod deliver;
mod v3;
mod v5;

use std::sync::Arc;
use std::time::Duration;

use anita_formats::{Decoded, Delivery, Origin, drtls, pozyx};
use anita_model::SourceName;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{Description, Fault, Health, Intake, Source};
use client::{Arrival, Client, Link};
use config::Settings;

pub use config::{Format, MqttConfig, Version};

/// How many messages wait between the socket and the intake. When it is full, reading stops until there is room, and so
/// the broker holds the rest; for a message of `QoS` 0 at most [`ROOM_WAIT_MAX`].
pub const QUEUED_MAX: usize = 256;
/// How long a message of `QoS` 0 waits for room before it is dropped: longer than any burst takes, shorter than a broker is
/// patient with a client that does not read.
pub const ROOM_WAIT_MAX: Duration = Duration::from_secs(1);
/// How many messages are handed over and not yet accepted.
pub const UNACCEPTED_MAX: usize = 256;
/// The largest message, bytes.
pub const MESSAGE_BYTES_MAX: u32 = 1_048_576;

/// How long saying goodbye to the broker may take.
const GOODBYE_MAX: Duration = Duration::from_millis(500);

/// A subscription at one broker.
#[derive(Debug)]
pub struct MqttSource {
    settings: Settings,
}

/// A message on its way to the intake.
struct Arrived {
    decoded: Decoded,
    receipt: client::Receipt,
}

// === impl MqttSource ===

impl Source for MqttSource {
    fn name(&self) -> &SourceName {
        &self.settings.name
    }

    fn description(&self) -> Description {
        self.settings.description()
    }

    fn run(
        &mut self,
        intake: Arc<dyn Intake>,
        health: Arc<Health>,
        stop: CancellationToken,
    ) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(run(&self.settings, intake, health, stop))
    }
}

async fn run(
    settings: &Settings,
    intake: Arc<dyn Intake>,
    health: Arc<Health>,
    stop: CancellationToken,
) -> Result<(), Fault> {
    let (client, mut link) = client::open(settings)?;
    let (arrived_tx, arrived_rx) = mpsc::channel(QUEUED_MAX);
    let ended = tokio::select! {
        ended = read(settings, &client, &mut link, &arrived_tx, intake.as_ref(), &health) => ended,
        ended = deliver::deliver(&client, arrived_rx, intake.as_ref(), &health, settings) => ended,
        () = stop.cancelled() => Ok(()),
    };
    if ended.is_ok() {
        // Whether the broker hears the goodbye is no matter: it notices the closed socket too.
        drop(tokio::time::timeout(GOODBYE_MAX, client.say_goodbye(&mut link)).await);
    }
    ended
}

/// Reads from the broker until something breaks. Not cancel safe: it is dropped only for good.
async fn read(
    settings: &Settings,
    client: &Client,
    link: &mut Link,
    arrived_tx: &mpsc::Sender<Arrived>,
    intake: &dyn Intake,
    health: &Health,
) -> Result<(), Fault> {
    loop {
        let message = match link.next(settings).await? {
            // A broker that remembers the session is asked again: the topics may have changed with the configuration.
            Arrival::Connected => {
                client.subscribe(settings)?;
                continue;
            }
            Arrival::Subscribed => {
                health.connected(intake.now());
                continue;
            }
            Arrival::Message(message) => message,
            Arrival::Housekeeping => continue,
        };
        health.count_message();
        let origin =
            Origin { source: settings.name.clone(), site: settings.site.clone(), received_at: intake.now() };
        let decoded = settings.format.decode(&message.topic, &message.payload, message.delivery, &origin);
        let arrived = Arrived { decoded, receipt: message.receipt };
        enqueue(arrived, arrived_tx, health).await;
    }
}

/// Queues a message. When the queue is full it waits for room; one that nobody keeps is dropped in the end.
async fn enqueue(arrived: Arrived, arrived_tx: &mpsc::Sender<Arrived>, health: &Health) {
    let wait_max = if arrived.receipt.is_wanted() { Duration::MAX } else { ROOM_WAIT_MAX };
    // A closed queue is no matter: then this future is about to be dropped.
    if let Err(mpsc::error::SendTimeoutError::Timeout(arrived)) =
        arrived_tx.send_timeout(arrived, wait_max).await
    {
        health.count_dropped(health.take(arrived.decoded).len());
    }
}

// === impl Format ===

impl Format {
    fn decode(self, topic: &Bytes, payload: &[u8], delivery: Delivery, origin: &Origin) -> Decoded {
        match self {
            Self::Drtls => drtls::decode(&String::from_utf8_lossy(topic), payload, delivery, origin),
            Self::Pozyx => pozyx::decode(payload, delivery, origin),
        }
    }
}
