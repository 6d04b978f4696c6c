//! Commits: one transaction each.

use std::pin::pin;
use std::sync::Arc;

use anita_model::{DeviceKind, DeviceStatus, Fix, Timestamp};
use anita_store::{DeviceRecord, DeviceState, FixKey, StoreError};
use bytes::Bytes;
use futures_util::SinkExt as _;
use futures_util::future::try_join_all;
use tokio_postgres::types::ToSql;
use tokio_postgres::{CopyInSink, Error, Statement, Transaction};

use crate::day::{Day, Moment};
use crate::fault::{is_double, store_error};
use crate::messages;
use crate::names::Names;
use crate::partitions::{self, Shared};
use crate::plan::Plan;
use crate::rows::{self, COPY, high_bit, rounded};
use crate::trail;
use crate::writer::Writer;

/// A value of a row.
pub(crate) type Value = Box<dyn ToSql + Sync + Send>;

/// So many statements are under way at a time.
const UNDER_WAY_MAX: usize = 256;

/// After fixes that were there already, so many commits expect more of them.
const CAREFUL_COMMITS: u32 = 8;

/// Whether the same may have been committed before, without anyone knowing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    First,
    Again,
}

/// How fixes get in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// The fastest, which fails when one of them is there already.
    Copy,
    /// Those that are not there yet.
    Insert,
}

impl Writer {
    /// Keeps what is planned, all or nothing.
    pub(crate) async fn commit(
        &mut self,
        shared: &Shared,
        plan: &Plan<'_>,
        attempt: Attempt,
    ) -> Result<(), StoreError> {
        let result = self.try_commit(shared, plan, attempt).await;
        if result.is_err() {
            self.names.clear();
        }
        result.map_err(store_error)
    }

    async fn try_commit(&mut self, shared: &Shared, plan: &Plan<'_>, attempt: Attempt) -> Result<(), Error> {
        let fixes = || plan.fixes.iter().map(|fix| &***fix);
        if !plan.fixes.is_empty() {
            partitions::make(&mut self.client, shared, fixes(), Timestamp::now()).await?;
        }
        let spoilt = {
            let mut thinned = shared.thinned.lock();
            let spoilt = thinned.spoilt(fixes());
            thinned.spoil(&spoilt);
            spoilt
        };
        if self.careful == 0 {
            match self.transact(plan, attempt, &spoilt, Manner::Copy).await {
                Err(error) if is_double(&error) => {
                    self.careful = CAREFUL_COMMITS;
                    self.names.clear();
                    self.transact(plan, attempt, &spoilt, Manner::Insert).await?;
                }
                result => result?,
            }
        } else {
            self.careful -= 1;
            self.transact(plan, attempt, &spoilt, Manner::Insert).await?;
        }
        // Whoever thins out may have finished in between.
        shared.thinned.lock().spoil(&spoilt);
        Ok(())
    }

    async fn transact(
        &mut self,
        plan: &Plan<'_>,
        attempt: Attempt,
        spoilt: &[Day],
        manner: Manner,
    ) -> Result<(), Error> {
        let Self { client, names, copy, .. } = self;
        let copy = match copy {
            Some(copy) => copy.clone(),
            None => copy.insert(client.prepare(COPY).await?).clone(),
        };
        if manner == Manner::Copy && plan.has_only_fixes() && spoilt.is_empty() {
            // Copying is a transaction of its own. Numbers that were given for nothing do no harm.
            names.learn(client, &plan.fixes).await?;
            let Some(pieces) = rows::encoded(&plan.fixes, names) else { return Ok(()) };
            return send(client.copy_in(&copy).await?, pieces).await;
        }
        let transaction = client.transaction().await?;
        if !plan.removes.is_empty() {
            remove(&transaction, plan).await?;
            names.forget(&plan.removes);
        }
        each(&transaction, SAVE, plan.saves.iter().map(|it| saved(it)).collect()).await?;
        each(&transaction, STATE, plan.states.iter().map(|it| stated(it)).collect()).await?;
        keep_fixes(&transaction, names, &plan.fixes, manner, &copy).await?;
        if !spoilt.is_empty() {
            let days: Vec<i64> = spoilt.iter().map(|day| day.0).collect();
            let spoil =
                "UPDATE thinning SET is_done = false, device = 0, lates = lates + 1 WHERE day = ANY($1)";
            transaction.execute(spoil, &[&days]).await?;
        }
        messages::keep_events(&transaction, &plan.events).await?;
        trail::keep_audit(&transaction, &plan.audit, attempt).await?;
        trail::keep_revocations(&transaction, &plan.revocations).await?;
        transaction.commit().await
    }
}

