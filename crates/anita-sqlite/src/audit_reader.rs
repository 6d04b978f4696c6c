//! Reads the audit trail of a store that another process may have open, without writing anything.

use std::path::Path;
use std::time::Duration;

use anita_store::{AuditPage, AuditQuery, OpenError, StoreError};
use rusqlite::{Connection, OpenFlags};

use crate::read;
use crate::schema;
use crate::trail;

/// How long the store may be locked by somebody else.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The first version of the schema whose audit trail is a chain.
const CHAINED: u32 = 3;

/// The audit trail of a store. Its functions block the thread.
#[derive(Debug)]
pub struct AuditReader {
    db: Connection,
    entries: u64,
}

impl AuditReader {
    /// Opens a store to read.
    ///
    /// # Errors
    /// [`OpenError`]; also for a store whose audit trail is not a chain yet, as nobody wrote into it since.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let store = path.display().to_string();
        let failed =
            |source: rusqlite::Error| OpenError::Backend { store: store.clone(), source: source.into() };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags).map_err(failed)?;
        db.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        let version = schema::version(&db).map_err(failed)?;
        schema::judge(version, schema::STORE, path)?;
        if version < CHAINED {
            let source = "its audit trail is not a chain yet: start the server of this version on it first";
            return Err(OpenError::Backend { store, source: source.into() });
        }
        let sql = "SELECT count FROM tally WHERE kind = 'audit'";
        let entries: i64 = db.query_row(sql, [], |row| row.get(0)).map_err(failed)?;
        Ok(Self { db, entries: u64::try_from(entries).unwrap_or_default() })
    }

    /// How many entries there were when it was opened, as the store counts them.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// How many entries were removed from the end since they were stored, as the store counts them now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn removed(&self) -> Result<u64, StoreError> {
        Ok(trail::audit_removed(&self.db)?)
    }

    /// A page.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn page(&self, query: &AuditQuery) -> Result<AuditPage, StoreError> {
        Ok(read::audit(&self.db, query)?)
    }
}
