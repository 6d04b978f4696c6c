//! From the journal into blocks.

use std::time::{Duration, Instant};

use anita_store::Order;
use rusqlite::{Connection, params};

use crate::blocks::{Block, Division, Fixes, Ledger};
use crate::fault::Fault;
use crate::keeper::{Keeper, Packing, reversed};
use crate::point::{KEY_MAX, KEY_MIN, Key, Point};
use crate::recent::{Range, merge};

/// How much is packed in one transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slice {
    /// Fixes, about.
    pub(super) fixes: usize,
    /// How long it may take.
    pub(super) time: Duration,
}

/// What is done between commits while nothing presses.
pub(super) const SLICE: Slice = Slice { fixes: 4_000, time: Duration::from_millis(4) };

/// Everything.
const ALL: Slice = Slice { fixes: usize::MAX, time: Duration::MAX };

/// How many fixes of a device are packed at once.
const RUN_MAX: usize = 4_096;

/// How many rows of the journal are deleted at once.
const ROWS_MAX: i64 = 64;

/// A last block is extended by a run that is at least this part of it, so that a fix is not written too often.
const EXTENDED_BY_PART: i64 = 4;

/// So few fixes between two blocks are never a block of their own.
const GAP_MIN: usize = 128;

/// Where the first part of a run belongs.
enum Goal {
    /// Into a block, whose time it is in.
    Into(Block),
    /// After a block, which takes it in.
    Extends(Block),
    /// A block of its own.
    Alone,
}

impl Keeper {
    /// Before a commit of so many records: packs as much as is due, so that the recent table is never too full.
    pub(super) fn make_room(&mut self, records: usize) -> Result<(), Fault> {
        let most = self.shared.settings.recent_fixes_max.max(1);
        if self.packing.is_some() {
            let left = self.shared.tables.read().sealed.fixes();
            let room = most.saturating_sub(self.journaled);
            if room <= records {
                while self.packing.is_some() {
                    self.pack(ALL)?;
                }
            } else if left.saturating_mul(2) > room {
                // It would not be done in time at the pace of quiet moments: as much more as comes.
                let fixes = (left * records).div_ceil(room);
                self.pack(Slice { fixes, time: Duration::MAX })?;
            }
        }
        if self.journaled >= most {
            self.seal();
        }
        Ok(())
    }

    /// Begins a new recent table; the full one is to be packed. Nothing happens while one is.
    pub(super) fn seal(&mut self) {
        if self.packing.is_some() || self.journaled == 0 {
            return;
        }
        let mut tables = self.shared.tables.write();
        tables.sealed = std::mem::take(&mut tables.recent);
        self.packing = Some(Packing { row: self.next_row - 1, devices: reversed(tables.sealed.devices()) });
        self.journaled = 0;
    }

    /// Packs a slice.
    pub(super) fn pack(&mut self, slice: Slice) -> Result<(), Fault> {
        let Some(packing) = &mut self.packing else { return Ok(()) };
        // A loss of power may undo this transaction, but not this one alone: the journal is deleted after it.
        self.db.pragma_update(None, "synchronous", "normal")?;
        let packed = if packing.devices.is_empty() {
            shorten(&self.db, packing.row)
        } else {
            let began = Instant::now();
            let tables = &self.shared.tables;
            let take = |device| {
                let range =
                    Range { first: KEY_MIN, last: KEY_MAX, order: Order::OldestFirst, limit: RUN_MAX };
                tables.read().sealed.pick(device, range, |_any| true)
            };
            pack(&self.db, packing, slice, began, take).map(|done| {
                let mut tables = tables.write();
                for (device, up_to) in done.runs {
                    tables.sealed.forget(device, up_to);
                }
                packing.devices.truncate(done.devices_left);
                false
            })
        };
        if let Err(error) = self.db.pragma_update(None, "synchronous", "full") {
            // No commit may be acknowledged by a connection that does not wait for the disk.
            self.is_shaken = true;
            return Err(error.into());
        }
        if packed? {
            self.packing = None;
        }
        Ok(())
    }
}

/// What a slice did.
struct Done {
    runs: Vec<(i64, Key)>,
    devices_left: usize,
}

