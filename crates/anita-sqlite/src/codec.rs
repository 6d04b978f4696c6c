//! Fixes as bytes: each as its difference to the one before, in variable-length numbers.
//!
//! A **journal** body holds the fixes of one commit, of any devices: the format's number, how many there are, and for each
//! the number of its device and the fix. A **block** body holds fixes of one device in their order: the format's number,
//! how many there are, and the fixes. Whatever bytes come in, decoding gives fixes or [`Damaged`], in memory that is
//! bounded by their length.

mod bytes;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use bytes::{Reader, put_signed, put_text, put_unsigned};

use crate::point::{Extras, Key, Place, Point};

/// The number of the present format.
const FORMAT: u8 = 1;

/// The fewest bytes that a fix takes: the flags, two times, three coordinates.
const FIX_BYTES_MIN: usize = 6;

/// Bytes that are none of ours, or not all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored fixes are damaged")]
pub struct Damaged;

/// What is different from the fix before, and what is there.
mod flags {
    pub(super) const ORIGIN: u8 = 1;
    pub(super) const ACCURACY: u8 = 2;
    pub(super) const FLOOR: u8 = 4;
    pub(super) const BATTERY: u8 = 8;
    /// It has a sequence.
    pub(super) const SEQUENCE: u8 = 16;
    /// The one before had it, this one has not.
    pub(super) const NO_ACCURACY: u8 = 32;
    pub(super) const NO_FLOOR: u8 = 64;
    pub(super) const NO_BATTERY: u8 = 128;
}

/// What both sides remember of the fix before.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Before {
    place: Now,
    extras: Extras,
    accuracy_mm: i64,
    sequence: u64,
    origin: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Now {
    taken_us: i64,
    delay_us: i64,
    mm: [i64; 3],
}

/// Writes fixes one after the other.
#[derive(Debug, Clone, Copy, Default)]
struct Encoder {
    before: Before,
}

impl Encoder {
    fn put(&mut self, point: &Point, out: &mut Vec<u8>) {
        let before = &mut self.before;
        let extras = point.extras();
        let mut flags = 0;
        if point.origin != before.origin {
            flags |= flags::ORIGIN;
        }
        flags |= match (before.extras.accuracy_mm, extras.accuracy_mm) {
            (Some(_known), None) => flags::NO_ACCURACY,
            (known, Some(value)) if known != Some(value) => flags::ACCURACY,
            _ => 0,
        };
        flags |= change(before.extras.floor, extras.floor, flags::FLOOR, flags::NO_FLOOR);
        let (there, gone) = (flags::BATTERY, flags::NO_BATTERY);
        flags |= change(before.extras.battery_percent, extras.battery_percent, there, gone);
        if extras.sequence.is_some() {
            flags |= flags::SEQUENCE;
        }
        out.push(flags);
        let now = Now {
            taken_us: point.taken_us,
            delay_us: point.received_us.wrapping_sub(point.taken_us),
            mm: [point.x_mm, point.y_mm, point.z_mm],
        };
        put_signed(now.taken_us.wrapping_sub(before.place.taken_us), out);
        put_signed(now.delay_us.wrapping_sub(before.place.delay_us), out);
        for (mm, known) in now.mm.iter().zip(before.place.mm) {
            put_signed(mm.wrapping_sub(known), out);
        }
        if flags & flags::ORIGIN != 0 {
            put_unsigned(point.origin.into(), out);
            before.origin = point.origin;
        }
        if let Some(accuracy_mm) = extras.accuracy_mm.filter(|_it| flags & flags::ACCURACY != 0) {
            put_signed(accuracy_mm.wrapping_sub(before.accuracy_mm), out);
            before.accuracy_mm = accuracy_mm;
        }
        for (flag, value) in [(flags::FLOOR, extras.floor), (flags::BATTERY, extras.battery_percent)] {
            if let Some(value) = value.filter(|_it| flags & flag != 0) {
                out.extend_from_slice(&value.to_bits().to_le_bytes());
            }
        }
        if let Some(sequence) = extras.sequence {
            put_signed(sequence.wrapping_sub(before.sequence).cast_signed(), out);
            before.sequence = sequence;
        }
        before.place = now;
        before.extras = extras;
    }
}

/// Which flag says what became of a number; equal is equal in every bit.
fn change(before: Option<f64>, now: Option<f64>, there: u8, gone: u8) -> u8 {
    match (before, now) {
        (Some(_known), None) => gone,
        (known, Some(value)) if known.map(f64::to_bits) != Some(value.to_bits()) => there,
        _ => 0,
    }
}

/// Reads them.
#[derive(Debug, Default)]
struct Decoder {
    before: Before,
}

impl Decoder {
    fn take(&mut self, reader: &mut Reader<'_>) -> Result<Point, Damaged> {
        let before = &mut self.before;
        let flags = reader.byte()?;
        let is = |flag: u8| flags & flag != 0;
        let taken_us = before.place.taken_us.wrapping_add(reader.signed()?);
        let delay_us = before.place.delay_us.wrapping_add(reader.signed()?);
        let mut mm = before.place.mm;
        for known in &mut mm {
            *known = known.wrapping_add(reader.signed()?);
        }
        before.place = Now { taken_us, delay_us, mm };
        if is(flags::ORIGIN) {
            before.origin = u32::try_from(reader.unsigned()?).map_err(|_too_large| Damaged)?;
        }
        if is(flags::ACCURACY) {
            before.accuracy_mm = before.accuracy_mm.wrapping_add(reader.signed()?);
            before.extras.accuracy_mm = Some(before.accuracy_mm);
        }
        if is(flags::NO_ACCURACY) {
            before.extras.accuracy_mm = None;
        }
        if is(flags::FLOOR) {
            before.extras.floor = Some(reader.float()?);
        }
        if is(flags::NO_FLOOR) {
            before.extras.floor = None;
        }
        if is(flags::BATTERY) {
            before.extras.battery_percent = Some(reader.float()?);
        }
        if is(flags::NO_BATTERY) {
            before.extras.battery_percent = None;
        }
        before.extras.sequence = None;
        if is(flags::SEQUENCE) {
            before.sequence = before.sequence.wrapping_add(reader.signed()?.cast_unsigned());
            before.extras.sequence = Some(before.sequence);
        }
        let received_us = taken_us.wrapping_add(delay_us);
        Point::new(before.origin, Place { taken_us, received_us, mm }, before.extras).ok_or(Damaged)
    }
}

