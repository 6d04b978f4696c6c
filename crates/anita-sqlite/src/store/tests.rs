//! What the suite of the port does not ask: crashes, faults of the disk, the file itself.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anita_model::{DeviceId, POSITION_ABS_MAX_M, Position, RoomName, SiteName, SourceName};
use anita_store::audit::{Chain, Verification};
use anita_store::{
    AuditEntry, AuditLink, AuditRecord, Cursor, EventRecord, Extent, KindLimits, MemoryStore, Order, Thinning,
};
use proptest::prelude::*;

use super::*;
use crate::codec::tests::any_point;
use crate::point::Point;

fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

fn at_ms(ms: i64) -> Timestamp {
    Timestamp::from_micros(ms * 1_000).unwrap()
}

/// A fix of the device `a` with that number, a second after the one before.
fn fix(n: u32, x_m: f64) -> Record {
    Record::Fix(Arc::new(Fix {
        device: id("a"),
        site: SiteName::main(),
        position: Position::new(x_m, 2.0, 0.5).unwrap(),
        accuracy_m: None,
        floor: None,
        battery_percent: None,
        taken_at: at_ms(i64::from(n) * 1_000),
        received_at: at_ms(i64::from(n) * 1_000),
        source: SourceName::parse("hall").unwrap(),
        sequence: Some(n.into()),
    }))
}

/// The fixes with those numbers.
fn fixes(numbers: std::ops::Range<u32>) -> Arc<Vec<Record>> {
    Arc::new(numbers.map(|n| fix(n, f64::from(n % 100))).collect())
}

fn done<T>(result: Result<T, StoreError>) -> T {
    result.unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)))
}

struct Folder {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anita.db");
        Self { folder, path }
    }

    fn open(&self, recent_fixes_max: usize) -> SqliteStore {
        SqliteStore::open_with(&self.path, SqliteSettings { recent_fixes_max, ..Default::default() }).unwrap()
    }

    /// The file as the disk has it at this moment, as after a loss of power, opened again.
    fn as_after_a_crash(&self, recent_fixes_max: usize) -> SqliteStore {
        let copy = tempfile::tempdir_in(self.folder.path()).unwrap().keep().join("anita.db");
        // The file is copied first: what is moved from the log into it meanwhile is in the log, still.
        std::fs::copy(&self.path, &copy).unwrap();
        std::fs::copy(self.folder.path().join("anita.db-wal"), copy.with_extension("db-wal")).unwrap();
        SqliteStore::open_with(&copy, SqliteSettings { recent_fixes_max, ..Default::default() }).unwrap()
    }
}

async fn all(store: &dyn Store, device: &DeviceId) -> Vec<Arc<Fix>> {
    let mut query = HistoryQuery {
        device: device.clone(),
        start: None,
        end: None,
        order: Order::OldestFirst,
        limit: 37,
        after: None,
        within: None,
    };
    let mut fixes = Vec::new();
    loop {
        let page = done(store.page(query.clone()).await);
        fixes.extend(page.fixes);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return fixes,
        }
    }
}

/// Every row of the file keeps to what the tables promise.
fn assert_sound(store: &SqliteStore) {
    let db = Connection::open(store.path()).unwrap();
    // One moment: packing goes on.
    let db = db.unchecked_transaction().unwrap();
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let overlaps = "SELECT count(*) FROM (SELECT first_us, lag(last_us) OVER
        (PARTITION BY device ORDER BY first_us) AS before_us FROM block) WHERE before_us >= first_us";
    assert_eq!(count(overlaps), 0, "blocks overlap");
    let known = "FROM block WHERE device IN (SELECT no FROM device_no)";
    assert_eq!(
        count("SELECT count FROM tally WHERE kind = 'fixes'"),
        count(&format!("SELECT coalesce(sum(fixes), 0) {known}")),
        "the tally of fixes"
    );
    assert_eq!(
        count("SELECT bytes FROM tally WHERE kind = 'fixes'"),
        count(&format!("SELECT coalesce(sum(octet_length(body) + 144), 0) {known}")),
        "the tally of bytes"
    );
    assert_eq!(
        count("SELECT coalesce(sum(fixes), 0) FROM device_no"),
        count(&format!("SELECT coalesce(sum(fixes), 0) {known}"))
    );
    assert_eq!(count("SELECT count FROM tally WHERE kind = 'events'"), count("SELECT count(*) FROM event"));
    let mut blocks = db.prepare("SELECT first_us, last_us, fixes, body FROM block").unwrap();
    let mut rows = blocks.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let body: Vec<u8> = row.get(3).unwrap();
        let points = crate::codec::read_block(&body).unwrap();
        let ends = (points[0].taken_us, points[points.len() - 1].taken_us, points.len().cast_signed() as i64);
        assert_eq!((row.get(0).unwrap(), row.get(1).unwrap(), row.get(2).unwrap()), ends);
    }
    assert_eq!(db.query_row("PRAGMA quick_check", [], |row| row.get::<_, String>(0)).unwrap(), "ok");
}

