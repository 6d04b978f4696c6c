//! The link to the database: who writes, what happens while it is away, and how it comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anita_sqlite::Spool;
use anita_store::{Condition, OpenError, Record, StoreError};
use parking_lot::Mutex as ShortMutex;
use tokio::sync::{Mutex, Notify};

use crate::commit::Attempt;
use crate::fault::{Fault, in_time};
use crate::partitions::Shared;
use crate::plan::Plan;
use crate::waiting::Waiting;
use crate::writer::{Backend, Way, Writer};

/// The bound of the first pause between two attempts.
const FIRST_PAUSE_MAX: Duration = Duration::from_millis(100);

/// How many groups of the spool one commit brings at most, once commits go well.
const GROUPS_MAX: u32 = 256;

/// The link.
pub(crate) struct Link {
    pub(crate) way: Way,
    pub(crate) shared: Shared,
    writer: Mutex<Option<Writer>>,
    /// Commits come one after the other.
    turn: Mutex<()>,
    spool: Option<Arc<Spool>>,
    /// Known without waiting for anything: whether the database is away.
    is_away: AtomicBool,
    /// Whether the last commit may have happened, or not.
    is_in_doubt: AtomicBool,
    /// The server's side of the last connection.
    backend: ShortMutex<Option<Backend>>,
    bell: Arc<Notify>,
}

impl Link {
    /// Connects for the first time.
    pub(crate) async fn open(way: Way, spool: Option<Spool>) -> Result<Arc<Self>, OpenError> {
        let link = Arc::new(Self {
            way,
            shared: Shared::default(),
            writer: Mutex::new(None),
            turn: Mutex::new(()),
            spool: spool.map(Arc::new),
            is_away: AtomicBool::new(true),
            // What was spooled may be there already, after a crash.
            is_in_doubt: AtomicBool::new(true),
            backend: ShortMutex::new(None),
            bell: Arc::new(Notify::new()),
        });
        link.connect().await?;
        Ok(link)
    }

    /// Makes the connection that writes.
    async fn connect(&self) -> Result<(), OpenError> {
        let bell = Arc::clone(&self.bell);
        let before = self.backend.lock().clone();
        let writer = self.way.open(&self.shared, before.as_ref(), move || bell.notify_one()).await?;
        *self.backend.lock() = Some(writer.backend.clone());
        *self.writer.lock().await = Some(writer);
        self.is_away.store(false, Ordering::Release);
        Ok(())
    }

