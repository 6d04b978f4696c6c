//! The world as it really is: every device, and every fix there ever was.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use anita_model::{DeviceId, DeviceKind, DeviceStatus, Fix, Now, Position, SiteName, SourceName, Timestamp};
use anita_views::{Change, Live};
use anita_world::Device;
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

use crate::asked::IDS;

#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) device: Arc<Device>,
    pub(crate) newest: Option<Arc<Live>>,
}

/// A fix, and what its device was when it came.
#[derive(Debug)]
pub(crate) struct Past {
    pub(crate) live: Arc<Live>,
    pub(crate) device: Arc<Device>,
}

#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) known: BTreeMap<String, Seen>,
    /// The fix of version n is at n − 1.
    pub(crate) fixes: Vec<Past>,
    /// The versions that the tail still has, and the last one that it has not.
    pub(crate) tail: VecDeque<u64>,
    pub(crate) tail_since: u64,
    pub(crate) tail_max: usize,
    /// Whether the clocks of those who report and those who deliver differ a little.
    pub(crate) is_askew: bool,
}

fn metres(centimetres: i32) -> f64 {
    f64::from(centimetres) / 100.0
}

/// Where a version is on the way up: so a client can tell which one it was shown.
pub(crate) fn height(version: u64) -> f64 {
    metres(i32::try_from(version).unwrap())
}

impl Seen {
    pub(crate) fn position(&self) -> Option<Position> {
        self.newest.as_ref().map(|live| live.fix.position).or(self.device.mounted_at)
    }

    pub(crate) fn floor(&self) -> Option<f64> {
        self.newest.as_ref().map_or(self.device.floor, |live| live.fix.floor)
    }
}

impl World {
    pub(crate) fn version(&self) -> u64 {
        self.fixes.len() as u64
    }

    pub(crate) fn fix(&self, version: u64) -> &Past {
        &self.fixes[usize::try_from(version).unwrap() - 1]
    }

    /// Something happens.
    pub(crate) fn happen(&mut self, rng: &mut SmallRng, now: Now) -> Vec<Change> {
        let id = *IDS.choose(rng).unwrap();
        match rng.random_range(0..100) {
            0..78 => self.report(id, rng, now),
            78..94 => vec![self.describe(id, rng)],
            94..99 => self.remove(id).into_iter().collect(),
            _ => self.too_much(rng, now),
        }
    }

    /// A device is registered, or described anew.
    fn describe(&mut self, id: &str, rng: &mut SmallRng) -> Change {
        let mut device = match self.known.get(id) {
            Some(seen) => Device::clone(&seen.device),
            None => new_device(id),
        };
        match rng.random_range(0..6) {
            0 => device.kind = *[DeviceKind::Tag, DeviceKind::Anchor].choose(rng).unwrap(),
            1 => device.site = SiteName::parse(["main", "b"].choose(rng).unwrap()).unwrap(),
            2 => {
                device.mounted_at =
                    Some(Position::new(f64::from(rng.random_range(-9..9)), 0.0, 0.0).unwrap());
                device.floor = Some(1.0);
            }
            3 => device.name = Some("somebody".to_owned()),
            _ => {
                use DeviceStatus::*;
                device.status = *[Connected, Connected, Stale, Disconnected].choose(rng).unwrap();
            }
        }
        self.set(device)
    }

    pub(crate) fn set(&mut self, device: Device) -> Change {
        let (id, device) = (device.id.to_string(), Arc::new(device));
        let newest = self.known.get(&id).and_then(|seen| seen.newest.clone());
        self.known.insert(id, Seen { device: Arc::clone(&device), newest });
        Change::Device(device)
    }

    fn remove(&mut self, id: &str) -> Option<Change> {
        self.known.remove(id).map(|seen| Change::Removed(seen.device.id.clone()))
    }

