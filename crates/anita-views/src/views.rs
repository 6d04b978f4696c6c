//! All views of one shard: the picture of the world, the classes, and who is in them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use anita_auth::Patterns;
use anita_model::{DeviceId, Now, SiteName};
use anita_world::Device;
use slab::Slab;

use crate::ages::Ages;
use crate::area::{Bounds, Shape};
use crate::class::{Class, Emission, Stamp};
use crate::devices::{Devices, Membership};
use crate::filter::Filter;
use crate::grid::Grid;
use crate::live::Live;
use crate::member::{CaughtUp, Member};
use crate::packet::Packet;
use crate::portions::Portions;
use crate::spec::{ClassKey, Label, Pace, Slot, ViewSpec};
use crate::tail::{Reader, Tail};

/// What the gathering and the memory of a shard are bound by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewSettings {
    /// The time between two ticks while more comes than can be told one by one. What comes alone goes at once.
    pub gather: Duration,
    /// The longest time between two ticks.
    pub gather_max: Duration,
    /// How much longer the next tick gathers for each socket that one wrote to, so that writing costs a bounded part
    /// of the time.
    pub gather_per_write: Duration,
    /// How many fixes are kept one by one for the lane `every`.
    pub tail_fixes_max: usize,
}

impl Default for ViewSettings {
    fn default() -> Self {
        Self {
            gather: Duration::from_millis(10),
            gather_max: Duration::from_millis(100),
            gather_per_write: Duration::from_micros(200),
            tail_fixes_max: 16_384,
        }
    }
}

/// What happened to a device, in the order in which it happened.
#[derive(Debug, Clone)]
pub enum Change {
    /// A fix.
    Fix(Arc<Live>),
    /// What the device is: it is new, or its name, kind, site or status changed.
    Device(Arc<Device>),
    /// It is out of the registry.
    Removed(DeviceId),
    /// Fixes up to this number were skipped: for whoever wants every one, they are lost.
    Lost(u64),
}

/// The sockets, as far as views know them.
pub trait Outlets {
    /// Writes frames to a connection, if it takes any at once. If not, it is asked to catch up as soon as it does.
    fn offer(&mut self, connection: usize, packets: &[&Packet]) -> bool;
    /// The same for many connections, each named once; says of each whether it took the frames.
    fn offer_all(&mut self, offers: &[(usize, &Packet)], taken: &mut Vec<bool>) {
        taken.clear();
        for &(connection, packet) in offers {
            let is_taken = self.offer(connection, &[packet]);
            taken.push(is_taken);
        }
    }
    /// Asks a connection to catch up.
    fn wake(&mut self, connection: usize);
    /// So many connections were written these positions.
    fn delivered(&mut self, label: Label, stamps: &[Stamp], connections: u64);
    /// The uptime at this moment.
    fn uptime(&mut self) -> Duration;
}

/// How long news are told one by one where gathering did not pay, before it is tried again.
const ALONE: Duration = Duration::from_secs(1);

/// How many connections are written to at once; after them the time is looked at again, so that each delivery's age is
/// right.
const WRITES_AT_ONCE: usize = 128;

/// What a class tells in this tick.
#[derive(Debug)]
struct Told {
    class: usize,
    label: Label,
    packet: Packet,
    emission: Emission,
}

/// A member that is to get what its class tells.
#[derive(Debug, Clone, Copy)]
struct Due {
    /// Its place in the list of what is told.
    told: usize,
    connection: usize,
    /// Its place in the class.
    member: usize,
}

/// How many devices a class may have to be looked through for what is new: then a fix costs it next to nothing.
const PULLED_ENTRIES_MAX: usize = 256;

/// How a class judges where a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum PlaceTest {
    /// Not at all.
    #[default]
    None,
    /// By the bounds alone.
    Bounds,
    /// The bounds first, then the class.
    WithinBounds,
    /// The class is asked.
    Class,
}

/// What a fix asks of a class.
#[derive(Debug, Clone, Copy)]
struct Mark {
    /// The round in which it was last looked at, so that none is looked at twice.
    round: u64,
    bounds: Bounds,
    place: PlaceTest,
    /// Whether the class looks through its devices at each tick, and is not told of each fix.
    is_pulled: bool,
    is_dirty: bool,
}