/// What happens in a random test.
#[derive(Debug, Clone)]
enum Step {
    Fixes(Vec<(u8, Point)>),
    Remove(u8),
    Crash,
    Close,
    Tidy(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec((0..3_u8, any_point()), 1..60).prop_map(Step::Fixes),
        1 => (0..3_u8).prop_map(Step::Remove),
        1 => Just(Step::Crash),
        1 => Just(Step::Close),
        1 => (0..2_000_000_u64).prop_map(Step::Tidy),
    ]
}

fn run(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_it_keeps_what_memory_keeps(
        steps in prop::collection::vec(any_step(), 1..16), recent_fixes_max in 1..80_usize
    ) {
        run(async move {
            let folder = Folder::new();
            let mut store = folder.open(recent_fixes_max);
            let memory = MemoryStore::new(usize::MAX, usize::MAX, usize::MAX);
            let names = (SiteName::main(), SourceName::parse("hall").unwrap());
            let devices: Vec<DeviceId> = ["a", "b", "c"].map(id).to_vec();
            let mut thinned_after = Duration::MAX;
            for step in steps {
                match step {
                    Step::Fixes(points) => {
                        let fix = |(n, point): (u8, Point)| {
                            let mut fix = point.fix(&devices[usize::from(n)], &names).unwrap();
                            // A radius as clients may tell it: a product with 1,000 beyond 10^15 rounds to another millimetre.
                            fix.accuracy_m = fix.accuracy_m.filter(|it| (0.0..=POSITION_ABS_MAX_M).contains(it));
                            // What is no number is not equal to itself.
                            fix.floor = fix.floor.filter(|it| !it.is_nan());
                            fix.battery_percent = fix.battery_percent.filter(|it| !it.is_nan());
                            Record::Fix(Arc::new(fix))
                        };
                        let records: Arc<Vec<Record>> = Arc::new(points.into_iter().map(fix).collect());
                        done(store.commit(Arc::clone(&records)).await);
                        done(memory.commit(records).await);
                    }
                    Step::Remove(n) => {
                        let records = Arc::new(vec![Record::Remove(devices[usize::from(n)].clone())]);
                        done(store.commit(Arc::clone(&records)).await);
                        done(memory.commit(records).await);
                    }
                    Step::Crash => {
                        let after = folder.as_after_a_crash(recent_fixes_max);
                        for device in &devices {
                            assert_eq!(all(&after, device).await, all(&memory, device).await);
                        }
                        drop(store);
                        store = folder.open(recent_fixes_max);
                    }
                    Step::Close => {
                        done(store.close().await);
                        drop(store);
                        store = folder.open(recent_fixes_max);
                    }
                    Step::Tidy(age_us) => {
                        let age_max = Some(Duration::from_micros(age_us));
                        let fixes = KindLimits { age_max, bytes_max: None };
                        let every = Duration::from_millis(100);
                        // As time goes on, more and more is old: what was thinned out is never young again.
                        thinned_after = thinned_after.min(Duration::from_micros(age_us / 2));
                        let thinning = vec![Thinning { after: thinned_after, every }];
                        let retention = Retention { fixes, thinning, ..Retention::default() };
                        let now = Timestamp::from_micros(1_000_000).unwrap();
                        // Every time anew: borders that moved a little need not be exact.
                        done(store.close().await);
                        drop(store);
                        store = folder.open(recent_fixes_max);
                        while done(store.tidy(retention.clone(), now).await).has_more {}
                        done(memory.tidy(retention, now).await);
                    }
                }
                for device in &devices {
                    assert_eq!(all(&store, device).await, all(&memory, device).await);
                }
                let (usage, expected) = (done(store.usage().await), done(memory.usage().await));
                assert_eq!(usage.fixes.count, expected.fixes.count);
                assert_sound(&store);
            }
        });
    }
}

