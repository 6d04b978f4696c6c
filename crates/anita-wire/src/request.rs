//! What a client may ask: imperative `snake_case`. The table at the end is the only list of requests.

use anita_model::{DeviceId, RoomName, SiteName};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{ErrorCode, Refusal};
use crate::limits::LOCATIONS_PER_REPORT_MAX;
use crate::message;
pub use crate::playback::{PlayHistory, StopPlayback, UpdatePlayback};
use crate::scalar::{Kind, Point, Status, Time, floor, object, object_or_null, percent, radius, text};
pub use crate::view::{GetConnectionStats, Subscribe, Unsubscribe, UpdateSubscription};

/// Says who the client is; on a live socket it refreshes the token, for the same subject only.
#[derive(Clone, Deserialize, JsonSchema)]
pub struct Authenticate {
    /// The JWT.
    pub token: String,
}

impl std::fmt::Debug for Authenticate {
    /// Never prints the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticate").finish_non_exhaustive()
    }
}

/// Asks for a sign of life, and the server's time.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Ping {}

/// A place in a numbering: of a room, or of all fixes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Since {
    /// The epoch of the numbering, as `room.joined` or a numbered message said it.
    pub epoch: String,
    /// The last number that was seen.
    pub seq: u64,
}

/// Joins a room; with `since`, what was missed comes first.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct JoinRoom {
    /// Which room.
    #[serde(deserialize_with = "text::room")]
    #[schemars(with = "String")]
    pub room: RoomName,
    /// Where the client left off.
    #[serde(default, deserialize_with = "object_or_null")]
    pub since: Option<Since>,
    /// Of the room `uwb` alone: whether each new location is told as well. It is until a `join_room` says `false`, for a
    /// client with a view of its own, and from then on until one says `true` or the room was left.
    pub positions: Option<bool>,
}

/// Leaves a room.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct LeaveRoom {
    /// Which room.
    #[serde(deserialize_with = "text::room")]
    #[schemars(with = "String")]
    pub room: RoomName,
}

/// Asks who is in a room.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct GetRoomMembers {
    /// Which room.
    #[serde(deserialize_with = "text::room")]
    #[schemars(with = "String")]
    pub room: RoomName,
}

/// Sends a message to the others in a room.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SendToRoom {
    /// Which room.
    #[serde(deserialize_with = "text::room")]
    #[schemars(with = "String")]
    pub room: RoomName,
    /// What kind of message it is, the application's own word.
    pub name: String,
    /// Any JSON.
    #[schemars(with = "serde_json::Value")]
    pub data: Box<RawValue>,
}

/// Asks for the devices that are connected or stale, or for those with another status.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct GetActiveDevices {
    /// Only these kinds.
    #[serde(default)]
    pub kinds: Option<Vec<Kind>>,
    /// Only these statuses; connected and stale when absent.
    #[serde(default)]
    pub status: Option<Vec<Status>>,
    /// How many at most, 1 to 1,000.
    #[serde(default)]
    pub limit: Option<u32>,
    /// The previous page's `next`.
    #[serde(default)]
    pub after: Option<String>,
}

/// Asks where a device is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct GetDeviceLocation {
    /// Which device.
    #[serde(deserialize_with = "text::device_id")]
    #[schemars(with = "String")]
    pub device_id: DeviceId,
}

/// Adds a device to the registry.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct RegisterDevice {
    /// Its id: the gateway's own id of the tag.
    #[serde(deserialize_with = "text::device_id")]
    #[schemars(with = "String")]
    pub device_id: DeviceId,
    /// Where it is, if that is known.
    #[serde(default, deserialize_with = "object_or_null")]
    pub initial_location: Option<Point>,
    /// What people call it.
    #[serde(default)]
    pub name: Option<String>,
    /// What it is; a tag when absent.
    #[serde(default)]
    pub kind: Option<Kind>,
    /// Its site; `main` when absent.
    #[serde(default, deserialize_with = "text::site")]
    #[schemars(with = "Option<String>")]
    pub site: Option<SiteName>,
    /// The floor of the initial location.
    #[serde(default, deserialize_with = "floor")]
    pub floor: Option<f64>,
}

/// Changes what the registry says of a device.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct UpdateDevice {
    /// Which device.
    #[serde(deserialize_with = "text::device_id")]
    #[schemars(with = "String")]
    pub device_id: DeviceId,
    /// Its new name; an empty text takes the name away.
    #[serde(default)]
    pub name: Option<String>,
    /// Its new kind.
    #[serde(default)]
    pub kind: Option<Kind>,
}

/// Takes a device out of the registry, and its history with it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct RemoveDevice {
    /// Which device.
    #[serde(deserialize_with = "text::device_id")]
    #[schemars(with = "String")]
    pub device_id: DeviceId,
}

