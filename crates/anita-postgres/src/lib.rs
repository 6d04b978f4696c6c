//! The store in PostgreSQL: plain tables, fixes partitioned by time, and a spool for when it is away.
//!
//! One connection writes, a few read. The writing one holds the database's lock of the server, so that no second server
//! writes into the same tables. When it is lost, a task makes a new one; meanwhile commits go to the spool, if there is
//! one, and from there into the database in their order when it is back. Until then reads don't see them.

mod address;
mod audit_reader;
mod commit;
mod connector;
mod day;
mod fault;
mod history;
mod link;
mod load;
mod messages;
mod names;
mod partitions;
mod plan;
mod plans;
mod rows;
mod schema;
mod settings;
mod store;
mod tidy;
mod tls;
mod trail;
mod usage;
mod waiting;
mod writer;

pub use audit_reader::AuditReader;
pub use settings::PostgresSettings;
pub use store::PostgresStore;
