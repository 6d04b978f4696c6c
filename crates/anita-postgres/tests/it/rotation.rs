//! The password is changed while the server runs.

use std::sync::Arc;
use std::time::Duration;

use anita_model::{DeviceId, Timestamp};
use anita_postgres::{AuditReader, PostgresSettings, PostgresStore};
use anita_store::{HistoryQuery, Order, Store, StoreError};

use crate::cluster::{PASSWORD, connect};
use crate::faults::fix;
use crate::outage::{own, until};

/// Numbers of the fixes of the device, read over connections of the readers; `None` while there are none.
async fn sequences(store: &PostgresStore) -> Option<Vec<u64>> {
    let query = HistoryQuery {
        device: DeviceId::parse("a").unwrap(),
        start: None,
        end: None,
        order: Order::OldestFirst,
        limit: 100,
        after: None,
        within: None,
    };
    match store.page(query).await {
        Ok(page) => Some(page.fixes.iter().filter_map(|fix| fix.sequence).collect()),
        Err(StoreError::Unavailable(_)) => None,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_changed_in_its_file_is_used_for_the_next_connections() {
    let Some((_cluster, whole)) = own().await else { return };
    let url = whole.replace(&format!(":{PASSWORD}@"), "@");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("db.password");
    let settings = PostgresSettings {
        password_file: Some(file.clone()),
        retry_max: Duration::from_millis(100),
        ..PostgresSettings::default()
    };
    let error = PostgresStore::open(&url, settings.clone()).await.unwrap_err();
    let said = std::error::Error::source(&error).unwrap().to_string();
    assert!(said.starts_with(&format!("the password cannot be read from {}: ", file.display())), "{said}");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let store = PostgresStore::open(&url, settings).await.unwrap();
    let commit = async |at, sequence: u64| store.commit(Arc::new(vec![fix("a", at, sequence)])).await;
    commit(Timestamp::now(), 1).await.unwrap();
    assert_eq!(sequences(&store).await, Some(vec![1]));

    // Special characters need no escaping in a file.
    let administrator = connect(&whole).await;
    let cut = async || {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = 'anita' AND pid <> pg_backend_pid()";
        administrator.batch_execute(end).await.unwrap();
    };
    for (round, password) in [(2, "s%c@nd/p:ss"), (3, "third ü")] {
        administrator.batch_execute(&format!("ALTER ROLE anita PASSWORD '{password}'")).await.unwrap();
        // Connections that are there go on.
        assert_eq!(sequences(&store).await.map(|found| found.len()), Some(round - 1));
        cut().await;
        // With the old one it can't come back, and while there is none at all it goes on trying.
        until("nobody is let in", async || sequences(&store).await.is_none()).await;
        std::fs::remove_file(&file).unwrap();
        assert!(AuditReader::open(&url, Some(file.clone())).await.is_err());
        assert_eq!(sequences(&store).await, None);
        std::fs::write(&file, format!("{password}\n")).unwrap();
        let number = u64::try_from(round).unwrap();
        let at = Timestamp::now();
        until("it writes again", async || commit(at, number).await.is_ok()).await;
        until("it reads again", async || {
            sequences(&store).await.is_some_and(|found| found.last() == Some(&number) && found.len() == round)
        })
        .await;
        AuditReader::open(&url, Some(file.clone())).await.unwrap();
    }
    store.close().await.unwrap();
}