/// Starts this client's own position updates; a second one replaces the first.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct StartPositionTracking {
    /// Which devices; an empty list means all that the client may see.
    #[serde(deserialize_with = "text::device_ids")]
    #[schemars(with = "Vec<String>")]
    pub device_ids: Vec<DeviceId>,
    /// Seconds between two updates, 0.02 to 3,600; 0.5 when absent.
    #[serde(default)]
    pub update_frequency: Option<f64>,
}

/// Ends this client's position updates.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct StopPositionTracking {}

/// Asks where a device was, newest first.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct GetLocationHistory {
    /// Which device.
    #[serde(deserialize_with = "text::device_id")]
    #[schemars(with = "String")]
    pub device_id: DeviceId,
    /// Not before this.
    #[serde(default)]
    pub start_time: Option<Time>,
    /// Not after this.
    #[serde(default)]
    pub end_time: Option<Time>,
    /// How many at most, 1 to 1,000; 100 when absent.
    #[serde(default)]
    pub limit: Option<u32>,
    /// The previous page's `next`.
    #[serde(default)]
    pub after: Option<String>,
}

/// One location of a report.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct LocationItem {
    /// Whose location.
    #[serde(deserialize_with = "text::device_id")]
    #[schemars(with = "String")]
    pub device_id: DeviceId,
    /// Where, metres in the frame of the site.
    #[serde(deserialize_with = "object")]
    pub location: Point,
    /// The device's time of it; the arrival when absent.
    #[serde(default)]
    pub timestamp: Option<Time>,
    /// The radius within which the true position probably lies, metres.
    #[serde(default, deserialize_with = "radius")]
    pub accuracy: Option<f64>,
    /// The floor, 0 is the ground floor.
    #[serde(default, deserialize_with = "floor")]
    pub floor: Option<f64>,
    /// Charge of the battery, percent.
    #[serde(default, deserialize_with = "percent")]
    pub battery: Option<f64>,
    /// The site; `main` when absent.
    #[serde(default, deserialize_with = "text::site")]
    #[schemars(with = "Option<String>")]
    pub site: Option<SiteName>,
    /// The sender's own number of the location, if it counts them: sent again with the same time and number, it is
    /// known to be the same.
    #[serde(default)]
    pub sequence: Option<u64>,
}

/// Reports one location, or up to 1,000. Each item is accepted or refused by itself.
#[derive(Debug, Clone)]
pub struct ReportLocation {
    /// The items in their order; those that could not be read carry why.
    pub items: Vec<Result<LocationItem, Refusal>>,
}

/// Reports one location, or up to 1,000. Each item is accepted or refused by itself.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
enum ReportLocationForm {
    Many { locations: Vec<LocationItem> },
    One(LocationItem),
}

impl JsonSchema for ReportLocation {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ReportLocation".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        ReportLocationForm::json_schema(generator)
    }
}

/// Reads a payload as a typed value.
///
/// # Errors
/// `invalid_payload` with the path of the first fault.
pub fn decode_payload<'de, T: Deserialize<'de>>(payload: &'de str) -> Result<T, Refusal> {
    if !payload.trim_start().starts_with('{') {
        return Err(Refusal::saying(ErrorCode::InvalidPayload, "The payload has to be a JSON object.")
            .with_details(serde_json::json!({ "path": "" })));
    }
    let mut deserializer = serde_json::Deserializer::from_str(payload);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = match error.path().to_string() {
            path if path == "." => String::new(),
            path => path,
        };
        let reason = without_place(&error.inner().to_string());
        let message =
            if path.is_empty() { format!("The payload: {reason}.") } else { format!("{path}: {reason}.") };
        Refusal::saying(ErrorCode::InvalidPayload, message).with_details(serde_json::json!({ "path": path }))
    })
}

/// A parser's sentence without " at line 1 column 7": the path says it better.
fn without_place(reason: &str) -> String {
    reason.rsplit_once(" at line ").map_or(reason, |(reason, _place)| reason).to_owned()
}

/// Payloads that are read with their derived shape.
trait Payload: Sized {
    fn decode(payload: &str) -> Result<Self, Refusal>;
}

impl<T: for<'de> Deserialize<'de>> Payload for T {
    fn decode(payload: &str) -> Result<Self, Refusal> {
        decode_payload(payload)
    }
}

