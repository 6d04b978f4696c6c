//! What goes with time: whole days by dropping their tables, everything else in small steps.

mod thinning;

use anita_model::Timestamp;
use anita_store::{KindLimits, ROOMS_MAX, Retention, StoreError, Tidied};
use deadpool_postgres::Client;
use tokio_postgres::types::ToSql;

use crate::day::{Day, Moment};
use crate::fault::store_error;
use crate::partitions::{self, LOCK_WAIT, REST, Shared};
use crate::usage;

/// So many rows are deleted at a time.
const ROWS_MAX: i64 = 5_000;

/// A small piece of everything there is to do.
pub(crate) async fn tidy(
    client: &mut Client,
    shared: &Shared,
    retention: &Retention,
    now: Timestamp,
) -> Result<Tidied, StoreError> {
    let mut tidied = Tidied::default();
    tidied.has_more |= forget(client).await?;
    fixes_by_age(client, shared, retention.fixes, now, &mut tidied).await?;
    fixes_by_size(client, shared, retention.fixes, now, &mut tidied).await?;
    thinning::thin(client, shared, &retention.thinning, now, &mut tidied).await?;
    let (events, has_more) = messages(client, "event", retention.events, now).await?;
    tidied.events_removed = events;
    tidied.has_more |= has_more;
    let (audit, has_more) = messages(client, "audit", retention.audit, now).await?;
    tidied.audit_removed = audit;
    tidied.has_more |= has_more;
    if !tidied.has_more {
        let sql = "DELETE FROM room WHERE name <> 'uwb' AND ordinal <= \
                   (SELECT ordinal FROM room ORDER BY ordinal DESC LIMIT 1 OFFSET $1)";
        execute(client, sql, &[&(ROOMS_MAX.cast_signed() as i64)]).await?;
    }
    Ok(tidied)
}

