//! One run: a world, some clients, and what comes between them.

use std::collections::BTreeMap;
use std::time::Duration;

use anita_model::{Now, Timestamp};
use anita_views::{Label, Outlets, Packet, Portions, Slot, Stamp, Start, ViewSettings, Views};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::asked::{self, Plan, Which};
use crate::client::{Client, Held, Reading, Scene, Way, next_for};
use crate::world::World;

#[derive(Debug)]
pub(crate) struct Simulation {
    pub(crate) rng: SmallRng,
    pub(crate) views: Views,
    pub(crate) world: World,
    pub(crate) clients: BTreeMap<usize, Client>,
    pub(crate) now: Now,
    /// How much earlier than its rate a position may come; `None` where ticks come at any time.
    slack: Option<Duration>,
    /// How often a socket that took everything so far takes nothing.
    stalls: f64,
    pub(crate) count: BTreeMap<String, u64>,
}

/// The sockets of the clients.
struct Sockets<'a> {
    rng: &'a mut SmallRng,
    world: &'a World,
    clients: &'a mut BTreeMap<usize, Client>,
    uptime: Duration,
    slack: Option<Duration>,
    stalls: f64,
}

impl Outlets for Sockets<'_> {
    fn offer(&mut self, connection: usize, packets: &[&Packet]) -> bool {
        let client = self.clients.get_mut(&connection).expect("a connection that is there");
        if !client.is_stalled && self.rng.random_bool(self.stalls) {
            client.is_stalled = true;
        }
        if client.is_stalled {
            return false;
        }
        let (way, slack) = (Way::Tick, self.slack);
        let scene = Scene { world: self.world, uptime: self.uptime, way, slack };
        for packet in packets {
            client.take(packet.plain(), scene);
        }
        true
    }

    fn wake(&mut self, connection: usize) {
        self.clients.get_mut(&connection).expect("a connection that is there").is_called = true;
    }

    fn delivered(&mut self, _label: Label, stamps: &[Stamp], connections: u64) {
        assert!(connections > 0);
        for stamp in stamps {
            assert!(stamp.due >= stamp.arrived.min(self.uptime), "due before it arrived: {stamp:?}");
            assert!(stamp.due <= self.uptime, "told before it was due: {stamp:?}");
        }
    }

    fn uptime(&mut self) -> Duration {
        self.uptime
    }
}

