//! Views on the wire: which devices a client wants to hear of, what of them, how often, and in which form.
//!
//! Requests and messages stand together here, because one describes the other; the tables that list them are in
//! `request.rs` and `message.rs`.

use std::collections::BTreeMap;

use anita_model::SiteName;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::area;
pub use crate::area::{Area, BoxArea, CircleArea};
use crate::limits::{MAX_RATE_HZ_MAX, MAX_RATE_HZ_MIN, MIN_MOVE_M_MAX, VIEW_DEVICES_MAX, VIEW_FLOORS_MAX};
use crate::message::Device;
use crate::request::Since;
use crate::scalar::{Kind, Metres, Percent, Place, Status, Time, object_or_null, text};

/// Which devices a view shows: those that everything given here holds for, within the rights of the client.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
pub struct ViewFilter {
    /// These: ids, or patterns with `*`, `?`, `[ab]` and `{a,b}`. At most 1,000 ids and 100 patterns.
    #[serde(default, deserialize_with = "view_devices")]
    pub devices: Option<Vec<String>>,
    /// These kinds.
    #[serde(default)]
    pub kinds: Option<Vec<Kind>>,
    /// These statuses; connected and stale when absent.
    #[serde(default)]
    pub status: Option<Vec<Status>>,
    /// Those on one of these floors, at most 100.
    #[serde(default, deserialize_with = "floors")]
    pub floors: Option<Vec<f64>>,
    /// Those of this site. With an area: `main` when absent.
    #[serde(default, deserialize_with = "text::site")]
    #[schemars(with = "Option<String>")]
    pub site: Option<SiteName>,
    /// Those inside an area.
    #[serde(default, deserialize_with = "area::sound")]
    pub area: Option<Area>,
}

/// What of a device a view tells when it moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fields {
    /// Where it is.
    #[default]
    Position,
    /// That, and accuracy, floor, battery and the times.
    All,
}

/// In which form a view tells what moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// One `uwb.position_update` for all that moved.
    #[default]
    Batch,
    /// One `uwb.location` for each device.
    Single,
    /// One `uwb.position_columns` for all that moved: arrays of integers, the fewest bytes.
    Columns,
}

/// What one step of an integer in `uwb.position_columns` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LengthUnit {
    /// A millimetre.
    #[default]
    Mm,
    /// A centimetre.
    Cm,
}

/// What is done when a client can't keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// It gets fewer, newer positions.
    #[default]
    Newest,
    /// It gets each fix, late ones too, in order and numbered; what it can't get is said as a gap.
    Every,
}

/// Asks for a view: its devices as they are now, and then what changes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
pub struct Subscribe {
    /// Which devices; all that the client may see when absent.
    #[serde(default, deserialize_with = "object_or_null")]
    pub view: Option<ViewFilter>,
    /// What of them.
    #[serde(default)]
    pub fields: Option<Fields>,
    /// At most so many positions of a device in a second, 0.0002 to 100; the newest comes in any case. 0 pauses.
    /// No limit when absent.
    #[serde(default, deserialize_with = "rate")]
    pub max_rate_hz: Option<f64>,
    /// A position is told when it is at least so far from the one told before, metres.
    #[serde(default, deserialize_with = "min_move")]
    pub min_move_m: Option<f64>,
    /// In which form.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// The unit of the columns.
    #[serde(default)]
    pub unit: Option<LengthUnit>,
    /// What is done when the client can't keep up.
    #[serde(default)]
    pub lane: Option<Lane>,
    /// Whether the devices as they are now come first; `true` when absent.
    #[serde(default)]
    pub snapshot: Option<bool>,
    /// Where the client left off; for the lane `every`.
    #[serde(default, deserialize_with = "object_or_null")]
    pub since: Option<Since>,
}

/// Changes a view; what is absent stays.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct UpdateSubscription {
    /// Which subscription.
    pub subscription: String,
    /// Which devices, instead of those before.
    #[serde(default, deserialize_with = "object_or_null")]
    pub view: Option<ViewFilter>,
    /// What of them.
    #[serde(default)]
    pub fields: Option<Fields>,
    /// At most so many positions of a device in a second; 0 pauses, `null` lifts the limit.
    #[serde(default, deserialize_with = "given_rate")]
    #[schemars(with = "Option<f64>")]
    pub max_rate_hz: Option<Option<f64>>,
    /// How far a device has to move to be told of, metres.
    #[serde(default, deserialize_with = "min_move")]
    pub min_move_m: Option<f64>,
    /// In which form.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// The unit of the columns.
    #[serde(default)]
    pub unit: Option<LengthUnit>,
}

