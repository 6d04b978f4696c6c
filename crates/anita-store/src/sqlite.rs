//! The registry in SQLite: one file, one writer thread, WAL.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anita_model::{DeviceId, DeviceKind, Position, SiteName};
use rusqlite::{Connection, params};
use tokio::sync::{mpsc, oneshot};

use crate::port::{BoxFuture, DeviceChange, DeviceRecord, DeviceStore, StoreError};

/// The steps from an empty file to the present schema, in order; `PRAGMA user_version` counts those taken.
const MIGRATIONS: &[&str] = &[include_str!("sqlite/001_devices.sql")];

/// How many requests may wait for the writer thread.
const WAITING_MAX: usize = 1_024;

/// How many saves share one commit at the most.
const GROUP_MAX: usize = 256;

/// How long another process may hold the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite refuses.
    #[error("cannot open the store {path}")]
    Sqlite {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// A newer program wrote the file.
    #[error(
        "the store {path} has schema version {found}, this program knows versions up to {known}; run the newer program, or restore an older copy"
    )]
    Newer {
        /// Which file.
        path: String,
        /// The file's version.
        found: u32,
        /// The newest version that is known.
        known: u32,
    },
    /// The writer thread could not be started.
    #[error("cannot start the store's thread")]
    Thread(#[source] std::io::Error),
}

enum Request {
    Load(oneshot::Sender<Result<Vec<DeviceRecord>, StoreError>>),
    Apply(Vec<DeviceChange>, oneshot::Sender<Result<(), StoreError>>),
}

/// The registry in a file.
#[derive(Debug)]
pub struct SqliteDevices {
    /// `None` only while it is dropped: then the thread ends.
    requests: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for SqliteDevices {
    /// Waits until what is on its way is written and the file is closed.
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's thread panicked");
        }
    }
}

impl SqliteDevices {
    /// Opens the file, makes it if it is not there, and brings its schema up to date.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let shown = path.display().to_string();
        let sqlite = |source| OpenError::Sqlite { path: shown.clone(), source };
        let mut connection = Connection::open(path).map_err(sqlite)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(sqlite)?;
        connection.pragma_update(None, "journal_mode", "wal").map_err(sqlite)?;
        // An acknowledged save survives a loss of power, not only of the process.
        connection.pragma_update(None, "synchronous", "full").map_err(sqlite)?;
        migrate(&mut connection, &shown)?;
        let (requests, waiting) = mpsc::channel(WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("anita-sqlite".into())
            .spawn(move || serve(&mut connection, waiting))
            .map_err(OpenError::Thread)?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    fn ask<T: Send + 'static>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Request,
    ) -> BoxFuture<'_, Result<T, StoreError>> {
        let (answer, answered) = oneshot::channel();
        let sent = self.requests.as_ref().is_some_and(|requests| requests.try_send(request(answer)).is_ok());
        Box::pin(async move {
            if !sent {
                return Err(StoreError::Busy);
            }
            answered.await.unwrap_or(Err(StoreError::Busy))
        })
    }
}

impl DeviceStore for SqliteDevices {
    fn load(&self) -> BoxFuture<'_, Result<Vec<DeviceRecord>, StoreError>> {
        self.ask(Request::Load)
    }

    fn apply(&self, changes: Vec<DeviceChange>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.ask(|answer| Request::Apply(changes, answer))
    }
}

fn migrate(connection: &mut Connection, path: &str) -> Result<(), OpenError> {
    let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sqlite)?;
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(OpenError::Newer { path: path.to_owned(), found, known });
    }
    for (version, sql) in (1_u32..).zip(MIGRATIONS).skip_while(|(version, _sql)| *version <= found) {
        let transaction = connection.transaction().map_err(sqlite)?;
        transaction.execute_batch(sql).map_err(sqlite)?;
        transaction.pragma_update(None, "user_version", version).map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
    }
    Ok(())
}

/// The writer thread: takes what waits, does it in one transaction, and answers after the commit.
fn serve(connection: &mut Connection, mut waiting: mpsc::Receiver<Request>) {
    let mut group = Vec::new();
    while waiting.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
        perform(connection, group.drain(..));
    }
}

fn perform(connection: &mut Connection, group: impl Iterator<Item = Request>) {
    let mut writes = Vec::new();
    // A group of one is as good as many; a fault of one fails all, and each of them may try again.
    let mut result = connection.transaction().and_then(|transaction| {
        for request in group {
            match request {
                Request::Load(answer) => {
                    // Whoever asked may be gone, and needs no answer then.
                    answer.send(load(&transaction).map_err(unavailable)).ok();
                }
                Request::Apply(changes, answer) => {
                    writes.push(answer);
                    for change in changes {
                        make(&transaction, &change)?;
                    }
                }
            }
        }
        transaction.commit()
    });
    if let Err(error) = &result {
        tracing::error!(%error, writes = writes.len(), "the registry could not be written");
    }
    let result = std::mem::replace(&mut result, Ok(())).map_err(unavailable);
    for answer in writes {
        answer.send(result.clone()).ok();
    }
}

fn unavailable(error: rusqlite::Error) -> StoreError {
    StoreError::Unavailable(Arc::new(error))
}

fn make(connection: &Connection, change: &DeviceChange) -> Result<(), rusqlite::Error> {
    match change {
        DeviceChange::Save(device) => save(connection, device),
        DeviceChange::Remove(id) => {
            connection.prepare_cached("DELETE FROM device WHERE id = ?1")?.execute([id.as_str()])?;
            Ok(())
        }
    }
}

fn save(connection: &Connection, device: &DeviceRecord) -> Result<(), rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO device (id, name, kind, site, x_m, y_m, z_m, floor)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let mounted = device.mounted_at;
    statement.execute(params![
        device.id.as_str(),
        device.name,
        kind_word(device.kind),
        device.site.as_str(),
        mounted.map(Position::x_m),
        mounted.map(Position::y_m),
        mounted.map(Position::z_m),
        device.floor,
    ])?;
    Ok(())
}

fn load(connection: &Connection) -> Result<Vec<DeviceRecord>, rusqlite::Error> {
    let mut statement = connection
        .prepare_cached("SELECT id, name, kind, site, x_m, y_m, z_m, floor FROM device ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut devices = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, kind, site): (String, String, String) = (row.get(0)?, row.get(2)?, row.get(3)?);
        let coordinates: (Option<f64>, Option<f64>, Option<f64>) = (row.get(4)?, row.get(5)?, row.get(6)?);
        let (Ok(id), Ok(site)) = (DeviceId::parse(&id), SiteName::parse(&site)) else {
            tracing::warn!(id, "a device of the store has no valid name, and is left out");
            continue;
        };
        let mounted_at = match coordinates {
            (Some(x_m), Some(y_m), Some(z_m)) => Position::new(x_m, y_m, z_m).ok(),
            _ => None,
        };
        let floor: Option<f64> = row.get(7)?;
        devices.push(DeviceRecord { id, name: row.get(1)?, kind: kind_of(&kind), site, mounted_at, floor });
    }
    Ok(devices)
}

fn kind_word(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Tag => "tag",
        DeviceKind::Anchor => "anchor",
        DeviceKind::Gateway => "gateway",
    }
}

fn kind_of(word: &str) -> DeviceKind {
    match word {
        "anchor" => DeviceKind::Anchor,
        "gateway" => DeviceKind::Gateway,
        _ => DeviceKind::Tag,
    }
}
