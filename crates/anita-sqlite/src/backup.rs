//! A copy of a store that is in use, and what a copy holds.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anita_store::OpenError;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::codec::Damaged;
use crate::fault::Fault;
use crate::keeper;
use crate::names::Names;
use crate::schema;

/// How many pages are copied between two reports of progress: 8 MiB.
const PAGES: i32 = 1_024;

/// How long the store may be locked by somebody else.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a step is tried while the store is locked, and the pause before the next try.
const LOCKED_MAX: u32 = 250;

/// As in [`LOCKED_MAX`].
const LOCKED_PAUSE: Duration = Duration::from_millis(20);

/// How many faults of a file are told.
const FAULTS_MAX: usize = 10;

/// What is in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its schema version.
    pub schema_version: u32,
    /// Devices of the registry.
    pub devices: u64,
    /// Fixes; where some are double until they are packed, those twice.
    pub fixes: u64,
    /// What SQLite finds wrong with the file; empty when nothing is.
    pub faults: Vec<String>,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The target is there already.
    #[error("{path} is there already; a copy never replaces a file")]
    Exists {
        /// Which file.
        path: String,
    },
    /// A file is of a newer program, or none of ours.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The copy is not sound.
    #[error("{path} is damaged: {fault}")]
    Damaged {
        /// Which file.
        path: String,
        /// What is wrong first.
        fault: String,
    },
    /// The file system refuses.
    #[error("cannot write {path}")]
    File {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// SQLite refuses.
    #[error("cannot copy the store {path}")]
    Sqlite {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
}

/// Copies a store that another process may have open and write into: the copy is the store at one moment, checked, and on
/// the disk when this returns. `progress` hears how many bytes of how many are done. While it copies, the log of the
/// store grows by what is written into the store.
///
/// # Errors
/// [`BackupError`]; then there is no copy.
pub fn backup(from: &Path, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Checked, BackupError> {
    if to.exists() {
        return Err(BackupError::Exists { path: to.display().to_string() });
    }
    let mut temporary = to.as_os_str().to_owned();
    temporary.push(".part");
    let part = Part(PathBuf::from(temporary));
    part.remove();
    let shown = || from.display().to_string();
    // As private as the store itself.
    drop(
        anita_store::private_file(&part.0)
            .map_err(|source| BackupError::File { path: to.display().to_string(), source })?,
    );
    copy(from, &part.0, progress).map_err(|source| BackupError::Sqlite { path: shown(), source })?;
    let checked = check(&part.0)?;
    if let Some(fault) = checked.faults.first() {
        return Err(BackupError::Damaged { path: shown(), fault: fault.clone() });
    }
    let failed = |source| BackupError::File { path: to.display().to_string(), source };
    File::open(&part.0).and_then(|file| file.sync_all()).map_err(failed)?;
    // A link never replaces what came in between; where there are no links, nothing else can be done.
    match std::fs::hard_link(&part.0, to) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(BackupError::Exists { path: to.display().to_string() });
        }
        Err(_no_links) => std::fs::rename(&part.0, to).map_err(failed)?,
    }
    drop(part);
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(checked)
}

/// A file that goes when it is not needed any more.
struct Part(PathBuf);

impl Part {
    fn remove(&self) {
        for end in ["", "-journal", "-wal", "-shm"] {
            let mut path = self.0.clone().into_os_string();
            path.push(end);
            // Most of them are not there.
            std::fs::remove_file(path).ok();
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.remove();
    }
}

fn copy(from: &Path, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), rusqlite::Error> {
    let source = Connection::open_with_flags(from, OpenFlags::default() & !OpenFlags::SQLITE_OPEN_CREATE)?;
    source.busy_timeout(BUSY_TIMEOUT)?;
    let mut target = Connection::open(to)?;
    // All steps see the moment at which this transaction begins; without it, each write of the server would make the
    // copy begin again.
    let moment = source.unchecked_transaction()?;
    moment.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
    let page_bytes: u32 = source.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    {
        let backup = Backup::new(&source, &mut target)?;
        let mut locked = 0;
        loop {
            let step = backup.step(PAGES)?;
            let bytes = |pages: i32| u64::try_from(pages).unwrap_or_default() * u64::from(page_bytes);
            let all = backup.progress();
            progress(bytes(all.pagecount - all.remaining), bytes(all.pagecount));
            if step == StepResult::Done {
                break;
            }
            if step == StepResult::More {
                locked = 0;
            } else if locked < LOCKED_MAX {
                locked += 1;
                std::thread::sleep(LOCKED_PAUSE);
            } else {
                let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
                return Err(rusqlite::Error::SqliteFailure(code, None));
            }
        }
    }
    drop(moment);
    // One file, not one with a log beside it.
    target.pragma_update(None, "journal_mode", "delete")
}

/// Looks at a file that no server uses: what is in it, and whether it is sound.
///
/// # Errors
/// [`BackupError`] when it can't be read, or is of a newer program or none of ours. Damage is an answer, as far as the file
/// can be opened.
pub fn check(path: &Path) -> Result<Checked, BackupError> {
    let store = path.display().to_string();
    let failed = |source| BackupError::Sqlite { path: store.clone(), source };
    let db =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(failed)?;
    db.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    let schema_version = schema::version(&db).map_err(failed)?;
    schema::judge(schema_version, schema::STORE, path)?;
    let is_ours: bool = db
        .query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'device')", [], |row| row.get(0))
        .map_err(failed)?;
    if schema_version == 0 || !is_ours {
        let source = "there is no ANITA store in it".into();
        return Err(BackupError::Open(OpenError::Backend { store, source }));
    }
    let mut checked = Checked { schema_version, devices: 0, fixes: 0, faults: faults(&db).map_err(failed)? };
    match counts(&db, schema_version) {
        Ok((devices, fixes)) => (checked.devices, checked.fixes) = (devices, fixes),
        Err(fault) => checked.faults.push(fault.to_string()),
    }
    Ok(checked)
}

fn faults(db: &Connection) -> Result<Vec<String>, rusqlite::Error> {
    let mut statement = db.prepare(&format!("PRAGMA quick_check({FAULTS_MAX})"))?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut faults = rows.collect::<Result<Vec<String>, rusqlite::Error>>()?;
    faults.retain(|fault| fault != "ok");
    Ok(faults)
}

fn counts(db: &Connection, schema_version: u32) -> Result<(u64, u64), Fault> {
    let count = |sql| -> Result<u64, Fault> {
        let count: i64 = db.query_row(sql, [], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or_default())
    };
    let devices = count("SELECT count(*) FROM device")?;
    if schema_version < 2 {
        return Ok((devices, 0));
    }
    let loaded = keeper::read_journal(db, &Names::load(db)?, keeper::progress(db)?)?;
    if !loaded.damaged.is_empty() {
        return Err(Fault::Damaged(Damaged));
    }
    let packed = count("SELECT count FROM tally WHERE kind = 'fixes'")?;
    Ok((devices, packed + loaded.tables.unpacked() as u64))
}
