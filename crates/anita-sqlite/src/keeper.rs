//! The one thread that writes.
//!
//! A commit is one row of the journal and a few ordinary rows, in one transaction that is on the disk before it is
//! answered; its fixes are then in the table of recent fixes. When that is full it is sealed and packed into blocks, in
//! slices between the commits; then the journal is shortened. Packing again what was packed changes nothing, so a crash
//! at any moment is as good as any other.

mod commit;
mod pack;
mod tidy;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anita_model::Timestamp;
use anita_store::{OpenError, Record, Retention, StoreError, Tidied};
use parking_lot::RwLock;
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::oneshot;

use crate::checkpoint::Checkpointer;
use crate::codec;
use crate::fault::Fault;
use crate::names::Names;
use crate::plans::Change;
use crate::point::Key;
use crate::recent::Tables;
use crate::schema;
use crate::store::SqliteSettings;

/// How long the thread waits for a request before it packs another slice.
const PACK_PAUSE: Duration = Duration::from_millis(2);

/// How long packing rests after it failed.
const FAILED_PAUSE: Duration = Duration::from_secs(1);

/// What the writing thread and the readers share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Where the file is.
    pub(crate) path: PathBuf,
    /// How it works.
    pub(crate) settings: SqliteSettings,
    /// The short numbers.
    pub(crate) names: RwLock<Names>,
    /// What is not in blocks yet.
    pub(crate) tables: RwLock<Tables>,
    /// Set to let the next disk operation of the writer fail, and how often it was opened again: for tests.
    pub(crate) faults: Faults,
}

/// Faults that tests ask for.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// The next commit fails as if its fsync had.
    pub(crate) fail_sync: AtomicBool,
    /// How often the connection was opened anew.
    pub(crate) recovered: AtomicU64,
}

/// What the thread is asked for.
#[derive(Debug)]
pub(crate) enum Request {
    /// Keep records.
    Commit(Arc<Vec<Record>>, Answer<()>),
    /// Change the floor plans.
    Plan(Change, Answer<()>),
    /// Delete a little.
    Tidy(Retention, Timestamp, Answer<Tidied>),
    /// End.
    Close(Answer<()>),
}

pub(crate) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// The state of the thread.
#[derive(Debug)]
pub(crate) struct Keeper {
    db: Connection,
    shared: Arc<Shared>,
    checkpointer: Checkpointer,
    /// The number of the next row of the journal.
    next_row: i64,
    /// How many fixes the rows of the recent table hold, those that are double included.
    journaled: usize,
    packing: Option<Packing>,
    /// Rows of the journal that can't be read, and are to be put aside.
    damaged: Vec<i64>,
    /// Another server may have the file open until this one is asked to write: nothing is written of its own accord.
    is_master: bool,
    is_shaken: bool,
    rests_until: Option<Instant>,
    tidying: tidy::Progress,
}

/// How far packing is.
#[derive(Debug)]
struct Packing {
    /// The last row of the journal that it is about.
    row: i64,
    /// The devices that are left, the next one last.
    devices: Vec<i64>,
}

impl Keeper {
    /// Opens the file and reads what is not in blocks.
    pub(crate) fn open(path: PathBuf, settings: SqliteSettings) -> Result<(Self, Arc<Shared>), OpenError> {
        let store = path.display().to_string();
        let refused = |fault: Fault| OpenError::Backend { store: store.clone(), source: fault.into() };
        let db = schema::open(&path, schema::STORE)?;
        if let Some(pages_max) = settings.pages_max {
            db.pragma_update(None, "max_page_count", pages_max).map_err(|error| refused(error.into()))?;
        }
        let checkpointer = Checkpointer::start(path.clone())
            .map_err(|source| OpenError::Backend { store: store.clone(), source: source.into() })?;
        let shared = Arc::new(Shared {
            path,
            settings,
            names: RwLock::default(),
            tables: RwLock::default(),
            faults: Faults::default(),
        });
        let mut keeper = Self {
            db,
            shared: Arc::clone(&shared),
            checkpointer,
            next_row: 1,
            journaled: 0,
            packing: None,
            damaged: Vec::new(),
            is_master: false,
            is_shaken: false,
            rests_until: None,
            tidying: tidy::Progress::default(),
        };
        keeper.load().map_err(refused)?;
        Ok((keeper, shared))
    }

    /// Reads the numbers and the journal into memory, whatever was there.
    fn load(&mut self) -> Result<(), Fault> {
        let names = Names::load(&self.db)?;
        let progress = progress(&self.db)?;
        let loaded = read_journal(&self.db, &names, progress)?;
        self.next_row = loaded.last_row.max(progress.map_or(0, |progress| progress.row)) + 1;
        self.journaled = loaded.journaled;
        self.damaged = loaded.damaged;
        self.packing = progress
            .map(|Done { row, .. }| Packing { row, devices: reversed(loaded.tables.sealed.devices()) });
        *self.shared.names.write() = names;
        *self.shared.tables.write() = loaded.tables;
        Ok(())
    }

