//! Compressed forms of complete frames of the server (RFC 7692 section 7.2.1).

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::{Compress, FlushCompress, Status};

use crate::{Opcode, compression, frame};

/// Shorter payloads are left as they are, bytes: they hardly become smaller.
pub const PAYLOAD_BYTES_MIN: usize = 256;

/// How hard to look for repetitions, 1 to 9. JSON of one kind is full of them: a batch of positions becomes 29 % of what
/// it was, and with level 6 27 % for more than twice the time.
const LEVEL: u32 = 2;

/// What the end of every message would be, and is left out (section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// What an eighth more than the payload leaves out: the ends of blocks, bytes.
const SPARE_BYTES: usize = 64;

/// A buffer that a big message has made larger is not kept, bytes.
const BUFFER_BYTES_KEPT_MAX: usize = 256 * 1024;

/// The bit of a frame's first byte that says its message is compressed (section 6).
const COMPRESSED: u8 = 0b0100_0000;

/// Makes compressed frames, each without the context of the ones before it, so that every connection that has agreed on
/// such a window can get them, see [`Agreed::window_bits`](crate::Agreed::window_bits).
///
/// It holds some 300 KiB: make one for a thread and a window, not for a connection.
pub struct Deflater {
    compress: Compress,
    window_bits: u8,
    buffer: Vec<u8>,
}

// === impl Deflater ===

impl Deflater {
    /// For windows of so many bits, 9 to 15; other numbers are the nearest of these.
    pub fn new(window_bits: u8) -> Self {
        let window_bits = compression::clamped(window_bits);
        Self { compress: compress_for(window_bits), window_bits, buffer: Vec::new() }
    }

    /// The size of the window, bits.
    pub fn window_bits(&self) -> u8 {
        self.window_bits
    }

    /// The payload compressed, if that makes it smaller.
    fn deflate(&mut self, payload: &[u8]) -> Option<&[u8]> {
        if self.buffer.capacity() > BUFFER_BYTES_KEPT_MAX {
            self.buffer = Vec::new();
        }
        self.buffer.clear();
        // Room for everything, although more than the payload is of no use: what is left inside takes a part of
        // zlib-rs's memory for ever, also after a reset, and when that is full it panics (0.6.8).
        self.buffer.reserve_exact(payload.len() + payload.len() / 8 + SPARE_BYTES);
        let status = self.compress.compress_vec(payload, &mut self.buffer, FlushCompress::Sync);
        let is_all_in = self.compress.total_in() == payload.len() as u64;
        let is_all_out = self.buffer.len() < self.buffer.capacity();
        if matches!(status, Ok(Status::Ok)) && is_all_in && is_all_out {
            self.compress.reset();
        } else {
            self.compress = compress_for(self.window_bits);
            return None;
        }
        let deflated = self.buffer.strip_suffix(&TAIL)?;
        (deflated.len() < payload.len()).then_some(deflated)
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Deflater").field("window_bits", &self.window_bits).finish_non_exhaustive()
    }
}

/// Raw DEFLATE with a window of so many bits.
fn compress_for(window_bits: u8) -> Compress {
    Compress::new_with_window_bits(flate2::Compression::new(LEVEL), false, window_bits)
}

/// The same frames, complete ones of the server in a row, with every text and binary message compressed that has at
/// least [`PAYLOAD_BYTES_MIN`] bytes and becomes smaller. The others stay as they are, which a receiver accepts (section
/// 6); so do control frames, and what is compressed already. If nothing changes it is the same memory.
pub(crate) fn deflated(frames: &Bytes, deflater: &mut Deflater) -> Bytes {
    let mut out = BytesMut::new();
    // What was gone over, and is not in `out` yet.
    let mut plain: &[u8] = frames;
    let mut plain_bytes = 0;
    while let Some((first, payload, frame_bytes)) = next_frame(plain.get(plain_bytes..).unwrap_or_default()) {
        let opcode = data_opcode(first).filter(|_| payload.len() >= PAYLOAD_BYTES_MIN);
        let smaller = opcode.and_then(|opcode| Some((opcode, deflater.deflate(payload)?)));
        let Some((opcode, payload)) = smaller else {
            plain_bytes += frame_bytes;
            continue;
        };
        let (before, rest) = plain.split_at(plain_bytes);
        out.reserve(before.len() + frame::HEADER_BYTES_MAX + payload.len());
        out.put_slice(before);
        frame::header_with_into(&mut out, COMPRESSED, opcode, payload.len());
        out.put_slice(payload);
        plain = rest.get(frame_bytes..).unwrap_or_default();
        plain_bytes = 0;
    }
    if out.is_empty() {
        return frames.clone();
    }
    out.put_slice(plain);
    out.freeze()
}

/// The opcode of a whole data message that is not compressed, by the first byte of its frame.
fn data_opcode(first: u8) -> Option<Opcode> {
    [Opcode::Text, Opcode::Binary].into_iter().find(|&opcode| frame::first_byte(opcode) == first)
}

/// The first byte of an unmasked frame, its payload, and how many bytes the frame has; if one is there as a whole.
fn next_frame(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (&[first, short], rest) = bytes.split_first_chunk()?;
    let (payload_bytes, rest) = match short {
        0..=125 => (usize::from(short), rest),
        126 => {
            let (&length, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(length)), rest)
        }
        127 => {
            let (&length, rest) = rest.split_first_chunk()?;
            (usize::try_from(u64::from_be_bytes(length)).ok()?, rest)
        }
        _ => return None,
    };
    let header_bytes = bytes.len() - rest.len();
    Some((first, rest.get(..payload_bytes)?, header_bytes + payload_bytes))
}

#[cfg(test)]
mod tests;
