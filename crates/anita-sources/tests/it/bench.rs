//! A supervised source and an intake that remembers what it was given.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anita_model::{Fix, Report, SourceName, Timestamp};
use anita_sources::{Health, Intake, Snapshot, SourceConfig, State, Unavailable, supervise};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::broker::PATIENCE;

/// An intake that remembers, and can be made to refuse.
#[derive(Default)]
pub(crate) struct Sink {
    reports: Mutex<Vec<Report>>,
    is_refusing: AtomicBool,
    refused: AtomicU64,
}

/// A source under supervision.
pub(crate) struct Bench {
    pub(crate) sink: Arc<Sink>,
    pub(crate) health: Arc<Health>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

// === impl Sink ===

impl Sink {
    pub(crate) fn refuse(&self) {
        self.is_refusing.store(true, Ordering::SeqCst);
    }

    pub(crate) fn accept(&self) {
        self.is_refusing.store(false, Ordering::SeqCst);
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }

    pub(crate) fn reports(&self) -> Vec<Report> {
        self.reports.lock().clone()
    }

    pub(crate) fn fixes(&self) -> Vec<Fix> {
        let fix = |report| if let Report::Fix(fix) = report { Some(fix) } else { None };
        self.reports().into_iter().filter_map(fix).collect()
    }

    /// What was given, one short text a report.
    pub(crate) fn told(&self) -> Vec<String> {
        let told = |report| match report {
            Report::Fix(Fix { device, position, .. }) => {
                format!("{device}@{},{},{}", position.x_m(), position.y_m(), position.z_m())
            }
            Report::Sighting(it) => format!(
                "{}: {:?} {:?} {:?} {:?}",
                it.device, it.kind, it.name, it.battery_percent, it.is_present
            ),
            Report::NoPosition(it) => format!("{}: {}", it.device.unwrap(), it.reason),
        };
        self.reports().into_iter().map(told).collect()
    }
}

impl Intake for Sink {
    fn submit(&self, reports: Vec<Report>) -> BoxFuture<'_, Result<(), Unavailable>> {
        Box::pin(async move {
            if self.is_refusing.load(Ordering::SeqCst) {
                self.refused.fetch_add(1, Ordering::SeqCst);
                return Err(Unavailable { retry_after: Duration::from_millis(50) });
            }
            self.reports.lock().extend(reports);
            Ok(())
        })
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

// === impl Bench ===

impl Bench {
    /// Starts a source from its configuration, as a table of TOML.
    pub(crate) fn start(table: &str) -> Self {
        Self::start_into(table, Arc::default())
    }

    pub(crate) fn start_into(table: &str, sink: Arc<Sink>) -> Self {
        let config: SourceConfig = toml::from_str(table).unwrap();
        let health = Health::new(SourceName::parse(config.name()).unwrap(), sink.now());
        let stop = CancellationToken::new();
        let intake: Arc<dyn Intake> = sink.clone();
        let supervised = supervise(config.build().unwrap(), intake, Arc::clone(&health), stop.clone());
        Self { sink, health, stop, task: tokio::spawn(supervised) }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.health.snapshot()
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            let told = self.sink.told();
            let last = &told[told.len().saturating_sub(5)..];
            assert!(
                Instant::now() < deadline,
                "{what}\n{:#?}\n{} reports, {last:#?}",
                self.snapshot(),
                told.len()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn until_connected(&self) {
        self.until("connected", |it| it.snapshot().state == State::Connected).await;
    }

    pub(crate) async fn until_error(&self, text: &str) {
        let has = |it: &Self| it.snapshot().last_error.is_some_and(|error| error.contains(text));
        self.until(&format!("an error with: {text}"), has).await;
    }

    /// Stops the source, which ends by itself.
    pub(crate) async fn stop(self) -> Arc<Sink> {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("it stops").unwrap();
        assert_eq!(self.health.snapshot().state, State::Stopped);
        self.sink
    }
}

/// Says that a test did not run; or fails, where every service must be there.
#[expect(clippy::print_stderr, reason = "a test that did not run says so")]
pub(crate) fn skip(why: &str) {
    let is_required = std::env::var_os("ANITA_TEST_REQUIRE_SERVICES").is_some_and(|value| value == "1");
    assert!(!is_required, "ANITA_TEST_REQUIRE_SERVICES=1, but {why}");
    eprintln!("skipped: {why}");
}
