//! The edge of ANITA: it accepts connections, speaks TLS and HTTP, upgrades to WebSocket, and moves frames between a
//! socket and its session. It decides nothing about devices, rooms or rights.

mod accept;
mod administration;
mod assets;
mod attempt;
mod body;
mod budgets;
mod caller;
mod client_certificate;
mod clock;
mod coding;
mod compression;
mod connection;
mod descriptors;
mod drain;
mod endpoint;
mod guard;
mod guests;
mod history;
mod line;
mod memory;
mod openapi;
mod origin;
mod page_session;
mod plans;
mod problem;
mod proxied;
mod public;
mod rest;
mod revocations;
mod seldom;
mod server;
mod shards;
mod sign_in;
mod stream;
mod tend;
mod tickets;
mod tls;
mod watchdog;

pub use accept::{Door, ServeError};
pub use administration::{ConfiguredValue, Desk, MINTED_TTL_MAX, Mint, MintFault};
pub use client_certificate::{CERTIFICATE_ISSUER, CertificateField, CertificateRule, certified_principal};
pub use clock::Clock;
pub use drain::DrainSettings;
pub use guests::GuestLimits;
pub use page_session::PageSessions;
pub use plans::{PLAN_BYTES_MAX, measured_plan};
pub use server::{
    Bounds, Plaintext, Proxies, ProxyProtocol, Server, ServerSettings, SiteMap, SourceFault, SourceReport,
    SourceReports, ZoneShape,
};
pub use sign_in::SignInDesk;
pub use tls::{Certificates, ClientAuthority, ClientCertificates, TlsError, fingerprint_of};
pub use watchdog::{OnWell, Watchdog, WatchdogSettings};