impl Default for Mark {
    fn default() -> Self {
        let bounds = Bounds { min: [0.0; 2], max: [0.0; 2] };
        Self { round: 0, bounds, place: PlaceTest::None, is_pulled: false, is_dirty: false }
    }
}

impl Mark {
    /// Whether a point passes; `None` where the class has to be asked.
    #[inline]
    fn lets(&self, point: [f64; 2]) -> Option<bool> {
        match self.place {
            PlaceTest::None => Some(true),
            PlaceTest::Bounds => Some(self.bounds.contains(point)),
            PlaceTest::WithinBounds if !self.bounds.contains(point) => Some(false),
            PlaceTest::WithinBounds | PlaceTest::Class => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) rights: Patterns,
    pub(crate) views: BTreeMap<Slot, Place>,
    pub(crate) readers: BTreeMap<Slot, Reader>,
    pub(crate) ages: Option<Box<Ages>>,
    /// Positions delivered and dropped by views that have ended.
    pub(crate) past: (u64, u64),
}

/// Where a connection's view is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) class: usize,
    pub(crate) member: usize,
    pub(crate) spec: ViewSpec,
}

/// All views of one shard. It has no clock, no task and no socket.
#[derive(Debug)]
pub struct Views {
    pub(crate) settings: ViewSettings,
    pub(crate) portions: Portions,
    pub(crate) epoch: Arc<str>,
    pub(crate) devices: Devices,
    pub(crate) classes: Slab<Class>,
    pub(crate) by_key: HashMap<ClassKey, usize>,
    pub(crate) connections: Slab<Connection>,
    pub(crate) tail: Tail,
    grids: HashMap<SiteName, Grid>,
    /// Classes that name their devices.
    listed: HashMap<DeviceId, Vec<usize>>,
    /// Classes that neither name them nor have an area.
    open: BTreeSet<usize>,
    pub(crate) recorders: BTreeSet<usize>,
    tail_told_to: u64,
    dirty: Vec<usize>,
    /// What a fix asks of a class, close together: a class is looked at for each device that it shows.
    marks: Vec<Mark>,
    timers: BinaryHeap<Reverse<(Duration, usize)>>,
    /// No tick before this, by the uptime.
    next_tick_at: Duration,
    /// When the window of the last tick ends, whether it is waited for or not.
    window_end: Duration,
    /// Until then news are told one by one.
    alone_until: Duration,
    /// What has come since the last tick.
    news: usize,
    /// The latest uptime that anybody came with.
    latest: Duration,
    round: u64,
    pub(crate) own_classes: u64,
}

impl Views {
    /// No device and nobody. The epoch names the numbering of fixes.
    pub fn new(settings: ViewSettings, epoch: Arc<str>) -> Self {
        Self {
            settings,
            portions: Portions::default(),
            epoch,
            devices: Devices::default(),
            classes: Slab::new(),
            by_key: HashMap::new(),
            connections: Slab::new(),
            tail: Tail::new(settings.tail_fixes_max),
            grids: HashMap::new(),
            listed: HashMap::new(),
            open: BTreeSet::new(),
            recorders: BTreeSet::new(),
            tail_told_to: 0,
            dirty: Vec::new(),
            marks: Vec::new(),
            timers: BinaryHeap::new(),
            next_tick_at: Duration::ZERO,
            window_end: Duration::ZERO,
            alone_until: Duration::ZERO,
            news: 0,
            latest: Duration::ZERO,
            round: 0,
            own_classes: 0,
        }
    }

    /// With other portions, before anybody comes.
    #[must_use]
    pub fn with_portions(self, portions: Portions) -> Self {
        Self { portions, ..self }
    }

    /// The epoch and the number of the last fix.
    pub fn place(&self) -> (&str, u64) {
        (&self.epoch, self.devices.version)
    }

    /// How many classes there are.
    pub fn class_count(&self) -> usize {
        self.classes.len()
    }

    /// How many sites have views with an area.
    #[cfg(test)]
    pub(crate) fn site_count(&self) -> usize {
        self.grids.len()
    }

    // --- the world

