use anita_model::{NoPosition, SourceName, Timestamp};
use proptest::prelude::*;

use super::*;

fn at(secs: f64) -> Now {
    let start = Timestamp::parse("2026-03-01T12:00:00Z").unwrap();
    let now = Now { wall: start, uptime: Duration::ZERO };
    if secs < 0.0 {
        return Now { wall: start.minus(Duration::from_secs_f64(-secs)), ..now };
    }
    now.plus(Duration::from_secs_f64(secs))
}

fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

/// A fix of a tag at `x`, taken and received at these seconds.
fn fix(device: &str, x: f64, taken_secs: f64, received_secs: f64) -> Report {
    Report::Fix(Fix {
        device: id(device),
        site: SiteName::main(),
        position: Position::new(x, 0.0, 0.0).unwrap(),
        accuracy_m: None,
        floor: None,
        battery_percent: None,
        taken_at: at(taken_secs).wall,
        received_at: at(received_secs).wall,
        source: SourceName::parse("test").unwrap(),
        sequence: None,
    })
}

/// Short words for events: what happened to whom.
fn words(events: &[Event]) -> Vec<String> {
    events
        .iter()
        .map(|event| match event {
            Event::Registered(device) => format!("+{}", device.id),
            Event::StatusChanged(device) => format!("{} {:?}", device.id, device.status),
            Event::Updated(device) => format!("~{}", device.id),
            Event::Removed(id) => format!("-{id}"),
            Event::Near(near) => format!("{}~{} {:.1}", near.first, near.second, near.distance_m),
        })
        .collect()
}

fn live_x(world: &World, device: &str) -> f64 {
    world.get(device).unwrap().live.as_ref().unwrap().position.x_m()
}

#[test]
fn the_newest_by_the_devices_time_is_live_whatever_the_order_of_arrival() {
    let mut world = World::new(Policy::default());
    let mut events = Vec::new();
    assert!(matches!(world.report(fix("a", 1.0, 1.0, 1.0), at(1.0), &mut events), Outcome::Newest(_)));
    assert!(matches!(world.report(fix("a", 3.0, 3.0, 3.1), at(3.1), &mut events), Outcome::Newest(_)));
    assert!(matches!(world.report(fix("a", 2.0, 2.0, 3.2), at(3.2), &mut events), Outcome::Late(_)));
    assert!(matches!(world.report(fix("a", 3.0, 3.0, 3.3), at(3.3), &mut events), Outcome::Duplicate(_)));
    assert!((live_x(&world, "a") - 3.0).abs() < 1e-9);
    assert_eq!(words(&events), ["+a", "a Connected"]);
    assert_eq!(
        world.get("a").unwrap().last_seen,
        Some(at(3.3).wall),
        "late ones and doubles are signs of life"
    );
}

/// A fix of a source that counts, and stamps with the arrival.
fn counted(x: f64, number: u64, secs: f64) -> Report {
    let Report::Fix(fix) = fix("a", x, secs, secs) else { unreachable!() };
    Report::Fix(Fix { sequence: Some(number), ..fix })
}

/// Once, a numbered fix that came while the server's clock was behind was late, and was not known when it came again: the
/// history had it twice. The same held for one that came again when the clock had been set back.
#[test]
fn a_numbered_fix_that_comes_again_is_known_whatever_the_servers_clock_does() {
    let behind =
        |secs: f64, back: u64| Now { wall: at(secs).wall.minus(Duration::from_secs(back)), ..at(secs) };
    let arrives = |x: f64, number: u64, now: Now| {
        let Report::Fix(fix) = counted(x, number, 0.0) else { unreachable!() };
        Report::Fix(Fix { taken_at: now.wall, received_at: now.wall, ..fix })
    };
    let (mut world, mut events) = (World::new(Policy::default()), Vec::new());
    let mut report = |x: f64, number: u64, now: Now| world.report(arrives(x, number, now), now, &mut events);
    assert!(matches!(report(1.0, 10, at(100.0)), Outcome::Newest(_)));
    // Three seconds back: what comes now is late by the clock.
    assert!(matches!(report(2.0, 11, behind(101.0, 3)), Outcome::Late(_)));
    let again = report(2.0, 11, behind(102.0, 3));
    assert!(matches!(again, Outcome::Duplicate(known) if known.taken_at == at(98.0).wall));
    // Further back than a device may be ahead: the live one counts no more, and is known all the same.
    let again = report(1.0, 10, behind(103.0, 60));
    assert!(matches!(again, Outcome::Duplicate(known) if known.taken_at == at(100.0).wall));
    assert!(matches!(report(3.0, 12, behind(104.0, 60)), Outcome::Newest(_)));
}

