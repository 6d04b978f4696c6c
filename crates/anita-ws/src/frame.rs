//! Complete frames of the server, unmasked and unfragmented (RFC 6455 section 5.2).
//!
//! A frame depends on nothing of a connection: make it once, and queue clones of it on as many
//! [`Socket`](crate::Socket)s as are to hear it. Several frames in a row in one `Bytes` are as good as one.

use bytes::{BufMut, Bytes, BytesMut};

use crate::header::CONTROL_BYTES_MAX;
use crate::{Deflater, close, deflate};

pub use crate::deflate::PAYLOAD_BYTES_MIN as DEFLATED_PAYLOAD_BYTES_MIN;

/// The most bytes of a server's frame header.
pub const HEADER_BYTES_MAX: usize = 10;

/// The final bit of the first byte.
const FINAL: u8 = 0x80;

/// What a frame is (section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// A further fragment of the message under way.
    Continuation = 0x0,
    /// A text message or its first fragment.
    Text = 0x1,
    /// A binary message or its first fragment.
    Binary = 0x2,
    /// The end.
    Close = 0x8,
    /// Asks for a pong.
    Ping = 0x9,
    /// Answers a ping.
    Pong = 0xa,
}

/// A text message.
pub fn text(text: &str) -> Bytes {
    data(Opcode::Text, text.as_bytes())
}

/// A binary message.
pub fn binary(payload: &[u8]) -> Bytes {
    data(Opcode::Binary, payload)
}

/// A ping. A control frame carries at most 125 bytes: what is longer is cut.
pub fn ping(payload: &[u8]) -> Bytes {
    control(Opcode::Ping, payload)
}

/// A pong. A control frame carries at most 125 bytes: what is longer is cut.
pub fn pong(payload: &[u8]) -> Bytes {
    control(Opcode::Pong, payload)
}

/// A close frame. The reason is cut at a character's end to at most [`close::REASON_BYTES_MAX`] bytes. A code that may
/// not be sent, see [`close::is_sendable`], is replaced by [`close::INTERNAL_ERROR`].
pub fn close(code: u16, reason: &str) -> Bytes {
    let code = if close::is_sendable(code) { code } else { close::INTERNAL_ERROR };
    let end_max = reason.len().min(close::REASON_BYTES_MAX);
    let reason = (0..=end_max).rev().find_map(|end| reason.get(..end)).unwrap_or_default();
    let mut payload = Vec::with_capacity(CONTROL_BYTES_MAX);
    payload.put_u16(code);
    payload.put_slice(reason.as_bytes());
    control(Opcode::Close, &payload)
}

/// Appends a text message.
pub fn text_into(buffer: &mut BytesMut, text: &str) {
    buffer.reserve(HEADER_BYTES_MAX + text.len());
    header_into(buffer, Opcode::Text, text.len());
    buffer.put_slice(text.as_bytes());
}

/// Appends the header of a complete (final) frame; exactly `payload_bytes` bytes must follow it. For the control
/// opcodes these are at most 125.
pub fn header_into(buffer: &mut BytesMut, opcode: Opcode, payload_bytes: usize) {
    header_with_into(buffer, 0, opcode, payload_bytes);
}

/// The compressed form of complete frames in a row, for connections that have agreed on `permessage-deflate` (RFC 7692)
/// with the window of the deflater. Like every frame it depends on no connection.
///
/// Text and binary messages of at least [`DEFLATED_PAYLOAD_BYTES_MIN`] bytes are compressed, each on its own, where that
/// makes them smaller. Everything else stays as it is; if that is everything, it is the same memory.
pub fn deflated(frames: &Bytes, deflater: &mut Deflater) -> Bytes {
    deflate::deflated(frames, deflater)
}

/// [`header_into`] with reserved bits.
pub(crate) fn header_with_into(buffer: &mut BytesMut, bits: u8, opcode: Opcode, payload_bytes: usize) {
    buffer.put_u8(first_byte(opcode) | bits);
    match (u8::try_from(payload_bytes), u16::try_from(payload_bytes)) {
        (Ok(short @ 0..=125), _) => buffer.put_u8(short),
        (_, Ok(long)) => {
            buffer.put_u8(126);
            buffer.put_u16(long);
        }
        (_, Err(_)) => {
            buffer.put_u8(127);
            buffer.put_u64(payload_bytes as u64);
        }
    }
}

// === impl Opcode ===

impl Opcode {
    /// Whether it is close, ping or pong (section 5.5).
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    /// The opcode of this number, if it is defined.
    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xa => Some(Self::Pong),
            _ => None,
        }
    }
}

/// The first byte of a complete frame.
pub(crate) const fn first_byte(opcode: Opcode) -> u8 {
    FINAL | opcode as u8
}

fn data(opcode: Opcode, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEADER_BYTES_MAX + payload.len());
    header_into(&mut frame, opcode, payload.len());
    frame.put_slice(payload);
    frame.freeze()
}

fn control(opcode: Opcode, payload: &[u8]) -> Bytes {
    data(opcode, payload.get(..CONTROL_BYTES_MAX).unwrap_or(payload))
}

/// Whether these bytes begin with a close frame.
pub(crate) fn is_close(frame: &[u8]) -> bool {
    frame.first() == Some(&first_byte(Opcode::Close))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_encoded_minimally() {
        let cases: [(usize, &[u8]); 7] = [
            (0, b"\x82\x00"),
            (125, b"\x82\x7d"),
            (126, b"\x82\x7e\x00\x7e"),
            (255, b"\x82\x7e\x00\xff"),
            (256, b"\x82\x7e\x01\x00"),
            (65535, b"\x82\x7e\xff\xff"),
            (65536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
        ];
        for (payload_bytes, header) in cases {
            let frame = binary(&vec![7; payload_bytes]);
            assert_eq!(frame.len(), header.len() + payload_bytes);
            assert!(frame.starts_with(header), "{payload_bytes}");
        }
    }

    #[test]
    fn each_kind_has_its_opcode() {
        let mut appended = BytesMut::from("before");
        text_into(&mut appended, "hä");
        let cases: [(Bytes, &[u8]); 7] = [
            (text("hi"), b"\x81\x02hi"),
            (binary(b"hi"), b"\x82\x02hi"),
            (ping(b"hi"), b"\x89\x02hi"),
            (pong(b""), b"\x8a\x00"),
            (close(4401, "bye"), b"\x88\x05\x11\x31bye"),
            (close(1006, ""), b"\x88\x02\x03\xf3"),
            (appended.freeze(), b"before\x81\x03h\xc3\xa4"),
        ];
        for (frame, expected) in cases {
            assert_eq!(frame, expected);
        }
    }

    #[test]
    fn control_payloads_are_cut_to_125_bytes() {
        assert_eq!(ping(&[1; 126]).len(), 2 + 125);
        assert_eq!(close(1000, &"x".repeat(200)).len(), 2 + 2 + 123);
        // The 62nd character would end at byte 124.
        assert_eq!(close(1000, &"ä".repeat(100)).len(), 2 + 2 + 122);
    }
}
