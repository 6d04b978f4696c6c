//! A view class: everybody who wants the same, and the devices of it in the order in which they were last told of.
//!
//! Whatever a class tells its members gets the next number: a device that entered, moved or left. A member is the
//! number up to which it was told. One that has the last number gets what is told next as the bytes that all get; one
//! that has not is left alone until its socket takes bytes again, and then gets all that is newer, each device once.
//! So a slow member costs one number, and nothing waits for it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use anita_model::{DeviceId, Now};
use anita_wire::Time;
use bytes::Bytes;
use slab::Slab;

use crate::ages::Stamp;
use crate::area::Bounds;
use crate::devices::Devices;
use crate::encode::{Shown, Writer};
use crate::live::Live;
use crate::member::Member;
use crate::portions::Portions;
use crate::spec::{ClassKey, Form, Pace, next_beat};

/// Whether a device has something new for the class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    /// Nothing.
    None,
    /// Something, that goes with the next tick.
    Ready,
    /// Something, that is not due yet.
    Held,
}

/// A device of a class.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) device: usize,
    /// The number with which it was told of last; 0 while it was not.
    pub(crate) number: u64,
    /// The number with which it entered.
    pub(crate) entered: u64,
    /// What was told.
    pub(crate) told: Option<Arc<Live>>,
    /// Its version.
    told_version: u64,
    news: News,
    /// Before this, by the uptime, it is not told of again.
    next_due: Duration,
    /// Since when its news is due.
    due: Duration,
    /// Since when what was told was due.
    pub(crate) told_due: Duration,
    older: Option<usize>,
    newer: Option<usize>,
}

/// A device that left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tomb {
    pub(crate) number: u64,
    pub(crate) entered: u64,
}

/// What a class tells in one tick.
#[derive(Debug)]
pub(crate) struct Emission {
    /// For all who have this number.
    pub(crate) after: u64,
    /// The lowest version of the positions: whoever was told a higher one by other means needs a frame of its own.
    pub(crate) least_version: u64,
    pub(crate) stamps: Vec<Stamp>,
}

#[derive(Debug)]
pub(crate) struct Class {
    pub(crate) key: ClassKey,
    pub(crate) portions: Portions,
    pub(crate) members: Vec<Member>,
    /// Where it is entered in the grid.
    pub(crate) bounds: Option<Bounds>,
    /// When its timer is set for.
    pub(crate) timer_at: Option<Duration>,
    pub(crate) entries: Slab<Entry>,
    newest: Option<usize>,
    /// The last number.
    pub(crate) head: u64,
    ready: Vec<usize>,
    entering: Vec<usize>,
    /// Who left since the last tick, and the number with which it had entered.
    leaving: Vec<(DeviceId, u64)>,
    /// Every fix since the last tick, where each is told.
    burst: Vec<(usize, Arc<Live>)>,
    /// When those that were told of are due again, in order.
    waiting: VecDeque<(Duration, usize, u64)>,
    held: usize,
    pub(crate) tombs: HashMap<DeviceId, Tomb>,
    /// Up to this number, what left is forgotten.
    pub(crate) tombs_lost_to: u64,
}

impl Class {
    pub(crate) fn new(key: ClassKey, portions: Portions) -> Self {
        Self {
            key,
            portions,
            members: Vec::new(),
            bounds: None,
            timer_at: None,
            entries: Slab::new(),
            newest: None,
            head: 0,
            ready: Vec::new(),
            entering: Vec::new(),
            leaving: Vec::new(),
            burst: Vec::new(),
            waiting: VecDeque::new(),
            held: 0,
            tombs: HashMap::new(),
            tombs_lost_to: 0,
        }
    }

    /// Whether its members are told of devices that enter and leave.
    pub(crate) fn announces(&self) -> bool {
        self.key.slot.is_subscription()
    }

    /// Whether every fix is told, and not only the newest of a tick.
    fn tells_each(&self) -> bool {
        let spec = &self.key.spec;
        spec.form == Form::Single && spec.pace == Pace::Unlimited && spec.min_move_m() == 0.0
    }

    // --- what happens to devices

