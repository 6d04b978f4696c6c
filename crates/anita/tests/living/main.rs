//! Living through it, with the real program and with a server in this process: stops and restarts, panics, parts that
//! are gone or hang, clocks that jump, too little memory, floods of lines and of requests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::print_stderr,
    clippy::wildcard_enum_match_arm,
    reason = "the code of a test"
)]

mod clock;
mod house;
mod layer;
mod limits;
mod lines;
mod memory;
mod panics;
mod restart;
mod stuck;
mod vital;
