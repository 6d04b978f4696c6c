//! The audit trail of a hub: its chain over restarts, outages and floods, and its file.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "the code of a test")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anita_hub::{Durability, Hub, HubSettings, Keeping};
use anita_metrics::Metrics;
use anita_model::{Now, Timestamp};
use anita_store::audit::{
    AuditFile, AuditFileSettings, AuditLine, START_SERVER, STOP_SERVER, Verification, Whole, each_line,
    files_of,
};
use anita_store::faulty::{FaultyStore, Mood};
use anita_store::{AuditEntry, AuditQuery, AuditRecord, Order, Record, Store, WriterSettings};

fn at(secs: u64) -> Now {
    let wall = Timestamp::parse("2026-03-01T12:00:00Z").unwrap();
    Now { wall, uptime: Duration::ZERO }.plus(Duration::from_secs(secs))
}

fn record(n: u64, outcome: &str) -> AuditRecord {
    AuditRecord {
        at: at(n).wall,
        subject: if outcome == "done" { "alice".to_owned() } else { String::new() },
        issuer: None,
        action: "act".to_owned(),
        object: n.to_string(),
        outcome: outcome.to_owned(),
        address: Some("203.0.113.7".to_owned()),
    }
}

fn keeping(store: &Arc<FaultyStore>, backlog_max: usize) -> Keeping {
    let settings = WriterSettings { backlog_max, ..WriterSettings::default() };
    Keeping::new(Arc::clone(store) as Arc<dyn Store>, settings, None, Durability::Commit)
}

async fn open(keeping: Keeping) -> Arc<Hub> {
    Hub::open(HubSettings::default(), keeping, Arc::new(Metrics::default()), at(0)).await.unwrap()
}

async fn entries(store: &FaultyStore) -> Vec<AuditEntry> {
    let query = AuditQuery { order: Order::OldestFirst, limit: 100_000, ..AuditQuery::default() };
    store.audit(query).await.unwrap().entries.into_iter().map(|(_ordinal, entry)| entry).collect()
}

async fn verify(store: &FaultyStore) -> Whole {
    let mut verification = Verification::of_store(None);
    entries(store).await.iter().for_each(|entry| verification.step(entry).unwrap());
    verification.finish().unwrap()
}

