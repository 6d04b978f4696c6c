//! Copies of a store that is in use.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that can't go on fails")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anita_model::{DeviceId, DeviceKind, Fix, Position, SiteName, SourceName, Timestamp};
use anita_sqlite::{BackupError, SqliteSettings, SqliteStore, backup, check};
use anita_store::{DeviceRecord, HistoryQuery, OpenError, Order, Record, Store};

fn fixes(numbers: std::ops::Range<u32>) -> Arc<Vec<Record>> {
    let fix = |n: u32| {
        let taken_at = Timestamp::from_micros(i64::from(n) * 1_000).unwrap();
        Record::Fix(Arc::new(Fix {
            device: DeviceId::parse("a").unwrap(),
            site: SiteName::main(),
            position: Position::new(f64::from(n % 100), 2.0, 0.5).unwrap(),
            accuracy_m: None,
            floor: None,
            battery_percent: None,
            taken_at,
            received_at: taken_at,
            source: SourceName::parse("hall").unwrap(),
            sequence: Some(n.into()),
        }))
    };
    Arc::new(numbers.map(fix).collect())
}

fn device() -> Record {
    Record::Save(DeviceRecord {
        id: DeviceId::parse("a").unwrap(),
        name: None,
        kind: DeviceKind::Tag,
        site: SiteName::main(),
        mounted_at: None,
        floor: None,
    })
}

async fn count(store: &SqliteStore) -> u64 {
    let mut query = HistoryQuery {
        device: DeviceId::parse("a").unwrap(),
        start: None,
        end: None,
        order: Order::OldestFirst,
        limit: 1_000,
        after: None,
        within: None,
    };
    let mut count = 0;
    loop {
        let page = store.page(query.clone()).await.unwrap();
        for fix in &page.fixes {
            assert_eq!(fix.sequence, Some(count), "nothing is missing in between");
            count += 1;
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => return count,
        }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_made_while_fixes_come_in_is_the_store_at_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("anita.db");
    let settings = SqliteSettings { recent_fixes_max: 3_000, ..SqliteSettings::default() };
    let store = Arc::new(SqliteStore::open_with(&path, settings).unwrap());
    store.commit(Arc::new(vec![device()])).await.unwrap();
    let group = 100;
    let mut next = 0;
    for _ in 0..300 {
        store.commit(fixes(next..next + group)).await.unwrap();
        next += group;
    }
    let before = u64::from(next);
    let is_done = Arc::new(AtomicBool::new(false));
    let writing = {
        let (store, is_done) = (Arc::clone(&store), Arc::clone(&is_done));
        tokio::spawn(async move {
            while !is_done.load(Ordering::Relaxed) {
                store.commit(fixes(next..next + group)).await.unwrap();
                next += group;
            }
            u64::from(next)
        })
    };
    let to = folder.path().join("copies").join("copy.db");
    std::fs::create_dir(to.parent().unwrap()).unwrap();
    let (from, target) = (path.clone(), to.clone());
    let (checked, told) = tokio::task::spawn_blocking(move || {
        let mut told = Vec::new();
        let checked = backup(&from, &target, &mut |bytes, all| told.push((bytes, all))).unwrap();
        (checked, told)
    })
    .await
    .unwrap();
    is_done.store(true, Ordering::Relaxed);
    let after = writing.await.unwrap();
    assert!((before..=after).contains(&checked.fixes), "{before} {checked:?} {after}");
    assert_eq!((checked.schema_version, checked.devices, checked.faults.len()), (4, 1, 0));
    let (done, all) = *told.last().unwrap();
    assert!(done == all && all > 0);
    assert_eq!(names(to.parent().unwrap()), ["copy.db"], "nothing is left beside it");
    assert_eq!(check(&to).unwrap(), checked);
    assert_eq!(count(&store).await, after);
    let copy = SqliteStore::open_with(&to, settings).unwrap();
    assert_eq!(count(&copy).await, checked.fixes);
    // It is a store like any other.
    let next = u32::try_from(checked.fixes).unwrap();
    copy.commit(fixes(next..next + 5_000)).await.unwrap();
    assert_eq!(count(&copy).await, checked.fixes + 5_000);
}

#[test]
fn a_copy_never_replaces_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, to) = (folder.path().join("anita.db"), folder.path().join("copy.db"));
    drop(SqliteStore::open(&path).unwrap());
    std::fs::write(&to, "mine").unwrap();
    assert!(matches!(backup(&path, &to, &mut |_, _| ()), Err(BackupError::Exists { .. })));
    assert_eq!(std::fs::read(&to).unwrap(), b"mine");
}

#[test]
fn what_is_no_store_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("anita.db");
    let to = folder.path().join("copy.db");
    assert!(matches!(backup(&path, &to, &mut |_, _| ()), Err(BackupError::Sqlite { .. })), "there is none");
    std::fs::write(&path, "a text, and not a short one, that somebody took for a store".repeat(100)).unwrap();
    assert!(matches!(check(&path), Err(BackupError::Sqlite { .. })));
    let other = folder.path().join("other.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE mine (a)").unwrap();
    assert!(matches!(check(&other), Err(BackupError::Open(OpenError::Backend { .. }))));
    assert!(matches!(backup(&other, &to, &mut |_, _| ()), Err(BackupError::Open(_))));
    assert!(!to.exists());
}

#[test]
fn a_copy_of_a_newer_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("anita.db");
    drop(SqliteStore::open(&path).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 77).unwrap();
    assert!(matches!(check(&path), Err(BackupError::Open(OpenError::Newer { found: 77, .. }))));
}

#[tokio::test]
async fn a_damaged_file_has_faults() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("anita.db");
    let store = SqliteStore::open(&path).unwrap();
    store.commit(fixes(0..20_000)).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end - 40_000..end - 30_000].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let checked = check(&path).unwrap();
    assert!(!checked.faults.is_empty());
    let to = folder.path().join("copy.db");
    assert!(matches!(backup(&path, &to, &mut |_, _| ()), Err(BackupError::Damaged { .. })));
    assert!(!to.exists());
}
