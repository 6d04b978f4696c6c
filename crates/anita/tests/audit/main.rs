//! The audit trail of the real program: `anita audit verify` and `show`, its files, what a crash leaves, and a flood.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the code of a test"
)]

#[path = "../../../anita-postgres/tests/it/cluster.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod cluster;
#[path = "../survival/http.rs"]
mod http;
#[path = "../survival/server.rs"]
#[expect(dead_code, reason = "the tests of survival use the rest")]
mod server;

mod crashes;
mod cuts;
mod databases;
mod files;
mod reloads;
mod tampering;
mod verify;
