//! What outlives a connection, behind two ports: the [`DeviceStore`] keeps the registry, the [`History`] keeps past
//! locations. The in-memory backend serves both; SQLite keeps the registry.
//!
//! What is not here: the live state (`anita-world`), and who may ask.

mod history;
mod memory;
mod port;
mod sqlite;

pub use history::MemoryHistory;
pub use memory::MemoryDevices;
pub use port::{
    BoxFuture, Cursor, DeviceChange, DeviceRecord, DeviceStore, History, HistoryPage, HistoryQuery,
    InvalidCursor, StoreError,
};
pub use sqlite::{OpenError, SqliteDevices};

#[cfg(test)]
mod conformance;