    /// A device that the class begins with: known to whoever reads the snapshot.
    pub(crate) fn begin_with(&mut self, device: usize, live: Option<Arc<Live>>) -> usize {
        let is_told = self.announces() || live.is_some();
        let index = self.entries.insert(Entry::new(device));
        if is_told {
            self.head += 1;
            self.link(index, self.head);
        }
        if let Some(entry) = self.entries.get_mut(index) {
            entry.entered = entry.number;
            entry.tell(live);
        }
        index
    }

    /// A device comes in. Says where it stands.
    pub(crate) fn enter(&mut self, device: usize, newest: Option<&Live>) -> usize {
        let index = self.entries.insert(Entry::new(device));
        if self.announces() {
            self.entering.push(index);
        } else if newest.is_some() {
            self.make_ready(index, Duration::ZERO);
        }
        index
    }

    /// A device goes.
    pub(crate) fn leave(&mut self, index: usize, id: &DeviceId) {
        let Some(entry) = self.entries.get(index) else { return };
        let (entered, news) = (entry.entered, entry.news);
        if entered == 0 {
            self.entering.retain(|&it| it != index);
        } else if self.announces() {
            self.leaving.push((id.clone(), entered));
        }
        match news {
            News::None => {}
            News::Ready => self.ready.retain(|&it| it != index),
            News::Held => self.held -= 1,
        }
        self.burst.retain(|(it, _live)| *it != index);
        self.unlink(index);
        self.entries.remove(index);
    }

    /// A device of the class has a newer fix. Says whether there is something to tell with the next tick.
    pub(crate) fn moved(&mut self, index: usize, live: &Arc<Live>, now: Duration) -> bool {
        let tells_each = self.tells_each();
        let min_move_m = self.key.spec.min_move_m();
        let announces = self.announces();
        let Some(entry) = self.entries.get_mut(index) else { return false };
        if announces && entry.entered == 0 {
            // It is about to be announced with its newest fix.
            return true;
        }
        if tells_each {
            if entry.news == News::None {
                self.burst.push((index, Arc::clone(live)));
            }
            return true;
        }
        if entry.news != News::None || !entry.is_far_from(live, min_move_m) {
            return entry.news == News::Ready;
        }
        let due = live.arrived.min(now).max(entry.next_due);
        if due > now && !matches!(self.key.spec.pace, Pace::Beat(_)) {
            entry.news = News::Held;
            self.held += 1;
            return false;
        }
        self.make_ready(index, due);
        true
    }

    /// Whether it can look through its devices at a tick, and need not be told of each fix.
    pub(crate) fn can_be_pulled(&self) -> bool {
        let spec = &self.key.spec;
        self.announces() && spec.pace == Pace::Unlimited && spec.min_move_m() == 0.0 && !self.tells_each()
    }

    /// Finds the devices that have moved.
    pub(crate) fn pull(&mut self, devices: &Devices) {
        for (index, entry) in &mut self.entries {
            let version = devices.newest_version(entry.device);
            if entry.entered > 0 && entry.news == News::None && version > entry.told_version {
                // It is due since it arrived.
                (entry.news, entry.due) = (News::Ready, Duration::ZERO);
                self.ready.push(index);
            }
        }
    }

    fn make_ready(&mut self, index: usize, due: Duration) {
        if let Some(entry) = self.entries.get_mut(index) {
            (entry.news, entry.due) = (News::Ready, due);
            self.ready.push(index);
        }
    }

    /// What is due by now becomes ready.
    pub(crate) fn wake(&mut self, now: Duration) {
        while let Some(&(due, index, number)) = self.waiting.front().filter(|(due, ..)| *due <= now) {
            self.waiting.pop_front();
            let Some(entry) = self.entries.get(index).filter(|entry| entry.number == number) else {
                continue;
            };
            if entry.news == News::Held {
                self.held -= 1;
                self.make_ready(index, due);
            }
        }
    }

    /// When there is something to do although nothing happens.
    pub(crate) fn next_due(&self, now: Duration) -> Option<Duration> {
        match self.key.spec.pace {
            Pace::Unlimited => None,
            Pace::PerDevice(_) => {
                (self.held > 0).then(|| self.waiting.front().map(|&(due, ..)| due)).flatten()
            }
            Pace::Beat(interval) => (!self.ready.is_empty()).then(|| next_beat(now, interval)),
        }
    }

    // --- telling

