#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "small numbers, and times that are compared as they were written"
)]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::task::Waker;

use anita_model::{Identity, Position, SiteName, SourceName, UserId};
use anita_store::{NewestQuery, Record, Store, StoreError, Window, WindowQuery};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending, ready};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use anita_hub::HubFault;

const SECOND: Duration = Duration::from_secs(1);

/// How a store answers.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Well,
    Failing,
    Hanging,
}

/// A store in memory, and what was asked of it.
struct Shelf {
    store: anita_store::MemoryStore,
    mood: Cell<Mood>,
    newest: RefCell<Vec<NewestQuery>>,
    windows: RefCell<Vec<WindowQuery>>,
}

impl Shelf {
    fn of(fixes: &[(&str, f64)]) -> Self {
        let store = anita_store::MemoryStore::new(usize::MAX, usize::MAX, 10);
        let records = fixes.iter().map(|&(device, secs)| Record::Fix(Arc::new(fix(device, secs)))).collect();
        store.commit(Arc::new(records)).now_or_never().unwrap().unwrap();
        Self { store, mood: Cell::new(Mood::Well), newest: RefCell::default(), windows: RefCell::default() }
    }

    fn told<T: Send + 'static>(
        &self,
        answer: Result<T, StoreError>,
    ) -> BoxFuture<'static, Result<T, HubFault>> {
        let fault = || HubFault::Store { cause: StoreError::Busy, retry_after: SECOND };
        match self.mood.get() {
            Mood::Well => ready(answer.map_err(|_busy| fault())).boxed(),
            Mood::Failing => ready(Err(fault())).boxed(),
            Mood::Hanging => pending().boxed(),
        }
    }

    fn reads(&self) -> usize {
        self.newest.borrow().len() + self.windows.borrow().len()
    }
}

impl Archive for Shelf {
    fn newest(&self, query: NewestQuery) -> BoxFuture<'static, Result<Vec<Arc<Fix>>, HubFault>> {
        self.newest.borrow_mut().push(query.clone());
        self.told(self.store.newest(query).now_or_never().unwrap())
    }

    fn window(&self, query: WindowQuery) -> BoxFuture<'static, Result<Window, HubFault>> {
        self.windows.borrow_mut().push(query.clone());
        self.told(self.store.window(query).now_or_never().unwrap())
    }
}

/// A moment, seconds after midnight of some day.
fn at(secs: f64) -> Timestamp {
    Timestamp::from_secs_f64(1_772_323_200.0 + secs).unwrap()
}

fn secs(time: Timestamp) -> f64 {
    (time.as_micros() - at(0.0).as_micros()) as f64 / 1e6
}

/// A fix whose x is its time, so that what is told can be judged.
fn fix(device: &str, taken_secs: f64) -> Fix {
    Fix {
        device: DeviceId::parse(device).unwrap(),
        site: SiteName::main(),
        position: Position::new(taken_secs, 0.0, 0.0).unwrap(),
        accuracy_m: None,
        floor: None,
        battery_percent: None,
        taken_at: at(taken_secs),
        received_at: at(taken_secs),
        source: SourceName::parse("test").unwrap(),
        sequence: None,
    }
}

/// A playback and its client.
struct Player {
    playback: Playback,
    shelf: Shelf,
    uptime: Duration,
    delivery: Delivery,
    over: Option<PlaybackEnd>,
    /// What was told: by the uptime, as JSON.
    told: Vec<(f64, Value)>,
    ticks: usize,
}

impl Player {
    fn new(shelf: Shelf, (from, to): (f64, f64), speed: f64, interval: f64) -> Self {
        let programme = Programme {
            start: at(from),
            end: at(to),
            devices: ["a", "b", "c"].map(|id| DeviceId::parse(id).unwrap()).to_vec(),
            speed,
            interval: Duration::from_secs_f64(interval),
        };
        let turn = Turn::take(&Arc::default()).unwrap();
        let uptime = 5 * SECOND;
        let playback = Playback::new("p1".to_owned(), programme, turn, uptime);
        let mut player = Self {
            playback,
            shelf,
            uptime,
            delivery: Delivery::Open,
            over: None,
            told: Vec::new(),
            ticks: 0,
        };
        player.tick();
        player
    }

