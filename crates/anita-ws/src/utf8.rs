//! Checks text that comes in pieces, and says no at the first byte that cannot belong to any text.

/// Some byte so far cannot be part of UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidUtf8;

/// The check of one text. It holds the beginning of a character whose end has not come yet, nothing else.
#[derive(Debug, Clone, Default)]
pub(crate) struct Utf8Check {
    /// The first `begun_count` bytes are a valid beginning of a character.
    begun: [u8; 4],
    begun_count: usize,
}

// === impl Utf8Check ===

impl Utf8Check {
    /// Takes the next bytes of the text. Whether the text may end here is not asked: who needs to know checks the
    /// whole of it.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Result<(), InvalidUtf8> {
        while self.begun_count > 0 {
            let Some((&byte, rest)) = bytes.split_first() else { return Ok(()) };
            self.push_byte(byte)?;
            bytes = rest;
        }
        match str::from_utf8(bytes) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_some() => Err(InvalidUtf8),
            Err(error) => {
                // What is left is a valid beginning of a character, at most three bytes.
                bytes
                    .get(error.valid_up_to()..)
                    .unwrap_or_default()
                    .iter()
                    .try_for_each(|&byte| self.push_byte(byte))
            }
        }
    }

    fn push_byte(&mut self, byte: u8) -> Result<(), InvalidUtf8> {
        // Four bytes always complete a character or are invalid, so there is always a free slot here.
        let slot = self.begun.get_mut(self.begun_count).ok_or(InvalidUtf8)?;
        *slot = byte;
        self.begun_count += 1;
        match str::from_utf8(self.begun.get(..self.begun_count).unwrap_or_default()) {
            Ok(_) => self.begun_count = 0,
            Err(error) if error.error_len().is_some() => return Err(InvalidUtf8),
            Err(_) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Where a text pushed byte by byte is refused.
    fn refused_at(bytes: &[u8]) -> Option<usize> {
        let mut check = Utf8Check::default();
        bytes.iter().position(|&byte| check.push(&[byte]).is_err())
    }

    #[test]
    fn the_first_impossible_byte_is_refused() {
        let cases: [(&[u8], Option<usize>); 12] = [
            ("κόσμε 😀".as_bytes(), None),
            (b"\xf4\x8f\xbf\xbf", None),
            (b"\xf4\x90", Some(1)),
            (b"a\xf5", Some(1)),
            (b"\xed\xa0", Some(1)),
            (b"\xc0", Some(0)),
            (b"\xc1", Some(0)),
            (b"\x80", Some(0)),
            (b"\xe0\x80", Some(1)),
            (b"\xf0\x80", Some(1)),
            (b"\xe2\x82a", Some(2)),
            (b"\xf0\x9f\x98", None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(refused_at(bytes), expected, "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_are_judged_as_the_standard_library_judges_the_whole(
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..12),
                ".{0,12}".prop_map(String::into_bytes),
                prop::collection::vec(prop::sample::select(&b"a\x80\xbf\xc3\xe0\xed\xf0\xf4\x90\x9f"[..]), 0..8),
            ],
            piece in 1_usize..5,
        ) {
            let mut check = Utf8Check::default();
            let outcome = bytes.chunks(piece).try_for_each(|bytes| check.push(bytes));
            match str::from_utf8(&bytes) {
                Ok(_) => prop_assert!(outcome.is_ok() && check.begun_count == 0),
                Err(error) if error.error_len().is_none() => prop_assert!(outcome.is_ok() && check.begun_count > 0),
                Err(_) => prop_assert!(outcome.is_err()),
            }
        }
    }
}
