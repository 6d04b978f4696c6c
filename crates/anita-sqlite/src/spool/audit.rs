//! Reads the entries of the audit trail that wait in a spool which a server may have open, without writing anything.

use std::path::Path;

use anita_store::{AuditEntry, OpenError, Record, StoreError};
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::fault::Fault;
use crate::records;
use crate::schema;

/// The entries that waited at one moment. Its functions block the thread.
#[derive(Debug)]
pub struct SpooledAudit {
    db: Connection,
}

impl SpooledAudit {
    /// Opens a spool to read: as it is at this moment, whatever becomes of it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |source: rusqlite::Error| OpenError::Backend {
            store: path.display().to_string(),
            source: source.into(),
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags).map_err(failed)?;
        db.busy_timeout(schema::BUSY_TIMEOUT).map_err(failed)?;
        schema::judge(schema::version(&db).map_err(failed)?, schema::SPOOL, path)?;
        // The first question of a transaction says as of when it reads.
        db.execute_batch("BEGIN").map_err(failed)?;
        db.query_row("SELECT count(*) FROM waiting", [], |row| row.get::<_, i64>(0)).map_err(failed)?;
        Ok(Self { db })
    }

    /// Shows all of them, oldest first, until one ends it. Groups that can't be read are left out.
    ///
    /// # Errors
    /// The reason for the end.
    pub fn each<E: From<StoreError>>(
        &self,
        mut see: impl FnMut(AuditEntry) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut last = 0_i64;
        while let Some((id, body)) = self.group_after(last).map_err(StoreError::from)? {
            last = id;
            for record in records::read(&body).unwrap_or_default() {
                if let Record::Audit(entry) = record {
                    see(entry)?;
                }
            }
        }
        Ok(())
    }

    fn group_after(&self, id: i64) -> Result<Option<(i64, Vec<u8>)>, Fault> {
        let sql = "SELECT id, body FROM waiting WHERE id > ?1 ORDER BY id LIMIT 1";
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        Ok(self.db.prepare_cached(sql)?.query_row([id], row).optional()?)
    }
}

#[cfg(test)]
mod tests {
    use anita_model::Timestamp;
    use anita_store::AuditRecord;
    use anita_store::audit::Chain;

    use super::*;
    use crate::{Spool, SpoolSettings};

    fn seqs(spooled: &SpooledAudit) -> Vec<u64> {
        let mut seqs = Vec::new();
        let read: Result<(), StoreError> = spooled.each(|entry| {
            seqs.extend(entry.seq());
            Ok(())
        });
        read.unwrap();
        seqs
    }

    #[test]
    fn it_shows_what_waited_when_it_was_opened_whatever_the_server_does_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool.db");
        let spool = Spool::open(&path, SpoolSettings::default()).unwrap();
        let mut chain = Chain::default();
        let mut leave = || {
            let record = AuditRecord {
                at: Timestamp::UNIX_EPOCH,
                subject: String::new(),
                issuer: None,
                action: "act".to_owned(),
                object: String::new(),
                outcome: "done".to_owned(),
                address: None,
            };
            spool.append(&[Record::Audit(chain.add(record))]).unwrap();
        };
        (0..3).for_each(|_entry| leave());
        let spooled = SpooledAudit::open(&path).unwrap();
        let (first, _records) = spool.oldest(0).unwrap().unwrap();
        spool.remove_through(first).unwrap();
        leave();
        assert_eq!(seqs(&spooled), [1, 2, 3]);
        assert_eq!(seqs(&SpooledAudit::open(&path).unwrap()), [2, 3, 4]);
        assert!(
            SpooledAudit::open(&folder.path().join("none.db")).is_err()
                && !folder.path().join("none.db").exists()
        );
    }
}