fn pack(
    db: &Connection,
    packing: &Packing,
    slice: Slice,
    began: Instant,
    take: impl Fn(i64) -> Vec<Point>,
) -> Result<Done, Fault> {
    let transaction = db.unchecked_transaction()?;
    let mut ledger = Ledger::default();
    let mut done = Done { runs: Vec::new(), devices_left: packing.devices.len() };
    let mut fixes = 0;
    let mut cursor = None;
    for &device in packing.devices.iter().rev() {
        // It may have been removed, or be packed up to somewhere.
        let points = take(device);
        let is_all = points.len() < RUN_MAX;
        let mut rest = points.as_slice();
        while !rest.is_empty() && began.elapsed() < slice.time {
            let taken = fold(&transaction, &mut ledger, device, rest)?;
            fixes += taken;
            rest = rest.get(taken..).unwrap_or_default();
        }
        if let Some(last) = points.len().checked_sub(rest.len() + 1).and_then(|last| points.get(last)) {
            done.runs.push((device, last.key()));
            cursor = Some((device, last.key()));
        }
        if !is_all || !rest.is_empty() {
            break;
        }
        done.devices_left -= 1;
        cursor = Some((device, KEY_MAX));
        if fixes >= slice.fixes || began.elapsed() >= slice.time {
            break;
        }
    }
    if let Some((device, up_to)) = cursor {
        let sql = "INSERT OR REPLACE INTO packing (only, journal, device, taken_us, discriminator)
                   VALUES (1, ?1, ?2, ?3, ?4)";
        transaction.prepare_cached(sql)?.execute(params![packing.row, device, up_to.0, up_to.1])?;
    }
    ledger.enter(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

/// Deletes rows of the journal whose fixes are in blocks. Says whether all of them are gone.
fn shorten(db: &Connection, row: i64) -> Result<bool, Fault> {
    let transaction = db.unchecked_transaction()?;
    // Nothing is left to pack, so whatever rows there are up to there are done: also if packing had nothing to do.
    let sql = "INSERT OR REPLACE INTO packing (only, journal, device, taken_us, discriminator)
               VALUES (1, ?1, ?2, ?2, ?2)";
    transaction.prepare_cached(sql)?.execute([row, i64::MAX])?;
    let deleted = transaction
        .prepare_cached(
            "DELETE FROM journal WHERE id IN (SELECT id FROM journal WHERE id <= ?1 ORDER BY id LIMIT ?2)",
        )?
        .execute([row, ROWS_MAX])?;
    let is_done = deleted.cast_signed() as i64 != ROWS_MAX;
    if is_done {
        transaction.execute("DELETE FROM packing", [])?;
    }
    transaction.commit()?;
    Ok(is_done)
}

/// Brings the first part of a device's fixes where it belongs. Says how many fixes that were, one at least.
fn fold(db: &Connection, ledger: &mut Ledger, device: i64, points: &[Point]) -> Result<usize, Fault> {
    let Some(first) = points.first() else { return Ok(0) };
    let floor = Block::floor(db, device, first.taken_us)?;
    let until = |end_us: i64| points.partition_point(|point| point.taken_us <= end_us);
    let (goal, taken, division) = match floor {
        Some(block) if block.last_us >= first.taken_us => {
            (Goal::Into(block), until(block.last_us), Division::Even)
        }
        floor => {
            let next = Block::next(db, device, first.taken_us)?;
            let taken = next.map_or(points.len(), |next| until(next.first_us - 1));
            let run = taken.cast_signed() as i64;
            let goal = match (floor, next) {
                (Some(floor), None)
                    if floor.tier == 0 && floor.has_room() && floor.fixes <= run * EXTENDED_BY_PART =>
                {
                    Goal::Extends(floor)
                }
                (Some(floor), Some(_next)) if taken < GAP_MIN => Goal::Extends(floor),
                _ => Goal::Alone,
            };
            (goal, taken, if next.is_some() { Division::Even } else { Division::Full })
        }
    };
    let run = points.get(..taken).unwrap_or_default();
    let fixes = |points| Fixes { device, tier: 0, points };
    match goal {
        Goal::Alone => ledger.replace(db, &[], fixes(run), division)?,
        Goal::Into(block) | Goal::Extends(block) => {
            // What is stored already stays when the same comes again.
            let mut merged = block.open(db)?;
            let stored = merged.len();
            merged.extend_from_slice(run);
            merge(&mut merged, Order::OldestFirst);
            if merged.len() > stored {
                ledger.replace(db, &[block], fixes(&merged), division)?;
            }
        }
    }
    Ok(taken)
}
