//! A page of a device's history.

use anita_model::Timestamp;
use anita_store::{Cursor, Extent, FixKey, HistoryPage, HistoryQuery, Order, millimetres};
use rusqlite::Connection;

use crate::codec::{self, Damaged};
use crate::fault::Fault;
use crate::keeper::Shared;
use crate::point::{KEY_MAX, KEY_MIN, Key, Point, after, before};
use crate::recent::{Range, merge};

/// How much of a history one page looks through: reading a block costs [`READ_COST`], passing one by costs 1.
#[cfg(not(test))]
const COST_MAX: u32 = 16_384;
#[cfg(test)]
const COST_MAX: u32 = 128;

/// As in [`COST_MAX`].
const READ_COST: u32 = 8;

/// A box in millimetres, its edges included.
#[derive(Debug, Clone, Copy)]
struct Area {
    x_mm: (i64, i64),
    y_mm: (i64, i64),
}

impl Area {
    fn of(extent: Extent) -> Self {
        let Extent { min_x_m, min_y_m, max_x_m, max_y_m } = extent;
        Self {
            x_mm: (millimetres(min_x_m), millimetres(max_x_m)),
            y_mm: (millimetres(min_y_m), millimetres(max_y_m)),
        }
    }

    fn has(&self, point: &Point) -> bool {
        (self.x_mm.0..=self.x_mm.1).contains(&point.x_mm) && (self.y_mm.0..=self.y_mm.1).contains(&point.y_mm)
    }

    fn meets(&self, x_mm: (i64, i64), y_mm: (i64, i64)) -> bool {
        x_mm.0 <= self.x_mm.1 && self.x_mm.0 <= x_mm.1 && y_mm.0 <= self.y_mm.1 && self.y_mm.0 <= y_mm.1
    }
}

/// The blocks that may have fixes between two times, newest first.
pub(crate) const NEWEST_FIRST: &str = "SELECT first_us, last_us, min_x_mm, max_x_mm, min_y_mm, max_y_mm, body
    FROM block WHERE device = ?1 AND first_us <= ?3 AND ?2 <= ?3 ORDER BY first_us DESC";

/// The same, oldest first.
pub(crate) const OLDEST_FIRST: &str = "SELECT first_us, last_us, min_x_mm, max_x_mm, min_y_mm, max_y_mm, body
    FROM block WHERE device = ?1 AND first_us <= ?3 AND first_us >= coalesce(
        (SELECT first_us FROM block WHERE device = ?1 AND first_us <= ?2 ORDER BY first_us DESC LIMIT 1), ?2)
    ORDER BY first_us";

/// What was found in blocks.
#[derive(Debug, Default)]
struct Found {
    points: Vec<Point>,
    /// Where it stopped looking before the end.
    stopped_at: Option<Key>,
}

pub(crate) fn page(db: &Connection, shared: &Shared, query: &HistoryQuery) -> Result<HistoryPage, Fault> {
    let Some(device) = shared.number(&query.device) else { return Ok(HistoryPage::default()) };
    let range = range(query);
    if range.first > range.last {
        return Ok(HistoryPage::default());
    }
    let within = query.within.map(Area::of);
    // What is in memory goes into blocks, never the other way: so memory is asked first.
    let is_asked = |point: &Point| within.is_none_or(|within| within.has(point));
    let recent = shared.tables.read().pick(device, range, is_asked);
    let Found { points: mut found, stopped_at } = in_blocks(db, device, range, within)?;
    found.extend(recent);
    merge(&mut found, range.order);
    if let Some(border) = stopped_at {
        found.retain(|point| match range.order {
            Order::NewestFirst => point.key() >= border,
            Order::OldestFirst => point.key() <= border,
        });
    }
    let mut next = stopped_at;
    if found.len() > query.limit {
        found.truncate(query.limit);
        next = found.last().map(Point::key);
    }
    let next = next.map(cursor).transpose()?;
    Ok(HistoryPage { fixes: shared.fixes(&query.device, &found)?, next })
}

fn range(query: &HistoryQuery) -> Range {
    let mut first = query.start.map_or(KEY_MIN, |start| (start.as_micros(), i64::MIN));
    let mut last = query.end.map_or(KEY_MAX, |end| (end.as_micros(), i64::MAX));
    if let Some(Cursor(key)) = query.after {
        let key = (key.taken_at.as_micros(), key.discriminator);
        match query.order {
            Order::NewestFirst => last = last.min(before(key)),
            Order::OldestFirst => first = first.max(after(key)),
        }
    }
    Range { first, last, order: query.order, limit: query.limit.saturating_add(1) }
}

fn cursor((taken_us, discriminator): Key) -> Result<Cursor, Damaged> {
    let taken_at = Timestamp::from_micros(taken_us).map_err(|_out_of_range| Damaged)?;
    Ok(Cursor(FixKey { taken_at, discriminator }))
}

fn in_blocks(db: &Connection, device: i64, range: Range, within: Option<Area>) -> Result<Found, Fault> {
    let Range { first, last, order, limit } = range;
    let mut statement = db.prepare_cached(match order {
        Order::NewestFirst => NEWEST_FIRST,
        Order::OldestFirst => OLDEST_FIRST,
    })?;
    let mut rows = statement.query([device, first.0, last.0])?;
    let mut found = Found::default();
    let mut cost = 0;
    while let Some(row) = rows.next()? {
        let (first_us, last_us): (i64, i64) = (row.get(0)?, row.get(1)?);
        if order == Order::NewestFirst && last_us < first.0 {
            break;
        }
        let extents = ((row.get(2)?, row.get(3)?), (row.get(4)?, row.get(5)?));
        if within.is_none_or(|within| within.meets(extents.0, extents.1)) {
            cost += READ_COST;
            let points = codec::legible_block(row.get_ref(6)?.as_blob().map_err(rusqlite::Error::from)?);
            let asked = points.into_iter().filter(|point| {
                (first..=last).contains(&point.key()) && within.is_none_or(|within| within.has(point))
            });
            let before = found.points.len();
            found.points.extend(asked);
            if order == Order::NewestFirst
                && let Some(added) = found.points.get_mut(before..)
            {
                added.reverse();
            }
            if found.points.len() >= limit {
                found.points.truncate(limit);
                break;
            }
        } else {
            cost += 1;
        }
        if cost >= COST_MAX {
            found.stopped_at = Some(match order {
                Order::NewestFirst => (first_us, i64::MIN),
                Order::OldestFirst => (last_us, i64::MAX),
            });
            break;
        }
    }
    Ok(found)
}