    /// Takes what happened to a device.
    pub fn apply(&mut self, change: Change, uptime: Duration) {
        self.news += 1;
        let uptime = self.not_before(uptime);
        match change {
            Change::Fix(live) => self.apply_fix(&live, uptime),
            Change::Device(device) => self.apply_device(device, uptime),
            Change::Removed(id) => self.apply_removed(&id, uptime),
            Change::Lost(version) => {
                self.devices.version = self.devices.version.max(version);
                self.tail.begin_after(version);
            }
        }
    }

    /// The time does not go back, also where those who look at it come in another order than they looked.
    fn not_before(&mut self, uptime: Duration) -> Duration {
        self.latest = self.latest.max(uptime);
        self.latest
    }

    fn apply_fix(&mut self, live: &Arc<Live>, uptime: Duration) {
        self.devices.version = self.devices.version.max(live.version);
        let index = self.devices.index_of(&live.fix.device);
        let device = index.and_then(|index| self.devices.get(index)).map(|known| Arc::clone(&known.device));
        self.tail.push(Arc::clone(live), device);
        let Some(index) = index.filter(|_index| live.is_newest) else { return };
        let Some(known) = self.devices.get_mut(index) else { return };
        let floor_before = known.floor();
        known.newest = Some(Arc::clone(live));
        known.newest_version = live.version;
        let mut memberships = std::mem::take(&mut known.memberships);
        let (position, floor) = (Some(live.fix.position), live.fix.floor);
        self.round += 1;
        let point = [live.fix.position.x_m(), live.fix.position.y_m()];
        memberships.retain(|membership| {
            let Some(mark) = self.marks.get_mut(membership.class) else { return false };
            mark.round = self.round;
            let lets = mark.lets(point);
            if mark.is_pulled && lets == Some(true) {
                if !mark.is_dirty {
                    mark.is_dirty = true;
                    self.dirty.push(membership.class);
                }
                return true;
            }
            let Some(class) = self.classes.get_mut(membership.class) else { return false };
            let stays = lets.unwrap_or_else(|| class.key.spec.filter.lets_place(position, floor));
            let is_ready = if stays {
                class.moved(membership.entry, live, uptime)
            } else {
                class.leave(membership.entry, &live.fix.device);
                true
            };
            self.settle(membership.class, is_ready, uptime);
            stays
        });
        if let Some(known) = self.devices.get_mut(index) {
            known.memberships = memberships;
        }
        let has_moved_floor = floor_before != floor;
        let around: Vec<usize> = self.around(&live.fix.site, point);
        let on_floors = if has_moved_floor { self.with_floors(&live.fix.device) } else { Vec::new() };
        for class in around.into_iter().chain(on_floors) {
            self.enter_if_shown(class, index, uptime);
        }
    }

    /// The classes with an area that may contain a point, of those that were not looked at in this round.
    fn around(&self, site: &SiteName, point: [f64; 2]) -> Vec<usize> {
        let Some(grid) = self.grids.get(site) else { return Vec::new() };
        let may_be = |id: &usize| {
            self.marks.get(*id).is_some_and(|it| it.round != self.round && it.lets(point) != Some(false))
        };
        grid.around(point).filter(may_be).collect()
    }

    /// The classes without an area that ask for floors.
    fn with_floors(&self, id: &DeviceId) -> Vec<usize> {
        let candidates = self.open.iter().chain(self.listed.get(id).into_iter().flatten()).copied();
        let asks = |id: &usize| {
            self.marks.get(*id).is_some_and(|it| it.place != PlaceTest::None && it.round != self.round)
        };
        candidates.filter(asks).collect()
    }