    /// A fix. Its device is registered and connected by it, and goes to its site.
    pub(crate) fn report(&mut self, id: &str, rng: &mut SmallRng, now: Now) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut device = self.known.get(id).map_or_else(|| new_device(id), |it| Device::clone(&it.device));
        let is_newest = rng.random_bool(0.9) || self.known.get(id).is_none_or(|it| it.newest.is_none());
        if is_newest && rng.random_bool(0.03) {
            device.site = SiteName::parse(["main", "b"].choose(rng).unwrap()).unwrap();
        }
        device.status = DeviceStatus::Connected;
        if self.known.get(id).is_none_or(|seen| *seen.device != device) {
            changes.push(self.set(device.clone()));
        }
        let version = self.version() + 1;
        let at = self.step(id, version, rng);
        let late = Duration::from_micros(rng.random_range(0..3_000));
        let arrived = if self.is_askew { now.uptime + late } else { now.uptime };
        let fix = Fix {
            device: device.id.clone(),
            site: device.site.clone(),
            position: at,
            accuracy_m: rng.random_bool(0.5).then_some(0.25),
            floor: *[None, Some(0.0), Some(0.0), Some(1.0), Some(1.5)].choose(rng).unwrap(),
            battery_percent: Some(50.0),
            taken_at: Timestamp::from_micros(now.wall.as_micros() - 1_000).unwrap(),
            received_at: now.wall,
            source: SourceName::parse("model").unwrap(),
            sequence: None,
        };
        let make = if is_newest { Live::newest } else { Live::late };
        let live = Arc::new(make(Arc::new(fix), version, arrived));
        let seen = self.known.get_mut(id).unwrap();
        self.fixes.push(Past { live: Arc::clone(&live), device: Arc::clone(&seen.device) });
        if is_newest {
            seen.newest = Some(Arc::clone(&live));
        }
        self.keep(version);
        changes.push(Change::Fix(live));
        changes
    }

    fn keep(&mut self, version: u64) {
        self.tail.push_back(version);
        if self.tail.len() > self.tail_max {
            self.tail_since = self.tail.pop_front().unwrap();
        }
    }

    fn step(&self, id: &str, version: u64, rng: &mut SmallRng) -> Position {
        let before = self.known.get(id).and_then(Seen::position);
        let cm = |metres: f64| (metres * 100.0).round();
        let [x, y] = before.map_or([0.0, 0.0], |at| [cm(at.x_m()), cm(at.y_m())]);
        let reach = *[0, 5, 50, 500, 2_000].choose(rng).unwrap();
        let mut jump =
            |from: f64| (from + f64::from(rng.random_range(-reach..=reach))).clamp(-2e3, 2e3) / 100.0;
        let (x, y) = (jump(x), jump(y));
        Position::new(x, y, height(version)).unwrap()
    }

    /// More fixes than fit into the feed: only the newest of each device gets through.
    fn too_much(&mut self, rng: &mut SmallRng, now: Now) -> Vec<Change> {
        let reports = rng.random_range(2..12);
        let all: Vec<Change> =
            (0..reports).flat_map(|_| self.report(IDS.choose(rng).unwrap(), rng, now)).collect();
        let is_last = |place: usize, live: &Live| {
            let later = all.iter().skip(place + 1);
            live.is_newest
                && later.filter_map(fix_of).all(|it| !it.is_newest || it.fix.device != live.fix.device)
        };
        let (mut kept, mut lost) = (Vec::new(), 0);
        for (place, change) in all.iter().enumerate() {
            match fix_of(change) {
                Some(live) if !is_last(place, live) => lost = lost.max(live.version),
                _ => kept.push(change.clone()),
            }
        }
        if lost > 0 {
            kept.insert(0, Change::Lost(lost));
            self.tail.retain(|&version| version > lost);
            self.tail_since = self.tail_since.max(lost);
        }
        kept
    }
}

fn fix_of(change: &Change) -> Option<&Arc<Live>> {
    if let Change::Fix(live) = change { Some(live) } else { None }
}

pub(crate) fn new_device(id: &str) -> Device {
    let kind = match id.as_bytes()[0] {
        b't' => DeviceKind::Tag,
        b'a' => DeviceKind::Anchor,
        _ => DeviceKind::Gateway,
    };
    Device::new(DeviceId::parse(id).unwrap(), kind, SiteName::main())
}