impl ReportLocation {
    /// Reads one item or a list of them; the list form is known by its key `locations`.
    ///
    /// # Errors
    /// `invalid_payload` for what is neither, `too_large` for too many.
    pub fn decode(payload: &str) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Many<'a> {
            #[serde(borrow, default)]
            locations: Option<Vec<&'a RawValue>>,
        }
        match decode_payload::<Many<'_>>(payload)?.locations {
            Some(items) => Self::from_items(&items),
            None => Ok(Self { items: vec![Ok(decode_payload::<LocationItem>(payload)?)] }),
        }
    }

    /// Reads items one by one; a bad one does not spoil the others.
    ///
    /// # Errors
    /// `too_large` for more than [`LOCATIONS_PER_REPORT_MAX`] items.
    pub fn from_items(items: &[&RawValue]) -> Result<Self, Refusal> {
        if items.len() > LOCATIONS_PER_REPORT_MAX {
            let message = format!(
                "{} locations in one report, at most {LOCATIONS_PER_REPORT_MAX} are allowed.",
                items.len()
            );
            return Err(Refusal::saying(ErrorCode::TooLarge, message).with_details(
                serde_json::json!({ "path": "locations", "limit": LOCATIONS_PER_REPORT_MAX }),
            ));
        }
        Ok(Self { items: items.iter().map(|item| decode_payload(item.get())).collect() })
    }
}

macro_rules! requests {
    ($($(#[$doc:meta])* $name:ident $type:literal => $answer:ident;)+) => {
        /// A request of the protocol, its payload read and checked.
        #[derive(Debug, Clone)]
        pub enum Request { $($(#[$doc])* $name($name),)+ }

        /// Which request it is, its payload not read yet.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum RequestKind { $($(#[$doc])* $name,)+ }

        impl RequestKind {
            /// The request of a type on the wire. `None` when the protocol has no such type.
            pub fn from_type(name: &str) -> Option<Self> {
                match name {
                    $($type => Some(Self::$name),)+
                    _ => None,
                }
            }

            /// Its type on the wire.
            pub fn type_name(self) -> &'static str {
                match self { $(Self::$name => $type,)+ }
            }

            /// Reads the payload.
            ///
            /// # Errors
            /// `invalid_payload` or `too_large`, as the payload deserves.
            pub fn decode(self, payload: &str) -> Result<Request, Refusal> {
                match self { $(Self::$name => $name::decode(payload).map(Request::$name),)+ }
            }
        }

        impl Request {
            /// Every request's type on the wire.
            pub const TYPES: &[&str] = &[$($type,)+];

            /// Reads the payload of a request. `None` when the protocol has no such type.
            ///
            /// # Errors
            /// `invalid_payload` or `too_large`, as the payload deserves.
            pub fn decode(name: &str, payload: &str) -> Option<Result<Self, Refusal>> {
                RequestKind::from_type(name).map(|kind| kind.decode(payload))
            }

            /// The request's type on the wire.
            pub fn type_name(&self) -> &'static str {
                match self { $(Self::$name(_) => $type,)+ }
            }
        }

        /// Calls the visitor for each request, in the table's order: its type on the wire, and its answer's.
        pub fn visit_requests(visitor: &mut impl RequestVisitor) {
            $(visitor.visit::<$name, message::$answer>($type);)+
        }
    };
}

/// Sees each request of the protocol once: for schemas and documents.
pub trait RequestVisitor {
    /// One request and its answer.
    fn visit<P: JsonSchema, A: message::ServerPayload>(&mut self, name: &'static str);
}

requests! {
    /// Says who the client is, or refreshes its token.
    Authenticate "authenticate" => Connection;
    /// Asks for a sign of life.
    Ping "ping" => Pong;
    /// Joins a room.
    JoinRoom "join_room" => RoomJoined;
    /// Leaves a room.
    LeaveRoom "leave_room" => RoomLeft;
    /// Asks who is in a room.
    GetRoomMembers "get_room_members" => RoomMembers;
    /// Sends a message to a room.
    SendToRoom "send_to_room" => RoomSent;
    /// Lists devices.
    GetActiveDevices "get_active_devices" => DeviceList;
    /// Asks where a device is.
    GetDeviceLocation "get_device_location" => Location;
    /// Adds a device.
    RegisterDevice "register_device" => DeviceRegistered;
    /// Changes a device.
    UpdateDevice "update_device" => DeviceUpdated;
    /// Takes a device away.
    RemoveDevice "remove_device" => DeviceRemoved;
    /// Starts position updates.
    StartPositionTracking "start_position_tracking" => TrackingStarted;
    /// Ends position updates.
    StopPositionTracking "stop_position_tracking" => TrackingStopped;
    /// Asks for a view.
    Subscribe "subscribe" => Subscribed;
    /// Changes a view.
    UpdateSubscription "update_subscription" => SubscriptionUpdated;
    /// Ends a view.
    Unsubscribe "unsubscribe" => Unsubscribed;
    /// Asks how the connection is served.
    GetConnectionStats "get_connection_stats" => ConnectionStats;
    /// Reports locations.
    ReportLocation "report_location" => LocationsReported;
    /// Asks where a device was.
    GetLocationHistory "get_location_history" => LocationHistory;
    /// Plays a period of the past back.
    PlayHistory "play_history" => PlaybackStarted;
    /// Changes a playback.
    UpdatePlayback "update_playback" => PlaybackUpdated;
    /// Ends a playback.
    StopPlayback "stop_playback" => PlaybackStopped;
}
