//! What is asked of the fixes.
//!
//! Fixes are in a table a day. A question without a start would look into each of them, so it is asked of the last days
//! first, and of longer and longer stretches before while there is not enough.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anita_model::{DeviceId, Fix, Timestamp};
use anita_store::{
    Cursor, Extent, FixKey, HistoryPage, HistoryQuery, NewestQuery, Order, StoreError, Window, WindowQuery,
};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use crate::day::{DAY_US, Micros, Moment};
use crate::fault::{Fault, store_error};
use crate::partitions::Shared;
use crate::rows::{self, COLUMNS, ORIGIN, learn_origins, rounded};

/// The stretches that are looked into one after the other; everything comes after them.
const REACHES_DAYS: [i64; 3] = [2, 16, 128];

/// With an extent, so many fixes are looked at for a page.
const LOOK_MAX: i64 = 20_000;

/// The first moment there is.
pub(crate) fn first() -> Timestamp {
    Timestamp::UNIX_EPOCH.minus(Duration::MAX)
}

/// The last moment there is.
pub(crate) fn last() -> Timestamp {
    Timestamp::UNIX_EPOCH.plus(Duration::MAX)
}

/// Keys from one to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Keys {
    low: FixKey,
    high: FixKey,
}

impl Keys {
    fn of(query: &HistoryQuery) -> Self {
        let mut low = FixKey { taken_at: query.start.unwrap_or_else(first), discriminator: i64::MIN };
        let mut high = FixKey { taken_at: query.end.unwrap_or_else(last), discriminator: i64::MAX };
        match (query.after, query.order) {
            (Some(Cursor(after)), Order::NewestFirst) => high = high.min(before(after)),
            (Some(Cursor(after)), Order::OldestFirst) => low = low.max(behind(after)),
            (None, _) => {}
        }
        Self { low, high }
    }

    fn is_empty(&self) -> bool {
        self.low > self.high
    }

    /// The same in pieces, in the order in which they are read.
    fn pieces(self, order: Order, now: Timestamp) -> Vec<Self> {
        let mut pieces = Vec::new();
        let mut rest = self;
        match order {
            Order::NewestFirst => {
                let from = self.high.taken_at.min(now).as_micros();
                for days in REACHES_DAYS {
                    let Ok(taken_at) = Timestamp::from_micros(from.saturating_sub(days * DAY_US)) else {
                        break;
                    };
                    let low = FixKey { taken_at, discriminator: i64::MIN };
                    if low > rest.low && low <= rest.high {
                        pieces.push(Self { low, high: rest.high });
                        rest.high = before(low);
                    }
                }
            }
            // Where the history begins nobody knows.
            Order::OldestFirst if self.low.taken_at == first() => {}
            Order::OldestFirst => {
                let from = self.low.taken_at.as_micros();
                for days in REACHES_DAYS {
                    let Ok(taken_at) = Timestamp::from_micros(from.saturating_add(days * DAY_US)) else {
                        break;
                    };
                    let high = FixKey { taken_at, discriminator: i64::MAX };
                    if high < rest.high && high >= rest.low {
                        pieces.push(Self { low: rest.low, high });
                        rest.low = behind(high);
                    }
                }
            }
        }
        pieces.push(rest);
        pieces
    }
}

/// The key right before another one.
fn before(key: FixKey) -> FixKey {
    match key.discriminator.checked_sub(1) {
        Some(discriminator) => FixKey { discriminator, ..key },
        None => FixKey { taken_at: key.taken_at.minus(Duration::from_micros(1)), discriminator: i64::MAX },
    }
}

/// The key right behind another one.
fn behind(key: FixKey) -> FixKey {
    match key.discriminator.checked_add(1) {
        Some(discriminator) => FixKey { discriminator, ..key },
        None => FixKey { taken_at: key.taken_at.plus(Duration::from_micros(1)), discriminator: i64::MIN },
    }
}

