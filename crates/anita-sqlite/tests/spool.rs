//! The spool.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::path::PathBuf;
use std::sync::Arc;

use anita_model::{
    DeviceId, DeviceKind, DeviceStatus, Fix, Position, Revocation, RevocationId, Revoked, RoomName, SiteName,
    SourceName, Timestamp,
};
use anita_sqlite::{FIXES_AT_ONCE_MAX, Spool, SpoolSettings};
use anita_store::{
    AuditEntry, AuditHash, AuditLink, AuditRecord, DeviceRecord, DeviceState, EventRecord, OpenError, Record,
    StoreError,
};
use proptest::prelude::*;

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool.db");
    (folder, path)
}

fn fix(n: u32) -> Record {
    Record::Fix(Arc::new(Fix {
        device: DeviceId::parse("a").unwrap(),
        site: SiteName::main(),
        position: Position::new(f64::from(n), 0.1, -0.3).unwrap(),
        accuracy_m: Some(0.123_456),
        floor: None,
        battery_percent: Some(50.5),
        taken_at: Timestamp::from_micros(n.into()).unwrap(),
        received_at: Timestamp::from_micros(0).unwrap(),
        source: SourceName::parse("hall").unwrap(),
        sequence: Some(u64::MAX - u64::from(n)),
    }))
}

fn any_id() -> impl Strategy<Value = DeviceId> + Clone {
    "[a-z ü😀]{1,8}".prop_map(|text| DeviceId::parse(&text).unwrap())
}

fn any_status() -> impl Strategy<Value = DeviceStatus> {
    prop::sample::select(vec![DeviceStatus::Connected, DeviceStatus::Stale, DeviceStatus::Disconnected])
}

fn any_time() -> impl Strategy<Value = Timestamp> + Clone {
    (-5_000_000_000_000_000..5_000_000_000_000_000_i64).prop_map(|us| Timestamp::from_micros(us).unwrap())
}

/// An audit entry, or what is said of a revocation.
fn any_word() -> impl Strategy<Value = Record> {
    let time = any_time;
    let hash = || any::<[u8; 32]>().prop_map(AuditHash);
    let link =
        (any::<u64>(), hash(), hash()).prop_map(|(seq, previous, hash)| AuditLink { seq, previous, hash });
    let maybe = || prop::option::of(".{0,20}");
    let audit = (time(), ".{0,20}", maybe(), ".{0,20}", ".{0,20}", maybe(), prop::option::of(link));
    let revocation_id = || "[a-zA-Z0-9:]{1,9}".prop_map(|text| RevocationId::parse(&text).unwrap());
    let revoked = prop_oneof![
        ".{0,20}".prop_map(|text| Revoked::Token(text.into())),
        (".{0,20}", prop::option::of(time()))
            .prop_map(|(text, issued_before)| Revoked::Subject { subject: text.into(), issued_before }),
        time().prop_map(Revoked::IssuedBefore),
    ];
    let revocation =
        (revocation_id(), revoked, maybe(), time(), prop::option::of(time()), ".{0,20}", ".{0,20}");
    prop_oneof![
        audit.prop_map(|(at, subject, issuer, action, object, address, link)| {
            let outcome = "done".to_owned();
            let record = AuditRecord { at, subject, issuer, action, object, outcome, address };
            Record::Audit(AuditEntry { record, link })
        }),
        revocation_id().prop_map(Record::Unrevoke),
        revocation.prop_map(|(id, revoked, issuer, made_at, until, made_by, reason)| {
            let (made_by, reason) = (made_by.into(), reason.into());
            Record::Revoke(Revocation {
                id,
                revoked,
                issuer: issuer.map(Into::into),
                made_at,
                until,
                made_by,
                reason,
            })
        }),
    ]
}

