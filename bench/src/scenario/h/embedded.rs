//! The embedded store by itself, and the bare driver beside it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anita_model::{DeviceId, Timestamp};
use anita_sqlite::SqliteStore;
use anita_store::{HistoryQuery, NewestQuery, Order, Store, millimetres};
use rusqlite::{Connection, params};
use serde_json::json;

use super::Options;
use super::traffic::{BEGIN_US, DEVICES, Dice, GROUP, INTERVAL_US, Traffic};
use crate::cli::Bench;
use crate::fault::{Fault, Outcome, While as _};
use crate::figures::{median, ratio};
use crate::report::{Table, digits};
use crate::server::Folder;

/// How many pages are asked for at each size.
const PAGES: usize = 200;

/// How many fixes a page has.
const PAGE: usize = 1_000;

pub(super) fn run(bench: &mut Bench, options: &Options) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.to("start a runtime")?;
    runtime.block_on(commits(bench, options))?;
    runtime.block_on(pages(bench, options))
}

/// One row a fix with an index on device and time, one prepared statement, the same groups.
struct Bare {
    connection: Connection,
    traffic: Traffic,
}

impl Bare {
    fn open(path: &Path) -> Outcome<Self> {
        let connection = Connection::open(path).to("open a bare database")?;
        let schema = "PRAGMA page_size = 8192; PRAGMA journal_mode = wal; PRAGMA synchronous = full;
             CREATE TABLE fix (device INTEGER, taken_us INTEGER, received_us INTEGER, x_mm INTEGER, y_mm INTEGER,
                 z_mm INTEGER, accuracy_mm INTEGER, floor REAL, battery REAL, origin INTEGER, sequence INTEGER);
             CREATE INDEX fix_by_device ON fix (device, taken_us);";
        connection.execute_batch(schema).to("make a bare table")?;
        Ok(Self { connection, traffic: Traffic::new()? })
    }

    /// Commits so many groups; how long that took, without making them.
    fn commit(&mut self, groups: usize) -> Outcome<Duration> {
        let mut insert = self
            .connection
            .prepare("INSERT INTO fix VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)")
            .to("prepare an insert")?;
        let mut spent = Duration::ZERO;
        for _ in 0..groups {
            let group = self.traffic.group()?;
            let began = Instant::now();
            let transaction = self.connection.unchecked_transaction().to("begin")?;
            for (index, fix) in group.iter().enumerate() {
                let place = [fix.position.x_m(), fix.position.y_m(), fix.position.z_m()].map(millimetres);
                let [x_mm, y_mm, z_mm] = place;
                let row = params![
                    ((index % DEVICES) as u64).cast_signed(),
                    fix.taken_at.as_micros(),
                    fix.received_at.as_micros(),
                    x_mm,
                    y_mm,
                    z_mm,
                    fix.accuracy_m.map(millimetres),
                    fix.floor,
                    fix.battery_percent,
                    1,
                    fix.sequence.map(u64::cast_signed),
                ];
                insert.execute(row).to("insert a row")?;
            }
            transaction.commit().to("commit")?;
            spent += began.elapsed();
        }
        Ok(spent)
    }
}

/// Commits so many groups into the store; how long that took, without making them.
async fn commit(store: &SqliteStore, traffic: &mut Traffic, groups: usize) -> Outcome<Duration> {
    let mut spent = Duration::ZERO;
    for _ in 0..groups {
        let records = traffic.records()?;
        let began = Instant::now();
        store.commit(records).await.to("commit")?;
        spent += began.elapsed();
    }
    Ok(spent)
}

async fn commits(bench: &mut Bench, options: &Options) -> Outcome {
    let rounds = bench.pick(options.rounds, 5, 2);
    // A second of 100,000 fixes each.
    let groups = if bench.is_quick { 10 } else { 100_000 / GROUP };
    let folder = Folder::new()?;
    let mut bare = Bare::open(&folder.file("bare.db"))?;
    let store = SqliteStore::open(&folder.file("anita.db")).to("open the store")?;
    let mut traffic = Traffic::new()?;
    let (mut bare_hz, mut store_hz) = (Vec::new(), Vec::new());
    let fixes = (groups * GROUP) as f64;
    for round in 0..rounds {
        // Several seconds' worth of the store, so that packing has its part in each round.
        let stored = commit(&store, &mut traffic, groups * 10).await?;
        store_hz.push(fixes * 10.0 / stored.as_secs_f64());
        bare_hz.push(fixes / bare.commit(groups)?.as_secs_f64());
        bench.report.step(&format!("commits, round {} of {rounds}", round + 1));
    }
    store.close().await.to("close the store")?;
    let (bare, store) = (median(&bare_hz), median(&store_hz));
    let mut table = Table::new(&["commits of 2,000 fixes, with fsync", "median"]);
    table.row("bare driver, a row a fix, fixes a second", &[digits(bare, 0)]);
    table.row("the store, fixes a second", &[digits(store, 0)]);
    table.row("ratio", &[digits(ratio(store, bare), 2)]);
    table.print();
    bench.report.keep("commits", json!({ "bare_hz": bare_hz, "store_hz": store_hz }));
    bench.report.verdict("commits: at least 0.7 of the bare driver", ratio(store, bare) >= 0.7);
    bench.report.verdict("commits: at least 100,000 fixes a second", store >= 100_000.0);
    Ok(())
}

