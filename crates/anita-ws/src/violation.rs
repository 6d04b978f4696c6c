//! What a client can do against RFC 6455 or against the limits, and the close code for each.

use crate::close;

/// Why a client's bytes are refused. The connection can only be closed after it, with [`Violation::close_code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A reserved bit is set that no negotiated extension uses in such a frame (section 5.2; RFC 7692 section 6).
    #[error("a reserved bit is set")]
    ReservedBits,
    /// An opcode that RFC 6455 does not define (section 5.2).
    #[error("the opcode {0} is unknown")]
    UnknownOpcode(u8),
    /// A client's frame must be masked (section 5.1).
    #[error("the frame is not masked")]
    Unmasked,
    /// A control frame without the final bit (section 5.5).
    #[error("a control frame is fragmented")]
    FragmentedControl,
    /// A control frame of more than 125 bytes (section 5.5).
    #[error("a control frame is too long")]
    ControlTooLong,
    /// A length that fits into fewer bytes than were used for it (section 5.2).
    #[error("the length is not encoded minimally")]
    LengthNotMinimal,
    /// A 64-bit length whose most significant bit is set (section 5.2).
    #[error("the length has its top bit set")]
    LengthTopBit,
    /// A continuation frame while no message is under way (section 5.4).
    #[error("a continuation without a beginning")]
    UnexpectedContinuation,
    /// A new message before the last fragment of the one under way (section 5.4).
    #[error("a new message inside a fragmented one")]
    ExpectedContinuation,
    /// A close frame with a payload of one byte, which cannot hold a code (section 5.5.1).
    #[error("a close frame with half a code")]
    ClosePayload,
    /// A close frame with a code that may not be sent (section 7.4).
    #[error("the close code {0} may not be sent")]
    CloseCode(u16),
    /// A text message or a close reason that is not UTF-8 (sections 5.5.1 and 8.1).
    #[error("the text is not valid UTF-8")]
    NotUtf8,
    /// A compressed message that is not DEFLATE, or ends inside a block (RFC 7692 section 7.2.2).
    #[error("the compressed message cannot be inflated")]
    NotDeflate,
    /// A message of more than this many bytes, by [`Limits::message_bytes_max`](crate::Limits::message_bytes_max).
    #[error("the message has more than {bytes_max} bytes")]
    MessageTooBig {
        /// The limit.
        bytes_max: usize,
    },
    /// A message of more than this many frames, by
    /// [`Limits::fragment_count_max`](crate::Limits::fragment_count_max).
    #[error("the message has more than {count_max} fragments")]
    TooManyFragments {
        /// The limit.
        count_max: usize,
    },
}

// === impl Violation ===

impl Violation {
    /// The code to close with: 1007 for text and what cannot be inflated, 1009 for size, else 1002 (section 7.4.1).
    pub const fn close_code(self) -> u16 {
        match self {
            Self::NotUtf8 | Self::NotDeflate => close::INVALID_DATA,
            Self::MessageTooBig { .. } | Self::TooManyFragments { .. } => close::TOO_BIG,
            Self::ReservedBits
            | Self::UnknownOpcode(_)
            | Self::Unmasked
            | Self::FragmentedControl
            | Self::ControlTooLong
            | Self::LengthNotMinimal
            | Self::LengthTopBit
            | Self::UnexpectedContinuation
            | Self::ExpectedContinuation
            | Self::ClosePayload
            | Self::CloseCode(_) => close::PROTOCOL_ERROR,
        }
    }
}