    /// Gives numbers to what is new, and makes the frames of it if anybody is up to date to hear them.
    pub(crate) fn emit(&mut self, devices: &Devices, now: Now) -> Option<(Bytes, Emission)> {
        let after = self.head;
        let left = self.number_left();
        let entered = self.number_entered(devices, now.uptime);
        let mut stamps = Vec::new();
        let moved = self.number_moved(devices, now.uptime, &mut stamps);
        if self.head == after || self.members.iter().all(|member| member.is_behind) {
            return None;
        }
        let mut writer = Writer::new(&self.key);
        if !left.is_empty() {
            writer.left(&left);
        }
        if !entered.is_empty() {
            writer.entered(&self.shown(&entered, devices));
        }
        let moved: Vec<(u32, &Live)> =
            moved.iter().map(|(device, live)| (wire_number(*device), &**live)).collect();
        let least_version = moved.iter().map(|(_device, live)| live.version).min().unwrap_or(u64::MAX);
        if !moved.is_empty() {
            writer.moved(&moved, Time(now.wall));
        }
        Some((writer.finish(), Emission { after, least_version, stamps }))
    }

    fn number_left(&mut self) -> Vec<DeviceId> {
        let leaving = std::mem::take(&mut self.leaving);
        let mut ids = Vec::with_capacity(leaving.len());
        for (id, entered) in leaving {
            self.head += 1;
            let number = self.head;
            let tomb = self.tombs.entry(id.clone()).or_insert(Tomb { number, entered });
            *tomb = Tomb { number, entered: tomb.entered.min(entered) };
            ids.push(id);
        }
        if self.tombs.len() > self.portions.tombs_max {
            self.tombs.clear();
            self.tombs_lost_to = self.head;
        }
        ids
    }

    fn number_entered(&mut self, devices: &Devices, now: Duration) -> Vec<usize> {
        let entering = std::mem::take(&mut self.entering);
        let next_due = self.key.spec.pace.interval().map(|interval| now.saturating_add(interval));
        for &index in &entering {
            self.head += 1;
            self.link(index, self.head);
            if let Some(entry) = self.entries.get_mut(index) {
                entry.entered = entry.number;
                entry.tell(devices.newest(entry.device).cloned());
                entry.news = News::None;
                if let Some(due) = next_due.filter(|_due| entry.told.is_some()) {
                    entry.next_due = due;
                    self.waiting.push_back((due, index, entry.number));
                }
            }
        }
        entering
    }

    /// The devices that moved and their fixes, in the order of their numbers.
    fn number_moved(
        &mut self,
        devices: &Devices,
        now: Duration,
        stamps: &mut Vec<Stamp>,
    ) -> Vec<(usize, Arc<Live>)> {
        let interval = self.key.spec.pace.interval();
        let is_beat = matches!(self.key.spec.pace, Pace::Beat(_));
        let mut moved = std::mem::take(&mut self.burst);
        let mut ready = std::mem::take(&mut self.ready);
        if matches!(self.key.spec.pace, Pace::PerDevice(_)) {
            // They wait for their next turn in this order: else, after one late tick, those that were due first would
            // wait for those that were due last, for ever.
            ready.sort_by_key(|&index| self.entries.get(index).map(|entry| entry.due));
        }
        for index in ready {
            let newest = self.entries.get(index).and_then(|entry| devices.newest(entry.device));
            moved.extend(newest.map(|live| (index, Arc::clone(live))));
        }
        for (index, live) in &mut moved {
            self.head += 1;
            let number = self.head;
            self.link(*index, number);
            let Some(entry) = self.entries.get_mut(*index) else { continue };
            let due = if is_beat { now } else { entry.due.max(live.arrived.min(now)) };
            stamps.push(Stamp { arrived: live.arrived, due });
            entry.told_due = due;
            if entry.entered == 0 {
                entry.entered = number;
            }
            entry.news = News::None;
            entry.tell(Some(Arc::clone(live)));
            if let Some(interval) = interval.filter(|_interval| !is_beat) {
                entry.next_due = due.saturating_add(interval);
                self.waiting.push_back((entry.next_due, *index, number));
            }
            *index = entry.device;
        }
        moved
    }