    fn tick(&mut self) {
        loop {
            if self.over.is_some() {
                return;
            }
            self.ticks += 1;
            let mut frames = Vec::new();
            let next = self.playback.tick(&self.shelf, self.uptime, self.delivery, &mut frames);
            for frame in frames {
                let text = &frame[frame.iter().position(|&it| it == b'{').unwrap()..];
                self.told.push((self.uptime.as_secs_f64(), serde_json::from_slice(text).unwrap()));
            }
            if let Next::Ends(reason) = next {
                self.over = Some(reason);
            }
            if !self.playback.poll(&mut Context::from_waker(Waker::noop())) {
                return;
            }
        }
    }

    /// Lets time pass, woken only when the playback asks for it.
    fn wait(&mut self, seconds: f64) {
        let until = self.uptime + Duration::from_secs_f64(seconds);
        while self.over.is_none() && self.playback.wake_at() <= until {
            assert!(self.playback.wake_at() > self.uptime, "it is to be woken at once, again and again");
            self.uptime = self.playback.wake_at();
            self.tick();
        }
        self.uptime = until;
    }

    fn change(&mut self, change: Change) {
        self.playback.change(change, self.uptime);
        self.tick();
    }

    fn take(&mut self, kind: &str) -> Vec<(f64, Value)> {
        let (taken, left) =
            std::mem::take(&mut self.told).into_iter().partition(|(_, it)| it["type"] == kind);
        self.told = left;
        taken
    }

    /// The positions told since it was asked the time before: the time of the update, the device, the time of its fix.
    fn positions(&mut self) -> Vec<(f64, String, f64)> {
        let mut positions = Vec::new();
        for (_uptime, update) in self.take("uwb.position_update") {
            let payload = &update["payload"];
            let time = secs(Timestamp::parse(payload["timestamp"].as_str().unwrap()).unwrap());
            for (device, place) in payload["positions"].as_object().unwrap() {
                positions.push((time, device.clone(), place["x"].as_f64().unwrap()));
            }
        }
        positions
    }

    fn states(&mut self) -> Vec<String> {
        let told = self.take("playback.position");
        told.iter().map(|(_, it)| it["payload"]["state"].as_str().unwrap().to_owned()).collect()
    }
}

fn every_tenth(device: &'static str, from: f64, to: f64) -> Vec<(&'static str, f64)> {
    let count = ((to - from) * 10.0).round() as u32;
    (0..count).map(|n| (device, from + f64::from(n) / 10.0)).collect()
}

#[test]
fn where_everything_was_comes_first_and_then_what_moves_when_it_moved() {
    let shelf = Shelf::of(&[("a", 90.0), ("b", 30.0), ("a", 101.5), ("c", 103.0)]);
    let mut player = Player::new(shelf, (100.0, 110.0), 1.0, 0.1);
    assert_eq!(player.positions(), [(100.0, "a".to_owned(), 90.0)], "b was silent for too long");
    player.wait(1.4);
    assert!(player.positions().is_empty());
    player.wait(0.2);
    let told = player.positions();
    assert_eq!(told.len(), 1);
    assert!((told[0].0 - 101.5).abs() < 0.01 && told[0].2 == 101.5, "{told:?}");
    player.wait(8.0);
    assert_eq!(player.positions().len(), 1);
    assert_eq!(player.over, None);
    player.wait(0.5);
    assert_eq!(player.over, Some(PlaybackEnd::End));
}

#[test]
fn every_message_names_its_playback_twice() {
    let mut player = Player::new(Shelf::of(&[("a", 99.0)]), (100.0, 101.0), 1.0, 0.1);
    player.wait(0.5);
    assert!(player.told.len() >= 2);
    for (_uptime, message) in &player.told {
        assert_eq!((&message["playback"], &message["payload"]["playback"]), (&"p1".into(), &"p1".into()));
    }
}

