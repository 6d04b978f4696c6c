//! The small values that messages are made of, and how they look in JSON.

use std::borrow::Cow;

use anita_model::{
    DeviceId, DeviceKind, DeviceStatus, InvalidPosition, Position, RoomName, SiteName, Timestamp,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Metres, rounded to the millimetre when written.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Metres(pub f64);

impl Serialize for Metres {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The sum turns a negative zero into a plain one.
        serializer.serialize_f64((self.0 * 1_000.0).round() / 1_000.0 + 0.0)
    }
}

/// A percentage, rounded to a tenth when written.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Percent(pub f64);

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((self.0 * 10.0).round() / 10.0 + 0.0)
    }
}

/// A moment in JSON: RFC 3339, UTC, always six digits of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Timestamp::parse(&text).map(Self).map_err(D::Error::custom)
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// A point as a client writes it: metres in the frame of the site.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
pub struct Point {
    /// East of the origin, metres.
    pub x: f64,
    /// North of the origin, metres.
    pub y: f64,
    /// Above the origin, metres.
    pub z: f64,
}

impl Point {
    /// The position of the point.
    ///
    /// # Errors
    /// [`InvalidPosition`] when a coordinate is not finite or more than 10,000 km out.
    pub fn position(self) -> Result<Position, InvalidPosition> {
        Position::new(self.x, self.y, self.z)
    }
}

/// A point as the server writes it: metres in the frame of the site, rounded to the millimetre.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Place {
    /// East of the origin, metres.
    pub x: Metres,
    /// North of the origin, metres.
    pub y: Metres,
    /// Above the origin, metres.
    pub z: Metres,
}

impl From<Position> for Place {
    fn from(position: Position) -> Self {
        Self { x: Metres(position.x_m()), y: Metres(position.y_m()), z: Metres(position.z_m()) }
    }
}

/// What a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Something that moves and is located.
    Tag,
    /// A fixed radio that tags measure against.
    Anchor,
    /// What carries messages to the network.
    Gateway,
}

impl From<DeviceKind> for Kind {
    fn from(kind: DeviceKind) -> Self {
        match kind {
            DeviceKind::Tag => Self::Tag,
            DeviceKind::Anchor => Self::Anchor,
            DeviceKind::Gateway => Self::Gateway,
        }
    }
}

impl From<Kind> for DeviceKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Tag => Self::Tag,
            Kind::Anchor => Self::Anchor,
            Kind::Gateway => Self::Gateway,
        }
    }
}

/// Whether a device is heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Heard of lately.
    Connected,
    /// Silent for a while.
    Stale,
    /// Silent for long, or said to be gone.
    Disconnected,
}

impl From<DeviceStatus> for Status {
    fn from(status: DeviceStatus) -> Self {
        match status {
            DeviceStatus::Connected => Self::Connected,
            DeviceStatus::Stale => Self::Stale,
            DeviceStatus::Disconnected => Self::Disconnected,
        }
    }
}

impl From<Status> for DeviceStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Connected => Self::Connected,
            Status::Stale => Self::Stale,
            Status::Disconnected => Self::Disconnected,
        }
    }
}

/// Names in JSON are strings; each becomes its checked type where it is read.
pub(crate) mod text {
    use super::{Cow, Deserialize, Deserializer, DeviceId, RoomName, SiteName};
    use serde::de::Error as _;

    pub(crate) fn device_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DeviceId, D::Error> {
        DeviceId::parse(&Cow::<str>::deserialize(deserializer)?).map_err(D::Error::custom)
    }

    pub(crate) fn device_ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<DeviceId>, D::Error> {
        let texts = Vec::<Cow<str>>::deserialize(deserializer)?;
        texts.iter().map(|text| DeviceId::parse(text).map_err(D::Error::custom)).collect()
    }

    pub(crate) fn room<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RoomName, D::Error> {
        RoomName::parse(&Cow::<str>::deserialize(deserializer)?).map_err(D::Error::custom)
    }

    pub(crate) fn site<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SiteName>, D::Error> {
        let text = Option::<Cow<str>>::deserialize(deserializer)?;
        text.map(|text| SiteName::parse(&text).map_err(D::Error::custom)).transpose()
    }
}

/// A JSON object as a struct. Serde's own reading of structs takes arrays as well, field by field; the schema does not.
struct Object<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Object<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(serde::de::value::MapAccessDeserializer::new(map))
    }
}

/// A field that has to be an object.
pub(crate) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(Object(std::marker::PhantomData))
}

/// A field that has to be an object, or `null`.
pub(crate) fn object_or_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    struct OrNull<T>(Object<T>);
    impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for OrNull<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object or null")
        }

        fn visit_unit<E: serde::de::Error>(self) -> Result<Option<T>, E> {
            Ok(None)
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Option<T>, A::Error> {
            self.0.visit_map(map).map(Some)
        }
    }
    deserializer.deserialize_any(OrNull(Object(std::marker::PhantomData)))
}

/// A number that has to be a percentage.
pub(crate) fn percent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    within(deserializer, 0.0..=100.0, "a percentage from 0 to 100")
}

/// A number that has to be a radius in metres.
pub(crate) fn radius<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    within(deserializer, 0.0..=anita_model::POSITION_ABS_MAX_M, "a radius in metres, not negative")
}

/// A number that has to be a floor.
pub(crate) fn floor<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    within(deserializer, -1_000.0..=1_000.0, "a floor number from -1000 to 1000")
}

fn within<'de, D: Deserializer<'de>>(
    deserializer: D,
    range: std::ops::RangeInclusive<f64>,
    expected: &str,
) -> Result<Option<f64>, D::Error> {
    match Option::<f64>::deserialize(deserializer)? {
        Some(value) if !range.contains(&value) => Err(D::Error::custom(format_args!("expected {expected}"))),
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metres_are_written_to_the_millimetre() {
        let cases =
            [(1.234_567, "1.235"), (-0.000_4, "0.0"), (10_000_000.0, "10000000.0"), (0.1 + 0.2, "0.3")];
        for (metres, json) in cases {
            assert_eq!(serde_json::to_string(&Metres(metres)).unwrap(), json);
        }
    }
}
