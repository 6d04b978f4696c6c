//! Bytes of a serial line cut into lines of text.

use crate::malformed::{Malformed, Reason, excerpt};

/// The longest line, bytes. The longest real one, a position from fifteen anchors, has some 600.
pub const LINE_BYTES_MAX: usize = 1_024;

/// Collects bytes and gives whole lines. Holds at most [`LINE_BYTES_MAX`] bytes, whatever comes.
///
/// A line ends with CR, LF, or both; empty lines are left out. A longer line than allowed is one damaged line: what is left
/// of it is skipped to its end. A line that is not UTF-8 is damaged too.
#[derive(Debug, Default)]
pub struct LineBuffer {
    bytes: Vec<u8>,
    is_overlong: bool,
}

// === impl LineBuffer ===

impl LineBuffer {
    /// Takes what came and gives the lines that are whole now.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Result<String, Malformed>> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\r' | b'\n')) {
            match piece.split_last() {
                Some((b'\r' | b'\n', rest)) => {
                    lines.extend(self.keep(rest));
                    lines.extend(self.cut());
                }
                _ => lines.extend(self.keep(piece)),
            }
        }
        lines
    }

    /// The bytes of the line that has not ended yet: a prompt, for one, never ends.
    pub fn partial(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds to the line that has not ended; an error, once a line, when it gets too long.
    fn keep(&mut self, bytes: &[u8]) -> Option<Result<String, Malformed>> {
        if self.is_overlong {
            return None;
        }
        if self.bytes.len() + bytes.len() <= LINE_BYTES_MAX {
            self.bytes.extend_from_slice(bytes);
            return None;
        }
        self.is_overlong = true;
        let start = excerpt(&String::from_utf8_lossy(&self.bytes));
        self.bytes.clear();
        let what = format!("a line of more than {LINE_BYTES_MAX} bytes: {start}");
        Some(Err(Malformed::new(Reason::DamagedLine, what)))
    }

    /// Ends the line.
    fn cut(&mut self) -> Option<Result<String, Malformed>> {
        let bytes = std::mem::take(&mut self.bytes);
        if std::mem::take(&mut self.is_overlong) || bytes.is_empty() {
            return None;
        }
        Some(String::from_utf8(bytes).map_err(|error| {
            Malformed::damaged("a line that is not UTF-8", &String::from_utf8_lossy(error.as_bytes()))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut buffer = LineBuffer::default();
        let shown =
            |line: Result<String, Malformed>| line.unwrap_or_else(|error| format!("! {}", error.reason()));
        chunks.iter().flat_map(|chunk| buffer.push(chunk)).map(shown).collect()
    }

    #[test]
    fn lines_end_with_cr_or_lf_or_both_wherever_the_chunks_are_cut() {
        assert_eq!(lines(&[b"a\nb\rc\r\nd"]), ["a", "b", "c"]);
        assert_eq!(lines(&[b"PO", b"S,1\r", b"\n", b"\r\n\nx\n"]), ["POS,1", "x"]);
    }

    #[test]
    fn an_overlong_line_is_one_damaged_line_and_the_next_one_is_whole() {
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        assert_eq!(lines(&[&long, &long, b"\nok\n"]), ["! damaged_line", "ok"]);
        let longest = vec![b'x'; LINE_BYTES_MAX];
        assert_eq!(lines(&[&longest, b"\n"]), [String::from_utf8(longest.clone()).unwrap()]);
    }

    #[test]
    fn a_line_that_is_not_text_is_damaged() {
        assert_eq!(lines(&[b"\xff\xfe\nok\n"]), ["! damaged_line", "ok"]);
    }

    proptest! {
        #[test]
        fn the_lines_do_not_depend_on_how_the_bytes_are_cut(
            // Runs of one byte, some longer than a line may be.
            runs in proptest::collection::vec((0_usize..1_500, any::<u8>(), prop_oneof![Just(b'\n'), Just(b'\r')]), 0..6),
            cut in 1_usize..500,
        ) {
            let bytes: Vec<u8> = runs
                .into_iter()
                .flat_map(|(len, byte, end)| std::iter::repeat_n(byte, len).chain([end]))
                .collect();
            let chunks: Vec<&[u8]> = bytes.chunks(cut).collect();
            prop_assert_eq!(lines(&chunks), lines(&[&bytes]));
        }

        #[test]
        fn memory_is_bounded(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..900), 0..20)) {
            let mut buffer = LineBuffer::default();
            for chunk in chunks {
                drop(buffer.push(&chunk));
                prop_assert!(buffer.partial().len() <= LINE_BYTES_MAX);
            }
        }
    }
}
