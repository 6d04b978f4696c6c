//! How fast it is, and how much room it takes. Not run by itself:
//!
//! ```text
//! cargo test --release -p anita-sqlite --test speed -- --ignored --nocapture --test-threads 1
//! ```
//! `ANITA_MILLIONS` in the environment (default 1) says how many million fixes are kept. The file is made
//! in the folder for temporary files, so `TMPDIR` says on which disk.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that can't go on fails")]

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anita_model::{DeviceId, Fix, Position, SiteName, SourceName, Timestamp};
use anita_sqlite::{SqliteSettings, SqliteStore};
use anita_store::{HistoryQuery, NewestQuery, Order, Record, Store, WindowQuery};

const DEVICES: usize = 1_000;
const GROUP: usize = 2_000;
const BEGIN_US: i64 = 1_760_000_000_000_000;

fn say(text: std::fmt::Arguments<'_>) {
    std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % end).cast_signed()
    }
}

/// Devices that walk, ten fixes a second each, with jitter.
struct Traffic {
    dice: Dice,
    ids: Vec<DeviceId>,
    places_mm: Vec<[i64; 3]>,
    site: SiteName,
    source: SourceName,
    count: usize,
}

impl Traffic {
    fn new() -> Self {
        Self {
            dice: Dice(1),
            ids: (0..DEVICES).map(|n| DeviceId::parse(&format!("tag-{n:04}")).unwrap()).collect(),
            places_mm: vec![[20_000, 15_000, 1_200]; DEVICES],
            site: SiteName::main(),
            source: SourceName::parse("hall").unwrap(),
            count: 0,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "these are small")]
    fn fix(&mut self) -> Record {
        let device = self.count % DEVICES;
        let round = i64::try_from(self.count / DEVICES).unwrap();
        self.count += 1;
        let place = &mut self.places_mm[device];
        for mm in place.iter_mut() {
            *mm += self.dice.below(241) - 120;
        }
        let taken_us =
            BEGIN_US + round * 100_000 + i64::try_from(device).unwrap() * 97 + self.dice.below(9_000);
        let at = |us| Timestamp::from_micros(us).unwrap();
        let metres = place.map(|mm| mm as f64 / 1_000.0);
        Record::Fix(Arc::new(Fix {
            device: self.ids[device].clone(),
            site: self.site.clone(),
            position: Position::new(metres[0], metres[1], metres[2]).unwrap(),
            accuracy_m: Some((80 + self.dice.below(60)) as f64 / 1_000.0),
            floor: None,
            battery_percent: Some(87.0),
            taken_at: at(taken_us),
            received_at: at(taken_us + 2_000 + self.dice.below(6_000)),
            source: self.source.clone(),
            sequence: Some(round.cast_unsigned()),
        }))
    }

