//! The header of a client's frame (RFC 6455 section 5.2).
//!
//! Whether the frame fits to those before it is not asked here.

use crate::{Opcode, Violation};

/// The reserved bit that says a message is compressed (RFC 7692 section 6).
const COMPRESSED_BIT: u8 = 0b0100_0000;

/// The reserved bits that nothing gives a meaning to.
const RESERVED_BITS: u8 = 0b0011_0000;

/// Whether `permessage-deflate` was negotiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extension {
    None,
    Deflate,
}

/// The most payload bytes of a control frame (section 5.5).
pub(crate) const CONTROL_BYTES_MAX: usize = 125;

/// What a valid header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// Whether it is the last frame of its message.
    pub(crate) is_final: bool,
    pub(crate) opcode: Opcode,
    /// Whether it begins a compressed message.
    pub(crate) is_compressed: bool,
    pub(crate) mask: [u8; 4],
    /// A length that no memory of this machine can hold is `usize::MAX`, which exceeds every limit.
    pub(crate) payload_bytes: usize,
}

// === impl Header ===

impl Header {
    /// Reads a header at the beginning of `bytes`, and how many bytes it takes. `None`: more are needed.
    ///
    /// What is wrong in the first two bytes is refused when these are there.
    pub(crate) fn parse(bytes: &[u8], extension: Extension) -> Result<Option<(Self, usize)>, Violation> {
        let Some((&[first, second], rest)) = bytes.split_first_chunk() else { return Ok(None) };
        if first & RESERVED_BITS != 0 {
            return Err(Violation::ReservedBits);
        }
        let is_compressed = first & COMPRESSED_BIT != 0;
        if is_compressed && extension == Extension::None {
            return Err(Violation::ReservedBits);
        }
        let code = first & 0x0f;
        let opcode = Opcode::from_code(code).ok_or(Violation::UnknownOpcode(code))?;
        if is_compressed && !matches!(opcode, Opcode::Text | Opcode::Binary) {
            return Err(Violation::ReservedBits);
        }
        let is_final = first & 0x80 != 0;
        if second & 0x80 == 0 {
            return Err(Violation::Unmasked);
        }
        let short = second & 0x7f;
        if opcode.is_control() {
            if !is_final {
                return Err(Violation::FragmentedControl);
            }
            if usize::from(short) > CONTROL_BYTES_MAX {
                return Err(Violation::ControlTooLong);
            }
        }
        let Some((length, rest)) = parse_length(short, rest)? else { return Ok(None) };
        let Some((&mask, rest)) = rest.split_first_chunk() else { return Ok(None) };
        let payload_bytes = usize::try_from(length).unwrap_or(usize::MAX);
        Ok(Some((Self { is_final, opcode, is_compressed, mask, payload_bytes }, bytes.len() - rest.len())))
    }
}

/// Reads the length that goes with its 7-bit form, and gives back what follows it.
fn parse_length(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, Violation> {
    match short {
        126 => {
            let Some((&long, rest)) = rest.split_first_chunk() else { return Ok(None) };
            let length = u16::from_be_bytes(long);
            if length < 126 {
                return Err(Violation::LengthNotMinimal);
            }
            Ok(Some((u64::from(length), rest)))
        }
        127 => {
            let Some((&long, rest)) = rest.split_first_chunk() else { return Ok(None) };
            let length = u64::from_be_bytes(long);
            if length >> 63 != 0 {
                return Err(Violation::LengthTopBit);
            }
            if u16::try_from(length).is_ok() {
                return Err(Violation::LengthNotMinimal);
            }
            Ok(Some((length, rest)))
        }
        _ => Ok(Some((u64::from(short), rest))),
    }
}
