//! What every backend has to do, run against each of them.

use std::sync::Arc;

use anita_model::{DeviceId, DeviceKind, Fix, Position, SiteName, SourceName, Timestamp};

use crate::{
    Cursor, DeviceChange, DeviceRecord, DeviceStore, History, HistoryQuery, MemoryDevices, MemoryHistory,
    SqliteDevices,
};

fn record(id: &str, name: Option<&str>) -> DeviceRecord {
    DeviceRecord {
        id: DeviceId::parse(id).unwrap(),
        name: name.map(str::to_owned),
        kind: DeviceKind::Anchor,
        site: SiteName::main(),
        mounted_at: Position::new(1.25, -2.5, 3.0).ok(),
        floor: Some(1.5),
    }
}

async fn a_registry_keeps_what_was_saved_last(store: &dyn DeviceStore) {
    assert_eq!(store.load().await.unwrap(), []);
    let save = |id: &str, name: Option<&str>| DeviceChange::Save(record(id, name));
    store.apply(vec![save("b", Some("Bär")), save("a", Some("old"))]).await.unwrap();
    store.apply(vec![save("a", None)]).await.unwrap();
    assert_eq!(store.load().await.unwrap(), [record("a", None), record("b", Some("Bär"))]);
    let remove = |id: &str| DeviceChange::Remove(DeviceId::parse(id).unwrap());
    store.apply(vec![remove("b"), save("c", None), remove("nobody"), remove("c")]).await.unwrap();
    assert_eq!(store.load().await.unwrap(), [record("a", None)]);
}

#[tokio::test]
async fn the_memory_registry_conforms() {
    a_registry_keeps_what_was_saved_last(&MemoryDevices::default()).await;
}

#[tokio::test]
async fn the_sqlite_registry_conforms_and_remembers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("anita.db");
    a_registry_keeps_what_was_saved_last(&SqliteDevices::open(&path).unwrap()).await;
    let again = SqliteDevices::open(&path).unwrap();
    assert_eq!(again.load().await.unwrap(), [record("a", None)]);
}

#[tokio::test]
async fn a_store_of_a_newer_program_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("anita.db");
    drop(SqliteDevices::open(&path).unwrap());
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let error = SqliteDevices::open(&path).unwrap_err().to_string();
    assert!(error.contains("has schema version 99") && error.contains("run the newer program"), "{error}");
}

#[tokio::test]
async fn a_hundred_saves_at_once_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteDevices::open(&folder.path().join("anita.db")).unwrap();
    let saves: Vec<_> = (0..100)
        .map(|n| store.apply(vec![DeviceChange::Save(record(&format!("tag-{n:03}"), None))]))
        .collect();
    // Half of them are waited for; the others take their course all the same.
    for save in saves.into_iter().skip(50) {
        save.await.unwrap();
    }
    assert_eq!(store.load().await.unwrap().len(), 100);
}

fn fix(x_m: f64, secs: i64) -> Arc<Fix> {
    let taken_at = Timestamp::from_micros(secs * 1_000_000).unwrap();
    Arc::new(Fix {
        device: DeviceId::parse("a").unwrap(),
        site: SiteName::main(),
        position: Position::new(x_m, 0.0, 0.0).unwrap(),
        accuracy_m: None,
        floor: None,
        battery_percent: None,
        taken_at,
        received_at: taken_at,
        source: SourceName::parse("test").unwrap(),
    })
}

fn query() -> HistoryQuery {
    HistoryQuery { device: DeviceId::parse("a").unwrap(), start: None, end: None, limit: 100, after: None }
}

/// The x coordinates of all pages of a query.
async fn pages(history: &dyn History, query: HistoryQuery) -> Vec<Vec<f64>> {
    let mut pages = Vec::new();
    let mut after = query.after;
    loop {
        let page = history.page(HistoryQuery { after, ..query.clone() }).await.unwrap();
        pages.push(page.fixes.iter().map(|fix| fix.position.x_m()).collect());
        match page.next {
            Some(next) => after = Some(Cursor::parse(&next.to_string()).unwrap()),
            None => return pages,
        }
    }
}

#[tokio::test]
async fn history_is_newest_first_in_pages_and_late_fixes_find_their_place() {
    let history = MemoryHistory::new(100, 1_000);
    let fixes = vec![fix(1.0, 1), fix(4.0, 4), fix(2.0, 2), fix(3.0, 3), fix(3.5, 3), fix(3.0, 3)];
    history.append(fixes).await.unwrap();
    assert_eq!(pages(&history, query()).await, [vec![4.0, 3.5, 3.0, 2.0, 1.0]]);
    let paged = pages(&history, HistoryQuery { limit: 2, ..query() }).await;
    assert_eq!(paged, [vec![4.0, 3.5], vec![3.0, 2.0], vec![1.0]]);
    let at = |secs: i64| Timestamp::from_micros(secs * 1_000_000).ok();
    let ranged = HistoryQuery { start: at(2), end: at(3), ..query() };
    assert_eq!(pages(&history, ranged).await, [vec![3.5, 3.0, 2.0]]);
    history.forget(query().device).await.unwrap();
    assert_eq!(pages(&history, query()).await, [vec![0.0; 0]]);
}

#[tokio::test]
async fn history_is_bounded_for_each_device_and_in_all() {
    let history = MemoryHistory::new(3, 1_000);
    history.append((0..10).map(|n| fix(f64::from(n), i64::from(n))).collect()).await.unwrap();
    assert_eq!(pages(&history, query()).await, [vec![9.0, 8.0, 7.0]]);
    let history = MemoryHistory::new(1_000, 2);
    history.append((0..10).map(|n| fix(f64::from(n), i64::from(n))).collect()).await.unwrap();
    assert_eq!(pages(&history, query()).await, [vec![9.0, 8.0]]);
}

#[test]
fn texts_that_are_no_cursors_are_refused() {
    for text in ["", "1", "1.", ".1", "a.b", "1.-1", "99999999999999999999.1"] {
        assert!(Cursor::parse(text).is_err(), "{text}");
    }
}
