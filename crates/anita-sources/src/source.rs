//! What a source is.

use std::sync::Arc;

use anita_model::SourceName;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::{Fault, Health, Intake};

/// What a source is, for people: nothing of it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// What kind of source: the `type` of the configuration.
    pub kind: &'static str,
    /// What is understood there, if there is a choice.
    pub format: Option<&'static str>,
    /// Where it connects, without user names and passwords.
    pub address: Option<String>,
}

impl Description {
    /// One of a kind, and nothing more.
    pub const fn of(kind: &'static str) -> Self {
        Self { kind, format: None, address: None }
    }
}

/// One gateway, line or file that reports locations.
pub trait Source: Send {
    /// Its name in the configuration.
    fn name(&self) -> &SourceName;

    /// What it is, for people.
    fn description(&self) -> Description {
        Description::of("embedded")
    }

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