    fn apply_device(&mut self, device: Arc<Device>, uptime: Duration) {
        let id = device.id.clone();
        let index = self.devices.set(device);
        self.round += 1;
        let Some(known) = self.devices.get_mut(index) else { return };
        let mut memberships = std::mem::take(&mut known.memberships);
        let (position, floor, device) = (known.position(), known.floor(), Arc::clone(&known.device));
        memberships.retain(|membership| {
            let Some(class) = self.classes.get_mut(membership.class) else { return false };
            if let Some(mark) = self.marks.get_mut(membership.class) {
                mark.round = self.round;
            }
            let filter = &class.key.spec.filter;
            let stays = filter.lets_device(&device) && filter.lets_place(position, floor);
            if !stays {
                class.leave(membership.entry, &id);
                self.settle(membership.class, true, uptime);
            }
            stays
        });
        if let Some(known) = self.devices.get_mut(index) {
            known.memberships = memberships;
        }
        let around = position.map(|at| self.around(&device.site, [at.x_m(), at.y_m()])).unwrap_or_default();
        let is_new = |class: &usize| self.marks.get(*class).is_some_and(|it| it.round != self.round);
        let listed = self.listed.get(&id).into_iter().flatten();
        let others: Vec<usize> = self.open.iter().chain(listed).copied().filter(is_new).collect();
        for class in around.into_iter().chain(others) {
            self.enter_if_shown(class, index, uptime);
        }
    }

    fn enter_if_shown(&mut self, class_id: usize, index: usize, uptime: Duration) {
        let round = self.round;
        let (Some(class), Some(known), Some(mark)) =
            (self.classes.get_mut(class_id), self.devices.get_mut(index), self.marks.get_mut(class_id))
        else {
            return;
        };
        let ClassKey { spec, rights, .. } = &class.key;
        let is_shown = mark.round != round
            && spec.filter.lets_place(known.position(), known.floor())
            && spec.filter.lets_device(&known.device)
            && rights.allow(known.device.id.as_str());
        mark.round = round;
        if is_shown {
            let entry = class.enter(index, known.newest.is_some());
            if mark.is_pulled && class.entries.len() > PULLED_ENTRIES_MAX {
                mark.is_pulled = false;
                class.pull(&self.devices);
            }
            let Some(known) = self.devices.get_mut(index) else { return };
            known.memberships.push(Membership { class: class_id, entry });
            self.soil(class_id, uptime);
        }
    }

    fn apply_removed(&mut self, id: &DeviceId, uptime: Duration) {
        let Some(index) = self.devices.index_of(id) else { return };
        let memberships = self.devices.get_mut(index).map(|known| std::mem::take(&mut known.memberships));
        for membership in memberships.into_iter().flatten() {
            if let Some(class) = self.classes.get_mut(membership.class) {
                class.leave(membership.entry, id);
                self.soil(membership.class, uptime);
            }
        }
        self.devices.remove(id);
    }

    // --- ticks

    /// The class has something to tell.
    fn soil(&mut self, class: usize, uptime: Duration) {
        self.settle(class, true, uptime);
    }

    fn mark_dirty(&mut self, class_id: usize) {
        if let Some(mark) = self.marks.get_mut(class_id).filter(|mark| !mark.is_dirty) {
            mark.is_dirty = true;
            self.dirty.push(class_id);
        }
    }

    /// The class has something to tell with the next tick, or perhaps later.
    pub(crate) fn settle(&mut self, class_id: usize, is_ready: bool, uptime: Duration) {
        let Some(class) = self.classes.get_mut(class_id) else { return };
        let is_beat = matches!(class.key.spec.pace, Pace::Beat(_));
        if is_ready && !is_beat {
            self.mark_dirty(class_id);
            return;
        }
        let Some(due) = class.next_due(uptime) else { return };
        if class.timer_at.is_none_or(|at| due < at) {
            class.timer_at = Some(due);
            self.timers.push(Reverse((due, class_id)));
        }
    }

    /// When [`Views::tick`] has something to do, by the uptime; `None` while there is nothing.
    pub fn due_at(&self) -> Option<Duration> {
        let has_news = !self.dirty.is_empty() || self.has_tail_news();
        let timer = self.timers.peek().map(|Reverse((at, _class))| *at);
        let due = if has_news { Some(Duration::ZERO) } else { timer };
        due.map(|due| due.max(self.next_tick_at))
    }

    /// Until when the next tick gathers, by the uptime.
    pub fn gathers_until(&self) -> Duration {
        self.next_tick_at
    }

    /// Something came while the last tick wrote: there is something to gather.
    pub fn crowd(&mut self) {
        self.alone_until = Duration::ZERO;
        self.next_tick_at = self.window_end;
    }