impl Simulation {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let millis = |rng: &mut SmallRng, all: &[u64]| Duration::from_millis(*all.choose(rng).unwrap());
        let gather = millis(&mut rng, &[0, 5, 10, 100]);
        let gather_max = gather.max(millis(&mut rng, &[0, 20, 100]));
        let gather_per_write = millis(&mut rng, &[0, 1, 5]);
        let tail_fixes_max = *[3, 10, 1_000].choose(&mut rng).unwrap();
        let settings = ViewSettings { gather, gather_max, gather_per_write, tail_fixes_max };
        let portions = match rng.random_range(0..4) {
            0 => Portions::default(),
            _ => Portions {
                page_devices: *[1, 2, 3, 1_000].choose(&mut rng).unwrap(),
                catch_up_devices: *[1, 2, 4, 4_096].choose(&mut rng).unwrap(),
                tombs_max: *[1, 3, 10_000].choose(&mut rng).unwrap(),
                fixes: *[1, 3, 512].choose(&mut rng).unwrap(),
                fixes_looked_at: *[2, 8_192].choose(&mut rng).unwrap(),
            },
        };
        let mut simulation = Self::with(rng, settings, portions);
        simulation.slack = simulation.rng.random_bool(0.6).then_some(gather_max);
        simulation.world.is_askew = simulation.slack.is_none() && simulation.rng.random_bool(0.5);
        simulation.stalls = *[0.0, 0.02, 0.3].choose(&mut simulation.rng).unwrap();
        simulation
    }

    pub(crate) fn with(rng: SmallRng, settings: ViewSettings, portions: Portions) -> Self {
        let wall = Timestamp::from_secs_f64(1_800_000_000.0).unwrap();
        Self {
            rng,
            views: Views::new(settings, "epoch".into()).with_portions(portions),
            world: World { tail_max: settings.tail_fixes_max, ..World::default() },
            clients: BTreeMap::new(),
            now: Now { wall, uptime: Duration::from_secs(1) },
            slack: None,
            stalls: 0.0,
            count: BTreeMap::new(),
        }
    }

    pub(crate) fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            self.step();
        }
        self.settle();
        for seat in self.clients.keys().copied().collect::<Vec<_>>() {
            self.disconnect(seat);
        }
        assert_eq!(self.views.class_count(), 0, "nobody is left, and no class");
        self.tick();
    }

    fn step(&mut self) {
        match self.rng.random_range(0..100) {
            0..40 => self.happen(),
            40..58 => self.pass(),
            58..70 => self.ask(),
            70..78 => self.stall_or_go_on(),
            78..90 => self.poll_some(),
            90..93 => self.narrow(),
            93..97 => self.come_or_go(),
            97..99 => {
                if let Some(seat) = self.anybody() {
                    let _figures = self.views.figures(seat);
                }
            }
            _ => self.settle(),
        }
    }

    fn anybody(&mut self) -> Option<usize> {
        let seats: Vec<usize> = self.clients.keys().copied().collect();
        seats.choose(&mut self.rng).copied()
    }

    pub(crate) fn happen(&mut self) {
        for _ in 0..self.rng.random_range(1..6) {
            let changes = self.world.happen(&mut self.rng, self.now);
            // Whoever applies them may have looked at the clock earlier than the one before.
            let early = Duration::from_micros(self.rng.random_range(0..100_000));
            let uptime =
                if self.world.is_askew { self.now.uptime.saturating_sub(early) } else { self.now.uptime };
            for change in changes {
                self.views.apply(change, uptime);
            }
        }
    }

    // --- time

    fn pass(&mut self) {
        let millis = *[0, 1, 4, 11, 40, 100, 700, 2_100].choose(&mut self.rng).unwrap();
        self.let_pass(Duration::from_millis(millis));
    }

    pub(crate) fn let_pass(&mut self, time: Duration) {
        let end = self.now.uptime + time;
        if self.slack.is_some() {
            while let Some(due) = self.views.due_at().filter(|due| *due <= end) {
                self.go_to(due);
                self.tick();
            }
        }
        self.go_to(end);
        if self.slack.is_none() && self.rng.random_bool(0.7) {
            self.tick();
        }
    }

    fn go_to(&mut self, uptime: Duration) {
        self.now = self.now.plus(uptime.saturating_sub(self.now.uptime));
    }

    fn tick(&mut self) {
        if self.views.due_at().is_some_and(|due| due <= self.now.uptime) {
            let Self { rng, world, clients, slack, stalls, .. } = self;
            let (uptime, slack, stalls) = (self.now.uptime, *slack, *stalls);
            self.views.tick(self.now, &mut Sockets { rng, world, clients, uptime, slack, stalls });
        }
    }

    /// Everybody reads, and nothing happens for longer than any rate: everybody has to know what is.
    pub(crate) fn settle(&mut self) {
        let stalls = std::mem::take(&mut self.stalls);
        for client in self.clients.values_mut() {
            client.is_called |= client.is_stalled;
            client.is_stalled = false;
        }
        for _ in 0..30 {
            self.poll_all();
            self.let_pass(Duration::from_millis(250));
            if self.slack.is_none() {
                self.tick();
            }
        }
        self.poll_all();
        for seat in self.clients.keys().copied().collect::<Vec<_>>() {
            assert!(!self.views.is_behind(seat), "{seat}: there is more, and nobody calls it");
            self.check(seat);
        }
        assert!(self.views.due_at().is_none(), "there is nothing to do any more");
        self.stalls = stalls;
    }

    fn check(&self, seat: usize) {
        let client = &self.clients[&seat];
        for (slot, held) in &client.views {
            let shown = held.shown(&client.rights, &self.world);
            if slot.subscription().is_some() {
                assert!(
                    held.is_inside(&shown),
                    "{seat} {slot:?}: {shown:?} is inside, not {:?}",
                    held.inside
                );
            }
            for id in &shown {
                let newest = self.world.known[id].newest.as_ref().map_or(0, |live| live.version);
                self.check_newest(held, id, newest, &format!("{seat} {slot:?} {id}"));
            }
        }
        for (slot, reading) in &client.readings {
            let next = next_for(reading, &client.rights, &self.world);
            assert_eq!(next, None, "{seat} {slot:?}: every fix was told");
        }
    }

    fn check_newest(&self, held: &Held, id: &str, newest: u64, whose: &str) {
        let told = held.told.get(id).copied().unwrap_or(0);
        if newest == 0 || newest == told || (newest <= held.silent_to && told == 0) {
            return;
        }
        let min_move_m = held.plan.min_move_m;
        if min_move_m > 0.0 && told == 0 && held.silent_to > 0 {
            return;
        }
        assert!(min_move_m > 0.0 && told > 0, "{whose}: {newest} is the newest, {told} was told");
        let place = |version: u64| self.world.fix(version).live.fix.position;
        let (a, b) = (place(newest), place(told));
        let far = (a.x_m() - b.x_m()).hypot(a.y_m() - b.y_m()).hypot(a.z_m() - b.z_m());
        // One who was told by other means what others were not may be off twice.
        let far_max = if held.is_changed || held.is_shared() { 2.0 * min_move_m } else { min_move_m };
        assert!(far < far_max, "{whose}: {newest} is {far} m from {told}");
    }

    // --- clients

    fn come_or_go(&mut self) {
        if self.clients.is_empty() || (self.clients.len() < 6 && self.rng.random_bool(0.6)) {
            let rights = asked::rights(&mut self.rng);
            self.connect(rights);
        } else if let Some(seat) = self.anybody() {
            self.disconnect(seat);
        }
    }

    pub(crate) fn connect(&mut self, rights: anita_auth::Patterns) -> usize {
        let seat = self.views.connect(rights.clone());
        let before = self.clients.insert(seat, Client::new(seat, rights));
        assert!(before.is_none(), "a seat is free, or taken");
        seat
    }

    pub(crate) fn disconnect(&mut self, seat: usize) {
        self.views.disconnect(seat);
        let client = self.clients.remove(&seat).unwrap();
        for (kind, count) in client.count {
            *self.count.entry(kind).or_default() += count;
        }
    }

    fn narrow(&mut self) {
        let Some(seat) = self.anybody() else { return };
        let rights = asked::rights(&mut self.rng);
        self.views.set_rights(seat, rights.clone(), self.now);
        let client = self.clients.get_mut(&seat).unwrap();
        client.rights_before.push(std::mem::replace(&mut client.rights, rights));
        client.is_called = true;
        client.readings.values_mut().for_each(|reading| reading.is_unsure |= reading.is_amid);
        client.views.values_mut().for_each(|held| {
            let plan = held.plan.clone();
            held.is_changed = true;
            held.change(plan);
        });
    }

    fn ask(&mut self) {
        let Some(seat) = self.anybody() else { return };
        match self.rng.random_range(0..12) {
            0 => {
                let start = *[Start::Now, Start::Snapshot].choose(&mut self.rng).unwrap();
                self.watch(seat, Slot::Room, Plan::room(start));
            }
            1 => {
                let plan = Plan::tracking(&mut self.rng);
                self.watch(seat, Slot::Tracking, plan);
            }
            2 => self.read_every(seat),
            3 => {
                let slots = [Slot::Room, Slot::Tracking, Slot::Subscription(1), Slot::Subscription(2)];
                let slot = *slots.choose(&mut self.rng).unwrap();
                self.unwatch(seat, slot);
            }
            _ => {
                let slot = Slot::Subscription(self.rng.random_range(1..=3));
                let client = &self.clients[&seat];
                if client.readings.contains_key(&slot) {
                    return;
                }
                let plan = match client.views.get(&slot) {
                    Some(held) => held.plan.changed(&mut self.rng),
                    None => Plan::subscription(&mut self.rng),
                };
                // Others who want the same are in the same class.
                let others: Vec<Plan> = self
                    .clients
                    .values()
                    .filter_map(|it| it.views.get(&slot))
                    .map(|it| it.plan.clone())
                    .collect();
                let same = others.choose(&mut self.rng).cloned().filter(|_| self.rng.random_bool(0.5));
                self.watch(seat, slot, same.unwrap_or(plan));
            }
        }
    }

    pub(crate) fn watch(&mut self, seat: usize, slot: Slot, plan: Plan) {
        self.views.watch(seat, slot, plan.spec(), plan.start, self.now);
        let client = self.clients.get_mut(&seat).unwrap();
        client.is_called = true;
        if let Some(held) = client.views.get_mut(&slot).filter(|_held| slot.subscription().is_some()) {
            held.change(plan);
        } else {
            let held = Held::new(plan, slot, &client.rights, &self.world);
            client.views.insert(slot, held);
        }
    }

    fn unwatch(&mut self, seat: usize, slot: Slot) {
        let client = self.clients.get_mut(&seat).unwrap();
        let was_there = client.views.remove(&slot).is_some() | client.readings.remove(&slot).is_some();
        assert_eq!(self.views.unwatch(seat, slot), was_there, "whether there was one");
    }

    /// Begins to read every fix, or goes on with another filter.
    fn read_every(&mut self, seat: usize) {
        let slot = Slot::Subscription(self.rng.random_range(1..=3));
        let client = self.clients.get_mut(&seat).unwrap();
        if client.views.contains_key(&slot) {
            return;
        }
        let plan = Plan { which: Which::asked(&mut self.rng), ..Plan::room(Start::Now) };
        let version = self.world.version();
        let old = client.readings.get(&slot);
        let before = old.map(|reading| reading.seen);
        let is_amid = old.is_some_and(|reading| reading.is_amid);
        let is_unsure = old.is_some_and(|reading| reading.is_amid || reading.is_unsure);
        let since = match before {
            Some(_) => None,
            None => self.rng.random_bool(0.5).then(|| self.rng.random_range(0..=version + 3)),
        };
        let is_whole = self.views.read_every(seat, slot, plan.which.filter(), since);
        let is_here = |since: u64| since >= self.world.tail_since && since <= version;
        assert_eq!(is_whole, since.is_none_or(is_here), "whether everything is here");
        let seen = since.filter(|&since| since <= version).or(before).unwrap_or(version);
        client.is_called = true;
        client.readings.insert(slot, Reading { plan, seen, is_amid, is_unsure });
    }

    // --- sockets

    fn stall_or_go_on(&mut self) {
        let Some(seat) = self.anybody() else { return };
        let client = self.clients.get_mut(&seat).unwrap();
        client.is_stalled = !client.is_stalled && self.stalls > 0.0;
        client.is_called |= !client.is_stalled;
    }

    fn poll_some(&mut self) {
        if let Some(seat) = self.anybody() {
            self.poll(seat);
        }
    }

    pub(crate) fn poll_all(&mut self) {
        for seat in self.clients.keys().copied().collect::<Vec<_>>() {
            for _ in 0..10_000 {
                if !self.poll(seat) {
                    break;
                }
            }
        }
    }

    /// The session asks what is new, if it has a reason to. Says whether there is more.
    pub(crate) fn poll(&mut self, seat: usize) -> bool {
        let client = self.clients.get_mut(&seat).unwrap();
        if client.is_stalled || !client.is_called || !self.views.is_behind(seat) {
            client.is_called &= client.is_stalled;
            return false;
        }
        let caught_up = self.views.catch_up(seat, self.now);
        client.is_called = caught_up.has_more;
        let (way, slack) = (Way::CatchUp, self.slack);
        let scene = Scene { world: &self.world, uptime: self.now.uptime, way, slack };
        for frames in &caught_up.frames {
            client.take(frames, scene);
        }
        client.views.values_mut().for_each(|held| held.is_changing = false);
        if self.views.is_behind(seat) {
            client.readings.values_mut().for_each(|reading| reading.is_amid = true);
            return caught_up.has_more;
        }
        for (slot, reading) in &mut client.readings {
            let next = next_for(reading, &client.rights, &self.world);
            assert!(next.is_none() || reading.is_unsure, "{slot:?}: {next:?} was not told");
            // What may not be seen now was passed over, and stays so.
            reading.seen = self.world.version();
            (reading.is_amid, reading.is_unsure) = (false, false);
        }
        caught_up.has_more
    }
}