/// Once, what a broker brought again after a crash, stamped with its new arrival, was kept twice.
#[test]
fn what_is_brought_again_is_known_by_its_number_and_place() {
    let mut world = World::new(Policy::default());
    let mut events = Vec::new();
    for (x, number, secs) in [(1.0, 10, 1.0), (2.0, 11, 1.1), (3.0, 12, 1.2)] {
        assert!(matches!(world.report(counted(x, number, secs), at(secs), &mut events), Outcome::Newest(_)));
    }
    // Each is known by itself, not by the newest: that one may be in the store, and the others not.
    for (x, number, secs) in [(1.0, 10, 1.0), (2.0, 11, 1.1), (3.0, 12, 1.2)] {
        let again = world.report(counted(x, number, 2.0), at(2.0), &mut events);
        let Report::Fix(first) = counted(x, number, secs) else { unreachable!() };
        assert_eq!(again, Outcome::Duplicate(Arc::new(first)), "{number}");
    }
    // Gateways that always write the same number are no reason to lose a position.
    assert!(matches!(world.report(counted(4.0, 12, 2.1), at(2.1), &mut events), Outcome::Newest(_)));
}

/// Coordinates are stored in millimetres.
#[test]
fn what_is_brought_again_after_a_restart_is_known_to_the_millimetre() {
    let (mut before, mut after) = (World::new(Policy::default()), World::new(Policy::default()));
    let mut events = Vec::new();
    before.report(counted(1.000_400_1, 10, 1.0), at(1.0), &mut events);
    let mut device = before.get("a").unwrap().clone();
    let live = device.live.as_deref().unwrap().clone();
    device.live = Some(Arc::new(Fix { position: Position::new(1.0, 0.0, 0.0).unwrap(), ..live }));
    after.restore(device, at(2.0));
    let again = after.report(counted(1.000_400_1, 10, 2.0), at(2.0), &mut events);
    assert!(matches!(again, Outcome::Duplicate(_)), "{again:?}");
}

/// Once, a clock that was years ahead for a moment made every later fix a late one, over restarts.
#[test]
fn a_fix_from_when_the_clock_was_wrong_is_no_reason_to_take_later_ones_for_late() {
    let mut world = World::new(Policy::default());
    let mut events = Vec::new();
    world.report(fix("a", 1.0, 1_000.0, 1_000.0), at(1_000.0), &mut events);
    assert!(matches!(world.report(fix("a", 2.0, 2.0, 2.0), at(2.0), &mut events), Outcome::Newest(_)));
    assert!((live_x(&world, "a") - 2.0).abs() < 1e-9);
    // A clock that is corrected by a little changes nothing.
    world.report(fix("a", 3.0, 7.0, 7.0), at(7.0), &mut events);
    assert!(matches!(world.report(fix("a", 4.0, 3.0, 3.0), at(3.0), &mut events), Outcome::Late(_)));
}

