//! Who comes in: tokens of real and of hostile issuers, tickets, revocations, logout, and secrets that nothing prints.

#![allow(
    clippy::print_stdout,
    clippy::format_push_string,
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the code of a test"
)]

mod administration;
mod browser;
mod configured;
mod doors;
mod house;
mod issuer;
mod minting;
mod provider;
mod secrets;
mod sign_in;
mod slow_issuer;
#[path = "../survival/slow_link.rs"]
mod slow_link;
