//! All views of one shard: the picture of the world, the classes, and who is in them.

mod classes;
mod news;
mod ticks;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use anita_auth::Patterns;
use anita_model::{DeviceId, Now, SiteName};
use anita_world::Device;
use slab::Slab;

use crate::ages::Ages;
use crate::ages::Stamp;
use crate::class::Class;
use crate::devices::Devices;
use crate::grid::Grid;
use crate::live::Live;
use crate::member::CaughtUp;
use crate::packet::Packet;
use crate::portions::Portions;
use crate::spec::{ClassKey, Label, Slot};
use crate::tail::{Reader, Tail};

use self::classes::Mark;

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
}
