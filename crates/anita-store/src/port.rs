//! The port: what is asked of a store, whatever it is made of.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use anita_model::{Fix, Timestamp};

use crate::plan::PlanStore;
use crate::query::{
    AuditPage, AuditQuery, EventPage, EventQuery, HistoryPage, HistoryQuery, NewestQuery, Window, WindowQuery,
};
use crate::record::{Record, Remembered};
use crate::retention::{Retention, Tidied, Usage};

/// A future of a port: ports are used as trait objects, so that the configuration decides what is behind them.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The cause of an error, shared by all whom it meets.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The store is away, or failing; the same may work later.
    #[error("the store is not available")]
    Unavailable(#[source] Cause),
    /// There is no room left on the store's disk.
    #[error("the store's disk is full")]
    Full(#[source] Cause),
    /// As much waits for the store as may.
    #[error("the store is behind with its work")]
    Busy,
    /// A record can't be kept as it is; the same will not work later either.
    #[error("the store cannot hold that")]
    Invalid(#[source] Cause),
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A newer program wrote it.
    #[error(
        "the store {store} has schema version {found}, this program knows versions up to {known}; run the newer program, or restore an older copy"
    )]
    Newer {
        /// Which store: a path, or an address without its password.
        store: String,
        /// The store's version.
        found: u32,
        /// The newest version that is known.
        known: u32,
    },
    /// Another server uses it.
    #[error("the store {store} is in use by another server; stop that one first")]
    InUse {
        /// Which store.
        store: String,
    },
    /// The backend refuses.
    #[error("cannot open the store {store}")]
    Backend {
        /// Which store.
        store: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// How a store is, as far as it knows itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Condition {
    /// It keeps what it is given.
    #[default]
    Well,
    /// It keeps what it is given in a place nearby, because the real one is away; that many fixes wait there.
    Spooling {
        /// How many.
        fixes: u64,
    },
}

/// A store.
///
/// Reads see everything whose commit is done. Fixes of a device that was removed are seen no more.
pub trait Store: Send + Sync + std::fmt::Debug {
    /// What a server needs to go on, with at most so many of the latest events of each room.
    ///
    /// # Errors
    /// [`StoreError`].
    fn load(&self, events_max: usize) -> BoxFuture<'_, Result<Remembered, StoreError>>;

    /// Keeps records, all or none, in their order; done when they survive a crash. One call at a time. Without records it
    /// says whether it could keep some.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing is kept, unless a connection broke at the last moment: the same again does no harm.
    /// [`StoreError::Invalid`] when one of the records is to blame.
    fn commit(&self, records: Arc<Vec<Record>>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// A page of a device's history.
    ///
    /// # Errors
    /// [`StoreError`].
    fn page(&self, query: HistoryQuery) -> BoxFuture<'_, Result<HistoryPage, StoreError>>;

    /// The newest fix of each device at a moment, in the order of the devices asked for; those without one are left out.
    ///
    /// # Errors
    /// [`StoreError`].
    fn newest(&self, query: NewestQuery) -> BoxFuture<'_, Result<Vec<Arc<Fix>>, StoreError>>;

    /// What happened to devices in a stretch of time.
    ///
    /// # Errors
    /// [`StoreError`].
    fn window(&self, query: WindowQuery) -> BoxFuture<'_, Result<Window, StoreError>>;

    /// A page of events.
    ///
    /// # Errors
    /// [`StoreError`].
    fn events(&self, query: EventQuery) -> BoxFuture<'_, Result<EventPage, StoreError>>;

    /// A page of the audit trail.
    ///
    /// # Errors
    /// [`StoreError`].
    fn audit(&self, query: AuditQuery) -> BoxFuture<'_, Result<AuditPage, StoreError>>;

    /// Deletes and thins out some of what is too old or too much: a small piece of that work, so that what is to be kept
    /// does not wait for it. Call it again at once while it says that there is more. `now` is the wall clock. Revocations
    /// stay, whatever it says: whoever knows that their tokens have run out takes them back.
    ///
    /// # Errors
    /// [`StoreError`].
    fn tidy(&self, retention: Retention, now: Timestamp) -> BoxFuture<'_, Result<Tidied, StoreError>>;

    /// How much there is.
    ///
    /// # Errors
    /// [`StoreError`].
    fn usage(&self) -> BoxFuture<'_, Result<Usage, StoreError>>;

    /// Its floor plans.
    fn plans(&self) -> &dyn PlanStore;

    /// How it is.
    fn condition(&self) -> Condition {
        Condition::Well
    }

    /// Whether it ended by a fault of its own, and will not come back.
    fn is_gone(&self) -> bool {
        false
    }

    /// Ends it in good order: what was committed is where it belongs. Nothing is asked after it.
    ///
    /// # Errors
    /// [`StoreError`].
    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}
