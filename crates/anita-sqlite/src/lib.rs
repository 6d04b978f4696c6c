//! The embedded store: one SQLite file, a journal for what just came, packed blocks for what is past.
//!
//! [`SqliteStore`] is the store; [`AuditReader`] reads its audit trail from elsewhere; [`backup()`] and [`check`] are for copies of its file; [`Spool`] is a queue in a file of its
//! own, where a store that is elsewhere keeps what it can't hand on.

mod audit_reader;
mod backup;
mod blocks;
mod checkpoint;
mod codec;
mod fault;
mod keeper;
mod names;
mod plans;
mod point;
mod pool;
mod read;
mod recent;
mod records;
mod registry;
mod schema;
mod spool;
mod store;
mod trail;
mod words;

pub use audit_reader::AuditReader;
pub use backup::{BackupError, Checked, backup, check};
pub use codec::{Damaged, fuzz};
pub use spool::{FIXES_AT_ONCE_MAX, Spool, SpoolSettings, SpooledAudit};
pub use store::{SqliteSettings, SqliteStore};