    /// Serves requests until there can be none.
    pub(crate) fn run(mut self, requests: &Receiver<Request>) {
        loop {
            let request = if self.packing.is_some() && self.is_master {
                requests.recv_timeout(self.pause())
            } else {
                requests.recv().map_err(|_gone| RecvTimeoutError::Disconnected)
            };
            match request {
                // Whoever asked may be gone, and needs no answer then.
                Ok(Request::Commit(records, answer)) => {
                    answer.send(self.commit(&records)).ok();
                }
                Ok(Request::Plan(change, answer)) => {
                    answer.send(self.change_plan(&change)).ok();
                }
                Ok(Request::Tidy(retention, now, answer)) => {
                    answer.send(self.tidy(&retention, now)).ok();
                }
                Ok(Request::Close(answer)) => {
                    let closed = self.close();
                    // The file is closed before anybody hears that it is.
                    drop(self);
                    answer.send(closed).ok();
                    return;
                }
                Err(RecvTimeoutError::Timeout) => self.pack_a_slice(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn pause(&self) -> Duration {
        let rest = self.rests_until.map(|until| until.saturating_duration_since(Instant::now()));
        rest.unwrap_or_default().max(PACK_PAUSE)
    }

    /// Does some packing while nobody asks for anything.
    fn pack_a_slice(&mut self) {
        let packed = self.recover().and_then(|()| self.pack(pack::SLICE));
        self.checkpoint();
        match packed {
            Ok(()) => self.rests_until = None,
            Err(fault) => {
                if self.rests_until.is_none() {
                    tracing::error!(error = %fault, "fixes could not be packed; they stay in the journal for now");
                }
                self.rests_until = Some(Instant::now() + FAILED_PAUSE);
                self.judge(&fault);
            }
        }
    }

    /// Notes what a fault means for the connection.
    fn judge(&mut self, fault: &Fault) {
        self.is_shaken |= fault.shakes_the_disk();
    }

    /// Opens the file anew if a write to the disk failed.
    ///
    /// After a failed fsync the system may take pages for written that are not on the disk, and no later fsync would
    /// write them. What was acknowledged stays readable from memory all the same: so everything in the log is copied
    /// into the file itself, which writes those pages anew, with an fsync that has to succeed, and the log begins from
    /// nothing. The transaction that failed may have come back to life by that, unacknowledged; so what is in memory is
    /// read again, too. Until all of it is done, nothing is acknowledged.
    fn recover(&mut self) -> Result<(), Fault> {
        if !self.is_shaken {
            return self.put_aside();
        }
        self.db = schema::reopen(&self.shared.path)?;
        if let Some(pages_max) = self.shared.settings.pages_max {
            self.db.pragma_update(None, "max_page_count", pages_max)?;
        }
        let is_busy: bool = self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if is_busy {
            return Err(Fault::Reopen("somebody else reads or writes for too long".into()));
        }
        self.load()?;
        self.is_shaken = false;
        self.shared.faults.recovered.fetch_add(1, Ordering::Relaxed);
        tracing::warn!("the store was opened again after its disk failed");
        self.put_aside()
    }

    /// Puts rows of the journal aside that can't be read, before packing would delete them.
    fn put_aside(&mut self) -> Result<(), Fault> {
        if self.damaged.is_empty() {
            return Ok(());
        }
        let transaction = self.db.unchecked_transaction()?;
        for &row in &self.damaged {
            let sql = "INSERT INTO damaged_block (id, device, first_us, last_us, fixes, body)
                       SELECT NULL, 0, 0, 0, 0, body FROM journal WHERE id = ?1";
            transaction.execute(sql, [row])?;
            transaction.execute("DELETE FROM journal WHERE id = ?1", [row])?;
        }
        transaction.commit()?;
        self.damaged.clear();
        Ok(())
    }

    /// Copies the rest of the log when the helper has copied most of it, so that it begins anew.
    fn checkpoint(&mut self) {
        if let Err(error) = self.checkpointer.finish(&self.db) {
            let fault = Fault::from(error);
            // The helper says so in the log.
            tracing::debug!(error = %fault, "the log could not be copied into the store's file");
            self.judge(&fault);
        }
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.recover()?;
        self.checkpointer.stop();
        let is_busy: bool = self
            .db
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(Fault::from)?;
        if is_busy {
            tracing::info!("somebody still reads the store; its log stays beside it");
        }
        Ok(())
    }
}

fn reversed(mut devices: Vec<i64>) -> Vec<i64> {
    devices.reverse();
    devices
}

/// What is in blocks of what the journal still has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Done {
    /// Up to this row …
    pub(crate) row: i64,
    /// … all fixes of devices before this one …
    pub(crate) device: i64,
    /// … and those of this one up to this key.
    pub(crate) up_to: Key,
}

impl Done {
    fn has(&self, row: i64, device: i64, key: Key) -> bool {
        row <= self.row && (device, key) <= (self.device, self.up_to)
    }
}

/// How far packing was.
pub(crate) fn progress(db: &Connection) -> Result<Option<Done>, Fault> {
    let done = |row: &rusqlite::Row<'_>| {
        Ok(Done { row: row.get(0)?, device: row.get(1)?, up_to: (row.get(2)?, row.get(3)?) })
    };
    let sql = "SELECT journal, device, taken_us, discriminator FROM packing";
    Ok(db.prepare_cached(sql)?.query_row([], done).optional()?)
}

/// What the journal holds that is not in blocks.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) tables: Tables,
    last_row: i64,
    journaled: usize,
    /// The rows that can't be read.
    pub(crate) damaged: Vec<i64>,
}

/// Reads the journal.
pub(crate) fn read_journal(db: &Connection, names: &Names, done: Option<Done>) -> Result<Loaded, Fault> {
    let known: std::collections::HashSet<i64> = names.devices().map(|(_id, number)| number).collect();
    let mut loaded = Loaded::default();
    let mut statement = db.prepare("SELECT id, body FROM journal ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        loaded.last_row = id;
        let Ok(points) = codec::read_journal(row.get_ref(1)?.as_blob().unwrap_or_default()) else {
            // One row must not keep a server from starting.
            tracing::error!(row = id, "fixes of the journal can't be read, and are put aside");
            loaded.damaged.push(id);
            continue;
        };
        let is_sealed = done.is_some_and(|done| id <= done.row);
        if !is_sealed {
            loaded.journaled += points.len();
        }
        for (device, point) in points {
            if !known.contains(&device) || done.is_some_and(|done| done.has(id, device, point.key())) {
                continue;
            }
            let tables = &mut loaded.tables;
            if is_sealed { &mut tables.sealed } else { &mut tables.recent }.insert(device, point);
        }
    }
    Ok(loaded)
}

#[cfg(test)]
mod tests {
    use anita_model::{DeviceId, Fix, Position, SiteName, SourceName};

