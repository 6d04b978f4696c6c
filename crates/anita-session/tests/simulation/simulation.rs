//! One run: a server, its users and what is between them, from the first event to the last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anita_hub::{DeviceFilter, NextTurn};
use anita_model::{DeviceStatus, Timestamp};
use futures_util::FutureExt;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio::task::JoinHandle;

use crate::conn::Conn;
use crate::disk::Disk;
use crate::house::{self, House, Plan};
use crate::link::{Millis, Quality};
use crate::queue::{Event, Queue};
use crate::rights::Rights;
use crate::sources::Source;
use crate::trace::{Trace, Wanted};
use crate::truth::Truth;
use crate::users::{Kind, User};

/// How long things go wrong, and how long everything is well then, milliseconds.
const CHAOS_MS: Millis = 8_500;
// Longer than a drain and the patience of a client whose connection is half open, with time to come back and to report.
const CALM_MS: Millis = 12_500;

/// How often that comes in a run.
const ROUNDS: usize = 1;

/// How old news may be that a client which keeps up was not told of, milliseconds.
const FRESH_MS: Millis = 700;

/// How it is with the network and the users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Chaos,
    Calm,
    End,
}

/// How it is with the server.
#[derive(Debug)]
pub(crate) enum Stage {
    Open,
    Draining {
        since_ms: Millis,
    },
    /// Nobody is connected any more; what waits is being kept.
    Closing(JoinHandle<()>),
    Down,
}

/// How many of what there were: whoever changes the simulation sees whether it still does something.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counts(pub(crate) BTreeMap<&'static str, u64>);

impl Counts {
    pub(crate) fn add(&mut self, what: &'static str, count: u64) {
        *self.0.entry(what).or_default() += count;
    }
}

pub(crate) struct Simulation {
    pub(crate) rng: SmallRng,
    pub(crate) now_ms: Millis,
    /// How far the wall clock is off, microseconds.
    pub(crate) wall_off_us: i64,
    queue: Queue,
    pub(crate) plan: Plan,
    pub(crate) disk: Arc<Disk>,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) house: Option<House>,
    pub(crate) stage: Stage,
    pub(crate) next_turn: NextTurn,
    /// Whether a bell may have been rung.
    pub(crate) is_rung: bool,
    pub(crate) phase: Phase,
    pub(crate) conns: BTreeMap<u32, Conn>,
    pub(crate) next_conn: u32,
    pub(crate) users: Vec<User>,
    pub(crate) sources: Vec<Source>,
    /// Revocations that are on their way to the disk.
    pub(crate) revoking: Vec<(String, anita_hub::Kept)>,
    pub(crate) truth: Truth,
    pub(crate) trace: Trace,
    pub(crate) counts: Counts,
    pub(crate) steps: u64,
}

