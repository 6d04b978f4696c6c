//! What a source reports about a device.

use crate::{DeviceId, Position, SiteName, SourceName, Timestamp};

/// What a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeviceKind {
    /// Something that moves and is located.
    Tag,
    /// A fixed radio that tags measure against.
    Anchor,
    /// What carries the messages of tags and anchors to the network.
    Gateway,
}

/// Whether a device is heard of, judged by its silence since the last arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeviceStatus {
    /// Heard of lately.
    Connected,
    /// Silent for longer than a tag in use would be.
    Stale,
    /// Silent for so long that it counts as gone, or said to be gone.
    Disconnected,
}

/// One location of one device.
#[derive(Debug, Clone, PartialEq)]
pub struct Fix {
    /// Whose location.
    pub device: DeviceId,
    /// The site whose frame the coordinates are in.
    pub site: SiteName,
    /// Where.
    pub position: Position,
    /// The radius within which the true position probably lies, metres; `None` when the source does not say.
    pub accuracy_m: Option<f64>,
    /// The floor, 0 is the ground floor; mezzanines have fractions.
    pub floor: Option<f64>,
    /// Charge of the battery, percent.
    pub battery_percent: Option<f64>,
    /// The device's time of the fix; the arrival where the source gives none.
    pub taken_at: Timestamp,
    /// When it reached us.
    pub received_at: Timestamp,
    /// Which source brought it.
    pub source: SourceName,
    /// The source's own number of the fix, if it counts them: of one device, the same time and the same number are the
    /// same fix, however often it arrives.
    pub sequence: Option<u64>,
}

/// A sign of life or a description of a device that carries no live location.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// Which device.
    pub device: DeviceId,
    /// The site it belongs to.
    pub site: SiteName,
    /// What it is, if the source says.
    pub kind: Option<DeviceKind>,
    /// What people call it, if the source says.
    pub name: Option<String>,
    /// Charge of the battery, percent.
    pub battery_percent: Option<f64>,
    /// Where it is mounted (anchors), if the source says.
    pub mounted_at: Option<Position>,
    /// What the gateway says of its presence: `Some(false)` is "gone", whatever its silence.
    pub is_present: Option<bool>,
    /// When it reached us.
    pub received_at: Timestamp,
    /// Which source brought it.
    pub source: SourceName,
}

/// A measurement of a device that gave no position: a real thing on every site, counted and not an error.
#[derive(Debug, Clone, PartialEq)]
pub struct NoPosition {
    /// Which device, if the message says.
    pub device: Option<DeviceId>,
    /// Why, a short stable word such as `no_solution`.
    pub reason: &'static str,
    /// Which source brought it.
    pub source: SourceName,
}

/// What one message of a source says about one device.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// A location.
    Fix(Fix),
    /// A sign of life, a description, or both.
    Sighting(Sighting),
    /// A measurement without a position.
    NoPosition(NoPosition),
}
