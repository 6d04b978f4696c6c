//! The fuzz targets: each is a function from any bytes to nothing, which panics where something is wrong.
//!
//! `fuzz_targets/` hands them to libFuzzer, `src/bin/replay.rs` runs them on their seeds and simple mutations of them
//! with any compiler.

pub mod area;
pub mod audit_line;
pub mod client_certificate;
pub mod config;
pub mod cursor;
pub mod forwarded;
pub mod jwks;
pub mod plan_picture;
pub mod proxy_header;
pub mod session;
pub mod source_drtls;
pub mod source_dwm1001;
pub mod source_pozyx;
pub mod source_recording;
pub mod sqlite_bodies;
pub mod token;
pub mod upgrade;
pub mod view;
pub mod wire_incoming;
pub mod wire_request;
pub mod ws_decoder;

/// One target.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and its folder of seeds.
    pub name: &'static str,
    /// What is fed.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "area", run: area::run },
    Target { name: "audit_line", run: audit_line::run },
    Target { name: "client_certificate", run: client_certificate::run },
    Target { name: "config", run: config::run },
    Target { name: "cursor", run: cursor::run },
    Target { name: "forwarded", run: forwarded::run },
    Target { name: "jwks", run: jwks::run },
    Target { name: "plan_picture", run: plan_picture::run },
    Target { name: "proxy_header", run: proxy_header::run },
    Target { name: "session", run: session::run },
    Target { name: "source_drtls", run: source_drtls::run },
    Target { name: "source_dwm1001", run: source_dwm1001::run },
    Target { name: "source_pozyx", run: source_pozyx::run },
    Target { name: "source_recording", run: source_recording::run },
    Target { name: "sqlite_bodies", run: sqlite_bodies::run },
    Target { name: "token", run: token::run },
    Target { name: "upgrade", run: upgrade::run },
    Target { name: "view", run: view::run },
    Target { name: "wire_incoming", run: wire_incoming::run },
    Target { name: "wire_request", run: wire_request::run },
    Target { name: "ws_decoder", run: ws_decoder::run },
];
