//! The configuration as it is written: every section, every key, its default.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anita_auth::{Permission, Permissions, Roles};
use serde::{Deserialize, Serialize};

/// The whole file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawConfig {
    /// Where and how it listens.
    pub server: RawServer,
    /// Which tokens are believed.
    pub auth: RawAuth,
    /// What each role allows.
    pub roles: BTreeMap<String, Vec<String>>,
    /// Signs of life.
    pub heartbeat: RawHeartbeat,
    /// What is believed of devices.
    pub devices: RawDevices,
    /// When two tags are close.
    pub proximity: RawProximity,
    /// What rooms may hold.
    pub rooms: RawRooms,
    /// How positions are gathered and written.
    pub delivery: RawDelivery,
    /// What clients may do.
    pub limits: RawLimits,
    /// Where things are kept.
    pub storage: RawStorage,
    /// The floor plan.
    pub site: RawSite,
    /// How the server stops.
    pub drain: RawDrain,
    /// What is logged, and how.
    pub log: RawLog,
    /// Where locations come from; each table is read by the source's own type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<toml::Value>,
}

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

/// `[server]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawServer {
    /// Address and port.
    pub listen: SocketAddr,
    /// Who may come without TLS.
    pub plaintext: RawPlaintext,
    /// Origins of pages that may connect, besides the server's own.
    pub allowed_origins: Vec<String>,
    /// Addresses of proxies that speak TLS with the clients.
    pub trusted_proxies: Vec<IpAddr>,
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
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
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
}

/// `[auth]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawAuth {
    /// What `iss` has to be.
    pub issuer: String,
    /// What `aud` has to name.
    pub audience: String,
    /// The secret of HS256.
    pub secret_file: Option<PathBuf>,
    /// The public key of RS256, ES256 or EdDSA, PEM.
    pub public_key_file: Option<PathBuf>,
    /// Keys by URL: not in this version.
    pub jwks_url: Option<String>,
    /// How long a client may take to authenticate, seconds.
    pub deadline_secs: f64,
}

impl Default for RawAuth {
    fn default() -> Self {
        Self {
            issuer: "anita".to_owned(),
            audience: "anita".to_owned(),
            secret_file: None,
            public_key_file: None,
            jwks_url: None,
            deadline_secs: 10.0,
        }
    }
}

/// `[heartbeat]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawHeartbeat {
    /// Seconds between two heartbeats, 1 to 300.
    pub interval_secs: f64,
}

impl Default for RawHeartbeat {
    fn default() -> Self {
        Self { interval_secs: 25.0 }
    }
}

/// `[devices]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawDevices {
    /// Whether a device that nobody registered becomes one by its first report.
    pub auto_register: bool,
    /// Silence after which a tag is stale, seconds.
    pub stale_after_secs: f64,
    /// Silence after which a tag is disconnected, seconds.
    pub disconnected_after_secs: f64,
    /// The same of anchors and gateways; absent: their silence means nothing.
    pub infrastructure_stale_after_secs: Option<f64>,
    /// The same of anchors and gateways.
    pub infrastructure_disconnected_after_secs: Option<f64>,
    /// How far ahead a device's clock may be, seconds.
    pub future_secs_max: f64,
    /// The most devices.
    pub devices_max: usize,
}

impl Default for RawDevices {
    fn default() -> Self {
        Self {
            auto_register: true,
            stale_after_secs: 10.0,
            disconnected_after_secs: 60.0,
            infrastructure_stale_after_secs: None,
            infrastructure_disconnected_after_secs: None,
            future_secs_max: 5.0,
            devices_max: 100_000,
        }
    }
}

/// `[proximity]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawProximity {
    /// Closer than this two tags are told as `uwb.proximity`, metres; absent: never.
    pub enter_m: Option<f64>,
    /// Farther apart than this they have parted, metres; absent: half as much again.
    pub leave_m: Option<f64>,
}

