//! What a message says of positions, read by looking for `z`: where a tag is on the z axis says when its fix was due.
//!
//! A fix that is due at a millisecond has that time, modulo 100 s, as its height in millimetres. So any form of delivery
//! tells how old it is, without asking the server for more than other viewers get.

use memchr::{memchr, memmem};

use crate::histogram::Histogram;
use crate::ws::Kind;

/// After so many milliseconds the heights begin again.
const TURN_MS: i64 = 100_000;

/// The height of a fix that is due then, millimetres.
pub(crate) fn height_mm(due_us: i64) -> i64 {
    due_us / 1_000 % TURN_MS
}

/// What a message held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) positions: u64,
    /// The age of the newest, microseconds; `i64::MAX` when there is none.
    pub(crate) newest_us: i64,
    /// The age of the oldest.
    pub(crate) oldest_us: i64,
}

/// Reads a message of positions, and records how old they are.
pub(crate) fn read(kind: Kind, body: &[u8], now_us: i64, ages: &mut Histogram) -> Read {
    let mut read = Read { positions: 0, newest_us: i64::MAX, oldest_us: 0 };
    let mut add = |z_mm: i64| {
        let age_us = (now_us - z_mm * 1_000).rem_euclid(TURN_MS * 1_000);
        // A clock that was set back a little is no age of 100 s.
        let age_us = if age_us > (TURN_MS - 5_000) * 1_000 { 0 } else { age_us };
        ages.record(age_us);
        read.positions += 1;
        read.newest_us = read.newest_us.min(age_us);
        read.oldest_us = read.oldest_us.max(age_us);
    };
    match kind {
        Kind::Location | Kind::Batch => {
            for place in memmem::find_iter(body, b"\"z\":") {
                add(millimetres(body.get(place + 4..).unwrap_or_default()));
            }
        }
        Kind::Columns => {
            let step_mm = if memmem::find(body, b"\"unit\":\"cm\"").is_some() { 10 } else { 1 };
            for number in column(body, b"\"z\":[").split(|byte| *byte == b',') {
                if let Some(steps) =
                    std::str::from_utf8(number).ok().and_then(|text| text.parse::<i64>().ok())
                {
                    add(steps * step_mm);
                }
            }
        }
        _ => {}
    }
    read
}

/// The text between the brackets of a column.
fn column<'a>(body: &'a [u8], name: &[u8]) -> &'a [u8] {
    let Some(start) = memmem::find(body, name) else { return &[] };
    let rest = body.get(start + name.len()..).unwrap_or_default();
    let end = memchr(b']', rest).unwrap_or(0);
    rest.get(..end).unwrap_or_default()
}

/// A number of metres with up to three digits behind the point, as millimetres.
fn millimetres(text: &[u8]) -> i64 {
    let mut mm = 0;
    let mut digits_left = None;
    for byte in text {
        match (byte, digits_left) {
            (b'0'..=b'9', Some(0)) => {}
            (b'0'..=b'9', _) => {
                mm = mm * 10 + i64::from(byte - b'0');
                digits_left = digits_left.map(|left: u32| left - 1);
            }
            (b'.', None) => digits_left = Some(3),
            _ => break,
        }
    }
    mm * 10_i64.pow(digits_left.unwrap_or(3))
}

/// The number after a name such as `"seq":`, where it first occurs.
pub(crate) fn number(body: &[u8], name: &str) -> Option<u64> {
    let rest = body.get(memmem::find(body, name.as_bytes())? + name.len()..)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok()
}

/// The string after a name such as `"epoch":`, where it first occurs; without escapes.
pub(crate) fn string(body: &[u8], name: &str) -> Option<String> {
    let rest = body.get(memmem::find(body, name.as_bytes())? + name.len()..)?.strip_prefix(b"\"")?;
    let end = memchr(b'"', rest)?;
    Some(String::from_utf8_lossy(rest.get(..end)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metres_become_millimetres() {
        let cases: [(&[u8], i64); 6] = [
            (b"1.25,", 1_250),
            (b"0.5}", 500),
            (b"7}", 7_000),
            (b"99.999}", 99_999),
            (b"3.0}", 3_000),
            (b"", 0),
        ];
        for (text, mm) in cases {
            assert_eq!(millimetres(text), mm, "{text:?}");
        }
    }

    #[test]
    fn every_form_tells_the_age() {
        let due_us = 1_772_366_400_123_000;
        let z_mm = height_mm(due_us);
        let metres = format!("{}.{:03}", z_mm / 1_000, z_mm % 1_000);
        let batch = format!(
            r#"{{"positions":{{"a":{{"x":1,"y":2,"z":{metres}}},"b":{{"x":1,"y":2,"z":{metres}}}}}}}"#
        );
        let columns = format!(r#"{{"unit":"mm","x":[1,2],"z":[{z_mm},{z_mm}]}}"#);
        for (kind, body) in [(Kind::Batch, batch), (Kind::Columns, columns)] {
            let mut ages = Histogram::default();
            let read = read(kind, body.as_bytes(), due_us + 7_500, &mut ages);
            assert_eq!(read, Read { positions: 2, newest_us: 7_500, oldest_us: 7_500 });
        }
    }

    #[test]
    fn numbers_and_strings_are_found() {
        let body = br#"{"type":"room.joined","payload":{"epoch":"9f2c","seq":42}}"#;
        assert_eq!(number(body, "\"seq\":"), Some(42));
        assert_eq!(string(body, "\"epoch\":").as_deref(), Some("9f2c"));
    }
}
