//! The formats of gateways and recordings, as pure functions from bytes to [`Report`]s.
//!
//! Nothing here reads a socket, a file or a clock: the edges bring the bytes and say in an [`Origin`] where and when they
//! came from. Whether a time lies in the future or a fix is late is the world's to judge, not a decoder's.
//!
//! A decoder never fails as a whole where one message holds several items: each item is accepted or refused by itself
//! ([`Decoded`]). A device that measured and found no solution is not malformed; it is a [`Report::NoPosition`].

mod json;
mod line_buffer;
mod malformed;

pub mod drtls;
pub mod dwm1001;
pub mod pozyx;
pub mod recording;

use anita_model::{Report, SiteName, SourceName, Timestamp};

pub use line_buffer::{LINE_BYTES_MAX, LineBuffer};
pub use malformed::{Malformed, Reason};

/// Where a message came from and when it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Which source brought it.
    pub source: SourceName,
    /// The site whose frame its coordinates are in.
    pub site: SiteName,
    /// When it reached us.
    pub received_at: Timestamp,
}

/// Whether a message is news, or what a broker remembers and hands to every new subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It was sent just now.
    Live,
    /// The broker kept it, for seconds or for months. Descriptions in it hold; positions and signs of life do not.
    Retained,
}

/// What one message held, item by item.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decoded {
    /// What was understood, in the order of the message. Empty when the message says nothing about a device.
    pub reports: Vec<Report>,
    /// What was refused, one entry an item.
    pub malformed: Vec<Malformed>,
}

// === impl Decoded ===

impl Decoded {
    /// Takes the outcome of one item.
    fn push(&mut self, item: Result<Option<Report>, Malformed>) {
        match item {
            Ok(report) => self.reports.extend(report),
            Err(malformed) => self.malformed.push(malformed),
        }
    }
}

impl From<Result<Option<Report>, Malformed>> for Decoded {
    fn from(item: Result<Option<Report>, Malformed>) -> Self {
        let mut decoded = Self::default();
        decoded.push(item);
        decoded
    }
}
