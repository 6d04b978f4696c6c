//! Events, the numbering of rooms, and the audit trail.

use std::time::Duration;

use super::make::{at, at_ms, audit_pages, done, entry, event, event_pages, id, keep, room, tidy};
use super::{ENDS, End, Fixture, again};
use crate::audit::{AuditEntry, AuditRecord};
use crate::query::{AuditQuery, EventQuery};
use crate::record::{EventRecord, Record};
use crate::retention::{KindLimits, Retention};

/// Newest first, of all rooms or of one, in a range of time whose ends belong to it.
pub async fn events_are_read_in_pages(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    let rooms = ["uwb", "hall", "uwb"];
    let of = |n: u64| event(n * 10, rooms[usize::try_from(n).unwrap() % 3], "e1", n, at(n.cast_signed()));
    let full = EventRecord {
        devices: vec![id("b"), id("a"), id("ä 😀")],
        from: Some("client-7".into()),
        text: "{\"text\":\"quotes ' and \\u0000 and 😀\"}".into(),
        ..of(9)
    };
    let bare = EventRecord { devices: vec![], text: "".into(), ..of(8) };
    keep(&store, (1..=7).map(|n| Record::Event(of(n))).collect()).await;
    keep(&store, vec![Record::Event(bare.clone()), Record::Event(full.clone())]).await;
    for end in ENDS {
        let everything = EventQuery { limit: 100, ..EventQuery::default() };
        let page = done(store.events(everything.clone()).await);
        let expected: Vec<EventRecord> =
            [full.clone(), bare.clone()].into_iter().chain((1..=7).rev().map(of)).collect();
        assert_eq!((page.events, page.next), (expected, None));
        for (limit, pages) in [
            (9, vec![vec![90, 80, 70, 60, 50, 40, 30, 20, 10]]),
            (4, vec![vec![90, 80, 70, 60], vec![50, 40, 30, 20], vec![10]]),
            (3, vec![vec![90, 80, 70], vec![60, 50, 40], vec![30, 20, 10]]),
        ] {
            assert_eq!(event_pages(&store, &EventQuery { limit, ..everything.clone() }).await, pages);
        }
        let hall = EventQuery { room: Some(room("hall")), limit: 2, ..EventQuery::default() };
        assert_eq!(event_pages(&store, &hall).await, [vec![70, 40], vec![10]]);
        let ranged = EventQuery { start: Some(at(2)), end: Some(at(5)), limit: 3, ..EventQuery::default() };
        assert_eq!(event_pages(&store, &ranged).await, [vec![50, 40, 30], vec![20]]);
        let both = EventQuery { room: Some(room("uwb")), start: Some(at_ms(2_001)), ..ranged };
        assert_eq!(event_pages(&store, &both).await, [vec![50, 30]]);
        let nowhere = EventQuery { room: Some(room("nowhere")), limit: 3, ..EventQuery::default() };
        assert_eq!(event_pages(&store, &nowhere).await, [vec![0; 0]]);
        let after = EventQuery { after: Some(30), limit: 3, ..EventQuery::default() };
        assert_eq!(event_pages(&store, &after).await, [vec![20, 10]]);
        store = again(fixture, store, end).await;
    }
}

/// The ordinal decides, and the first counts.
pub async fn an_event_is_kept_once(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    let first = event(5, "uwb", "e1", 1, at(1));
    let other = EventRecord { text: "other".into(), ..event(5, "uwb", "e1", 9, at(2)) };
    keep(&store, vec![Record::Event(first.clone()), Record::Event(other.clone())]).await;
    keep(&store, vec![Record::Event(other)]).await;
    for end in ENDS {
        let page = done(store.events(EventQuery { limit: 10, ..EventQuery::default() }).await);
        assert_eq!(page.events, std::slice::from_ref(&first));
        let loaded = done(store.load(10).await);
        assert_eq!((loaded.rooms[0].seq, loaded.last_ordinal), (1, 5));
        store = again(fixture, store, end).await;
    }
}

/// The last number of each room, and its latest messages of its newest epoch only.
pub async fn rooms_come_back_with_the_tail_of_their_epoch(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    let mut records: Vec<EventRecord> = (1..=6).map(|n| event(n, "uwb", "e1", n, at(1))).collect();
    records.push(event(7, "hall", "old", 41, at(2)));
    records.push(event(8, "hall", "new", 1, at(3)));
    records.push(event(9, "hall", "new", 2, at(0)));
    records.push(event(10, "A", "e", 1, at(0)));
    for chunk in records.chunks(4) {
        keep(&store, chunk.iter().cloned().map(Record::Event).collect()).await;
    }
    for end in ENDS {
        for events_max in [0, 1, 3, 100] {
            let loaded = done(store.load(events_max).await);
            assert_eq!(loaded.last_ordinal, 10);
            let lasts: Vec<u64> = loaded.rooms.iter().map(|room| room.ordinal).collect();
            assert_eq!(lasts, [10, 9, 6]);
            let found: Vec<(&str, &str, u64, Vec<u64>)> = loaded
                .rooms
                .iter()
                .map(|it| {
                    let ordinals = it.events.iter().map(|event| event.ordinal).collect();
                    (it.name.as_str(), &*it.epoch, it.seq, ordinals)
                })
                .collect();
            let tail = |ordinals: &[u64]| ordinals[ordinals.len().saturating_sub(events_max)..].to_vec();
            let expected = [
                ("A", "e", 1, tail(&[10])),
                ("hall", "new", 2, tail(&[8, 9])),
                ("uwb", "e1", 6, tail(&[1, 2, 3, 4, 5, 6])),
            ];
            assert_eq!(found, expected, "with at most {events_max}");
        }
        let whole = done(store.load(2).await);
        assert_eq!(whole.rooms[1].events, records[7..9]);
        store = again(fixture, store, end).await;
    }
}

