//! A hub that goes on where another one stopped, and one whose store fails.

#![allow(clippy::unwrap_used, reason = "the code of a test")]

use std::sync::Arc;
use std::time::Duration;

use anita_auth::{Grant, Key, Minter, Principal, Roles, Verifier};
use anita_hub::{DeviceFilter, Durability, Hub, HubSettings, Keeping};
use anita_metrics::Metrics;
use anita_model::{DeviceId, DeviceStatus, Fix, Now, Position, Report, SiteName, SourceName, Timestamp};
use anita_store::faulty::{FaultyStore, Mood};
use anita_store::{HistoryQuery, Order, Store, Told, WriterSettings};
use anita_world::Changes;

const SECRET: &[u8] = b"the secret of the restart, long enough";

fn at(secs: u64) -> Now {
    let wall = Timestamp::parse("2026-03-01T12:00:00Z").unwrap();
    Now { wall, uptime: Duration::ZERO }.plus(Duration::from_secs(secs))
}

/// The same moment for a server that started at another one.
fn since(start: u64, secs: u64) -> Now {
    Now { uptime: Duration::from_secs(secs - start), ..at(secs) }
}

fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

fn fix(device: &str, x_m: f64, secs: u64) -> Report {
    Report::Fix(Fix {
        device: id(device),
        site: SiteName::main(),
        position: Position::new(x_m, 0.0, 0.0).unwrap(),
        accuracy_m: None,
        floor: None,
        battery_percent: Some(50.0),
        taken_at: at(secs).wall,
        received_at: at(secs).wall,
        source: SourceName::parse("test").unwrap(),
        sequence: None,
    })
}

fn operator() -> Principal {
    let verifier = Verifier::new(Key::hs256(SECRET).unwrap(), "anita", "anita", Roles::default());
    let minter = Minter::hs256(SECRET, "anita", "anita").unwrap();
    let roles = ["operator".to_owned()];
    let grant = Grant { subject: "o", roles: &roles, ..Grant::default() };
    let token = minter.mint(&grant, at(0).wall, Duration::from_secs(9_000)).unwrap();
    verifier.verify(&token, at(0).wall).unwrap()
}

async fn open(store: &Arc<FaultyStore>, told: Option<Told>, durability: Durability, now: Now) -> Arc<Hub> {
    let store = Arc::clone(store) as Arc<dyn Store>;
    let keeping = Keeping::new(store, WriterSettings::default(), told, durability);
    Hub::open(HubSettings::default(), keeping, Arc::new(Metrics::default()), now).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn devices_come_back_where_they_were_and_with_the_silence_that_they_had() {
    let folder = tempfile::tempdir().unwrap();
    let told = || Some(Told::open(&folder.path().join("told")).unwrap());
    let store = FaultyStore::new([]);
    let hub = open(&store, told(), Durability::Commit, since(0, 0)).await;
    let reported = hub.report(vec![fix("a", 1.0, 1), fix("b", 2.0, 1)], at(1));
    reported.kept.await.unwrap();
    hub.report(vec![fix("a", 3.0, 9)], at(9)).kept.await.unwrap();
    let name = Changes { name: Some("Anna".to_owned()), kind: None };
    hub.update(&id("a"), name, at(9)).unwrap().1.await.unwrap();
    hub.remove(&id("b"), at(9)).unwrap().await.unwrap();
    let everyone = DeviceFilter::default();
    let before = hub.devices(&operator(), &everyone, None, 10);
    hub.close().await;
    drop(hub);

    let hub = open(&store, told(), Durability::Commit, since(15, 15)).await;
    assert_eq!(hub.devices(&operator(), &everyone, None, 10), before, "as it was, to the letter");
    let status = || hub.device(&operator(), &id("a")).unwrap().status;
    hub.sweep(since(15, 18));
    assert_eq!(status(), DeviceStatus::Connected);
    hub.sweep(since(15, 20));
    assert_eq!(status(), DeviceStatus::Stale, "silent for 11 seconds, 6 of them before the start");
    hub.sweep(since(15, 70));
    assert_eq!(status(), DeviceStatus::Disconnected);
    hub.report(vec![fix("a", 3.0, 9)], since(15, 71)).kept.await.unwrap();
    let query = HistoryQuery {
        device: id("a"),
        start: None,
        end: None,
        order: Order::NewestFirst,
        limit: 10,
        after: None,
        within: None,
    };
    assert_eq!(hub.past().page(query).await.unwrap().fixes.len(), 2, "the same fix again is no second one");
}

/// Once, a publisher that sent again what was refused was told that it was accepted: the world knew the fix already. The
/// store did not.
#[tokio::test(start_paused = true)]
async fn what_is_sent_again_after_a_refusal_is_kept() {
    let store = FaultyStore::new([]);
    let hub = open(&store, None, Durability::Commit, at(0)).await;
    hub.report(vec![fix("a", 1.0, 1)], at(1)).kept.await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    store.expect([Mood::Away]);
    hub.report(vec![fix("a", 2.0, 2)], at(2)).kept.await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(2)).await;
    hub.report(vec![fix("a", 2.0, 2)], at(3)).kept.await.unwrap();
    assert_eq!(store.usage().await.unwrap().fixes.count, 2);
}