/// `[delivery]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawDelivery {
    /// Threads that serve connections; 0 is one for each core.
    pub threads: usize,
    /// How long positions are gathered while there are many, milliseconds. The first after a pause goes at once.
    pub gather_ms: f64,
    /// How long they are gathered at most, when very many sockets are to be written to, milliseconds.
    pub gather_max_ms: f64,
    /// How much longer is gathered for each socket that was written to, milliseconds.
    pub gather_per_write_ms: f64,
    /// How many fixes are kept one by one for views of the lane `every`.
    pub every_fixes_max: usize,
    /// Whether many sockets are written to in one system call, where the system can.
    pub io_uring: bool,
    /// Whether messages are compressed for clients that ask for it, as browsers do: several times fewer bytes, and more
    /// work, above all where everybody watches another area.
    pub compression: bool,
    /// What may wait in all connections together for their peers to read, bytes.
    pub queued_bytes_max: usize,
    /// What the kernel may hold of a connection that reads slowly, bytes.
    pub send_buffer_bytes: usize,
}

impl Default for RawDelivery {
    fn default() -> Self {
        Self {
            threads: 0,
            gather_ms: 10.0,
            gather_max_ms: 100.0,
            gather_per_write_ms: 0.2,
            every_fixes_max: 16_384,
            io_uring: true,
            compression: false,
            queued_bytes_max: 512 * 1024 * 1024,
            send_buffer_bytes: 128 * 1024,
        }
    }
}

/// `[rooms]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawRooms {
    /// Rooms in all.
    pub rooms_max: usize,
    /// Rooms that one connection may be in.
    pub rooms_per_connection_max: usize,
    /// Members of one room.
    pub members_max: usize,
    /// Messages that a room keeps for those who come back.
    pub ring_messages_max: usize,
    /// Bytes that a room keeps for those who come back.
    pub ring_bytes_max: usize,
    /// How long the numbering of an empty room is kept, seconds.
    pub linger_secs: f64,
}

impl Default for RawRooms {
    fn default() -> Self {
        Self {
            rooms_max: 10_000,
            rooms_per_connection_max: 64,
            members_max: 100_000,
            ring_messages_max: 1_000,
            ring_bytes_max: 1_048_576,
            linger_secs: 60.0,
        }
    }
}

/// `[limits]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawLimits {
    /// Sockets at once.
    pub sockets_max: usize,
    /// WebSocket handshakes a second.
    pub handshakes_per_second: u32,
    /// The largest message of a client, bytes.
    pub message_bytes_max: usize,
    /// The largest body of a REST request, bytes.
    pub body_bytes_max: usize,
    /// Requests a second of a socket that may report locations.
    pub publisher_requests_per_second: u32,
    /// Requests a second of any other socket.
    pub viewer_requests_per_second: u32,
    /// After so many refused requests in a row a client is closed.
    pub rate_refusals_max: u32,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            sockets_max: 20_000,
            handshakes_per_second: 2_000,
            message_bytes_max: 262_144,
            body_bytes_max: 1_048_576,
            publisher_requests_per_second: 1_000,
            viewer_requests_per_second: 50,
            rate_refusals_max: 1_000,
        }
    }
}

/// `durability` of `[storage]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawDurability {
    /// A report is acknowledged when it is stored.
    #[default]
    Commit,
    /// A report is acknowledged when it is taken; a crash may lose it.
    None,
}

/// `[storage]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawStorage {
    /// `sqlite:FILE`, `postgres://…` or `memory`.
    pub url: String,
    /// The password of `postgres://…`, in a file; its end of line is left out.
    pub password_file: Option<PathBuf>,
    /// When a report is acknowledged.
    pub durability: RawDurability,
    /// How long fixes are gathered for one commit, milliseconds.
    pub commit_ms: f64,
    /// How many fixes may wait for the store; more are refused.
    pub waiting_fixes_max: usize,
    /// How many events and audit entries may wait while the store is away.
    pub waiting_events_max: usize,
    /// Of `sqlite`: fixes that are not packed yet, in memory and in the journal.
    pub recent_fixes_max: usize,
    /// Of `postgres`: where fixes wait while the database is away.
    pub spool_file: PathBuf,
    /// Of `postgres`: how many; 0 is no spool.
    pub spool_fixes_max: u64,
    /// Of `postgres`: connections for what is asked.
    pub connections_max: usize,
    /// Of `memory`: past locations kept of each device.
    pub history_per_device_max: usize,
    /// Of `memory`: past locations kept in all.
    pub history_max: usize,
    /// How long things are kept.
    pub retention: RawRetention,
}