    use super::*;

    fn fix(device: &str, n: i64) -> Record {
        let taken_at = Timestamp::from_micros(n).unwrap();
        Record::Fix(Arc::new(Fix {
            device: DeviceId::parse(device).unwrap(),
            site: SiteName::main(),
            position: Position::new(1.0, 2.0, 3.0).unwrap(),
            accuracy_m: None,
            floor: None,
            battery_percent: None,
            taken_at,
            received_at: taken_at,
            source: SourceName::parse("hall").unwrap(),
            sequence: None,
        }))
    }

    #[test]
    fn after_a_crash_packing_goes_on_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anita.db");
        let open = || Keeper::open(path.clone(), SqliteSettings::default()).unwrap();
        let counts = |shared: &Shared, keeper: &Keeper| {
            let tables = shared.tables.read();
            let packed: i64 = keeper
                .db
                .query_row("SELECT count FROM tally WHERE kind = 'fixes'", [], |row| row.get(0))
                .unwrap();
            (packed, tables.sealed.fixes(), tables.recent.fixes())
        };
        let (mut keeper, shared) = open();
        let all: Vec<Record> = (0..50).flat_map(|n| ["a", "b", "c"].map(|device| fix(device, n))).collect();
        keeper.commit(&all).unwrap();
        keeper.seal();
        keeper.commit(&[fix("a", 1_000)]).unwrap();
        keeper.pack(pack::Slice { fixes: 1, time: Duration::MAX }).unwrap();
        assert_eq!(counts(&shared, &keeper), (50, 100, 1), "one device at a time");
        drop(keeper);
        let (mut keeper, shared) = open();
        assert_eq!(counts(&shared, &keeper), (50, 100, 1));
        while keeper.packing.is_some() {
            keeper.pack(pack::SLICE).unwrap();
        }
        assert_eq!(counts(&shared, &keeper), (150, 0, 1));
        drop(keeper);
        let (keeper, shared) = open();
        assert_eq!(counts(&shared, &keeper), (150, 0, 1));
        assert!(keeper.packing.is_none());
        let rows: i64 = keeper.db.query_row("SELECT count(*) FROM journal", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 1, "what is packed is out of the journal");
    }
}
