//! Any bytes from a socket after its handshake; the cuts of the chunks must not matter.

use anita_ws::{Decoder, Limits, Message, Violation};

const LIMITS: Limits = Limits { message_bytes_max: 512, fragment_count_max: 8, queue_bytes_max: 1024 };

/// Decodes the bytes whole and in pieces.
pub fn run(bytes: &[u8]) {
    let whole = decode(bytes.chunks(bytes.len().max(1)));
    for size in [1, 7] {
        assert_eq!(decode(bytes.chunks(size)), whole, "chunks of {size}");
    }
}

/// Everything that comes out, and the violation that ended it.
fn decode<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<Message>, Option<Violation>) {
    let mut decoder = Decoder::new(LIMITS);
    let mut messages = Vec::new();
    for chunk in chunks {
        decoder.buffer_mut().extend_from_slice(chunk);
        loop {
            match decoder.next_message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(violation) => return (messages, Some(violation)),
            }
        }
        let bound = 2 * LIMITS.message_bytes_max + 2 * chunk.len() + 1024;
        assert!(decoder.held_bytes() <= bound, "{} bytes are held", decoder.held_bytes());
    }
    (messages, None)
}