fn actions(entries: &[AuditEntry], action: &str) -> Vec<String> {
    let of = entries.iter().filter(|entry| entry.record.action == action);
    of.map(|entry| entry.record.object.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_entries_at_the_same_time_the_chain_is_whole_and_goes_on_after_a_restart() {
    let store = FaultyStore::new([]);
    for round in 1..=2 {
        let hub = open(keeping(&store, 100_000)).await;
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let hub = Arc::clone(&hub);
                std::thread::spawn(move || {
                    (0..200).for_each(|n| hub.audit(record(thread * 1_000 + n, "done")));
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        hub.close().await;
        let whole = verify(&store).await;
        assert_eq!(
            (whole.first, whole.entries, whole.head.unwrap().seq),
            (Some(1), round * 1_600, round * 1_600)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn entries_that_the_store_could_not_take_are_a_gap_that_a_later_entry_accounts_for() {
    let store = FaultyStore::new([]);
    let hub = open(keeping(&store, 10)).await;
    hub.audit(record(0, "done"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    store.expect([Mood::AwayAfter(Duration::from_secs(600))]);
    hub.audit(record(0, "done"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    for n in 1..3_000 {
        hub.audit(record(n, "done"));
    }
    hub.sweep(at(300));
    tokio::time::sleep(Duration::from_secs(700)).await;
    assert_eq!(
        actions(&entries(&store).await, "lose audit entries"),
        [""; 0],
        "not before the store is well"
    );
    hub.sweep(at(701));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let whole = verify(&store).await;
    assert!(
        whole.given_up > 1_000 && whole.entries + whole.given_up == 3_001 + said(&store).await,
        "{whole:?}"
    );
    // Nothing is said twice.
    hub.sweep(at(702));
    hub.sweep(at(703));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(verify(&store).await, whole);
    hub.close().await;
}

async fn said(store: &FaultyStore) -> u64 {
    actions(&entries(store).await, "lose audit entries").len() as u64
}

/// What accounts for a gap can be lost itself, when the store goes away again at that moment.
#[tokio::test(start_paused = true)]
async fn what_accounts_for_a_gap_is_said_again_when_it_is_lost_itself() {
    let store = FaultyStore::new([]);
    let hub = open(keeping(&store, 10)).await;
    hub.audit(record(0, "done"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    store.expect([Mood::AwayAfter(Duration::from_secs(600))]);
    hub.audit(record(0, "done"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    (1..3_000).for_each(|n| hub.audit(record(n, "done")));
    tokio::time::sleep(Duration::from_secs(700)).await;
    store.expect([Mood::AwayAfter(Duration::from_secs(600))]);
    hub.sweep(at(701));
    tokio::time::sleep(Duration::from_secs(1)).await;
    (3_000..9_000).for_each(|n| hub.audit(record(n, "done")));
    tokio::time::sleep(Duration::from_secs(700)).await;
    (0..5).for_each(|n| hub.sweep(at(1_500 + n)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    hub.sweep(at(1_600));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let whole = verify(&store).await;
    assert!(whole.given_up > 5_000, "{whole:?}");
    hub.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_refusals_leaves_few_entries_and_one_that_says_how_many() {
    let store = FaultyStore::new([]);
    let hub = open(keeping(&store, 100_000)).await;
    for n in 0..50_000 {
        hub.audit(record(n, "refused"));
    }
    hub.audit(record(1, "done"));
    hub.sweep(at(10));
    assert_eq!(hub.metrics().audit_suppressed.get(), 49_900);
    hub.sweep(at(100));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let found = entries(&store).await;
    let said = found.last().unwrap().record.clone();
    assert_eq!((found.len(), said.object.as_str()), (102, "… and 49900 more from 203.0.113.7"));
    assert_eq!((said.action.as_str(), said.outcome.as_str(), said.at), ("act", "refused", at(100).wall));
    // What was counted and not said yet is said at the end.
    (0..5_000).for_each(|n| hub.audit(record(n, "refused")));
    hub.close().await;
    assert_eq!(entries(&store).await.last().unwrap().record.object, "… and 4900 more from 203.0.113.7");
    assert_eq!(verify(&store).await.entries, 203);
}

#[tokio::test(start_paused = true)]
async fn texts_that_no_store_can_hold_are_made_such() {
    let store = FaultyStore::new([]);
    let hub = open(keeping(&store, 100)).await;
    hub.audit(AuditRecord { subject: "a\0".repeat(10_000), ..record(0, "done") });
    hub.close().await;
    let subject = entries(&store).await[0].record.subject.clone();
    assert!(subject.len() <= 256 && subject.starts_with("a?a?") && subject.ends_with('…'), "{subject}");
}

fn settings(folder: &Path) -> AuditFileSettings {
    AuditFileSettings { path: folder.join("audit.ndjson"), bytes_max: 20_000, files_max: 50 }
}

fn with_file(store: &Arc<FaultyStore>, folder: &Path) -> Keeping {
    keeping(store, 100_000).with_audit_file(AuditFile::open(settings(folder)).unwrap())
}

fn verify_files(path: &Path) -> Whole {
    let mut verification = Verification::of_files(None);
    for path in files_of(path) {
        each_line(&path, |_number, line| {
            verification.step_line(AuditLine::parse(line).unwrap()).unwrap();
            Ok::<(), std::io::Error>(())
        })
        .unwrap();
    }
    verification.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_has_what_the_store_has_also_after_it_lost_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = settings(folder.path()).path;
    let store = FaultyStore::new([]);
    for round in 1..=3_u64 {
        let hub = open(with_file(&store, folder.path())).await;
        (0..500).for_each(|n| hub.audit(record(n, "done")));
        hub.close().await;
        drop(hub);
        let whole = verify_files(&path);
        assert_eq!(Some(whole.entries), verify(&store).await.head.map(|head| head.seq));
        assert_eq!((whole.entries, whole.first), (round * 500, Some(1)));
        // As a crash of the machine leaves it: some of the last lines are not on the disk, one in part.
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 3]).unwrap();
    }
    assert!(files_of(&path).len() > 3);
}

/// Once, a file that was empty when the server was killed did not get the entries that were in the store already.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_file_begins_with_what_the_store_has() {
    let folder = tempfile::tempdir().unwrap();
    let store = FaultyStore::new([]);
    let hub = open(keeping(&store, 100_000)).await;
    for n in 0..20 {
        hub.audit(record(n, "done"));
    }
    hub.close().await;
    drop(hub);
    let hub = open(with_file(&store, folder.path())).await;
    hub.audit(record(20, "done"));
    hub.close().await;
    let whole = verify_files(&settings(folder.path()).path);
    assert_eq!((whole.first, whole.entries), (Some(1), 21));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_not_written_before_its_entry_is_in_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = settings(folder.path()).path;
    let lines = || std::fs::read_to_string(&path).unwrap().lines().count();
    let store = FaultyStore::new([Mood::Away, Mood::Away, Mood::Slow(Duration::from_millis(300))]);
    let hub = open(with_file(&store, folder.path())).await;
    hub.audit(record(0, "done"));
    let started = Instant::now();
    while lines() == 0 {
        // In this order: what comes between the two looks is in the store first.
        let written = lines();
        let stored = entries(&store).await.len();
        assert!(written == 0 || stored == 1, "the file is ahead of the store");
        assert!(started.elapsed() < Duration::from_secs(60), "the line is not written");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(started.elapsed() > Duration::from_secs(2), "the store was away");
    hub.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_what_the_store_does_not_have_is_not_in_the_file_either() {
    let folder = tempfile::tempdir().unwrap();
    let path = settings(folder.path()).path;
    let store = FaultyStore::new([]);
    let hub = open(with_file(&store, folder.path())).await;
    (0..5).for_each(|n| hub.audit(record(n, "done")));
    let started = Instant::now();
    while std::fs::read_to_string(&path).unwrap().lines().count() < 5 {
        assert!(started.elapsed() < Duration::from_secs(60), "the lines are not written");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    store.expect([Mood::Away, Mood::Away]);
    hub.audit(record(6, "done"));
    hub.close().await;
    drop(hub);
    assert_eq!((verify_files(&path).entries, verify(&store).await.entries), (5, 5));
    // And the chain goes on where the store is.
    let hub = open(with_file(&store, folder.path())).await;
    hub.audit(record(7, "done"));
    // The store may be away once more.
    let started = Instant::now();
    while entries(&store).await.len() < 6 {
        assert!(started.elapsed() < Duration::from_secs(60), "the store does not come back");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    hub.close().await;
    assert_eq!((verify_files(&path).entries, verify(&store).await.entries), (6, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_a_failing_disk_lost_are_accounted_for_when_it_is_well_again() {
    let folder = tempfile::tempdir().unwrap();
    // A folder in the way of the next file: beginning it fails until that is gone.
    let obstacle = folder.path().join("audit.ndjson.1");
    std::fs::create_dir_all(obstacle.join("full")).unwrap();
    let store = FaultyStore::new([]);
    let file = AuditFile::open(AuditFileSettings { files_max: 2, ..settings(folder.path()) }).unwrap();
    let hub = open(keeping(&store, 100_000).with_audit_file(file)).await;
    // More than one file has, and fewer than two have.
    (0..130).for_each(|n| hub.audit(record(n, "done")));
    let started = Instant::now();
    while hub.metrics().audit_lines_lost.get() == 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing is lost");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    hub.sweep(at(1));
    std::fs::remove_dir_all(&obstacle).unwrap();
    // The next one finds that it can be written again, and then it is said.
    hub.audit(record(500, "done"));
    let started = Instant::now();
    let is_said = async || actions(&entries(&store).await, "lose audit lines").len() == 1;
    while !is_said().await {
        hub.sweep(at(2));
        assert!(started.elapsed() < Duration::from_secs(60), "it is not said");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    hub.close().await;
    let whole = verify_files(&settings(folder.path()).path);
    assert_eq!(whole.given_up, hub.metrics().audit_lines_lost.get(), "{whole:?}");
    assert!(whole.given_up > 0 && verify(&store).await.given_up == 0);
}

/// The store of a backup: the first entries of another one.
async fn restored(store: &FaultyStore, count: usize) -> Arc<FaultyStore> {
    let records = entries(store).await.into_iter().take(count).map(Record::Audit).collect();
    let copy = FaultyStore::new([]);
    copy.commit(Arc::new(records)).await.unwrap();
    copy
}

/// Once, a store that was restored from a backup and had reached the numbers of the file again was taken for the same one: the
/// file went on with entries that do not follow from its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_before_a_restore_is_put_aside_also_when_the_store_has_its_numbers_again() {
    for since in [1, 4, 5, 9] {
        let folder = tempfile::tempdir().unwrap();
        let path = settings(folder.path()).path;
        let store = FaultyStore::new([]);
        let hub = open(with_file(&store, folder.path())).await;
        (0..10).for_each(|n| hub.audit(record(n, "done")));
        hub.close().await;
        drop(hub);
        let before = std::fs::read(&path).unwrap();
        let store = restored(&store, 6).await;
        // A server without the file, or with another one.
        let hub = open(keeping(&store, 100_000)).await;
        (0..since).for_each(|n| hub.audit(record(100 + n, "done")));
        hub.close().await;
        drop(hub);
        for more in 0..3 {
            let hub = open(with_file(&store, folder.path())).await;
            if more > 0 {
                hub.audit(record(200 + more, "done"));
            }
            hub.close().await;
            drop(hub);
            let files = files_of(&path);
            assert_eq!(files.len(), 2, "once: {files:?}");
            assert_eq!(std::fs::read(&files[0]).unwrap(), before, "the old one is kept as it was");
            let mut verification = Verification::of_files(None);
            each_line(&path, |_number, line| {
                verification.step_line(AuditLine::parse(line).unwrap()).unwrap();
                Ok::<(), std::io::Error>(())
            })
            .unwrap();
            let (file, store) = (verification.finish().unwrap(), verify(&store).await);
            assert_eq!((file.first, file.head, file.entries), (Some(1), store.head, store.entries));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_beside_a_new_store_begins_with_its_first_entry_and_one_of_another_store_is_put_aside_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = settings(folder.path()).path;
    for round in 1..=2 {
        let store = FaultyStore::new([]);
        for _start in 0..3 {
            open(with_file(&store, folder.path())).await.close().await;
            assert_eq!(files_of(&path).len(), round, "nothing was said since");
            assert_eq!(std::fs::read(&path).unwrap(), b"");
        }
        let hub = open(with_file(&store, folder.path())).await;
        (0..3).for_each(|n| hub.audit(record(n, "done")));
        hub.close().await;
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!((text.lines().count(), files_of(&path).len()), (3, round));
        assert!(text.contains("\"seq\":1,"), "{text}");
    }
}

/// Once, a server that was killed after the store was well again and before the next sweep left a gap for ever.
#[tokio::test(start_paused = true)]
async fn a_gap_that_a_killed_server_left_without_a_word_is_accounted_for_by_the_next_start() {
    let store = FaultyStore::new([]);
    let hub = open(keeping(&store, 10)).await;
    hub.audit_own(at(0).wall, START_SERVER, "");
    tokio::time::sleep(Duration::from_secs(1)).await;
    store.expect([Mood::AwayAfter(Duration::from_secs(600))]);
    hub.audit(record(0, "done"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    (1..3_000).for_each(|n| hub.audit(record(n, "done")));
    tokio::time::sleep(Duration::from_secs(700)).await;
    drop(hub);
    let mut verification = Verification::of_store(None);
    entries(&store).await.iter().for_each(|entry| verification.step(entry).unwrap());
    assert!(verification.finish().unwrap_err().to_string().contains("entries are missing"));
    let mut missed = 0;
    for start in 1..=3 {
        let hub = open(keeping(&store, 10)).await;
        // It is killed itself before it sweeps for the first time.
        hub.audit_start(at(800 + start).wall, "");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let whole = verify(&store).await;
        assert!(whole.missed > 1_000 && whole.given_up == 0, "{whole:?}");
        assert!(start == 1 || whole.missed == missed, "said once: {whole:?}");
        assert_eq!(actions(&entries(&store).await, "miss audit entries").len(), 1);
        missed = whole.missed;
        drop(hub);
    }
}

/// Whoever removes entries of a server that ended well, or of one before the last, does not get the server to account for it.
#[tokio::test(start_paused = true)]
async fn a_start_does_not_account_for_what_was_removed_from_a_trail_that_had_ended_well() {
    let store = FaultyStore::new([]);
    let hub = open(keeping(&store, 100)).await;
    (0..9).for_each(|n| hub.audit(record(n, "done")));
    hub.audit_own(at(9).wall, STOP_SERVER, "");
    hub.close().await;
    let cut = FaultyStore::new([]);
    let mut all = entries(&store).await;
    all.drain(4..6);
    cut.commit(Arc::new(all.into_iter().map(Record::Audit).collect())).await.unwrap();
    let hub = open(keeping(&cut, 100)).await;
    hub.sweep(at(10));
    hub.close().await;
    assert_eq!(entries(&cut).await.len(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_before_it_could_say_what_was_given_up_says_it_with_its_last_words() {
    let store = FaultyStore::new([]);
    let hub = open(keeping(&store, 10)).await;
    hub.audit(record(0, "done"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    store.expect([Mood::AwayAfter(Duration::from_secs(600))]);
    hub.audit(record(0, "done"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    (1..3_000).for_each(|n| hub.audit(record(n, "done")));
    tokio::time::sleep(Duration::from_secs(700)).await;
    hub.close().await;
    let found = entries(&store).await;
    let said = actions(&found, "lose audit entries");
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(found.last().unwrap().record.object, said[0]);
    let whole = verify(&store).await;
    assert_eq!((whole.given_up + whole.entries, whole.missed), (3_002, 0), "{whole:?}");
    let (first, last) = said[0].split_once('-').unwrap();
    let numbers = last.parse::<u64>().unwrap() - first.parse::<u64>().unwrap() + 1;
    assert_eq!(numbers, whole.given_up);
}

/// What comes faster than it can be written into the file, while nobody takes anything out of the queue.
#[tokio::test(start_paused = true)]
async fn lines_that_a_full_queue_lost_are_counted_and_accounted_for() {
    const MORE: u64 = 700;
    let folder = tempfile::tempdir().unwrap();
    let settings = AuditFileSettings { bytes_max: 1_000_000_000, files_max: 2, ..settings(folder.path()) };
    let store = FaultyStore::new([]);
    let file = AuditFile::open(settings.clone()).unwrap();
    let hub = open(keeping(&store, 1_000_000).with_audit_file(file)).await;
    // The runtime has one thread, and this does not let it go.
    (0..100_000 + MORE).for_each(|n| hub.audit(record(n, "done")));
    assert_eq!(hub.metrics().audit_lines_lost.get(), MORE);
    hub.sweep(at(1));
    let lines = || std::fs::read_to_string(&settings.path).unwrap().lines().count();
    let started = Instant::now();
    while lines() < 100_000 {
        assert!(started.elapsed() < Duration::from_secs(60), "the lines are not written");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    hub.sweep(at(2));
    hub.close().await;
    let said = actions(&entries(&store).await, "lose audit lines");
    assert_eq!(said, [format!("100001-{}", 100_000 + MORE)]);
    let whole = verify_files(&settings.path);
    assert_eq!((whole.given_up, whole.entries), (MORE, 100_001));
}