    /// When the next tick is due at the earliest. Gathering is tried, and goes on while it pays: where a window brought
    /// no more than one piece of news, what comes in the next second goes at once.
    fn plan(&mut self, uptime: Duration, writes: usize) {
        let ViewSettings { gather, gather_max, gather_per_write, .. } = self.settings;
        let writes = u32::try_from(writes).unwrap_or(u32::MAX);
        let has_gathered = self.next_tick_at > Duration::ZERO;
        if has_gathered && self.news <= 1 {
            self.alone_until = uptime.saturating_add(ALONE);
        }
        self.news = 0;
        self.window_end =
            uptime.saturating_add(gather_per_write.saturating_mul(writes).clamp(gather, gather_max));
        self.next_tick_at = if uptime < self.alone_until { Duration::ZERO } else { self.window_end };
    }

    fn has_tail_news(&self) -> bool {
        !self.recorders.is_empty() && self.tail_told_to < self.tail.head()
    }

    /// Tells everybody what is due, one frame a class.
    pub fn tick(&mut self, now: Now, outlets: &mut impl Outlets) {
        let now = Now { uptime: self.not_before(now.uptime), ..now };
        self.fire(now.uptime);
        let mut told = Vec::new();
        let mut due = Vec::new();
        let mut several: BTreeMap<usize, Vec<Due>> = BTreeMap::new();
        for class_id in std::mem::take(&mut self.dirty) {
            let Some(class) = self.classes.get_mut(class_id) else { continue };
            if let Some(mark) = self.marks.get_mut(class_id) {
                mark.is_dirty = false;
                if mark.is_pulled {
                    class.pull(&self.devices);
                }
            }
            if let Some(emission) = class.emit(&self.devices, now) {
                let (frames, emission) = emission;
                let (label, packet) = (class.key.label(), Packet::new(frames));
                told.push(Told { class: class_id, label, packet, emission });
                self.find_due(&told, &mut due, &mut several, outlets);
            }
            if let Some(class) = self.classes.get_mut(class_id) {
                class.forget_tombs();
            }
            self.settle(class_id, false, now.uptime);
        }
        for due in due.chunks(WRITES_AT_ONCE) {
            self.write(due, &told, now, outlets);
        }
        for due in several.values() {
            self.write_several(due, &told, now, outlets);
        }
        if self.has_tail_news() {
            self.tail_told_to = self.tail.head();
            self.recorders.iter().for_each(|&connection| outlets.wake(connection));
        }
        self.plan(now.uptime, due.len() + several.len());
    }

    /// Makes ready what is due by now.
    fn fire(&mut self, uptime: Duration) {
        while self.timers.peek().is_some_and(|Reverse((at, _class))| *at <= uptime) {
            let Some(Reverse((at, class_id))) = self.timers.pop() else { return };
            let Some(class) = self.classes.get_mut(class_id) else { continue };
            if class.timer_at == Some(at) {
                class.timer_at = None;
                self.news += 1;
                class.wake(uptime);
                self.mark_dirty(class_id);
            }
        }
    }

    /// Finds the members that are up to date, to get what their class tells last in the list; those with several views
    /// by themselves, for one write.
    fn find_due(
        &mut self,
        told: &[Told],
        due: &mut Vec<Due>,
        several: &mut BTreeMap<usize, Vec<Due>>,
        outlets: &mut impl Outlets,
    ) {
        let Some((Told { class, emission, .. }, before)) = told.split_last() else { return };
        let Some(class) = self.classes.get_mut(*class) else { return };
        for (place, member) in class.members.iter_mut().enumerate() {
            if member.is_behind || member.seen != emission.after {
                continue;
            }
            let connection = member.connection;
            let its = Due { told: before.len(), connection, member: place };
            if member.fresh_version >= emission.least_version {
                // It knows some of these by other means: it gets a frame of its own.
                member.is_behind = true;
                outlets.wake(connection);
            } else if member.has_siblings {
                several.entry(connection).or_default().push(its);
            } else {
                due.push(its);
            }
        }
    }