#[test]
fn ten_times_as_fast_takes_a_tenth_of_the_time_and_reads_no_more_than_is_shown() {
    let shelf = Shelf::of(&every_tenth("a", 100.0, 200.0));
    let mut player = Player::new(shelf, (100.0, 199.95), 10.0, 0.1);
    player.wait(9.9);
    assert_eq!(player.over, None);
    player.wait(0.2);
    assert_eq!(player.over, Some(PlaybackEnd::End));
    let told = player.positions();
    assert!((95..=102).contains(&told.len()), "{} updates", told.len());
    assert!(player.shelf.windows.borrow().iter().all(|it| it.every == SECOND));
    assert_eq!(told.last().unwrap().2, 199.9, "the last one is told");
}

#[test]
fn a_long_empty_stretch_takes_its_time_and_little_else() {
    let mut player = Player::new(Shelf::of(&[("a", 0.0), ("a", 86_000.0)]), (0.0, 86_400.0), 100.0, 0.1);
    player.positions();
    player.wait(859.0);
    assert!(player.positions().is_empty());
    let reads = player.shelf.reads();
    assert!(reads < 30, "{reads} reads");
    assert!(player.ticks < 950, "{} ticks: one a second tells where it is", player.ticks);
    player.wait(1.5);
    assert_eq!(player.positions().len(), 1);
}

#[test]
fn what_stands_still_is_told_once_and_costs_nothing() {
    let mut player = Player::new(Shelf::of(&every_tenth("a", 100.0, 200.0)), (100.0, 199.0), 1.0, 0.1);
    player.wait(2.05);
    player.change(Change { paused: Some(true), ..Change::default() });
    assert_eq!(player.states().last().unwrap(), "paused");
    player.wait(0.2);
    player.positions();
    let ticks = player.ticks;
    player.wait(1_000.0);
    assert!(player.told.is_empty(), "{:?}", player.told);
    assert!(player.ticks < ticks + 5, "{} ticks", player.ticks - ticks);
    player.change(Change { paused: Some(false), ..Change::default() });
    player.wait(0.5);
    let told = player.positions();
    assert!(told.len() >= 4 && told[0].2 > 102.0 && told[0].2 < 102.3, "it goes on where it was: {told:?}");
    assert_eq!(player.states(), ["playing"]);
}

#[test]
fn who_jumps_is_told_where_everything_was_then_also_while_it_stands_still() {
    let fixes: Vec<_> = every_tenth("a", 100.0, 200.0).into_iter().chain([("b", 148.0)]).collect();
    let mut player = Player::new(Shelf::of(&fixes), (100.0, 199.0), 1.0, 0.1);
    player.wait(1.0);
    player.change(Change { paused: Some(true), ..Change::default() });
    player.wait(0.5);
    player.positions();
    player.change(Change { at: Some(at(150.05)), ..Change::default() });
    assert_eq!(player.positions(), [(150.05, "a".into(), 150.0), (150.05, "b".into(), 148.0)]);
    player.wait(0.1);
    player.change(Change { at: Some(at(120.05)), paused: Some(false), speed: Some(2.0) });
    player.wait(1.0);
    let told = player.positions();
    assert_eq!(told[0], (120.05, "a".into(), 120.0), "back in time as well");
    assert!((told.last().unwrap().2 - 122.0).abs() < 0.21, "{told:?}");
}

#[test]
fn what_was_about_to_be_told_is_forgotten_by_a_jump() {
    let fixes: Vec<_> = every_tenth("a", 100.0, 200.0).into_iter().chain([("b", 111.0)]).collect();
    let mut player = Player::new(Shelf::of(&fixes), (100.0, 199.0), 1.0, 0.1);
    player.wait(1.0);
    player.positions();
    player.delivery = Delivery::Held;
    player.wait(15.0);
    player.change(Change { at: Some(at(105.05)), ..Change::default() });
    player.delivery = Delivery::Open;
    player.wait(1.1);
    let told = player.positions();
    assert!(told[0].0 < 106.1 && told.iter().all(|(_, device, _)| device == "a"), "{told:?}");
}

