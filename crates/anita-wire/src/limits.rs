//! The limits of the protocol itself. Limits that an operator can change are in the configuration.

/// One limit, for documents and for clients.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// Its name, unit included.
    pub name: &'static str,
    /// Its value.
    pub value: serde_json::Value,
    /// What it limits, one sentence.
    pub meaning: &'static str,
}

macro_rules! limits {
    ($(#[doc = $meaning:literal] $name:ident: $type:ty = $value:expr;)+) => {
        $(#[doc = $meaning] pub const $name: $type = $value;)+

        /// All limits, in the order of this file.
        pub fn all() -> Vec<Limit> {
            vec![$(Limit { name: stringify!($name), value: $name.into(), meaning: $meaning.trim_ascii() },)+]
        }
    };
}

limits! {
    /// The largest message a client may send unless the configuration says otherwise, bytes.
    MESSAGE_BYTES_MAX_DEFAULT: usize = 256 * 1024;

    /// The largest message before authentication unless the configuration says otherwise, bytes: room for a token and its envelope.
    MESSAGE_BYTES_BEFORE_AUTH_MAX: usize = 16 * 1024;

    /// How deep objects and arrays may be nested; the configuration may allow less.
    NESTING_DEPTH_MAX: usize = 16;

    /// The longest request id, bytes of its JSON text.
    REQUEST_ID_BYTES_MAX: usize = 128;

    /// The most items of one `report_location` or `POST /api/v1/locations`.
    LOCATIONS_PER_REPORT_MAX: usize = 1_000;

    /// The most devices on one page of `uwb.device_list`, and how many come unless `limit` says otherwise.
    DEVICES_PER_PAGE_MAX: usize = 1_000;

    /// The most entries on one page of `uwb.location_history`.
    HISTORY_PER_PAGE_MAX: usize = 1_000;

    /// How many history entries come when the request gives no `limit`.
    HISTORY_PER_PAGE_DEFAULT: usize = 100;

    /// The most devices of one `start_position_tracking`.
    TRACKED_DEVICES_MAX: usize = 10_000;

    /// The longest name of a device, UTF-8 bytes.
    DEVICE_NAME_BYTES_MAX: usize = 128;

    /// The largest `data` of `send_to_room`, bytes of JSON.
    ROOM_MESSAGE_BYTES_MAX: usize = 16 * 1024;

    /// The seconds between two position updates when the request gives none.
    UPDATE_FREQUENCY_DEFAULT_SECS: f64 = 0.5;

    /// The shortest time between two position updates, seconds.
    UPDATE_FREQUENCY_SECS_MIN: f64 = 0.02;

    /// The longest time between two position updates, seconds.
    UPDATE_FREQUENCY_SECS_MAX: f64 = 3_600.0;

    /// The most subscriptions of one connection; the configuration may allow fewer.
    SUBSCRIPTIONS_MAX: usize = 16;

    /// The most ids of one view; of patterns, 100.
    VIEW_DEVICES_MAX: usize = 1_000;

    /// The most floors of one view.
    VIEW_FLOORS_MAX: usize = 100;

    /// The most corners of a view's polygon; the configuration may allow fewer.
    AREA_CORNERS_MAX: usize = 64;

    /// The lowest rate of a view, positions of a device in a second; 0 pauses it.
    MAX_RATE_HZ_MIN: f64 = 0.000_2;

    /// The highest rate of a view, positions of a device in a second.
    MAX_RATE_HZ_MAX: f64 = 100.0;

    /// The longest way that a view may want a device to move before it is told, metres.
    MIN_MOVE_M_MAX: f64 = 1_000.0;

    /// The most devices in one `view.snapshot`, `view.entered`, `view.left` or position message of a view or a playback.
    VIEW_DEVICES_PER_MESSAGE_MAX: usize = 1_000;

    /// The longest period of a playback, seconds: 31 days.
    PLAYBACK_PERIOD_SECS_MAX: u32 = 31 * 86_400;

    /// The most devices of one playback.
    PLAYBACK_DEVICES_MAX: usize = 10_000;

    /// The lowest speed of a playback.
    PLAYBACK_SPEED_MIN: f64 = 0.1;

    /// The highest speed of a playback.
    PLAYBACK_SPEED_MAX: f64 = 100.0;

    /// The seconds between two updates of a playback when the request gives none.
    PLAYBACK_UPDATE_DEFAULT_SECS: f64 = 0.1;

    /// The shortest time between two updates of a playback, seconds.
    PLAYBACK_UPDATE_SECS_MIN: f64 = 0.05;

    /// The longest time between two updates of a playback, seconds.
    PLAYBACK_UPDATE_SECS_MAX: f64 = 60.0;

    /// How old a device's location may be at the moment where a playback begins or goes on, seconds; who was silent for longer is not told of.
    PLAYBACK_LOOK_BACK_SECS: u32 = 60;
}

/// The time between two position updates, seconds: from the shortest to the longest.
pub const UPDATE_FREQUENCY_RANGE_SECS: std::ops::RangeInclusive<f64> =
    UPDATE_FREQUENCY_SECS_MIN..=UPDATE_FREQUENCY_SECS_MAX;

const _: () =
    assert!(ROOM_MESSAGE_BYTES_MAX < MESSAGE_BYTES_MAX_DEFAULT, "a room message fits into a message");
const _: () = assert!(HISTORY_PER_PAGE_DEFAULT <= HISTORY_PER_PAGE_MAX, "the default page is allowed");
