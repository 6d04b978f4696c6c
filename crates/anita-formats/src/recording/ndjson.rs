//! One line of an NDJSON recording, in whichever dialect.

use anita_model::{DeviceId, Timestamp};
use serde_json::{Map, Value};

use super::{Item, Sample, micros};
use crate::json::{self, Coordinates};
use crate::malformed::{Malformed, Reason};
use crate::pozyx;

/// Reads one line, which may hold several items.
pub(super) fn items(line: &str) -> Vec<Item> {
    match json::parse(line.as_bytes()) {
        Err(malformed) => vec![Err(malformed)],
        Ok(Value::Array(items)) => items.iter().map(item).collect(),
        Ok(value) => vec![item(&value)],
    }
}

fn item(value: &Value) -> Item {
    let members = json::object(value, "the line")?;
    let payload = members.get("payload").and_then(Value::as_object);
    if members.contains_key("device_id") {
        wire(members)
    } else if members.contains_key("tagId") {
        measured(value)
    } else if members.contains_key("t_s") {
        plain(members)
    } else if let (true, Some(payload)) = (members.contains_key("type"), payload) {
        // A log of messages holds other messages too; only those that carry a location are entries.
        if payload.contains_key("location") { wire(payload) } else { Ok(None) }
    } else {
        Err(Malformed::new(Reason::WrongShape, "neither t_s, device_id nor tagId: not a line of a recording"))
    }
}

/// A line with the names of the CSV columns.
fn plain(members: &Map<String, Value>) -> Item {
    let secs = json::number(members.get("t_s"), "t_s")?.ok_or_else(|| Malformed::missing("t_s"))?;
    let device = json::device(members, "tag_id")?;
    let mut named = Map::new();
    for (axis, name) in [("x", "x_m"), ("y", "y_m"), ("z", "z_m")] {
        let Some(value) = members.get(name) else { return Err(Malformed::missing(name)) };
        let is_empty = value.as_str().is_some_and(|text| text.trim().is_empty());
        named.insert(axis.to_owned(), if is_empty { Value::Null } else { value.clone() });
    }
    sample(micros(secs, "t_s")?, device, &named, members)
}

/// An item of the wire.
fn wire(members: &Map<String, Value>) -> Item {
    let device = json::device(members, "device_id")?;
    let location = match members.get("location") {
        None => return Err(Malformed::missing("location")),
        Some(Value::Null) => return Ok(None),
        Some(location) => json::object(location, "`location`")?,
    };
    let text = members.get("timestamp").ok_or_else(|| Malformed::missing("timestamp"))?;
    let taken_at = Timestamp::parse(text.as_str().unwrap_or_default())
        .map_err(|error| Malformed::new(Reason::BadTime, format!("`timestamp`: {error}")))?;
    sample(taken_at.as_micros(), device, location, members)
}

/// A message of a Pozyx gateway.
fn measured(value: &Value) -> Item {
    let measurement = pozyx::measurement(value)?;
    let Ok(position) = measurement.position else { return Ok(None) };
    let taken_at = measurement.taken_at.ok_or_else(|| Malformed::missing("timestamp"))?;
    Ok(Some(Sample {
        time_us: taken_at.as_micros(),
        device: measurement.device,
        position,
        accuracy_m: None,
        floor: None,
        battery_percent: None,
        sequence: None,
    }))
}

fn sample(
    time_us: i64,
    device: DeviceId,
    location: &Map<String, Value>,
    members: &Map<String, Value>,
) -> Item {
    let Coordinates::At(position) = json::coordinates(location, "location", 1.0)? else { return Ok(None) };
    let further = |field: &str| json::number(members.get(field), field);
    Ok(Some(Sample {
        time_us,
        device,
        position,
        accuracy_m: further("accuracy")?,
        floor: further("floor")?,
        battery_percent: further("battery")?,
        sequence: members.get("sequence").and_then(Value::as_u64),
    }))
}
