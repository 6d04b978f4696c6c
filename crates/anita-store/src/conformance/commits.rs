//! Commits: whole or not at all, in their order, again without harm, and kept.

use std::sync::Arc;

use anita_model::{
    DeviceKind, DeviceStatus, Fix, POSITION_ABS_MAX_M, Position, SiteName, SourceName, Timestamp,
};

use super::make::{
    all, at, at_ms, device, done, entry, event, fix, history_of, id, keep, newest, numbered, record, state,
    xs_of,
};
use super::{ENDS, End, Fixture, again};
use crate::audit::{AuditEntry, AuditHash, AuditLink, AuditRecord};
use crate::port::{Store, StoreError};
use crate::query::{AuditQuery, EventQuery, HistoryQuery, Order};
use crate::record::{DeviceRecord, DeviceState, EventRecord, Record};

/// The connection broke and nobody knows: the same once more.
pub async fn the_same_commit_twice_is_harmless(fixture: &mut dyn Fixture) {
    let store = fixture.open().await;
    keep(&store, vec![record(fix("b", 1.0, at(1))), record(fix("c", 1.0, at(1)))]).await;
    let records = vec![
        record(fix("a", 1.0, at(1))),
        record(numbered("a", 2.0, at(2), 5)),
        Record::Save(device("a")),
        Record::State(DeviceState { last_seen: Some(at(2)), ..state("a") }),
        Record::Event(event(1, "uwb", "e", 1, at(1))),
        Record::Event(event(2, "uwb", "e", 2, at(1))),
        record(fix("b", 2.0, at(2))),
        Record::Remove(id("b")),
        record(fix("b", 3.0, at(3))),
    ];
    keep(&store, records.clone()).await;
    let once = done(store.load(10).await);
    let mut store = store;
    for end in ENDS {
        keep(&store, records.clone()).await;
        assert_eq!(done(store.load(10).await), once);
        assert_eq!(xs_of(&store, "a").await, [2.0, 1.0]);
        assert_eq!(xs_of(&store, "b").await, [3.0]);
        assert_eq!(done(store.usage().await).fixes.count, 4);
        assert_eq!(done(store.usage().await).events.count, 2);
        store = again(fixture, store, end).await;
    }
}

/// Where one record can't be kept, none is. A store may be able to keep the text of this check; then all are.
pub async fn a_commit_is_kept_whole_or_not_at_all(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    let odd = EventRecord { text: "a NUL: \0".into(), ..event(1, "uwb", "e", 1, at(1)) };
    let records = vec![
        record(fix("a", 1.0, at(1))),
        Record::Save(device("a")),
        Record::Audit(entry("bob", "try", at(1))),
        Record::Event(odd),
        record(fix("a", 2.0, at(2))),
    ];
    let kept = match store.commit(Arc::new(records)).await {
        Ok(()) => 1,
        Err(StoreError::Invalid(_cause)) => 0,
        Err(error) => panic!("a text that can't be kept is invalid, and not: {error}"),
    };
    for end in ENDS {
        assert_eq!(xs_of(&store, "a").await.len(), 2 * kept);
        let loaded = done(store.load(10).await);
        assert_eq!((loaded.devices.len(), loaded.rooms.len()), (kept, kept));
        let audit = done(store.audit(AuditQuery { limit: 9, ..AuditQuery::default() }).await);
        assert_eq!(audit.entries.len(), kept);
        // And it goes on.
        keep(&store, vec![record(fix("b", 1.0, at(1)))]).await;
        assert_eq!(xs_of(&store, "b").await, [1.0]);
        store = again(fixture, store, end).await;
    }
}