impl Simulation {
    pub(crate) fn new(seed: u64, wanted: Wanted) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let plan = Plan {
            ring: *[36, 60, 1_000].choose(&mut rng).unwrap(),
            nearness_m: rng.random_bool(0.4).then_some(6.0),
            tail_fixes_max: *[8, 40, 1_000].choose(&mut rng).unwrap(),
            gather_ms: *[0, 10, 10, 50].choose(&mut rng).unwrap(),
        };
        let devices = (1..=6).flat_map(|number| [format!("a-{number}"), format!("b-{number}")]);
        let truth = Truth::new(devices, plan.ring);
        let mut simulation = Self {
            now_ms: 0,
            wall_off_us: 0,
            queue: Queue::default(),
            plan,
            disk: Disk::new(rng.random()),
            folder: tempfile::tempdir().unwrap(),
            house: None,
            stage: Stage::Down,
            next_turn: NextTurn::OnBell(None),
            is_rung: true,
            phase: Phase::Chaos,
            conns: BTreeMap::new(),
            next_conn: 0,
            users: Vec::new(),
            sources: Vec::new(),
            revoking: Vec::new(),
            truth,
            trace: Trace::new(wanted),
            counts: Counts::default(),
            steps: 0,
            rng,
        };
        simulation.invite();
        simulation
    }

    /// Who takes part.
    fn invite(&mut self) {
        let kinds = [
            Kind::Screen,
            Kind::Screen,
            Kind::Board,
            Kind::Board,
            Kind::Recorder,
            Kind::Member,
            Kind::Member,
        ];
        let all = kinds.into_iter().chain([Kind::Gateway, Kind::Gateway, Kind::Operator]);
        for (index, kind) in all.enumerate() {
            let is_steady = matches!(index, 0 | 2) || kind == Kind::Operator;
            let rng = &mut self.rng;
            let quality = Quality {
                delay_ms: rng.random_range(1..30),
                jitter_ms: rng.random_range(1..20),
                bytes_per_ms: if is_steady { 10_000 } else { *[20, 200, 10_000].choose(rng).unwrap() },
                kernel_bytes_max: if is_steady { 65_536 } else { *[600, 4_096, 65_536].choose(rng).unwrap() },
            };
            // The devices are shared by two gateways and a source.
            let devices = (0..self.truth.devices.len())
                .filter(|device| kind == Kind::Gateway && device % 3 == index % 3);
            self.users.push(User {
                name: format!("{kind:?}-{index}").to_lowercase(),
                kind,
                rights: Rights::of("viewer"),
                quality,
                is_steady,
                conn: None,
                next_id: 1,
                expires_at: Timestamp::UNIX_EPOCH,
                heard: BTreeMap::new(),
                read: None,
                devices: devices.collect(),
                backlog: std::collections::VecDeque::new(),
                attempts: 0,
            });
        }
        // Gateways have the numbers 7 and 8: what is left of the devices is the source's.
        let devices = (0..self.truth.devices.len()).filter(|device| device % 3 == 0);
        self.sources = vec![Source::new(devices.collect())];
    }

    // --- time

    pub(crate) fn wall(&self) -> Timestamp {
        const BASE_US: i64 = 1_772_366_400_000_000;
        let elapsed_us = i64::try_from(self.now_ms).unwrap() * 1_000;
        Timestamp::from_micros(BASE_US + elapsed_us + self.wall_off_us).unwrap()
    }

    pub(crate) fn push(&mut self, at_ms: Millis, event: Event) {
        let Self { queue, rng, .. } = self;
        queue.push(at_ms.max(self.now_ms), event, rng);
    }

    pub(crate) fn note(&mut self, make: impl FnOnce() -> String) {
        let now_ms = self.now_ms;
        self.trace.line(now_ms, make);
    }

    /// Runs to the end.
    pub(crate) async fn run(&mut self) {
        self.open().await;
        for user in 0..self.users.len() {
            let at_ms = self.rng.random_range(1..500);
            self.push(at_ms, Event::Connect(user));
        }
        self.push(100, Event::Bring(0));
        self.push(250, Event::Sweep);
        self.push(300, Event::Measure);
        self.push(2_000, Event::Save);
        for _ in 0..ROUNDS {
            self.phase = Phase::Chaos;
            self.push(self.now_ms + 1_000, Event::Fault);
            self.go_on_to(self.now_ms + CHAOS_MS).await;
            self.become_calm();
            self.go_on_to(self.now_ms + CALM_MS).await;
            self.check_calm().await;
        }
        self.end().await;
    }

    /// Lets happen what happens until a moment.
    async fn go_on_to(&mut self, end_ms: Millis) {
        let start = tokio::time::Instant::now() - Duration::from_millis(self.now_ms);
        loop {
            self.settle();
            let next_ms = self.queue.next_ms().unwrap_or(end_ms);
            if next_ms > self.now_ms {
                let until = start + Duration::from_millis(next_ms.min(end_ms));
                tokio::select! {
                    biased;
                    () = self.disk.bell.notified() => self.is_rung = true,
                    () = tokio::time::sleep_until(until) => {}
                }
                self.now_ms = u64::try_from(start.elapsed().as_millis()).unwrap();
                if self.now_ms >= end_ms {
                    break;
                }
            } else {
                tokio::task::yield_now().await;
            }
            while self.queue.next_ms().is_some_and(|next_ms| next_ms <= self.now_ms) {
                let event = self.queue.pop().unwrap();
                self.steps += 1;
                self.happen(event).await;
                self.settle();
            }
        }
        self.settle();
    }

    async fn happen(&mut self, event: Event) {
        match event {
            Event::Connect(user) => self.connect(user),
            Event::Act(user) => self.act(user),
            Event::Up(conn) => self.arrive_up(conn),
            Event::Drain(conn) => self.drain(conn),
            Event::Down(conn) => self.arrive_down(conn),
            Event::Cut(conn) => self.cut(conn),
            Event::Watch(conn) => self.watch(conn),
            // Whoever is due is served in any case.
            Event::Wake(_) | Event::Turn => {}
            Event::Sweep => self.sweep(),
            Event::Save => {
                if let Some(house) = &self.house {
                    house.hub.save_states();
                }
                self.push(self.now_ms + 2_000, Event::Save);
            }
            Event::Bring(source) => self.bring(source),
            Event::Fault => self.go_wrong(),
            Event::DiskHeals => self.disk.set_mood(crate::disk::Mood::Well),
            Event::ClockHeals => self.set_clock(0),
            Event::Restart => self.open().await,
            Event::Measure => self.measure_all(),
        }
    }

    fn sweep(&mut self) {
        if let Some(house) = self.house.as_ref().filter(|_house| !matches!(self.stage, Stage::Closing(_))) {
            let now = self.now();
            house.hub.sweep(now);
            self.is_rung = true;
            let rooms = house.hub.rooms();
            self.truth.listen(rooms, self.now_ms, crate::truth::MaySkip::No);
            if self.phase != Phase::Chaos {
                self.forgive();
            }
        }
        self.push(self.now_ms + 250, Event::Sweep);
    }

    /// Looks at everything now and then.
    fn measure_all(&mut self) {
        if self.house.is_some() {
            self.check_conversations();
            let to_ms = self.now_ms.saturating_sub(FRESH_MS);
            for conn in self.conns.values() {
                let is_fine = self.users[conn.user].is_steady
                    && conn.is_client_there
                    && conn.session.is_some()
                    && conn.run == self.truth.run
                    && conn.fine_since_ms <= to_ms
                    && conn.client.requests.is_empty();
                if is_fine {
                    conn.client.check_fresh(&self.truth, to_ms);
                }
            }
        }
        self.conns.retain(|_id, conn| !conn.is_over());
        self.push(self.now_ms + 300, Event::Measure);
    }

    // --- what has to be so

    /// Everything is well from now on.
    fn become_calm(&mut self) {
        self.note(|| "! calm".to_owned());
        self.phase = Phase::Calm;
        self.set_clock(0);
        self.disk.set_mood(crate::disk::Mood::Well);
        let now_ms = self.now_ms;
        for conn in self.conns.values_mut() {
            conn.quality = Quality { bytes_per_ms: 10_000, ..conn.quality };
            conn.up.stalled_to_ms = now_ms;
            conn.down.stalled_to_ms = now_ms;
        }
        let ids: Vec<u32> = self.conns.keys().copied().collect();
        for id in ids {
            self.push(now_ms + 1, Event::Up(id));
            self.push(now_ms + 1, Event::Down(id));
            self.push(now_ms + 1, Event::Drain(id));
        }
    }

    /// Everybody has read, and nothing happens.
    async fn check_calm(&mut self) {
        assert!(self.is_open(), "the server is there");
        let admin = house::admin();
        let hub = &self.house().hub;
        let statuses = Some(vec![DeviceStatus::Connected, DeviceStatus::Stale]);
        let page = hub.devices(&admin, &DeviceFilter { kinds: None, statuses }, None, 100);
        let active: BTreeSet<usize> =
            page.devices.iter().map(|device| self.truth.device(&device.id)).collect();
        for device in 0..self.truth.devices.len() {
            self.check_live(device);
        }
        for user in &self.users {
            let conn = user.conn.unwrap_or_else(|| panic!("{} is not connected", user.name));
            assert!(self.conns[&conn].session.is_some(), "{}: c{conn} is no conversation", user.name);
            assert!(self.conns[&conn].client.id.is_some(), "{}: c{conn} is not authenticated", user.name);
            assert!(user.backlog.is_empty(), "{}: {:?} is not reported", user.name, user.backlog);
        }
        for (id, conn) in &self.conns {
            assert!(
                conn.session.is_none() || self.users[conn.user].conn == Some(*id),
                "c{id} is dead, and not closed"
            );
            if conn.session.is_some() {
                let checked = std::panic::AssertUnwindSafe(|| conn.client.check(&self.truth, &active));
                if let Err(fault) = std::panic::catch_unwind(checked) {
                    self.trace.line(self.now_ms, || format!("c{id} does not know what it has to"));
                    std::panic::resume_unwind(fault);
                }
            }
        }
        for source in &self.sources {
            source.check_calm();
        }
        let health = self.house().hub.store_health();
        assert_eq!(health.waiting_fixes, 0, "fixes wait for a store that is well: {health:?}");
        self.truth.check_history(&self.disk).await;
    }

    /// Everybody goes, and the server begins once more.
    async fn end(&mut self) {
        self.phase = Phase::End;
        for id in self.conns.keys().copied().collect::<Vec<_>>() {
            self.cut(id);
        }
        self.go_on_to(self.now_ms + 6_000).await;
        self.check_nothing_left();
        self.stop();
        self.go_on_to(self.now_ms + 4_000).await;
        assert!(self.is_open(), "the server is there again");
        self.truth.check_history(&self.disk).await;
        let facts = self.truth.facts.len() as u64;
        self.counts.add("fixes", facts);
    }

    /// Takes what the store has done for the sources.
    pub(crate) fn take_kept(&mut self) -> bool {
        let mut is_any = self.take_revoked();
        for index in 0..self.sources.len() {
            while let Some((batch, taken, kept)) = self.sources[index].take_kept() {
                is_any = true;
                self.source_kept(index, batch, &taken, kept);
            }
        }
        self.go_on_ending();
        is_any
    }
}

/// What is done at once, or not yet.
pub(crate) fn at_once<T>(future: impl Future<Output = T> + Unpin) -> Option<T> {
    future.now_or_never()
}