/// Packs the fixes of a commit: each with the number of its device.
pub(crate) fn journal(points: &[(i64, Point)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + points.len() * 24);
    out.push(FORMAT);
    put_unsigned(points.len() as u64, &mut out);
    let mut encoder = Encoder::default();
    for (device, point) in points {
        put_signed(*device, &mut out);
        encoder.put(point, &mut out);
    }
    out
}

/// The fixes of a commit, each with the number of its device.
///
/// # Errors
/// [`Damaged`].
pub(crate) fn read_journal(bytes: &[u8]) -> Result<Vec<(i64, Point)>, Damaged> {
    let (mut reader, count) = begin(bytes, FIX_BYTES_MIN + 1)?;
    let mut decoder = Decoder::default();
    let mut points = Vec::with_capacity(count);
    for _ in 0..count {
        points.push((reader.signed()?, decoder.take(&mut reader)?));
    }
    reader.end()?;
    Ok(points)
}

/// Packs the first fixes of one device, in their order, into a body of about so many bytes and fixes at most: one fix at
/// least, and never only some of those of the same time. Says how many it took.
pub(crate) fn block(points: &[Point], bytes_max: usize, fixes_max: usize) -> (Vec<u8>, usize) {
    let mut fixes = Vec::with_capacity(bytes_max.min(points.len() * 24) + 128);
    let mut encoder = Encoder::default();
    // Where the last time that is complete ends: after how many fixes and bytes.
    let mut border = (0, 0);
    let mut last_us = None;
    let mut taken = 0;
    for point in points {
        if last_us != Some(point.taken_us) {
            border = (taken, fixes.len());
            last_us = Some(point.taken_us);
        }
        encoder.put(point, &mut fixes);
        taken += 1;
        if (fixes.len() > bytes_max || taken > fixes_max) && border.0 > 0 {
            taken = border.0;
            fixes.truncate(border.1);
            break;
        }
    }
    let mut body = Vec::with_capacity(fixes.len() + 11);
    body.push(FORMAT);
    put_unsigned(taken as u64, &mut body);
    body.append(&mut fixes);
    (body, taken)
}

/// The fixes of a block that is asked for. One that can't be read has none, and is told of in the log: what else there
/// is must not be kept from whoever asks.
pub(crate) fn legible_block(body: &[u8]) -> Vec<Point> {
    read_block(body).unwrap_or_else(|error| {
        tracing::error!(%error, "a block of fixes can't be read, and is left out of an answer");
        Vec::new()
    })
}

/// The fixes of a block, in their order.
///
/// # Errors
/// [`Damaged`].
pub(crate) fn read_block(bytes: &[u8]) -> Result<Vec<Point>, Damaged> {
    let (mut reader, count) = begin(bytes, FIX_BYTES_MIN)?;
    let mut decoder = Decoder::default();
    let mut points: Vec<Point> = Vec::with_capacity(count);
    for _ in 0..count {
        let point = decoder.take(&mut reader)?;
        if points.last().is_some_and(|last| last.key() >= point.key()) {
            return Err(Damaged);
        }
        points.push(point);
    }
    reader.end()?;
    Ok(points)
}

/// The last fix of a block up to a key.
///
/// # Errors
/// [`Damaged`].
pub(crate) fn last_of_block(bytes: &[u8], up_to: Key) -> Result<Option<Point>, Damaged> {
    let (mut reader, count) = begin(bytes, FIX_BYTES_MIN)?;
    let mut decoder = Decoder::default();
    let mut last = None;
    for _ in 0..count {
        let point = decoder.take(&mut reader)?;
        if point.key() > up_to {
            break;
        }
        last = Some(point);
    }
    Ok(last)
}

fn begin(bytes: &[u8], each_min: usize) -> Result<(Reader<'_>, usize), Damaged> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != FORMAT {
        return Err(Damaged);
    }
    let count = reader.count(each_min)?;
    Ok((reader, count))
}

/// For the fuzz target: any bytes as bodies. What is read has to be the same when it is written and read again.
///
/// # Panics
/// When it is not.
pub fn fuzz(bytes: &[u8]) {
    if let Ok(points) = read_journal(bytes) {
        assert!(read_journal(&journal(&points)).is_ok_and(|again| same(&again, &points)), "a journal");
    }
    if let Ok(points) = read_block(bytes) {
        let (body, taken) = block(&points, usize::MAX >> 1, usize::MAX);
        assert!(taken == points.len(), "all of a block");
        assert!(read_block(&body).is_ok_and(|again| same(&again, &points)), "a block");
    }
    if let Ok(records) = crate::records::read(bytes) {
        assert!(crate::records::read(&crate::records::write(&records)).is_ok(), "records");
    }
}

/// Whether they are the same, where a number that is not a number is the same as itself.
fn same<T: std::fmt::Debug>(a: &[T], b: &[T]) -> bool {
    format!("{a:?}") == format!("{b:?}")
}
