//! What makes the payload of a compressed message of what a client sends (RFC 7692 section 7.2.2).

use flate2::{Decompress, FlushDecompress, Status};

use crate::Violation;

/// What the sender has cut off the end of a message, and behind it an empty last block: a stream that does not end with
/// it ended inside a block.
const TAIL: [u8; 9] = [0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff];

/// A client may use any window, whatever it has offered.
const WINDOW_BITS: u8 = 15;

/// The first room for output is so many times the input.
const RATIO_GUESSED: usize = 4;

/// The least that the room for output grows, bytes.
const GROWTH_BYTES_MIN: usize = 512;

/// About what the state holds while a message is under way, bytes: the window, and the tables of a block.
pub(crate) const STATE_BYTES: usize = 48 * 1024;

/// The state of one compressed message, made for it and dropped with it.
#[derive(Debug)]
pub(crate) struct Inflating {
    inflate: Decompress,
    /// Whether the next byte begins a stream: at the beginning, and after a block that says it is the last one.
    is_at_start: bool,
    /// The compressed bytes of the message, by the headers of its frames.
    pub(crate) claimed_bytes: usize,
}

// === impl Inflating ===

impl Inflating {
    pub(crate) fn new() -> Self {
        let inflate = Decompress::new_with_window_bits(false, WINDOW_BITS);
        Self { inflate, is_at_start: true, claimed_bytes: 0 }
    }

    /// Appends what the next bytes of the message give, and stops when the output has more than `bytes_max`.
    pub(crate) fn push(
        &mut self,
        mut input: &[u8],
        output: &mut Vec<u8>,
        bytes_max: usize,
    ) -> Result<(), Violation> {
        loop {
            make_room(output, input.len(), bytes_max);
            let read_before = self.inflate.total_in();
            let written_before = self.inflate.total_out();
            let inflated = self.inflate.decompress_vec(input, output, FlushDecompress::Sync);
            // First, because what is wrong behind it may not be here yet: the violation does not depend on the cuts.
            if output.len() > bytes_max {
                return Err(Violation::MessageTooBig { bytes_max });
            }
            let status = inflated.map_err(|_error| Violation::NotDeflate)?;
            let read_bytes = usize::try_from(self.inflate.total_in() - read_before).unwrap_or(usize::MAX);
            let is_still = read_bytes == 0 && self.inflate.total_out() == written_before;
            input = input.get(read_bytes..).unwrap_or_default();
            self.is_at_start &= read_bytes == 0;
            let is_full = output.len() == output.capacity();
            match status {
                Status::StreamEnd => {
                    // More blocks may follow the last one (section 7.2.3.4): as a stream of its own.
                    self.inflate.reset(false);
                    self.is_at_start = true;
                    if input.is_empty() {
                        return Ok(());
                    }
                }
                Status::Ok | Status::BufError if is_full => {}
                Status::Ok | Status::BufError if input.is_empty() => return Ok(()),
                Status::Ok | Status::BufError if is_still => return Err(Violation::NotDeflate),
                Status::Ok | Status::BufError => {}
            }
        }
    }

    /// The message has ended: appends what is still to come of it.
    pub(crate) fn finish(mut self, output: &mut Vec<u8>, bytes_max: usize) -> Result<(), Violation> {
        if !self.is_at_start {
            self.push(&TAIL, output, bytes_max)?;
        }
        if self.is_at_start { Ok(()) } else { Err(Violation::NotDeflate) }
    }
}

/// How many compressed bytes a message of at most so many bytes may have: an unlucky compressor adds an eighth, and
/// something for the ends of its blocks. More than that only costs time.
pub(crate) fn compressed_bytes_max(message_bytes_max: usize) -> usize {
    message_bytes_max.saturating_add(message_bytes_max / 8).saturating_add(1024)
}

/// There is room for at least one byte after it. It doubles, so that what is not there costs nothing, and it does not go
/// beyond what shows that the message is too big.
fn make_room(output: &mut Vec<u8>, input_bytes: usize, bytes_max: usize) {
    if output.len() < output.capacity() {
        return;
    }
    let wanted_bytes = output.len().max(input_bytes.saturating_mul(RATIO_GUESSED)).max(GROWTH_BYTES_MIN);
    let left_bytes = bytes_max.saturating_add(1).saturating_sub(output.len());
    output.reserve_exact(wanted_bytes.min(left_bytes).max(1));
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::DeflateEncoder;

    use super::*;

    /// So many bytes compressed, and behind them what is no block.
    fn spoilt(payload_bytes: usize) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&vec![0; payload_bytes]).unwrap();
        encoder.flush().unwrap();
        let mut bytes = encoder.get_ref().clone();
        bytes.push(0x07);
        bytes
    }

    /// Found by the fuzz target `ws_decoder`: what came in one piece was not deflate, in pieces it was too big.
    #[test]
    fn what_is_too_big_and_then_spoilt_is_too_big_however_it_is_cut() {
        for (payload_bytes, violation) in
            [(512, Violation::NotDeflate), (513, Violation::MessageTooBig { bytes_max: 512 })]
        {
            let bytes = spoilt(payload_bytes);
            for piece_bytes in [1, 7, bytes.len()] {
                let (mut inflating, mut output) = (Inflating::new(), Vec::new());
                let mut pieces = bytes.chunks(piece_bytes);
                let found = pieces.find_map(|piece| inflating.push(piece, &mut output, 512).err());
                assert_eq!(found, Some(violation), "{payload_bytes} bytes in pieces of {piece_bytes}");
            }
        }
    }
}
