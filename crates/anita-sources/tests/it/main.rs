//! Sources against real peers: Mosquitto, a pseudo terminal, sockets, files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod bench;
mod broker;
mod line;
mod mqtt;
mod simulator;
