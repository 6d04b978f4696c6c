//! A store in memory whose commits fail, or take their time, as a test says.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anita_model::{Fix, Timestamp};
use parking_lot::Mutex;

use crate::memory::MemoryStore;
use crate::plan::PlanStore;
use crate::port::{BoxFuture, Cause, Store, StoreError};
use crate::query::{
    AuditPage, AuditQuery, EventPage, EventQuery, HistoryPage, HistoryQuery, NewestQuery, Window, WindowQuery,
};
use crate::record::{Record, Remembered};
use crate::retention::{Retention, Tidied, Usage};

/// A store whose commits take as long, and end, as the test says.
#[derive(Debug)]
pub struct FaultyStore {
    inner: MemoryStore,
    /// What the next commits do; well and at once when there is nothing left.
    moods: Mutex<VecDeque<Mood>>,
    commits: Mutex<Vec<usize>>,
}

/// What a commit does.
#[derive(Debug, Clone, Copy)]
pub enum Mood {
    /// Fails, as a store that is away.
    Away,
    /// Fails, as a store whose disk is full.
    Full,
    /// Refuses an audit entry whose action is `bad`.
    Picky,
    /// Takes so long.
    Slow(Duration),
    /// Takes so long, and fails then, as a store that goes away.
    AwayAfter(Duration),
}

impl FaultyStore {
    /// An empty store with the moods of its first commits; those after them are well.
    pub fn new(moods: impl Into<VecDeque<Mood>>) -> Arc<Self> {
        let inner = MemoryStore::new(100_000, 1_000_000, 10_000);
        Arc::new(Self { inner, moods: Mutex::new(moods.into()), commits: Mutex::default() })
    }

    /// What the next commits shall do.
    pub fn expect(&self, moods: impl IntoIterator<Item = Mood>) {
        self.moods.lock().extend(moods);
    }

    /// How many records each commit brought that was tried.
    pub fn commits(&self) -> Vec<usize> {
        self.commits.lock().clone()
    }
}

fn cause() -> Cause {
    Arc::new(std::io::Error::other("as the test says"))
}

impl Store for FaultyStore {
    fn commit(&self, records: Arc<Vec<Record>>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.commits.lock().push(records.len());
        let mood = self.moods.lock().pop_front();
        Box::pin(async move {
            let is_bad =
                |record: &Record| matches!(record, Record::Audit(entry) if entry.record.action == "bad");
            match mood {
                Some(Mood::Away) => return Err(StoreError::Unavailable(cause())),
                Some(Mood::Full) => return Err(StoreError::Full(cause())),
                Some(Mood::Picky) if records.iter().any(is_bad) => return Err(StoreError::Invalid(cause())),
                Some(Mood::Slow(wait)) => tokio::time::sleep(wait).await,
                Some(Mood::AwayAfter(wait)) => {
                    tokio::time::sleep(wait).await;
                    return Err(StoreError::Unavailable(cause()));
                }
                Some(Mood::Picky) | None => {}
            }
            self.inner.commit(records).await
        })
    }

    fn load(&self, events_max: usize) -> BoxFuture<'_, Result<Remembered, StoreError>> {
        self.inner.load(events_max)
    }
    fn page(&self, query: HistoryQuery) -> BoxFuture<'_, Result<HistoryPage, StoreError>> {
        self.inner.page(query)
    }
    fn newest(&self, query: NewestQuery) -> BoxFuture<'_, Result<Vec<Arc<Fix>>, StoreError>> {
        self.inner.newest(query)
    }
    fn window(&self, query: WindowQuery) -> BoxFuture<'_, Result<Window, StoreError>> {
        self.inner.window(query)
    }
    fn events(&self, query: EventQuery) -> BoxFuture<'_, Result<EventPage, StoreError>> {
        self.inner.events(query)
    }
    fn audit(&self, query: AuditQuery) -> BoxFuture<'_, Result<AuditPage, StoreError>> {
        self.inner.audit(query)
    }
    fn tidy(&self, retention: Retention, now: Timestamp) -> BoxFuture<'_, Result<Tidied, StoreError>> {
        self.inner.tidy(retention, now)
    }
    fn usage(&self) -> BoxFuture<'_, Result<Usage, StoreError>> {
        self.inner.usage()
    }
    fn plans(&self) -> &dyn PlanStore {
        self.inner.plans()
    }
    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.close()
    }
}
