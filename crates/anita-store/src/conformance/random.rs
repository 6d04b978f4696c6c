//! Random work on a store and on memory, which have to agree after every step.

use std::sync::Arc;
use std::time::Duration;

use anita_model::{
    DeviceId, DeviceKind, DeviceStatus, Fix, Position, Revocation, RevocationId, Revoked, SiteName,
    SourceName, Timestamp,
};

use super::make::{all, at_ms, device, done, entry, event, fix, id, keep, revocation, room, state};
use super::{ENDS, Fixture, again};
use crate::audit::{AuditEntry, AuditRecord, Chain};
use crate::memory::MemoryStore;
use crate::port::Store;
use crate::query::{AuditQuery, EventQuery, Extent, HistoryQuery, NewestQuery, Order, WindowQuery};
use crate::record::{DeviceRecord, DeviceState, EventRecord, Record};

const DEVICES: [&str; 5] = ["a", "B", "tag 7", "ü", "😀"];
const REVOCATIONS: [&str; 6] = ["a", "B", "r:1", "r:2", "_", "0"];
const ROOMS: [&str; 3] = ["uwb", "hall", "hall/2"];
const SITES: [&str; 2] = ["main", "north"];
const SOURCES: [&str; 3] = ["http", "websocket", "hall"];

/// How many rounds of work a seed means.
const ROUNDS: usize = 150;

/// Three seeds, with restarts between.
pub async fn random_work_agrees_with_memory(fixture: &mut dyn Fixture) {
    let memory: Arc<dyn Store> = Arc::new(MemoryStore::new(usize::MAX, usize::MAX, usize::MAX));
    let mut store = fixture.open().await;
    let mut work = Work::new(0);
    for (seed, end) in (1..).zip([ENDS, ENDS].concat()) {
        work.dice = Dice(seed);
        work.run(&store, &memory, ROUNDS / 3).await;
        store = again(fixture, store, end).await;
    }
}

/// Does random work on a store, empty at first, and compares it with memory after every step.
pub async fn agrees_with_memory(store: &Arc<dyn Store>, seed: u64) {
    let memory: Arc<dyn Store> = Arc::new(MemoryStore::new(usize::MAX, usize::MAX, usize::MAX));
    Work::new(seed).run(store, &memory, ROUNDS).await;
}

/// A small generator of numbers: xorshift64*, by Vigna.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        let mut x = self.0.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15) | 1;
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.0 = x;
        x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    /// A number below another.
    fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    fn is_one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }

    /// A number with three decimals, up to so many thousandths.
    fn thousandths(&mut self, end: u32) -> f64 {
        f64::from(u32::try_from(self.below(end.into())).unwrap()) / 1_000.0
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.is_one_in(2) { Some(make(self)) } else { None }
    }
}

/// What the work has come to.
#[derive(Debug)]
struct Work {
    dice: Dice,
    ordinal: u64,
    seqs: [u64; ROOMS.len()],
    epochs: [u64; ROOMS.len()],
    chain: Chain,
    told: Option<AuditEntry>,
}

impl Work {
    fn new(seed: u64) -> Self {
        Self {
            dice: Dice(seed),
            ordinal: 0,
            seqs: [0; ROOMS.len()],
            epochs: [1; ROOMS.len()],
            chain: Chain::default(),
            told: None,
        }
    }

    async fn run(&mut self, store: &Arc<dyn Store>, memory: &Arc<dyn Store>, rounds: usize) {
        for round in 0..rounds {
            let largest = if self.dice.is_one_in(10) { 400 } else { 12 };
            let records: Vec<Record> = (0..self.dice.below(largest)).map(|_| self.record()).collect();
            keep(store, records.clone()).await;
            keep(memory, records).await;
            self.compare(store, memory, round).await;
        }
        assert_eq!(done(store.load(3).await), done(memory.load(3).await));
        let (usage, expected) = (done(store.usage().await), done(memory.usage().await));
        assert_eq!(
            (usage.fixes.count, usage.events.count, usage.audit.count),
            (expected.fixes.count, expected.events.count, expected.audit.count)
        );
    }

    /// Hours around noon, with many ties and some days far away.
    fn moment(&mut self) -> Timestamp {
        let day = if self.dice.is_one_in(5) { self.dice.below(80).cast_signed() - 40 } else { 0 };
        at_ms(day * 86_400_000 + self.dice.below(2_000).cast_signed() * 50)
    }

    fn device(&mut self) -> DeviceId {
        id(self.dice.of(&DEVICES))
    }

