//! The configuration as it is written: every section, every key, its default.

mod audit;
mod auth;
mod certificates;
mod delivery;
mod devices;
mod limits;
mod log;
mod server;
mod sign_in;
mod storage;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use audit::RawAudit;
use auth::RawAuth;
pub(super) use auth::{RawIssuer, default_roles_written, roles};
pub(super) use certificates::{RawCertificate, RawCertificateField};
use delivery::{RawDelivery, RawRooms};
use devices::{RawDevices, RawProximity, RawSite};
use limits::{RawHeartbeat, RawLimits};
pub use log::LogFormat;
use log::RawLog;
pub use server::RawPlaintext;
pub(super) use server::{RawClientCertificates, RawForwarded, RawProxyProtocol};
use server::{RawDrain, RawServer, RawWatchdog};
pub(super) use sign_in::{RawRights, RawSignIn};
use storage::RawStorage;
pub(super) use storage::{RawDurability, RawRetention};

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
    /// The audit trail.
    pub audit: RawAudit,
    /// The floor plan.
    pub site: RawSite,
    /// How the server stops.
    pub drain: RawDrain,
    /// When a part of it counts as stuck.
    pub watchdog: RawWatchdog,
    /// What is logged, and how.
    pub log: RawLog,
    /// Where locations come from; each table is read by the source's own type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<toml::Value>,
}
