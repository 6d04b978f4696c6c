//! `[storage]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

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
