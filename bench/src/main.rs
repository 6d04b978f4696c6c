//! The load generator and the yardstick: `anita-bench --help`.
//!
//! One thread reads for all viewers with epoll, another publishes at due times; the servers are child processes whose
//! CPU time and memory are read from `/proc`. Figures are ratios and CPU times, so that a shared machine can give them.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to a terminal")]
#![allow(
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and times of a measurement are far from the ends of their types"
)]
#![allow(clippy::wildcard_enum_match_arm, reason = "most kinds of messages matter to no scenario")]

mod cli;
mod clock;
mod fault;
mod figures;
mod fleet;
mod histogram;
mod kernel;
mod mqtt;
mod positions;
mod process;
mod publisher;
mod reader;
mod report;
mod scenario;
mod server;
mod tags;
mod tls;
mod ws;
mod yardstick;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
