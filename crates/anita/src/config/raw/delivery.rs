//! `[delivery]` and `[rooms]`.

use serde::{Deserialize, Serialize};

/// `[delivery]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawDelivery {
    /// Threads that serve connections; 0 is one for each core.
    pub threads: usize,
    /// How long positions are gathered while there are many, milliseconds. The first after a pause goes at once.
    pub gather_ms: f64,
    /// How long they are gathered at most, when very many sockets are to be written to, milliseconds.
    pub gather_max_ms: f64,
    /// How much longer is gathered for each socket that was written to, milliseconds.
    pub gather_per_write_ms: f64,
    /// How many fixes are kept one by one for views of the lane `every`.
    pub every_fixes_max: usize,
    /// Whether many sockets are written to in one system call, where the system can.
    pub io_uring: bool,
    /// Whether messages are compressed for clients that ask for it, as browsers do: several times fewer bytes, and more
    /// work, above all where everybody watches another area.
    pub compression: bool,
    /// What may wait in all connections together for their peers to read, bytes.
    pub queued_bytes_max: usize,
    /// What the kernel may hold of a connection that reads slowly, bytes.
    pub send_buffer_bytes: usize,
}

impl Default for RawDelivery {
    fn default() -> Self {
        Self {
            threads: 0,
            gather_ms: 10.0,
            gather_max_ms: 100.0,
            gather_per_write_ms: 0.2,
            every_fixes_max: 16_384,
            io_uring: true,
            compression: false,
            queued_bytes_max: 512 * 1024 * 1024,
            send_buffer_bytes: 128 * 1024,
        }
    }
}

/// `[rooms]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawRooms {
    /// Rooms in all.
    pub rooms_max: usize,
    /// Rooms that one connection may be in.
    pub rooms_per_connection_max: usize,
    /// Members of one room.
    pub members_max: usize,
    /// Messages that a room keeps for those who come back.
    pub ring_messages_max: usize,
    /// Bytes that a room keeps for those who come back.
    pub ring_bytes_max: usize,
    /// How long the numbering of an empty room is kept, seconds.
    pub linger_secs: f64,
}

impl Default for RawRooms {
    fn default() -> Self {
        Self {
            rooms_max: 10_000,
            rooms_per_connection_max: 64,
            members_max: 100_000,
            ring_messages_max: 1_000,
            ring_bytes_max: 1_048_576,
            linger_secs: 60.0,
        }
    }
}