/// Once, a status that silence had brought was not stored with its event, and was told again after a crash.
#[tokio::test(start_paused = true)]
async fn a_status_that_silence_brought_is_known_after_a_crash() {
    let store = FaultyStore::new([]);
    let hub = open(&store, None, Durability::Commit, since(0, 0)).await;
    hub.report(vec![fix("a", 1.0, 1)], at(1)).kept.await.unwrap();
    hub.sweep(at(20));
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(hub);
    let hub = open(&store, None, Durability::Commit, since(21, 21)).await;
    assert_eq!(hub.device(&operator(), &id("a")).unwrap().status, DeviceStatus::Stale);
    hub.sweep(since(21, 22));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let told = hub.past().events(anita_store::EventQuery { limit: 10, ..Default::default() }).await.unwrap();
    assert_eq!(told.events.len(), 2, "connected, then stale, and nothing twice");
}

/// A fix of a source that counts, and stamps with the arrival.
fn counted(x_m: f64, number: u64, secs: u64) -> Report {
    let Report::Fix(fix) = fix("a", x_m, secs) else { unreachable!() };
    Report::Fix(Fix { sequence: Some(number), ..fix })
}

/// Once, of such fixes only the newest was kept, and the others were acknowledged all the same.
#[tokio::test(start_paused = true)]
async fn what_is_sent_again_after_a_refusal_is_kept_if_it_is_not_the_newest() {
    let store = FaultyStore::new([Mood::Away]);
    let hub = open(&store, None, Durability::Commit, at(0)).await;
    for (number, x_m) in [(1, 1.0), (2, 2.0), (3, 3.0)] {
        hub.report(vec![counted(x_m, number, number)], at(number)).kept.await.unwrap_err();
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    for (number, x_m) in [(1, 1.0), (2, 2.0), (3, 3.0)] {
        hub.report(vec![counted(x_m, number, 9)], at(9)).kept.await.unwrap();
    }
    assert_eq!(store.usage().await.unwrap().fixes.count, 3);
}

/// Once, of what a broker brought again after a crash only the newest was known.
#[tokio::test(start_paused = true)]
async fn what_was_kept_and_not_acknowledged_before_a_crash_is_known_when_it_comes_again() {
    let store = FaultyStore::new([]);
    let hub = open(&store, None, Durability::Commit, at(0)).await;
    let reports = || [(1, 1.0), (2, 2.0), (3, 3.0)].into_iter();
    for (number, x_m) in reports() {
        hub.report(vec![counted(x_m, number, number)], at(number)).kept.await.unwrap();
    }
    drop(hub);
    let hub = open(&store, None, Durability::Commit, at(9)).await;
    for (number, x_m) in reports() {
        hub.report(vec![counted(x_m, number, 9)], at(9)).kept.await.unwrap();
    }
    assert_eq!(store.usage().await.unwrap().fixes.count, 3, "none twice");
}

#[tokio::test(start_paused = true)]
async fn without_durability_nobody_waits_and_everything_is_kept_a_moment_later() {
    let store = FaultyStore::new([Mood::Slow(Duration::from_secs(3))]);
    let hub = open(&store, None, Durability::None, at(0)).await;
    let before = tokio::time::Instant::now();
    hub.report(vec![fix("a", 1.0, 1)], at(1)).kept.await.unwrap();
    assert_eq!(before.elapsed(), Duration::ZERO);
    hub.close().await;
    assert_eq!(store.usage().await.unwrap().fixes.count, 1);
}
