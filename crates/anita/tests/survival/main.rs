//! What the real program has acknowledged, and what is there after it was killed, its disk was full, or its disk failed.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the code of a test"
)]

#[path = "../../../anita-postgres/tests/it/cluster.rs"]
mod cluster;
mod database;
mod disk;
mod http;
mod kills;
mod publishers;
mod recording;
mod server;
mod slow;
mod slow_link;
mod sources;
