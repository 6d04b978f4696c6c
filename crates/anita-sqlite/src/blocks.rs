//! The rows of packed fixes. Every change of them goes through here, so that the tallies are right.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::codec;
use crate::fault::Fault;
use crate::point::Point;
use crate::schema::PAGE_BYTES;

/// How long a body becomes, bytes: two rows fill a page.
pub(crate) const BODY_BYTES_MAX: usize = PAGE_BYTES as usize / 2 - 96;

/// How many fixes a block takes at most, however short they are; more only if they have the same time.
pub(crate) const FIXES_MAX: usize = 512;

/// The room that a block takes beside its body, bytes: the other columns, the indexes, what stays free of pages.
const OVERHEAD_BYTES: i64 = 144;

/// A block without its fixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) id: i64,
    pub(crate) device: i64,
    pub(crate) first_us: i64,
    pub(crate) last_us: i64,
    pub(crate) fixes: i64,
    /// How many steps of thinning it went through.
    pub(crate) tier: i64,
    pub(crate) body_bytes: i64,
}

impl Block {
    /// The columns, in the order of [`Block::of`].
    pub(crate) const COLUMNS: &str = "id, device, first_us, last_us, fixes, tier, octet_length(body)";

    pub(crate) fn of(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            id: row.get(0)?,
            device: row.get(1)?,
            first_us: row.get(2)?,
            last_us: row.get(3)?,
            fixes: row.get(4)?,
            tier: row.get(5)?,
            body_bytes: row.get(6)?,
        })
    }

    /// The room it takes, bytes.
    pub(crate) fn bytes(&self) -> i64 {
        self.body_bytes + OVERHEAD_BYTES
    }

    /// Whether more fixes would fit in.
    pub(crate) fn has_room(&self) -> bool {
        self.body_bytes < BODY_BYTES_MAX.cast_signed() as i64 * 9 / 10
            && self.fixes < FIXES_MAX.cast_signed() as i64
    }

    /// The block of a device that begins last, but not after that time.
    pub(crate) fn floor(db: &Connection, device: i64, at_us: i64) -> Result<Option<Self>, Fault> {
        let sql = select("WHERE device = ?1 AND first_us <= ?2 ORDER BY first_us DESC LIMIT 1");
        Ok(db.prepare_cached(&sql)?.query_row([device, at_us], Self::of).optional()?)
    }

    /// The block of a device that begins first after that time.
    pub(crate) fn next(db: &Connection, device: i64, at_us: i64) -> Result<Option<Self>, Fault> {
        let sql = select("WHERE device = ?1 AND first_us > ?2 ORDER BY first_us LIMIT 1");
        Ok(db.prepare_cached(&sql)?.query_row([device, at_us], Self::of).optional()?)
    }

    /// Its fixes.
    pub(crate) fn points(&self, db: &Connection) -> Result<Vec<Point>, Fault> {
        let mut statement = db.prepare_cached("SELECT body FROM block WHERE id = ?1")?;
        let mut rows = statement.query([self.id])?;
        let Some(row) = rows.next()? else { return Ok(Vec::new()) };
        let body = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
        Ok(codec::read_block(body)?)
    }

    /// The fixes of a block that is to be changed. One that can't be read must not stop what comes: it is put aside, and
    /// has no fixes then; its row stays, to be replaced or deleted.
    pub(crate) fn open(&self, db: &Connection) -> Result<Vec<Point>, Fault> {
        match self.points(db) {
            Err(Fault::Damaged(error)) => {
                let (id, device, first_us, fixes) = (self.id, self.device, self.first_us, self.fixes);
                tracing::error!(%error, id, device, first_us, fixes, "a block of fixes is put aside");
                let sql = "INSERT OR REPLACE INTO damaged_block (id, device, first_us, last_us, fixes, body)
                           SELECT NULL, device, first_us, last_us, fixes, body FROM block WHERE id = ?1";
                db.prepare_cached(sql)?.execute([id])?;
                Ok(Vec::new())
            }
            points => points,
        }
    }
}

fn select(clause: &str) -> String {
    format!("SELECT {} FROM block {clause}", Block::COLUMNS)
}

/// How fixes are divided into blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Division {
    /// Full ones, and the rest into the last: more will come.
    Full,
    /// About the same into each.
    Even,
}

/// What changes in a transaction: for each device, fixes and bytes.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    changes: HashMap<i64, (i64, i64)>,
}

impl Ledger {
    fn add(&mut self, device: i64, fixes: i64, bytes: i64) {
        let change = self.changes.entry(device).or_default();
        change.0 += fixes;
        change.1 += bytes;
    }

