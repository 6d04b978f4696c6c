//! The tables that fixes are in: one a day for what is young, and two for everything else.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use anita_model::{Fix, SiteName, SourceName, Timestamp};
use parking_lot::Mutex;
use tokio_postgres::{Client, Error, GenericClient};

use crate::day::Day;

/// A day that is older than this has no table made for it.
pub(crate) const AGE_DAYS_MAX: i64 = 31;

/// The table of what is older than the store itself, and the one of all other days without a table.
pub(crate) const REST: [&str; 2] = ["fix_past", "fix_rest"];

/// How long a new or an old partition waits for those who read: others wait behind it meanwhile.
pub(crate) const LOCK_WAIT: &str = "SET LOCAL lock_timeout = '2s'";

/// What all connections know of the tables.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) days: Mutex<Days>,
    pub(crate) thinned: Mutex<Thinned>,
    /// Where fixes come from, by their numbers. They never change.
    pub(crate) origins: Mutex<HashMap<i32, (SourceName, SiteName)>>,
}

/// The days.
#[derive(Debug, Default)]
pub(crate) struct Days {
    /// Those with a table.
    pub(crate) tables: BTreeSet<Day>,
    /// Those without one that have fixes, once they were looked for.
    pub(crate) rest: Option<BTreeSet<Day>>,
    /// The first that may have one.
    first: i64,
    /// Those that may not, because fixes of theirs are elsewhere already.
    unsuitable: HashSet<Day>,
}

/// How days were thinned out.
#[derive(Debug, Default)]
pub(crate) struct Thinned {
    /// By which stretch, microseconds, and whether that is finished.
    pub(crate) days: BTreeMap<Day, (i64, bool)>,
    /// Before this moment something may have been thinned out.
    pub(crate) before_us: i64,
}

impl Thinned {
    /// The days whose thinning is spoilt by fixes that come late.
    pub(crate) fn spoilt<'a>(&self, fixes: impl Iterator<Item = &'a Fix>) -> Vec<Day> {
        if self.days.is_empty() {
            return Vec::new();
        }
        let late = fixes.map(|fix| fix.taken_at.as_micros()).filter(|&at_us| at_us < self.before_us);
        let late: Vec<i64> = late.collect();
        if late.is_empty() {
            return Vec::new();
        }
        let stretches: HashSet<i64> = self.days.values().map(|(every_us, _is_done)| *every_us).collect();
        let mut spoilt = BTreeSet::new();
        for every_us in stretches {
            for at_us in &late {
                let day = Day::of_micros(at_us.div_euclid(every_us) * every_us);
                if self.days.get(&day).is_some_and(|(every, _is_done)| *every == every_us) {
                    spoilt.insert(day);
                }
            }
        }
        spoilt.into_iter().collect()
    }

    /// They are to be thinned out again.
    pub(crate) fn spoil(&mut self, days: &[Day]) {
        for day in days {
            if let Some((_every, is_done)) = self.days.get_mut(day) {
                *is_done = false;
            }
        }
    }
}

/// The name of a day's table.
pub(crate) fn table(day: Day) -> String {
    format!("fix_{}", day.name())
}

/// The day of a table's name.
fn day_of(table: &str) -> Option<Day> {
    let digits =
        table.strip_prefix("fix_").filter(|it| it.len() == 8 && it.bytes().all(|it| it.is_ascii_digit()))?;
    let (year, rest) = digits.split_at(4);
    let (month, day) = rest.split_at(2);
    Timestamp::parse(&format!("{year}-{month}-{day}T00:00:00Z")).ok().map(Day::of)
}