fn any_record() -> impl Strategy<Value = Record> {
    let id = any_id();
    let time = any_time;
    let number = || prop::option::of(-1e6..1e6);
    let position = || (-1e7..1e7, -1e7..1e7, -1e7..1e7).prop_map(|(x, y, z)| Position::new(x, y, z).unwrap());
    let site = || "[a-z]{1,5}".prop_map(|text| SiteName::parse(&text).unwrap());
    let fix = (
        (id.clone(), site(), position(), "[a-z]{1,5}"),
        (number(), number(), number()),
        (time(), time(), prop::option::of(any::<u64>())),
    )
        .prop_map(|((device, site, position, source), (accuracy_m, floor, battery_percent), times)| Fix {
            device,
            site,
            position,
            accuracy_m,
            floor,
            battery_percent,
            taken_at: times.0,
            received_at: times.1,
            source: SourceName::parse(&source).unwrap(),
            sequence: times.2,
        });
    let kind = prop::sample::select(vec![DeviceKind::Tag, DeviceKind::Anchor, DeviceKind::Gateway]);
    let device =
        (id.clone(), prop::option::of(".{0,20}"), kind, site(), prop::option::of(position()), number());
    let state = (id.clone(), any_status(), prop::option::of(time()), number(), prop::option::of(fix.clone()));
    let event = (
        (any::<u64>(), "[a-z]{1,5}", ".{0,20}", any::<u64>(), time()),
        prop::collection::vec(id.clone(), 0..4),
        (prop::option::of(".{0,20}"), ".{0,20}"),
    );
    prop_oneof![
        fix.prop_map(|fix| Record::Fix(Arc::new(fix))),
        device.prop_map(|(id, name, kind, site, mounted_at, floor)| {
            Record::Save(DeviceRecord { id, name, kind, site, mounted_at, floor })
        }),
        id.prop_map(Record::Remove),
        state.prop_map(|(id, status, last_seen, battery_percent, newest)| {
            Record::State(DeviceState {
                id,
                status,
                last_seen,
                battery_percent,
                newest: newest.map(Arc::new),
            })
        }),
        event.prop_map(|((ordinal, room, epoch, seq, at), devices, (from, text))| {
            Record::Event(EventRecord {
                ordinal,
                room: RoomName::parse(&room).unwrap(),
                epoch: epoch.into(),
                seq,
                at,
                devices,
                from: from.map(Into::into),
                text: text.into(),
            })
        }),
        any_word(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn every_record_comes_back_as_it_was(
        groups in prop::collection::vec(prop::collection::vec(any_record(), 0..30), 1..5)
    ) {
        let (_folder, path) = place();
        let spool = Spool::open(&path, SpoolSettings::default()).unwrap();
        for group in &groups {
            spool.append(group).unwrap();
        }
        drop(spool);
        let spool = Spool::open(&path, SpoolSettings::default()).unwrap();
        let is_fix = |record: &&Record| matches!(record, Record::Fix(_));
        let mut seen = Vec::new();
        spool.each(|record| seen.push(record.clone())).unwrap();
        prop_assert_eq!(seen, groups.concat());
        prop_assert_eq!(spool.fixes(), groups.iter().flatten().filter(is_fix).count() as u64);
        for group in &groups {
            let (id, records) = spool.oldest(1).unwrap().unwrap();
            prop_assert_eq!(&records, group);
            spool.remove_through(id).unwrap();
        }
        prop_assert!(spool.oldest(1).unwrap().is_none() && spool.is_empty());
        prop_assert_eq!((spool.fixes(), spool.bytes()), (0, 0));
    }
}

#[test]
fn it_holds_as_much_as_it_may_and_goes_on_when_there_is_room_again() {
    let (_folder, path) = place();
    let spool = Spool::open(&path, SpoolSettings { fixes_max: 5, bytes_max: 1_000_000 }).unwrap();
    let group = |n: u32| vec![fix(n), fix(n + 100)];
    spool.append(&group(1)).unwrap();
    spool.append(&group(2)).unwrap();
    assert!(matches!(spool.append(&group(3)), Err(StoreError::Full(_))));
    assert_eq!(spool.fixes(), 4);
    let (id, _records) = spool.oldest(1).unwrap().unwrap();
    spool.remove_through(id).unwrap();
    spool.remove_through(id).unwrap();
    assert_eq!(spool.fixes(), 2);
    spool.append(&group(3)).unwrap();
    assert_eq!(spool.oldest(1).unwrap().unwrap().1, group(2), "the oldest first");
    let bytes = spool.bytes();
    drop(spool);
    let spool = Spool::open(&path, SpoolSettings { fixes_max: 500, bytes_max: bytes }).unwrap();
    assert!(matches!(spool.append(&group(4)), Err(StoreError::Full(_))));
}

#[test]
fn a_group_that_cannot_be_read_is_put_aside() {
    let (_folder, path) = place();
    let spool = Spool::open(&path, SpoolSettings::default()).unwrap();
    for n in 1..4 {
        spool.append(&[fix(n)]).unwrap();
    }
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute("UPDATE waiting SET body = x'0102' WHERE id = 1", []).unwrap();
    assert_eq!(spool.oldest(1).unwrap().unwrap(), (2, vec![fix(2)]));
    assert_eq!(spool.fixes(), 2);
    let aside = db.query_row("SELECT count(*) FROM damaged", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(aside, 1);
}

#[test]
fn several_groups_leave_together_in_their_order_but_not_too_much_at_once() {
    let (_folder, path) = place();
    let spool = Spool::open(&path, SpoolSettings::default()).unwrap();
    for n in 1..=5 {
        spool.append(&[fix(n), fix(n + 100)]).unwrap();
    }
    let expected = [1, 101, 2, 102, 3, 103].map(fix).to_vec();
    assert_eq!(spool.oldest(3).unwrap(), Some((3, expected)));
    spool.remove_through(3).unwrap();
    assert_eq!((spool.fixes(), spool.oldest(9).unwrap().unwrap().0), (4, 5));

    // One that can't be read is put aside when it is the oldest, and holds up nothing before it.
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute("UPDATE waiting SET body = x'0102' WHERE id = 5", []).unwrap();
    assert_eq!(spool.oldest(9).unwrap().unwrap().0, 4);
    spool.remove_through(4).unwrap();
    assert_eq!(spool.oldest(9).unwrap(), None);
    assert!(spool.is_empty());

    let many: Vec<Record> = (0..u32::try_from(FIXES_AT_ONCE_MAX).unwrap() - 1).map(fix).collect();
    for group in [&many[..], &[fix(1)], &[fix(2)], &many, &many] {
        spool.append(group).unwrap();
    }
    let (last, records) = spool.oldest(9).unwrap().unwrap();
    assert_eq!((last, records.len() as u64), (7, FIXES_AT_ONCE_MAX));
    spool.remove_through(last).unwrap();
    assert_eq!(spool.oldest(9).unwrap().unwrap().0, 9, "as many as one time may have");
    spool.remove_through(9).unwrap();
    assert_eq!(spool.oldest(9).unwrap().unwrap().0, 10);
}

#[test]
fn numbers_are_not_given_twice() {
    let (_folder, path) = place();
    let spool = Spool::open(&path, SpoolSettings::default()).unwrap();
    spool.append(&[fix(1)]).unwrap();
    let (first, _records) = spool.oldest(1).unwrap().unwrap();
    spool.remove_through(first).unwrap();
    spool.append(&[fix(2)]).unwrap();
    assert_ne!(spool.oldest(1).unwrap().unwrap().0, first);
}

#[test]
fn a_spool_of_a_newer_program_is_refused() {
    let (_folder, path) = place();
    drop(Spool::open(&path, SpoolSettings::default()).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 9).unwrap();
    let refused = Spool::open(&path, SpoolSettings::default());
    assert!(matches!(refused, Err(OpenError::Newer { found: 9, known: 1, .. })), "{refused:?}");
}

/// What a server of the version before spooled is brought over by this one.
#[test]
fn groups_of_the_first_format_are_read() {
    let (_folder, path) = place();
    let spool = Spool::open(&path, SpoolSettings::default()).unwrap();
    // Format 1, no texts, one record: an audit entry at 0 µs by `a`, who did `b` with `c`: `d`, from nowhere.
    let body = [1, 0, 1, 5, 0, 1, b'a', 1, b'b', 1, b'c', 1, b'd', 0];
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute("INSERT INTO waiting (fixes, body) VALUES (0, ?1)", [&body[..]]).unwrap();
    let record = AuditRecord {
        at: Timestamp::UNIX_EPOCH,
        subject: "a".to_owned(),
        issuer: None,
        action: "b".to_owned(),
        object: "c".to_owned(),
        outcome: "d".to_owned(),
        address: None,
    };
    let expected = vec![Record::Audit(AuditEntry { record, link: None })];
    assert_eq!(spool.oldest(1).unwrap(), Some((1, expected)));
}