    /// Entries as they were told.
    pub(crate) fn shown<'a>(&'a self, indices: &[usize], devices: &'a Devices) -> Vec<Shown<'a>> {
        let shown = indices.iter().filter_map(|&index| self.entries.get(index));
        shown.filter_map(|entry| devices.shown(entry.device, entry.told.as_deref())).collect()
    }

    /// Entries as they are, be it that the others are told so later; those with a fix after a version, as they were
    /// told.
    pub(crate) fn shown_at<'a>(
        &'a self,
        indices: &[usize],
        devices: &'a Devices,
        version: u64,
    ) -> Vec<Shown<'a>> {
        let shown = indices.iter().filter_map(|&index| self.entries.get(index));
        let live = |entry: &'a Entry| {
            let newest = devices.newest(entry.device).filter(|live| live.version <= version);
            newest.or(entry.told.as_ref()).map(|live| &**live)
        };
        shown.filter_map(|entry| devices.shown(entry.device, live(entry))).collect()
    }

    /// Forgets what left, as soon as nobody is left to tell: not those either whose other views are told first.
    pub(crate) fn forget_tombs(&mut self) {
        let head = self.head;
        let has_heard = |member: &Member| !member.is_behind && member.seen == head;
        if !self.tombs.is_empty() && self.members.iter().all(has_heard) {
            self.tombs.clear();
        }
    }

    /// The devices that left since the last tick, of those who entered up to a number.
    pub(crate) fn leaving_known_to(&self, seen: u64) -> impl Iterator<Item = DeviceId> {
        self.leaving.iter().filter(move |(_id, entered)| *entered <= seen).map(|(id, _entered)| id.clone())
    }

    // --- the order

    /// The entries with a number above one, the oldest first; `None` when there are more than so many.
    pub(crate) fn newer_than(&self, number: u64, entries_max: usize) -> Option<Vec<usize>> {
        let mut found = Vec::new();
        let mut at = self.newest;
        while let Some((index, entry)) = at.and_then(|index| self.entries.get(index).map(|it| (index, it))) {
            if entry.number <= number {
                break;
            }
            if found.len() == entries_max {
                return None;
            }
            found.push(index);
            at = entry.older;
        }
        found.reverse();
        Some(found)
    }

    /// Makes an entry the newest.
    fn link(&mut self, index: usize, number: u64) {
        if self.newest != Some(index) {
            self.unlink(index);
            let older = self.newest.replace(index);
            if let Some(older) = older.and_then(|older| self.entries.get_mut(older)) {
                older.newer = Some(index);
            }
            if let Some(entry) = self.entries.get_mut(index) {
                entry.older = older;
            }
        }
        if let Some(entry) = self.entries.get_mut(index) {
            entry.number = number;
        }
    }

    fn unlink(&mut self, index: usize) {
        let Some(entry) = self.entries.get_mut(index) else { return };
        let (older, newer) = (entry.older.take(), entry.newer.take());
        if let Some(older) = older.and_then(|older| self.entries.get_mut(older)) {
            older.newer = newer;
        }
        match newer {
            Some(newer) => {
                if let Some(newer) = self.entries.get_mut(newer) {
                    newer.older = older;
                }
            }
            None if self.newest == Some(index) => self.newest = older,
            None => {}
        }
    }
}

impl Entry {
    fn new(device: usize) -> Self {
        Self {
            device,
            number: 0,
            entered: 0,
            told: None,
            told_version: 0,
            news: News::None,
            next_due: Duration::ZERO,
            due: Duration::ZERO,
            told_due: Duration::ZERO,
            older: None,
            newer: None,
        }
    }

    fn tell(&mut self, live: Option<Arc<Live>>) {
        self.told_version = live.as_ref().map_or(0, |live| live.version);
        self.told = live;
    }

    fn is_far_from(&self, live: &Live, min_move_m: f64) -> bool {
        let Some(told) = self.told.as_ref().filter(|_told| min_move_m > 0.0) else { return true };
        let (before, after) = (told.fix.position, live.fix.position);
        let [dx, dy, dz] =
            [before.x_m() - after.x_m(), before.y_m() - after.y_m(), before.z_m() - after.z_m()];
        dx.hypot(dy).hypot(dz) >= min_move_m
    }
}

