//! Any bytes from a socket after its handshake, without and with compression; the cuts of the chunks must not matter.

use anita_ws::{Decoder, Limits, Message, Violation};

const LIMITS: Limits = Limits { message_bytes_max: 512, fragment_count_max: 8, queue_bytes_max: 1024 };

/// What inflating takes besides the message, bytes.
const INFLATING_BYTES_MAX: usize = 64 * 1024;

/// Whether compression was negotiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    Off,
    Deflate,
}

/// Decodes the bytes whole and in pieces.
pub fn run(bytes: &[u8]) {
    for compression in [Compression::Off, Compression::Deflate] {
        let whole = decode(bytes.chunks(bytes.len().max(1)), compression);
        for size in [1, 7] {
            let pieces = decode(bytes.chunks(size), compression);
            assert_eq!(pieces, whole, "chunks of {size}, {compression:?}");
        }
    }
}

/// Everything that comes out, and the violation that ended it.
fn decode<'a>(
    chunks: impl Iterator<Item = &'a [u8]>,
    compression: Compression,
) -> (Vec<Message>, Option<Violation>) {
    let mut decoder = Decoder::new(LIMITS);
    let mut extra_bytes = 1024;
    if compression == Compression::Deflate {
        decoder.accept_compressed();
        extra_bytes += INFLATING_BYTES_MAX;
    }
    let mut messages = Vec::new();
    for chunk in chunks {
        decoder.buffer_mut().extend_from_slice(chunk);
        loop {
            match decoder.next_message() {
                Ok(Some(message)) => messages.push(sized(message)),
                Ok(None) => break,
                Err(violation) => return (messages, Some(violation)),
            }
        }
        let bound = 2 * LIMITS.message_bytes_max + 2 * chunk.len() + extra_bytes;
        assert!(decoder.held_bytes() <= bound, "{} bytes are held", decoder.held_bytes());
    }
    (messages, None)
}

/// The message, which is within the limit.
fn sized(message: Message) -> Message {
    let payload_bytes = match &message {
        Message::Text(text) => text.len(),
        Message::Binary(payload) => payload.len(),
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) => 0,
    };
    assert!(payload_bytes <= LIMITS.message_bytes_max, "a message of {payload_bytes} bytes");
    message
}
