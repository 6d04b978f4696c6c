//! The past and floor plans by REST and on the command line, against a real server in this process and the built program.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "the code of a test"
)]

mod asking;
mod commands;
mod exports;
mod gdal;
mod house;
mod plans;
