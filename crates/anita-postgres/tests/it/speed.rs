//! How fast it is, beside the bare driver: `cargo test --release -p anita-postgres -- --ignored --nocapture faster`.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anita_model::{DeviceId, Fix, Position, SiteName, SourceName, Timestamp};
use anita_postgres::{PostgresSettings, PostgresStore};
use anita_store::{FixKey, Record, Store};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};

use crate::cluster::connect;
use crate::database::database;

const GROUP: usize = 2_000;
const GROUPS: usize = 50;
const RUNS: usize = 7;

/// Groups of fixes of a thousand devices, at ten a second each.
fn groups(run: usize, way: usize) -> Vec<Vec<Arc<Fix>>> {
    let begin = Timestamp::now().minus(Duration::from_secs(3_600));
    let of = |n: usize| {
        let number = (run * 2 + way) * GROUP * GROUPS + n;
        let taken_at = begin.plus(Duration::from_micros(number as u64 * 100));
        let metres = |step: usize| f64::from(u32::try_from(number * step % 100_000).unwrap()) / 1_000.0;
        Arc::new(Fix {
            device: DeviceId::parse(&format!("tag-{:04}", n % 1_000)).unwrap(),
            site: SiteName::main(),
            position: Position::new(metres(7), metres(11), metres(13)).unwrap(),
            accuracy_m: Some(0.125),
            floor: Some(1.0),
            battery_percent: None,
            taken_at,
            received_at: taken_at,
            source: SourceName::parse("hall").unwrap(),
            sequence: Some(number as u64),
        })
    };
    let all: Vec<Arc<Fix>> = (0..GROUP * GROUPS).map(of).collect();
    all.chunks(GROUP).map(<[_]>::to_vec).collect()
}

/// The bare driver, with its own writer of binary COPY, into the same table.
async fn bare(client: &tokio_postgres::Client, groups: &[Vec<Arc<Fix>>]) -> Duration {
    let types = [
        Type::INT8,
        Type::FLOAT8,
        Type::FLOAT8,
        Type::FLOAT8,
        Type::FLOAT8,
        Type::FLOAT8,
        Type::INT4,
        Type::INT4,
    ];
    let types: Vec<Type> = [Type::TIMESTAMPTZ, Type::TIMESTAMPTZ].into_iter().chain(types).collect();
    let copy = "COPY fix (taken_at, received_at, discriminator, x_m, y_m, z_m, accuracy_m, floor, device, origin) \
                FROM STDIN BINARY";
    let copy = client.prepare(copy).await.unwrap();
    let began = Instant::now();
    for group in groups {
        let mut writer = pin!(BinaryCopyInWriter::new(client.copy_in(&copy).await.unwrap(), &types));
        for (n, fix) in (0_i32..).zip(group) {
            let at = std::time::SystemTime::UNIX_EPOCH
                + Duration::from_micros(fix.taken_at.as_micros().unsigned_abs());
            let key = FixKey::of(fix).discriminator;
            let position = fix.position;
            let values: [&(dyn ToSql + Sync); 10] = [
                &at,
                &at,
                &key,
                &position.x_m(),
                &position.y_m(),
                &position.z_m(),
                &fix.accuracy_m,
                &fix.floor,
                &(n % 1_000 + 1),
                &1,
            ];
            writer.as_mut().write(&values).await.unwrap();
        }
        writer.as_mut().finish().await.unwrap();
    }
    began.elapsed()
}

async fn stored(store: &PostgresStore, groups: &[Vec<Arc<Fix>>]) -> Duration {
    let groups: Vec<Arc<Vec<Record>>> =
        groups.iter().map(|group| Arc::new(group.iter().cloned().map(Record::Fix).collect())).collect();
    let began = Instant::now();
    for group in groups {
        store.commit(group).await.unwrap();
    }
    began.elapsed()
}

fn rate(times: &mut [Duration]) -> f64 {
    times.sort();
    f64::from(u32::try_from(GROUP * GROUPS).unwrap()) / times[times.len() / 2].as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, for a release build"]
#[expect(clippy::print_stdout, reason = "a measurement says what it found")]
async fn a_store_is_about_as_fast_as_copying_by_the_bare_driver() {
    let Some(database) = database().await else { return };
    let store = PostgresStore::open(&database.url, PostgresSettings::default()).await.unwrap();
    let client = connect(&database.url).await;
    // The first run is not counted.
    stored(&store, &groups(RUNS, 0)).await;
    let (mut ours, mut bares) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        bares.push(bare(&client, &groups(run, 1)).await);
        ours.push(stored(&store, &groups(run, 0)).await);
    }
    let (ours, bares) = (rate(&mut ours), rate(&mut bares));
    let usage = store.usage().await.unwrap();
    println!(
        "store {ours:.0} fixes/s, bare driver {bares:.0} fixes/s, ratio {:.2}, {} bytes a fix",
        ours / bares,
        usage.fixes.bytes / usage.fixes.count.max(1)
    );
    assert!(ours / bares >= 0.7, "{ours:.0} of {bares:.0}");
}
