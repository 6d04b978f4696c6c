//! What a server needs to go on.

use std::collections::BTreeMap;
use std::sync::Arc;

use anita_model::{DeviceId, DeviceKind, DeviceStatus, Fix, Position, SiteName, SourceName, Timestamp};
use anita_store::{DeviceRecord, DeviceState, NewestQuery, Remembered, StoreError};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::day::Moment;
use crate::fault::{Fault, store_error};
use crate::history;
use crate::messages;
use crate::partitions::Shared;
use crate::trail;

/// So many devices are asked for at a time.
const DEVICES_AT_ONCE: usize = 2_000;

fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, StoreError> {
    row.try_get(column).map_err(store_error)
}

fn broken(table: &'static str) -> impl Fn(String) -> StoreError {
    move |reason| Fault::Row(table, reason).into()
}

pub(crate) async fn load<C: GenericClient>(
    client: &C,
    shared: &Shared,
    events_max: usize,
    now: Timestamp,
) -> Result<Remembered, StoreError> {
    let sql = "SELECT device_id, name, kind, site, mounted_x_m, mounted_y_m, mounted_z_m, floor FROM device \
               ORDER BY device_id";
    let rows = client.query(sql, &[]).await.map_err(store_error)?;
    let devices = rows.iter().map(device).collect::<Result<_, _>>()?;
    let sql = "SELECT device_id, status, last_seen, battery_percent, taken_at, received_at, x_m, y_m, z_m, \
               accuracy_m, floor, fix_battery_percent, site, source, sequence FROM device_state";
    let rows = client.query(sql, &[]).await.map_err(store_error)?;
    let mut states = BTreeMap::new();
    for row in &rows {
        let state = state(row)?;
        states.insert(state.id.clone(), state);
    }
    let sql = "SELECT device_id FROM device_number WHERE NOT is_removed";
    let rows = client.query(sql, &[]).await.map_err(store_error)?;
    let ids = rows.iter().map(|row| id(row, "device_number")).collect::<Result<Vec<_>, _>>()?;
    for ids in ids.chunks(DEVICES_AT_ONCE) {
        let query = NewestQuery { devices: ids.to_vec(), at: history::last(), not_before: None };
        for newest in history::newest(client, shared, &query, now).await? {
            let state = states.entry(newest.device.clone()).or_insert_with(|| DeviceState::of_fix(&newest));
            state.heard(&newest);
        }
    }
    let (rooms, last_ordinal) = messages::rooms(client, events_max).await?;
    Ok(Remembered {
        devices,
        states: states.into_values().collect(),
        rooms,
        revocations: trail::revocations(client).await?,
        audit_head: trail::audit_head(client).await?,
        // Its sequence also counts what was rolled back.
        audit_removed: 0,
        last_ordinal,
    })
}

fn id(row: &Row, table: &'static str) -> Result<DeviceId, StoreError> {
    DeviceId::parse(get(row, 0)?).map_err(|reason| broken(table)(reason.to_string()))
}

fn position(row: &Row, first: usize, table: &'static str) -> Result<Option<Position>, StoreError> {
    let (Some(x_m), Some(y_m), Some(z_m)) = (get(row, first)?, get(row, first + 1)?, get(row, first + 2)?)
    else {
        return Ok(None);
    };
    Position::new(x_m, y_m, z_m).map(Some).map_err(|reason| broken(table)(reason.to_string()))
}

fn device(row: &Row) -> Result<DeviceRecord, StoreError> {
    let kind = match get(row, 2)? {
        "tag" => DeviceKind::Tag,
        "anchor" => DeviceKind::Anchor,
        "gateway" => DeviceKind::Gateway,
        other => return Err(broken("device")(format!("there is no kind {other}"))),
    };
    Ok(DeviceRecord {
        id: id(row, "device")?,
        name: get(row, 1)?,
        kind,
        site: SiteName::parse(get(row, 3)?).map_err(|reason| broken("device")(reason.to_string()))?,
        mounted_at: position(row, 4, "device")?,
        floor: get(row, 7)?,
    })
}

fn state(row: &Row) -> Result<DeviceState, StoreError> {
    let status = match get(row, 1)? {
        "connected" => DeviceStatus::Connected,
        "stale" => DeviceStatus::Stale,
        "disconnected" => DeviceStatus::Disconnected,
        other => return Err(broken("device_state")(format!("there is no status {other}"))),
    };
    let id = id(row, "device_state")?;
    let last_seen: Option<Moment> = get(row, 2)?;
    let newest = newest(row, &id)?;
    Ok(DeviceState {
        id,
        status,
        last_seen: last_seen.map(|it| it.0),
        battery_percent: get(row, 3)?,
        newest: newest.map(Arc::new),
    })
}

fn newest(row: &Row, device: &DeviceId) -> Result<Option<Fix>, StoreError> {
    let taken_at: Option<Moment> = get(row, 4)?;
    let received_at: Option<Moment> = get(row, 5)?;
    let position = position(row, 6, "device_state")?;
    let (site, source): (Option<&str>, Option<&str>) = (get(row, 12)?, get(row, 13)?);
    let (Some(taken_at), Some(received_at), Some(position), Some(site), Some(source)) =
        (taken_at, received_at, position, site, source)
    else {
        return Ok(None);
    };
    let name = |reason: anita_model::InvalidName| broken("device_state")(reason.to_string());
    Ok(Some(Fix {
        device: device.clone(),
        site: SiteName::parse(site).map_err(name)?,
        position,
        accuracy_m: get(row, 9)?,
        floor: get(row, 10)?,
        battery_percent: get(row, 11)?,
        taken_at: taken_at.0,
        received_at: received_at.0,
        source: SourceName::parse(source).map_err(name)?,
        sequence: get::<Option<i64>>(row, 14)?.map(i64::cast_unsigned),
    }))
}
