//! Where locations come from. A [`Source`] reads one gateway, line or file and hands what it understands to the [`Intake`];
//! [`supervise()`] restarts it when it faults; its [`Health`] says how it is.
//!
//! A source never retries and never decides about a fix: it connects once, reads until something breaks, and returns the
//! [`Fault`]. What the bytes mean is `anita-formats`; what becomes of a report is behind the [`Intake`].

mod address;
mod backoff;
mod config;
mod fault;
mod health;
mod intake;
mod limiter;
mod secret;
mod source;
mod supervise;

pub mod line;
pub mod mqtt;
pub mod simulator;

pub use backoff::Backoff;
pub use config::{ConfigError, SourceConfig};
pub use fault::{Fault, chain};
pub use health::{Health, Snapshot, State};
pub use intake::{Intake, Unavailable};
pub use secret::Secret;
pub use source::{Description, Source};
pub use supervise::supervise;