    /// Hands frames to members, each its own.
    fn write(&mut self, due: &[Due], told: &[Told], now: Now, outlets: &mut impl Outlets) {
        let packet = |due: &Due| told.get(due.told).map(|told| (due.connection, &told.packet));
        let offers: Vec<(usize, &Packet)> = due.iter().filter_map(packet).collect();
        let mut taken = Vec::with_capacity(offers.len());
        outlets.offer_all(&offers, &mut taken);
        // Those of one class stand together: their positions are counted at once.
        let (mut group, mut counted) = (0, None);
        for (due, is_taken) in due.iter().zip(taken) {
            if counted != Some(due.told) {
                count_delivered(counted, told, std::mem::take(&mut group), outlets);
                counted = Some(due.told);
            }
            group += u64::from(self.note(*due, told, is_taken, now, outlets));
        }
        count_delivered(counted, told, group, outlets);
    }

    /// Hands a connection the frames of several classes in one write.
    fn write_several(&mut self, due: &[Due], told: &[Told], now: Now, outlets: &mut impl Outlets) {
        let Some(connection) = due.first().map(|due| due.connection) else { return };
        let packets: Vec<&Packet> =
            due.iter().filter_map(|due| told.get(due.told)).map(|told| &told.packet).collect();
        let is_taken = outlets.offer(connection, &packets);
        for due in due {
            if self.note(*due, told, is_taken, now, outlets) {
                count_delivered(Some(due.told), told, 1, outlets);
            }
        }
    }

    /// Notes what became of a member's frame. Says whether it was taken.
    fn note(&mut self, due: Due, told: &[Told], is_taken: bool, now: Now, outlets: &mut impl Outlets) -> bool {
        let Some(Told { class, emission, .. }) = told.get(due.told) else { return false };
        let Some(class) = self.classes.get_mut(*class) else { return false };
        let head = class.head;
        let Some(member) = class.members.get_mut(due.member) else { return false };
        if !is_taken {
            member.stall(now.uptime);
            return false;
        }
        member.seen = head;
        member.delivered += emission.stamps.len() as u64;
        if member.is_measured
            && let Some(ages) = self.connections.get_mut(due.connection).and_then(|it| it.ages.as_mut())
        {
            ages.observe(&emission.stamps, outlets.uptime());
        }
        true
    }

    /// Whether a connection has something to catch up with.
    pub fn is_behind(&self, connection: usize) -> bool {
        let Some(it) = self.connections.get(connection) else { return false };
        let member =
            |place: &Place| self.classes.get(place.class).and_then(|it| it.members.get(place.member));
        it.views.values().any(|place| member(place).is_some_and(|member| member.is_behind))
            || it.readers.values().any(|reader| reader.seen < self.tail.head())
    }

    /// What a connection that was behind is told; call it when its socket takes bytes.
    pub fn catch_up(&mut self, connection: usize, now: Now) -> CaughtUp {
        let mut out = CaughtUp::default();
        let Some(it) = self.connections.get_mut(connection) else { return out };
        for place in it.views.values() {
            let Some(class) = self.classes.get_mut(place.class) else { continue };
            if class.members.get(place.member).is_some_and(|member| member.is_behind) {
                class.catch_up(place.member, &self.devices, now, &mut out);
            }
        }
        for (slot, reader) in &mut it.readers {
            let name = slot.subscription().unwrap_or_default();
            self.tail.read(reader, (&it.rights, self.portions), (&name, &self.epoch), &mut out);
        }
        if let Some(ages) = &mut it.ages {
            out.told.iter().for_each(|(_label, stamps)| ages.observe(stamps, now.uptime));
        }
        out
    }

    // --- classes