    fn position(&mut self) -> Position {
        let dice = &mut self.dice;
        // A few places again and again, so that fixes meet.
        let end = if dice.is_one_in(2) { 3 } else { 50_000 };
        // Whole millimetres stay whole: what is taken away would not, as a binary fraction.
        let less = |metres: f64, by_mm: f64| ((metres * 1_000.0).round() - by_mm) / 1_000.0;
        let [x_m, y_m, z_m] = [dice.thousandths(end), dice.thousandths(end), dice.thousandths(end)];
        Position::new(less(x_m, 1_000.0), y_m, less(z_m, 500.0)).unwrap()
    }

    fn fix(&mut self) -> Fix {
        let taken_at = self.moment();
        let position = self.position();
        let device = self.device();
        let dice = &mut self.dice;
        Fix {
            site: SiteName::parse(dice.of(&SITES)).unwrap(),
            position,
            accuracy_m: dice.maybe(|dice| dice.thousandths(5_000)),
            floor: dice.maybe(|dice| f64::from(u32::try_from(dice.below(16)).unwrap()) / 4.0 - 2.0),
            battery_percent: dice.maybe(|dice| dice.thousandths(100_000)),
            received_at: taken_at.plus(Duration::from_micros(dice.below(3_000_000))),
            source: SourceName::parse(dice.of(&SOURCES)).unwrap(),
            sequence: dice.maybe(|dice| dice.below(4)),
            ..fix(device.as_str(), 0.0, taken_at)
        }
    }

    fn event(&mut self) -> EventRecord {
        let place = usize::try_from(self.dice.below(ROOMS.len() as u64)).unwrap();
        if self.dice.is_one_in(20) {
            self.epochs[place] += 1;
            self.seqs[place] = 0;
        }
        self.ordinal += 1 + self.dice.below(3);
        self.seqs[place] += 1;
        let (seq, epoch) = (self.seqs[place], format!("epoch-{}", self.epochs[place]));
        let happened_at = self.moment();
        let devices = (0..self.dice.below(3)).map(|_| self.device()).collect();
        let from = self.dice.maybe(|dice| format!("client-{}", dice.below(9)).into());
        EventRecord { devices, from, ..event(self.ordinal, ROOMS[place], &epoch, seq, happened_at) }
    }

    fn record(&mut self) -> Record {
        match self.dice.below(40) {
            0 => Record::Remove(self.device()),
            1..=3 => {
                let base = device(self.device().as_str());
                let mounted_at = self.dice.is_one_in(2).then(|| self.position());
                let kind = self.dice.of(&[DeviceKind::Tag, DeviceKind::Anchor, DeviceKind::Gateway]);
                let name = self.dice.maybe(|dice| format!("name {}", dice.below(100)));
                Record::Save(DeviceRecord { name, kind, mounted_at, ..base })
            }
            4..=6 => {
                let newest = self.dice.is_one_in(2).then(|| Arc::new(self.fix()));
                let base =
                    state(newest.as_ref().map_or_else(|| self.device(), |it| it.device.clone()).as_str());
                let last_seen = self.dice.is_one_in(2).then(|| self.moment());
                let status =
                    self.dice.of(&[DeviceStatus::Connected, DeviceStatus::Stale, DeviceStatus::Disconnected]);
                let battery_percent = self.dice.maybe(|dice| dice.thousandths(100_000));
                Record::State(DeviceState { status, last_seen, battery_percent, newest, ..base })
            }
            7..=9 => Record::Event(self.event()),
            10..=11 => {
                let happened_at = self.moment();
                let subject = self.dice.of(&["alice", "bob", ""]);
                let address = self.dice.maybe(|_dice| "10.0.0.1:80".to_owned());
                let issuer = self.dice.maybe(|dice| dice.of(&["anita", ""]).to_owned());
                let base = entry(subject, &format!("act {}", self.dice.below(9)), happened_at).record;
                let added = self.chain.add(AuditRecord { issuer, address, ..base });
                // Now and then the same comes again.
                let before = self.told.replace(added.clone());
                Record::Audit(before.filter(|_before| self.dice.is_one_in(5)).unwrap_or(added))
            }
            12 => Record::Revoke(self.revocation()),
            13 => Record::Unrevoke(RevocationId::parse(self.dice.of(&REVOCATIONS)).unwrap()),
            _ => Record::Fix(Arc::new(self.fix())),
        }
    }

    fn revocation(&mut self) -> Revocation {
        let made_at = self.moment();
        let issued_before = self.dice.is_one_in(2).then(|| self.moment());
        let until = self.dice.is_one_in(2).then(|| self.moment());
        let dice = &mut self.dice;
        let text: Arc<str> = dice.of(&["alice", "ü", ""]).into();
        let revoked = match dice.below(3) {
            0 => Revoked::Token(text),
            1 => Revoked::Subject { subject: text, issued_before },
            _ => Revoked::IssuedBefore(made_at),
        };
        let issuer = dice.maybe(|dice| dice.of(&["anita", "ä"]).into());
        Revocation { issuer, until, ..revocation(dice.of(&REVOCATIONS), revoked, made_at) }
    }

