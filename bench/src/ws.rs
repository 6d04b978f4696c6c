//! As much of the WebSocket protocol as a client needs that sends small texts and reads headers.

use memchr::memmem;

/// How many bytes of a payload tell what it is.
pub(crate) const PREFIX_BYTES: usize = 40;

/// The mask of everything that is sent: constant, because nobody has to be protected here.
const MASK: [u8; 4] = [0x5a, 0xc3, 0x17, 0x9e];

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) header_len: usize,
    pub(crate) payload_len: u64,
    pub(crate) opcode: u8,
    pub(crate) is_deflated: bool,
}

impl Head {
    /// Reads the header of a frame of a server; `None` while it is incomplete.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (first, second) = (*bytes.first()?, *bytes.get(1)?);
        let (header_len, payload_len) = match second & 0x7f {
            126 => (4, u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
            127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
            short => (2, u64::from(short)),
        };
        Some(Self { header_len, payload_len, opcode: first & 0x0f, is_deflated: first & 0x40 != 0 })
    }

    /// How many bytes are needed to know more, given those that are there.
    pub(crate) fn bytes_needed(bytes: &[u8]) -> usize {
        match bytes.get(1).map(|second| second & 0x7f) {
            Some(126) => 4,
            Some(127) => 10,
            Some(_) | None => 2,
        }
    }
}

/// What a message of the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Location,
    Batch,
    Columns,
    /// A frame of an unknown message, compressed.
    Deflated,
    Snapshot,
    Entered,
    Left,
    Subscribed,
    Pace,
    Stats,
    Hello,
    Joined,
    Numbered,
    Advanced,
    Gap,
    Sent,
    Refused,
    Closing,
    Other,
}

/// How many kinds there are.
pub(crate) const KINDS: usize = Kind::Other as usize + 1;

/// The types that are told apart, and what they are.
const TYPES: [(&[u8], Kind); 20] = [
    (b"uwb.location\"", Kind::Location),
    (b"uwb.position_update\"", Kind::Batch),
    (b"uwb.position_columns\"", Kind::Columns),
    (b"view.snapshot\"", Kind::Snapshot),
    (b"view.entered\"", Kind::Entered),
    (b"view.left\"", Kind::Left),
    (b"subscribed\"", Kind::Subscribed),
    (b"uwb.tracking_started\"", Kind::Subscribed),
    (b"system.pace\"", Kind::Pace),
    (b"system.connection_stats\"", Kind::Stats),
    (b"system.connection\"", Kind::Hello),
    (b"room.joined\"", Kind::Joined),
    (b"room.message\"", Kind::Numbered),
    (b"device.status\"", Kind::Numbered),
    (b"device.updated\"", Kind::Numbered),
    (b"room.advanced\"", Kind::Advanced),
    (b"room.gap\"", Kind::Gap),
    (b"view.gap\"", Kind::Gap),
    (b"room.sent\"", Kind::Sent),
    (b"error\"", Kind::Refused),
];

impl Kind {
    /// From the header and the first bytes of the payload.
    pub(crate) fn of(head: Head, prefix: &[u8]) -> Self {
        match head.opcode {
            8 => Self::Closing,
            1 if head.is_deflated => Self::Deflated,
            1 => {
                let name = prefix.strip_prefix(b"{\"type\":\"").unwrap_or_default();
                let found = TYPES.iter().find(|(text, _)| name.starts_with(text));
                found.map_or(Self::Other, |(_, kind)| *kind)
            }
            _ => Self::Other,
        }
    }

    /// Whether it says where devices are.
    pub(crate) fn has_positions(self) -> bool {
        matches!(self, Self::Location | Self::Batch | Self::Columns | Self::Deflated)
    }
}

/// Appends a masked text frame.
pub(crate) fn push_text(buffer: &mut Vec<u8>, text: &[u8]) {
    buffer.push(0x81);
    match text.len() {
        len if len < 126 => buffer.push(0x80 | len as u8),
        len if len <= 0xffff => {
            buffer.push(0xfe);
            buffer.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            buffer.push(0xff);
            buffer.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    buffer.extend_from_slice(&MASK);
    let start = buffer.len();
    buffer.extend_from_slice(text);
    let payload = buffer.get_mut(start..).unwrap_or_default();
    for chunk in payload.chunks_mut(4) {
        for (byte, mask) in chunk.iter_mut().zip(MASK) {
            *byte ^= mask;
        }
    }
}

/// Whether a client offers `permessage-deflate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    Unasked,
    Offered,
}

/// The request that opens a WebSocket.
pub(crate) fn upgrade(path: &str, token: Option<&str>, compression: Compression) -> String {
    let bearer = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let deflate = if compression == Compression::Offered {
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
    } else {
        ""
    };
    format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{deflate}{bearer}\r\n"
    )
}

/// What a server answered to the upgrade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The head has not arrived whole.
    Incomplete,
    /// The socket is open; the head has so many bytes.
    Opened { head_len: usize, is_deflated: bool },
    /// The first line of a refusal.
    Refused(String),
}

/// Reads the answer to the upgrade.
pub(crate) fn answer(bytes: &[u8]) -> Answer {
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else { return Answer::Incomplete };
    let head = bytes.get(..end).unwrap_or_default();
    if head.starts_with(b"HTTP/1.1 101") {
        let is_deflated = memmem::find(head, b"permessage-deflate").is_some();
        return Answer::Opened { head_len: end + 4, is_deflated };
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    Answer::Refused(String::from_utf8_lossy(line).into_owned())
}

/// When a refusal says to come back, milliseconds.
pub(crate) fn retry_after_ms(bytes: &[u8]) -> Option<u64> {
    let head = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let secs = head.lines().find_map(|line| line.strip_prefix("retry-after: "))?;
    secs.trim().parse::<u64>().ok().map(|secs| secs * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_all_lengths_are_read() {
        let head = |bytes: &[u8]| Head::parse(bytes).map(|head| (head.header_len, head.payload_len));
        assert_eq!(head(&[0x81, 5]), Some((2, 5)));
        assert_eq!(head(&[0x81, 126, 1, 0]), Some((4, 256)));
        assert_eq!(head(&[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]), Some((10, 65_536)));
        assert_eq!(head(&[0x81, 126, 1]), None);
        assert!(Head::parse(&[0xc1, 5]).unwrap().is_deflated);
    }

    #[test]
    fn a_text_is_masked_and_has_its_length() {
        let mut buffer = Vec::new();
        push_text(&mut buffer, &[b'a'; 300]);
        assert_eq!(buffer.get(..4), Some(&[0x81, 0xfe, 1, 44][..]));
        let unmasked: Vec<u8> = buffer[8..].iter().zip(MASK.iter().cycle()).map(|(a, b)| a ^ b).collect();
        assert_eq!(unmasked, [b'a'; 300]);
    }

    #[test]
    fn types_are_told_by_their_first_bytes() {
        let head = Head { header_len: 2, payload_len: 100, opcode: 1, is_deflated: false };
        let kind = |text: &str| Kind::of(head, &text.as_bytes()[..text.len().min(PREFIX_BYTES)]);
        assert_eq!(kind(r#"{"type":"uwb.position_columns","subscription":"s1""#), Kind::Columns);
        assert_eq!(kind(r#"{"type":"system.connection","payload""#), Kind::Hello);
        assert_eq!(kind(r#"{"type":"system.connection_stats","payload""#), Kind::Stats);
        assert_eq!(kind(r#"{"type":"errors""#), Kind::Other);
    }
}