    /// The class of a key, made if need be.
    pub(crate) fn class_of(&mut self, key: ClassKey) -> usize {
        if let Some(&class) = self.by_key.get(&key) {
            return class;
        }
        let class_id = self.classes.insert(Class::new(key.clone(), self.portions));
        self.by_key.insert(key, class_id);
        self.index_class(class_id);
        self.mark_class(class_id);
        let Some(class) = self.classes.get_mut(class_id) else { return class_id };
        let ClassKey { spec, rights, .. } = class.key.clone();
        let shows = |known: &crate::devices::Known| {
            spec.filter.lets_place(known.position(), known.floor())
                && spec.filter.lets_device(&known.device)
                && rights.allow(known.device.id.as_str())
        };
        let shown: Vec<usize> = match spec.filter.listed() {
            Some(ids) => {
                let known = ids.iter().filter_map(|id| self.devices.index_of(id));
                known.filter(|&index| self.devices.get(index).is_some_and(shows)).collect()
            }
            None => {
                self.devices.iter().filter(|(_index, known)| shows(known)).map(|(index, _)| index).collect()
            }
        };
        if shown.len() > PULLED_ENTRIES_MAX
            && let Some(mark) = self.marks.get_mut(class_id)
        {
            mark.is_pulled = false;
        }
        for index in shown {
            let entry = class.begin_with(index, self.devices.newest(index).cloned());
            if let Some(known) = self.devices.get_mut(index) {
                known.memberships.push(Membership { class: class_id, entry });
            }
        }
        class_id
    }

    fn index_class(&mut self, class_id: usize) {
        let Some(class) = self.classes.get_mut(class_id) else { return };
        let filter = &class.key.spec.filter;
        if let (Some(shape), Some(site)) = (&filter.area, filter.site()) {
            let bounds = shape.bounds();
            self.grids.entry(site.clone()).or_default().insert(bounds, class_id);
            class.bounds = Some(bounds);
        } else if let Some(ids) = filter.listed() {
            for id in ids {
                self.listed.entry(id.clone()).or_default().push(class_id);
            }
        } else {
            self.open.insert(class_id);
        }
    }

    /// Notes of a new class what each fix asks.
    fn mark_class(&mut self, class_id: usize) {
        let Some(class) = self.classes.get(class_id) else { return };
        let filter = &class.key.spec.filter;
        let place = match (&filter.area, filter.has_floors()) {
            (None, false) => PlaceTest::None,
            (Some(Shape::Box(..)), false) => PlaceTest::Bounds,
            (Some(_), _) => PlaceTest::WithinBounds,
            (None, true) => PlaceTest::Class,
        };
        let bounds = class.bounds.unwrap_or(Bounds { min: [0.0; 2], max: [0.0; 2] });
        if self.marks.len() <= class_id {
            self.marks.resize(class_id + 1, Mark::default());
        }
        if let Some(mark) = self.marks.get_mut(class_id) {
            let is_pulled = class.can_be_pulled() && filter.area.is_some();
            *mark = Mark { round: 0, bounds, place, is_pulled, is_dirty: false };
        }
    }

    /// Forgets a class that nobody is in.
    pub(crate) fn drop_class(&mut self, class_id: usize) {
        let Some(class) = self.classes.try_remove(class_id) else { return };
        let filter: &Filter = &class.key.spec.filter;
        if let (Some(bounds), Some(site)) = (class.bounds, filter.site()) {
            if let Some(grid) = self.grids.get_mut(site) {
                grid.remove(bounds, class_id);
                if grid.is_empty() {
                    self.grids.remove(site);
                }
            }
        } else if let Some(ids) = filter.listed() {
            for id in ids {
                if let Some(classes) = self.listed.get_mut(id) {
                    classes.retain(|&it| it != class_id);
                    if classes.is_empty() {
                        self.listed.remove(id);
                    }
                }
            }
        } else {
            self.open.remove(&class_id);
        }
        for (_index, entry) in &class.entries {
            if let Some(known) = self.devices.get_mut(entry.device) {
                known.memberships.retain(|membership| membership.class != class_id);
            }
        }
        self.by_key.remove(&class.key);
        self.dirty.retain(|&it| it != class_id);
    }

    /// A member takes its place in a class. Says which.
    pub(crate) fn seat(&mut self, class_id: usize, member: Member) -> usize {
        let Some(class) = self.classes.get_mut(class_id) else { return 0 };
        class.members.push(member);
        class.members.len() - 1
    }
}

/// Counts the positions of a class that so many connections were written.
fn count_delivered(told_index: Option<usize>, told: &[Told], connections: u64, outlets: &mut impl Outlets) {
    if let Some(Told { label, emission, .. }) = told_index.and_then(|index| told.get(index))
        && connections > 0
    {
        outlets.delivered(*label, &emission.stamps, connections);
    }
}
