//! The limits of the protocol itself. Limits that an operator can change are in the configuration.

/// The largest message a client may send unless the configuration says otherwise, bytes.
pub const MESSAGE_BYTES_MAX_DEFAULT: usize = 256 * 1024;

/// The largest message before authentication, bytes: room for a token and its envelope.
pub const MESSAGE_BYTES_BEFORE_AUTH_MAX: usize = 16 * 1024;

/// How deep objects and arrays may be nested.
pub const NESTING_DEPTH_MAX: usize = 16;

/// The longest request id, bytes of its JSON text.
pub const REQUEST_ID_BYTES_MAX: usize = 128;

/// The most items of one `report_location` or `POST /api/v1/locations`.
pub const LOCATIONS_PER_REPORT_MAX: usize = 1_000;

/// The most devices on one page of `uwb.device_list`, and how many come unless `limit` says otherwise.
pub const DEVICES_PER_PAGE_MAX: usize = 1_000;

/// The most entries on one page of `uwb.location_history`.
pub const HISTORY_PER_PAGE_MAX: usize = 1_000;

/// How many history entries come when the request gives no `limit`.
pub const HISTORY_PER_PAGE_DEFAULT: usize = 100;

/// The most devices of one `start_position_tracking`.
pub const TRACKED_DEVICES_MAX: usize = 10_000;

/// The longest name of a device, UTF-8 bytes.
pub const DEVICE_NAME_BYTES_MAX: usize = 128;

/// The largest `data` of `send_to_room`, bytes of JSON.
pub const ROOM_MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// The seconds between two position updates when the request gives none.
pub const UPDATE_FREQUENCY_DEFAULT_SECS: f64 = 0.5;

/// The shortest and the longest time between two position updates, seconds.
pub const UPDATE_FREQUENCY_RANGE_SECS: std::ops::RangeInclusive<f64> = 0.02..=3_600.0;

const _: () =
    assert!(ROOM_MESSAGE_BYTES_MAX < MESSAGE_BYTES_MAX_DEFAULT, "a room message fits into a message");
const _: () = assert!(HISTORY_PER_PAGE_DEFAULT <= HISTORY_PER_PAGE_MAX, "the default page is allowed");