/// Once, all fixes of a tag whose clock stood still had one time, and what keeps them became slower with each.
#[test]
fn a_clock_that_stands_still_is_believed_for_a_while_and_then_the_arrival_counts() {
    let mut world = World::new(Policy::default());
    let mut events = Vec::new();
    let most = f64::from(crate::device::SAME_TIME_MAX);
    let mut step = 0.0;
    let mut taken_at = |world: &mut World| {
        step += 1.0;
        let secs = 10.0 + step / 10.0;
        let Outcome::Newest(fix) = world.report(fix("a", step, 1.0, secs), at(secs), &mut events) else {
            panic!("step {step} is not live");
        };
        (fix.taken_at, at(secs).wall)
    };
    while {
        let (taken_at, arrived) = taken_at(&mut world);
        taken_at != arrived
    } {}
    assert!((live_x(&world, "a") - most).abs() <= 2.0);
    let (time, arrived) = taken_at(&mut world);
    assert_eq!(time, arrived, "and so it goes on");
    // One that is sent again and again is no clock that stands still.
    for _again in 0..5_000 {
        let late = world.report(fix("a", 0.5, 2.0, 9_000.0), at(9_000.0), &mut events);
        assert!(matches!(late, Outcome::Late(_)));
    }
}

#[test]
fn a_restored_device_goes_on_with_the_silence_that_it_had() {
    let mut before = World::new(Policy::default());
    let mut events = Vec::new();
    before.report(fix("a", 1.0, 1.0, 1.0), at(1.0), &mut events);
    let (unsaved, last) = before.take_unsaved(None, 10);
    assert_eq!((unsaved.len(), last), (1, Some(id("a"))));
    assert_eq!(before.take_unsaved(None, 10).0, []);
    let mut after = World::new(Policy::default());
    // The server was away: its uptime begins anew at the 7th second.
    let restarted = |secs: f64| Now { uptime: Duration::from_secs_f64(secs - 7.0), ..at(secs) };
    events.clear();
    after.restore(unsaved[0].clone(), restarted(7.0));
    after.sweep(restarted(10.9), &mut events);
    assert_eq!(words(&events), [""; 0]);
    after.sweep(restarted(11.5), &mut events);
    assert_eq!(words(&events), ["a Stale"]);
    after.report(fix("a", 1.0, 12.0, 12.0), restarted(12.0), &mut events);
    after.sweep(restarted(21.0), &mut events);
    assert_eq!(words(&events), ["a Stale", "a Connected"]);
}

#[test]
fn a_clock_that_is_ahead_is_believed_for_five_seconds_and_an_old_one_for_ever() {
    let mut world = World::new(Policy::default());
    let mut events = Vec::new();
    assert!(matches!(world.report(fix("a", 0.0, 15.0, 10.0), at(10.0), &mut events), Outcome::Newest(_)));
    let refused = world.report(fix("b", 0.0, 15.001, 10.0), at(10.0), &mut events);
    assert_eq!(refused, Outcome::Refused(Refused::Future { ahead_ms: 5_001, ahead_ms_max: 5_000 }));
    assert!(world.get("b").is_none(), "a refused fix registers nothing");
    let ancient = world.report(fix("c", 0.0, -1e9, 10.0), at(10.0), &mut events);
    assert!(matches!(ancient, Outcome::Newest(_)));
}

#[test]
fn silence_makes_a_tag_stale_and_then_disconnected_without_any_fix() {
    let mut world = World::new(Policy::default());
    let mut events = Vec::new();
    world.report(fix("a", 0.0, 0.0, 0.0), at(0.0), &mut events);
    events.clear();
    for (secs, expected) in [(10.0, ""), (10.1, "a Stale"), (60.0, ""), (60.1, "a Disconnected"), (99.0, "")]
    {
        world.sweep(at(secs), &mut events);
        assert_eq!(words(&events).join(" "), expected, "after {secs} s");
        events.clear();
    }
    world.report(fix("a", 1.0, 100.0, 100.0), at(100.0), &mut events);
    assert_eq!(words(&events), ["a Connected"]);
}

#[test]
fn a_jump_of_the_wall_clock_makes_nobody_stale() {
    let mut world = World::new(Policy::default());
    let mut events = Vec::new();
    world.report(fix("a", 0.0, 0.0, 0.0), at(0.0), &mut events);
    events.clear();
    let jumped = Now { wall: at(86_400.0).wall, uptime: Duration::from_secs(1) };
    world.sweep(jumped, &mut events);
    assert_eq!(words(&events), [""; 0]);
}