async fn keep_fixes(
    transaction: &Transaction<'_>,
    names: &mut Names,
    fixes: &[&Arc<Fix>],
    manner: Manner,
    copy: &Statement,
) -> Result<(), Error> {
    if fixes.is_empty() {
        return Ok(());
    }
    names.learn(transaction, fixes).await?;
    match (manner, rows::encoded(fixes, names)) {
        (Manner::Copy, Some(pieces)) => send(transaction.copy_in(copy).await?, pieces).await,
        _careful => insert(transaction, names, fixes).await,
    }
}

async fn send(sink: CopyInSink<Bytes>, pieces: Vec<Bytes>) -> Result<(), Error> {
    let mut sink = pin!(sink);
    for piece in pieces {
        sink.send(piece).await?;
    }
    sink.finish().await?;
    Ok(())
}

/// The columns of fixes.
#[derive(Default)]
struct Columns {
    taken_at: Vec<Moment>,
    discriminator: Vec<i64>,
    received_at: Vec<Moment>,
    metres: [Vec<f64>; 3],
    details: [Vec<Option<f64>>; 3],
    device: Vec<i32>,
    origin: Vec<i32>,
    high_bit: Vec<Option<bool>>,
}

const INSERT: &str = "INSERT INTO fix (taken_at, discriminator, received_at, x_m, y_m, z_m, accuracy_m, floor, \
     battery_percent, device, origin, sequence_has_high_bit) \
     SELECT * FROM unnest($1::timestamptz[], $2::bigint[], $3::timestamptz[], $4::float8[], $5::float8[], \
     $6::float8[], $7::float8[], $8::float8[], $9::float8[], $10::integer[], $11::integer[], $12::boolean[]) \
     ON CONFLICT DO NOTHING";

/// Keeps those that are not there yet; of the same ones the first.
async fn insert(transaction: &Transaction<'_>, names: &Names, fixes: &[&Arc<Fix>]) -> Result<(), Error> {
    let mut columns = Columns::default();
    for fix in fixes {
        let Some((device, origin)) = names.of(fix) else { continue };
        columns.taken_at.push(Moment(fix.taken_at));
        columns.discriminator.push(FixKey::of(fix).discriminator);
        columns.received_at.push(Moment(fix.received_at));
        let metres = [fix.position.x_m(), fix.position.y_m(), fix.position.z_m()];
        for (column, value) in columns.metres.iter_mut().zip(metres) {
            column.push(rounded(value));
        }
        let details = [fix.accuracy_m, fix.floor, fix.battery_percent];
        for (column, value) in columns.details.iter_mut().zip(details) {
            column.push(value);
        }
        columns.device.push(device);
        columns.origin.push(origin);
        columns.high_bit.push(high_bit(fix));
    }
    let Columns { taken_at, discriminator, received_at, metres, details, device, origin, high_bit } =
        &columns;
    let [x_m, y_m, z_m] = metres;
    let [accuracy_m, floor, battery_percent] = details;
    transaction
        .execute(
            INSERT,
            &[
                taken_at,
                discriminator,
                received_at,
                x_m,
                y_m,
                z_m,
                accuracy_m,
                floor,
                battery_percent,
                device,
                origin,
                high_bit,
            ],
        )
        .await?;
    Ok(())
}

/// Runs a statement for each row, in their order, without waiting for one before the next is sent.
pub(crate) async fn each(
    transaction: &Transaction<'_>,
    sql: &str,
    rows: Vec<Vec<Value>>,
) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let statement = transaction.prepare(sql).await?;
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let some = rows.by_ref().take(UNDER_WAY_MAX).map(|row| transaction.execute_raw(&statement, row));
        try_join_all(some).await?;
    }
    Ok(())
}

