//! Areas as clients write them: a polygon, a box, a circle.

use std::borrow::Cow;

use anita_model::POSITION_ABS_MAX_M;
use schemars::JsonSchema;
use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::limits::AREA_CORNERS_MAX;
use crate::scalar::object;

/// An area in the frame of the site, metres.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// What is inside a polygon: its corners in order, 3 to 64, `[x, y]` each. Where its edges cross, the inside is
    /// what a line from far away enters an odd number of times.
    Polygon(Vec<[f64; 2]>),
    /// What is inside a box, its edges included.
    Box(BoxArea),
    /// What is inside a circle, its edge included.
    Circle(CircleArea),
}

/// A box along the axes of the site, metres.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
pub struct BoxArea {
    /// The west end.
    pub min_x: f64,
    /// The south end.
    pub min_y: f64,
    /// The east end.
    pub max_x: f64,
    /// The north end.
    pub max_y: f64,
}

/// A circle, metres.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
pub struct CircleArea {
    /// East of the origin.
    pub x: f64,
    /// North of the origin.
    pub y: f64,
    /// How far its edge is from the centre, metres.
    pub radius_m: f64,
}

impl<'de> Deserialize<'de> for Area {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OneArea)
    }
}

/// Reads an object with one area in it. Serde's own reading of enumerations says of most faults only that they are some.
struct OneArea;

impl<'de> Visitor<'de> for OneArea {
    type Value = Area;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object with one of `polygon`, `box` and `circle`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Area, A::Error> {
        let mut area = None;
        while let Some(shape) = map.next_key::<Cow<'de, str>>()? {
            let found = match &*shape {
                "polygon" => {
                    let corners: Vec<Corner> = map.next_value()?;
                    Area::Polygon(corners.into_iter().map(|Corner(corner)| corner).collect())
                }
                "box" => Area::Box(map.next_value::<Plain<BoxArea>>()?.0),
                "circle" => Area::Circle(map.next_value::<Plain<CircleArea>>()?.0),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if area.replace(found).is_some() {
                return Err(A::Error::custom("an area is one of `polygon`, `box` and `circle`, not several"));
            }
        }
        area.ok_or_else(|| A::Error::custom("an area has one of `polygon`, `box` and `circle`"))
    }
}

/// A corner, `[x, y]`.
struct Corner([f64; 2]);

impl<'de> Deserialize<'de> for Corner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(OneCorner)
    }
}

struct OneCorner;

impl<'de> Visitor<'de> for OneCorner {
    type Value = Corner;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a corner `[x, y]`, two numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Corner, A::Error> {
        let corner = numbers.next_element()?.zip(numbers.next_element()?);
        match corner {
            Some((x, y)) if numbers.next_element::<IgnoredAny>()?.is_none() => Ok(Corner([x, y])),
            _ => Err(A::Error::custom("expected a corner `[x, y]`, two numbers")),
        }
    }
}

/// What is written as an object, and not as an array.
struct Plain<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Plain<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer).map(Self)
    }
}

impl Area {
    /// What is wrong with it, if anything.
    fn fault(&self) -> Option<String> {
        let is_far = |number: &f64| !number.is_finite() || number.abs() > POSITION_ABS_MAX_M;
        let numbers: Vec<f64> = match self {
            Self::Polygon(corners) => {
                if !(3..=AREA_CORNERS_MAX).contains(&corners.len()) {
                    let count = corners.len();
                    return Some(format!("a polygon has 3 to {AREA_CORNERS_MAX} corners, not {count}"));
                }
                corners.concat()
            }
            Self::Box(it) => {
                if it.min_x > it.max_x || it.min_y > it.max_y {
                    return Some("expected min_x up to max_x, and min_y up to max_y".to_owned());
                }
                vec![it.min_x, it.min_y, it.max_x, it.max_y]
            }
            Self::Circle(it) => {
                if it.radius_m < 0.0 {
                    return Some("expected a radius_m of 0 or more".to_owned());
                }
                vec![it.x, it.y, it.radius_m]
            }
        };
        let far = numbers.iter().any(is_far);
        far.then(|| "coordinates are metres in the frame of the site, at most 10,000 km".to_owned())
    }
}

/// Reads an area, and refuses one that is none.
pub(crate) fn sound<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Area>, D::Error> {
    let area = Option::<Area>::deserialize(deserializer)?;
    match area.as_ref().and_then(Area::fault) {
        Some(fault) => Err(D::Error::custom(fault)),
        None => Ok(area),
    }
}
