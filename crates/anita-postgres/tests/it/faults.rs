//! What goes wrong at the start, and how questions are answered by the indexes.

use std::sync::Arc;
use std::time::Duration;

use anita_model::{DeviceId, Fix, Position, SiteName, SourceName, Timestamp};
use anita_postgres::{AuditReader, PostgresSettings, PostgresStore};
use anita_store::audit::Chain;
use anita_store::{AuditQuery, HistoryQuery, OpenError, Order, Record, Store, StoreError};

use crate::cluster::{connect, execute};
use crate::database::database;

pub(crate) fn fix(device: &str, taken_at: Timestamp, sequence: u64) -> Record {
    Record::Fix(Arc::new(Fix {
        device: DeviceId::parse(device).unwrap(),
        site: SiteName::main(),
        position: Position::new(1.25, 2.5, 0.0).unwrap(),
        accuracy_m: Some(0.1),
        floor: None,
        battery_percent: None,
        taken_at,
        received_at: taken_at,
        source: SourceName::parse("test").unwrap(),
        sequence: Some(sequence),
    }))
}

/// A message with all its causes.
fn told(error: &OpenError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn a_wrong_password_is_told_without_the_password() {
    let Some(database) = database().await else { return };
    let url = database.url.replace("an-ita-test-pass", "hunter2-secret");
    if url == database.url {
        return;
    }
    let error = PostgresStore::open(&url, PostgresSettings::default()).await.unwrap_err();
    let text = told(&error);
    assert!(text.contains("password authentication failed"), "{text}");
    assert!(!text.contains("hunter2") && !format!("{error:?}").contains("hunter2"), "{error:?}");
    let store = PostgresStore::open(&database.url, PostgresSettings::default()).await.unwrap();
    assert!(!format!("{store:?}").contains("an-ita-test-pass"));
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let Some(database) = database().await else { return };
    let url = format!("{}?sslmode=require", database.url);
    let text = told(&PostgresStore::open(&url, PostgresSettings::default()).await.unwrap_err());
    assert!(text.contains("TLS"), "{text}");
}

#[tokio::test]
async fn a_database_that_is_away_at_the_start_is_an_error() {
    let url = "postgres://anita:hunter2@127.0.0.1:1/anita";
    let text = told(&PostgresStore::open(url, PostgresSettings::default()).await.unwrap_err());
    assert!(text.contains("postgres://127.0.0.1:1/anita") && text.contains("refused"), "{text}");
}

#[tokio::test]
async fn a_newer_schema_is_refused_with_the_way_out() {
    let Some(database) = database().await else { return };
    let store = PostgresStore::open(&database.url, PostgresSettings::default()).await.unwrap();
    store.close().await.unwrap();
    execute(&database.url, "INSERT INTO schema_version (version, first_day) VALUES (99, 0)").await;
    let error = PostgresStore::open(&database.url, PostgresSettings::default()).await.unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 99, known: 3, .. }), "{error}");
}

#[tokio::test]
async fn the_audit_trail_of_the_first_version_stays_and_a_chain_begins_after_it() {
    let Some(database) = database().await else { return };
    let store = PostgresStore::open(&database.url, PostgresSettings::default()).await.unwrap();
    store.close().await.unwrap();
    let back = "DROP TABLE plan_picture; DROP TABLE plan; DROP TABLE revocation;
        ALTER TABLE audit DROP COLUMN issuer, DROP COLUMN seq, DROP COLUMN previous, DROP COLUMN hash;
        DELETE FROM schema_version WHERE version >= 2;
        INSERT INTO audit (at, subject, action, object, outcome) VALUES (now(), 'alice', 'act', '', 'done');
        UPDATE kept SET count = 1, bytes = 200 WHERE kind = 'audit'";
    for step in back.split(';') {
        execute(&database.url, step).await;
    }
    let error = AuditReader::open(&database.url, None).await.unwrap_err();
    assert!(told(&error).contains("not a chain yet"), "{error}");
    let store = PostgresStore::open(&database.url, PostgresSettings::default()).await.unwrap();
    let remembered = store.load(1).await.unwrap();
    assert_eq!((remembered.audit_head, remembered.revocations), (None, vec![]));
    let entries = || async {
        let query = AuditQuery { order: Order::OldestFirst, limit: 9, ..AuditQuery::default() };
        let page = AuditReader::open(&database.url, None).await.unwrap().page(&query).await.unwrap();
        page.entries.into_iter().map(|(_ordinal, entry)| entry).collect::<Vec<_>>()
    };
    let old = entries().await;
    assert_eq!((old.len(), old[0].link, old[0].record.subject.as_str()), (1, None, "alice"));
    let mut chain = Chain::default();
    let added = chain.add(old[0].record.clone());
    store.commit(Arc::new(vec![Record::Audit(added.clone())])).await.unwrap();
    assert_eq!(store.load(1).await.unwrap().audit_head, chain.head());
    assert_eq!(entries().await, [old, vec![added]].concat());
}