    async fn compare(&mut self, store: &Arc<dyn Store>, memory: &Arc<dyn Store>, round: usize) {
        let history = self.history_query();
        assert_eq!(all(store, &history).await, all(memory, &history).await, "{round}: {history:?}");
        if history.within.is_none() {
            let (page, expected) = (store.page(history.clone()).await, memory.page(history.clone()).await);
            assert_eq!(done(page), done(expected), "{round}: {history:?}");
        }
        let devices: Vec<DeviceId> = DEVICES.iter().map(|text| id(text)).collect();
        let query = NewestQuery {
            devices: devices.iter().rev().cloned().collect(),
            at: self.moment(),
            not_before: self.dice.is_one_in(2).then(|| self.moment()),
        };
        let (found, expected) = (store.newest(query.clone()).await, memory.newest(query.clone()).await);
        assert_eq!(done(found), done(expected), "{round}: {query:?}");
        let start = self.moment();
        let query = WindowQuery {
            devices,
            start,
            end: start.plus(Duration::from_millis(1 + self.dice.below(60_000))),
            every: Duration::from_millis(self.dice.of(&[0, 1, 100, 777, 5_000])),
            fixes_max: usize::try_from(1 + self.dice.below(60)).unwrap(),
        };
        let (found, expected) = (store.window(query.clone()).await, memory.window(query.clone()).await);
        assert_eq!(done(found), done(expected), "{round}: {query:?}");
        let query = EventQuery {
            room: self.dice.maybe(|dice| room(dice.of(&ROOMS))),
            start: self.dice.is_one_in(3).then(|| self.moment()),
            end: self.dice.is_one_in(3).then(|| self.moment()),
            limit: usize::try_from(1 + self.dice.below(9)).unwrap(),
            after: self.dice.maybe(|dice| dice.below(100)),
        };
        let (found, expected) = (store.events(query.clone()).await, memory.events(query.clone()).await);
        assert_eq!(done(found), done(expected), "{round}: {query:?}");
        self.compare_audit(store, memory, round).await;
        if round.is_multiple_of(10) {
            let events_max = usize::try_from(self.dice.below(5)).unwrap();
            let (found, expected) = (store.load(events_max).await, memory.load(events_max).await);
            assert_eq!(done(found), done(expected), "{round}: load");
        }
    }

    /// Ordinals count up in each store, but not necessarily by one.
    async fn compare_audit(&mut self, store: &Arc<dyn Store>, memory: &Arc<dyn Store>, round: usize) {
        let query = AuditQuery {
            subject: self.dice.maybe(|dice| dice.of(&["alice", "bob", "", "nobody"]).to_owned()),
            start: self.dice.is_one_in(3).then(|| self.moment()),
            end: self.dice.is_one_in(3).then(|| self.moment()),
            action: self.dice.maybe(|dice| format!("act {}", dice.below(9))),
            order: self.dice.of(&[Order::NewestFirst, Order::OldestFirst]),
            limit: usize::try_from(1 + self.dice.below(9)).unwrap(),
            after: None,
        };
        let (found, expected) =
            (done(store.audit(query.clone()).await), done(memory.audit(query.clone()).await));
        let entries =
            |page: crate::query::AuditPage| page.entries.into_iter().map(|(_, it)| it).collect::<Vec<_>>();
        assert_eq!(found.next.is_some(), expected.next.is_some(), "{round}: {query:?}");
        assert_eq!(entries(found), entries(expected), "{round}: {query:?}");
    }

    fn history_query(&mut self) -> HistoryQuery {
        let within = |dice: &mut Dice| Extent {
            min_x_m: dice.thousandths(3_000) - 1.5,
            min_y_m: dice.thousandths(3_000) - 1.5,
            max_x_m: dice.thousandths(30_000),
            max_y_m: dice.thousandths(30_000),
        };
        HistoryQuery {
            device: self.device(),
            start: self.dice.is_one_in(3).then(|| self.moment()),
            end: self.dice.is_one_in(3).then(|| self.moment()),
            order: self.dice.of(&[Order::NewestFirst, Order::OldestFirst]),
            limit: usize::try_from(1 + self.dice.below(50)).unwrap(),
            after: None,
            within: if self.dice.is_one_in(3) { Some(within(&mut self.dice)) } else { None },
        }
    }
}
