//! Tags that walk: the same seed gives the same walk.

use crate::positions::height_mm;

/// How far a tag walks between two fixes at most, millimetres on each axis.
const STEP_MM: i64 = 150;

/// A rectangle, metres.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(clippy::struct_field_names, reason = "the unit is in the name")]
pub(crate) struct Floor {
    pub(crate) x_m: f64,
    pub(crate) y_m: f64,
    pub(crate) width_m: f64,
    pub(crate) depth_m: f64,
}

impl Floor {
    pub(crate) const fn new(x_m: f64, y_m: f64, width_m: f64, depth_m: f64) -> Self {
        Self { x_m, y_m, width_m, depth_m }
    }
}

/// Random numbers that are the same in each run (`SplitMix64`).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ (it >> 31)
    }

    /// From 0 to `end`, without it.
    pub(crate) fn below(&mut self, end: f64) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64 * end
    }
}

/// One tag.
#[derive(Debug, Clone)]
pub(crate) struct Tag {
    pub(crate) id: String,
    x_mm: i64,
    y_mm: i64,
    dx_mm: i64,
    dy_mm: i64,
}

/// Tags on a floor.
#[derive(Debug, Clone)]
pub(crate) struct Tags {
    list: Vec<Tag>,
    floor: Floor,
}

/// The id of a tag.
pub(crate) fn id(number: usize) -> String {
    format!("tag-{number:05}")
}

impl Tags {
    pub(crate) fn new(numbers: std::ops::Range<usize>, floor: Floor, seed: u64) -> Self {
        let mut dice = Dice::new(seed ^ (numbers.start as u64) << 32);
        let mut step = {
            let mut dice = dice.clone();
            move || STEP_MM / 3 + (dice.next() % (2 * STEP_MM as u64 / 3)) as i64
        };
        let list = numbers.map(|number| Tag {
            id: id(number),
            x_mm: (floor.x_m.mul_add(1e3, dice.below(floor.width_m * 1e3))) as i64,
            y_mm: (floor.y_m.mul_add(1e3, dice.below(floor.depth_m * 1e3))) as i64,
            dx_mm: step(),
            dy_mm: -step(),
        });
        Self { list: list.collect(), floor }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Moves a tag on by one fix, turning at the walls.
    pub(crate) fn walk(&mut self, index: usize) -> Option<&Tag> {
        let floor = self.floor;
        let tag = self.list.get_mut(index)?;
        let walk = |place: &mut i64, step: &mut i64, start_m: f64, length_m: f64| {
            let (start_mm, end_mm) = ((start_m * 1e3) as i64, ((start_m + length_m) * 1e3) as i64);
            if !(start_mm..=end_mm).contains(&(*place + *step)) {
                *step = -*step;
            }
            *place = (*place + *step).clamp(start_mm, end_mm);
        };
        walk(&mut tag.x_mm, &mut tag.dx_mm, floor.x_m, floor.width_m);
        walk(&mut tag.y_mm, &mut tag.dy_mm, floor.y_m, floor.depth_m);
        Some(tag)
    }

    /// Moves a tag on, and appends its fix as an item of `report_location`.
    pub(crate) fn push_item(&mut self, index: usize, due_us: i64, time: &str, buffer: &mut Vec<u8>) {
        let Some(tag) = self.walk(index) else { return };
        buffer.extend_from_slice(b"{\"device_id\":\"");
        buffer.extend_from_slice(tag.id.as_bytes());
        buffer.extend_from_slice(b"\",\"location\":{\"x\":");
        push_metres(buffer, tag.x_mm);
        buffer.extend_from_slice(b",\"y\":");
        push_metres(buffer, tag.y_mm);
        buffer.extend_from_slice(b",\"z\":");
        push_metres(buffer, height_mm(due_us));
        buffer.extend_from_slice(b"},\"timestamp\":\"");
        buffer.extend_from_slice(time.as_bytes());
        buffer.extend_from_slice(b"\"}");
    }

    /// Moves a tag on, and appends its fix as a Pozyx gateway tells it.
    pub(crate) fn push_pozyx(&mut self, index: usize, due_us: i64, buffer: &mut Vec<u8>) {
        let Some(tag) = self.walk(index) else { return };
        buffer.extend_from_slice(b"{\"version\":\"2.0\",\"tagId\":\"");
        buffer.extend_from_slice(tag.id.as_bytes());
        buffer.extend_from_slice(b"\",\"success\":true,\"timestamp\":");
        push_number(buffer, due_us / 1_000_000);
        buffer.push(b'.');
        push_digits(buffer, due_us / 1_000 % 1_000);
        buffer.extend_from_slice(b",\"data\":{\"coordinates\":{\"x\":");
        push_number(buffer, tag.x_mm);
        buffer.extend_from_slice(b",\"y\":");
        push_number(buffer, tag.y_mm);
        buffer.extend_from_slice(b",\"z\":");
        push_number(buffer, height_mm(due_us));
        buffer.extend_from_slice(b"}}}");
    }
}

/// Appends a whole number.
pub(crate) fn push_number(buffer: &mut Vec<u8>, number: i64) {
    if number < 0 {
        buffer.push(b'-');
    }
    let start = buffer.len();
    let mut left = number.unsigned_abs();
    loop {
        buffer.push(b'0' + (left % 10) as u8);
        left /= 10;
        if left == 0 {
            break;
        }
    }
    buffer.get_mut(start..).unwrap_or_default().reverse();
}

/// Appends three digits.
fn push_digits(buffer: &mut Vec<u8>, number: i64) {
    for unit in [100, 10, 1] {
        buffer.push(b'0' + (number / unit % 10) as u8);
    }
}

/// Appends millimetres as metres.
pub(crate) fn push_metres(buffer: &mut Vec<u8>, mm: i64) {
    if mm < 0 {
        buffer.push(b'-');
    }
    push_number(buffer, mm.abs() / 1_000);
    buffer.push(b'.');
    push_digits(buffer, mm.abs() % 1_000);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metres_have_three_digits_behind_the_point() {
        for (mm, text) in [(0, "0.000"), (-1, "-0.001"), (12_345, "12.345"), (-70_020, "-70.020")] {
            let mut buffer = Vec::new();
            push_metres(&mut buffer, mm);
            assert_eq!(String::from_utf8(buffer).unwrap(), text);
        }
    }

    #[test]
    fn tags_stay_on_their_floor_and_always_move() {
        let floor = Floor::new(10.0, 20.0, 5.0, 5.0);
        let mut tags = Tags::new(0..20, floor, 1);
        for _ in 0..1_000 {
            for index in 0..20 {
                let before = tags.list[index].clone();
                let tag = tags.walk(index).unwrap();
                assert!((10_000..=15_000).contains(&tag.x_mm) && (20_000..=25_000).contains(&tag.y_mm));
                assert!((tag.x_mm, tag.y_mm) != (before.x_mm, before.y_mm));
            }
        }
    }
}