/// A device's number on the wire.
pub(crate) fn wire_number(device: usize) -> u32 {
    u32::try_from(device).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Filter;
    use crate::spec::{Slot, ViewSpec};
    use anita_auth::Patterns;
    use anita_model::{DeviceKind, Fix, Position, SiteName, SourceName, Timestamp};
    use proptest::prelude::*;

    fn class() -> Class {
        let spec = ViewSpec::new(Filter::all(), Form::Batch, Pace::Unlimited);
        let key = ClassKey { spec, rights: Patterns::all(), slot: Slot::Subscription(1), own: 0 };
        Class::new(key, Portions::default())
    }

    proptest! {
        /// The linked order against a list that is sorted anew each time.
        #[test]
        fn entries_stand_in_the_order_of_their_last_numbers(
            acts in proptest::collection::vec((0_usize..8, 0_usize..4), 1..60),
            after in 0_u64..60,
            entries_max in 0_usize..9,
        ) {
            let mut class = class();
            let mut numbers: HashMap<usize, u64> = HashMap::new();
            for (device, act) in acts {
                let found = class.entries.iter().find(|(_, entry)| entry.device == device).map(|(index, _)| index);
                match found {
                    None => {
                        let index = class.begin_with(device, None);
                        numbers.insert(index, class.head);
                    }
                    Some(index) if act == 0 => {
                        class.leave(index, &DeviceId::parse("t1").unwrap());
                        numbers.remove(&index);
                    }
                    Some(index) => {
                        class.head += 1;
                        class.link(index, class.head);
                        numbers.insert(index, class.head);
                    }
                }
            }
            let mut newer: Vec<(u64, usize)> =
                numbers.into_iter().filter(|(_, number)| *number > after).map(|(index, number)| (number, index)).collect();
            newer.sort_unstable();
            let expected: Vec<usize> = newer.into_iter().map(|(_, index)| index).collect();
            let expected = Some(expected).filter(|it| it.len() <= entries_max);
            prop_assert_eq!(class.newer_than(after, entries_max), expected);
        }
    }

    /// Ten thousand tags at 2 Hz were told up to 80 ms late, for as long as the server ran, after one tick that was late.
    #[test]
    fn after_a_late_tick_whoever_was_due_first_has_its_next_turn_first() {
        let spec = ViewSpec::new(Filter::all(), Form::Batch, Pace::at_most_hz(10.0));
        let key = ClassKey { spec, rights: Patterns::all(), slot: Slot::Subscription(1), own: 0 };
        let mut class = Class::new(key, Portions::default());
        let mut devices = Devices::default();
        let millis = Duration::from_millis;
        for (name, arrived) in [("late", 150), ("early", 10), ("middle", 70)] {
            let id = DeviceId::parse(name).unwrap();
            let device = anita_world::Device::new(id, DeviceKind::Tag, SiteName::main());
            let device = devices.set(Arc::new(device));
            let index = class.begin_with(device, None);
            let live = Arc::new(Live::newest(fix(name), 1, millis(arrived)));
            devices.get_mut(device).unwrap().newest = Some(Arc::clone(&live));
            assert!(class.moved(index, &live, millis(200)));
        }
        class.number_moved(&devices, millis(200), &mut Vec::new());
        let turns: Vec<Duration> = class.waiting.iter().map(|&(due, ..)| due).collect();
        assert_eq!(turns, [millis(110), millis(170), millis(250)]);
    }

    fn fix(device: &str) -> Arc<Fix> {
        Arc::new(Fix {
            device: DeviceId::parse(device).unwrap(),
            site: SiteName::main(),
            position: Position::new(1.0, 2.0, 3.0).unwrap(),
            accuracy_m: None,
            floor: None,
            battery_percent: None,
            taken_at: Timestamp::UNIX_EPOCH,
            received_at: Timestamp::UNIX_EPOCH,
            source: SourceName::parse("test").unwrap(),
            sequence: None,
        })
    }

    #[test]
    fn beats_are_multiples_of_the_interval() {
        let cases = [(0, 100, 100), (99, 100, 100), (100, 100, 200), (250, 100, 300), (5, 0, 5)];
        for (now, interval, beat) in cases {
            let (now, interval) = (Duration::from_millis(now), Duration::from_millis(interval));
            let next = next_beat(now, interval);
            assert!(next > now);
            assert_eq!(next.as_millis(), beat);
        }
    }
}
