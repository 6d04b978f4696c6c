//! RFC 6455 and RFC 7692 by raw bytes: every behaviour that a server must show, tried against the decoder, against a
//! [`Socket`](anita_ws::Socket) over a stream in memory, and against the example `echo` over TCP.
//!
//! What is expected is written here a second time, from the standards: no frame of these tests is made or read by the
//! code that is tested.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "the code of a test"
)]

mod closing;
mod compressed;
mod fragments;
mod headers;
mod lengths;
mod offers;
mod peer;
mod texts;
mod upgrade;

#[allow(dead_code, reason = "its `main` is not called here")]
#[path = "../../../../examples/echo.rs"]
mod echo;