async fn execute(client: &Client, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<u64, StoreError> {
    client.execute(sql, values).await.map_err(store_error)
}

/// The fixes of devices that were removed. Says whether there are more.
async fn forget(client: &Client) -> Result<bool, StoreError> {
    let sql = "SELECT number FROM device_number WHERE is_removed LIMIT 1";
    let Some(row) = client.query_opt(sql, &[]).await.map_err(store_error)? else { return Ok(false) };
    let number: i32 = row.try_get(0).map_err(store_error)?;
    let sql = "DELETE FROM fix WHERE (device, taken_at, discriminator) IN \
               (SELECT device, taken_at, discriminator FROM fix WHERE device = $1 LIMIT $2)";
    let gone = execute(client, sql, &[&number, &ROWS_MAX]).await?;
    if gone < ROWS_MAX.unsigned_abs() {
        execute(client, "DELETE FROM device_number WHERE number = $1 AND is_removed", &[&number]).await?;
    }
    Ok(true)
}

async fn fixes_by_age(
    client: &mut Client,
    shared: &Shared,
    limits: KindLimits,
    now: Timestamp,
    tidied: &mut Tidied,
) -> Result<(), StoreError> {
    let Some(age_max) = limits.age_max else { return Ok(()) };
    let least = now.minus(age_max);
    let oldest = shared.days.lock().tables.first().copied();
    if let Some(day) = oldest.filter(|day| Day(day.0 + 1).start().0 <= least.as_micros())
        && let Some(gone) = drop_day(client, shared, day).await?
    {
        tidied.fixes_removed += gone;
        tidied.has_more = true;
    }
    for table in REST {
        let sql = format!(
            "DELETE FROM {table} WHERE ctid = ANY(ARRAY(\
             SELECT ctid FROM {table} WHERE taken_at < $1 ORDER BY taken_at LIMIT $2))"
        );
        let gone = execute(client, &sql, &[&Moment(least), &ROWS_MAX]).await?;
        tidied.fixes_removed += gone;
        tidied.has_more |= gone >= ROWS_MAX.unsigned_abs();
    }
    Ok(())
}

/// Drops the table of a day; `None` when others use it for too long, then it goes another time.
async fn drop_day(client: &mut Client, shared: &Shared, day: Day) -> Result<Option<u64>, StoreError> {
    let table = partitions::table(day);
    let tables = usage::tables(client).await?;
    let count = tables.iter().find(|it| it.name == table).map_or(0, |it| it.amount.count);
    let transaction = client.transaction().await.map_err(store_error)?;
    transaction.batch_execute(LOCK_WAIT).await.map_err(store_error)?;
    let dropped = transaction.batch_execute(&format!("DROP TABLE IF EXISTS {table}")).await;
    match dropped {
        Err(error) if error.code() == Some(&tokio_postgres::error::SqlState::LOCK_NOT_AVAILABLE) => {
            return Ok(None);
        }
        result => result.map_err(store_error)?,
    }
    transaction.execute("DELETE FROM thinning WHERE day = $1", &[&day.0]).await.map_err(store_error)?;
    transaction.commit().await.map_err(store_error)?;
    shared.days.lock().tables.remove(&day);
    shared.thinned.lock().days.remove(&day);
    Ok(Some(count))
}

/// The oldest day goes; today's never does, whatever its size.
async fn fixes_by_size(
    client: &mut Client,
    shared: &Shared,
    limits: KindLimits,
    now: Timestamp,
    tidied: &mut Tidied,
) -> Result<(), StoreError> {
    let Some(bytes_max) = limits.bytes_max else { return Ok(()) };
    let tables = usage::tables(client).await?;
    let bytes: u64 = tables.iter().map(|table| table.amount.bytes).sum();
    if bytes <= bytes_max {
        return Ok(());
    }
    let over = bytes - bytes_max;
    let oldest = shared.days.lock().tables.first().copied();
    let before = oldest.unwrap_or(Day(i64::MAX)).start().0.min(now.as_micros());
    for table in REST {
        // About as many as are too many, of those that are older than any day with a table.
        let rows = (over / 150 + 1).min(ROWS_MAX.unsigned_abs()).cast_signed();
        let sql = format!(
            "DELETE FROM {table} WHERE ctid = ANY(ARRAY(\
             SELECT ctid FROM {table} WHERE taken_at < $1 ORDER BY taken_at LIMIT $2))"
        );
        let gone = execute(client, &sql, &[&crate::day::Micros(before), &rows]).await?;
        if gone > 0 {
            tidied.fixes_removed += gone;
            tidied.has_more = true;
            return Ok(());
        }
    }
    if let Some(day) = oldest.filter(|day| *day < Day::of(now))
        && let Some(gone) = drop_day(client, shared, day).await?
    {
        tidied.fixes_removed += gone;
        tidied.has_more = true;
    }
    Ok(())
}

/// Of events or of the audit trail. Says how many went, and whether there are more.
async fn messages(
    client: &Client,
    kind: &str,
    limits: KindLimits,
    now: Timestamp,
) -> Result<(u64, bool), StoreError> {
    let bytes = match kind {
        "event" => "octet_length(text) + 150",
        _audit => {
            "octet_length(subject || action || object || outcome || coalesce(address, '') || coalesce(issuer, '')) + 120"
        }
    };
    // The newest audit entry stays: the chain goes on after it.
    let expendable = match kind {
        "event" => "true",
        _audit => "ordinal < (SELECT max(ordinal) FROM audit)",
    };
    let delete = |which: &str| {
        format!(
            "WITH gone AS (DELETE FROM {kind} WHERE ordinal IN (SELECT ordinal FROM {kind} {which}) \
             RETURNING {bytes} AS bytes), \
             sums AS (SELECT count(*) AS count, coalesce(sum(bytes), 0)::bigint AS bytes FROM gone), \
             changed AS (UPDATE kept SET count = kept.count - sums.count, bytes = kept.bytes - sums.bytes \
             FROM sums WHERE kept.kind = '{kind}' AND sums.count > 0) \
             SELECT count FROM sums"
        )
    };
    let mut removed = 0;
    let mut has_more = false;
    if let Some(age_max) = limits.age_max {
        let sql = match kind {
            "event" => delete("WHERE at < $1 ORDER BY at LIMIT $2"),
            // From the beginning on, so that the chain has no gap: what is before one that is too old is too old, too,
            // whatever the clock was then.
            _audit => delete(&format!(
                "WHERE {expendable} AND ordinal <= (SELECT max(o.ordinal) FROM \
                 (SELECT ordinal, at FROM audit ORDER BY ordinal LIMIT $2) o WHERE o.at < $1)"
            )),
        };
        let least = Moment(now.minus(age_max));
        let row = client.query_one(&sql, &[&least, &ROWS_MAX]).await.map_err(store_error)?;
        let gone: i64 = row.try_get(0).map_err(store_error)?;
        removed += gone.unsigned_abs();
        has_more |= gone >= ROWS_MAX;
    }
    if let Some(bytes_max) = limits.bytes_max {
        let amount = usage::kept(client, kind).await?;
        let over = amount.bytes.saturating_sub(bytes_max);
        if over > 0 && amount.count > 0 {
            // About as many as are too many.
            let rows = over / (amount.bytes / amount.count).max(1) + 1;
            let rows = rows.min(ROWS_MAX.unsigned_abs()).cast_signed();
            let row = client
                .query_one(&delete(&format!("WHERE {expendable} ORDER BY ordinal LIMIT $1")), &[&rows])
                .await
                .map_err(store_error)?;
            let gone: i64 = row.try_get(0).map_err(store_error)?;
            removed += gone.unsigned_abs();
            has_more |= gone > 0;
        }
    }
    Ok((removed, has_more))
}
