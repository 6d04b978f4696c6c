//! Devices, states, events and rooms.

use std::sync::Arc;

use anita_model::{DeviceId, Fix, Position, RoomName, SiteName, SourceName, Timestamp};
use anita_store::{DeviceRecord, DeviceState, EventRecord, ROOMS_MAX, RoomRecord, millimetres};
use rusqlite::{Connection, Row, params};

use crate::codec::Damaged;
use crate::fault::{Fault, sound};
use crate::point::{Extras, Place, Point};
use crate::words::{kind_of, kind_word, status_of, status_word};

/// The room that an event takes beside its texts, bytes.
const OVERHEAD_BYTES: i64 = 64;

pub(crate) fn save(db: &Connection, device: &DeviceRecord) -> Result<(), Fault> {
    let sql = "INSERT OR REPLACE INTO device (id, name, kind, site, x_m, y_m, z_m, floor)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let mounted = device.mounted_at;
    db.prepare_cached(sql)?.execute(params![
        device.id.as_str(),
        device.name,
        kind_word(device.kind),
        device.site.as_str(),
        mounted.map(Position::x_m),
        mounted.map(Position::y_m),
        mounted.map(Position::z_m),
        device.floor,
    ])?;
    Ok(())
}

/// Deletes what the registry and the states have of a device.
pub(crate) fn remove(db: &Connection, id: &DeviceId) -> Result<(), Fault> {
    db.prepare_cached("DELETE FROM device WHERE id = ?1")?.execute([id.as_str()])?;
    db.prepare_cached("DELETE FROM device_state WHERE id = ?1")?.execute([id.as_str()])?;
    Ok(())
}

pub(crate) fn devices(db: &Connection) -> Result<Vec<DeviceRecord>, Fault> {
    let mut statement =
        db.prepare_cached("SELECT id, name, kind, site, x_m, y_m, z_m, floor FROM device ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut devices = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, kind, site): (String, String, String) = (row.get(0)?, row.get(2)?, row.get(3)?);
        let (Ok(id), Some(kind), Ok(site)) = (DeviceId::parse(&id), kind_of(&kind), SiteName::parse(&site))
        else {
            tracing::warn!(id, "a device of the store is not valid, and is left out");
            continue;
        };
        let coordinates: (Option<f64>, Option<f64>, Option<f64>) = (row.get(4)?, row.get(5)?, row.get(6)?);
        let mounted_at = match coordinates {
            (Some(x_m), Some(y_m), Some(z_m)) => Position::new(x_m, y_m, z_m).ok(),
            _ => None,
        };
        devices.push(DeviceRecord { id, name: row.get(1)?, kind, site, mounted_at, floor: row.get(7)? });
    }
    Ok(devices)
}

pub(crate) fn save_state(db: &Connection, state: &DeviceState) -> Result<(), Fault> {
    let sql = "INSERT OR REPLACE INTO device_state (id, status, last_seen_us, battery_percent, taken_us, received_us,
               site, source, x_mm, y_mm, z_mm, accuracy_mm, floor, fix_battery_percent, sequence)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
    let newest = state.newest.as_deref();
    let mm = |of: fn(Position) -> f64| newest.map(|fix| millimetres(of(fix.position)));
    db.prepare_cached(sql)?.execute(params![
        state.id.as_str(),
        status_word(state.status),
        state.last_seen.map(Timestamp::as_micros),
        state.battery_percent,
        newest.map(|fix| fix.taken_at.as_micros()),
        newest.map(|fix| fix.received_at.as_micros()),
        newest.map(|fix| fix.site.as_str()),
        newest.map(|fix| fix.source.as_str()),
        mm(Position::x_m),
        mm(Position::y_m),
        mm(Position::z_m),
        newest.and_then(|fix| fix.accuracy_m).map(millimetres),
        newest.and_then(|fix| fix.floor),
        newest.and_then(|fix| fix.battery_percent),
        newest.and_then(|fix| fix.sequence).map(u64::cast_signed),
    ])?;
    Ok(())
}

pub(crate) fn states(db: &Connection) -> Result<Vec<DeviceState>, Fault> {
    let sql = "SELECT id, status, last_seen_us, battery_percent, taken_us, received_us, site, source, x_mm, y_mm, z_mm,
               accuracy_mm, floor, fix_battery_percent, sequence FROM device_state";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut states = Vec::new();
    while let Some(row) = rows.next()? {
        states.extend(sound(state(row), "device_state")?);
    }
    Ok(states)
}

fn state(row: &Row<'_>) -> Result<DeviceState, Fault> {
    let id = DeviceId::parse(&row.get::<_, String>(0)?).map_err(|_invalid| Damaged)?;
    let last_seen: Option<i64> = row.get(2)?;
    Ok(DeviceState {
        status: status_of(&row.get::<_, String>(1)?).ok_or(Damaged)?,
        last_seen: last_seen.map(time).transpose()?,
        battery_percent: row.get(3)?,
        newest: newest(row, &id)?.map(Arc::new),
        id,
    })
}

fn newest(row: &Row<'_>, id: &DeviceId) -> Result<Option<Fix>, Fault> {
    let Some(taken_us) = row.get::<_, Option<i64>>(4)? else { return Ok(None) };
    let extras = Extras {
        accuracy_mm: row.get(11)?,
        floor: row.get(12)?,
        battery_percent: row.get(13)?,
        sequence: row.get::<_, Option<i64>>(14)?.map(i64::cast_unsigned),
    };
    let mm = [row.get(8)?, row.get(9)?, row.get(10)?];
    let point = Point::new(0, Place { taken_us, received_us: row.get(5)?, mm }, extras).ok_or(Damaged)?;
    let site = SiteName::parse(&row.get::<_, String>(6)?).map_err(|_invalid| Damaged)?;
    let source = SourceName::parse(&row.get::<_, String>(7)?).map_err(|_invalid| Damaged)?;
    Ok(Some(point.fix(id, &(site, source)).ok_or(Damaged)?))
}

