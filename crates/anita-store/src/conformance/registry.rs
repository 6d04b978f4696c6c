//! The registry, and what was last heard of each device.

use std::sync::Arc;

use anita_model::{DeviceKind, DeviceStatus, Fix, Position, SiteName};

use super::make::{all, at, device, done, event, fix, history_of, id, keep, newest, record, state, xs_of};
use super::{ENDS, End, Fixture, again};
use crate::record::{DeviceRecord, DeviceState, Record};

/// Saving replaces, removing forgets, and removing what is not there is no error.
pub async fn the_registry_keeps_what_was_saved_last(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    let empty = done(store.load(10).await);
    assert_eq!(
        (empty.devices.len(), empty.states.len(), empty.rooms.len(), empty.last_ordinal),
        (0, 0, 0, 0)
    );
    let named = |text: &str, name: &str| DeviceRecord { name: Some(name.to_owned()), ..device(text) };
    let save = Record::Save;
    keep(&store, vec![save(named("b", "Bär")), save(named("a", "old"))]).await;
    keep(&store, vec![save(device("a"))]).await;
    for end in ENDS {
        store = again(fixture, store, end).await;
        assert_eq!(done(store.load(10).await).devices, [device("a"), named("b", "Bär")]);
    }
    let remove = |text: &str| Record::Remove(id(text));
    keep(&store, vec![remove("b"), save(device("c")), remove("nobody"), remove("c")]).await;
    for end in ENDS {
        store = again(fixture, store, end).await;
        assert_eq!(done(store.load(10).await).devices, [device("a")]);
    }
}

/// Every field of the registry is kept, and the order is that of the ids' bytes.
pub async fn every_kind_of_device_comes_back_whole(fixture: &mut dyn Fixture) {
    let store = fixture.open().await;
    let mut devices: Vec<DeviceRecord> =
        ["A", "a", "B", "Ä", "b 1", "b-1", "b1", "😀", "￿"].into_iter().map(device).collect();
    for (device, kind) in
        devices.iter_mut().zip([DeviceKind::Tag, DeviceKind::Anchor, DeviceKind::Gateway].into_iter().cycle())
    {
        device.kind = kind;
        device.name = Some(String::new());
    }
    devices[0].mounted_at = Position::new(1.25, -2.5, 3.001).ok();
    devices[0].floor = Some(1.5);
    devices[1].name = Some("a name with 'quotes', \"more\", \\ and\nlines 😀".to_owned());
    devices[2].site = SiteName::parse("hall/2").unwrap();
    devices[3].name = None;
    devices[4].floor = Some(-0.25);
    keep(&store, devices.iter().cloned().map(Record::Save).collect()).await;
    devices.sort_by(|a, b| a.id.cmp(&b.id));
    let store = again(fixture, store, End::Closed).await;
    assert_eq!(done(store.load(10).await).devices, devices);
}

/// The state that was kept last, with the newest fix of the history if that is newer.
pub async fn states_come_back_with_the_newest_of_the_history(fixture: &mut dyn Fixture) {
    let store = fixture.open().await;
    let with_battery = |fix: Fix, percent: f64| Fix { battery_percent: Some(percent), ..fix };
    let ahead = Arc::new(with_battery(fix("ahead", 9.5, at(100)), 80.5));
    let kept_ahead = DeviceState {
        status: DeviceStatus::Stale,
        last_seen: Some(at(101)),
        battery_percent: Some(33.25),
        newest: Some(Arc::clone(&ahead)),
        ..state("ahead")
    };
    let behind = DeviceState {
        status: DeviceStatus::Disconnected,
        last_seen: Some(at(5)),
        battery_percent: Some(50.0),
        newest: Some(Arc::new(fix("behind", 1.0, at(4)))),
        ..state("behind")
    };
    let silent = DeviceState { status: DeviceStatus::Disconnected, ..state("silent") };
    let newer = Arc::new(fix("behind", 2.0, at(50)));
    let bare = Arc::new(with_battery(fix("bare", 3.0, at(60)), 12.0));
    keep(
        &store,
        vec![
            Record::State(state("ahead")),
            Record::State(kept_ahead.clone()),
            record(fix("ahead", 8.5, at(90))),
            Record::State(behind.clone()),
            Record::Fix(Arc::clone(&newer)),
            Record::State(silent.clone()),
            Record::Fix(Arc::clone(&bare)),
            record(fix("bare", 2.0, at(59))),
        ],
    )
    .await;
    let heard = DeviceState {
        status: DeviceStatus::Connected,
        last_seen: Some(at(50)),
        newest: Some(newer),
        ..behind
    };
    let states = [kept_ahead, DeviceState::of_fix(&bare), heard, silent];
    let mut store = store;
    for end in ENDS {
        assert_eq!(done(store.load(10).await).states, states);
        store = again(fixture, store, end).await;
    }
    assert_eq!(done(store.load(10).await).states, states);
}

/// Neither state nor history of a removed device is seen again, also when it comes back.
pub async fn a_removed_device_is_forgotten_and_begins_anew(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    let fixes = |device: &'static str| (1..=3).map(move |n| record(fix(device, f64::from(n), at(n.into()))));
    let mut records: Vec<Record> = fixes("gone").chain(fixes("stays")).collect();
    let newest_fix = Some(Arc::new(fix("gone", 3.0, at(3))));
    records.push(Record::Save(device("gone")));
    records.push(Record::State(DeviceState { newest: newest_fix, last_seen: Some(at(3)), ..state("gone") }));
    records.push(Record::Event(event(1, "uwb", "e", 1, at(3))));
    keep(&store, records).await;
    keep(&store, vec![Record::Remove(id("gone"))]).await;
    for end in ENDS {
        assert_eq!(xs_of(&store, "gone").await, [0.0; 0]);
        assert_eq!(newest(&store, &["gone", "stays"], at(10), None).await, [("stays".to_owned(), 3.0)]);
        let loaded = done(store.load(10).await);
        assert_eq!(loaded.devices, []);
        assert_eq!(loaded.states.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["stays"]);
        assert_eq!(loaded.rooms[0].events.len(), 1, "events are the room's");
        store = again(fixture, store, end).await;
    }
    // An old fix of the same time counts again, since nothing is known of the first life.
    keep(&store, vec![record(fix("gone", 2.0, at(2))), Record::Save(device("gone"))]).await;
    for end in ENDS {
        assert_eq!(xs_of(&store, "gone").await, [2.0]);
        assert_eq!(all(&store, &history_of("stays")).await.len(), 3);
        let loaded = done(store.load(10).await);
        assert_eq!(loaded.devices, [device("gone")]);
        assert_eq!(loaded.states[0], DeviceState::of_fix(&Arc::new(fix("gone", 2.0, at(2)))));
        store = again(fixture, store, end).await;
    }
}
