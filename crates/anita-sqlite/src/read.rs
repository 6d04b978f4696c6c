//! Answers to questions.

mod page;
mod window;

use std::sync::Arc;

use anita_model::{DeviceId, Fix};
use anita_store::{
    Amount, AuditPage, AuditQuery, DeviceState, EventPage, EventQuery, NewestQuery, Order, Remembered, Usage,
};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use crate::blocks::Block;
use crate::codec::{self, Damaged};
use crate::fault::Fault;
use crate::keeper::Shared;
use crate::plans;
use crate::point::{KEY_MAX, KEY_MIN, Key, Point};
use crate::recent::Range;
use crate::registry;
use crate::trail;

pub(crate) use page::page;
#[cfg(test)]
pub(crate) use page::{NEWEST_FIRST, OLDEST_FIRST};
pub(crate) use window::window;

/// How large a fix that is not in a block yet is taken to be, bytes.
const UNPACKED_BYTES: u64 = 16;

/// Up to so many fixes that are not in blocks are counted exactly; of more, those that are double may be counted twice.
const COUNTED_MAX: usize = 4_096;

impl Shared {
    fn number(&self, device: &DeviceId) -> Option<i64> {
        self.names.read().device(device)
    }

    /// Makes fixes of what is stored of a device.
    fn fixes(&self, device: &DeviceId, points: &[Point]) -> Result<Vec<Arc<Fix>>, Fault> {
        let names = self.names.read();
        let mut last = None;
        let mut fixes = Vec::with_capacity(points.len());
        for point in points {
            let origin = match last {
                Some((number, origin)) if number == point.origin => origin,
                _ => names.origin(point.origin).ok_or(Damaged)?,
            };
            last = Some((point.origin, origin));
            fixes.push(Arc::new(point.fix(device, origin).ok_or(Damaged)?));
        }
        Ok(fixes)
    }
}

/// What a server needs to go on.
pub(crate) fn load(db: &Connection, shared: &Shared, events_max: usize) -> Result<Remembered, Fault> {
    let mut states: std::collections::BTreeMap<DeviceId, DeviceState> =
        registry::states(db)?.into_iter().map(|state| (state.id.clone(), state)).collect();
    let devices: Vec<(DeviceId, i64)> =
        shared.names.read().devices().map(|(id, number)| (id.clone(), number)).collect();
    for (id, number) in devices {
        let Some(point) = newest_of(db, shared, number, (i64::MAX, i64::MAX))? else { continue };
        let newest = shared.fixes(&id, &[point])?;
        for fix in newest {
            states.entry(id.clone()).or_insert_with(|| DeviceState::of_fix(&fix)).heard(&fix);
        }
    }
    let (rooms, last_ordinal) = registry::rooms(db, events_max)?;
    Ok(Remembered {
        devices: registry::devices(db)?,
        states: states.into_values().collect(),
        rooms,
        revocations: trail::revocations(db)?,
        audit_head: trail::audit_head(db)?,
        audit_removed: trail::audit_removed(db)?,
        last_ordinal,
    })
}

/// The newest fix of a device up to a key.
fn newest_of(db: &Connection, shared: &Shared, device: i64, last: Key) -> Result<Option<Point>, Fault> {
    let range = Range { first: KEY_MIN, last, order: Order::NewestFirst, limit: 1 };
    let recent = shared.tables.read().pick(device, range, |_any| true).pop();
    let sql =
        "SELECT last_us, body FROM block WHERE device = ?1 AND first_us <= ?2 ORDER BY first_us DESC LIMIT 1";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([device, last.0])?;
    let Some(row) = rows.next()? else { return Ok(recent) };
    // Where it has a fix of the same time, the order among them decides.
    if recent.is_some_and(|recent| recent.taken_us > row.get(0).unwrap_or(i64::MAX)) {
        return Ok(recent);
    }
    let packed = codec::last_of_block(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?, last)?;
    Ok(match (recent, packed) {
        (Some(recent), Some(packed)) if packed.key() >= recent.key() => Some(packed),
        (Some(recent), _) => Some(recent),
        (None, packed) => packed,
    })
}

/// The newest fix of each device at a moment.
pub(crate) fn newest(db: &Connection, shared: &Shared, query: &NewestQuery) -> Result<Vec<Arc<Fix>>, Fault> {
    let mut fixes = Vec::new();
    for device in &query.devices {
        let Some(number) = shared.number(device) else { continue };
        let Some(point) = newest_of(db, shared, number, (query.at.as_micros(), i64::MAX))? else {
            continue;
        };
        if query.not_before.is_none_or(|least| point.taken_us >= least.as_micros()) {
            fixes.extend(shared.fixes(device, &[point])?);
        }
    }
    Ok(fixes)
}

/// The parts of a question that filters rows.
#[derive(Debug, Default)]
struct Clauses {
    clauses: Vec<&'static str>,
    values: Vec<Value>,
}

impl Clauses {
    fn add(&mut self, clause: &'static str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.clauses.push(clause);
            self.values.push(value.into());
        }
    }

    /// The whole question. `limit` is one more than are wanted, to know whether there are more.
    fn sql(&mut self, columns: &str, table: &str, order: Order, limit: usize) -> String {
        let clauses = if self.clauses.is_empty() { "1".into() } else { self.clauses.join(" AND ") };
        self.values.push(Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
        let order = match order {
            Order::NewestFirst => "DESC",
            Order::OldestFirst => "ASC",
        };
        format!("SELECT {columns} FROM {table} WHERE {clauses} ORDER BY ordinal {order} LIMIT ?")
    }
}

