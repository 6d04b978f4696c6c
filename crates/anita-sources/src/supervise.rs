//! Keeping a source running.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use crate::{Backoff, Fault, Health, Intake, Source, chain};

/// How long a source may take to say goodbye.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// Runs a source until `stop`, and again after each fault, with a growing and jittered wait.
///
/// Each fault is told to `health` and logged once, with its causes; the same source logs at most five a minute. Returns within a
/// second of `stop`, whatever the source is doing.
pub async fn supervise(
    mut source: Box<dyn Source>,
    intake: Arc<dyn Intake>,
    health: Arc<Health>,
    stop: CancellationToken,
) {
    let mut backoff = Backoff::default();
    health.starting(intake.now());
    while let Some(fault) = run_once(source.as_mut(), &intake, &health, &stop).await {
        if health.connected_for() >= Backoff::STABLE_AFTER {
            backoff.reset();
        }
        let wait = backoff.next_wait(rand::random());
        let told = chain(&fault);
        if let Some(suppressed) = health.admit("fault") {
            tracing::warn!(source = %source.name(), wait_ms = wait.as_millis(), suppressed, "source faulted: {told}");
        }
        health.waiting(told, fault.remedy(), intake.now());
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(wait) => health.restarting(intake.now()),
        }
    }
    health.stopped(intake.now());
    tracing::info!(source = %source.name(), "source stopped");
}

/// One run; `None` when it ended because it was told to.
async fn run_once(
    source: &mut dyn Source,
    intake: &Arc<dyn Intake>,
    health: &Arc<Health>,
    stop: &CancellationToken,
) -> Option<Fault> {
    let patience = async {
        stop.cancelled().await;
        tokio::time::sleep(GOODBYE_MAX).await;
    };
    // A panic is a fault like any other: the source is started again.
    let running = AssertUnwindSafe(source.run(Arc::clone(intake), Arc::clone(health), stop.clone()));
    let running = running.catch_unwind().map(|ended| ended.unwrap_or_else(|_panic| Err(Fault::Panicked)));
    tokio::select! {
        ended = running => match ended {
            Err(fault) if !stop.is_cancelled() => Some(fault),
            Ok(()) | Err(_) => None,
        },
        () = patience => None,
    }
}

#[cfg(test)]
mod tests;