    /// Whether there is no use in asking it anything.
    pub(crate) fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Acquire)
    }

    pub(crate) fn condition(&self) -> Condition {
        match &self.spool {
            Some(spool) if !spool.is_empty() => Condition::Spooling { fixes: spool.fixes() },
            _well => Condition::Well,
        }
    }

    /// Keeps records: in the database, or in the spool while that is away or has not got everything before.
    pub(crate) async fn commit(&self, records: Arc<Vec<Record>>) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let plan = Plan::of(&records)?;
        let is_behind = self.spool.as_ref().is_some_and(|spool| !spool.is_empty());
        let failed = if is_behind || self.is_away() {
            StoreError::from(Fault::Away)
        } else {
            match self.write(&plan).await {
                Err(error @ (StoreError::Unavailable(_) | StoreError::Full(_))) => error,
                result => return result,
            }
        };
        let Some(spool) = &self.spool else { return Err(failed) };
        let spool = Arc::clone(spool);
        drop(plan);
        let kept = blocking(move || spool.append(&records)).await;
        self.bell.notify_one();
        kept
    }

    /// Writes into the database. Whatever takes too long, or breaks, ends the connection.
    async fn write(&self, plan: &Plan<'_>) -> Result<(), StoreError> {
        let mut slot = self.writer.lock().await;
        let Some(writer) = slot.as_mut() else { return Err(Fault::Away.into()) };
        let attempt = if self.is_in_doubt.load(Ordering::Acquire) { Attempt::Again } else { Attempt::First };
        // A little longer than the database itself takes its time.
        let limit = self.way.settings.commit_timeout.saturating_add(Duration::from_secs(1));
        self.is_in_doubt.store(true, Ordering::Release);
        let result = match in_time(limit, writer.commit(&self.shared, plan, attempt)).await {
            Ok(result) => result,
            Err(frozen) => {
                *slot = None;
                Err(frozen.into())
            }
        };
        match &result {
            Ok(()) | Err(StoreError::Invalid(_)) => self.is_in_doubt.store(false, Ordering::Release),
            Err(error) => {
                if slot.as_ref().is_none_or(|writer| writer.client.is_closed()) {
                    *slot = None;
                    self.lose(error);
                }
            }
        }
        result
    }

    fn lose(&self, error: &StoreError) {
        if !self.is_away.swap(true, Ordering::AcqRel) {
            let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            tracing::warn!(store = self.way.address.shown, cause, "the connection to the database is lost");
        }
        self.bell.notify_one();
    }

    /// Gets the connection back when it is lost, and brings what was spooled into the database. Never ends by itself.
    pub(crate) async fn tend(self: Arc<Self>) {
        let mut attempts = 0_u32;
        let mut told = None;
        // More with each commit that went well, and one group after one that did not: it may have been too much at once.
        let mut groups = 1;
        loop {
            let is_lost = {
                let mut slot = self.writer.lock().await;
                if slot.as_ref().is_some_and(|writer| writer.client.is_closed()) {
                    *slot = None;
                    self.lose(&Fault::Away.into());
                }
                slot.is_none()
            };
            let step = if is_lost { self.come_back(&mut told).await } else { self.drain(groups).await };
            groups = if step == Step::Later { 1 } else { GROUPS_MAX.min(groups * 2) };
            match step {
                Step::Done => {
                    attempts = 0;
                    self.bell.notified().await;
                }
                Step::More => attempts = 0,
                Step::Later => {
                    let pause_max = FIRST_PAUSE_MAX.saturating_mul(2_u32.saturating_pow(attempts));
                    let pause_max = pause_max.min(self.way.settings.retry_max);
                    attempts = attempts.saturating_add(1);
                    tokio::time::sleep(pause_max.mul_f64(rand::random::<f64>())).await;
                }
            }
        }
    }

    /// Each cause that keeps it away is told once.
    async fn come_back(&self, told: &mut Option<String>) -> Step {
        match self.connect().await {
            Ok(()) => {
                *told = None;
                tracing::info!(store = self.way.address.shown, "the connection to the database is back");
                Step::More
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                if cause.is_some() && *told != cause {
                    tracing::warn!(%error, cause, "the database is still away");
                    *told = cause;
                } else {
                    tracing::debug!(%error, cause, "the database is still away");
                }
                Step::Later
            }
        }
    }

    /// Brings the oldest groups of the spool into the database, so many at most.
    async fn drain(&self, groups: u32) -> Step {
        let Some(spool) = self.spool.as_ref().map(Arc::clone) else { return Step::Done };
        let reader = Arc::clone(&spool);
        let (id, records) = match blocking(move || reader.oldest(groups)).await {
            Ok(Some(groups)) => groups,
            Ok(None) => return Step::Done,
            Err(error) => {
                tracing::error!(%error, "the spool cannot be read");
                return Step::Later;
            }
        };
        self.is_in_doubt.store(true, Ordering::Release);
        match self.bring(&records).await {
            Ok(()) => {}
            Err(error) => {
                tracing::debug!(%error, "what was spooled does not get into the database yet");
                return Step::Later;
            }
        }
        match blocking(move || spool.remove_through(id)).await {
            Ok(()) => Step::More,
            Err(error) => {
                tracing::error!(%error, "what is in the database cannot be removed from the spool");
                Step::Later
            }
        }
    }

    /// Writes groups of the spool. What the database will never take must not hold up everything behind it.
    async fn bring(&self, records: &[Record]) -> Result<(), StoreError> {
        let whole = match Plan::of(records) {
            Ok(plan) => self.write(&plan).await,
            Err(fault) => Err(fault.into()),
        };
        if !matches!(whole, Err(StoreError::Invalid(_))) {
            return whole;
        }
        for record in records.chunks(1) {
            let one = match Plan::of(record) {
                Ok(plan) => self.write(&plan).await,
                Err(fault) => Err(fault.into()),
            };
            match one {
                Err(StoreError::Invalid(cause)) => {
                    tracing::error!(%cause, ?record, "what the store cannot hold is given up");
                }
                result => result?,
            }
        }
        Ok(())
    }

    /// What the spool holds that a server has to know from its first moment on.
    pub(crate) async fn waiting(&self) -> Result<Waiting, StoreError> {
        let Some(spool) = self.spool.as_ref().filter(|spool| !spool.is_empty()).map(Arc::clone) else {
            return Ok(Waiting::default());
        };
        blocking(move || {
            let mut waiting = Waiting::default();
            spool.each(|record| waiting.see(record))?;
            Ok(waiting)
        })
        .await
    }

    /// Lets go of the database. What is in the spool stays there.
    pub(crate) async fn close(&self) {
        self.is_away.store(true, Ordering::Release);
        let writer = self.writer.lock().await.take();
        if let Some(writer) = writer {
            writer.close().await;
        }
    }
}

/// What comes after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Nothing until the bell rings.
    Done,
    /// The next one at once.
    More,
    /// The same after a pause.
    Later,
}

/// Runs what blocks its thread.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(fault) => {
            tracing::error!(%fault, "a task of the store ended by a fault");
            Err(Fault::Task.into())
        }
    }
}