/// What comes later in a commit comes later.
pub async fn the_order_inside_a_commit_counts(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    let named = |name: &str| Record::Save(DeviceRecord { name: Some(name.to_owned()), ..device("a") });
    let seen = |secs| Record::State(DeviceState { last_seen: Some(at(secs)), ..state("a") });
    keep(
        &store,
        vec![
            record(fix("a", 1.0, at(1))),
            named("one"),
            seen(1),
            Record::Remove(id("a")),
            record(fix("a", 2.0, at(2))),
            named("two"),
            named("three"),
            seen(3),
            seen(2),
            Record::Save(device("b")),
            record(fix("b", 1.0, at(1))),
            Record::State(state("b")),
            Record::Remove(id("b")),
        ],
    )
    .await;
    for end in ENDS {
        let loaded = done(store.load(10).await);
        assert_eq!(loaded.devices.len(), 1);
        assert_eq!(loaded.devices[0].name.as_deref(), Some("three"));
        assert_eq!(loaded.states.len(), 1);
        assert_eq!(loaded.states[0].last_seen, Some(at(2)));
        assert_eq!(xs_of(&store, "a").await, [2.0]);
        assert_eq!(xs_of(&store, "b").await, [0.0; 0]);
        store = again(fixture, store, end).await;
    }
}

/// Whatever the end was.
pub async fn what_was_committed_survives(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    for round in 0_i32..6 {
        let records = (0..50).map(|n| {
            let number = round * 50 + n;
            record(fix("a", f64::from(number), at(number.into())))
        });
        keep(&store, records.collect()).await;
        let ordinal = u64::from(round.unsigned_abs()) + 1;
        let told = Record::Event(event(ordinal, "uwb", "e", ordinal, at(1)));
        keep(&store, vec![told, Record::Audit(entry("bob", "look", at(1)))]).await;
        store = again(fixture, store, ENDS[usize::try_from(round).unwrap() % 2]).await;
        let expected: Vec<f64> = (0..(round + 1) * 50).rev().map(f64::from).collect();
        assert_eq!(xs_of(&store, "a").await, expected);
        assert_eq!(done(store.load(10).await).last_ordinal, ordinal);
        let audit = done(store.audit(AuditQuery { limit: 100, ..AuditQuery::default() }).await);
        assert_eq!(audit.entries.len() as u64, ordinal);
    }
}

/// Nothing, and more than usually comes at once.
pub async fn an_empty_commit_and_a_large_one_are_kept(fixture: &mut dyn Fixture) {
    let store = fixture.open().await;
    keep(&store, vec![]).await;
    let records = (0..30_000_i32).map(|n| {
        let text = format!("tag-{:03}", n % 250);
        record(fix(&text, f64::from(n), at_ms(i64::from(n))))
    });
    let others = (1..=2_000).map(|n| Record::Event(event(n, "uwb", "e", n, at(1))));
    keep(&store, records.chain(others).collect()).await;
    let store = again(fixture, store, End::Dropped).await;
    assert_eq!(done(store.usage().await).fixes.count, 30_000);
    assert_eq!(xs_of(&store, "tag-007").await.len(), 120);
    let loaded = done(store.load(5).await);
    assert_eq!((loaded.states.len(), loaded.last_ordinal), (250, 2_000));
}

/// The place of an entry that is as far as can be.
const LAST_LINK: AuditLink =
    AuditLink { seq: 1 << 62, previous: AuditHash::NONE, hash: AuditHash([0xff; 32]) };