#[tokio::test]
async fn after_a_failed_fsync_nothing_is_lost_and_the_file_is_opened_again() {
    let folder = Folder::new();
    let store = folder.open(10);
    let commit = |n: u32| store.commit(fixes(n..n + 1));
    for n in 0..25 {
        done(commit(n).await);
    }
    store.shared.faults.fail_sync.store(true, Ordering::Relaxed);
    let refused = commit(25).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(all(&store, &id("a")).await.len(), 25);
    done(commit(25).await);
    assert_eq!(store.shared.faults.recovered.load(Ordering::Relaxed), 1);
    done(commit(26).await);
    assert_eq!(store.shared.faults.recovered.load(Ordering::Relaxed), 1);
    assert_eq!(all(&store, &id("a")).await.len(), 27);
    assert_eq!(all(&folder.as_after_a_crash(10), &id("a")).await.len(), 27);
    assert_sound(&store);
}

#[tokio::test]
async fn a_full_disk_is_a_state_that_ends_when_there_is_room_again() {
    let folder = Folder::new();
    let settings = SqliteSettings { recent_fixes_max: 500, pages_max: Some(60), ..Default::default() };
    let store = SqliteStore::open_with(&folder.path, settings).unwrap();
    let group = |n: u32| fixes(n * 100..(n + 1) * 100);
    let mut kept = 0;
    let refused = loop {
        match store.commit(group(kept)).await {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 10_000, "it never became full");
    };
    assert!(matches!(refused, StoreError::Full(_)), "{refused:?}");
    // Packing that was under way may make room for a while; in the end it is full, and stays so.
    let mut refusals_in_a_row = 0;
    while refusals_in_a_row < 5 {
        match store.commit(group(kept)).await {
            Ok(()) => (kept, refusals_in_a_row) = (kept + 1, 0),
            Err(StoreError::Full(_)) => refusals_in_a_row += 1,
            Err(error) => panic!("{error:?}"),
        }
        assert!(kept < 10_000, "it never stayed full");
    }
    assert_eq!(all(&store, &id("a")).await.len(), kept as usize * 100, "what was kept can be read");
    drop(store);
    // The operator makes room.
    let store = SqliteStore::open_with(&folder.path, SqliteSettings { pages_max: None, ..settings }).unwrap();
    done(store.commit(group(kept)).await);
    assert_eq!(all(&store, &id("a")).await.len(), (kept as usize + 1) * 100);
    assert_sound(&store);
}

#[tokio::test]
async fn what_cannot_be_kept_is_invalid_and_undoes_its_commit() {
    let folder = Folder::new();
    let store = folder.open(10);
    let wrong = EventRecord {
        ordinal: 1,
        room: RoomName::uwb(),
        epoch: "e".into(),
        seq: u64::MAX,
        at: at_ms(0),
        devices: vec![id("a")],
        from: None,
        text: "{}".into(),
    };
    let refused = store.commit(Arc::new(vec![fix(1, 1.0), Record::Event(wrong)])).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    assert!(all(&store, &id("a")).await.is_empty());
    done(store.commit(fixes(1..2)).await);
    assert_eq!(all(&store, &id("a")).await.len(), 1);
}

