//! What happened to many devices in a stretch of time.

use std::sync::Arc;

use anita_model::Fix;
use anita_store::{Order, Window, WindowQuery};
use rusqlite::Connection;

use crate::codec;
use crate::fault::Fault;
use crate::keeper::Shared;
use crate::point::{Key, Point};
use crate::read::page::OLDEST_FIRST;
use crate::recent::{Range, merge};

/// The stretches that fixes are thinned out by.
#[derive(Debug, Clone, Copy)]
struct Stretches {
    start_us: i64,
    /// 0 when all fixes are wanted.
    every_us: i64,
}

impl Stretches {
    fn same(self, a_us: i64, b_us: i64) -> bool {
        let stretch = |at_us: i64| at_us.saturating_sub(self.start_us).checked_div_euclid(self.every_us);
        self.every_us > 0 && stretch(a_us) == stretch(b_us)
    }

    /// Leaves the newest of each stretch.
    fn thin(self, points: &mut Vec<Point>) {
        let mut next_us = None;
        points.reverse();
        points.retain(|point| {
            let is_newest = next_us.is_none_or(|next_us| !self.same(point.taken_us, next_us));
            next_us = Some(point.taken_us);
            is_newest
        });
        points.reverse();
    }
}

pub(crate) fn window(db: &Connection, shared: &Shared, query: &WindowQuery) -> Result<Window, Fault> {
    let every_us = i64::try_from(query.every.as_micros()).unwrap_or(i64::MAX);
    let stretches = Stretches { start_us: query.start.as_micros(), every_us };
    // The same question, whose end comes nearer as more is found than is wanted.
    let mut rest = WindowQuery { devices: Vec::new(), ..*query };
    let mut fixes: Vec<Arc<Fix>> = Vec::new();
    let most = query.fixes_max.saturating_mul(2).saturating_add(1_024);
    let mut gathered_max = most;
    for device in &query.devices {
        let Some(number) = shared.number(device) else { continue };
        if rest.end <= rest.start {
            break;
        }
        let points = of_device(db, shared, number, stretches, &rest)?;
        fixes.extend(shared.fixes(device, &points)?);
        if fixes.len() > gathered_max {
            let window = Window::of(fixes, &rest);
            fixes = window.fixes;
            rest.end = window.complete_to;
            gathered_max = most.max(fixes.len() * 2);
        }
    }
    Ok(Window::of(fixes, &rest))
}

/// The fixes of a device, oldest first, thinned out; a little more than are wanted at most.
fn of_device(
    db: &Connection,
    shared: &Shared,
    device: i64,
    stretches: Stretches,
    query: &WindowQuery,
) -> Result<Vec<Point>, Fault> {
    let first: Key = (query.start.as_micros(), i64::MIN);
    let last: Key = (query.end.as_micros().saturating_sub(1), i64::MAX);
    let enough = query.fixes_max.saturating_add(2);
    let limit = if stretches.every_us == 0 { enough } else { usize::MAX };
    let range = Range { first, last, order: Order::OldestFirst, limit };
    // What is in memory goes into blocks, never the other way: so memory is asked first, and the blocks as they are then;
    // a transaction around all devices would show the blocks of too early a moment.
    let mut recent = shared.tables.read().pick(device, range, |_any| true);
    // The first moment is told whole, however many fixes it has.
    let is_one_moment = |points: &[Point]| points.last().is_some_and(|last| last.taken_us == first.0);
    if recent.len() == limit && is_one_moment(&recent) {
        let range = Range { last: (first.0, i64::MAX), limit: usize::MAX, ..range };
        recent = shared.tables.read().pick(device, range, |_any| true);
    }
    let mut found: Vec<Point> = Vec::new();
    let mut add = |body: &[u8]| -> Result<bool, Fault> {
        let mut points = codec::legible_block(body);
        points.retain(|point| (first..=last).contains(&point.key()));
        stretches.thin(&mut points);
        if let (Some(newest), Some(next)) = (found.last(), points.first())
            && stretches.same(newest.taken_us, next.taken_us)
        {
            found.pop();
        }
        found.append(&mut points);
        Ok(found.len() > enough && !is_one_moment(&found))
    };
    let mut statement = db.prepare_cached(OLDEST_FIRST)?;
    let mut rows = statement.query([device, first.0, last.0])?;
    // A block is read when it is known that the next one has nothing newer of the same stretch.
    let mut held: Option<(i64, Vec<u8>)> = None;
    let mut has_enough = false;
    while !has_enough && let Some(row) = rows.next()? {
        let first_us: i64 = row.get(0)?;
        let body = row.get_ref(6)?.as_blob().map_err(rusqlite::Error::from)?;
        if let Some((held_us, held)) = &held
            && !stretches.same(*held_us, first_us)
        {
            has_enough = add(held)?;
        }
        let (_held_us, mut buffer) = held.take().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(body);
        held = Some((first_us, buffer));
    }
    if let Some((_held_us, held)) = held.filter(|_held| !has_enough) {
        add(&held)?;
    }
    found.extend(recent);
    merge(&mut found, Order::OldestFirst);
    stretches.thin(&mut found);
    Ok(found)
}
