//! One line of a CSV recording.

use anita_model::{DeviceId, Position, Timestamp};

use super::{Item, Sample, micros};
use crate::malformed::{Malformed, Reason, excerpt};

/// Where the columns are that matter.
#[derive(Debug)]
pub(super) struct Columns {
    time: TimeColumn,
    tag: (&'static str, usize),
    coordinates: [(&'static str, usize); 3],
    accuracy: Option<usize>,
    floor: Option<usize>,
    battery: Option<usize>,
    sequence: Option<usize>,
}

/// Which times a recording has.
#[derive(Debug)]
enum TimeColumn {
    /// Seconds, `t_s`.
    Secs(usize),
    /// RFC 3339, `timestamp`, as exports have it.
    Rfc3339(usize),
}

// === impl Columns ===

impl Columns {
    /// Finds the columns in the header; an error is the first one that is missing.
    pub(super) fn parse(header: &str) -> Result<Self, &'static str> {
        let names = split(header);
        let find = |name: &'static str| names.iter().position(|found| found.trim() == name).ok_or(name);
        let time = find("t_s").map(TimeColumn::Secs);
        let tag = |name| find(name).map(|index| (name, index));
        Ok(Self {
            time: time
                .or_else(|missing| find("timestamp").map(TimeColumn::Rfc3339).map_err(|_other| missing))?,
            tag: tag("tag_id").or_else(|missing| tag("device_id").map_err(|_other| missing))?,
            coordinates: [("x_m", find("x_m")?), ("y_m", find("y_m")?), ("z_m", find("z_m")?)],
            accuracy: find("accuracy_m").ok(),
            floor: find("floor").ok(),
            battery: find("battery_percent").ok(),
            sequence: find("sequence").ok(),
        })
    }

    /// Reads one line.
    pub(super) fn item(&self, line: &str) -> Item {
        let fields = split(line);
        let field = |name: &str, index: usize| {
            fields.get(index).map(|field| field.trim()).ok_or_else(|| Malformed::missing(name))
        };
        let time_us = match self.time {
            TimeColumn::Secs(index) => match number("t_s", field("t_s", index)?)? {
                Some(secs) => micros(secs, "t_s")?,
                None => return Err(Malformed::missing("t_s")),
            },
            TimeColumn::Rfc3339(index) => Timestamp::parse(field("timestamp", index)?)
                .map(Timestamp::as_micros)
                .map_err(|error| Malformed::new(Reason::BadTime, format!("`timestamp`: {error}")))?,
        };
        let (tag_name, tag_index) = self.tag;
        let tag = field(tag_name, tag_index)?;
        let device = DeviceId::parse(tag).map_err(|error| Malformed::id(&format!("`{tag_name}`"), &error))?;
        let mut coordinates_m = [0.0; 3];
        for (coordinate, (name, index)) in coordinates_m.iter_mut().zip(self.coordinates) {
            match number(name, field(name, index)?)? {
                Some(value) => *coordinate = value,
                None => return Ok(None),
            }
        }
        let [x_m, y_m, z_m] = coordinates_m;
        let position =
            Position::new(x_m, y_m, z_m).map_err(|error| Malformed::position("x_m,y_m,z_m", error))?;
        let further = |name: &str, index: Option<usize>| match index.and_then(|index| fields.get(index)) {
            Some(text) => number(name, text.trim()),
            None => Ok(None),
        };
        Ok(Some(Sample {
            time_us,
            device,
            position,
            accuracy_m: further("accuracy_m", self.accuracy)?,
            floor: further("floor", self.floor)?,
            battery_percent: further("battery_percent", self.battery)?,
            sequence: self.sequence.and_then(|index| fields.get(index)?.trim().parse().ok()),
        }))
    }
}

/// A number; `None` where the field is empty or NaN.
fn number(name: &str, field: &str) -> Result<Option<f64>, Malformed> {
    if field.is_empty() {
        return Ok(None);
    }
    let number: f64 = field.parse().map_err(|_not_a_number| {
        Malformed::new(Reason::NotANumber, format!("`{name}` is {}, not a number", excerpt(field)))
    })?;
    Ok((!number.is_nan()).then_some(number))
}

/// The fields of a line. A field in double quotes may hold commas, and a quote as two.
fn split(line: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut is_quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if is_quoted && characters.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    fields.push(field);
    fields
}
