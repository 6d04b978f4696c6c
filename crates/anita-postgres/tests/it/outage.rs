//! The database goes away, and comes back.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anita_model::{DeviceId, Timestamp};
use anita_postgres::{PostgresSettings, PostgresStore};
use anita_store::{Condition, HistoryQuery, NewestQuery, Order, Store, StoreError};
use tokio::time::Instant;

use crate::cluster::{Cluster, execute};
use crate::faults::fix;

const PATIENCE: Duration = Duration::from_secs(120);

/// A server and a database of its own.
pub(crate) async fn own() -> Option<(Arc<Cluster>, String)> {
    let cluster = Arc::new(tokio::task::spawn_blocking(Cluster::start).await.unwrap()?);
    execute(&format!("{}/postgres", cluster.url()), "CREATE DATABASE anita").await;
    let url = format!("{}/anita", cluster.url());
    Some((cluster, url))
}

fn settings(spool: Option<PathBuf>) -> PostgresSettings {
    PostgresSettings {
        spool,
        commit_timeout: Duration::from_secs(1),
        read_timeout: Duration::from_secs(20),
        retry_max: Duration::from_millis(500),
        ..PostgresSettings::default()
    }
}

pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The numbers of all fixes of a device.
async fn sequences(store: &PostgresStore) -> Vec<u64> {
    let mut query = HistoryQuery {
        device: DeviceId::parse("a").unwrap(),
        start: None,
        end: None,
        order: Order::OldestFirst,
        limit: 1_000,
        after: None,
        within: None,
    };
    let mut found = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    loop {
        // It may just be on its way back.
        let page = loop {
            match store.page(query.clone()).await {
                Err(StoreError::Unavailable(_)) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                answer => break answer.unwrap(),
            }
        };
        found.extend(page.fixes.iter().filter_map(|fix| fix.sequence));
        query.after = page.next;
        if page.next.is_none() {
            return found;
        }
    }
}

