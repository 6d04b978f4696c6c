//! The clock of the edge: everything inside gets `now` from it.

use std::time::Duration;

use anita_model::{Now, Timestamp};
use tokio::time::Instant;

/// The present by the wall clock and since the start.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock whose uptime begins now.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// The present.
    pub fn now(&self) -> Now {
        Now { wall: Timestamp::now(), uptime: self.started.elapsed() }
    }

    /// The moment of an uptime, for timers; far ahead for one that can't be.
    pub fn instant_of(&self, uptime: Duration) -> Instant {
        const FAR_AHEAD: Duration = Duration::from_secs(86_400);
        self.started.checked_add(uptime).unwrap_or_else(|| Instant::now() + FAR_AHEAD)
    }
}
