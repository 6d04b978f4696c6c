//! Opens the store of a configuration.

mod doubt;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anita_hub::{Hub, Keeping};
use anita_postgres::{PostgresSettings, PostgresStore};
use anita_server::Clock;
use anita_sqlite::{SpoolSettings, SqliteSettings, SqliteStore};
use anita_store::audit::{AuditFile, AuditFileSettings};
use anita_store::{MemoryStore, OpenError, Retention, Store, Told};
use tokio_util::sync::CancellationToken;

use crate::config::{Backend, Storage};
use crate::store::doubt::Doubt;

/// How many events and audit entries a store in memory holds.
const MEMORY_EVENTS_MAX: usize = 100_000;

/// How often what is too old is looked for.
const TIDY_EVERY: Duration = Duration::from_secs(10);

/// The rest between two pieces of tidying: what is to be kept has its turn.
const TIDY_REST: Duration = Duration::from_millis(5);

/// How often states of devices are saved.
const SAVE_STATES_EVERY: Duration = Duration::from_secs(10);

/// The store of a configuration, ready.
pub(crate) async fn open(
    storage: &Storage,
    audit_file: Option<&AuditFileSettings>,
) -> Result<Keeping, OpenError> {
    let keeping = open_store(storage).await?;
    // After the store, which says whether another server runs here.
    let Some(settings) = audit_file else { return Ok(keeping) };
    let file = AuditFile::open(settings.clone()).map_err(|source| OpenError::Backend {
        store: format!("audit.file {}", settings.path.display()),
        source: format!(
            "{source}; let this user write the file and its folder, or name another one in audit.file, or \"\" for none"
        )
        .into(),
    })?;
    Ok(keeping.with_audit_file(file))
}

async fn open_store(storage: &Storage) -> Result<Keeping, OpenError> {
    let (store, told): (Arc<dyn Store>, Told) = match &storage.backend {
        Backend::Memory { fixes_per_device_max, fixes_max } => {
            let store = MemoryStore::new(*fixes_per_device_max, *fixes_max, MEMORY_EVENTS_MAX);
            return Ok(Keeping::in_memory(store));
        }
        Backend::Sqlite { path, recent_fixes_max } => {
            // The file is ours before the store is touched.
            let told = told(path)?;
            let settings =
                SqliteSettings { recent_fixes_max: *recent_fixes_max, ..SqliteSettings::default() };
            (Arc::new(SqliteStore::open_with(path, settings)?), told)
        }
        Backend::Postgres { url, password_file, spool_file, spool_fixes_max, connections_max } => {
            let told = told(spool_file)?;
            let settings = PostgresSettings {
                password_file: password_file.clone(),
                pool_max: *connections_max,
                spool: (*spool_fixes_max > 0).then(|| spool_file.clone()),
                spool_limits: SpoolSettings { fixes_max: *spool_fixes_max, ..SpoolSettings::default() },
                ..PostgresSettings::default()
            };
            (Arc::new(PostgresStore::open(url, settings).await?), told)
        }
    };
    Ok(Keeping::new(store, storage.writer, Some(told), storage.durability))
}

/// The file that says how far events were told, beside another one. Who has it has the store.
fn told(store: &Path) -> Result<Told, OpenError> {
    let shown = || store.display().to_string();
    let folder = store.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        let source = format!("its folder {} is not there; make it first", folder.display()).into();
        return Err(OpenError::Backend { store: shown(), source });
    }
    if store.is_dir() {
        return Err(OpenError::Backend {
            store: shown(),
            source: "it is a folder; name a file in it".into(),
        });
    }
    Told::open(&beside(store, "-told")).map_err(|error| match error {
        OpenError::InUse { .. } => OpenError::InUse { store: shown() },
        other @ (OpenError::Newer { .. } | OpenError::Backend { .. }) => other,
    })
}

/// A file beside another one, named after it.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Deletes what is too old, and measures what there is.
pub(crate) async fn tidy(hub: Arc<Hub>, retention: Retention, clock: Clock, stop: CancellationToken) {
    let mut doubt = Doubt::default();
    loop {
        loop {
            let now = clock.now();
            if !doubt.believes(now) {
                break;
            }
            let tidied = hub.tidy(retention.clone(), now.wall).await;
            // How the store is, is said in the log when that changes.
            let has_more = tidied.inspect_err(|error| tracing::debug!(%error, "tidying")).unwrap_or(false);
            if !has_more || stop.run_until_cancelled(tokio::time::sleep(TIDY_REST)).await.is_none() {
                break;
            }
        }
        if let Err(error) = hub.measure_store().await {
            tracing::debug!(%error, "the store was not measured");
        }
        if stop.run_until_cancelled(tokio::time::sleep(TIDY_EVERY)).await.is_none() {
            return;
        }
    }
}

/// Saves what was last heard of devices.
pub(crate) async fn save_states(hub: Arc<Hub>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(SAVE_STATES_EVERY)).await.is_some() {
        hub.save_states();
    }
}
