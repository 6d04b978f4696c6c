//! The file: how it is opened, and how its schema came to be.

use std::path::Path;
use std::time::Duration;

use anita_store::{OpenError, private_file};
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

/// The steps from an empty file to the present schema, in order; `PRAGMA user_version` counts those taken.
pub(crate) const STORE: &[&str] = &[
    include_str!("schema/001_devices.sql"),
    include_str!("schema/002_history.sql"),
    include_str!("schema/003_trail.sql"),
    include_str!("schema/004_plans.sql"),
];

/// The same for a spool.
pub(crate) const SPOOL: &[&str] = &[include_str!("schema/spool_001.sql")];

/// How long another connection may hold the file.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The size of a page, bytes.
pub(crate) const PAGE_BYTES: u32 = 8_192;

/// How large the write-ahead log stays when it was larger, bytes.
const WAL_BYTES_KEPT: i64 = 64 << 20;

/// The page cache of a connection, KiB.
const CACHE_KIB: i64 = 16 * 1_024;

/// SQLite's own number for the kind of file that is an ANITA store: "ANIT".
const APPLICATION_ID: i32 = 0x414e_4954;

/// Opens a file for writing, makes it if it is not there, and brings its schema up to date.
///
/// # Errors
/// [`OpenError`].
pub(crate) fn open(path: &Path, migrations: &[&str]) -> Result<Connection, OpenError> {
    let failed = |source| refused(path, source);
    if is_foreign(path).map_err(failed)? {
        return Err(OpenError::Backend { store: path.display().to_string(), source: Foreign.into() });
    }
    // SQLite gives what it puts beside the file the same permissions.
    drop(
        private_file(path).map_err(|source| OpenError::Backend {
            store: path.display().to_string(),
            source: source.into(),
        })?,
    );
    let mut connection = connect(path, OpenFlags::default()).map_err(failed)?;
    migrate(&mut connection, migrations, path)?;
    Ok(connection)
}

/// Opens a file that is there and up to date for writing.
pub(crate) fn reopen(path: &Path) -> Result<Connection, rusqlite::Error> {
    connect(path, OpenFlags::default() & !OpenFlags::SQLITE_OPEN_CREATE)
}

/// Opens a file that is there, for questions.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::default() & !OpenFlags::SQLITE_OPEN_CREATE)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    if page_count(&connection)? == 0 {
        shape(&connection)?;
    }
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    // What is acknowledged survives a loss of power, not only of the process.
    connection.pragma_update(None, "synchronous", "full")?;
    // The log is copied into the file by `Keeper::checkpoint` and its helper.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// What can only be said before anything is written.
fn shape(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "auto_vacuum", "incremental")
}

fn page_count(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.query_row("PRAGMA page_count", [], |row| row.get(0))
}

pub(crate) fn version(connection: &Connection) -> Result<u32, rusqlite::Error> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn refused(path: &Path, source: rusqlite::Error) -> OpenError {
    let store = path.display().to_string();
    let failure = source.sqlite_error().map(|error| (error.code, error.extended_code));
    let hint = match failure {
        Some((ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_SHMSIZE)) => "its disk is full; free some room",
        Some((ErrorCode::NotADatabase, _)) => "it is no store; look at the path, or restore a copy",
        Some((ErrorCode::DatabaseCorrupt, _)) => "it is damaged; restore a copy",
        Some((ErrorCode::ReadOnly | ErrorCode::PermissionDenied, _)) => {
            "the server has to be allowed to write the file, and into its folder"
        }
        _ => return OpenError::Backend { store, source: source.into() },
    };
    OpenError::Backend { store, source: Hinted { hint, source }.into() }
}

/// What SQLite says, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{hint}")]
struct Hinted {
    hint: &'static str,
    source: rusqlite::Error,
}

/// The database of another program.
#[derive(Debug, thiserror::Error)]
#[error("it is a database of another program, and nothing was changed; look at the path")]
struct Foreign;

/// Whether a program with those migrations can read a file of that version.
///
/// # Errors
/// [`OpenError::Newer`].
pub(crate) fn judge(found: u32, migrations: &[&str], path: &Path) -> Result<(), OpenError> {
    let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(OpenError::Newer { store: path.display().to_string(), found, known });
    }
    Ok(())
}

fn migrate(connection: &mut Connection, migrations: &[&str], path: &Path) -> Result<(), OpenError> {
    let failed = |source| refused(path, source);
    let found = version(connection).map_err(failed)?;
    judge(found, migrations, path)?;
    if found == 1 && migrations.len() > 1 {
        reshape(connection).map_err(failed)?;
    }
    for (version, sql) in (1_u32..).zip(migrations).skip_while(|(version, _sql)| *version <= found) {
        let transaction = connection.transaction().map_err(failed)?;
        transaction.execute_batch(sql).map_err(failed)?;
        transaction.pragma_update(None, "user_version", version).map_err(failed)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(())
}

/// Whether a file is a database, and none of ours: it has tables, and no version.
fn is_foreign(path: &Path) -> Result<bool, rusqlite::Error> {
    if !path.exists() {
        return Ok(false);
    }
    let db = Connection::open_with_flags(path, OpenFlags::default() & !OpenFlags::SQLITE_OPEN_CREATE)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    let has_tables = db.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))?;
    Ok(has_tables && version(&db)? == 0)
}

/// The first version of the file had pages of another size. It is small, so it is written anew.
fn reshape(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.pragma_update(None, "journal_mode", "delete")?;
    shape(connection)?;
    connection.execute_batch("VACUUM")?;
    connection.pragma_update(None, "journal_mode", "wal")
}