/// A room knows where it was when its messages are long gone.
pub async fn numbering_goes_on_when_events_are_deleted(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    let records =
        [event(1, "uwb", "e1", 1, at(1)), event(2, "uwb", "e2", 1, at(2)), event(3, "uwb", "e2", 2, at(3))];
    keep(&store, records.iter().cloned().map(Record::Event).collect()).await;
    let limits = KindLimits { age_max: Some(Duration::from_secs(60)), bytes_max: None };
    let retention = Retention { events: limits, ..Retention::default() };
    assert_eq!(tidy(&store, &retention, at(10_000)).await.events_removed, 3);
    for end in ENDS {
        let loaded = done(store.load(10).await);
        assert_eq!(loaded.last_ordinal, 3);
        let room = &loaded.rooms[0];
        assert_eq!((&*room.epoch, room.seq, room.ordinal, room.events.len()), ("e2", 2, 3, 0));
        store = again(fixture, store, end).await;
    }
    keep(&store, vec![Record::Event(event(4, "uwb", "e2", 3, at(10_001)))]).await;
    let store = again(fixture, store, End::Dropped).await;
    let loaded = done(store.load(10).await);
    assert_eq!((loaded.rooms[0].seq, loaded.rooms[0].events.len(), loaded.last_ordinal), (3, 1, 4));
}

/// Newest first, of all or of one subject, in a range of time whose ends belong to it.
pub async fn the_audit_trail_is_read_in_pages(fixture: &mut dyn Fixture) {
    let mut store = fixture.open().await;
    let full = AuditRecord {
        at: at(9),
        subject: String::new(),
        issuer: Some("https://id.example".to_owned()),
        action: "g".to_owned(),
        object: "ä 😀 'x'".to_owned(),
        outcome: "forbidden".to_owned(),
        address: Some("[2001:db8::1]:443".to_owned()),
    };
    let full = AuditEntry { record: full, link: None };
    let mut entries: Vec<AuditEntry> = ["a", "b", "c", "d", "e", "f"]
        .into_iter()
        .zip(1_i64..)
        .map(|(action, n)| entry(if n % 2 == 0 { "alice" } else { "bob" }, action, at(n)))
        .collect();
    entries.push(full);
    for chunk in entries.chunks(3) {
        keep(&store, chunk.iter().cloned().map(Record::Audit).collect()).await;
    }
    let whole = AuditQuery { limit: 100, ..AuditQuery::default() };
    for end in ENDS {
        let page = done(store.audit(whole.clone()).await);
        let found: Vec<AuditEntry> = page.entries.into_iter().rev().map(|(_ordinal, entry)| entry).collect();
        assert_eq!((found, page.next), (entries.clone(), None));
        let all = |limit| AuditQuery { limit, ..AuditQuery::default() };
        assert_eq!(audit_pages(&store, &all(7)).await, [["g", "f", "e", "d", "c", "b", "a"]]);
        let pages = audit_pages(&store, &all(3)).await;
        assert_eq!(pages, [vec!["g", "f", "e"], vec!["d", "c", "b"], vec!["a"]]);
        let of = |subject: &str, limit| AuditQuery { subject: Some(subject.to_owned()), ..all(limit) };
        assert_eq!(audit_pages(&store, &of("alice", 2)).await, [vec!["f", "d"], vec!["b"]]);
        assert_eq!(audit_pages(&store, &of("", 2)).await, [["g"]]);
        let ranged = AuditQuery { start: Some(at(2)), end: Some(at(4)), ..all(9) };
        assert_eq!(audit_pages(&store, &ranged).await, [["d", "c", "b"]]);
        let both = AuditQuery { start: Some(at_ms(2_001)), end: Some(at_ms(5_999)), ..of("bob", 9) };
        assert_eq!(audit_pages(&store, &both).await, [["e", "c"]]);
        store = again(fixture, store, end).await;
    }
    let before = done(store.audit(whole.clone()).await).entries[0].0;
    keep(&store, vec![Record::Audit(entry("bob", "h", at(3)))]).await;
    let store = again(fixture, store, End::Closed).await;
    let newest = done(store.audit(whole).await).entries[0].clone();
    assert_eq!(newest.1.record.action, "h", "the order is that of the commits, not that of the times");
    assert!(newest.0 > before);
}