#[tokio::test]
async fn a_second_server_on_the_same_database_is_refused_until_the_first_one_ends() {
    let Some(database) = database().await else { return };
    let settings = PostgresSettings { lock_wait: Duration::from_millis(200), ..PostgresSettings::default() };
    let first = PostgresStore::open(&database.url, settings.clone()).await.unwrap();
    let error = PostgresStore::open(&database.url, settings.clone()).await.unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    first.close().await.unwrap();
    // The database may notice a little later that the first one is gone.
    let settings = PostgresSettings { lock_wait: Duration::from_secs(20), ..settings };
    PostgresStore::open(&database.url, settings).await.unwrap();
}

#[tokio::test]
async fn without_a_spool_a_lost_connection_comes_back_and_commits_meanwhile_are_refused() {
    let Some(database) = database().await else { return };
    let store = PostgresStore::open(&database.url, PostgresSettings::default()).await.unwrap();
    let commit = |n: u64| store.commit(Arc::new(vec![fix("a", Timestamp::now(), n)]));
    commit(1).await.unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database = \
               (SELECT oid FROM pg_database WHERE datname = current_database())";
    execute(&database.url, end).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while let Err(error) = commit(2).await {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        assert!(tokio::time::Instant::now() < deadline, "it does not come back");
        tokio::task::yield_now().await;
    }
    assert_eq!(store.usage().await.unwrap().fixes.count, 2);
}

#[tokio::test]
async fn the_tables_can_be_asked_by_hand() {
    let Some(database) = database().await else { return };
    let store = PostgresStore::open(&database.url, PostgresSettings::default()).await.unwrap();
    let at = Timestamp::parse("2026-03-01T12:00:00.123456Z").unwrap();
    store.commit(Arc::new(vec![fix("tag 7", at, u64::MAX)])).await.unwrap();
    let client = connect(&database.url).await;
    let sql = "SELECT device_id, x_m, source, site, sequence::text, taken_at::text FROM location";
    let row = client.query_one(sql, &[]).await.unwrap();
    let texts: Vec<String> = [0, 2, 3, 4].into_iter().map(|column| row.get(column)).collect();
    assert_eq!(texts, ["tag 7", "test", "main", "18446744073709551615"]);
    assert!((row.get::<_, f64>(1) - 1.25).abs() < f64::EPSILON);
    assert!(row.get::<_, String>(5).contains("12:00:00.123456"));
}

#[tokio::test]
async fn a_page_reads_an_index_and_only_the_tables_of_its_days() {
    let Some(database) = database().await else { return };
    let store = PostgresStore::open(&database.url, PostgresSettings::default()).await.unwrap();
    let now = Timestamp::now();
    let mut records = Vec::new();
    for day in 0..12_u32 {
        for n in 0..200_u32 {
            let at = now.minus(Duration::from_secs(u64::from(day * 86_400 + n * 60)));
            records.extend(["a", "b", "c"].map(|device| fix(device, at, n.into())));
        }
    }
    store.commit(Arc::new(records)).await.unwrap();
    let client = connect(&database.url).await;
    client.batch_execute("ANALYZE").await.unwrap();
    // What the store asks first for a page without a start: the last two days.
    let sql = "EXPLAIN SELECT * FROM fix f WHERE f.device = 1 AND f.taken_at >= now() - interval '2 days' \
               AND f.taken_at <= '9999-01-01' AND (f.taken_at, f.discriminator) >= (now() - interval '2 days', 0) \
               AND (f.taken_at, f.discriminator) <= ('9999-01-01', 9) \
               ORDER BY f.taken_at DESC, f.discriminator DESC LIMIT 101";
    let sql = sql
        .replace("now() - interval '2 days'", &format!("'{}'", now.minus(Duration::from_secs(2 * 86_400))));
    let rows = client.query(&sql, &[]).await.unwrap();
    let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let scans: Vec<&String> = plan.iter().filter(|line| line.contains(" on fix_")).collect();
    assert!(!scans.is_empty() && scans.len() <= 5, "{plan:#?}");
    assert!(scans.iter().all(|line| line.contains("Index Scan")), "{plan:#?}");
    let query = HistoryQuery {
        device: DeviceId::parse("a").unwrap(),
        start: None,
        end: None,
        order: Order::NewestFirst,
        limit: 1_000,
        after: None,
        within: None,
    };
    let page = store.page(query).await.unwrap();
    assert_eq!((page.fixes.len(), page.next.is_some()), (1_000, true));
}
