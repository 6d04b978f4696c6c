//! What the server says: `domain.noun_or_past`. The table at the end is the only list of messages.
//!
//! Fields are absent while they have their defaults.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::ErrorCode;
pub use crate::playback::{
    PlaybackEnded, PlaybackPosition, PlaybackStarted, PlaybackStopped, PlaybackUpdated,
};
use crate::scalar::{Kind, Metres, Percent, Place, Status, Time};
pub use crate::view::{
    Ages, ConnectionStats, Pace, PositionColumns, PositionUpdate, Subscribed, SubscriptionStats,
    SubscriptionUpdated, Unsubscribed, ViewEntered, ViewGap, ViewLeft, ViewSnapshot, Whereabouts,
};

/// A payload of the server, and its type on the wire.
pub trait ServerPayload: Serialize + JsonSchema {
    /// The message's type on the wire.
    const TYPE: &'static str;
}

/// The limits that hold for this connection.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Limits {
    /// The largest message the client may send, bytes.
    pub message_bytes: usize,
    /// Requests a second that are answered; more are refused as `rate_limited`.
    pub requests_per_second: u32,
    /// Rooms that one connection may be in.
    pub rooms: usize,
    /// Locations in one report.
    pub locations_per_report: usize,
    /// Devices on one page.
    pub devices_per_page: usize,
    /// Entries on one page of history.
    pub history_per_page: usize,
}

/// The hello: once, after authentication.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Connection {
    /// The id of this connection.
    pub client_id: String,
    /// Always `authenticated`.
    pub status: String,
    /// The token's subject.
    pub user_id: String,
    /// The token's roles.
    pub roles: Vec<String>,
    /// What the roles allow.
    pub permissions: Vec<String>,
    /// When the token runs out.
    pub expires_at: Time,
    /// Seconds between two heartbeats of the server; a peer that is silent for more than two is gone.
    pub heartbeat_interval_secs: f64,
    /// `anita.v1`.
    pub protocol: String,
    /// The limits that hold for this connection.
    pub limits: Limits,
}

/// Says that a token is needed: the first message on a connection that brought none.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AuthRequired {
    /// The ways to bring a token.
    pub auth_methods: Vec<String>,
    /// The same for people, with the deadline.
    pub message: String,
}

/// The answer to an `authenticate` on a live socket.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TokenRefreshed {
    /// When the new token runs out.
    pub expires_at: Time,
    /// The new token's roles.
    pub roles: Vec<String>,
    /// What they allow.
    pub permissions: Vec<String>,
}

/// A sign of life, once an interval.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Heartbeat {
    /// The server's clock.
    pub server_time: Time,
    /// How long the server has been up, seconds.
    pub uptime_seconds: f64,
}

/// The answer to `ping`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Pong {
    /// The server's clock.
    pub server_time: Time,
}

/// The server is about to close this connection: come back then.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reconnect {
    /// When to come back at the earliest, milliseconds after the close.
    pub retry_after_ms: u64,
    /// Why, for people.
    pub message: String,
}

/// A refused request, or a fault.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Error {
    /// The stable code.
    pub code: ErrorCode,
    /// What is wrong, for people.
    pub message: String,
    /// Whether the same request can succeed later.
    pub retryable: bool,
    /// When to try again, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// What a program may want to know: `path`, `permission`, `limit`, ….
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<serde_json::Value>,
}

impl From<&crate::Refusal> for Error {
    fn from(refusal: &crate::Refusal) -> Self {
        Self {
            code: refusal.code,
            message: refusal.message.clone(),
            retryable: refusal.code.is_retryable(),
            retry_after_ms: refusal.retry_after_ms,
            details: refusal.details.clone(),
        }
    }
}

/// The client is in the room now.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RoomJoined {
    /// Which room.
    pub room: String,
    /// The epoch of its numbering; it changes when the numbering starts anew.
    pub epoch: String,
    /// The last number given so far.
    pub seq: u64,
    /// With `since`: whether everything that was missed follows. `false`: read the present state anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovered: Option<bool>,
}