/// The numbers of devices that are there.
async fn numbers<C: GenericClient>(
    client: &C,
    devices: &[DeviceId],
) -> Result<HashMap<i32, DeviceId>, StoreError> {
    let by_id: HashMap<&str, &DeviceId> = devices.iter().map(|id| (id.as_str(), id)).collect();
    let ids: Vec<&str> = by_id.keys().copied().collect();
    let sql = "SELECT device_id, number FROM device_number WHERE device_id = ANY($1) AND NOT is_removed";
    let statement = client.prepare_cached(sql).await.map_err(store_error)?;
    let mut numbers = HashMap::new();
    for row in client.query(&statement, &[&ids]).await.map_err(store_error)? {
        let id: &str = row.try_get(0).map_err(store_error)?;
        if let Some(id) = by_id.get(id) {
            numbers.insert(row.try_get(1).map_err(store_error)?, (*id).clone());
        }
    }
    Ok(numbers)
}

/// The SQL of a page: times once more by themselves, since only they say which tables to look into.
pub(crate) fn page_sql(columns: &str, order: Order, more: &str, end: &str) -> String {
    let way = match order {
        Order::NewestFirst => "DESC",
        Order::OldestFirst => "ASC",
    };
    format!(
        "SELECT {columns} FROM fix f WHERE f.device = $1 AND f.taken_at >= $2 AND f.taken_at <= $4 \
         AND (f.taken_at, f.discriminator) >= ($2, $3) AND (f.taken_at, f.discriminator) <= ($4, $5) {more} \
         ORDER BY f.taken_at {way}, f.discriminator {way} {end}"
    )
}

async fn keyed<C: GenericClient>(
    client: &C,
    sql: &str,
    device: i32,
    keys: Keys,
    last: i64,
) -> Result<Vec<Row>, StoreError> {
    let Keys { low, high } = keys;
    let statement = client.prepare_cached(sql).await.map_err(store_error)?;
    let (low_at, high_at) = (Moment(low.taken_at), Moment(high.taken_at));
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
        [&device, &low_at, &low.discriminator, &high_at, &high.discriminator, &last];
    client.query(&statement, &values).await.map_err(store_error)
}

/// A page of a device's history.
pub(crate) async fn page<C: GenericClient>(
    client: &C,
    shared: &Shared,
    query: &HistoryQuery,
    now: Timestamp,
) -> Result<HistoryPage, StoreError> {
    let keys = Keys::of(query);
    let found = numbers(client, std::slice::from_ref(&query.device)).await?;
    let Some(&device) = found.keys().next() else { return Ok(HistoryPage::default()) };
    let mut rows: Vec<Row> = Vec::new();
    for piece in keys.pieces(query.order, now).into_iter().filter(|piece| !piece.is_empty()) {
        let left = query.limit.saturating_add(1).saturating_sub(rows.len());
        let left = i64::try_from(left).unwrap_or(i64::MAX);
        let Some(extent) = query.within else {
            rows.extend(
                keyed(client, &page_sql(COLUMNS, query.order, "", "LIMIT $6"), device, piece, left).await?,
            );
            if rows.len() > query.limit {
                break;
            }
            continue;
        };
        let (piece, border) = looked_through(client, device, piece, query.order).await?;
        let sql = page_sql(COLUMNS, query.order, &inside(extent), "LIMIT $6");
        rows.extend(keyed(client, &sql, device, piece, left).await?);
        if rows.len() > query.limit {
            break;
        }
        if border.is_some() {
            return page_of(client, shared, query, &rows, border).await;
        }
    }
    let next = match rows.get(query.limit.saturating_sub(1)) {
        Some(last) if rows.len() > query.limit => Some(Cursor(rows::key(last, 0)?)),
        _enough => None,
    };
    page_of(client, shared, query, &rows, next).await
}

async fn page_of<C: GenericClient>(
    client: &C,
    shared: &Shared,
    query: &HistoryQuery,
    rows: &[Row],
    next: Option<Cursor>,
) -> Result<HistoryPage, StoreError> {
    learn_origins(client, shared, rows, ORIGIN).await?;
    let fixes = rows.iter().take(query.limit).map(|row| rows::fix(row, 0, &query.device, shared));
    Ok(HistoryPage { fixes: fixes.collect::<Result<_, _>>()?, next })
}