/// Ends a view.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Unsubscribe {
    /// Which subscription.
    pub subscription: String,
}

/// Asks how this connection is served.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct GetConnectionStats {}

/// The answer to `subscribe`; the snapshot follows, then what changes.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Subscribed {
    /// The name of the subscription on this connection.
    pub subscription: String,
    /// The epoch of the numbering of fixes; it changes when the numbering starts anew.
    pub epoch: String,
    /// The number of the last fix so far.
    pub seq: u64,
    /// With `since`: whether everything that was missed follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovered: Option<bool>,
}

/// The answer to `update_subscription`; what it changes follows.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SubscriptionUpdated {
    /// Which subscription.
    pub subscription: String,
    /// The epoch of the numbering of fixes.
    pub epoch: String,
    /// The number of the last fix so far.
    pub seq: u64,
}

/// The answer to `unsubscribe`: nothing of the view comes after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Unsubscribed {
    /// Which subscription it was.
    pub subscription: String,
}

/// The devices of a view as they are, in pages of at most 1,000. The first page replaces all that was known of the
/// view; between the pages other messages of the view may come.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ViewSnapshot {
    /// Which subscription.
    pub subscription: String,
    /// The devices of this page.
    pub devices: Vec<Device>,
    /// What `uwb.position_columns` calls them, in the same order; absent in the other forms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refs: Option<Vec<u32>>,
    /// Which page it is, from 1.
    pub page: u32,
    /// Whether it is the last one.
    pub complete: bool,
}

/// Devices came into a view, or are to be read anew.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ViewEntered {
    /// Which subscription.
    pub subscription: String,
    /// The devices as they are.
    pub devices: Vec<Device>,
    /// What `uwb.position_columns` calls them, in the same order; absent in the other forms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refs: Option<Vec<u32>>,
}

/// Devices left a view: they moved, changed, are gone, or may no longer be seen.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ViewLeft {
    /// Which subscription.
    pub subscription: String,
    /// Their ids.
    pub device_ids: Vec<String>,
}

/// Fixes were lost to a view of the lane `every`: the client was too slow, or away for too long.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ViewGap {
    /// Which subscription.
    pub subscription: String,
    /// The epoch of the numbering of fixes.
    pub epoch: String,
    /// The first number that may be lost.
    pub from_seq: u64,
    /// The last number that may be lost.
    pub to_seq: u64,
}

/// Where a device is, in a `uwb.position_update`. What is beside the coordinates comes with `fields: "all"`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Whereabouts {
    /// Where, metres in the frame of the site.
    #[serde(flatten)]
    pub place: Place,
    /// The radius within which the true position probably lies, metres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<Metres>,
    /// The floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
    /// Charge of the battery, percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery: Option<Percent>,
    /// The device's time; the arrival where it gives none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Time>,
}

impl From<Place> for Whereabouts {
    /// Its coordinates alone.
    fn from(place: Place) -> Self {
        Self { place, accuracy: None, floor: None, battery: None, timestamp: None }
    }
}

/// Where devices of a view, or tracked ones, are: those that moved since the last update. With `playback`: where they
/// were at a moment of the past.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PositionUpdate {
    /// By device id.
    pub positions: BTreeMap<String, Whereabouts>,
    /// The server's clock; in a playback, the moment of the past.
    pub timestamp: Time,
    /// The playback whose past this is; absent in what is live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub playback: Option<String>,
}