#[test]
fn who_slows_down_gets_the_steps_that_were_left_out_at_the_higher_speed() {
    let mut player = Player::new(Shelf::of(&every_tenth("a", 0.0, 600.0)), (0.0, 599.0), 100.0, 0.1);
    player.wait(1.05);
    player.change(Change { speed: Some(1.0), ..Change::default() });
    player.told.clear();
    player.wait(3.0);
    let told = player.positions();
    assert!((28..=31).contains(&told.len()), "{} updates in three seconds", told.len());
    assert!(told[0].2 > 104.0 && told[0].2 < 105.5, "{told:?}");
}

#[test]
fn steps_as_far_apart_as_updates_are_all_told_though_each_is_a_little_late() {
    let mut player = Player::new(Shelf::of(&every_tenth("a", 100.0, 110.0)), (100.0, 109.95), 1.0, 0.1);
    while player.over.is_none() {
        player.uptime = player.playback.wake_at() + Duration::from_millis(2);
        player.tick();
    }
    let told = player.positions().len();
    assert!(told >= 99, "{told} of 100");
}

#[test]
fn a_client_that_takes_nothing_gets_the_newest_when_it_does() {
    let mut player = Player::new(Shelf::of(&every_tenth("a", 100.0, 200.0)), (100.0, 199.0), 1.0, 0.1);
    player.wait(1.0);
    player.told.clear();
    player.delivery = Delivery::Held;
    player.tick();
    let ticks = player.ticks;
    player.wait(30.0);
    assert!(player.told.is_empty() && player.ticks < ticks + 80, "{} ticks", player.ticks - ticks);
    player.delivery = Delivery::Open;
    player.tick();
    let told = player.positions();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!((told[0].2 - 131.0).abs() < 0.11, "{told:?}");
}

#[test]
fn the_clock_waits_for_a_store_that_is_slow_and_skips_nothing() {
    let mut player = Player::new(Shelf::of(&every_tenth("a", 100.0, 200.0)), (100.0, 199.0), 1.0, 0.1);
    player.shelf.mood.set(Mood::Failing);
    player.wait(25.0);
    let before = player.positions();
    assert!(before.last().unwrap().2 < 112.0, "{before:?}");
    assert_eq!(player.states().last().unwrap(), "waiting");
    player.shelf.mood.set(Mood::Well);
    player.wait(5.0);
    let after = player.positions();
    assert!(after[0].2 - before.last().unwrap().2 < 0.21, "{:?} then {:?}", before.last(), after.first());
    assert!(after.len() > 30, "{after:?}");
}

#[test]
fn a_store_that_stays_away_ends_it() {
    for mood in [Mood::Failing, Mood::Hanging] {
        let shelf = Shelf::of(&[("a", 99.0)]);
        shelf.mood.set(mood);
        let mut player = Player::new(shelf, (100.0, 200.0), 1.0, 0.1);
        player.wait(29.0);
        assert_eq!(player.over, None);
        assert_eq!(player.states().first().unwrap(), "waiting");
        player.wait(1.5);
        assert_eq!(player.over, Some(PlaybackEnd::Failed));
        assert_eq!(player.playback.ended(PlaybackEnd::Failed, player.uptime).at, Time(at(100.0)));
        assert!(player.shelf.reads() <= 31);
    }
}

#[test]
fn what_is_held_is_bounded_however_much_happened() {
    let fixes: Vec<(&str, f64)> = ["a", "b", "c"]
        .into_iter()
        .flat_map(|device| (0..40_000).map(move |n| (device, 100.0 + f64::from(n) / 1_000.0)))
        .collect();
    let mut player = Player::new(Shelf::of(&fixes), (100.0, 139.0), 0.1, 0.05);
    for _ in 0..50 {
        player.wait(0.5);
        let held = player.playback.reel.held();
        assert!(held <= 2 * 4_096, "{held} fixes");
    }
    assert!(player.positions().len() > 1_000);
}

