//! Living through it, with the real program and with a server in this process: stops and restarts, panics, parts that
//! hang, too little memory, floods of lines and of requests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::wildcard_enum_match_arm,
    reason = "the code of a test"
)]

mod house;
mod limits;
mod lines;
mod memory;
mod panics;
mod restart;
mod stuck;
