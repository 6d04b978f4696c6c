//! The spool: what is to be kept waits here while the real store is away.

mod audit;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anita_store::{OpenError, Record, StoreError};
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};

use crate::fault::Fault;
use crate::records;
use crate::schema;

pub use audit::SpooledAudit;

/// After how many pages of the log it is copied into the file.
const LOG_PAGES: u32 = 1_000;

/// How many free pages are given back to the system at once.
const PAGES_MAX: u32 = 256;

/// So many pages stay free for what comes.
const PAGES_KEPT: i64 = 1_024;

/// So many fixes leave the spool at once, unless one group has more.
pub const FIXES_AT_ONCE_MAX: u64 = 16_384;

/// What was found at the front.
enum Oldest {
    /// The number of the last one, and what is in them.
    Groups(Option<(u64, Vec<Record>)>),
    /// One that can't be read.
    Damaged(i64),
}

/// How much a [`Spool`] may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolSettings {
    /// Fixes at most.
    pub fixes_max: u64,
    /// Bytes at most: of what waits, without what SQLite adds.
    pub bytes_max: u64,
}

impl Default for SpoolSettings {
    fn default() -> Self {
        Self { fixes_max: 50_000_000, bytes_max: 4 << 30 }
    }
}

/// It holds as much as it may.
#[derive(Debug, thiserror::Error)]
#[error("the spool holds as much as it may: {fixes} fixes, {bytes} bytes")]
struct Overflow {
    fixes: u64,
    bytes: u64,
}

/// A queue of groups of records in a file of its own. Its functions block the thread.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    settings: SpoolSettings,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    db: Connection,
    fixes: u64,
    bytes: u64,
    groups: u64,
    /// The last write to the disk failed.
    is_shaken: bool,
}

impl Spool {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path, settings: SpoolSettings) -> Result<Self, OpenError> {
        let refused =
            |fault: Fault| OpenError::Backend { store: path.display().to_string(), source: fault.into() };
        let db = schema::open(path, schema::SPOOL)?;
        db.pragma_update(None, "wal_autocheckpoint", LOG_PAGES).map_err(|error| refused(error.into()))?;
        let mut inner = Inner { db, fixes: 0, bytes: 0, groups: 0, is_shaken: false };
        inner.count().map_err(refused)?;
        Ok(Self { path: path.to_owned(), settings, inner: Mutex::new(inner) })
    }

    /// Appends a group; done when it survives a crash.
    ///
    /// # Errors
    /// [`StoreError::Full`] when it holds as much as it may or its disk is full; nothing is appended then.
    pub fn append(&self, records: &[Record]) -> Result<(), StoreError> {
        let body = records::write(records);
        let fixes = records.iter().filter(|record| matches!(record, Record::Fix(_))).count() as u64;
        let bytes = body.len() as u64;
        self.with(|inner| {
            if inner.fixes + fixes > self.settings.fixes_max || inner.bytes + bytes > self.settings.bytes_max
            {
                let overflow = Overflow { fixes: inner.fixes, bytes: inner.bytes };
                return Ok(Err(StoreError::Full(Arc::new(overflow))));
            }
            inner
                .db
                .prepare_cached("INSERT INTO waiting (fixes, body) VALUES (?1, ?2)")?
                .execute(params![i64::try_from(fixes).unwrap_or(i64::MAX), body])?;
            inner.fixes += fixes;
            inner.bytes += bytes;
            inner.groups += 1;
            Ok(Ok(()))
        })?
    }

    /// The oldest groups as one, with the number of the last of them: the first, and those after it, so many at most, as long
    /// as all together have no more than [`FIXES_AT_ONCE_MAX`] fixes. `None` when nothing waits. A group that can't be read
    /// is put aside in the file, and told in the log.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn oldest(&self, groups_max: u32) -> Result<Option<(u64, Vec<Record>)>, StoreError> {
        self.with(|inner| {
            loop {
                match inner.oldest(groups_max)? {
                    Oldest::Groups(groups) => return Ok(groups),
                    Oldest::Damaged(id) => inner.put_aside(id)?,
                }
            }
        })
    }

    /// Shows all records that wait, oldest first; groups that can't be read are left out. What is appended meanwhile is not
    /// among them. Nothing is removed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn each(&self, mut see: impl FnMut(&Record)) -> Result<(), StoreError> {
        let mut last = 0_i64;
        let end = self.with(|inner| {
            let sql = "SELECT coalesce(max(id), 0) FROM waiting";
            Ok(inner.db.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0))?)
        })?;
        loop {
            // One group at a time: others may use the spool in between.
            let group = self.with(|inner| {
                let sql = "SELECT id, body FROM waiting WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT 1";
                let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?));
                Ok(inner.db.prepare_cached(sql)?.query_row([last, end], row).optional()?)
            })?;
            let Some((id, body)) = group else { return Ok(()) };
            last = id;
            if let Ok(records) = records::read(&body) {
                records.iter().for_each(&mut see);
            }
        }
    }

    /// Removes all groups up to a number; where there are none it is no error.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn remove_through(&self, id: u64) -> Result<(), StoreError> {
        self.with(|inner| {
            let sql = "DELETE FROM waiting WHERE id <= ?1 RETURNING fixes, octet_length(body)";
            let (mut groups, mut fixes, mut bytes) = (0, 0, 0);
            {
                let mut statement = inner.db.prepare_cached(sql)?;
                let mut rows = statement.query([id.cast_signed()])?;
                while let Some(row) = rows.next()? {
                    groups += 1;
                    fixes += u64::try_from(row.get::<_, i64>(0)?).unwrap_or_default();
                    bytes += u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default();
                }
            }
            inner.fixes = inner.fixes.saturating_sub(fixes);
            inner.bytes = inner.bytes.saturating_sub(bytes);
            inner.groups = inner.groups.saturating_sub(groups);
            inner.give_back()
        })
    }

    /// How many fixes wait.
    pub fn fixes(&self) -> u64 {
        self.inner.lock().fixes
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.inner.lock().groups == 0
    }

    /// How many bytes wait, without what SQLite adds.
    pub fn bytes(&self) -> u64 {
        self.inner.lock().bytes
    }

    /// Does something with the file; opens it anew first if its disk failed (see [`crate::keeper`]).
    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> Result<T, Fault>) -> Result<T, StoreError> {
        let mut inner = self.inner.lock();
        let result = inner.recover(&self.path).and_then(|()| work(&mut inner));
        if let Err(fault) = &result {
            inner.is_shaken |= fault.shakes_the_disk();
        }
        Ok(result?)
    }
}

