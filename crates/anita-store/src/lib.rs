//! What outlives the process: the port [`Store`], the [`Writer`] that groups what is to be kept, and the store in memory.
//!
//! What is written goes through the [`Writer`]: many callers, one commit every few milliseconds, and an answer to each
//! caller after it. What is asked goes to the [`Store`] itself. Backends are crates of their own, and pass the suite in
//! `conformance` (a feature, for their tests).

pub mod audit;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
#[cfg(any(test, feature = "conformance"))]
pub mod faulty;
mod memory;
mod plan;
mod port;
mod query;
mod record;
mod retention;
mod told;
mod writer;

pub use audit::{AuditEntry, AuditHash, AuditHead, AuditLink, AuditRecord};
pub use memory::MemoryStore;
pub use plan::{
    Calibration, InvalidCalibration, METRES_PER_PIXEL_MAX, METRES_PER_PIXEL_MIN, PIXEL_ABS_MAX, Pair,
    Picture, PictureBytes, PictureChange, PictureKind, Plan, PlanStore, Point, Similarity,
};
pub use port::{BoxFuture, Cause, Condition, OpenError, Store, StoreError};
pub use query::{
    AuditPage, AuditQuery, Cursor, EventPage, EventQuery, Extent, HistoryPage, HistoryQuery, InvalidCursor,
    NewestQuery, Order, Window, WindowQuery,
};
pub use record::{
    DeviceRecord, DeviceState, EventRecord, FixKey, ROOMS_MAX, Record, Remembered, RoomRecord, millimetres,
};
pub use retention::{Amount, KindLimits, Retention, Thinning, Tidied, Usage, thinned};
pub use told::{Begun, Told, private_file};
pub use writer::{Health, State, Ticket, Writer, WriterSettings};
