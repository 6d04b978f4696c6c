//! The MQTT messages of a Pozyx gateway, versions 1 (a bare object), 1.4 and 2.0 (arrays), topics `tags` and `tags/<id>`.
//!
//! Coordinates are millimetres, times are seconds since the Unix epoch with a fraction. A measurement that failed
//! (`success: false`) has no coordinates and is a [`NoPosition`], not an error. The `score` is no length, so no accuracy is
//! made of it. Times run backwards now and then: messages come in the order the gateway solved them in.

use anita_model::{DeviceId, Fix, NoPosition, Position, Report, Timestamp};
use serde_json::{Map, Value};

use crate::json::{self, Coordinates};
use crate::malformed::{Malformed, Reason, excerpt};
use crate::{Decoded, Delivery, Origin};

const MM_PER_METRE: f64 = 1_000.0;

/// The words for failures that come with a number only, by that number.
const ERRORS: [&str; 16] = [
    "error_0",
    "error_1",
    "error_2",
    "error_3",
    "error_4",
    "error_5",
    "error_6",
    "invalid_solution",
    "error_8",
    "error_9",
    "error_10",
    "error_11",
    "error_12",
    "error_13",
    "error_14",
    "error_15",
];

/// One measurement of one tag, as the gateway tells it.
pub(crate) struct Measurement {
    pub(crate) device: DeviceId,
    /// `None` when the gateway gives no time.
    pub(crate) taken_at: Option<Timestamp>,
    /// Where; or a word for why it is not known.
    pub(crate) position: Result<Position, &'static str>,
}

/// Decodes one message, item by item.
///
/// An empty payload and a retained message say nothing about now, and give nothing.
pub fn decode(payload: &[u8], delivery: Delivery, origin: &Origin) -> Decoded {
    let mut decoded = Decoded::default();
    if payload.is_empty() || delivery == Delivery::Retained {
        return decoded;
    }
    match json::parse(payload) {
        Err(malformed) => decoded.malformed.push(malformed),
        Ok(Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                let measurement =
                    measurement(item).map_err(|malformed| malformed.at(format_args!("item {index}")));
                decoded.push(measurement.map(|measurement| Some(report(measurement, origin))));
            }
        }
        Ok(item) => decoded.push(measurement(&item).map(|measurement| Some(report(measurement, origin)))),
    }
    decoded
}

/// Reads one item.
pub(crate) fn measurement(item: &Value) -> Result<Measurement, Malformed> {
    let members = json::object(item, "the item")?;
    check_version(members.get("version"))?;
    let device = json::device(members, "tagId")?;
    let taken_at = taken_at(members)?;
    let position = match members.get("success") {
        Some(Value::Bool(false)) => Err(failure(members.get("errorCode"))),
        _ => position(members)?.ok_or("no_coordinates"),
    };
    Ok(Measurement { device, taken_at, position })
}

fn report(measurement: Measurement, origin: &Origin) -> Report {
    let Measurement { device, taken_at, position } = measurement;
    match position {
        Err(reason) => {
            Report::NoPosition(NoPosition { device: Some(device), reason, source: origin.source.clone() })
        }
        Ok(position) => Report::Fix(Fix {
            device,
            site: origin.site.clone(),
            position,
            accuracy_m: None,
            floor: None,
            battery_percent: None,
            taken_at: taken_at.unwrap_or(origin.received_at),
            received_at: origin.received_at,
            source: origin.source.clone(),
            sequence: None,
        }),
    }
}

/// Units may change with a major version, so an unknown one is refused and not guessed. None at all is taken.
fn check_version(version: Option<&Value>) -> Result<(), Malformed> {
    let text = match version {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    match text.split('.').next() {
        Some("1" | "2") => Ok(()),
        _ => Err(Malformed::new(Reason::UnknownVersion, format!("version {} is not known", excerpt(&text)))),
    }
}

fn taken_at(members: &Map<String, Value>) -> Result<Option<Timestamp>, Malformed> {
    let bad_time = |what: String| Malformed::new(Reason::BadTime, what);
    match json::number(members.get("timestamp"), "timestamp") {
        Ok(None) => Ok(None),
        Ok(Some(secs)) => Timestamp::from_secs_f64(secs)
            .map(Some)
            .map_err(|_out_of_range| bad_time("`timestamp` is not a time in seconds since 1970".into())),
        Err(malformed) => Err(bad_time(malformed.to_string())),
    }
}

fn position(members: &Map<String, Value>) -> Result<Option<Position>, Malformed> {
    let coordinates = members.get("data").and_then(|data| data.get("coordinates"));
    let Some(coordinates) = coordinates.filter(|coordinates| !coordinates.is_null()) else { return Ok(None) };
    let field = "data.coordinates";
    match json::coordinates(json::object(coordinates, field)?, field, MM_PER_METRE)? {
        Coordinates::At(position) => Ok(Some(position)),
        Coordinates::None => Ok(None),
    }
}

/// A stable word for an error code, which comes as `"7 - Positioning result is considered invalid"` or as a number.
fn failure(code: Option<&Value>) -> &'static str {
    let number = match code {
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => {
            let digits = text.trim_start();
            let end = digits.find(|character: char| !character.is_ascii_digit()).unwrap_or(digits.len());
            digits.get(..end).and_then(|digits| digits.parse().ok())
        }
        _ => None,
    };
    let index = number.and_then(|number| usize::try_from(number).ok());
    index.and_then(|index| ERRORS.get(index)).copied().unwrap_or("failed")
}
