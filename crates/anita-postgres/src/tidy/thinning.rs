//! Thinning out: a day at a time, in steps of some devices, and not again what is done.
//!
//! A stretch belongs to the day in which it begins, and is thinned out when all of that day's stretches are old enough.
//! What was done is in a table; a fix that comes late into such a day takes it out again.

use std::collections::BTreeSet;

use anita_model::Timestamp;
use anita_store::{StoreError, Thinning, Tidied};
use deadpool_postgres::Client;

use crate::day::{Day, Micros};
use crate::fault::store_error;
use crate::partitions::{self, Shared, region};

/// About so many fixes are looked at in a step, or all of a day of one device.
const LOOK_MAX: i64 = 20_000;

/// A day that is to be thinned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Task {
    day: Day,
    every_us: i64,
}

pub(super) async fn thin(
    client: &mut Client,
    shared: &Shared,
    steps: &[Thinning],
    now: Timestamp,
    tidied: &mut Tidied,
) -> Result<(), StoreError> {
    if steps.is_empty() {
        return Ok(());
    }
    let mut days: BTreeSet<Day> = partitions::rest(&***client, shared).await.map_err(store_error)?;
    days.extend(shared.days.lock().tables.iter());
    let task = {
        let thinned = shared.thinned.lock();
        let is_open = |task: &Task| thinned.days.get(&task.day) != Some(&(task.every_us, true));
        days.into_iter().filter_map(|day| task_of(day, steps, now)).find(is_open)
    };
    let Some(task) = task else { return Ok(()) };
    tidied.fixes_thinned += step(client, shared, task).await?;
    tidied.has_more = true;
    Ok(())
}

/// What is to be done with a day, by the last step whose time has come.
fn task_of(day: Day, steps: &[Thinning], now: Timestamp) -> Option<Task> {
    let mut tasks = steps.iter().filter_map(|step| {
        let every_us = i64::try_from(step.every.as_micros()).unwrap_or(i64::MAX / 4).clamp(1, i64::MAX / 4);
        let (_start, end) = region(day, every_us);
        let after_us = i64::try_from(step.after.as_micros()).unwrap_or(i64::MAX);
        (end <= now.as_micros().saturating_sub(after_us)).then_some(Task { day, every_us })
    });
    tasks.next_back()
}

const BEGIN: &str = "INSERT INTO thinning (day, every_us, device, is_done) VALUES ($1, $2, 0, false) \
     ON CONFLICT (day) DO UPDATE SET every_us = excluded.every_us, is_done = false, \
     device = CASE WHEN thinning.every_us = excluded.every_us AND NOT thinning.is_done THEN thinning.device ELSE 0 END \
     RETURNING device, lates";

/// As many devices as one step looks at; the last one's number.
const NEXT: &str = "SELECT max(device) FROM (SELECT device FROM fix \
     WHERE taken_at >= $1 AND taken_at < $2 AND device > $3 ORDER BY device LIMIT $4) AS some_devices";

const THIN: &str = "DELETE FROM fix USING ( \
         SELECT device, taken_at, discriminator, row_number() OVER ( \
             PARTITION BY device, date_bin($5::text::interval, taken_at, $6) \
             ORDER BY taken_at DESC, discriminator DESC) AS place \
         FROM fix WHERE taken_at >= $1 AND taken_at < $2 AND device > $3 AND device <= $4 \
     ) AS old \
     WHERE old.place > 1 AND fix.device = old.device AND fix.taken_at = old.taken_at \
     AND fix.discriminator = old.discriminator AND fix.taken_at >= $1 AND fix.taken_at < $2";

const DONE: &str = "UPDATE thinning SET device = $2, is_done = $3 WHERE day = $1 AND lates = $4";

/// Thins out some devices of a day, and says how many fixes went.
async fn step(client: &mut Client, shared: &Shared, task: Task) -> Result<u64, StoreError> {
    let Task { day, every_us } = task;
    // From here on, what comes late is noticed.
    shared.thinned.lock().note(day, every_us);
    let row = client.query_one(BEGIN, &[&day.0, &every_us]).await.map_err(store_error)?;
    let (from, lates): (i32, i64) =
        (row.try_get(0).map_err(store_error)?, row.try_get(1).map_err(store_error)?);
    let (start_us, end_us) = region(day, every_us);
    let (start, end) = (Micros(start_us), Micros(end_us));
    let transaction = client.transaction().await.map_err(store_error)?;
    let row = transaction.query_one(NEXT, &[&start, &end, &from, &LOOK_MAX]).await.map_err(store_error)?;
    let upto: Option<i32> = row.try_get(0).map_err(store_error)?;
    let mut gone = 0;
    if let Some(upto) = upto {
        let every = format!("{every_us} microseconds");
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
            [&start, &end, &from, &upto, &every, &start];
        gone = transaction.execute(THIN, &values).await.map_err(store_error)?;
    }
    let is_done = upto.is_none();
    if is_done {
        shared.thinned.lock().days.insert(day, (every_us, true));
    }
    let noted = transaction.execute(DONE, &[&day.0, &upto.unwrap_or(from), &is_done, &lates]).await;
    let noted = noted.map_err(store_error)?;
    transaction.commit().await.map_err(store_error)?;
    if noted == 0 {
        shared.thinned.lock().spoil(&[day]);
    } else if is_done && shared.days.lock().tables.contains(&day) {
        shrink(client, day).await?;
    }
    Ok(gone)
}

/// Gives the room that became free back to the disk: a day that was thinned out is not written any more.
async fn shrink(client: &Client, day: Day) -> Result<(), StoreError> {
    let table = partitions::table(day);
    let sql = "SELECT coalesce((SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = $1), 0)";
    let row = client.query_one(sql, &[&table]).await.map_err(store_error)?;
    let dead: i64 = row.try_get(0).map_err(store_error)?;
    if dead < LOOK_MAX {
        return Ok(());
    }
    let vacuum = format!("SET lock_timeout = '2s'; VACUUM (FULL, ANALYZE) {table}; RESET lock_timeout");
    for sql in vacuum.split("; ") {
        // One that is being read is left as it is: nothing is lost but room.
        if let Err(error) = client.batch_execute(sql).await {
            tracing::info!(%error, table, "a day that was thinned out keeps its room");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_day_is_thinned_out_by_the_last_step_whose_time_has_come() {
        let day = Duration::from_secs(86_400);
        let steps = [
            Thinning { after: day, every: Duration::from_secs(1) },
            Thinning { after: day * 7, every: Duration::from_secs(60) },
        ];
        let now = Timestamp::parse("2026-03-10T12:00:00Z").unwrap();
        let of = |ago: i64| task_of(Day(Day::of(now).0 - ago), &steps, now).map(|task| task.every_us);
        assert_eq!([of(0), of(1), of(2)], [None, None, Some(1_000_000)]);
        assert_eq!([of(7), of(8), of(900)], [Some(1_000_000), Some(60_000_000), Some(60_000_000)]);
    }
}