impl Inner {
    fn oldest(&self, groups_max: u32) -> Result<Oldest, Fault> {
        let sql = "SELECT id, fixes, body FROM waiting ORDER BY id LIMIT ?1";
        let mut statement = self.db.prepare_cached(sql)?;
        let mut rows = statement.query([groups_max.max(1)])?;
        let mut found: Option<(u64, Vec<Record>)> = None;
        let mut fixes = 0_u64;
        while let Some(row) = rows.next()? {
            let id = row.get::<_, i64>(0)?;
            fixes = fixes.saturating_add(u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default());
            if found.is_some() && fixes > FIXES_AT_ONCE_MAX {
                break;
            }
            match (records::read(&row.get::<_, Vec<u8>>(2)?), &mut found) {
                (Ok(records), None) => found = Some((id.cast_unsigned(), records)),
                (Ok(records), Some((last, before))) => {
                    *last = id.cast_unsigned();
                    before.extend(records);
                }
                (Err(error), None) => {
                    tracing::error!(%error, id, "a group of the spool can't be read, and is put aside");
                    return Ok(Oldest::Damaged(id));
                }
                // It is put aside when it is the oldest.
                (Err(_error), Some(_before)) => break,
            }
        }
        Ok(Oldest::Groups(found))
    }

    fn put_aside(&mut self, id: i64) -> Result<(), Fault> {
        let transaction = self.db.unchecked_transaction()?;
        transaction.execute("INSERT INTO damaged SELECT * FROM waiting WHERE id = ?1", [id])?;
        transaction.execute("DELETE FROM waiting WHERE id = ?1", [id])?;
        transaction.commit()?;
        self.count()
    }

    fn count(&mut self) -> Result<(), Fault> {
        let sql =
            "SELECT count(*), coalesce(sum(fixes), 0), coalesce(sum(octet_length(body)), 0) FROM waiting";
        let row = |row: &rusqlite::Row<'_>| Ok([row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?]);
        let [groups, fixes, bytes] =
            self.db.query_row(sql, [], row)?.map(|count| u64::try_from(count).unwrap_or_default());
        (self.groups, self.fixes, self.bytes) = (groups, fixes, bytes);
        Ok(())
    }

    fn recover(&mut self, path: &Path) -> Result<(), Fault> {
        if !self.is_shaken {
            return Ok(());
        }
        self.db = schema::reopen(path)?;
        self.db.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()))?;
        self.count()?;
        self.is_shaken = false;
        Ok(())
    }

    /// Gives pages back to the system bit by bit, so that the file becomes small again.
    fn give_back(&mut self) -> Result<(), Fault> {
        let free: i64 = self.db.prepare_cached("PRAGMA freelist_count")?.query_row([], |row| row.get(0))?;
        if free > PAGES_KEPT {
            let mut statement = self.db.prepare_cached(&format!("PRAGMA incremental_vacuum({PAGES_MAX})"))?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
        }
        Ok(())
    }
}
