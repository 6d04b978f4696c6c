//! Numbers and texts as bytes.

use super::Damaged;

/// Appends a number: seven bits a byte, the lowest first; the highest bit says that there is more.
pub(crate) fn put_unsigned(mut value: u64, out: &mut Vec<u8>) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

/// The same for numbers that may be negative: 0, -1, 1, -2, 2, … become 0, 1, 2, 3, 4, …
pub(crate) fn put_signed(value: i64, out: &mut Vec<u8>) {
    put_unsigned(((value << 1) ^ (value >> 63)).cast_unsigned(), out);
}

/// Appends a text with its length.
pub(crate) fn put_text(text: &str, out: &mut Vec<u8>) {
    put_unsigned(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

/// Reads what was appended.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Damaged> {
        let (first, rest) = self.rest.split_first().ok_or(Damaged)?;
        self.rest = rest;
        Ok(*first)
    }

    pub(crate) fn unsigned(&mut self) -> Result<u64, Damaged> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if shift == 63 && bits > 1 {
                return Err(Damaged);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Damaged)
    }

    pub(crate) fn signed(&mut self) -> Result<i64, Damaged> {
        let value = self.unsigned()?;
        Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    pub(crate) fn float(&mut self) -> Result<f64, Damaged> {
        let (bits, rest) = self.rest.split_first_chunk::<8>().ok_or(Damaged)?;
        self.rest = rest;
        Ok(f64::from_bits(u64::from_le_bytes(*bits)))
    }

    /// How many things follow, each of at least so many bytes: never more than there are bytes for.
    pub(crate) fn count(&mut self, each_min: usize) -> Result<usize, Damaged> {
        let count = usize::try_from(self.unsigned()?).map_err(|_too_large| Damaged)?;
        if count > self.rest.len() / each_min.max(1) {
            return Err(Damaged);
        }
        Ok(count)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Damaged> {
        let length = self.count(1)?;
        let (text, rest) = self.rest.split_at_checked(length).ok_or(Damaged)?;
        self.rest = rest;
        std::str::from_utf8(text).map_err(|_not_utf8| Damaged)
    }

    /// Nothing may follow.
    pub(crate) fn end(&self) -> Result<(), Damaged> {
        if self.rest.is_empty() { Ok(()) } else { Err(Damaged) }
    }
}
