//! `[limits]` and `[heartbeat]`.

use serde::{Deserialize, Serialize};

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

/// `[limits]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawLimits {
    /// Web sockets at once.
    pub sockets_max: usize,
    /// Web sockets at once of one address.
    pub sockets_per_address_max: usize,
    /// Web sockets at once of one user.
    pub sockets_per_user_max: usize,
    /// TCP connections at once, those of web sockets among them.
    pub connections_max: usize,
    /// TCP connections at once of one address.
    pub connections_per_address_max: usize,
    /// Connections at once of which it is not known yet whose they are.
    pub unauthenticated_max: usize,
    /// These of one address.
    pub unauthenticated_per_address_max: usize,
    /// WebSocket handshakes a second.
    pub handshakes_per_second: u32,
    /// WebSocket handshakes a second of one address.
    pub handshakes_per_second_per_address: u32,
    /// TLS handshakes a second of one address.
    pub tls_handshakes_per_second_per_address: u32,
    /// How long a TLS handshake may take, seconds.
    pub tls_deadline_secs: f64,
    /// How long the head of a request may take, and a connection may wait for its next one, seconds.
    pub header_deadline_secs: f64,
    /// How long a connection is kept for further HTTP requests, seconds.
    pub keep_alive_secs: f64,
    /// How long a request may take, its body included, seconds.
    pub request_deadline_secs: f64,
    /// How long a WebSocket message may take from its first byte to its last, seconds.
    pub message_deadline_secs: f64,
    /// How long a peer may take no byte at all of what is to be written to it, seconds.
    pub write_deadline_secs: f64,
    /// The largest message of a client, bytes.
    pub message_bytes_max: usize,
    /// The largest message of a client that has not said yet who it is, bytes.
    pub unauthenticated_message_bytes_max: usize,
    /// Fragments of one WebSocket message.
    pub fragments_max: usize,
    /// How deep objects and arrays of a message, or of a body, may be nested.
    pub json_nesting_max: usize,
    /// Views of one connection.
    pub views_per_connection_max: usize,
    /// Corners of the polygon of an area.
    pub area_corners_max: usize,
    /// Pings and pongs of one WebSocket in a second.
    pub pings_per_second: u32,
    /// The largest body of a REST request, bytes.
    pub body_bytes_max: usize,
    /// The largest picture of a floor plan, bytes.
    pub plan_bytes_max: usize,
    /// Requests a second of a socket that may report locations.
    pub publisher_requests_per_second: u32,
    /// Requests a second of any other socket.
    pub viewer_requests_per_second: u32,
    /// A client is closed when so many more requests were refused as too many than were taken.
    pub rate_refusals_max: u32,
    /// Requests a second of each class, besides that.
    pub requests_per_second: RawClassRates,
    /// The memory of the process above which nobody new is let in and the newest connections are closed, bytes; 0 for
    /// none. When absent: 80 % of what the machine has, or of what the control group may have if that is less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes_max: Option<u64>,
}

/// `[limits.requests_per_second]`: of one socket, and by REST of one user; 0 for no limit but that of all requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawClassRates {
    /// Reports of locations.
    pub report: u32,
    /// Lists, devices, members.
    pub read: u32,
    /// History, exports, playback.
    pub past: u32,
    /// What is said in rooms.
    pub say: u32,
    /// The registry, views, rooms that are joined and left.
    pub change: u32,
    /// Tokens; twice as many at once.
    pub auth: u32,
    /// Revocations, which are not counted among all requests.
    pub revoke: u32,
    /// Messages of an application's own.
    pub domain: u32,
}

impl Default for RawClassRates {
    fn default() -> Self {
        Self { report: 0, read: 500, past: 100, say: 200, change: 500, auth: 5, revoke: 20, domain: 0 }
    }
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            sockets_max: 20_000,
            sockets_per_address_max: 20_000,
            sockets_per_user_max: 20_000,
            connections_max: 25_000,
            connections_per_address_max: 24_000,
            unauthenticated_max: 12_000,
            unauthenticated_per_address_max: 10_000,
            handshakes_per_second: 2_000,
            handshakes_per_second_per_address: 2_000,
            tls_handshakes_per_second_per_address: 2_000,
            tls_deadline_secs: 10.0,
            header_deadline_secs: 10.0,
            keep_alive_secs: 3_600.0,
            request_deadline_secs: 30.0,
            message_deadline_secs: 30.0,
            write_deadline_secs: 60.0,
            message_bytes_max: 262_144,
            unauthenticated_message_bytes_max: 16_384,
            fragments_max: 1_024,
            json_nesting_max: 16,
            views_per_connection_max: 16,
            area_corners_max: 64,
            pings_per_second: 100,
            body_bytes_max: 1_048_576,
            plan_bytes_max: 4_194_304,
            publisher_requests_per_second: 1_000,
            viewer_requests_per_second: 50,
            rate_refusals_max: 1_000,
            requests_per_second: RawClassRates::default(),
            memory_bytes_max: None,
        }
    }
}