fn ordinal(after: Option<u64>) -> Option<i64> {
    after.map(|after| i64::try_from(after).unwrap_or(i64::MAX))
}

pub(crate) fn events(db: &Connection, query: &EventQuery) -> Result<EventPage, Fault> {
    let mut clauses = Clauses::default();
    clauses.add("room = ?", query.room.as_ref().map(|room| room.as_str().to_owned()));
    clauses.add("at_us >= ?", query.start.map(anita_model::Timestamp::as_micros));
    clauses.add("at_us <= ?", query.end.map(anita_model::Timestamp::as_micros));
    clauses.add("ordinal < ?", ordinal(query.after));
    let sql =
        clauses.sql(registry::EVENT_COLUMNS, "event", Order::NewestFirst, query.limit.saturating_add(1));
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(clauses.values))?;
    let mut page = EventPage::default();
    while let Some(row) = rows.next()? {
        if page.events.len() == query.limit {
            page.next = page.events.last().map(|event| event.ordinal);
            break;
        }
        page.events.push(registry::event(row)?);
    }
    Ok(page)
}

pub(crate) fn audit(db: &Connection, query: &AuditQuery) -> Result<AuditPage, Fault> {
    let mut clauses = Clauses::default();
    clauses.add("subject = ?", query.subject.clone());
    clauses.add("action = ?", query.action.clone());
    clauses.add("at_us >= ?", query.start.map(anita_model::Timestamp::as_micros));
    clauses.add("at_us <= ?", query.end.map(anita_model::Timestamp::as_micros));
    let after = match query.order {
        Order::NewestFirst => "ordinal < ?",
        Order::OldestFirst => "ordinal > ?",
    };
    clauses.add(after, ordinal(query.after));
    let sql = clauses.sql(trail::AUDIT_COLUMNS, "audit", query.order, query.limit.saturating_add(1));
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(clauses.values))?;
    let mut page = AuditPage::default();
    while let Some(row) = rows.next()? {
        if page.entries.len() == query.limit {
            page.next = page.entries.last().map(|(ordinal, _entry)| *ordinal);
            break;
        }
        page.entries.push(trail::audit(row)?);
    }
    Ok(page)
}

pub(crate) fn usage(db: &Connection, shared: &Shared) -> Result<Usage, Fault> {
    let unpacked = unpacked(shared);
    let transaction = db.unchecked_transaction()?;
    let amount = |kind: &str| -> Result<Amount, Fault> {
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        let mut statement = transaction.prepare_cached("SELECT count, bytes FROM tally WHERE kind = ?1")?;
        let (count, bytes) = statement.query_row([kind], row).optional()?.unwrap_or_default();
        Ok(Amount {
            count: u64::try_from(count).unwrap_or_default(),
            bytes: u64::try_from(bytes).unwrap_or_default(),
        })
    };
    let unpacked = match unpacked {
        Unpacked::Many(count) => count,
        Unpacked::Few(tracks) => new_ones(&transaction, &tracks)?,
    } as u64;
    let mut fixes = amount("fixes")?;
    fixes.count += unpacked;
    fixes.bytes += unpacked * UNPACKED_BYTES;
    Ok(Usage {
        fixes,
        events: amount("events")?,
        audit: amount("audit")?,
        plans: plans::amount(&transaction)?,
        disk_bytes: disk_bytes(shared),
    })
}

/// What is not in blocks.
enum Unpacked {
    Many(usize),
    /// The fixes of each device.
    Few(Vec<(i64, Vec<Point>)>),
}

fn unpacked(shared: &Shared) -> Unpacked {
    let tables = shared.tables.read();
    let count = tables.unpacked();
    if count > COUNTED_MAX {
        return Unpacked::Many(count);
    }
    let range = Range { first: KEY_MIN, last: KEY_MAX, order: Order::OldestFirst, limit: usize::MAX };
    let mut devices = tables.recent.devices();
    devices.extend(tables.sealed.devices());
    devices.sort_unstable();
    devices.dedup();
    let track = |device| (device, tables.pick(device, range, |_any| true));
    Unpacked::Few(devices.into_iter().map(track).collect())
}

/// How many of the fixes are in no block.
fn new_ones(db: &Connection, tracks: &[(i64, Vec<Point>)]) -> Result<usize, Fault> {
    let mut count = 0;
    for (device, points) in tracks {
        let mut floor: Option<(Block, Vec<Point>)> = None;
        for point in points {
            if floor.as_ref().is_none_or(|(block, _points)| block.last_us < point.taken_us) {
                floor = match Block::floor(db, *device, point.taken_us)? {
                    Some(block) if block.last_us >= point.taken_us => Some((block, block.points(db)?)),
                    _ => None,
                };
            }
            let is_known = floor.as_ref().is_some_and(|(_block, packed)| {
                packed.binary_search_by_key(&point.key(), Point::key).is_ok()
            });
            count += usize::from(!is_known);
        }
    }
    Ok(count)
}

/// What the file and its log take.
fn disk_bytes(shared: &Shared) -> u64 {
    let mut log = shared.path.clone().into_os_string();
    log.push("-wal");
    let length = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |data| data.len());
    length(&shared.path) + length(log.as_ref())
}
