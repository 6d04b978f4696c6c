//! `[server]`, `[server.tls]`, `[drain]` and `[watchdog]`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `plaintext`: who may come without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawPlaintext {
    /// Nobody.
    #[default]
    Never,
    /// Programs of this machine.
    Loopback,
    /// The proxies of `trusted_proxies`.
    TrustedProxy,
}

/// `forwarded`: in which header proxies name the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RawForwarded {
    /// In none.
    None,
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// `proxy_protocol`: whether connections begin with its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawProxyProtocol {
    /// None does.
    #[default]
    Off,
    /// Each does.
    Required,
}

/// `client_certificates`: whether clients show certificates of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawClientCertificates {
    /// They are not asked for one.
    #[default]
    Off,
    /// Whoever has one may show it.
    Optional,
    /// Nobody comes in without one.
    Required,
}

/// `[server]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawServer {
    /// Address and port.
    pub listen: SocketAddr,
    /// Who may come without TLS.
    pub plaintext: RawPlaintext,
    /// The names by which the server is reached, as in `Host`; any when there are none.
    pub hosts: Vec<String>,
    /// Where people reach the dashboard: `https://host[:port][/path]`. Issuers send them back there.
    pub public_url: Option<String>,
    /// Origins of pages that may connect, besides the server's own.
    pub allowed_origins: Vec<String>,
    /// Addresses and networks of proxies that speak for clients.
    pub trusted_proxies: Vec<String>,
    /// In which header proxies name the client.
    pub forwarded: RawForwarded,
    /// Whether proxies send the header of the PROXY protocol first.
    pub proxy_protocol: RawProxyProtocol,
    /// Addresses that may read the metrics without a token, besides loopback.
    pub metrics_addresses: Vec<IpAddr>,
    /// The certificate.
    pub tls: RawTls,
}

impl Default for RawServer {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            plaintext: RawPlaintext::default(),
            hosts: Vec::new(),
            public_url: None,
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            forwarded: RawForwarded::default(),
            proxy_protocol: RawProxyProtocol::default(),
            metrics_addresses: Vec::new(),
            tls: RawTls::default(),
        }
    }
}

/// `[server.tls]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawTls {
    /// The chain, PEM.
    pub cert_file: Option<PathBuf>,
    /// The private key, PEM.
    pub key_file: Option<PathBuf>,
    /// Makes a certificate of its own at each start.
    pub self_signed: bool,
    /// Whether clients show certificates of their own.
    pub client_certificates: RawClientCertificates,
    /// Who signs these, PEM.
    pub client_ca_file: Option<PathBuf>,
    /// Which of them are not valid any more, PEM.
    pub client_crl_file: Option<PathBuf>,
}

/// `[drain]`.
#[expect(clippy::struct_field_names, reason = "the unit is in the name of each key")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawDrain {
    /// How long it serves on while `/readyz` says 503 already, seconds.
    pub ready_wait_secs: f64,
    /// The time over which clients are told to come back, seconds.
    pub spread_secs: f64,
    /// The time over which more than 500 connections are closed, seconds.
    pub close_over_secs: f64,
    /// How long to wait for all to be gone, seconds.
    pub wait_secs: f64,
}

impl Default for RawDrain {
    fn default() -> Self {
        Self { ready_wait_secs: 0.0, spread_secs: 5.0, close_over_secs: 2.0, wait_secs: 10.0 }
    }
}

/// `[watchdog]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawWatchdog {
    /// How long a part may make no progress before it counts as stuck, seconds.
    pub stuck_secs: f64,
    /// Whether the process is aborted then.
    pub abort: bool,
}

impl Default for RawWatchdog {
    fn default() -> Self {
        Self { stuck_secs: 10.0, abort: false }
    }
}
