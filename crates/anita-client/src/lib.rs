//! A client of ANITA: the socket with its requests, `tail`, `replay` and `export`.
//!
//! It trusts the certificates of the system, those of a file, or one fingerprint; plain text goes to loopback only, unless
//! asked for. It prints nothing: what there is to say goes to a callback, or to `tracing`. There is no reconnecting
//! [`Connection`]: what a new connection means is the caller's to know, as [`tail()`] does.

mod address;
mod backoff;
mod connection;
mod envelope;
mod error;
mod export;
mod replay;
mod stream;
mod tail;
mod token;
mod trust;

pub use address::AddressError;
pub use backoff::Backoff;
pub use connection::{Client, Connection, Options, Url};
pub use envelope::{Envelope, NotAnEnvelope};
pub use error::{Close, ConnectError, Lost, RequestError, ServerError};
pub use export::{ExportError, ExportOptions, ExportProgress, export};
pub use replay::{Progress, ReplayError, ReplayEvent, ReplayOptions, ReplayReport, replay};
pub use tail::{TailError, TailEvent, TailReport, TailSettings, tail};
pub use token::Token;
pub use trust::{Trust, TrustError};

#[cfg(test)]
mod scripted;
