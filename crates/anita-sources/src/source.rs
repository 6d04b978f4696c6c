//! What a source is.

use std::sync::Arc;

use anita_model::SourceName;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::{Fault, Health, Intake};

/// One gateway, line or file that reports locations.
pub trait Source: Send {
    /// Its name in the configuration.
    fn name(&self) -> &SourceName;

    /// Connects once and reads until `stop`, then returns `Ok`.
    ///
    /// # Errors
    /// The first [`Fault`]. It is not retried here: the caller waits and runs the source again.
    fn run(
        &mut self,
        intake: Arc<dyn Intake>,
        health: Arc<Health>,
        stop: CancellationToken,
    ) -> BoxFuture<'_, Result<(), Fault>>;
}
