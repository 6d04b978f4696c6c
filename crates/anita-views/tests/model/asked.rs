//! What clients ask for, and which devices that shows, worked out anew.

use anita_auth::Patterns;
use anita_model::{DeviceId, DeviceKind, DeviceStatus, Position, SiteName};
use anita_views::{Filter, Form, Pace, Start, ViewSpec};
use anita_wire::view::{Fields, LengthUnit};
use anita_world::Device;
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) const IDS: [&str; 11] = ["t1", "t2", "t3", "t4", "t5", "t6", "a1", "a2", "a3", "g.1", "g.2"];
const PATTERNS: [&str; 6] = ["t*", "a?", "{t1,a1,g.2}", "[tg]*", "*1", "none*"];

/// Which devices a view is to show.
#[derive(Debug, Clone)]
pub(crate) enum Which {
    /// Whatever their status is: the room, and tracking.
    All,
    Ids(Vec<DeviceId>),
    Asked(Asked),
}

/// A filter as a client writes it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    devices: Option<Vec<String>>,
    kinds: Option<Vec<DeviceKind>>,
    statuses: Option<Vec<DeviceStatus>>,
    floors: Option<Vec<f64>>,
    site: Option<String>,
    area: Option<Region>,
}

#[derive(Debug, Clone)]
enum Region {
    Polygon(Vec<[f64; 2]>),
    Box([f64; 4]),
    Circle([f64; 3]),
}

/// A view as a client asks for it.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) which: Which,
    pub(crate) form: Form,
    pub(crate) pace: Pace,
    pub(crate) fields: Fields,
    pub(crate) min_move_m: f64,
    pub(crate) start: Start,
}

fn some_of<T: Clone>(rng: &mut SmallRng, all: &[T]) -> Vec<T> {
    all.iter().filter(|_it| rng.random_bool(0.5)).cloned().collect()
}

fn maybe<T>(rng: &mut SmallRng, chance: f64, make: impl FnOnce(&mut SmallRng) -> T) -> Option<T> {
    rng.random_bool(chance).then(|| make(rng))
}

pub(crate) fn rights(rng: &mut SmallRng) -> Patterns {
    let lists: [&[&str]; 5] = [&["t*"], &["*1", "a*"], &["t1", "t2", "t3"], &["[tg]*"], &["t?", "a?"]];
    match rng.random_range(0..10) {
        0 => Patterns::none(),
        1..=4 => Patterns::all(),
        _ => {
            let list = lists.choose(rng).unwrap();
            let list: Vec<String> = list.iter().map(ToString::to_string).collect();
            Patterns::parse(&list).unwrap()
        }
    }
}

impl Region {
    /// Coordinates of polygons are none that a device can have: whether an edge belongs to it is left open.
    fn random(rng: &mut SmallRng) -> Self {
        let x: f64 = rng.random_range(-20..10).into();
        let y: f64 = rng.random_range(-20..10).into();
        let side: f64 = [0.5, 5.0, 10.0, 40.0].choose(rng).copied().unwrap();
        match rng.random_range(0..3) {
            0 => {
                let corners = [[0.0, 0.0], [1.0, 0.1], [0.9, 1.0], [0.5, 0.6], [-0.1, 0.9]];
                let at = |[u, v]: [f64; 2]| [x + u * side + 0.001_37, y + v * side + 0.002_71];
                Self::Polygon(corners.map(at).to_vec())
            }
            1 => Self::Box([x, y, x + side, y + side]),
            _ => Self::Circle([x, y, side]),
        }
    }

    fn wire(&self) -> Value {
        match self {
            Self::Polygon(corners) => json!({ "polygon": corners }),
            Self::Box([a, b, c, d]) => json!({ "box": { "min_x": a, "min_y": b, "max_x": c, "max_y": d } }),
            Self::Circle([x, y, r]) => json!({ "circle": { "x": x, "y": y, "radius_m": r } }),
        }
    }

    fn holds(&self, at: Position) -> bool {
        let (px, py) = (at.x_m(), at.y_m());
        match self {
            Self::Box([a, b, c, d]) => *a <= px && px <= *c && *b <= py && py <= *d,
            Self::Circle([x, y, r]) => (px - x).hypot(py - y) <= *r,
            Self::Polygon(corners) => {
                // The angles under which the edges are seen add up to a full turn, or to nothing.
                let angle = |i: usize| {
                    let ([ax, ay], [bx, by]) = (corners[i], corners[(i + 1) % corners.len()]);
                    let (ux, uy, vx, vy) = (ax - px, ay - py, bx - px, by - py);
                    (ux * vy - uy * vx).atan2(ux * vx + uy * vy)
                };
                (0..corners.len()).map(angle).sum::<f64>().abs() > 3.0
            }
        }
    }
}

impl Asked {
    fn random(rng: &mut SmallRng) -> Self {
        use {DeviceKind::*, DeviceStatus::*};
        let names = |rng: &mut SmallRng| {
            let mut names: Vec<String> = Vec::new();
            if rng.random_bool(0.7) {
                names.extend(some_of(rng, &IDS).iter().map(ToString::to_string));
            }
            if rng.random_bool(0.4) {
                names.extend(PATTERNS.choose(rng).map(ToString::to_string));
            }
            names
        };
        Self {
            devices: maybe(rng, 0.3, names),
            kinds: maybe(rng, 0.2, |rng| some_of(rng, &[Tag, Anchor, Gateway])),
            statuses: maybe(rng, 0.4, |rng| some_of(rng, &[Connected, Stale, Disconnected])),
            floors: maybe(rng, 0.2, |rng| some_of(rng, &[0.0, 1.0, 1.5])),
            site: maybe(rng, 0.15, |rng| ["main", "b"].choose(rng).unwrap().to_string()),
            area: maybe(rng, 0.5, Region::random),
        }
    }

