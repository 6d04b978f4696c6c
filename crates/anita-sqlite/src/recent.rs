//! The fixes that are not in blocks yet, in memory.

use std::collections::{BTreeMap, HashMap};

use anita_store::Order;

use crate::point::{Key, Point};

/// The fixes of some devices, each device's in their order.
#[derive(Debug, Default)]
pub(crate) struct Table {
    tracks: HashMap<i64, Track>,
    fixes: usize,
}

/// The fixes of a device: those that came in order, and those that came late.
#[derive(Debug, Default)]
struct Track {
    run: Vec<Point>,
    /// How many of the run are gone.
    gone: usize,
    late: BTreeMap<Key, Point>,
}

impl Track {
    fn run(&self) -> &[Point] {
        self.run.get(self.gone..).unwrap_or_default()
    }

    fn fixes(&self) -> usize {
        self.run().len() + self.late.len()
    }
}

impl Table {
    /// Takes a fix in, unless it has it.
    pub(crate) fn insert(&mut self, device: i64, point: Point) {
        let track = self.tracks.entry(device).or_default();
        let key = point.key();
        if track.run.last().is_none_or(|last| last.key() < key) {
            track.run.push(point);
        } else if track.run().binary_search_by_key(&key, Point::key).is_ok() || track.late.contains_key(&key)
        {
            return;
        } else {
            track.late.insert(key, point);
        }
        self.fixes += 1;
    }

    /// Forgets a device. Says how many fixes it had.
    pub(crate) fn remove(&mut self, device: i64) -> usize {
        let removed = self.tracks.remove(&device).map_or(0, |track| track.fixes());
        self.fixes -= removed;
        removed
    }

    /// Forgets the fixes of a device up to a key, that one included.
    pub(crate) fn forget(&mut self, device: i64, up_to: Key) {
        let Some(track) = self.tracks.get_mut(&device) else { return };
        let before = track.fixes();
        track.gone += track.run().partition_point(|point| point.key() <= up_to);
        while track.late.first_key_value().is_some_and(|(key, _point)| *key <= up_to) {
            track.late.pop_first();
        }
        let left = track.fixes();
        self.fixes -= before - left;
        if left == 0 {
            self.tracks.remove(&device);
        }
    }

    /// How many there are.
    pub(crate) fn fixes(&self) -> usize {
        self.fixes
    }

    /// The devices, in order.
    pub(crate) fn devices(&self) -> Vec<i64> {
        let mut devices: Vec<i64> = self.tracks.keys().copied().collect();
        devices.sort_unstable();
        devices
    }

    /// The time of the oldest, microseconds.
    pub(crate) fn oldest_us(&self) -> Option<i64> {
        let oldest = self.tracks.values().filter_map(|track| {
            let late = track.late.first_key_value().map(|(key, _point)| key.0);
            late.into_iter().chain(track.run().first().map(|point| point.taken_us)).min()
        });
        oldest.min()
    }

    /// The first fixes of a device in an order, from the first key to the last, both included, that are asked for.
    pub(crate) fn pick(&self, device: i64, range: Range, is_asked: impl Fn(&Point) -> bool) -> Vec<Point> {
        let Some(track) = self.tracks.get(&device) else { return Vec::new() };
        let Range { first, last, order, limit } = range;
        if first > last {
            return Vec::new();
        }
        let run = track.run();
        let start = run.partition_point(|point| point.key() < first);
        let end = run.partition_point(|point| point.key() <= last);
        let run = run.get(start..end).unwrap_or_default().iter().filter(|point| is_asked(point));
        let late = track.late.range(first..=last).map(|(_key, point)| point).filter(|point| is_asked(point));
        let mut found: Vec<Point> = match order {
            Order::OldestFirst => run.take(limit).copied().collect(),
            Order::NewestFirst => run.rev().take(limit).copied().collect(),
        };
        let in_time = found.len();
        match order {
            Order::OldestFirst => found.extend(late.take(limit)),
            Order::NewestFirst => found.extend(late.rev().take(limit)),
        }
        if found.len() > in_time {
            found.sort_unstable_by_key(Point::key);
            if order == Order::NewestFirst {
                found.reverse();
            }
            found.truncate(limit);
        }
        found
    }
}

/// What is picked of the fixes of a device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    /// From this on.
    pub(crate) first: Key,
    /// Up to this.
    pub(crate) last: Key,
    /// Which come first.
    pub(crate) order: Order,
    /// How many at most.
    pub(crate) limit: usize,
}

/// What is in memory: what comes, and what is being packed.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    /// What comes.
    pub(crate) recent: Table,
    /// What is being packed: what is in blocks is here no more.
    pub(crate) sealed: Table,
}

impl Tables {
    /// How many fixes are not in blocks yet.
    pub(crate) fn unpacked(&self) -> usize {
        self.recent.fixes() + self.sealed.fixes()
    }

    /// As [`Table::pick`], of both tables: the older one first, in their order within each.
    pub(crate) fn pick(&self, device: i64, range: Range, is_asked: impl Fn(&Point) -> bool) -> Vec<Point> {
        let mut found = self.sealed.pick(device, range, &is_asked);
        let newer = self.recent.pick(device, range, &is_asked);
        if found.is_empty() {
            return newer;
        }
        found.extend(newer);
        merge(&mut found, range.order);
        found.truncate(range.limit);
        found
    }
}

/// Puts fixes of a device in order. Of those with the same key, the first stays.
pub(crate) fn merge(points: &mut Vec<Point>, order: Order) {
    points.sort_by_key(Point::key);
    points.dedup_by_key(|point| point.key());
    if order == Order::NewestFirst {
        points.reverse();
    }
}