#[test]
fn no_more_is_read_ahead_than_may_be_held_however_many_move() {
    let names: Vec<String> = (0..300).map(|n| format!("d{n:03}")).collect();
    let fixes: Vec<(&str, f64)> = names
        .iter()
        .flat_map(|name| (0..200).map(move |n| (name.as_str(), 100.001 + f64::from(n) / 20.0)))
        .collect();
    let shelf = Shelf::of(&fixes);
    let devices = names.iter().map(|name| DeviceId::parse(name).unwrap()).collect();
    let mut reel = Reel::new(devices, at(100.0), at(200.0), SECOND / 20, 1.0);
    for _ in 0..50 {
        reel.read_ahead(&shelf, at(100.0), SECOND);
        reel.poll(&mut Context::from_waker(Waker::noop()));
        reel.take_read(SECOND);
    }
    let held = reel.held();
    assert!((4_096..8_192).contains(&held), "{held} fixes");
    assert_eq!(reel.next_read(), None, "it is not to be woken for a read that has no room");
}

#[test]
fn who_may_no_longer_be_seen_is_neither_due_nor_in_what_is_being_read() {
    let fixes: Vec<_> =
        every_tenth("a", 90.0, 120.0).into_iter().chain(every_tenth("b", 90.0, 120.0)).collect();
    let principal = Principal {
        identity: Arc::new(Identity {
            user: UserId { issuer: "anita".into(), subject: "alice".into() },
            token_id: None,
            issued_at: None,
        }),
        roles: Vec::new(),
        permissions: anita_auth::Permissions::all(),
        devices: anita_auth::Patterns::parse(&["a".to_owned()]).unwrap(),
        rooms: anita_auth::Patterns::all(),
        expires_at: at(1_000.0),
    };
    // What is due waits for the socket.
    let mut player = Player::new(Shelf::of(&fixes), (100.0, 119.0), 1.0, 0.1);
    player.delivery = Delivery::Held;
    player.wait(2.0);
    player.told.clear();
    assert!(player.playback.narrow(&principal));
    player.delivery = Delivery::Open;
    player.wait(2.0);
    assert!(player.positions().iter().all(|(_, device, _)| device == "a"));
    // A read for both is answered and not taken yet.
    let mut player = Player::new(Shelf::of(&fixes), (100.0, 119.0), 1.0, 0.1);
    player.playback.change(Change { at: Some(at(105.0)), ..Change::default() }, player.uptime);
    player.playback.tick(&player.shelf, player.uptime, Delivery::Open, &mut Vec::new());
    assert!(player.playback.poll(&mut Context::from_waker(Waker::noop())));
    assert!(player.playback.narrow(&principal));
    player.told.clear();
    player.tick();
    player.wait(10.0);
    let told = player.positions();
    assert!(told.len() > 50 && told.iter().all(|(_, device, _)| device == "a"), "{told:?}");
}

#[test]
fn very_many_devices_are_told_in_several_messages() {
    let names: Vec<String> = (0..2_500).map(|n| format!("d{n:04}")).collect();
    let fixes: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), 99.0)).collect();
    let mut player = Player::new(Shelf::of(&[]), (100.0, 200.0), 1.0, 0.1);
    for &(device, taken) in &fixes {
        player.playback.due.insert(DeviceId::parse(device).unwrap(), Arc::new(fix(device, taken)));
    }
    player.wait(0.2);
    player.tick();
    let sizes: Vec<usize> = player
        .take("uwb.position_update")
        .iter()
        .map(|(_, it)| it["payload"]["positions"].as_object().unwrap().len())
        .collect();
    assert_eq!(sizes, [1_000, 1_000, 500]);
}

#[test]
fn only_so_many_play_back_at_a_time() {
    let playbacks = Arc::new(Playbacks::default());
    let mut turns: Vec<Turn> = (0..PLAYBACKS_MAX).map(|_| Turn::take(&playbacks).unwrap()).collect();
    assert!(Turn::take(&playbacks).is_none());
    turns.pop();
    assert!(Turn::take(&playbacks).is_some());
    drop(turns);
    assert_eq!(playbacks.count(), 0);
}

/// What a client does, and how long it waits then.
#[derive(Debug, Clone)]
enum Deed {
    Wait,
    Pause,
    Resume,
    Seek(f64),
    Speed(f64),
    Stop,
    Read,
    Mood(bool),
}

