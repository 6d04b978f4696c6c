//! The database goes away, and comes back.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anita_model::{DeviceId, Timestamp};
use anita_postgres::{PostgresSettings, PostgresStore};
use anita_store::{Condition, HistoryQuery, NewestQuery, Order, Store, StoreError};
use tokio::time::Instant;

use crate::cluster::{Cluster, execute};
use crate::faults::fix;

const PATIENCE: Duration = Duration::from_secs(60);

/// A server and a database of its own.
async fn own() -> Option<(Arc<Cluster>, String)> {
    let cluster = Arc::new(tokio::task::spawn_blocking(Cluster::start).await.unwrap()?);
    execute(&format!("{}/postgres", cluster.url()), "CREATE DATABASE anita").await;
    let url = format!("{}/anita", cluster.url());
    Some((cluster, url))
}

fn settings(spool: Option<PathBuf>) -> PostgresSettings {
    PostgresSettings {
        spool,
        commit_timeout: Duration::from_secs(1),
        read_timeout: Duration::from_secs(2),
        retry_max: Duration::from_millis(500),
        ..PostgresSettings::default()
    }
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
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
    loop {
        let page = store.page(query.clone()).await.unwrap();
        found.extend(page.fixes.iter().filter_map(|fix| fix.sequence));
        query.after = page.next;
        if page.next.is_none() {
            return found;
        }
    }
}

/// Commits a hundred fixes every 20 ms, until told to stop, and says how many.
async fn publish(store: Arc<PostgresStore>, stop: Arc<tokio::sync::Notify>) -> u64 {
    let mut next = 0;
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    loop {
        tokio::select! {
            () = stop.notified() => return next,
            _tick = tick.tick() => {}
        }
        let at = Timestamp::now();
        store.commit(Arc::new((next..next + 100).map(|n| fix("a", at, n)).collect())).await.unwrap();
        next += 100;
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
    until("fixes arrive", async || store.usage().await.unwrap().fixes.count > 500).await;
    for crash in [false, true] {
        let server = Arc::clone(&cluster);
        tokio::task::spawn_blocking(move || if crash { server.kill() } else { server.stop() }).await.unwrap();
        let is_spooling =
            async || matches!(store.condition(), Condition::Spooling { fixes } if fixes > 10_000);
        until("fixes are spooled", is_spooling).await;
        let began = Instant::now();
        let devices = vec![DeviceId::parse("a").unwrap()];
        let question = NewestQuery { devices, at: Timestamp::now(), not_before: None };
        assert!(matches!(store.newest(question).await, Err(StoreError::Unavailable(_))));
        assert!(
            began.elapsed() < Duration::from_millis(500),
            "questions don't wait for a database that is away"
        );
        let server = Arc::clone(&cluster);
        tokio::task::spawn_blocking(move || server.resume()).await.unwrap();
        until("the spool is empty", async || store.condition() == Condition::Well).await;
    }
    stop.notify_one();
    let acknowledged = publisher.await.unwrap();
    until("the spool is empty", async || store.condition() == Condition::Well).await;
    assert!(acknowledged > 20_000);
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
    let mut deadline = 0;
    // The spool is let go of by the tasks that end with the store.
    while PostgresStore::open(&url, spool.clone()).await.is_ok() && deadline < 10 {
        deadline += 1;
    }
    cluster.resume();
    let store = PostgresStore::open(&url, spool).await.unwrap();
    until("the spool is empty", async || store.condition() == Condition::Well).await;
    assert_eq!(sequences(&store).await, (0..50).collect::<Vec<u64>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_is_noticed_and_given_up() {
    let Some((cluster, url)) = own().await else { return };
    let store = PostgresStore::open(&url, settings(None)).await.unwrap();
    let commit = |n: u64| store.commit(Arc::new(vec![fix("a", Timestamp::now(), n)]));
    commit(1).await.unwrap();
    cluster.freeze("-STOP");
    let began = Instant::now();
    assert!(matches!(commit(2).await, Err(StoreError::Unavailable(_))));
    let took = began.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(5)).contains(&took), "{took:?}");
    let began = Instant::now();
    assert!(matches!(commit(3).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.usage().await, Err(StoreError::Unavailable(_))));
    assert!(began.elapsed() < Duration::from_millis(500), "now it is known");
    cluster.freeze("-CONT");
    until("commits succeed again", async || commit(4).await.is_ok()).await;
    let found = sequences(&store).await;
    assert!(found.contains(&1) && found.contains(&4), "{found:?}");
}