/// The ends of what the types can hold.
pub async fn extreme_values_come_back_as_they_were(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    let first = Timestamp::parse("0001-01-01T00:00:00.000001Z").unwrap();
    let last = Timestamp::parse("9999-12-30T21:59:59.999999Z").unwrap();
    let far = POSITION_ABS_MAX_M;
    let longest = "😀".repeat(32);
    let site = SiteName::parse(&"s".repeat(64)).unwrap();
    let source = SourceName::parse(&"/".repeat(64)).unwrap();
    let with = |x_m, y_m, z_m| Position::new(x_m, y_m, z_m).unwrap();
    let fixes: Vec<Arc<Fix>> = [
        Fix { position: with(far, -far, far), received_at: last, ..numbered(&longest, 0.0, first, u64::MAX) },
        Fix { position: with(-far, far, -far), sequence: Some(u64::MAX / 2), ..fix(&longest, 0.0, at(-1)) },
        Fix { sequence: Some(0), accuracy_m: Some(0.0), ..fix(&longest, 0.001, at(0)) },
        Fix { sequence: Some(u64::MAX / 2 + 2), floor: Some(-12.5), ..fix(&longest, -0.001, at(0)) },
        Fix { accuracy_m: Some(1e6), battery_percent: Some(0.0), ..fix(&longest, far, at(1)) },
        Fix { site, source, floor: Some(0.0), received_at: first, ..fix(&longest, 9_999_999.999, last) },
    ]
    .map(Arc::new)
    .into();
    let mut records: Vec<Record> = fixes.iter().cloned().map(Record::Fix).collect();
    let registered = DeviceRecord {
        name: Some("名".repeat(300)),
        kind: DeviceKind::Gateway,
        mounted_at: Some(with(far, far, -far)),
        floor: Some(1e-3),
        ..device(&longest)
    };
    let heard = DeviceState {
        status: DeviceStatus::Stale,
        last_seen: Some(last),
        battery_percent: Some(100.0),
        newest: Some(Arc::clone(&fixes[5])),
        ..state(&longest)
    };
    let told = EventRecord { text: "x".repeat(300_000).into(), ..event(1 << 62, "uwb", "", 1 << 62, last) };
    let empty = String::new;
    let tried = AuditRecord {
        issuer: Some(empty()),
        object: empty(),
        outcome: empty(),
        address: Some(empty()),
        ..entry("", "", first).record
    };
    let tried = AuditEntry { record: tried, link: Some(LAST_LINK) };
    records.extend([
        Record::Save(registered.clone()),
        Record::State(heard.clone()),
        Record::Event(told.clone()),
        Record::Audit(tried.clone()),
    ]);
    keep(&store, records).await;
    for end in ENDS {
        let query = HistoryQuery { order: Order::OldestFirst, limit: 2, ..history_of(&longest) };
        assert_eq!(all(&store, &query).await, fixes);
        let ends = HistoryQuery { start: Some(first), end: Some(last), ..history_of(&longest) };
        assert_eq!(all(&store, &ends).await.len(), fixes.len());
        assert_eq!(newest(&store, &[&longest], last, Some(last)).await, [(longest.clone(), 9_999_999.999)]);
        let loaded = done(store.load(1).await);
        assert_eq!(loaded.devices, std::slice::from_ref(&registered));
        assert_eq!(loaded.states, std::slice::from_ref(&heard));
        assert_eq!(loaded.rooms[0].events, std::slice::from_ref(&told));
        assert_eq!(
            done(store.events(EventQuery { limit: 1, ..EventQuery::default() }).await).events,
            std::slice::from_ref(&told)
        );
        let audit = done(store.audit(AuditQuery { limit: 1, ..AuditQuery::default() }).await);
        assert_eq!(audit.entries[0].1, tried);
        store = again(fixture, store, end).await;
    }
}

/// Readers see whole commits, and what they saw stays.
pub async fn reads_and_commits_go_on_side_by_side(fixture: &mut dyn Fixture) {
    let store = fixture.open().await;
    let reader = |store: Arc<dyn Store>| async move {
        let mut seen = 0;
        while seen < 400 {
            let found = xs_of(&store, "a").await;
            assert!(found.len() >= seen && found.len().is_multiple_of(4), "{} after {seen}", found.len());
            let expected: Vec<f64> = (0..i32::try_from(found.len()).unwrap()).rev().map(f64::from).collect();
            assert_eq!(found, expected);
            seen = found.len();
            tokio::task::yield_now().await;
        }
    };
    let readers = [tokio::spawn(reader(Arc::clone(&store))), tokio::spawn(reader(Arc::clone(&store)))];
    for group in 0..100 {
        let records = (0..4).map(|n| group * 4 + n).map(|n| record(fix("a", f64::from(n), at(n.into()))));
        keep(&store, records.collect()).await;
    }
    for reader in readers {
        reader.await.unwrap();
    }
}