/// As much of a stretch as is looked through for a page, and where that ends, if that is not its own end.
async fn looked_through<C: GenericClient>(
    client: &C,
    device: i32,
    piece: Keys,
    order: Order,
) -> Result<(Keys, Option<Cursor>), StoreError> {
    let sql = page_sql("f.taken_at, f.discriminator", order, "", "OFFSET $6 LIMIT 1");
    let rows = keyed(client, &sql, device, piece, LOOK_MAX - 1).await?;
    let Some(row) = rows.first() else { return Ok((piece, None)) };
    let border = rows::key(row, 0)?;
    let piece = match order {
        Order::NewestFirst => Keys { low: border, ..piece },
        Order::OldestFirst => Keys { high: border, ..piece },
    };
    Ok((piece, Some(Cursor(border))))
}

/// The SQL of an extent. Its edges are rounded as coordinates are, so they compare exactly.
fn inside(extent: Extent) -> String {
    let Extent { min_x_m, min_y_m, max_x_m, max_y_m } = extent;
    let [min_x, min_y, max_x, max_y] = [min_x_m, min_y_m, max_x_m, max_y_m].map(rounded);
    format!(
        "AND f.x_m >= {min_x:?}::float8 AND f.x_m <= {max_x:?}::float8 \
         AND f.y_m >= {min_y:?}::float8 AND f.y_m <= {max_y:?}::float8"
    )
}

/// The newest fixes at a moment.
pub(crate) async fn newest<C: GenericClient>(
    client: &C,
    shared: &Shared,
    query: &NewestQuery,
    now: Timestamp,
) -> Result<Vec<Arc<Fix>>, StoreError> {
    let sql = format!(
        "SELECT d.place, {COLUMNS} FROM unnest($1::text[], $2::bigint[]) AS d(id, place) \
         JOIN device_number n ON n.device_id = d.id AND NOT n.is_removed \
         CROSS JOIN LATERAL (SELECT * FROM fix WHERE fix.device = n.number AND fix.taken_at >= $3 \
         AND fix.taken_at <= $4 ORDER BY fix.taken_at DESC, fix.discriminator DESC LIMIT 1) f"
    );
    let statement = client.prepare_cached(&sql).await.map_err(store_error)?;
    let least = query.not_before.unwrap_or_else(first);
    let mut found: Vec<Option<Arc<Fix>>> = vec![None; query.devices.len()];
    let from = query.at.min(now);
    let reaches = REACHES_DAYS.map(|days| from.minus(Duration::from_micros((days * DAY_US).unsigned_abs())));
    for reach in reaches.into_iter().filter(|reach| *reach > least).chain([least]) {
        let missing =
            query.devices.iter().zip(&found).zip(0_i64..).filter(|((_id, fix), _place)| fix.is_none());
        let (ids, places): (Vec<&str>, Vec<i64>) =
            missing.map(|((id, _fix), place)| (id.as_str(), place)).unzip();
        if ids.is_empty() {
            break;
        }
        let rows = client
            .query(&statement, &[&ids, &places, &Moment(reach), &Moment(query.at)])
            .await
            .map_err(store_error)?;
        learn_origins(client, shared, &rows, 1 + ORIGIN).await?;
        for row in &rows {
            let place: i64 = row.try_get(0).map_err(store_error)?;
            let place = usize::try_from(place).unwrap_or(usize::MAX);
            if let (Some(device), Some(slot)) = (query.devices.get(place), found.get_mut(place)) {
                *slot = Some(rows::fix(row, 1, device, shared)?);
            }
        }
    }
    Ok(found.into_iter().flatten().collect())
}

/// The first stretch that is asked of a window; each next one is twice as long.
const WINDOW_STEP_US: i64 = 60_000_000;