impl Default for RawStorage {
    fn default() -> Self {
        Self {
            url: "sqlite:anita.db".to_owned(),
            password_file: None,
            durability: RawDurability::Commit,
            commit_ms: 20.0,
            waiting_fixes_max: 262_144,
            waiting_events_max: 100_000,
            recent_fixes_max: 500_000,
            spool_file: PathBuf::from("anita-spool.db"),
            spool_fixes_max: 20_000_000,
            connections_max: 4,
            history_per_device_max: 10_000,
            history_max: 1_000_000,
            retention: RawRetention::default(),
        }
    }
}

/// `[storage.retention]`. Absent: no limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawRetention {
    /// How long fixes are kept, by the device's time, days.
    pub fixes_days: Option<f64>,
    /// How much room fixes may take, bytes.
    pub fixes_bytes_max: Option<u64>,
    /// How long events are kept, days.
    pub events_days: Option<f64>,
    /// How much room events may take, bytes.
    pub events_bytes_max: Option<u64>,
    /// How long the audit trail is kept, days.
    pub audit_days: Option<f64>,
    /// How much room the audit trail may take, bytes.
    pub audit_bytes_max: Option<u64>,
    /// How old fixes are thinned out before they go.
    pub thinning: Vec<RawThinning>,
}

impl Default for RawRetention {
    fn default() -> Self {
        Self {
            fixes_days: None,
            fixes_bytes_max: None,
            events_days: Some(90.0),
            events_bytes_max: None,
            audit_days: Some(365.0),
            audit_bytes_max: None,
            thinning: Vec::new(),
        }
    }
}

/// `[[storage.retention.thinning]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawThinning {
    /// Fixes older than this …
    pub after_days: f64,
    /// … are thinned out to one a device in so many seconds.
    pub every_secs: f64,
}

/// `[site]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawSite {
    /// Its name.
    pub name: String,
    /// West, south, east and north end, metres.
    pub bounds: Option<[f64; 4]>,
    /// Its zones.
    pub zones: Vec<RawZone>,
}

impl Default for RawSite {
    fn default() -> Self {
        Self { name: "main".to_owned(), bounds: None, zones: Vec::new() }
    }
}

/// `[[site.zones]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawZone {
    /// Its name.
    pub name: String,
    /// Its corners, metres.
    pub polygon: Vec<[f64; 2]>,
}

/// `[drain]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawDrain {
    /// The time over which clients are told to come back, seconds.
    pub spread_secs: f64,
    /// How long to wait for all to be gone, seconds.
    pub wait_secs: f64,
}

impl Default for RawDrain {
    fn default() -> Self {
        Self { spread_secs: 5.0, wait_secs: 10.0 }
    }
}

/// `format` of `[log]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawLog {
    /// `text` or `json`.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`, or a filter such as `info,anita_session=debug`.
    pub level: String,
}

impl Default for RawLog {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned() }
    }
}

/// The default roles with those of the configuration over them.
pub(super) fn roles(written: &BTreeMap<String, Vec<String>>) -> Result<Roles, (String, String)> {
    let defaults = Roles::default();
    let mut roles: BTreeMap<String, Permissions> =
        defaults.names().map(|name| (name.to_owned(), defaults.permissions_of([name]))).collect();
    for (name, words) in written {
        let permissions = Permissions::parse(words.iter().map(String::as_str))
            .map_err(|unknown| (format!("roles.{name}"), unknown.to_string()))?;
        roles.insert(name.clone(), permissions);
    }
    Ok(Roles::new(roles))
}

/// The default roles as they would be written, for `check-config`.
pub(super) fn default_roles_written() -> BTreeMap<String, Vec<String>> {
    let defaults = Roles::default();
    let words = |name: &str| match defaults.permissions_of([name]) {
        all if all == Permissions::all() => vec!["*".to_owned()],
        some => some.iter().map(Permission::as_str).map(str::to_owned).collect(),
    };
    defaults.names().map(|name| (name.to_owned(), words(name))).collect()
}