fn deeds() -> impl Strategy<Value = Vec<(Deed, f64)>> {
    let deed = prop_oneof![
        3 => Just(Deed::Wait),
        1 => Just(Deed::Pause),
        2 => Just(Deed::Resume),
        1 => (0.0..60.0_f64).prop_map(Deed::Seek),
        2 => prop_oneof![Just(0.1), Just(1.0), 0.1..100.0_f64, Just(100.0)].prop_map(Deed::Speed),
        1 => Just(Deed::Stop),
        2 => Just(Deed::Read),
        1 => any::<bool>().prop_map(Deed::Mood),
    ];
    proptest::collection::vec((deed, 0.0..4.0_f64), 0..12)
}

proptest! {
    /// Between two jumps each device is told of in the order of time, never ahead of the time that is told; no two updates
    /// are closer than what was asked for, but for a tenth; and at the end each device was told of where it was last.
    #[test]
    fn whatever_a_client_does_time_goes_forward_and_the_last_of_each_device_is_told(
        tracks in proptest::collection::vec((0..3_usize, 0..60_000_u32), 0..300),
        interval in prop_oneof![Just(0.05), Just(0.1), 0.05..2.0_f64],
        speed in 0.1..100.0_f64,
        deeds in deeds(),
    ) {
        let fixes: Vec<(&str, f64)> =
            tracks.iter().map(|&(device, ms)| (["a", "b", "c"][device], f64::from(ms) / 1_000.0)).collect();
        let mut player = Player::new(Shelf::of(&fixes), (0.0, 60.0), speed, interval);
        let mut last: BTreeMap<String, f64> = BTreeMap::new();
        let mut begun = 0.0;
        let mut told_at = f64::MIN;
        let mut judge = |player: &mut Player, is_jump: bool| -> Result<(), TestCaseError> {
            for (uptime, _update) in player.told.iter().filter(|(_, it)| it["type"] == "uwb.position_update") {
                prop_assert!(*uptime - told_at > interval * 0.9 - 1e-6, "{} then {}", told_at, uptime);
                told_at = *uptime;
            }
            for (time, device, x) in player.positions() {
                prop_assert!(x <= time + 1e-6, "{} at {}", x, time);
                let before = last.insert(device.clone(), x);
                prop_assert!(before.is_none_or(|before| before < x), "{}: {:?} then {}", device, before, x);
            }
            player.told.clear();
            if is_jump {
                last.clear();
            }
            Ok(())
        };
        for (deed, wait) in deeds {
            let is_jump = matches!(deed, Deed::Seek(_)) && player.over.is_none();
            judge(&mut player, is_jump)?;
            if player.over.is_some() {
                break;
            }
            match deed {
                Deed::Wait => {}
                Deed::Pause => player.change(Change { paused: Some(true), ..Change::default() }),
                Deed::Resume => player.change(Change { paused: Some(false), ..Change::default() }),
                Deed::Seek(to) => {
                    begun = to;
                    player.change(Change { at: Some(at(to)), ..Change::default() });
                }
                Deed::Speed(speed) => player.change(Change { speed: Some(speed), ..Change::default() }),
                Deed::Stop => player.delivery = Delivery::Held,
                Deed::Read => player.delivery = Delivery::Open,
                Deed::Mood(is_well) => {
                    player.shelf.mood.set(if is_well { Mood::Well } else { Mood::Failing });
                }
            }
            player.tick();
            player.wait(wait);
        }
        player.shelf.mood.set(Mood::Well);
        player.delivery = Delivery::Open;
        if player.over.is_none() {
            player.change(Change { paused: Some(false), ..Change::default() });
        }
        player.wait(10.0);
        judge(&mut player, false)?;
        player.wait(700.0);
        judge(&mut player, false)?;
        prop_assert_eq!(player.over, Some(PlaybackEnd::End));
        let mut expected: BTreeMap<String, f64> = BTreeMap::new();
        let heard = |secs: f64| secs > begun - 60.0;
        for &(device, taken) in fixes.iter().filter(|(_, taken)| heard(*taken)) {
            let newest = expected.entry(device.to_owned()).or_insert(taken);
            *newest = newest.max(taken);
        }
        prop_assert_eq!(last, expected);
    }
}