    fn group(&mut self) -> Arc<Vec<Record>> {
        Arc::new((0..GROUP).map(|_| self.fix()).collect())
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement is told by hand how large it is")]
fn millions() -> usize {
    std::env::var("ANITA_MILLIONS").map_or(1, |text| text.parse().unwrap())
}

fn rate(count: usize, time: Duration) -> u64 {
    u64::try_from(count as u128 * 1_000_000 / time.as_micros().max(1)).unwrap()
}

/// One row a fix, one prepared statement, the same groups and pragmas.
fn bare(path: &Path, groups: usize) -> Duration {
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute_batch(
        "PRAGMA page_size = 8192; PRAGMA journal_mode = wal; PRAGMA synchronous = full;
         CREATE TABLE fix (device INTEGER, taken_us INTEGER, received_us INTEGER, x_mm INTEGER, y_mm INTEGER,
             z_mm INTEGER, accuracy_mm INTEGER, floor REAL, battery REAL, origin INTEGER, sequence INTEGER);
         CREATE INDEX fix_by_device ON fix (device, taken_us);",
    )
    .unwrap();
    let mut traffic = Traffic::new();
    let mut insert = db.prepare("INSERT INTO fix VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)").unwrap();
    let mut time = Duration::ZERO;
    for _ in 0..groups {
        let group = traffic.group();
        let began = Instant::now();
        let transaction = db.unchecked_transaction().unwrap();
        for (n, record) in group.iter().enumerate() {
            let Record::Fix(fix) = record else { continue };
            let mm = anita_store::millimetres;
            insert
                .execute(rusqlite::params![
                    i64::try_from(n % DEVICES).unwrap(),
                    fix.taken_at.as_micros(),
                    fix.received_at.as_micros(),
                    mm(fix.position.x_m()),
                    mm(fix.position.y_m()),
                    mm(fix.position.z_m()),
                    fix.accuracy_m.map(mm),
                    fix.floor,
                    fix.battery_percent,
                    1,
                    fix.sequence.map(u64::cast_signed),
                ])
                .unwrap();
        }
        transaction.commit().unwrap();
        time += began.elapsed();
    }
    time
}

fn settings() -> SqliteSettings {
    SqliteSettings::default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long, and is a measurement"]
async fn commits_pages_and_room() {
    let folder = tempfile::tempdir().unwrap();
    let count = millions() * 1_000_000;
    let bare_groups = (1_000_000 / GROUP).min(count / GROUP);
    let bare = bare(&folder.path().join("bare.db"), bare_groups);
    let bare_bytes = std::fs::metadata(folder.path().join("bare.db")).unwrap().len();
    say(format_args!(
        "bare: {} fixes/s, {} bytes each",
        rate(bare_groups * GROUP, bare),
        bare_bytes / (bare_groups * GROUP) as u64
    ));
    let path = folder.path().join("anita.db");
    let store = SqliteStore::open_with(&path, settings()).unwrap();
    let mut traffic = Traffic::new();
    let mut times = Vec::new();
    let began = Instant::now();
    let mut log_bytes_most = 0;
    for _ in 0..count / GROUP {
        let group = traffic.group();
        let began = Instant::now();
        store.commit(group).await.unwrap();
        times.push(began.elapsed());
        let log = std::fs::metadata(folder.path().join("anita.db-wal")).map_or(0, |data| data.len());
        log_bytes_most = log.max(log_bytes_most);
    }
    let whole = began.elapsed();
    let sum: Duration = times.iter().sum();
    times.sort_unstable();
    say(format_args!(
        "store: {} fixes/s in commits, {} in all; commit p50 {:?}, p99 {:?}, most {:?}; log {} MB at most",
        rate(count, sum),
        rate(count, whole),
        times[times.len() / 2],
        times[times.len() * 99 / 100],
        times[times.len() - 1],
        log_bytes_most >> 20
    ));
    reads(&store, &traffic).await;
    let usage = store.usage().await.unwrap();
    say(format_args!("usage: {usage:?}"));
    store.close().await.unwrap();
    drop(store);
    let bytes = std::fs::metadata(&path).unwrap().len();
    let each_tenths = bytes * 10 / count as u64;
    say(format_args!("file: {} MB, {}.{} bytes a fix", bytes >> 20, each_tenths / 10, each_tenths % 10));
    let began = Instant::now();
    let store = SqliteStore::open_with(&path, settings()).unwrap();
    say(format_args!("opened in {:?}", began.elapsed()));
    let began = Instant::now();
    store.load(100).await.unwrap();
    say(format_args!("loaded in {:?}", began.elapsed()));
}

async fn reads(store: &SqliteStore, traffic: &Traffic) {
    let rounds = i64::try_from(traffic.count / DEVICES).unwrap();
    let mut dice = Dice(7);
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let mut times = Vec::new();
        for _ in 0..300 {
            let device = traffic.ids[usize::try_from(dice.below(DEVICES as u64)).unwrap()].clone();
            let at_us = BEGIN_US + dice.below(rounds.cast_unsigned()) * 100_000;
            let at = Some(Timestamp::from_micros(at_us).unwrap());
            let (start, end) = if order == Order::NewestFirst { (None, at) } else { (at, None) };
            let query = HistoryQuery { device, start, end, order, limit: 1_000, after: None, within: None };
            let began = Instant::now();
            store.page(query).await.unwrap();
            times.push(began.elapsed());
        }
        times.sort_unstable();
        say(format_args!("page of 1,000, {order:?}: p50 {:?}, p99 {:?}", times[150], times[297]));
    }
    let at = Timestamp::from_micros(BEGIN_US + rounds * 50_000).unwrap();
    let began = Instant::now();
    let query = NewestQuery { devices: traffic.ids.clone(), at, not_before: None };
    let found = store.newest(query).await.unwrap().len();
    say(format_args!("newest of {found} devices: {:?}", began.elapsed()));
    let began = Instant::now();
    let window = store
        .window(WindowQuery {
            devices: traffic.ids.clone(),
            start: Timestamp::from_micros(BEGIN_US).unwrap(),
            end: at,
            every: Duration::from_secs(10),
            fixes_max: 100_000,
        })
        .await
        .unwrap();
    say(format_args!("window of {} fixes: {:?}", window.fixes.len(), began.elapsed()));
}