/// The client is out of the room now. A position of it may still arrive shortly after.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RoomLeft {
    /// Which room.
    pub room: String,
}

/// One connection in a room.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Member {
    /// The connection's id.
    pub client_id: String,
    /// Its user.
    pub user_id: String,
    /// Since when it is in the room.
    pub since: Time,
}

/// Who is in a room: at most 1,000, in the order they came.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RoomMembers {
    /// Which room.
    pub room: String,
    /// Who.
    pub members: Vec<Member>,
    /// How many in all.
    pub total: usize,
}

/// The message went to the others in the room.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RoomSent {
    /// Which room.
    pub room: String,
    /// The epoch of its numbering.
    pub epoch: String,
    /// The number the message got.
    pub seq: u64,
}

/// Who sent a room message.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Sender {
    /// The connection's id.
    pub client_id: String,
    /// Its user.
    pub user_id: String,
}

/// A message of somebody in the room.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RoomMessage {
    /// Which room.
    pub room: String,
    /// What kind of message it is, the application's own word.
    pub name: String,
    /// Any JSON.
    #[schemars(with = "serde_json::Value")]
    pub data: Box<RawValue>,
    /// Who sent it.
    pub from: Sender,
}

/// Numbered messages of a room were lost to this client: it was too slow, or away for too long.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RoomGap {
    /// Which room.
    pub room: String,
    /// The epoch of its numbering.
    pub epoch: String,
    /// The first number that is lost.
    pub from_seq: u64,
    /// The last number that is lost.
    pub to_seq: u64,
}

/// The numbers of a room up to this one were not for this client: it may not see them, or said them itself. Comes
/// before the next message that is for it, so that a number that is missing always means a loss.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RoomAdvanced {
    /// Which room.
    pub room: String,
    /// The epoch of its numbering.
    pub epoch: String,
    /// The last number that was not for this client.
    pub seq: u64,
}

/// A device as the registry knows it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Device {
    /// Its id.
    pub id: String,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is.
    pub kind: Kind,
    /// Whether it is heard of.
    pub status: Status,
    /// When it was last heard of; `null` if never.
    pub last_seen: Option<Time>,
    /// Where it is; `null` while that is unknown.
    pub location: Option<Place>,
    /// The radius within which the true position probably lies, metres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<Metres>,
    /// The floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
    /// Charge of the battery, percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery: Option<Percent>,
    /// The site, where it is not `main`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// The source of the location.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The device's time of the location.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Time>,
    /// When the location reached the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_at: Option<Time>,
}

/// The answer to `get_active_devices`, ordered by id.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DeviceList {
    /// The devices of this page.
    pub devices: Vec<Device>,
    /// How many there are on all pages.
    pub total: usize,
    /// What to send as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Where one device is.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Location {
    /// Which device.
    pub device_id: String,
    /// Where, metres in the frame of the site.
    pub location: Place,
    /// The radius within which the true position probably lies, metres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<Metres>,
    /// The floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
    /// Charge of the battery, percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery: Option<Percent>,
    /// The site, where it is not `main`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// The device's time; the arrival where it gives none.
    pub timestamp: Time,
    /// When it reached the server.
    pub received_at: Time,
}

/// The answer to `start_position_tracking`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TrackingStarted {
    /// Which devices; empty means all that the client may see.
    pub device_ids: Vec<String>,
    /// Seconds between two updates.
    pub update_frequency: f64,
}

/// The answer to `stop_position_tracking`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TrackingStopped {}

/// The answer to `register_device`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DeviceRegistered {
    /// Which device.
    pub device_id: String,
    /// Where it is, if that was said.
    pub initial_location: Option<Place>,
}

/// The registry says something else of a device now.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DeviceUpdated {
    /// The device as it is now.
    pub device: Device,
}

/// A device is out of the registry.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DeviceRemoved {
    /// Which device.
    pub device_id: String,
}