    fn filter(&self) -> Filter {
        let words = |debug: String| debug.to_lowercase();
        let kinds = self.kinds.as_ref().map(|it| it.iter().map(|it| words(format!("{it:?}"))));
        let statuses = self.statuses.as_ref().map(|it| it.iter().map(|it| words(format!("{it:?}"))));
        let wire = json!({
            "devices": self.devices,
            "kinds": kinds.map(Iterator::collect::<Vec<_>>),
            "status": statuses.map(Iterator::collect::<Vec<_>>),
            "floors": self.floors,
            "site": self.site,
            "area": self.area.as_ref().map(Region::wire),
        });
        Filter::from_wire(&serde_json::from_value(wire).unwrap()).unwrap()
    }

    fn shows(&self, device: &Device, position: Option<Position>, floor: Option<f64>) -> bool {
        let named = |name: &String| {
            let pattern = Patterns::parse(std::slice::from_ref(name)).unwrap();
            name == device.id.as_str() || pattern.allow(device.id.as_str())
        };
        let active = [DeviceStatus::Connected, DeviceStatus::Stale];
        let statuses = self.statuses.as_deref().unwrap_or(&active);
        let main = SiteName::main().to_string();
        let site = self.site.as_ref().or(self.area.as_ref().map(|_area| &main));
        self.devices.as_ref().is_none_or(|names| names.iter().any(named))
            && self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&device.kind))
            && statuses.contains(&device.status)
            && self.floors.as_ref().is_none_or(|floors| floor.is_some_and(|floor| floors.contains(&floor)))
            && site.is_none_or(|site| site == device.site.as_str())
            && self.area.as_ref().is_none_or(|area| position.is_some_and(|at| area.holds(at)))
    }
}

impl Which {
    pub(crate) fn asked(rng: &mut SmallRng) -> Self {
        Self::Asked(Asked::random(rng))
    }

    pub(crate) fn filter(&self) -> Filter {
        match self {
            Self::All => Filter::all(),
            Self::Ids(ids) => Filter::devices(ids.iter().cloned()),
            Self::Asked(asked) => asked.filter(),
        }
    }

    pub(crate) fn shows(&self, device: &Device, position: Option<Position>, floor: Option<f64>) -> bool {
        match self {
            Self::All => true,
            Self::Ids(ids) => ids.contains(&device.id),
            Self::Asked(asked) => asked.shows(device, position, floor),
        }
    }
}

impl Plan {
    pub(crate) fn room(start: Start) -> Self {
        let (form, pace) = (Form::Single, Pace::Unlimited);
        Self { which: Which::All, form, pace, fields: Fields::All, min_move_m: 0.0, start }
    }

    pub(crate) fn tracking(rng: &mut SmallRng) -> Self {
        let ids = || IDS.map(|id| DeviceId::parse(id).unwrap());
        let which = if rng.random_bool(0.3) { Which::All } else { Which::Ids(some_of(rng, &ids())) };
        let pace = Pace::Beat(Duration::from_millis(*[50, 200, 1_000, 3_000].choose(rng).unwrap()));
        let form = Form::Batch;
        Self { which, form, pace, fields: Fields::Position, min_move_m: 0.0, start: Start::Snapshot }
    }

    pub(crate) fn subscription(rng: &mut SmallRng) -> Self {
        let hz = [0.5, 1.0, 2.0, 10.0, 25.0];
        let forms = [Form::Single, Form::Batch, Form::Columns(LengthUnit::Mm), Form::Columns(LengthUnit::Cm)];
        Self {
            which: Which::asked(rng),
            form: *forms.choose(rng).unwrap(),
            pace: maybe(rng, 0.5, |rng| Pace::at_most_hz(*hz.choose(rng).unwrap()))
                .unwrap_or(Pace::Unlimited),
            fields: *[Fields::Position, Fields::All].choose(rng).unwrap(),
            min_move_m: maybe(rng, 0.2, |rng| *[0.3, 2.0].choose(rng).unwrap()).unwrap_or(0.0),
            start: if rng.random_bool(0.85) { Start::Snapshot } else { Start::Now },
        }
    }

    /// Another view of the same subscription: mostly the same but in one respect.
    pub(crate) fn changed(&self, rng: &mut SmallRng) -> Self {
        let other = Self { start: self.start, ..Self::subscription(rng) };
        let same = self.clone();
        match rng.random_range(0..8) {
            0 => other,
            1 => Self { form: other.form, ..same },
            2 => Self { pace: other.pace, ..same },
            3 => Self { min_move_m: other.min_move_m, ..same },
            4 => same,
            _ => Self { which: other.which, ..same },
        }
    }

    pub(crate) fn spec(&self) -> ViewSpec {
        let spec = ViewSpec::new(self.which.filter(), self.form, self.pace);
        spec.with_fields(self.fields).with_min_move_m(self.min_move_m)
    }

    pub(crate) fn interval(&self) -> Option<Duration> {
        match self.pace {
            Pace::Unlimited => None,
            Pace::PerDevice(interval) | Pace::Beat(interval) => Some(interval),
        }
    }
}