/// Where the devices of a view are that moved, as columns: the n-th number of each column belongs to the n-th device.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PositionColumns {
    /// What one step of `x`, `y`, `z` and `accuracy` is.
    pub unit: LengthUnit,
    /// The server's clock.
    pub timestamp: Time,
    /// The devices, as `view.snapshot` and `view.entered` number them.
    pub refs: Vec<u32>,
    /// East of the origin.
    pub x: Vec<i64>,
    /// North of the origin.
    pub y: Vec<i64>,
    /// Above the origin.
    pub z: Vec<i64>,
    /// How long before `timestamp` the device's own time was, milliseconds; with `fields: "all"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_ms_ago: Option<Vec<i64>>,
    /// The radius within which the true position probably lies; with `fields: "all"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<Vec<Option<i64>>>,
    /// The floor; with `fields: "all"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<Vec<Option<f64>>>,
    /// Charge of the battery, percent; with `fields: "all"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery: Option<Vec<Option<f64>>>,
}

/// This client is slower than what it asked for: positions were skipped. At most once a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Pace {
    /// How many positions were replaced by newer ones since the last such message.
    pub dropped: u64,
    /// How long the client had waited for what came just now, milliseconds.
    pub age_ms: u64,
}

/// How old positions were, milliseconds: of this connection, since it asked the time before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Ages {
    /// Half of them were younger.
    pub p50: u64,
    /// All but one in a hundred were younger.
    pub p99: u64,
    /// None was older.
    pub max: u64,
}

/// One subscription, as the server sees it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SubscriptionStats {
    /// Its name.
    pub subscription: String,
    /// Its form.
    pub mode: Mode,
    /// Its lane.
    pub lane: Lane,
    /// Its rate; absent where there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rate_hz: Option<f64>,
    /// How many devices it shows; absent in the lane `every`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices: Option<usize>,
    /// Whether there is something newer than what the socket could take.
    pub is_behind: bool,
}

/// How this connection is served.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ConnectionStats {
    /// The id of this connection.
    pub client_id: String,
    /// Since when it is open.
    pub since: Time,
    /// Messages that the client sent.
    pub received: u64,
    /// Frames that the client was sent.
    pub sent: u64,
    /// Positions that it was sent.
    pub positions_delivered: u64,
    /// Positions that newer ones replaced because the client was slow.
    pub positions_dropped: u64,
    /// Bytes that wait in the server for the client to read.
    pub queued_bytes: usize,
    /// Received by the server → written to the socket. Measured from the first such request on; absent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<Ages>,
    /// Due by the view's rate → written to the socket: what the server added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub added_age_ms: Option<Ages>,
    /// Its subscriptions.
    pub subscriptions: Vec<SubscriptionStats>,
}

fn view_devices<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let devices = Option::<Vec<String>>::deserialize(deserializer)?;
    match &devices {
        Some(devices) if devices.len() > VIEW_DEVICES_MAX => {
            let count = devices.len();
            Err(D::Error::custom(format_args!("{count} devices, at most {VIEW_DEVICES_MAX} are allowed")))
        }
        _ => Ok(devices),
    }
}

fn floors<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<f64>>, D::Error> {
    let floors = Option::<Vec<f64>>::deserialize(deserializer)?;
    match &floors {
        Some(floors) if floors.len() > VIEW_FLOORS_MAX => {
            let count = floors.len();
            Err(D::Error::custom(format_args!("{count} floors, at most {VIEW_FLOORS_MAX} are allowed")))
        }
        _ => Ok(floors),
    }
}

fn check_rate<E: serde::de::Error>(rate: Option<f64>) -> Result<Option<f64>, E> {
    match rate {
        Some(hz) if hz != 0.0 && !(MAX_RATE_HZ_MIN..=MAX_RATE_HZ_MAX).contains(&hz) => {
            let message =
                format_args!("expected 0 to pause, or {MAX_RATE_HZ_MIN} to {MAX_RATE_HZ_MAX} a second");
            Err(E::custom(message))
        }
        rate => Ok(rate),
    }
}

fn rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    check_rate(Option::deserialize(deserializer)?)
}

/// A field that is there, be it as `null`.
#[expect(clippy::option_option, reason = "absent leaves the rate, null lifts the limit")]
fn given_rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<f64>>, D::Error> {
    check_rate(Option::deserialize(deserializer)?).map(Some)
}

fn min_move<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    match Option::<f64>::deserialize(deserializer)? {
        Some(metres) if !(0.0..=MIN_MOVE_M_MAX).contains(&metres) => {
            Err(D::Error::custom(format_args!("expected 0 to {MIN_MOVE_M_MAX} metres")))
        }
        metres => Ok(metres),
    }
}