/// A device's status changed.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DeviceStatus {
    /// Which device.
    pub device_id: String,
    /// What it is now.
    pub status: Status,
    /// When it was last heard of; absent if never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Time>,
    /// Charge of the battery, percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery: Option<Percent>,
}

/// Two tags came closer than the configured distance; told once, until they have parted.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Proximity {
    /// The one whose id comes first.
    pub device1: String,
    /// The other.
    pub device2: String,
    /// How far apart they are, metres.
    pub distance: Metres,
}

/// One item of a report that was not taken.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RefusedItem {
    /// Its place in the report, from 0.
    pub index: usize,
    /// The stable code.
    pub code: ErrorCode,
    /// What is wrong, for people.
    pub message: String,
}

/// The answer to `report_location`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LocationsReported {
    /// How many were taken: the newest, and those that were late or known already.
    pub accepted: usize,
    /// Those that were not.
    pub refused: Vec<RefusedItem>,
    /// `none` where the server is configured to answer before it has stored them; absent where they are stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub durability: Option<&'static str>,
}

/// One past location.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct HistoryEntry {
    /// The device's time.
    pub timestamp: Time,
    /// When it reached the server.
    pub received_at: Time,
    /// Where, metres in the frame of the site.
    pub location: Place,
    /// The radius within which the true position probably lies, metres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<Metres>,
    /// The floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
    /// The source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// The answer to `get_location_history`, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LocationHistory {
    /// Which device.
    pub device_id: String,
    /// The entries of this page.
    pub history: Vec<HistoryEntry>,
    /// The start that was asked for, if any.
    pub start_time: Option<Time>,
    /// The end that was asked for, if any.
    pub end_time: Option<Time>,
    /// What to send as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

macro_rules! messages {
    ($($type:literal $payload:ident;)+) => {
        $(impl ServerPayload for $payload { const TYPE: &'static str = $type; })+

        /// Every server message's type on the wire.
        pub const TYPES: &[&str] = &[$($type,)+];

        /// Calls the visitor for each message, in the table's order.
        pub fn visit_messages(visitor: &mut impl MessageVisitor) {
            $(visitor.visit::<$payload>();)+
        }
    };
}

/// Sees each message of the server once: for schemas and documents.
pub trait MessageVisitor {
    /// One message.
    fn visit<P: ServerPayload>(&mut self);
}

messages! {
    "system.connection" Connection;
    "system.auth_required" AuthRequired;
    "system.token_refreshed" TokenRefreshed;
    "system.heartbeat" Heartbeat;
    "system.pong" Pong;
    "system.reconnect" Reconnect;
    "error" Error;
    "system.pace" Pace;
    "system.connection_stats" ConnectionStats;
    "room.joined" RoomJoined;
    "room.left" RoomLeft;
    "room.members" RoomMembers;
    "room.sent" RoomSent;
    "room.message" RoomMessage;
    "room.gap" RoomGap;
    "room.advanced" RoomAdvanced;
    "subscribed" Subscribed;
    "subscription.updated" SubscriptionUpdated;
    "unsubscribed" Unsubscribed;
    "view.snapshot" ViewSnapshot;
    "view.entered" ViewEntered;
    "view.left" ViewLeft;
    "view.gap" ViewGap;
    "uwb.device_list" DeviceList;
    "uwb.location" Location;
    "uwb.position_update" PositionUpdate;
    "uwb.position_columns" PositionColumns;
    "uwb.tracking_started" TrackingStarted;
    "uwb.tracking_stopped" TrackingStopped;
    "uwb.device_registered" DeviceRegistered;
    "device.updated" DeviceUpdated;
    "device.removed" DeviceRemoved;
    "device.status" DeviceStatus;
    "uwb.proximity" Proximity;
    "uwb.locations_reported" LocationsReported;
    "uwb.location_history" LocationHistory;
    "playback.started" PlaybackStarted;
    "playback.updated" PlaybackUpdated;
    "playback.position" PlaybackPosition;
    "playback.stopped" PlaybackStopped;
    "playback.ended" PlaybackEnded;
}