/// Finds out what there is.
pub(crate) async fn learn(client: &Client, shared: &Shared) -> Result<(), Error> {
    let names = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
                 WHERE i.inhparent = 'fix'::regclass";
    let rows = client.query(names, &[]).await?;
    let names: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let first = "SELECT first_day FROM schema_version ORDER BY version LIMIT 1";
    let first: i64 = client.query_one(first, &[]).await?.try_get(0)?;
    let rows = client.query("SELECT day, every_us, is_done FROM thinning", &[]).await?;
    let mut thinned = Thinned { days: BTreeMap::new(), before_us: i64::MIN };
    for row in rows {
        let (day, every_us, is_done): (i64, i64, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        thinned.note(Day(day), every_us);
        thinned.days.insert(Day(day), (every_us, is_done));
    }
    *shared.thinned.lock() = thinned;
    let mut days = shared.days.lock();
    days.tables = names.iter().filter_map(|name| day_of(name)).collect();
    days.first = first;
    Ok(())
}

impl Thinned {
    /// A day is about to be thinned out.
    pub(crate) fn note(&mut self, day: Day, every_us: i64) {
        self.days.insert(day, (every_us, false));
        let (_start, end) = region(day, every_us);
        self.before_us = self.before_us.max(end);
    }
}

/// The stretches that begin on a day: from where to before where, microseconds.
pub(crate) fn region(day: Day, every_us: i64) -> (i64, i64) {
    let border = |day: Day| {
        let start_us = day.start().0;
        start_us.saturating_add((-start_us).rem_euclid(every_us))
    };
    (border(day), border(Day(day.0 + 1)))
}

/// Makes the tables of the days that are about to be written.
pub(crate) async fn make<'a>(
    client: &mut Client,
    shared: &Shared,
    fixes: impl Iterator<Item = &'a Fix>,
    now: Timestamp,
) -> Result<(), Error> {
    let today = Day::of(now).0;
    let missing = {
        let mut days = shared.days.lock();
        let window = days.first.max(today - AGE_DAYS_MAX)..=today + 1;
        let mut missing = BTreeSet::new();
        let mut last = None;
        for fix in fixes {
            let day = Day::of(fix.taken_at);
            if last.replace(day) == Some(day) || days.tables.contains(&day) {
                continue;
            }
            if window.contains(&day.0) && !days.unsuitable.contains(&day) {
                missing.insert(day);
            } else if let Some(rest) = &mut days.rest {
                rest.insert(day);
            }
        }
        missing
    };
    for day in missing {
        let is_made = make_one(client, day).await?;
        let mut days = shared.days.lock();
        if is_made {
            days.tables.insert(day);
        } else {
            tracing::warn!(
                day = day.name(),
                "a day gets no table of its own: fixes of it came when it was too far away"
            );
            days.unsuitable.insert(day);
            if let Some(rest) = &mut days.rest {
                rest.insert(day);
            }
        }
    }
    Ok(())
}

/// Whether it could be made.
async fn make_one(client: &mut Client, day: Day) -> Result<bool, Error> {
    let transaction = client.transaction().await?;
    let (start, end, table) = (day.literal(), Day(day.0 + 1).literal(), table(day));
    let elsewhere = format!("SELECT FROM fix_rest WHERE taken_at >= {start} AND taken_at < {end} LIMIT 1");
    if transaction.query_opt(&elsewhere, &[]).await?.is_some() {
        return Ok(false);
    }
    transaction.batch_execute(LOCK_WAIT).await?;
    let create =
        format!("CREATE TABLE IF NOT EXISTS {table} PARTITION OF fix FOR VALUES FROM ({start}) TO ({end})");
    transaction.batch_execute(&create).await?;
    transaction.commit().await?;
    Ok(true)
}

/// The days without a table that have fixes. Looked for once; afterwards kept up to date by those who write.
pub(crate) async fn rest<C: GenericClient>(client: &C, shared: &Shared) -> Result<BTreeSet<Day>, Error> {
    if let Some(days) = &shared.days.lock().rest {
        return Ok(days.clone());
    }
    // What is written from here on is noted, so that nothing slips through meanwhile.
    shared.days.lock().rest = Some(BTreeSet::new());
    let mut found = BTreeSet::new();
    for table in REST {
        let sql = format!("SELECT min(taken_at) FROM {table} WHERE taken_at >= $1");
        let mut from = crate::day::Micros(crate::history::first().as_micros());
        while let Some(at) =
            client.query_one(&sql, &[&from]).await?.try_get::<_, Option<crate::day::Moment>>(0)?
        {
            let day = Day::of(at.0);
            found.insert(day);
            from = Day(day.0 + 1).start();
        }
    }
    let mut days = shared.days.lock();
    let known = days.rest.get_or_insert_default();
    known.extend(found);
    Ok(known.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_named_after_their_days() {
        let day = Day::of(Timestamp::parse("2026-11-23T12:00:00Z").unwrap());
        assert_eq!(table(day), "fix_20261123");
        assert_eq!(day_of("fix_20261123"), Some(day));
        for other in ["fix_rest", "fix_past", "fix_2026112", "fix_20261399", "device"] {
            assert_eq!(day_of(other), None, "{other}");
        }
    }

    #[test]
    fn every_stretch_belongs_to_the_day_in_which_it_begins() {
        let week_us = 7 * crate::day::DAY_US;
        for every_us in [1_000_000, 7 * 60_000_000, week_us] {
            for n in [-400, -1, 0, 1, 20_000] {
                let (start, end) = region(Day(n), every_us);
                assert_eq!((start.rem_euclid(every_us), end.rem_euclid(every_us)), (0, 0));
                assert_eq!(end, region(Day(n + 1), every_us).0);
                assert!(start == end || Day::of_micros(start) == Day(n));
            }
        }
    }
}
