//! A member of a class: what it was told, and how it catches up.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anita_model::{DeviceId, Now};
use anita_wire::Time;
use bytes::Bytes;

use crate::ages::Stamp;
use crate::class::Class;
use crate::devices::Devices;
use crate::encode::{Page, Writer};
use crate::live::Live;
use crate::portions::Portions;
use crate::spec::Label;

/// A way through all devices of a class, in a fixed order: for a snapshot, and for a member that missed so much that it
/// is told in parts. Told in the order of their last news, those that move most would escape the slowest for ever.
#[derive(Debug)]
struct Lap {
    /// The next entry to look at.
    cursor: usize,
    /// What has a higher number is told.
    after: u64,
    /// At the end of the lap, the member was told up to this number.
    to: u64,
    /// The page of the snapshot that comes next; `None` when it is none.
    page: Option<u32>,
    /// The member begins with it, and is told of everything up to this version: the last one when the first part was
    /// told.
    begins_with: Option<u64>,
    /// Devices that were told.
    told: u64,
}

impl Lap {
    /// Through all devices, for one who knows none.
    fn first(class: &Class) -> Self {
        let page = class.announces().then_some(1);
        Self { cursor: 0, after: 0, to: class.head, page, begins_with: Some(0), told: 0 }
    }
}

/// Entries that a lap told of, with the later numbers that they had.
#[derive(Debug, Default)]
struct Early {
    numbers: HashMap<usize, u64>,
}

impl Early {
    fn has(&self, index: usize, number: u64) -> bool {
        self.numbers.get(&index) == Some(&number)
    }
}

/// What a member of a class was told.
#[derive(Debug, Default)]
pub(crate) struct Member {
    pub(crate) connection: usize,
    /// The number up to which it was told.
    pub(crate) seen: u64,
    /// Positions up to this version it was told by other means: when its view was changed.
    pub(crate) fresh_version: u64,
    /// Whether it waits to be asked what it can take.
    pub(crate) is_behind: bool,
    /// Since when its socket took nothing, by the uptime; `None` where it is only new.
    pub(crate) stalled_at: Option<Duration>,
    /// Whether its connection has other views, which go into the same write.
    pub(crate) has_siblings: bool,
    /// Whether somebody wants to know how old its positions are.
    pub(crate) is_measured: bool,
    pub(crate) delivered: u64,
    pub(crate) dropped: u64,
    /// What has to be said before anything else: how its view changed.
    pub(crate) transition: Option<Bytes>,
    lap: Option<Box<Lap>>,
    /// What a lap told of later numbers than its own: not told again.
    early: Option<Box<Early>>,
}

/// With what a member begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With all devices as they are.
    Snapshot,
    /// With what comes.
    Now,
}

/// What a connection that was behind is told.
#[derive(Debug, Default)]
pub struct CaughtUp {
    /// Complete frames.
    pub frames: Vec<Bytes>,
    /// Whether there is more to ask for when these are written.
    pub has_more: bool,
    /// Positions that were replaced by newer ones while it was behind.
    pub dropped: u64,
    /// How long it had waited.
    pub waited: Duration,
    /// When the positions arrived and were due, by class.
    pub told: Vec<(Label, Vec<Stamp>)>,
    /// Fixes of the lane `every` that were lost.
    pub lost: u64,
}

impl Member {
    pub(crate) fn new(connection: usize, class: &Class, start: Start) -> Self {
        let lap = match start {
            Start::Now => None,
            Start::Snapshot => Some(Box::new(Lap::first(class))),
        };
        let seen = if lap.is_some() { 0 } else { class.head };
        Self { connection, seen, fresh_version: 0, is_behind: true, lap, ..Self::default() }
    }

    /// One that was told everything of a class by other means, up to a version.
    pub(crate) fn moved_in(connection: usize, class: &Class, version: u64, transition: Bytes) -> Self {
        Self {
            connection,
            seen: class.head,
            fresh_version: version,
            is_behind: true,
            transition: Some(transition).filter(|frames| !frames.is_empty()),
            ..Self::default()
        }
    }

    /// Its socket took nothing.
    pub(crate) fn stall(&mut self, uptime: Duration) {
        self.is_behind = true;
        self.stalled_at.get_or_insert(uptime);
    }

    /// A lap is at its end.
    fn finish(&mut self, lap: &Lap, out: &mut CaughtUp) {
        self.seen = lap.to;
        self.fresh_version = self.fresh_version.max(lap.begins_with.unwrap_or_default());
        if lap.after > 0 {
            self.count_dropped((lap.to - lap.after).saturating_sub(lap.told), out);
        }
    }