#[tokio::test]
async fn questions_use_the_indexes() {
    let folder = Folder::new();
    let store = folder.open(10);
    let db = Connection::open(store.path()).unwrap();
    let plan = |sql: &str| -> String {
        let mut explained = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let values = vec![1_i64; explained.parameter_count()];
        let lines = explained.query_map(rusqlite::params_from_iter(values), |row| row.get::<_, String>(3));
        lines.unwrap().map(Result::unwrap).collect::<Vec<_>>().join("; ")
    };
    let cases = [
        (read::NEWEST_FIRST, "SEARCH block USING INDEX block_by_device (device=? AND first_us<?)"),
        (
            read::OLDEST_FIRST,
            "SEARCH block USING INDEX block_by_device (device=? AND first_us>? AND first_us<?)",
        ),
        (
            "SELECT id FROM block WHERE tier = ?1 AND first_us < ?2 ORDER BY first_us LIMIT 1",
            "SEARCH block USING COVERING INDEX block_by_start (tier=? AND first_us<?)",
        ),
        (
            "SELECT id FROM block WHERE tier = ?1 AND last_us < ?2 ORDER BY last_us LIMIT 1",
            "SEARCH block USING COVERING INDEX block_by_end (tier=? AND last_us<?)",
        ),
        ("SELECT min(tier) FROM block WHERE tier > ?1", "SEARCH block USING COVERING INDEX"),
        (
            "SELECT message FROM event WHERE room = ?1 AND epoch = ?2 ORDER BY ordinal DESC LIMIT ?3",
            "SEARCH event USING INDEX event_by_room (room=?)",
        ),
        (
            "SELECT message FROM event WHERE room = ?1 AND ordinal < ?2 ORDER BY ordinal DESC LIMIT ?3",
            "SEARCH event USING INDEX event_by_room (room=? AND ordinal<?)",
        ),
        ("SELECT id FROM journal WHERE id <= ?1 ORDER BY id LIMIT ?2", "USING INTEGER PRIMARY KEY"),
    ];
    for (sql, expected) in cases {
        let plan = plan(sql);
        assert!(plan.contains(expected), "{sql}: {plan}");
        assert!(!plan.contains("TEMP B-TREE") && !plan.contains("SCAN"), "{sql}: {plan}");
    }
}

#[tokio::test]
async fn a_page_within_an_extent_stops_after_a_bounded_stretch_and_goes_on() {
    let folder = Folder::new();
    let store = folder.open(1_000);
    // Only the oldest of very many is inside, and there are fixes all over each block.
    for n in 0..60 {
        let group = (n * 1_000..(n + 1) * 1_000).map(|n| match n {
            0 => fix(n, 500.0),
            n if n % 2 == 0 => fix(n, 0.0),
            n => fix(n, 1_000.0),
        });
        done(store.commit(Arc::new(group.collect())).await);
    }
    // One that came late, and is not in a block yet, waits for its turn.
    let Record::Fix(late) = fix(90_000, 500.0) else { unreachable!() };
    done(
        store
            .commit(Arc::new(vec![Record::Fix(Arc::new(Fix { taken_at: at_ms(5_500), ..(*late).clone() }))]))
            .await,
    );
    let extent = Extent { min_x_m: 499.0, min_y_m: -1e6, max_x_m: 501.0, max_y_m: 1e6 };
    let mut query = HistoryQuery {
        device: id("a"),
        start: None,
        end: None,
        order: Order::NewestFirst,
        limit: 10,
        after: None,
        within: Some(extent),
    };
    let mut found = Vec::new();
    let mut pages = 0;
    loop {
        let page = done(store.page(query.clone()).await);
        found.extend(page.fixes);
        pages += 1;
        let Some(Cursor(next)) = page.next else { break };
        query.after = Some(Cursor(next));
    }

    assert_eq!(found.iter().map(|fix| fix.sequence).collect::<Vec<_>>(), [Some(90_000), Some(0)]);
    assert!(pages > 5, "{pages} pages");
}

