//! The store against a real PostgreSQL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod cluster;
mod conformance;
mod database;
mod faults;
mod outage;
mod rotation;
