//! What one connection may use of the server's memory.

/// Limits of one connection. What happens at each of them is said at the field.
///
/// A [`Decoder`](crate::Decoder) holds at most about twice `message_bytes_max` plus what was appended to it, and next
/// to nothing while no frame is under way. While a compressed message is, it also holds some 48 KiB to inflate it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The payload of one message in bytes, all of its fragments together. A frame that would exceed it is refused as
    /// soon as its header is there, with close code 1009. Of a compressed message it is the inflated payload, which is
    /// refused with the first byte that is too much; compressed it may have an eighth and 1 KiB more, by its headers.
    pub message_bytes_max: usize,
    /// The frames of one message. One more is refused with close code 1009. It bounds what empty fragments can cost.
    pub fragment_count_max: usize,
    /// The outgoing bytes up to which [`Socket::has_room`](crate::Socket::has_room) says yes. It is advice to the
    /// caller: nothing is refused.
    pub queue_bytes_max: usize,
}

// === impl Limits ===

impl Default for Limits {
    /// 256 KiB a message, 1,024 fragments, 64 KiB of outgoing frames.
    fn default() -> Self {
        Self { message_bytes_max: 256 * 1024, fragment_count_max: 1024, queue_bytes_max: 64 * 1024 }
    }
}
