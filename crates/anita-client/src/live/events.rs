//! What a client that stays connected tells its application.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

use super::error::Failure;
use super::machine::State;
use crate::envelope::Envelope;

/// Something that happened, in the order in which it did.
#[derive(Debug, Clone)]
pub enum Event {
    /// The client stands elsewhere now.
    State(State),
    /// The server said hello: its `system.connection`. Rooms and views are asked for anew.
    Online(Arc<Envelope>),
    /// A connection ended or did not come about; the next attempt is after `wait`, or there is none.
    Lost {
        /// Why.
        failure: Failure,
        /// How long until the next attempt.
        wait: Option<Duration>,
    },
    /// A message, which is no answer to a request.
    Message(Arc<Envelope>),
    /// Numbered messages did not reach this client: the present state has to be read anew.
    Gap(Gap),
    /// Something that the client does by itself did not succeed: a token was not refreshed, a room not joined again.
    Trouble(Failure),
}

/// What is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Of what.
    pub of: GapOf,
    /// The epoch of the numbering.
    pub epoch: String,
    /// The first and the last number that are missing; unknown where the numbering began anew.
    pub seqs: Option<(u64, u64)>,
}

/// What has numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GapOf {
    /// A room.
    Room(String),
    /// A subscription in the lane `every`, by its key: [`super::View::key`].
    View(u64),
}

/// Events from a moment on. Who reads too slowly misses the oldest, and is told how many.
#[derive(Debug)]
pub struct Events {
    pub(super) receiver: broadcast::Receiver<Event>,
    pub(super) missed_count: u64,
}

// === impl Events ===

impl Events {
    /// The next one; `None` after the end of the client. Cancel safe.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(missed)) => self.missed_count += missed,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// The next one, if there is one already.
    pub fn take(&mut self) -> Option<Event> {
        loop {
            match self.receiver.try_recv() {
                Ok(event) => return Some(event),
                Err(broadcast::error::TryRecvError::Lagged(missed)) => self.missed_count += missed,
                Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => {
                    return None;
                }
            }
        }
    }

    /// How many events were dropped because they were not read in time.
    pub fn missed_count(&self) -> u64 {
        self.missed_count
    }
}
