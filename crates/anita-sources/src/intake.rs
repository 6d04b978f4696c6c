//! The port that sources deliver to.

use std::time::Duration;

use anita_model::{Report, Timestamp};
use futures_util::future::BoxFuture;

/// Nothing can be accepted now: what keeps it is away, or full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("reports are not accepted now; try again in {retry_after:?}")]
pub struct Unavailable {
    /// How long to wait before the next attempt.
    pub retry_after: Duration,
}

/// Takes what sources report.
pub trait Intake: Send + Sync {
    /// Hands over the reports of one message, in its order.
    ///
    /// Ready when they are accepted, so that the sender may be told so. Reports that were handed over and not accepted may be
    /// handed over again: the same fix twice is a duplicate and changes nothing. Futures are started in the order of the
    /// calls and may be awaited together.
    ///
    /// # Errors
    /// [`Unavailable`] when they are not accepted.
    fn submit(&self, reports: Vec<Report>) -> BoxFuture<'_, Result<(), Unavailable>>;

    /// The present.
    fn now(&self) -> Timestamp;
}
