//! Which tags are close to each other, with hysteresis: a pair is told once when it comes closer than `enter_m`, and again
//! only after it was farther apart than `leave_m`.
//!
//! Tags stand in a grid whose cells are `leave_m` wide, so a fix is compared with its neighbours only.

use std::collections::{BTreeSet, HashMap};

use anita_model::{DeviceId, Fix, Position, SiteName};

/// When two tags are close.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearness {
    /// Closer than this they are near, metres.
    pub enter_m: f64,
    /// Farther apart than this they are no longer, metres; not less than `enter_m`.
    pub leave_m: f64,
}

/// Two tags that came close.
#[derive(Debug, Clone, PartialEq)]
pub struct Near {
    /// The one whose id comes first.
    pub first: DeviceId,
    /// The other.
    pub second: DeviceId,
    /// How far apart they are, metres.
    pub distance_m: f64,
}

type Cell = (SiteName, i64, i64);

#[derive(Debug)]
struct Standing {
    cell: Cell,
    position: Position,
    floor: Option<f64>,
}

/// Which tags are close to each other.
#[derive(Debug)]
pub(crate) struct Proximity {
    nearness: Nearness,
    cells: HashMap<Cell, BTreeSet<DeviceId>>,
    standing: HashMap<DeviceId, Standing>,
    /// Who is near whom, both ways round.
    near: HashMap<DeviceId, BTreeSet<DeviceId>>,
}

impl Proximity {
    pub(crate) fn new(nearness: Nearness) -> Self {
        Self { nearness, cells: HashMap::new(), standing: HashMap::new(), near: HashMap::new() }
    }

    /// A tag is somewhere else now: the pairs that came close by it.
    pub(crate) fn moved(&mut self, fix: &Fix) -> Vec<Near> {
        self.stand(fix);
        self.part(fix);
        let mut found = Vec::new();
        for other in self.neighbours(fix) {
            let Some(distance_m) = self.distance_m(&fix.device, &other) else { continue };
            let is_known = self.near.get(&fix.device).is_some_and(|others| others.contains(&other));
            if is_known || distance_m > self.nearness.enter_m {
                continue;
            }
            self.near.entry(fix.device.clone()).or_default().insert(other.clone());
            self.near.entry(other.clone()).or_default().insert(fix.device.clone());
            let mut pair = [fix.device.clone(), other];
            pair.sort();
            let [first, second] = pair;
            found.push(Near { first, second, distance_m });
        }
        found
    }

    /// A tag is gone: it is near nobody.
    pub(crate) fn forget(&mut self, device: &DeviceId) {
        if let Some(standing) = self.standing.remove(device) {
            self.leave_cell(&standing.cell, device);
        }
        for other in self.near_to(device) {
            self.separate(device, &other);
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "coordinates are within 10,000 km, cells wider than a millimetre"
    )]
    fn stand(&mut self, fix: &Fix) {
        let index = |metres: f64| (metres / self.nearness.leave_m).floor() as i64;
        let cell = (fix.site.clone(), index(fix.position.x_m()), index(fix.position.y_m()));
        let standing = Standing { cell: cell.clone(), position: fix.position, floor: fix.floor };
        if let Some(before) = self.standing.insert(fix.device.clone(), standing) {
            self.leave_cell(&before.cell, &fix.device);
        }
        self.cells.entry(cell).or_default().insert(fix.device.clone());
    }

    fn leave_cell(&mut self, cell: &Cell, device: &DeviceId) {
        if let Some(devices) = self.cells.get_mut(cell) {
            devices.remove(device);
            if devices.is_empty() {
                self.cells.remove(cell);
            }
        }
    }

    /// Ends the pairs that are too far apart now.
    fn part(&mut self, fix: &Fix) {
        for other in self.near_to(&fix.device) {
            let is_near = self.distance_m(&fix.device, &other).is_some_and(|it| it <= self.nearness.leave_m);
            if !is_near {
                self.separate(&fix.device, &other);
            }
        }
    }

    fn near_to(&self, device: &DeviceId) -> Vec<DeviceId> {
        self.near.get(device).into_iter().flatten().cloned().collect()
    }

    fn separate(&mut self, one: &DeviceId, other: &DeviceId) {
        for (one, other) in [(one, other), (other, one)] {
            if let Some(others) = self.near.get_mut(one) {
                others.remove(other);
                if others.is_empty() {
                    self.near.remove(one);
                }
            }
        }
    }

    /// The others in the cell of a fix and in those around it, in the order of their ids: the same fixes give the same
    /// events.
    fn neighbours(&self, fix: &Fix) -> BTreeSet<DeviceId> {
        let Some(Standing { cell: (site, x, y), .. }) = self.standing.get(&fix.device) else {
            return BTreeSet::new();
        };
        let around = (-1..=1).flat_map(|dx| (-1..=1).map(move |dy| (dx, dy)));
        let cells = around.filter_map(|(dx, dy)| self.cells.get(&(site.clone(), x + dx, y + dy)));
        cells.flatten().filter(|other| **other != fix.device).cloned().collect()
    }

    /// How far apart two tags are; `None` on different sites or floors.
    fn distance_m(&self, one: &DeviceId, other: &DeviceId) -> Option<f64> {
        let (one, other) = (self.standing.get(one)?, self.standing.get(other)?);
        let on_one_floor =
            one.floor.zip(other.floor).is_none_or(|(one, other)| (one - other).abs() < f64::EPSILON);
        let (a, b) = (one.position, other.position);
        let distance_m = (a.x_m() - b.x_m()).hypot(a.y_m() - b.y_m()).hypot(a.z_m() - b.z_m());
        (one.cell.0 == other.cell.0 && on_one_floor).then_some(distance_m)
    }
}