/// What is asked at one size of the history.
struct Asked {
    millions: usize,
    bytes_per_fix: f64,
    page_ms: f64,
    everywhere_ms: f64,
}

async fn pages(bench: &mut Bench, options: &Options) -> Outcome {
    let most = bench.pick(options.millions, 10, 1);
    let folder = Folder::new()?;
    let path = folder.file("anita.db");
    let mut traffic = Traffic::new()?;
    let mut all = Vec::new();
    let mut fixes = 0;
    let mut millions = 1;
    while millions <= most {
        let store = SqliteStore::open(&path).to("open the store")?;
        while fixes < millions * 1_000_000 {
            commit(&store, &mut traffic, 1).await?;
            fixes += GROUP;
        }
        store.close().await.to("close the store")?;
        drop(store);
        let bytes = fs::metadata(&path).to("look at the file")?.len();
        let store = SqliteStore::open(&path).to("open the store")?;
        let bytes_per_fix = bytes as f64 / fixes as f64;
        let asked = ask(&store, &traffic.ids(), fixes).await?;
        all.push(Asked { millions, bytes_per_fix, ..asked });
        bench.report.step(&format!("pages at {millions} million"));
        millions *= 10;
    }
    show(bench, &all);
    Ok(())
}

/// Pages of devices from moments anywhere in the history, and where all devices were at such a moment.
async fn ask(store: &SqliteStore, devices: &[DeviceId], fixes: usize) -> Outcome<Asked> {
    let span_us = (fixes / DEVICES) as u64 * INTERVAL_US.unsigned_abs();
    let stretch_us = PAGE as u64 * INTERVAL_US.unsigned_abs();
    let mut dice = Dice(7);
    let (mut page_ms, mut everywhere_ms) = (Vec::new(), Vec::new());
    for asked in 0..PAGES {
        let from_us = BEGIN_US + stretch_us.cast_signed() + dice.below(span_us.saturating_sub(stretch_us));
        let end = Timestamp::from_micros(from_us).to("read a time")?;
        let device = devices.get(dice.below(DEVICES as u64).unsigned_abs() as usize);
        let device = device.ok_or_else(|| Fault::new("there is no such tag"))?.clone();
        let query = HistoryQuery {
            device,
            start: None,
            end: Some(end),
            order: Order::NewestFirst,
            limit: PAGE.min(fixes / DEVICES / 2),
            after: None,
            within: None,
        };
        let limit = query.limit;
        let began = Instant::now();
        let page = store.page(query).await.to("ask for a page")?;
        page_ms.push(began.elapsed().as_secs_f64() * 1e3);
        if page.fixes.len() != limit {
            return Err(Fault::new(format!("a page has {} fixes instead of {limit}", page.fixes.len())));
        }
        if asked % 20 == 0 {
            let began = Instant::now();
            let query = NewestQuery { devices: devices.to_vec(), at: end, not_before: None };
            store.newest(query).await.to("ask where everything was")?;
            everywhere_ms.push(began.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(Asked {
        millions: 0,
        bytes_per_fix: 0.0,
        page_ms: median(&page_ms),
        everywhere_ms: median(&everywhere_ms),
    })
}

fn show(bench: &mut Bench, all: &[Asked]) {
    let titles: Vec<String> = all.iter().map(|asked| format!("{} million", asked.millions)).collect();
    let mut head = vec!["history of 1,000 devices"];
    head.extend(titles.iter().map(String::as_str));
    let mut table = Table::new(&head);
    let mut row = |name: &str, decimals: usize, value: &dyn Fn(&Asked) -> f64| {
        table.row(name, &all.iter().map(|asked| digits(value(asked), decimals)).collect::<Vec<_>>());
    };
    row("bytes a fix on the disk, indexes included", 1, &|it| it.bytes_per_fix);
    row("a page of 1,000, median, ms", 2, &|it| it.page_ms);
    row("where all devices were, median, ms", 1, &|it| it.everywhere_ms);
    table.print();
    let raw = |it: &Asked| json!({ "millions": it.millions, "bytes_per_fix": it.bytes_per_fix, "page_ms": it.page_ms, "everywhere_ms": it.everywhere_ms });
    bench.report.keep("pages", json!(all.iter().map(raw).collect::<Vec<_>>()));
    let (Some(first), Some(last)) = (all.first(), all.last()) else { return };
    bench.report.verdict("a fix takes at most 48 bytes", all.iter().all(|it| it.bytes_per_fix <= 48.0));
    bench.report.verdict("a page costs the same within 2 ×", ratio(last.page_ms, first.page_ms) <= 2.0);
}
