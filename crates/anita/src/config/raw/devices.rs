//! `[devices]`, `[proximity]` and `[site]`.

use serde::{Deserialize, Serialize};

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