/// What happened in a stretch of time.
pub(crate) async fn window<C: GenericClient>(
    client: &C,
    shared: &Shared,
    query: &WindowQuery,
) -> Result<Window, StoreError> {
    let devices = numbers(client, &query.devices).await?;
    let (start_us, end_us) = (query.start.as_micros(), query.end.as_micros());
    let every_us = i64::try_from(query.every.as_micros()).unwrap_or(i64::MAX).min((end_us - start_us).max(1));
    let mut fixes: Vec<Arc<Fix>> = Vec::new();
    let mut from_us = start_us;
    let mut step_us = match every_us {
        0 => WINDOW_STEP_US,
        every_us => every_us.saturating_mul((WINDOW_STEP_US / every_us).max(1)),
    };
    while from_us < end_us && !devices.is_empty() && fixes.len() <= query.fixes_max {
        let to_us = from_us.saturating_add(step_us).min(end_us);
        let left = query.fixes_max.saturating_add(1) - fixes.len();
        fixes.extend(stretch(client, shared, &devices, (from_us, to_us), (start_us, every_us), left).await?);
        from_us = to_us;
        step_us = step_us.saturating_mul(2);
    }
    let last_at = fixes.last().map(|fix| fix.taken_at).filter(|_last| fixes.len() > query.fixes_max);
    let window = Window::of(fixes, query);
    if last_at.is_some_and(|last_at| last_at < window.complete_to) {
        // The first stretch alone is more than may be: all of it, as promised.
        let all = (start_us, window.complete_to.as_micros());
        let fixes = stretch(client, shared, &devices, all, (start_us, every_us), usize::MAX).await?;
        let mut whole = Window::of(fixes, query);
        whole.complete_to = window.complete_to;
        return Ok(whole);
    }
    Ok(window)
}

/// The fixes of a part of a window, oldest first, so many at most.
async fn stretch<C: GenericClient>(
    client: &C,
    shared: &Shared,
    devices: &HashMap<i32, DeviceId>,
    (from_us, to_us): (i64, i64),
    (start_us, every_us): (i64, i64),
    limit: usize,
) -> Result<Vec<Arc<Fix>>, StoreError> {
    let numbers: Vec<i32> = devices.keys().copied().collect();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let all = format!(
        "SELECT f.device, {COLUMNS} FROM fix f WHERE f.device = ANY($1) AND f.taken_at >= $2 AND f.taken_at < $3"
    );
    let order = "ORDER BY f.taken_at, f.discriminator LIMIT $4";
    let (from, to) = (Micros(from_us), Micros(to_us));
    let rows = if every_us == 0 {
        let statement = client.prepare_cached(&format!("{all} {order}")).await.map_err(store_error)?;
        client.query(&statement, &[&numbers, &from, &to, &limit]).await
    } else {
        let part = "date_bin($5::text::interval, f.taken_at, $6)";
        let newest = all.replacen("SELECT", &format!("SELECT DISTINCT ON (f.device, {part})"), 1);
        let sql = format!(
            "SELECT * FROM ({newest} ORDER BY f.device, {part}, f.taken_at DESC, f.discriminator DESC) f {order}"
        );
        let statement = client.prepare_cached(&sql).await.map_err(store_error)?;
        let every = format!("{every_us} microseconds");
        client.query(&statement, &[&numbers, &from, &to, &limit, &every, &Micros(start_us)]).await
    };
    let rows = rows.map_err(store_error)?;
    learn_origins(client, shared, &rows, 1 + ORIGIN).await?;
    let fix = |row: &Row| {
        let number: i32 = row.try_get(0).map_err(store_error)?;
        let device =
            devices.get(&number).ok_or_else(|| Fault::Row("fix", "a device nobody asked for".to_owned()))?;
        rows::fix(row, 1, device, shared)
    };
    rows.iter().map(fix).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secs: i64) -> FixKey {
        FixKey { taken_at: Timestamp::from_micros(secs * 1_000_000).unwrap(), discriminator: 5 }
    }

    #[test]
    fn pieces_are_the_whole_without_gaps_in_the_order_of_reading() {
        let day_secs = DAY_US / 1_000_000;
        let now = key(20_000 * day_secs).taken_at;
        for (low, high) in [(first(), last()), (now, now), (first(), now), (key(0).taken_at, key(9).taken_at)]
        {
            let whole = Keys {
                low: FixKey { taken_at: low, discriminator: 3 },
                high: FixKey { taken_at: high, discriminator: 7 },
            };
            let pieces = whole.pieces(Order::NewestFirst, now);
            assert_eq!((pieces[0].high, pieces[pieces.len() - 1].low), (whole.high, whole.low));
            assert!(pieces.windows(2).all(|pair| pair[1].high == before(pair[0].low)));
            let pieces = whole.pieces(Order::OldestFirst, now);
            assert_eq!((pieces[0].low, pieces[pieces.len() - 1].high), (whole.low, whole.high));
            assert!(pieces.windows(2).all(|pair| pair[1].low == behind(pair[0].high)));
        }
    }
}