async fn remove(transaction: &Transaction<'_>, plan: &Plan<'_>) -> Result<(), Error> {
    let ids: Vec<&str> = plan.removes.iter().map(|id| id.as_str()).collect();
    for sql in [
        "DELETE FROM device WHERE device_id = ANY($1)",
        "DELETE FROM device_state WHERE device_id = ANY($1)",
        // The fixes go later, in small steps; nobody sees them from here on.
        "UPDATE device_number SET is_removed = true WHERE device_id = ANY($1) AND NOT is_removed",
    ] {
        transaction.execute(sql, &[&ids]).await?;
    }
    Ok(())
}

const SAVE: &str = "INSERT INTO device (device_id, name, kind, site, mounted_x_m, mounted_y_m, mounted_z_m, floor) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (device_id) DO UPDATE SET name = excluded.name, \
     kind = excluded.kind, site = excluded.site, mounted_x_m = excluded.mounted_x_m, \
     mounted_y_m = excluded.mounted_y_m, mounted_z_m = excluded.mounted_z_m, floor = excluded.floor";

fn saved(device: &DeviceRecord) -> Vec<Value> {
    let DeviceRecord { id, name, kind, site, mounted_at, floor } = device;
    vec![
        Box::new(id.as_str().to_owned()),
        Box::new(name.clone()),
        Box::new(kind_word(*kind)),
        Box::new(site.as_str().to_owned()),
        Box::new(mounted_at.map(|it| rounded(it.x_m()))),
        Box::new(mounted_at.map(|it| rounded(it.y_m()))),
        Box::new(mounted_at.map(|it| rounded(it.z_m()))),
        Box::new(*floor),
    ]
}

const STATE: &str = "INSERT INTO device_state (device_id, status, last_seen, battery_percent, taken_at, received_at, \
     x_m, y_m, z_m, accuracy_m, floor, fix_battery_percent, site, source, sequence) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
     ON CONFLICT (device_id) DO UPDATE SET status = excluded.status, last_seen = excluded.last_seen, \
     battery_percent = excluded.battery_percent, taken_at = excluded.taken_at, received_at = excluded.received_at, \
     x_m = excluded.x_m, y_m = excluded.y_m, z_m = excluded.z_m, accuracy_m = excluded.accuracy_m, \
     floor = excluded.floor, fix_battery_percent = excluded.fix_battery_percent, site = excluded.site, \
     source = excluded.source, sequence = excluded.sequence";

fn stated(state: &DeviceState) -> Vec<Value> {
    let DeviceState { id, status, last_seen, battery_percent, newest } = state;
    let newest = newest.as_deref();
    let position = newest.map(|fix| fix.position);
    vec![
        Box::new(id.as_str().to_owned()),
        Box::new(status_word(*status)),
        Box::new(last_seen.map(Moment)),
        Box::new(*battery_percent),
        Box::new(newest.map(|fix| Moment(fix.taken_at))),
        Box::new(newest.map(|fix| Moment(fix.received_at))),
        Box::new(position.map(|it| rounded(it.x_m()))),
        Box::new(position.map(|it| rounded(it.y_m()))),
        Box::new(position.map(|it| rounded(it.z_m()))),
        Box::new(newest.and_then(|fix| fix.accuracy_m)),
        Box::new(newest.and_then(|fix| fix.floor)),
        Box::new(newest.and_then(|fix| fix.battery_percent)),
        Box::new(newest.map(|fix| fix.site.as_str().to_owned())),
        Box::new(newest.map(|fix| fix.source.as_str().to_owned())),
        Box::new(newest.and_then(|fix| fix.sequence).map(u64::cast_signed)),
    ]
}

fn kind_word(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Tag => "tag",
        DeviceKind::Anchor => "anchor",
        DeviceKind::Gateway => "gateway",
    }
}

fn status_word(status: DeviceStatus) -> &'static str {
    match status {
        DeviceStatus::Connected => "connected",
        DeviceStatus::Stale => "stale",
        DeviceStatus::Disconnected => "disconnected",
    }
}
