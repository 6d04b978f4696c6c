//! The disk: what was committed survives whatever happens to the server that uses it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anita_model::{DeviceId, Fix, Timestamp};
use anita_store::{
    AuditPage, AuditQuery, BoxFuture, Cause, EventPage, EventQuery, HistoryPage, HistoryQuery, MemoryStore,
    NewestQuery, Order, PlanStore, Record, Remembered, Retention, Store, StoreError, Tidied, Usage, Window,
    WindowQuery,
};
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::Notify;

use crate::truth::number_of;

/// How the disk is just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// A commit takes up to so many milliseconds.
    Slow(u64),
    /// Nothing is kept, and nothing is read.
    Away,
    Full,
    /// What is given is kept sometimes, and said not to be.
    Unsure,
}

#[derive(Debug)]
struct Inner {
    mood: Mood,
    rng: SmallRng,
    /// The fixes that were ever committed, by their number.
    fixes: HashSet<usize>,
    /// The events that were ever committed, by room, epoch and number.
    events: BTreeMap<(String, String), HashSet<u64>>,
}

/// The disk.
#[derive(Debug)]
pub(crate) struct Disk {
    memory: MemoryStore,
    inner: Mutex<Inner>,
    /// Rung when a commit has come to its end.
    pub(crate) bell: Notify,
}

impl Disk {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        let rng = SmallRng::seed_from_u64(seed);
        let inner = Inner { mood: Mood::Well, rng, fixes: HashSet::new(), events: BTreeMap::new() };
        let memory = MemoryStore::new(1_000_000, 1_000_000, 1_000_000);
        Arc::new(Self { memory, inner: Mutex::new(inner), bell: Notify::new() })
    }

    pub(crate) fn mood(&self) -> Mood {
        self.inner.lock().mood
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        self.inner.lock().mood = mood;
    }

    /// Whether a fix was ever committed.
    pub(crate) fn has_fix(&self, number: usize) -> bool {
        self.inner.lock().fixes.contains(&number)
    }

    /// Whether an event was ever committed.
    pub(crate) fn has_event(&self, room: &str, epoch: &str, seq: u64) -> bool {
        let inner = self.inner.lock();
        inner.events.get(&(room.to_owned(), epoch.to_owned())).is_some_and(|seqs| seqs.contains(&seq))
    }

    /// All fixes of a device, newest first.
    pub(crate) async fn track(&self, device: &DeviceId, limit: usize) -> Vec<Arc<Fix>> {
        let query = HistoryQuery {
            device: device.clone(),
            start: None,
            end: None,
            order: Order::NewestFirst,
            limit,
            after: None,
            within: None,
        };
        self.memory.page(query).await.unwrap().fixes
    }

    fn note(&self, records: &[Record]) {
        let mut inner = self.inner.lock();
        for record in records {
            if let Record::Fix(fix) = record {
                inner.fixes.insert(number_of(fix));
            }
            if let Record::Event(event) = record {
                let numbering = (event.room.to_string(), event.epoch.to_string());
                inner.events.entry(numbering).or_default().insert(event.seq);
            }
        }
    }
}

fn cause() -> Cause {
    Arc::new(std::io::Error::other("the simulation says so"))
}

/// The disk as one server sees it, until that crashes.
#[derive(Debug)]
pub(crate) struct Mount {
    disk: Arc<Disk>,
    is_dead: AtomicBool,
}

impl Mount {
    pub(crate) fn new(disk: &Arc<Disk>) -> Arc<Self> {
        Arc::new(Self { disk: Arc::clone(disk), is_dead: AtomicBool::new(false) })
    }

    /// The server is gone: what it had under way never happens.
    pub(crate) fn kill(&self) {
        self.is_dead.store(true, Ordering::SeqCst);
    }

    async fn wait(&self, millis: u64) {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        if self.is_dead.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }

    /// How long a commit takes before it is done and after, and what becomes of it.
    fn plan(&self) -> (u64, u64, Option<(StoreError, bool)>) {
        let Inner { mood, rng, .. } = &mut *self.disk.inner.lock();
        let (before, after) = (rng.random_range(0..12), rng.random_range(0..6));
        match *mood {
            Mood::Well => (before, after, None),
            Mood::Slow(millis) => (rng.random_range(0..millis), after, None),
            Mood::Away => (before, after, Some((StoreError::Unavailable(cause()), false))),
            Mood::Full => (before, after, Some((StoreError::Full(cause()), false))),
            Mood::Unsure => {
                let is_kept = rng.random_bool(0.5);
                (before, after, Some((StoreError::Unavailable(cause()), is_kept)))
            }
        }
    }

    fn check_readable(&self) -> Result<(), StoreError> {
        match self.disk.inner.lock().mood {
            Mood::Away => Err(StoreError::Unavailable(cause())),
            Mood::Well | Mood::Slow(_) | Mood::Full | Mood::Unsure => Ok(()),
        }
    }
}

impl Store for Mount {
    fn commit(&self, records: Arc<Vec<Record>>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let (before, after, fault) = self.plan();
            self.wait(before).await;
            if fault.as_ref().is_none_or(|(_error, is_kept)| *is_kept) {
                self.disk.memory.commit(Arc::clone(&records)).await?;
                self.disk.note(&records);
            }
            self.wait(after).await;
            self.disk.bell.notify_one();
            fault.map_or(Ok(()), |(error, _is_kept)| Err(error))
        })
    }

    fn load(&self, events_max: usize) -> BoxFuture<'_, Result<Remembered, StoreError>> {
        self.disk.memory.load(events_max)
    }

    fn page(&self, query: HistoryQuery) -> BoxFuture<'_, Result<HistoryPage, StoreError>> {
        Box::pin(async move {
            self.check_readable()?;
            self.disk.memory.page(query).await
        })
    }

    fn newest(&self, query: NewestQuery) -> BoxFuture<'_, Result<Vec<Arc<Fix>>, StoreError>> {
        Box::pin(async move {
            self.check_readable()?;
            self.disk.memory.newest(query).await
        })
    }

    fn window(&self, query: WindowQuery) -> BoxFuture<'_, Result<Window, StoreError>> {
        Box::pin(async move {
            self.check_readable()?;
            self.disk.memory.window(query).await
        })
    }

    fn events(&self, query: EventQuery) -> BoxFuture<'_, Result<EventPage, StoreError>> {
        self.disk.memory.events(query)
    }

    fn audit(&self, query: AuditQuery) -> BoxFuture<'_, Result<AuditPage, StoreError>> {
        self.disk.memory.audit(query)
    }

    fn tidy(&self, retention: Retention, now: Timestamp) -> BoxFuture<'_, Result<Tidied, StoreError>> {
        self.disk.memory.tidy(retention, now)
    }

    fn usage(&self) -> BoxFuture<'_, Result<Usage, StoreError>> {
        self.disk.memory.usage()
    }

    fn plans(&self) -> &dyn PlanStore {
        self.disk.memory.plans()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