#[test]
fn anchors_are_silent_and_well_and_gone_when_the_gateway_says_so() {
    let mut world = World::new(Policy::default());
    let mut events = Vec::new();
    let anchor = |is_present| {
        Report::Sighting(Sighting {
            device: id("anchor"),
            site: SiteName::main(),
            kind: Some(DeviceKind::Anchor),
            name: Some("DW0F07".to_owned()),
            battery_percent: None,
            mounted_at: Position::new(1.0, 2.0, 3.0).ok(),
            is_present,
            received_at: at(0.0).wall,
            source: SourceName::parse("test").unwrap(),
        })
    };
    world.report(anchor(None), at(0.0), &mut events);
    world.report(anchor(Some(true)), at(1.0), &mut events);
    world.sweep(at(1e6), &mut events);
    assert_eq!(words(&events), ["+anchor", "anchor Connected", "~anchor"]);
    events.clear();
    world.report(anchor(Some(false)), at(2.0), &mut events);
    assert_eq!(words(&events), ["anchor Disconnected"]);
    assert_eq!(world.get("anchor").unwrap().position(), Position::new(1.0, 2.0, 3.0).ok());
}

#[test]
fn without_auto_register_only_registered_devices_report() {
    let mut world = World::new(Policy { auto_register: false, ..Policy::default() });
    let mut events = Vec::new();
    let outcome = world.report(fix("a", 0.0, 0.0, 0.0), at(0.0), &mut events);
    assert_eq!(outcome, Outcome::Refused(Refused::UnknownDevice));
    let registration = Registration {
        device: id("a"),
        kind: DeviceKind::Tag,
        name: Some("Cart".to_owned()),
        site: SiteName::main(),
        position: None,
        floor: None,
    };
    world.register(registration, at(0.0), &mut events).unwrap();
    assert_eq!(words(&events), ["+a", "a Connected"]);
    assert!(matches!(world.report(fix("a", 0.0, 0.0, 0.0), at(0.0), &mut events), Outcome::Newest(_)));
}

#[test]
fn the_number_of_devices_is_bounded() {
    let mut world = World::new(Policy { devices_max: 1, ..Policy::default() });
    let mut events = Vec::new();
    world.report(fix("a", 0.0, 0.0, 0.0), at(0.0), &mut events);
    let outcome = world.report(fix("b", 0.0, 0.0, 0.0), at(0.0), &mut events);
    assert_eq!(outcome, Outcome::Refused(Refused::TooManyDevices { devices_max: 1 }));
    assert!(matches!(world.report(fix("a", 0.0, 1.0, 1.0), at(1.0), &mut events), Outcome::Newest(_)));
}

#[test]
fn a_measurement_without_a_position_is_a_sign_of_life_of_a_known_device_only() {
    let mut world = World::new(Policy::default());
    let mut events = Vec::new();
    let failure = |device: &str| {
        Report::NoPosition(NoPosition {
            device: Some(id(device)),
            reason: "no_solution",
            source: SourceName::parse("test").unwrap(),
        })
    };
    assert_eq!(world.report(failure("a"), at(0.0), &mut events), Outcome::NoPosition);
    assert!(world.get("a").is_none());
    world.report(fix("a", 0.0, 0.0, 0.0), at(0.0), &mut events);
    world.report(failure("a"), at(9.0), &mut events);
    world.sweep(at(15.0), &mut events);
    assert_eq!(world.get("a").unwrap().status, DeviceStatus::Connected);
}

