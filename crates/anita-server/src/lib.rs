//! The edge of ANITA: it accepts connections, speaks TLS and HTTP, upgrades to WebSocket, and moves frames between a
//! socket and its session. It decides nothing about devices, rooms or rights.

mod accept;
mod assets;
mod caller;
mod clock;
mod compression;
mod connection;
mod endpoint;
mod history;
mod line;
mod openapi;
mod origin;
mod page_session;
mod problem;
mod public;
mod rest;
mod server;
mod shards;
mod stream;
mod tls;

pub use accept::{Door, ServeError};
pub use clock::Clock;
pub use page_session::PageSessions;
pub use server::{
    Bounds, Plaintext, Server, ServerSettings, SiteMap, SourceReport, SourceReports, ZoneShape,
};
pub use tls::{Certificates, TlsError, fingerprint_of};