    /// So many positions were replaced by newer ones; only who is slow misses any.
    fn count_dropped(&mut self, dropped: u64, out: &mut CaughtUp) {
        if self.stalled_at.is_some() {
            self.dropped += dropped;
            out.dropped += dropped;
        }
    }

    /// Whether it is certain what it was told.
    fn is_certain(&self) -> bool {
        self.lap.is_none() && self.early.is_none() && self.transition.is_none()
    }
}

/// What is picked for a member.
#[derive(Debug, Default)]
struct Picked {
    left: Vec<DeviceId>,
    entered: Vec<usize>,
    moved: Vec<usize>,
}

impl Class {
    /// Tells a member what it missed, as much as is good at once.
    pub(crate) fn catch_up(&mut self, place: usize, devices: &Devices, now: Now, out: &mut CaughtUp) {
        let Some(member) = self.members.get_mut(place) else { return };
        out.frames.extend(member.transition.take());
        let mut member = std::mem::take(member);
        self.catch_member_up(&mut member, devices, now, out);
        if let Some(kept) = self.members.get_mut(place) {
            *kept = member;
        }
        self.forget_tombs();
    }

    fn catch_member_up(&self, member: &mut Member, devices: &Devices, now: Now, out: &mut CaughtUp) {
        if member.lap.is_none() && member.seen < self.tombs_lost_to && self.announces() {
            // Who left is not known any more: it begins anew.
            (member.seen, member.early) = (0, None);
            member.lap = Some(Box::new(Lap::first(self)));
        }
        if let Some(mut lap) = member.lap.take() {
            if self.run(member, &mut lap, devices, now, out) {
                member.finish(&lap, out);
            } else {
                member.lap = Some(lap);
            }
        } else if let Some(newer) = self.newer_than(member.seen, self.portions.catch_up_devices) {
            self.tell_newer(member, newer, devices, now, out);
        } else {
            let after = member.seen;
            let (to, page, begins_with) = (self.head, None, None);
            member.lap = Some(Box::new(Lap { cursor: 0, after, to, page, begins_with, told: 0 }));
            out.has_more = true;
            return;
        }
        if member.lap.is_none() && member.seen == self.head {
            member.is_behind = false;
            if let Some(since) = member.stalled_at.take() {
                out.waited = out.waited.max(now.uptime.saturating_sub(since));
            }
        } else {
            out.has_more = true;
        }
    }

    /// All that is newer than what the member was told, each device once.
    fn tell_newer(
        &self,
        member: &mut Member,
        newer: Vec<usize>,
        devices: &Devices,
        now: Now,
        out: &mut CaughtUp,
    ) {
        let early = member.early.take();
        let is_early = |index: usize, number: u64| early.as_ref().is_some_and(|it| it.has(index, number));
        let mut picked = Picked::default();
        for index in newer {
            let Some(entry) = self.entries.get(index) else { continue };
            if is_early(index, entry.number) {
                continue;
            }
            if self.announces() && entry.entered > member.seen {
                picked.entered.push(index);
            } else {
                picked.moved.push(index);
            }
        }
        picked.left = self.left_for(member.seen, early.as_deref(), devices);
        let told = (picked.entered.len() + picked.moved.len() + picked.left.len()) as u64;
        let dropped = (self.head - member.seen).saturating_sub(told);
        self.say(member, &picked, (devices, now), None, out);
        member.seen = self.head;
        member.count_dropped(dropped, out);
    }

    /// Goes on with a lap; says whether it is at its end.
    fn run(
        &self,
        member: &mut Member,
        lap: &mut Lap,
        devices: &Devices,
        now: Now,
        out: &mut CaughtUp,
    ) -> bool {
        let Portions { page_devices, catch_up_devices, .. } = self.portions;
        let told_max = if lap.page.is_some() { page_devices } else { catch_up_devices };
        let mut picked = Picked::default();
        let mut early = member.early.take().unwrap_or_default();
        if lap.cursor == 0 {
            lap.begins_with = lap.begins_with.map(|_unknown| devices.version);
        }
        if lap.cursor == 0 && lap.after > 0 {
            picked.left = self.left_for(lap.after, Some(&early), devices);
        }
        let mut is_at_end = true;
        let start = lap.cursor;
        for (index, entry) in self.entries.iter().skip_while(|(index, _entry)| *index < start) {
            if picked.entered.len() + picked.moved.len() == told_max {
                is_at_end = false;
                break;
            }
            lap.cursor = index + 1;
            let is_early = early.has(index, entry.number);
            let is_known = lap.begins_with.is_none() && entry.number <= lap.after;
            // What comes in is announced with the next tick.
            let is_coming = entry.number == 0 && self.announces();
            if is_known || is_coming || is_early {
                continue;
            }
            if entry.number > lap.to {
                early.numbers.insert(index, entry.number);
            }
            if self.announces() && entry.entered > lap.after {
                picked.entered.push(index);
            } else {
                picked.moved.push(index);
            }
        }
        lap.told += (picked.entered.len() + picked.moved.len()) as u64;
        member.early = Some(early).filter(|early| !early.numbers.is_empty());
        match lap.page {
            Some(page) => {
                let mut writer = Writer::new(&self.key);
                let version = lap.begins_with.unwrap_or_default();
                writer.snapshot(
                    &self.shown_at(&picked.entered, devices, version),
                    Page { number: page, is_last: is_at_end },
                );
                out.frames.push(writer.finish());
                lap.page = Some(page + 1);
            }
            None => self.say(member, &picked, (devices, now), lap.begins_with, out),
        }
        is_at_end
    }