#[test]
fn a_name_can_be_given_and_taken_and_a_device_removed() {
    let mut world = World::new(Policy::default());
    let mut events = Vec::new();
    world.report(fix("a", 0.0, 0.0, 0.0), at(0.0), &mut events);
    let named = |name: &str| Changes { name: Some(name.to_owned()), kind: None };
    assert_eq!(world.update(&id("a"), named("Cart"), &mut events).unwrap().name.as_deref(), Some("Cart"));
    assert_eq!(world.update(&id("a"), named(""), &mut events).unwrap().name, None);
    assert!(world.remove(&id("a"), &mut events).is_some());
    assert!(world.remove(&id("a"), &mut events).is_none());
    assert!(world.update(&id("a"), named("x"), &mut events).is_none());
}

#[test]
fn two_tags_that_come_close_are_told_once_until_they_have_parted() {
    let nearness = Nearness { enter_m: 1.0, leave_m: 1.5 };
    let mut world = World::new(Policy { nearness: Some(nearness), ..Policy::default() });
    let mut events = Vec::new();
    world.report(fix("b", 0.0, 0.0, 0.0), at(0.0), &mut events);
    // Where `a` is, and what is said then.
    let steps = [
        (9.0, ""),
        (1.1, ""),
        (0.9, "a~b 0.9"),
        (0.5, ""),
        (1.4, ""),
        (0.9, ""),
        (1.6, ""),
        (-0.8, "a~b 0.8"),
        (300.0, ""),
        (-0.1, "a~b 0.1"),
    ];
    for (secs, (x, said)) in (1..).zip(steps) {
        events.clear();
        let secs = f64::from(secs);
        world.report(fix("a", x, secs, secs), at(secs), &mut events);
        let near: Vec<String> = words(&events).into_iter().filter(|it| it.contains('~')).collect();
        assert_eq!(near.join(" "), said, "at {x}");
    }
    world.remove(&id("a"), &mut events);
    events.clear();
    world.report(fix("a", 0.1, 99.0, 99.0), at(99.0), &mut events);
    assert_eq!(words(&events).last().unwrap(), "a~b 0.1", "it is another one now");
}

proptest! {
    /// The grid against comparing all with all.
    #[test]
    fn whoever_is_near_is_found(steps in proptest::collection::vec((0_u8..5, -30_i32..30), 1..120)) {
        let nearness = Nearness { enter_m: 1.0, leave_m: 1.0 };
        let mut world = World::new(Policy { nearness: Some(nearness), ..Policy::default() });
        let (mut places, mut near) = (BTreeMap::new(), std::collections::BTreeSet::new());
        for (secs, (tag, tenths)) in (1..).zip(steps) {
            let (name, x, secs) = (format!("t{tag}"), f64::from(tenths) / 10.0, f64::from(secs));
            places.insert(name.clone(), x);
            near.retain(|(one, other): &(String, String)| {
                let touches = *one == name || *other == name;
                !touches || (places[one] - places[other]).abs() <= 1.0
            });
            let mut expected = std::collections::BTreeSet::new();
            for (other, place) in places.iter().filter(|(other, _)| **other != name) {
                let pair = if *other < name { (other.clone(), name.clone()) } else { (name.clone(), other.clone()) };
                if (place - x).abs() <= 1.0 && near.insert(pair.clone()) {
                    expected.insert(pair);
                }
            }
            let mut events = Vec::new();
            world.report(fix(&name, x, secs, secs), at(secs), &mut events);
            let told: std::collections::BTreeSet<(String, String)> = events
                .iter()
                .filter_map(|event| {
                    let Event::Near(near) = event else { return None };
                    Some((near.first.to_string(), near.second.to_string()))
                })
                .collect();
            prop_assert_eq!(told, expected);
        }
    }


    #[test]
    fn the_live_fix_is_the_newest_of_all_that_came(times in proptest::collection::vec(0_u32..50, 1..40)) {
        let mut world = World::new(Policy::default());
        let mut events = Vec::new();
        for &secs in &times {
            world.report(fix("a", f64::from(secs), f64::from(secs), 60.0), at(60.0), &mut events);
        }
        let newest = f64::from(*times.iter().max().unwrap());
        prop_assert!((live_x(&world, "a") - newest).abs() < 1e-9);
    }
}
