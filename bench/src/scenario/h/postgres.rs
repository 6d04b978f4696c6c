//! The store in PostgreSQL, and the bare driver's binary COPY into the same table beside it.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anita_model::Fix;
use anita_postgres::{PostgresSettings, PostgresStore};
use anita_store::{FixKey, Record, Store};
use serde_json::json;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls};

use super::Options;
use super::traffic::{DEVICES, GROUP, Traffic};
use crate::cli::Bench;
use crate::fault::{Fault, Outcome, While as _};
use crate::figures::{median, ratio};
use crate::report::{Table, digits};

/// What the bare driver copies: what the store does, without what is mostly empty.
const COPY: &str = "COPY fix (taken_at, received_at, discriminator, x_m, y_m, z_m, accuracy_m, battery_percent, device, \
     origin) FROM STDIN BINARY";

pub(super) fn run(bench: &mut Bench, options: &Options, url: &str) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.to("start a runtime")?.block_on(commits(bench, options, url))
}

async fn commits(bench: &mut Bench, options: &Options, url: &str) -> Outcome {
    let rounds = bench.pick(options.rounds, 5, 2);
    let groups = if bench.is_quick { 5 } else { 50 };
    let store = PostgresStore::open(url, PostgresSettings::default()).await.to("open the store")?;
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.to("connect to PostgreSQL")?;
    let connection = tokio::spawn(connection);
    // The time of the present, so that both write into the same partition.
    let mut traffic = Traffic::from_now()?;
    // The first is not counted.
    stored(&store, &some(&mut traffic, groups)?).await?;
    let (mut store_hz, mut bare_hz) = (Vec::new(), Vec::new());
    let fixes = (groups * GROUP) as f64;
    for round in 0..rounds {
        bare_hz.push(fixes / bare(&client, &some(&mut traffic, groups)?).await?.as_secs_f64());
        store_hz.push(fixes / stored(&store, &some(&mut traffic, groups)?).await?.as_secs_f64());
        bench.report.step(&format!("PostgreSQL, round {} of {rounds}", round + 1));
    }
    let usage = store.usage().await.to("ask how much there is")?;
    store.close().await.to("close the store")?;
    drop(client);
    connection.abort();
    let (bare, store) = (median(&bare_hz), median(&store_hz));
    let mut table = Table::new(&["PostgreSQL, commits of 2,000 fixes", "median"]);
    table.row("bare driver, binary COPY, fixes a second", &[digits(bare, 0)]);
    table.row("the store, fixes a second", &[digits(store, 0)]);
    table.row("ratio", &[digits(ratio(store, bare), 2)]);
    let bytes = ratio(usage.fixes.bytes as f64, usage.fixes.count as f64);
    table.row("bytes a fix, index included", &[digits(bytes, 0)]);
    table.print();
    bench.report.keep("postgres", json!({ "bare_hz": bare_hz, "store_hz": store_hz }));
    bench.report.verdict("PostgreSQL: at least 0.7 of the bare driver's COPY", ratio(store, bare) >= 0.7);
    Ok(())
}

fn some(traffic: &mut Traffic, groups: usize) -> Outcome<Vec<Vec<Arc<Fix>>>> {
    (0..groups).map(|_| traffic.group()).collect()
}

async fn stored(store: &PostgresStore, groups: &[Vec<Arc<Fix>>]) -> Outcome<Duration> {
    let records = |group: &Vec<Arc<Fix>>| Arc::new(group.iter().cloned().map(Record::Fix).collect());
    let groups: Vec<Arc<Vec<Record>>> = groups.iter().map(records).collect();
    let began = Instant::now();
    for group in groups {
        store.commit(group).await.to("commit")?;
    }
    Ok(began.elapsed())
}

async fn bare(client: &Client, groups: &[Vec<Arc<Fix>>]) -> Outcome<Duration> {
    let mut types = vec![Type::TIMESTAMPTZ, Type::TIMESTAMPTZ, Type::INT8];
    types.extend([const { Type::FLOAT8 }; 5]);
    types.extend([Type::INT4, Type::INT4]);
    let copy = client.prepare(COPY).await.to("prepare a copy")?;
    let began = Instant::now();
    for group in groups {
        let sink = client.copy_in(&copy).await.to("copy")?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
        for (index, fix) in group.iter().enumerate() {
            let moment = |micros: i64| SystemTime::UNIX_EPOCH + Duration::from_micros(micros.unsigned_abs());
            let taken_at = moment(fix.taken_at.as_micros());
            let received_at = moment(fix.received_at.as_micros());
            let key = FixKey::of(fix).discriminator;
            let [x_m, y_m, z_m] = [fix.position.x_m(), fix.position.y_m(), fix.position.z_m()];
            let device = i32::try_from(index % DEVICES).to("number a device")? + 1;
            let row: [&(dyn ToSql + Sync); 10] = [
                &taken_at,
                &received_at,
                &key,
                &x_m,
                &y_m,
                &z_m,
                &fix.accuracy_m,
                &fix.battery_percent,
                &device,
                &1,
            ];
            writer.as_mut().write(&row).await.to("copy a row")?;
        }
        if writer.as_mut().finish().await.to("end a copy")? != group.len() as u64 {
            return Err(Fault::new("not every row was copied"));
        }
    }
    Ok(began.elapsed())
}
