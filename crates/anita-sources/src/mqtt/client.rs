//! One client for both versions of the protocol. The two crates are the same but for their types; what differs is in [`v3`] and
//! [`v5`].

use anita_formats::Delivery;
use bytes::Bytes;
use rumqttc_v4::TlsConfiguration;

use super::config::{Settings, Version};
use super::{MESSAGE_BYTES_MAX, QUEUED_MAX, UNACCEPTED_MAX, v3, v5};
use crate::Fault;

/// How many requests wait for the socket. More than the messages that can be unacknowledged at once, so that an
/// acknowledgement always finds room.
pub(super) const REQUESTS_MAX: usize = 4 * (QUEUED_MAX + UNACCEPTED_MAX);

/// What to do with a connection: subscribe, acknowledge, leave.
pub(super) enum Client {
    V3(rumqttc_v4::AsyncClient),
    V5(rumqttc::AsyncClient),
}

/// What comes from a connection.
pub(super) enum Link {
    V3(Box<rumqttc_v4::EventLoop>),
    V5(Box<rumqttc::EventLoop>),
}

/// Something came from the broker.
pub(super) enum Arrival {
    Connected,
    Subscribed,
    Message(Message),
    Housekeeping,
}

/// A published message.
pub(super) struct Message {
    pub(super) topic: Bytes,
    pub(super) payload: Bytes,
    pub(super) delivery: Delivery,
    pub(super) receipt: Receipt,
}

/// What the broker waits for after a message.
pub(super) enum Receipt {
    /// Nothing: `QoS` 0.
    Unwanted,
    V3(Box<rumqttc_v4::Publish>),
    V5(Box<rumqttc::Publish>),
}

/// Connection options that both versions have.
pub(super) struct Options<'s> {
    pub(super) settings: &'s Settings,
    pub(super) credentials: Option<(String, Option<Bytes>)>,
    pub(super) tls: Option<TlsConfiguration>,
    pub(super) message_bytes_max: u32,
}

/// Makes a client. Nothing is sent before the first [`Link::next`].
pub(super) fn open(settings: &Settings) -> Result<(Client, Link), Fault> {
    let options = Options {
        settings,
        credentials: settings.credentials()?,
        tls: settings.tls()?,
        message_bytes_max: MESSAGE_BYTES_MAX,
    };
    match settings.version {
        Version::V3 => v3::open(options).map(|(client, link)| (Client::V3(client), Link::V3(Box::new(link)))),
        Version::V5 => v5::open(options).map(|(client, link)| (Client::V5(client), Link::V5(Box::new(link)))),
    }
}

// === impl Client ===

impl Client {
    pub(super) fn subscribe(&self, settings: &Settings) -> Result<(), Fault> {
        match self {
            Self::V3(client) => v3::subscribe(client, settings),
            Self::V5(client) => v5::subscribe(client, settings),
        }
    }

    /// Acknowledges a message, if the broker wants that.
    pub(super) fn acknowledge(&self, receipt: Receipt, settings: &Settings) -> Result<(), Fault> {
        match (self, receipt) {
            (Self::V3(client), Receipt::V3(publish)) => {
                client.try_ack(&publish).map_err(|error| settings.failed(error))
            }
            (Self::V5(client), Receipt::V5(publish)) => {
                client.try_ack(&publish).map_err(|error| settings.failed(error))
            }
            (Self::V3(_) | Self::V5(_), Receipt::Unwanted | Receipt::V3(_) | Receipt::V5(_)) => Ok(()),
        }
    }

    /// Tells the broker that we leave, and reads until the connection is closed.
    pub(super) async fn say_goodbye(&self, link: &mut Link) {
        match (self, link) {
            (Self::V3(client), Link::V3(events)) => {
                if client.try_disconnect_now().is_ok() {
                    while events.poll().await.is_ok() {}
                }
            }
            (Self::V5(client), Link::V5(events)) => {
                if client.try_disconnect_now().is_ok() {
                    while events.poll().await.is_ok() {}
                }
            }
            (Self::V3(_), Link::V5(_)) | (Self::V5(_), Link::V3(_)) => {}
        }
    }
}

// === impl Link ===

impl Link {
    /// The next thing that comes. Not cancel safe while connecting.
    pub(super) async fn next(&mut self, settings: &Settings) -> Result<Arrival, Fault> {
        match self {
            Self::V3(events) => v3::arrival(events.poll().await, settings),
            Self::V5(events) => v5::arrival(events.poll().await, settings),
        }
    }
}

// === impl Receipt ===

impl Receipt {
    /// Whether the broker keeps the message until it is acknowledged.
    pub(super) fn is_wanted(&self) -> bool {
        match self {
            Self::Unwanted => false,
            Self::V3(_) | Self::V5(_) => true,
        }
    }
}
