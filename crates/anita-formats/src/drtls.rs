//! The MQTT messages of a Qorvo/Decawave DRTLS gateway (PANS R2, Leaps PANS PRO), prefix `dwm` by default.
//!
//! | topic | says | becomes |
//! | --- | --- | --- |
//! | `<prefix>/node/<id>/uplink/location` | position in metres, quality in percent | a fix, or no position |
//! | `<prefix>/node/<id>/uplink/status` | battery, presence | a sighting |
//! | `<prefix>/node/<id>/uplink/config` | label, tag or anchor, an anchor's place | a sighting |
//! | `<prefix>/node/<id>/uplink/data` | bytes of the user's own | a sign of life |
//! | `<prefix>/node/<id>/downlink/…`, `<prefix>/gateway/…`, `<prefix>/server` | nothing about a device | nothing |
//!
//! A location has no time of its own; its arrival stands in. The quality is a percentage and says nothing in metres, so no
//! accuracy is made of it. The `timestamp` of a status is not used: silence counts from arrival.

use anita_model::{DeviceId, DeviceKind, Fix, NoPosition, Report, Sighting};
use serde_json::{Map, Value};

use crate::json::{self, Coordinates};
use crate::malformed::{Malformed, Reason, excerpt};
use crate::{Decoded, Delivery, Origin};

/// The longest label that is kept, characters.
const NAME_CHARS_MAX: usize = 128;

/// What the topic says the payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Uplink {
    Location,
    Status,
    Config,
    Data,
}

/// Decodes one message.
///
/// An empty payload is a retained message that was cleared, and says nothing. A retained location is as old as the broker's
/// memory and is left out; retained status and configuration hold.
pub fn decode(topic: &str, payload: &[u8], delivery: Delivery, origin: &Origin) -> Decoded {
    read(topic, payload, delivery, origin).map_err(|malformed| malformed.at(excerpt(topic))).into()
}

fn read(
    topic: &str,
    payload: &[u8],
    delivery: Delivery,
    origin: &Origin,
) -> Result<Option<Report>, Malformed> {
    let Some((device, uplink)) = parse_topic(topic)? else { return Ok(None) };
    if payload.is_empty() {
        return Ok(None);
    }
    match (uplink, delivery) {
        (Uplink::Location | Uplink::Data, Delivery::Retained) => Ok(None),
        (Uplink::Location, Delivery::Live) => location(device, payload, origin).map(Some),
        (Uplink::Data, Delivery::Live) => Ok(Some(Report::Sighting(sighting(device, origin)))),
        (Uplink::Status, _) => status(device, payload, origin).map(Some),
        (Uplink::Config, _) => config(device, payload, origin).map(Some),
    }
}

/// Which device a topic is about, and what its payload is; `None` for the known topics that are about none.
fn parse_topic(topic: &str) -> Result<Option<(DeviceId, Uplink)>, Malformed> {
    let unknown = || Malformed::new(Reason::UnknownTopic, "not a topic of a DRTLS gateway");
    let levels: Vec<&str> = topic.split('/').collect();
    if let [.., "node", id, "uplink", uplink] = levels.as_slice() {
        let uplink = match *uplink {
            "location" => Uplink::Location,
            "status" => Uplink::Status,
            "config" => Uplink::Config,
            "data" => Uplink::Data,
            _ => return Err(unknown()),
        };
        let device = DeviceId::parse(id).map_err(|error| Malformed::id("the id in the topic", &error))?;
        return Ok(Some((device, uplink)));
    }
    match levels.as_slice() {
        [.., "node", _, "downlink", _]
        | [.., "gateway", _, "uplink" | "downlink"]
        | [.., "gateway", _, "uplink" | "downlink", _]
        | [.., "gateway", _]
        | [_, .., "server"] => Ok(None),
        _ => Err(unknown()),
    }
}

fn location(device: DeviceId, payload: &[u8], origin: &Origin) -> Result<Report, Malformed> {
    let message = json::parse(payload)?;
    let members = json::object(&message, "the message")?;
    let position = members.get("position");
    let position = position.ok_or_else(|| Malformed::missing("position"))?;
    let coordinates = if position.is_null() {
        Coordinates::None
    } else {
        json::coordinates(json::object(position, "`position`")?, "position", 1.0)?
    };
    Ok(match coordinates {
        Coordinates::None => Report::NoPosition(NoPosition {
            device: Some(device),
            reason: "no_solution",
            source: origin.source.clone(),
        }),
        Coordinates::At(position) => Report::Fix(Fix {
            device,
            site: origin.site.clone(),
            position,
            accuracy_m: None,
            floor: None,
            battery_percent: None,
            taken_at: origin.received_at,
            received_at: origin.received_at,
            source: origin.source.clone(),
            sequence: members.get("superFrameNumber").and_then(Value::as_u64),
        }),
    })
}

fn status(device: DeviceId, payload: &[u8], origin: &Origin) -> Result<Report, Malformed> {
    let message = json::parse(payload)?;
    let members = json::object(&message, "the message")?;
    let battery = json::number(members.get("batt"), "batt")?;
    let mut sighting = sighting(device, origin);
    // Some firmware writes millivolts here; what is no percentage is left out.
    sighting.battery_percent = battery.filter(|battery| (0.0..=100.0).contains(battery));
    sighting.is_present = members.get("present").and_then(Value::as_bool);
    Ok(Report::Sighting(sighting))
}

fn config(device: DeviceId, payload: &[u8], origin: &Origin) -> Result<Report, Malformed> {
    let message = json::parse(payload)?;
    let configuration = json::object(&message, "the message")?
        .get("configuration")
        .ok_or_else(|| Malformed::missing("configuration"))?;
    let configuration = json::object(configuration, "`configuration`")?;
    let mut sighting = sighting(device, origin);
    sighting.kind = match configuration.get("nodeType").and_then(Value::as_str) {
        Some("ANCHOR") => Some(DeviceKind::Anchor),
        Some("TAG") => Some(DeviceKind::Tag),
        Some("GATEWAY") => Some(DeviceKind::Gateway),
        Some(_) | None => None,
    };
    sighting.name = configuration.get("label").and_then(Value::as_str).and_then(name);
    if sighting.kind == Some(DeviceKind::Anchor) {
        sighting.mounted_at = mounting(configuration)?;
    }
    Ok(Report::Sighting(sighting))
}

/// Where an anchor is mounted, if somebody has entered it.
fn mounting(configuration: &Map<String, Value>) -> Result<Option<anita_model::Position>, Malformed> {
    let position = configuration.get("anchor").and_then(|anchor| anchor.get("position"));
    let Some(position) = position.filter(|position| !position.is_null()) else { return Ok(None) };
    let field = "configuration.anchor.position";
    match json::coordinates(json::object(position, field)?, field, 1.0)? {
        Coordinates::At(position) => Ok(Some(position)),
        Coordinates::None => Ok(None),
    }
}

/// A label as people see it: without control characters, not empty, of a length that fits on a map.
fn name(label: &str) -> Option<String> {
    let shown: String =
        label.trim().chars().filter(|character| !character.is_control()).take(NAME_CHARS_MAX).collect();
    (!shown.is_empty()).then_some(shown)
}

/// A sign of life with no description.
fn sighting(device: DeviceId, origin: &Origin) -> Sighting {
    Sighting {
        device,
        site: origin.site.clone(),
        kind: None,
        name: None,
        battery_percent: None,
        mounted_at: None,
        is_present: None,
        received_at: origin.received_at,
        source: origin.source.clone(),
    }
}
