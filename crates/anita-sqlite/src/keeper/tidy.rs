//! Deletes what is too old or too much, and thins out what is old: in slices.
//!
//! Blocks go whole where they can. Those that a border runs through are written anew without what is beyond it; as that
//! is much work for little, it happens only when the border has moved on by a part of its age.

mod fixes;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anita_model::Timestamp;
use anita_store::{KindLimits, Retention, StoreError, Tidied};
use rusqlite::{Connection, OptionalExtension};

use crate::blocks::{Block, Ledger, tally};
use crate::fault::Fault;
use crate::keeper::Keeper;
use crate::keeper::pack::SLICE;
use crate::registry::{EVENT_BYTES, forget_rooms};
use crate::trail::AUDIT_BYTES;

/// How long a slice may take, about.
const SLICE_TIME: Duration = Duration::from_millis(6);

/// How many rows go at once.
const ROWS_MAX: i64 = 256;

/// How many free pages are given back to the system at once.
const PAGES_MAX: u32 = 128;

/// So many pages stay free for what comes.
const PAGES_KEPT: i64 = 1_024;

/// How far the borders were brought exactly.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The border of each step, microseconds: 0 is the age, `k` the thinning from tier `k - 1`.
    exact_us: HashMap<usize, i64>,
    /// The recent table was sealed for this round of tidying.
    has_sealed: bool,
}

/// Whether blocks that a border runs through are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Yes.
    Exact,
    /// Only whole blocks count.
    Whole,
}

/// A border in time: what was before it goes, or is thinned out.
#[derive(Debug, Clone, Copy)]
struct Border {
    step: usize,
    at_us: i64,
    cut: Cut,
}

impl Progress {
    /// The border of a step that is about things of that age.
    fn border(&self, step: usize, now: Timestamp, age: Duration) -> Border {
        let at_us = now.minus(age).as_micros();
        let moved_by = i64::try_from(age.as_micros() / 64).unwrap_or(i64::MAX).min(3_600_000_000);
        let is_due = self
            .exact_us
            .get(&step)
            .is_none_or(|exact_us| at_us < *exact_us || at_us.saturating_sub(*exact_us) >= moved_by);
        Border { step, at_us, cut: if is_due { Cut::Exact } else { Cut::Whole } }
    }

    /// All of a step is done.
    fn done(&mut self, border: Border) {
        if border.cut == Cut::Exact {
            self.exact_us.insert(border.step, border.at_us);
        }
    }
}

impl Keeper {
    /// A piece of tidying.
    pub(super) fn tidy(&mut self, retention: &Retention, now: Timestamp) -> Result<Tidied, StoreError> {
        self.is_master = true;
        let result = self.recover().and_then(|()| self.tidy_a_slice(retention, now));
        if let Err(fault) = &result {
            self.judge(fault);
        }
        self.checkpoint();
        Ok(result?)
    }

    fn tidy_a_slice(&mut self, retention: &Retention, now: Timestamp) -> Result<Tidied, Fault> {
        let mut tidied = Tidied::default();
        if self.packs_for(retention, now)? {
            self.pack(SLICE)?;
            tidied.has_more = true;
            return Ok(tidied);
        }
        let until = Instant::now() + SLICE_TIME;
        // Each says whether it is done; the first that is not ends the slice.
        let is_done = self.adopt(until)?
            && self.age(retention, now, until, &mut tidied)?
            && self.thin(retention, now, until, &mut tidied)?
            && self.shrink(retention, until, &mut tidied)?
            && self.rows(&EVENTS, retention.events, now, &mut tidied.events_removed)?
            && self.rows(&AUDIT, retention.audit, now, &mut tidied.audit_removed)?
            && self.give_back()?;
        if is_done {
            forget_rooms(&self.db)?;
        }
        tidied.has_more = !is_done;
        self.tidying.has_sealed &= !is_done;
        Ok(tidied)
    }

    /// Whether fixes that are in no block yet have to be packed first, because something is to be done with them. Once a
    /// round: more that is old may come all the time.
    fn packs_for(&mut self, retention: &Retention, now: Timestamp) -> Result<bool, Fault> {
        let is_asked =
            self.tidying.has_sealed || self.has_old(retention, now) || self.has_too_much(retention)?;
        if is_asked && self.packing.is_none() && !self.tidying.has_sealed {
            self.seal();
            self.tidying.has_sealed = true;
        }
        Ok(is_asked && self.packing.is_some())
    }

    /// Whether there are fixes that a border has passed which are in no block yet.
    fn has_old(&self, retention: &Retention, now: Timestamp) -> bool {
        let oldest_us = {
            let tables = self.shared.tables.read();
            let both = [tables.sealed.oldest_us(), tables.recent.oldest_us()];
            both.into_iter().flatten().min()
        };
        let age = retention.fixes.age_max.map(|age_max| (0, age_max));
        let mut steps = age.into_iter().chain(retention.thinning.first().map(|it| (1, it.after)));
        oldest_us.is_some_and(|oldest_us| {
            steps.any(|(step, age)| {
                let border = self.tidying.border(step, now, age);
                border.cut == Cut::Exact && oldest_us < border.at_us
            })
        })
    }

    /// Whether there is too much, and none of it in blocks yet.
    fn has_too_much(&self, retention: &Retention) -> Result<bool, Fault> {
        let Some(most) = retention.fixes.bytes_max else { return Ok(false) };
        let has_blocks: bool =
            self.db.query_row("SELECT EXISTS (SELECT 1 FROM block)", [], |row| row.get(0))?;
        Ok(!has_blocks && self.fixes_bytes()? > most)
    }

    /// The room that fixes take, as the usage says.
    fn fixes_bytes(&self) -> Result<u64, Fault> {
        Ok(crate::read::usage(&self.db, &self.shared)?.fixes.bytes)
    }

