//! The door of a real server: who is let in, how many, how slowly, from where, and by which certificate.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "the code of a test"
)]

mod certificates;
mod descriptors;
mod flood;
mod headers;
mod house;
mod limits;
mod loris;
mod messages;
mod proxies;
