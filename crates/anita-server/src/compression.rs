//! permessage-deflate (RFC 7692) without context takeover: a message is compressed by itself, so the compressed form of
//! what a class says is made once for all of its members.

use std::cell::RefCell;

use anita_ws::{Compression, Deflater, frame};
use bytes::Bytes;

/// The only window that is spoken, bits: one form for all. A client that asks for a smaller one is not compressed for.
const WINDOW_BITS: u8 = 15;

thread_local! {
    /// One for each thread that compresses; it holds some hundred KiB.
    static DEFLATER: RefCell<Option<Deflater>> = const { RefCell::new(None) };
}

/// What is offered to clients, where compression is on.
pub(crate) const OFFERED: Compression =
    Compression::Deflate { window_bits_min: WINDOW_BITS, window_bits_max: WINDOW_BITS };

/// Complete frames, those of them compressed for which it pays.
pub(crate) fn deflated(frames: &Bytes) -> Bytes {
    if frames.len() < frame::DEFLATED_PAYLOAD_BYTES_MIN {
        return frames.clone();
    }
    DEFLATER.with_borrow_mut(|deflater| {
        frame::deflated(frames, deflater.get_or_insert_with(|| Deflater::new(WINDOW_BITS)))
    })
}