fn time(us: i64) -> Result<Timestamp, Damaged> {
    Timestamp::from_micros(us).map_err(|_out_of_range| Damaged)
}

/// Adds an event. Says how many bytes it takes; `None` when it was there.
pub(crate) fn add_event(db: &Connection, event: &EventRecord) -> Result<Option<i64>, Fault> {
    let number = |value: u64| i64::try_from(value).map_err(|_too_large| Fault::TooLarge);
    let (ordinal, seq) = (number(event.ordinal)?, number(event.seq)?);
    let names: Vec<&str> = event.devices.iter().map(DeviceId::as_str).collect();
    let devices = serde_json::Value::from(names).to_string();
    let sql = "INSERT INTO event (ordinal, room, epoch, seq, at_us, sender, devices, message)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (ordinal) DO NOTHING";
    let added = db.prepare_cached(sql)?.execute(params![
        ordinal,
        event.room.as_str(),
        &*event.epoch,
        seq,
        event.at.as_micros(),
        event.from.as_deref(),
        devices,
        &*event.text,
    ])?;
    if added == 0 {
        return Ok(None);
    }
    let sql =
        "INSERT INTO room (name, epoch, seq, ordinal) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name) DO UPDATE
               SET epoch = excluded.epoch, seq = excluded.seq, ordinal = excluded.ordinal
               WHERE excluded.ordinal > ordinal";
    db.prepare_cached(sql)?.execute(params![event.room.as_str(), &*event.epoch, seq, ordinal])?;
    Ok(Some(event.text.len().cast_signed() as i64 + devices.len().cast_signed() as i64 + OVERHEAD_BYTES))
}

/// The bytes of an event, as [`add_event`] says them.
pub(crate) const EVENT_BYTES: &str = "octet_length(message) + octet_length(devices) + 64";

/// The columns of an event, in the order of [`event`].
pub(crate) const EVENT_COLUMNS: &str = "ordinal, room, epoch, seq, at_us, sender, devices, message";

pub(crate) fn event(row: &Row<'_>) -> Result<EventRecord, Fault> {
    let devices: Vec<String> = serde_json::from_str(row.get_ref(6)?.as_str().unwrap_or_default())
        .map_err(|_not_a_list_of_texts| Damaged)?;
    let devices = devices.iter().map(|id| DeviceId::parse(id).map_err(|_invalid| Damaged));
    Ok(EventRecord {
        ordinal: row.get::<_, i64>(0)?.cast_unsigned(),
        room: RoomName::parse(&row.get::<_, String>(1)?).map_err(|_invalid| Damaged)?,
        epoch: row.get::<_, String>(2)?.into(),
        seq: row.get::<_, i64>(3)?.cast_unsigned(),
        at: time(row.get(4)?)?,
        devices: devices.collect::<Result<_, Damaged>>()?,
        from: row.get::<_, Option<String>>(5)?.map(Into::into),
        text: row.get::<_, String>(7)?.into(),
    })
}

/// The rooms, each with at most so many of its latest events, and the last ordinal of all.
pub(crate) fn rooms(db: &Connection, events_max: usize) -> Result<(Vec<RoomRecord>, u64), Fault> {
    let sql = "SELECT name, epoch, seq, ordinal FROM (SELECT * FROM room ORDER BY name = 'uwb' DESC, ordinal DESC LIMIT ?1)
               ORDER BY name";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([ROOMS_MAX.cast_signed() as i64 + 1])?;
    let mut rooms = Vec::new();
    let mut last_ordinal = 0;
    let sql = format!(
        "SELECT {EVENT_COLUMNS} FROM event WHERE room = ?1 AND epoch = ?2 ORDER BY ordinal DESC LIMIT ?3"
    );
    let mut latest = db.prepare_cached(&sql)?;
    while let Some(row) = rows.next()? {
        let (name, epoch): (String, String) = (row.get(0)?, row.get(1)?);
        let mut events = Vec::new();
        let mut found = latest.query(params![name, epoch, i64::try_from(events_max).unwrap_or(i64::MAX)])?;
        while let Some(row) = found.next()? {
            events.extend(sound(event(row), "event")?);
        }
        events.reverse();
        let ordinal = u64::try_from(row.get::<_, i64>(3)?).unwrap_or_default();
        last_ordinal = last_ordinal.max(ordinal);
        let room = || {
            let name = RoomName::parse(&name).map_err(|_invalid| Damaged)?;
            let seq = u64::try_from(row.get::<_, i64>(2)?).map_err(|_negative| Damaged)?;
            Ok(RoomRecord { name, epoch: epoch.into(), seq, ordinal, events })
        };
        rooms.extend(sound(room(), "room")?);
    }
    Ok((rooms, last_ordinal))
}

/// Forgets the rooms beyond those whose numbering is remembered.
pub(crate) fn forget_rooms(db: &Connection) -> Result<(), Fault> {
    let sql = "DELETE FROM room WHERE name <> 'uwb' AND ordinal <=
               (SELECT ordinal FROM room ORDER BY ordinal DESC LIMIT 1 OFFSET ?1)";
    db.prepare_cached(sql)?.execute([ROOMS_MAX.cast_signed() as i64])?;
    Ok(())
}
