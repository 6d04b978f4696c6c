//! The ports: what the hub asks of a store, whatever it is made of.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use anita_model::{DeviceId, DeviceKind, Fix, Position, SiteName, Timestamp};

/// A future of a port: ports are used as trait objects, so that the configuration decides what is behind them.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The store is away, or behind with its work; the same may work later.
    #[error("the store is not available")]
    Unavailable(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The store has as much waiting as it may.
    #[error("the store is behind with its work")]
    Busy,
}

/// What the registry remembers of a device.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceRecord {
    /// Its id.
    pub id: DeviceId,
    /// What people call it.
    pub name: Option<String>,
    /// What it is.
    pub kind: DeviceKind,
    /// The site it is in.
    pub site: SiteName,
    /// Where it is mounted.
    pub mounted_at: Option<Position>,
    /// The floor of that.
    pub floor: Option<f64>,
}

/// One change of the registry.
#[derive(Debug, Clone, PartialEq)]
pub enum DeviceChange {
    /// Keeps a device, new or changed.
    Save(DeviceRecord),
    /// Forgets a device; one that is not there is no error.
    Remove(DeviceId),
}

/// Keeps the registry of devices.
pub trait DeviceStore: Send + Sync + std::fmt::Debug {
    /// All devices, in the order of their ids.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn load(&self) -> BoxFuture<'_, Result<Vec<DeviceRecord>, StoreError>>;

    /// Makes changes, all or none, in their order. They survive a crash once this is done. The order among calls is
    /// that of the calls, and a call takes its course even if nobody waits for it.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing is changed.
    fn apply(&self, changes: Vec<DeviceChange>) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// A place in a device's history, newest first: what `next` and `after` carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The device's time of the last entry that was given out.
    pub taken_at: Timestamp,
    /// Which of the entries with that time it was.
    pub ordinal: u32,
}

/// A text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`after` has to be the `next` of a page, unchanged")]
pub struct InvalidCursor;

impl Cursor {
    /// From the text of a page's `next`.
    ///
    /// # Errors
    /// [`InvalidCursor`] for any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidCursor> {
        let (micros, ordinal) = text.split_once('.').ok_or(InvalidCursor)?;
        let micros = micros.parse().map_err(|_not_a_number| InvalidCursor)?;
        let taken_at = Timestamp::from_micros(micros).map_err(|_not_a_time| InvalidCursor)?;
        let ordinal = ordinal.parse().map_err(|_not_a_number| InvalidCursor)?;
        Ok(Self { taken_at, ordinal })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.taken_at.as_micros(), self.ordinal)
    }
}

/// What is asked of a device's history.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryQuery {
    /// Whose.
    pub device: DeviceId,
    /// Not before this.
    pub start: Option<Timestamp>,
    /// Not after this.
    pub end: Option<Timestamp>,
    /// How many at most.
    pub limit: usize,
    /// Only what is older than this.
    pub after: Option<Cursor>,
}

/// A page of history, newest first by the device's time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HistoryPage {
    /// The fixes.
    pub fixes: Vec<Arc<Fix>>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<Cursor>,
}

/// Keeps past locations.
pub trait History: Send + Sync + std::fmt::Debug {
    /// Keeps fixes, late ones too; the order among calls is that of the calls. What is answered `Ok` is as durable as the backend says.
    ///
    /// # Errors
    /// [`StoreError`]; then none of them counts as kept.
    fn append(&self, fixes: Vec<Arc<Fix>>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// A page of a device's history.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn page(&self, query: HistoryQuery) -> BoxFuture<'_, Result<HistoryPage, StoreError>>;

    /// Forgets a device's history.
    ///
    /// # Errors
    /// [`StoreError`].
    fn forget(&self, device: DeviceId) -> BoxFuture<'_, Result<(), StoreError>>;
}