/// Commits twenty fixes every 20 ms, until told to stop, and says how many: far fewer than a busy machine takes back out of
/// the spool meanwhile.
async fn publish(store: Arc<PostgresStore>, stop: Arc<tokio::sync::Notify>) -> u64 {
    let mut next = 0;
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    loop {
        tokio::select! {
            () = stop.notified() => return next,
            _tick = tick.tick() => {}
        }
        let at = Timestamp::now();
        store.commit(Arc::new((next..next + 20).map(|n| fix("a", at, n)).collect())).await.unwrap();
        next += 20;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_spool_nothing_is_lost_in_an_outage_and_nothing_is_double() {
    let Some((cluster, url)) = own().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let spool = settings(Some(folder.path().join("spool.db")));
    let store = Arc::new(PostgresStore::open(&url, spool).await.unwrap());
    let stop = Arc::new(tokio::sync::Notify::new());
    let publisher = tokio::spawn(publish(Arc::clone(&store), Arc::clone(&stop)));
    let have_arrived = async || match store.usage().await {
        Err(StoreError::Unavailable(_)) => false,
        usage => usage.unwrap().fixes.count > 500,
    };
    until("fixes arrive", have_arrived).await;
    for crash in [false, true] {
        let server = Arc::clone(&cluster);
        tokio::task::spawn_blocking(move || if crash { server.kill() } else { server.stop() }).await.unwrap();
        let is_spooling =
            async || matches!(store.condition(), Condition::Spooling { fixes } if fixes > 2_000);
        until("fixes are spooled", is_spooling).await;
        let began = Instant::now();
        let devices = vec![DeviceId::parse("a").unwrap()];
        let question = NewestQuery { devices, at: Timestamp::now(), not_before: None };
        assert!(matches!(store.newest(question).await, Err(StoreError::Unavailable(_))));
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "questions don't wait for a database that is away"
        );
        let server = Arc::clone(&cluster);
        tokio::task::spawn_blocking(move || server.resume()).await.unwrap();
        until("the spool is empty", async || store.condition() == Condition::Well).await;
    }
    stop.notify_one();
    let acknowledged = publisher.await.unwrap();
    until("the spool is empty", async || store.condition() == Condition::Well).await;
    assert!(acknowledged > 4_000);
    assert_eq!(sequences(&store).await, (0..acknowledged).collect::<Vec<u64>>());
}

/// What waits leaves in larger pieces than it comes in, so a spool does not wait for a pause.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spool_is_emptied_while_somebody_reports_without_a_pause() {
    let Some((cluster, url)) = own().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let spool = settings(Some(folder.path().join("spool.db")));
    let store = Arc::new(PostgresStore::open(&url, spool).await.unwrap());
    let server = Arc::clone(&cluster);
    tokio::task::spawn_blocking(move || server.stop()).await.unwrap();
    let reporting = Arc::new(AtomicBool::new(true));
    let (theirs, goes_on) = (Arc::clone(&store), Arc::clone(&reporting));
    let reporter = tokio::spawn(async move {
        let mut next = 0;
        while goes_on.load(Ordering::Relaxed) {
            theirs.commit(Arc::new(vec![fix("a", Timestamp::now(), next)])).await.unwrap();
            next += 1;
        }
        next
    });
    let is_spooling = async || matches!(store.condition(), Condition::Spooling { fixes } if fixes > 1_000);
    until("fixes are spooled", is_spooling).await;
    let server = Arc::clone(&cluster);
    tokio::task::spawn_blocking(move || server.resume()).await.unwrap();
    until("the spool is empty", async || store.condition() == Condition::Well).await;
    reporting.store(false, Ordering::Relaxed);
    let acknowledged = reporter.await.unwrap();
    until("the spool is empty", async || store.condition() == Condition::Well).await;
    assert_eq!(sequences(&store).await, (0..acknowledged).collect::<Vec<u64>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_spooled_survives_the_end_of_the_server() {
    let Some((cluster, url)) = own().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let spool = settings(Some(folder.path().join("spool.db")));
    let store = PostgresStore::open(&url, spool.clone()).await.unwrap();
    cluster.stop();
    let at = Timestamp::now();
    for n in 0..50 {
        store.commit(Arc::new(vec![fix("a", at, n)])).await.unwrap();
    }
    assert_eq!(store.condition(), Condition::Spooling { fixes: 50 });
    drop(store);
    cluster.resume();
    // The spool is let go of by the tasks that end with the store.
    let deadline = Instant::now() + PATIENCE;
    let store = loop {
        match PostgresStore::open(&url, spool.clone()).await {
            Err(_held) if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(50)).await,
            opened => break opened.unwrap(),
        }
    };
    until("the spool is empty", async || store.condition() == Condition::Well).await;
    assert_eq!(sequences(&store).await, (0..50).collect::<Vec<u64>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_is_noticed_and_given_up() {
    let Some((cluster, url)) = own().await else { return };
    // Longer than a busy machine takes for a commit.
    let commit_timeout = Duration::from_secs(6);
    let settings = PostgresSettings { commit_timeout, ..settings(None) };
    let store = PostgresStore::open(&url, settings).await.unwrap();
    let commit = |n: u64| store.commit(Arc::new(vec![fix("a", Timestamp::now(), n)]));
    commit(1).await.unwrap();
    cluster.freeze("-STOP");
    let began = Instant::now();
    assert!(matches!(commit(2).await, Err(StoreError::Unavailable(_))));
    let took = began.elapsed();
    assert!((commit_timeout..PATIENCE).contains(&took), "{took:?}");
    let began = Instant::now();
    assert!(matches!(commit(3).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.usage().await, Err(StoreError::Unavailable(_))));
    assert!(began.elapsed() < commit_timeout, "now it is known");
    cluster.freeze("-CONT");
    until("commits succeed again", async || commit(4).await.is_ok()).await;
    let found = sequences(&store).await;
    assert!(found.contains(&1) && found.contains(&4), "{found:?}");
}
