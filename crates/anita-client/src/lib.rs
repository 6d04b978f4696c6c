//! A client of ANITA: one [`Connection`] with its requests, [`Live`], which stays connected, `tail`, `replay` and `export`.
//!
//! It trusts the certificates of the system, those of a file, or one fingerprint; plain text goes to loopback only, unless
//! asked for. It prints nothing: what there is to say goes to a callback, to events, or to `tracing`. A [`Connection`] does not
//! come back: what a new one means is the caller's to know, as [`tail()`] does, and as [`Live`] knows for rooms and views.

mod address;
mod backoff;
mod connection;
mod envelope;
mod error;
mod export;
mod live;
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
pub use live::{
    AskError, Event, Events, Failure, Gap, GapOf, Live, LiveOptions, Location, State, TokenError,
    TokenReason, View, ViewContents, ViewDevice,
};
pub use replay::{Progress, ReplayError, ReplayEvent, ReplayOptions, ReplayReport, replay};
pub use tail::{TailError, TailEvent, TailReport, TailSettings, tail};
pub use token::Token;
pub use trust::{Trust, TrustError};

#[cfg(test)]
mod scripted;
