//! Commits.

use std::sync::atomic::Ordering;

use anita_model::DeviceId;
use anita_store::{Record, StoreError};
use rusqlite::{Connection, params};

use crate::blocks::tally;
use crate::codec;
use crate::fault::Fault;
use crate::keeper::Keeper;
use crate::names::{Changes, Names};
use crate::point::Point;
use crate::registry;
use crate::trail;

/// What a commit does to what is in memory, once it is on the disk.
#[derive(Debug, Default)]
struct Effects {
    points: Vec<(i64, Point)>,
    removed: Vec<i64>,
    changes: Changes,
    events: (i64, i64),
    audit: (i64, i64),
}

impl Keeper {
    /// Keeps records, all or none.
    pub(super) fn commit(&mut self, records: &[Record]) -> Result<(), StoreError> {
        self.is_master = true;
        let result =
            self.recover().and_then(|()| self.make_room(records.len())).and_then(|()| self.write(records));
        if let Err(fault) = &result {
            self.judge(fault);
        }
        self.checkpoint();
        Ok(result?)
    }

    /// Writes what is not in the flow of records, wholly or not at all.
    pub(crate) fn write_aside(
        &mut self,
        write: impl FnOnce(&Connection) -> Result<(), Fault>,
    ) -> Result<(), StoreError> {
        self.is_master = true;
        let result = self.recover().and_then(|()| {
            let transaction = self.db.unchecked_transaction()?;
            write(&transaction)?;
            Ok(transaction.commit()?)
        });
        if let Err(fault) = &result {
            self.judge(fault);
        }
        self.checkpoint();
        Ok(result?)
    }

    fn write(&mut self, records: &[Record]) -> Result<(), Fault> {
        let effects = {
            let names = self.shared.names.read();
            let transaction = self.db.unchecked_transaction()?;
            let mut effects = Effects::default();
            for record in records {
                effects.take(&names, record, &transaction)?;
            }
            if !effects.points.is_empty() {
                let body = codec::journal(&effects.points);
                let mut insert =
                    transaction.prepare_cached("INSERT INTO journal (id, body) VALUES (?1, ?2)")?;
                insert.execute(params![self.next_row, body])?;
            }
            if records.is_empty() {
                // Nothing is to be kept: whether something could be is found out by writing what is there already.
                transaction.execute("UPDATE tally SET count = count WHERE kind = 'fixes'", [])?;
            }
            tally(&transaction, "events", effects.events.0, effects.events.1)?;
            tally(&transaction, "audit", effects.audit.0, effects.audit.1)?;
            transaction.commit()?;
            if self.shared.faults.fail_sync.swap(false, Ordering::Relaxed) {
                // The worst case: what failed is found in the log when it is opened again.
                return Err(failed_sync());
            }
            effects
        };
        self.next_row += i64::from(!effects.points.is_empty());
        self.journaled += effects.points.len();
        let Effects { points, removed, changes, .. } = effects;
        let mut tables = self.shared.tables.write();
        for (device, point) in points {
            tables.recent.insert(device, point);
        }
        for device in removed {
            tables.recent.remove(device);
            tables.sealed.remove(device);
        }
        drop(tables);
        if !changes.is_empty() {
            self.shared.names.write().apply(changes);
        }
        Ok(())
    }
}

fn failed_sync() -> Fault {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
    Fault::Sqlite(rusqlite::Error::SqliteFailure(code, None))
}

impl Effects {
    fn take(&mut self, names: &Names, record: &Record, db: &Connection) -> Result<(), Fault> {
        match record {
            Record::Fix(fix) => {
                let device = self.changes.device(names, &fix.device, db)?;
                let origin = self.changes.origin(names, &fix.site, &fix.source, db)?;
                self.points.push((device, Point::of(fix, origin)));
            }
            Record::Save(device) => registry::save(db, device)?,
            Record::Remove(id) => self.remove(names, id, db)?,
            Record::State(state) => registry::save_state(db, state)?,
            Record::Event(event) => {
                if let Some(bytes) = registry::add_event(db, event)? {
                    self.events.0 += 1;
                    self.events.1 += bytes;
                }
            }
            Record::Audit(entry) => {
                if let Some(bytes) = trail::add_audit(db, entry)? {
                    self.audit.0 += 1;
                    self.audit.1 += bytes;
                }
            }
            Record::Revoke(revocation) => trail::revoke(db, revocation)?,
            Record::Unrevoke(id) => trail::unrevoke(db, id)?,
        }
        Ok(())
    }

    /// The number of the device goes at once, and with it everything that is stored under it; its blocks go bit by bit.
    fn remove(&mut self, names: &Names, id: &DeviceId, db: &Connection) -> Result<(), Fault> {
        registry::remove(db, id)?;
        let Some(number) = self.changes.forget(names, id) else { return Ok(()) };
        let kept = db
            .prepare_cached("DELETE FROM device_no WHERE no = ?1 RETURNING fixes, bytes")?
            .query_row([number], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
        tally(db, "fixes", -kept.0, -kept.1)?;
        db.prepare_cached("INSERT INTO orphan (no) VALUES (?1)")?.execute([number])?;
        self.points.retain(|(device, _point)| *device != number);
        self.removed.push(number);
        Ok(())
    }
}