    /// Who left after a number, of those who had entered up to another.
    fn left_after(&self, number: u64, entered_max: u64) -> Vec<DeviceId> {
        let tombs = self.tombs.iter().filter(|(_id, tomb)| tomb.number > number);
        let mut ids: Vec<DeviceId> =
            tombs.filter(|(_id, tomb)| tomb.entered <= entered_max).map(|(id, _tomb)| id.clone()).collect();
        ids.sort_unstable();
        ids
    }

    /// Who left after a number, for a member that was told of some devices early: not those that it was told came back.
    fn left_for(&self, number: u64, early: Option<&Early>, devices: &Devices) -> Vec<DeviceId> {
        let mut left = self.left_after(number, if early.is_some() { u64::MAX } else { number });
        let entries = early
            .into_iter()
            .flat_map(|early| &early.numbers)
            .filter_map(|(&index, number)| self.entries.get(index).filter(|entry| entry.number == *number));
        let known = entries.filter_map(|entry| devices.get(entry.device));
        let back: HashSet<&DeviceId> = known.map(|known| &known.device.id).collect();
        left.retain(|id| !back.contains(id));
        left
    }

    fn say(
        &self,
        member: &mut Member,
        picked: &Picked,
        (devices, now): (&Devices, Now),
        begins_with: Option<u64>,
        out: &mut CaughtUp,
    ) {
        let mut writer = Writer::new(&self.key);
        if !picked.left.is_empty() {
            writer.left(&picked.left);
        }
        if !picked.entered.is_empty() {
            writer.entered(&self.shown(&picked.entered, devices));
        }
        let moved = match begins_with {
            Some(version) => self.shown_at(&picked.moved, devices, version),
            None => self.shown(&picked.moved, devices),
        };
        let moved = moved.into_iter().filter_map(|shown| shown.live.map(|live| (shown.number, live)));
        let moved: Vec<(u32, &Live)> = moved
            .filter(|(_device, live)| begins_with.is_some() || live.version > member.fresh_version)
            .collect();
        if !moved.is_empty() {
            writer.moved(&moved, Time(now.wall));
            member.delivered += moved.len() as u64;
            out.told.push((self.key.label(), self.stamps_of(&picked.moved, member.fresh_version)));
        }
        let frames = writer.finish();
        if !frames.is_empty() {
            out.frames.push(frames);
        }
    }

    /// When what was told of devices arrived, and when it was due by the rate: for a version above one.
    fn stamps_of(&self, indices: &[usize], version: u64) -> Vec<Stamp> {
        let entries = indices.iter().filter_map(|&index| self.entries.get(index));
        let told = entries.filter_map(|entry| entry.told.as_ref().map(|live| (live, entry.told_due)));
        told.filter(|(live, _due)| live.version > version)
            .map(|(live, due)| Stamp { arrived: live.arrived, due: due.max(live.arrived) })
            .collect()
    }

    /// The devices that a member was told of, each with the version it was told, 0 where that is not certain; and
    /// those among them that have left. `None` where that can't be said.
    pub(crate) fn known_to(&self, member: &Member) -> Option<(HashMap<usize, u64>, Vec<DeviceId>)> {
        if !member.is_certain() || member.seen < self.tombs_lost_to {
            return None;
        }
        let was_told = |entered: u64| entered > 0 && entered <= member.seen;
        let entries = self.entries.iter().filter(|(_index, entry)| was_told(entry.entered));
        let versions = entries.map(|(_index, entry)| {
            let told = entry.told.as_ref().filter(|_live| entry.number <= member.seen);
            (entry.device, told.map_or(0, |live| live.version))
        });
        let known = versions.collect();
        let mut gone = self.left_after(member.seen, member.seen);
        gone.extend(self.leaving_known_to(member.seen));
        Some((known, gone))
    }
}