#[tokio::test]
async fn nothing_is_asked_after_the_end() {
    let folder = Folder::new();
    let store = folder.open(10);
    done(store.close().await);
    assert!(matches!(store.close().await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.usage().await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.commit(Arc::new(Vec::new())).await, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn a_file_of_the_first_version_is_brought_up_to_date() {
    let folder = Folder::new();
    let old = Connection::open(&folder.path).unwrap();
    old.pragma_update(None, "journal_mode", "wal").unwrap();
    old.execute_batch(include_str!("../schema/001_devices.sql")).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    old.execute("INSERT INTO device VALUES ('a', 'Anchor', 'anchor', 'main', 1.0, 2.0, 3.0, 1.5)", [])
        .unwrap();
    drop(old);
    let store = folder.open(10);
    let remembered = done(store.load(10).await);
    assert_eq!(remembered.devices.len(), 1);
    assert_eq!(remembered.devices[0].name.as_deref(), Some("Anchor"));
    let db = Connection::open(&folder.path).unwrap();
    let value = |pragma: &str| db.query_row(pragma, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(
        (value("PRAGMA page_size"), value("PRAGMA auto_vacuum"), value("PRAGMA user_version")),
        (8_192, 2, 4)
    );
}

#[tokio::test]
async fn the_audit_trail_of_the_second_version_stays_and_a_chain_begins_after_it() {
    let folder = Folder::new();
    let old = Connection::open(&folder.path).unwrap();
    old.pragma_update(None, "page_size", 8_192).unwrap();
    old.pragma_update(None, "auto_vacuum", "incremental").unwrap();
    old.pragma_update(None, "journal_mode", "wal").unwrap();
    old.execute_batch(include_str!("../schema/001_devices.sql")).unwrap();
    old.execute_batch(include_str!("../schema/002_history.sql")).unwrap();
    old.pragma_update(None, "user_version", 2).unwrap();
    old.execute_batch(
        "INSERT INTO audit (at_us, subject, action, object, outcome, address)
         VALUES (1, 'alice', 'remove device', 'a', 'done', NULL), (2, '', 'authenticate', '', 'refused', '::1');
         UPDATE tally SET count = 2, bytes = 200 WHERE kind = 'audit';",
    )
    .unwrap();
    drop(old);
    let store = folder.open(10);
    let remembered = done(store.load(10).await);
    assert_eq!((remembered.audit_head, remembered.revocations), (None, vec![]));
    let query = || AuditQuery { order: Order::OldestFirst, limit: 9, ..AuditQuery::default() };
    let old: Vec<AuditEntry> =
        done(store.audit(query()).await).entries.into_iter().map(|(_ordinal, entry)| entry).collect();
    assert_eq!((old.len(), old[0].link, old[0].record.subject.as_str()), (2, None, "alice"));
    let mut chain = Chain::default();
    let added = chain.add(old[1].record.clone());
    done(store.commit(Arc::new(vec![Record::Audit(added.clone())])).await);
    assert_eq!(done(store.load(10).await).audit_head, chain.head());
    let all: Vec<AuditEntry> =
        done(store.audit(query()).await).entries.into_iter().map(|(_ordinal, entry)| entry).collect();
    assert_eq!(all, [old, vec![added]].concat());
    let mut verification = Verification::of_store(None);
    all.iter().try_for_each(|entry| verification.step(entry)).unwrap();
    assert_eq!(verification.finish().unwrap().older, 2);
}

/// Once, a commit that failed and was there all the same doubled its entries when it was tried again.
#[tokio::test]
async fn entries_whose_commit_failed_and_came_back_to_life_are_kept_once() {
    let folder = Folder::new();
    let store = folder.open(10);
    let record = AuditRecord {
        at: at_ms(0),
        subject: String::new(),
        issuer: None,
        action: "act".to_owned(),
        object: String::new(),
        outcome: String::new(),
        address: None,
    };
    let mut chain = Chain::default();
    let entries = Arc::new(vec![Record::Audit(chain.add(record.clone())), Record::Audit(chain.add(record))]);
    store.shared.faults.fail_sync.store(true, Ordering::Relaxed);
    store.commit(Arc::clone(&entries)).await.unwrap_err();
    done(store.commit(entries).await);
    assert_eq!(done(store.usage().await).audit.count, 2);
    assert_eq!(done(store.audit(AuditQuery { limit: 9, ..AuditQuery::default() }).await).entries.len(), 2);
}

/// What was rolled back and what retention took is no cut.
#[tokio::test]
async fn entries_that_somebody_removed_from_the_end_are_counted_and_nothing_else_is() {
    let folder = Folder::new();
    let store = folder.open(10);
    let record = AuditRecord {
        at: at_ms(0),
        subject: String::new(),
        issuer: None,
        action: "act".to_owned(),
        object: String::new(),
        outcome: String::new(),
        address: None,
    };
    let mut chain = Chain::default();
    let mut entry = || chain.add(record.clone());
    done(store.commit(Arc::new((0..5).map(|_n| Record::Audit(entry())).collect())).await);
    let mut too_large = entry();
    let refused = Record::Audit(too_large.clone());
    too_large.link = too_large.link.map(|link| AuditLink { seq: u64::MAX, ..link });
    store.commit(Arc::new(vec![refused, Record::Audit(too_large)])).await.unwrap_err();
    assert_eq!(done(store.load(1).await).audit_removed, 0, "rolled back");
    let limits = KindLimits { age_max: Some(Duration::from_secs(1)), bytes_max: None };
    let retention = Retention { audit: limits, ..Retention::default() };
    while done(store.tidy(retention.clone(), at_ms(9_000)).await).has_more {}
    assert_eq!(done(store.usage().await).audit.count, 1);
    assert_eq!(done(store.load(1).await).audit_removed, 0, "gone by its age");
    done(store.commit(Arc::new((0..3).map(|_n| Record::Audit(entry())).collect())).await);
    let db = Connection::open(&folder.path).unwrap();
    db.execute("DELETE FROM audit WHERE seq > (SELECT max(seq) FROM audit) - 2", []).unwrap();
    assert_eq!(done(store.load(1).await).audit_removed, 2);
    db.execute("DELETE FROM audit", []).unwrap();
    assert!(done(store.load(1).await).audit_removed > 2);
}

#[tokio::test]
async fn a_file_of_a_newer_program_is_refused_and_left_alone() {
    let folder = Folder::new();
    drop(folder.open(10));
    let db = Connection::open(&folder.path).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let before = std::fs::read(&folder.path).unwrap();
    let refused = SqliteStore::open(&folder.path);
    assert!(matches!(refused, Err(OpenError::Newer { found: 99, known: 4, .. })), "{refused:?}");
    assert_eq!(std::fs::read(&folder.path).unwrap(), before);
}

/// Once, one row of the journal that could not be read kept the server from starting.
#[tokio::test]
async fn a_damaged_row_of_the_journal_is_put_aside_and_told_of_by_a_check() {
    let folder = Folder::new();
    let store = folder.open(10);
    for n in 1..4 {
        done(store.commit(fixes(n..n + 1)).await);
    }
    drop(store);
    let db = Connection::open(&folder.path).unwrap();
    db.execute("UPDATE journal SET body = x'01ff' WHERE id = 2", []).unwrap();
    assert_ne!(crate::check(&folder.path).unwrap().faults, [""; 0]);
    let store = folder.open(2);
    let before = all(&store, &id("a")).await.len() + all(&store, &id("b")).await.len();
    assert!(before > 0, "the others are there");
    // Whatever is packed and deleted afterwards, what can't be read stays.
    for n in 10..40 {
        done(store.commit(fixes(n..n + 1)).await);
    }
    let aside = |sql: &str| db.query_row(sql, [], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    assert_eq!(aside("SELECT body FROM damaged_block"), [1, 0xff]);
    assert_sound(&store);
    drop(store);
    assert_eq!(crate::check(&folder.path).unwrap().faults, [""; 0]);
}

/// Once, one of them kept the server from starting.
#[tokio::test]
async fn rows_whose_values_are_none_of_ours_are_left_out() {
    let folder = Folder::new();
    let store = folder.open(10);
    let event = |ordinal: u64| {
        Record::Event(EventRecord {
            ordinal,
            room: RoomName::uwb(),
            epoch: "e".into(),
            seq: ordinal,
            at: at_ms(0),
            devices: vec![id("a")],
            from: None,
            text: "{}".into(),
        })
    };
    done(store.commit(Arc::new(vec![event(1), event(2), event(3)])).await);
    let db = Connection::open(&folder.path).unwrap();
    let state = "INSERT INTO device_state (id, status, last_seen_us, taken_us) VALUES";
    db.execute_batch(&format!(
        "{state} ('a', 'stale', 5, NULL), ('b', 'stale', 9223372036854775807, NULL), ('c', 'stale', 5, 5), ('', 'stale', 5, NULL);
         UPDATE event SET devices = 'x' WHERE ordinal = 2;
         INSERT INTO room VALUES ('!', 'e', 1, 9), ('hall', 'e', -1, -1);"
    ))
    .unwrap();
    let remembered = done(store.load(10).await);
    assert_eq!(remembered.states.iter().map(|state| state.id.as_str()).collect::<Vec<_>>(), ["a"]);
    let seqs: Vec<u64> = remembered.rooms[0].events.iter().map(|event| event.seq).collect();
    assert_eq!((remembered.rooms.len(), seqs, remembered.rooms[0].seq), (1, vec![1, 3], 3));
    assert_eq!(remembered.last_ordinal, 9);
}

#[tokio::test]
async fn the_database_of_another_program_is_refused_and_left_alone() {
    let folder = Folder::new();
    Connection::open(&folder.path).unwrap().execute("CREATE TABLE theirs (x)", []).unwrap();
    let before = std::fs::read(&folder.path).unwrap();
    let refused = SqliteStore::open(&folder.path).unwrap_err();
    let said = std::error::Error::source(&refused).unwrap().to_string();
    assert!(said.contains("another program"), "{said}");
    assert_eq!(std::fs::read(&folder.path).unwrap(), before);
}

#[tokio::test]
async fn what_is_no_store_is_refused_with_what_to_do() {
    let folder = Folder::new();
    std::fs::write(&folder.path, vec![7; 20_000]).unwrap();
    let refused = SqliteStore::open(&folder.path).unwrap_err();
    assert!(
        std::error::Error::source(&refused).unwrap().to_string().contains("restore a copy"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_second_one_that_is_opened_changes_nothing() {
    let folder = Folder::new();
    let store = folder.open(10);
    let group = |n: u32| fixes(n..n + 1);
    for n in 0..25 {
        done(store.commit(group(n)).await);
    }
    let second = folder.open(10);
    assert_eq!(all(&second, &id("a")).await.len(), 25);
    drop(second);
    for n in 25..60 {
        done(store.commit(group(n)).await);
    }
    assert_eq!(all(&store, &id("a")).await.len(), 60);
    assert_sound(&store);
}

#[tokio::test]
async fn a_damaged_block_is_left_out_of_answers_and_stops_nothing() {
    let folder = Folder::new();
    let store = folder.open(50);
    for n in 0..20 {
        done(store.commit(fixes(n * 30..(n + 1) * 30)).await);
    }
    let retention = Retention {
        fixes: KindLimits { age_max: Some(Duration::from_secs(1)), bytes_max: None },
        ..Retention::default()
    };
    // Nothing is that old: only packing is done.
    while done(store.tidy(retention.clone(), at_ms(1_500)).await).has_more {}
    let db = Connection::open(store.path()).unwrap();
    let damaged = db
        .execute("UPDATE block SET body = zeroblob(octet_length(body)) WHERE first_us < 400000000", [])
        .unwrap();
    assert!(damaged > 0);
    let query = HistoryQuery {
        device: id("a"),
        start: None,
        end: None,
        order: Order::OldestFirst,
        limit: 10,
        after: None,
        within: None,
    };
    // What can be read is answered; the log says what can't.
    let page = done(store.page(query).await);
    assert!(page.fixes.first().is_some_and(|fix| fix.taken_at >= at_ms(400_000)), "{:?}", page.fixes.first());
    // Late ones fall into the damaged block.
    for n in 0..20 {
        let late = (n * 30..(n + 1) * 30).map(|n| fix(n, 700.0)).collect::<Vec<_>>();
        done(store.commit(Arc::new(late)).await);
    }
    while done(store.tidy(retention.clone(), at_ms(10_000)).await).has_more {}
    let aside = db.query_row("SELECT count(*) FROM damaged_block", [], |row| row.get::<_, i64>(0)).unwrap();
    assert!(aside > 0);
    assert_sound(&store);
}

/// A stretch that a border ran through in the middle: what was left of its first half goes when its second half comes.
#[tokio::test]
async fn a_stretch_that_was_thinned_out_in_two_parts_has_one_fix_in_the_end() {
    let folder = Folder::new();
    let store = folder.open(100);
    let memory = MemoryStore::new(10_000, 10_000, 10);
    let every = Duration::from_secs(2);
    for part in [0..1_100, 1_100..2_200] {
        done(store.commit(fixes(part.clone())).await);
        done(memory.commit(fixes(part)).await);
    }
    // Each border is in the middle of a stretch; now and then the block before it is full, and nothing is added to it.
    for border_secs in (101..2_200).step_by(34) {
        let now = at_ms(border_secs * 1_000).plus(Duration::from_secs(60));
        let thinning = vec![Thinning { after: Duration::from_secs(60), every }];
        let retention = Retention { thinning, ..Retention::default() };
        while done(store.tidy(retention.clone(), now).await).has_more {}
        done(memory.tidy(retention, now).await);
        let times = |fixes: Vec<Arc<Fix>>| fixes.iter().map(|fix| fix.taken_at).collect::<Vec<_>>();
        assert_eq!(times(all(&store, &id("a")).await), times(all(&memory, &id("a")).await), "{border_secs}");
    }
    assert_sound(&store);
}

/// Once, one entry from a clock that was ahead kept all after it for as long.
#[tokio::test]
async fn what_a_clock_that_was_ahead_left_goes_with_what_came_after_it() {
    let folder = Folder::new();
    let store = folder.open(10);
    let event = |ordinal: u64, secs: i64| {
        Record::Event(EventRecord {
            ordinal,
            room: RoomName::uwb(),
            epoch: "e".into(),
            seq: ordinal,
            at: at_ms(secs * 1_000),
            devices: Vec::new(),
            from: None,
            text: "{}".into(),
        })
    };
    done(store.commit(Arc::new(vec![event(1, 10), event(2, 1_000_000), event(3, 20), event(4, 100)])).await);
    let limits = KindLimits { age_max: Some(Duration::from_secs(50)), bytes_max: None };
    let retention = Retention { events: limits, ..Retention::default() };
    while done(store.tidy(retention.clone(), at_ms(100_000)).await).has_more {}
    let left = done(store.events(anita_store::EventQuery { limit: 10, ..Default::default() }).await).events;
    assert_eq!(left.iter().map(|event| event.ordinal).collect::<Vec<_>>(), [4]);
    assert_sound(&store);
}

#[tokio::test]
async fn of_very_many_rooms_those_are_remembered_that_were_used_last() {
    let folder = Folder::new();
    let store = folder.open(10);
    let event = |(ordinal, name): (u64, String)| {
        Record::Event(EventRecord {
            ordinal,
            room: RoomName::parse(&name).unwrap(),
            epoch: "e".into(),
            seq: 1,
            at: at_ms(0),
            devices: Vec::new(),
            from: None,
            text: "{}".into(),
        })
    };
    let names = std::iter::once("uwb".to_owned()).chain((0..10_100).map(|n| format!("room-{n}")));
    done(store.commit(Arc::new((1..).zip(names).map(event).collect())).await);
    let rooms = |remembered: anita_store::Remembered| (remembered.rooms.len(), remembered.last_ordinal);
    assert_eq!(rooms(done(store.load(1).await)), (10_001, 10_101));
    while done(store.tidy(Retention::default(), at_ms(1_000)).await).has_more {}
    let db = Connection::open(store.path()).unwrap();
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM room"), 10_001);
    assert_eq!(count("SELECT count(*) FROM room WHERE name IN ('uwb', 'room-10099')"), 2);
}