    /// Writes fixes of a device in place of blocks.
    pub(crate) fn replace(
        &mut self,
        db: &Connection,
        old: &[Block],
        fixes: Fixes<'_>,
        division: Division,
    ) -> Result<(), Fault> {
        let Fixes { device, tier, mut points } = fixes;
        let mut fixes_max = FIXES_MAX;
        if division == Division::Even && points.len() > 1 {
            let mut rest = points;
            let mut blocks = 0;
            while !rest.is_empty() {
                let (_body, taken) = codec::block(rest, BODY_BYTES_MAX, FIXES_MAX);
                rest = rest.get(taken..).unwrap_or_default();
                blocks += 1;
            }
            fixes_max = points.len().div_ceil(blocks.max(1));
        }
        // One is changed where it is: the rest of its page is often free. More than one could be in each other's way.
        let (mut in_place, others) = match old {
            [only] if !points.is_empty() => (Some(only), [].as_slice()),
            others => (None, others),
        };
        let mut ids = others.iter().map(|block| block.id);
        for block in others {
            self.delete(db, block)?;
        }
        while !points.is_empty() {
            let (body, taken) = codec::block(points, BODY_BYTES_MAX, fixes_max);
            let (now, rest) = points.split_at_checked(taken).unwrap_or((points, &[]));
            points = rest;
            let at = match in_place.take() {
                Some(block) => {
                    self.add(device, -block.fixes, -block.bytes());
                    At::Update(block.id)
                }
                None => At::Insert(ids.next()),
            };
            self.put(db, at, Fixes { device, tier, points: now }, &body)?;
        }
        Ok(())
    }

    fn put(&mut self, db: &Connection, at: At, fixes: Fixes<'_>, body: &[u8]) -> Result<(), Fault> {
        let Fixes { device, tier, points } = fixes;
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return Ok(()) };
        let extent = |of: fn(&Point) -> i64| {
            points.iter().map(of).fold((i64::MAX, i64::MIN), |(min, max), mm| (min.min(mm), max.max(mm)))
        };
        let (x_mm, y_mm) = (extent(|point| point.x_mm), extent(|point| point.y_mm));
        let (sql, id) = match at {
            At::Update(id) => (
                "UPDATE block SET device = ?2, first_us = ?3, last_us = ?4, fixes = ?5, tier = ?6, min_x_mm = ?7,
                 max_x_mm = ?8, min_y_mm = ?9, max_y_mm = ?10, body = ?11 WHERE id = ?1",
                Some(id),
            ),
            At::Insert(id) => (
                "INSERT INTO block (id, device, first_us, last_us, fixes, tier, min_x_mm, max_x_mm, min_y_mm,
                 max_y_mm, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                id,
            ),
        };
        let count = points.len().cast_signed() as i64;
        db.prepare_cached(sql)?.execute(params![
            id,
            device,
            first.taken_us,
            last.taken_us,
            count,
            tier,
            x_mm.0,
            x_mm.1,
            y_mm.0,
            y_mm.1,
            body
        ])?;
        self.add(device, count, body.len().cast_signed() as i64 + OVERHEAD_BYTES);
        Ok(())
    }

    /// Deletes a block.
    pub(crate) fn delete(&mut self, db: &Connection, block: &Block) -> Result<(), Fault> {
        db.prepare_cached("DELETE FROM block WHERE id = ?1")?.execute([block.id])?;
        self.add(block.device, -block.fixes, -block.bytes());
        Ok(())
    }

    /// Writes the tallies. To be called before the commit.
    pub(crate) fn enter(self, db: &Connection) -> Result<(), Fault> {
        let mut update =
            db.prepare_cached("UPDATE device_no SET fixes = fixes + ?2, bytes = bytes + ?3 WHERE no = ?1")?;
        let (mut fixes, mut bytes) = (0, 0);
        for (device, change) in self.changes {
            update.execute([device, change.0, change.1])?;
            fixes += change.0;
            bytes += change.1;
        }
        tally(db, "fixes", fixes, bytes)
    }
}

/// Fixes of one device, in their order, and the tier of their blocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fixes<'a> {
    pub(crate) device: i64,
    pub(crate) tier: i64,
    pub(crate) points: &'a [Point],
}

#[derive(Debug, Clone, Copy)]
enum At {
    Update(i64),
    Insert(Option<i64>),
}

/// Adds to the tally of a kind.
pub(crate) fn tally(db: &Connection, kind: &str, count: i64, bytes: i64) -> Result<(), Fault> {
    if (count, bytes) != (0, 0) {
        db.prepare_cached("UPDATE tally SET count = count + ?2, bytes = bytes + ?3 WHERE kind = ?1")?
            .execute(params![kind, count, bytes])?;
    }
    Ok(())
}