    /// Deletes blocks of devices that were removed.
    fn adopt(&mut self, until: Instant) -> Result<bool, Fault> {
        let sql = "SELECT no FROM orphan LIMIT 1";
        let Some(orphan) = self.db.query_row(sql, [], |row| row.get::<_, i64>(0)).optional()? else {
            return Ok(true);
        };
        let transaction = self.db.unchecked_transaction()?;
        loop {
            let sql = "DELETE FROM block WHERE id IN (SELECT id FROM block WHERE device = ?1 LIMIT 16)";
            if transaction.prepare_cached(sql)?.execute([orphan])? == 0 {
                transaction.execute("DELETE FROM orphan WHERE no = ?1", [orphan])?;
                break;
            }
            if Instant::now() >= until {
                break;
            }
        }
        transaction.commit()?;
        Ok(false)
    }

    /// Deletes rows of a kind that are too old or too many.
    fn rows(
        &mut self,
        kind: &Kind,
        limits: KindLimits,
        now: Timestamp,
        removed: &mut u64,
    ) -> Result<bool, Fault> {
        let Kind { table, tally: name, bytes, expendable } = kind;
        let least_us = limits.age_max.map_or(i64::MIN, |age_max| now.minus(age_max).as_micros());
        let sum = "SELECT bytes FROM tally WHERE kind = ?1";
        let sum: i64 = self.db.prepare_cached(sum)?.query_row([*name], |row| row.get(0))?;
        let most = limits.bytes_max.map_or(i64::MAX, |most| i64::try_from(most).unwrap_or(i64::MAX));
        let mut excess = sum.saturating_sub(most);
        let mut last = None;
        let mut gone = (0, 0);
        {
            let sql = format!(
                "SELECT ordinal, at_us, {bytes} FROM {table} WHERE {expendable} ORDER BY ordinal LIMIT {ROWS_MAX}"
            );
            let mut statement = self.db.prepare_cached(&sql)?;
            let mut rows = statement.query([])?;
            let mut seen = (0, 0);
            while let Some(row) = rows.next()? {
                let (ordinal, at_us, bytes): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                seen = (seen.0 + 1, seen.1 + bytes);
                // What is before one that is too old is too old, too, whatever the clock was then.
                if at_us < least_us || excess > 0 {
                    last = Some(ordinal);
                    gone = seen;
                }
                excess -= bytes;
            }
        }
        let Some(last) = last else { return Ok(true) };
        let transaction = self.db.unchecked_transaction()?;
        transaction.execute(&format!("DELETE FROM {table} WHERE ordinal <= ?1"), [last])?;
        tally(&transaction, name, -gone.0, -gone.1)?;
        transaction.commit()?;
        *removed += gone.0.cast_unsigned();
        Ok(gone.0 < ROWS_MAX)
    }

    /// Gives pages back to the system that will not be needed soon.
    fn give_back(&mut self) -> Result<bool, Fault> {
        let count = |pragma: &str| -> Result<i64, Fault> {
            Ok(self.db.prepare_cached(pragma)?.query_row([], |row| row.get(0))?)
        };
        let (free, all) = (count("PRAGMA freelist_count")?, count("PRAGMA page_count")?);
        if free <= PAGES_KEPT.max(all / 4) {
            return Ok(true);
        }
        let mut statement = self.db.prepare_cached(&format!("PRAGMA incremental_vacuum({PAGES_MAX})"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        Ok(false)
    }
}

/// A table whose oldest rows go first.
struct Kind {
    table: &'static str,
    tally: &'static str,
    bytes: &'static str,
    /// Which rows may go.
    expendable: &'static str,
}

const EVENTS: Kind = Kind { table: "event", tally: "events", bytes: EVENT_BYTES, expendable: "1" };

/// The newest stays: the chain goes on after it.
const AUDIT: Kind = Kind {
    table: "audit",
    tally: "audit",
    bytes: AUDIT_BYTES,
    expendable: "ordinal < (SELECT max(ordinal) FROM audit)",
};

/// The oldest block of a tier that begins before a border; or, where blocks are not cut, ends before it.
fn oldest(db: &Connection, tier: i64, border: Border) -> Result<Option<Block>, Fault> {
    let clause = match border.cut {
        Cut::Exact => "WHERE tier = ?1 AND first_us < ?2 ORDER BY first_us LIMIT 1",
        Cut::Whole => "WHERE tier = ?1 AND last_us < ?2 ORDER BY last_us LIMIT 1",
    };
    let sql = format!("SELECT {} FROM block {clause}", Block::COLUMNS);
    Ok(db.prepare_cached(&sql)?.query_row([tier, border.at_us], Block::of).optional()?)
}

/// The tiers that there are.
fn tiers(db: &Connection) -> Result<Vec<i64>, Fault> {
    let mut tiers = Vec::new();
    let mut next = db.prepare_cached("SELECT min(tier) FROM block WHERE tier > ?1")?;
    let mut last = -1;
    while let Some(tier) = next.query_row([last], |row| row.get::<_, Option<i64>>(0))? {
        tiers.push(tier);
        last = tier;
    }
    Ok(tiers)
}

/// What a slice changes of blocks.
struct Slice<'a> {
    db: rusqlite::Transaction<'a>,
    ledger: Ledger,
    until: Instant,
}

impl<'a> Slice<'a> {
    fn begin(db: &'a Connection, until: Instant) -> Result<Self, Fault> {
        Ok(Self { db: db.unchecked_transaction()?, ledger: Ledger::default(), until })
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    fn commit(self) -> Result<(), Fault> {
        self.ledger.enter(&self.db)?;
        Ok(self.db.commit()?)
    }
}
