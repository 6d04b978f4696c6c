//! Events and rooms.

use anita_model::{DeviceId, InvalidName, RoomName, Timestamp};
use anita_store::{EventPage, EventQuery, EventRecord, ROOMS_MAX, RoomRecord, StoreError};
use deadpool_postgres::GenericClient;
use tokio_postgres::types::FromSql;
use tokio_postgres::{Error, Row, Transaction};

use crate::commit::{Value, each};
use crate::day::Moment;
use crate::fault::{Fault, store_error};

const EVENT: &str = "WITH added AS (
        INSERT INTO event (ordinal, room, epoch, seq, at, devices, from_client, text)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING
        RETURNING octet_length(text) + 150 AS bytes
    )
    UPDATE kept SET count = kept.count + 1, bytes = kept.bytes + added.bytes FROM added WHERE kind = 'event'";

const ROOM: &str = "INSERT INTO room (name, epoch, seq, ordinal) VALUES ($1, $2, $3, $4)
    ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq, ordinal = excluded.ordinal
    WHERE room.ordinal < excluded.ordinal";

/// Keeps those whose ordinal is not there yet, and where the numbering of their rooms is.
pub(crate) async fn keep_events(transaction: &Transaction<'_>, events: &[&EventRecord]) -> Result<(), Error> {
    let rows = events.iter().map(|event| -> Vec<Value> {
        let EventRecord { ordinal, room, epoch, seq, at, devices, from, text } = event;
        vec![
            Box::new(ordinal.cast_signed()),
            Box::new(room.as_str().to_owned()),
            Box::new(epoch.to_string()),
            Box::new(seq.cast_signed()),
            Box::new(Moment(*at)),
            Box::new(devices.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>()),
            Box::new(from.as_deref().map(ToOwned::to_owned)),
            Box::new(text.to_string()),
        ]
    });
    each(transaction, EVENT, rows.collect()).await?;
    let rooms = events.iter().map(|event| -> Vec<Value> {
        vec![
            Box::new(event.room.as_str().to_owned()),
            Box::new(event.epoch.to_string()),
            Box::new(event.seq.cast_signed()),
            Box::new(event.ordinal.cast_signed()),
        ]
    });
    each(transaction, ROOM, rooms.collect()).await
}

pub(crate) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, StoreError> {
    row.try_get(column).map_err(store_error)
}

/// How many rows to ask for, to know whether there are more than so many.
pub(crate) fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

pub(crate) fn unsigned(row: &Row, column: usize) -> Result<u64, StoreError> {
    Ok(get::<i64>(row, column)?.cast_unsigned())
}

const EVENT_COLUMNS: &str = "e.ordinal, e.room, e.epoch, e.seq, e.at, e.devices, e.from_client, e.text";

fn event(row: &Row) -> Result<EventRecord, StoreError> {
    let broken = |reason: InvalidName| Fault::Row("event", reason.to_string());
    let devices: Vec<&str> = get(row, 5)?;
    let at: Moment = get(row, 4)?;
    Ok(EventRecord {
        ordinal: unsigned(row, 0)?,
        room: RoomName::parse(get(row, 1)?).map_err(broken)?,
        epoch: get::<&str>(row, 2)?.into(),
        seq: unsigned(row, 3)?,
        at: at.0,
        devices: devices.into_iter().map(DeviceId::parse).collect::<Result<_, _>>().map_err(broken)?,
        from: get::<Option<&str>>(row, 6)?.map(Into::into),
        text: get::<&str>(row, 7)?.into(),
    })
}

/// Where a page begins: below this ordinal.
fn below(after: Option<u64>) -> i64 {
    after.and_then(|after| i64::try_from(after).ok()).unwrap_or(i64::MAX)
}

pub(crate) async fn events<C: GenericClient>(
    client: &C,
    query: &EventQuery,
) -> Result<EventPage, StoreError> {
    // Where nothing is asked, nothing is said: the index of the rooms is only used for a room that is a value.
    let of_room = if query.room.is_some() { "e.room = $5" } else { "$5::text IS NULL" };
    let sql = format!(
        "SELECT {EVENT_COLUMNS} FROM event e WHERE e.ordinal < $1 AND e.at >= $2 AND e.at <= $3 AND {of_room} \
         ORDER BY e.ordinal DESC LIMIT $4"
    );
    let (start, end) = times(query.start, query.end);
    let room = query.room.as_ref().map(RoomName::as_str);
    let statement = client.prepare_cached(&sql).await.map_err(store_error)?;
    let rows = client
        .query(&statement, &[&below(query.after), &start, &end, &one_more(query.limit), &room])
        .await
        .map_err(store_error)?;
    let events: Vec<EventRecord> = rows.iter().take(query.limit).map(event).collect::<Result<_, _>>()?;
    let next = events.last().map(|event| event.ordinal).filter(|_last| rows.len() > query.limit);
    Ok(EventPage { events, next })
}

pub(crate) fn times(start: Option<Timestamp>, end: Option<Timestamp>) -> (Moment, Moment) {
    (Moment(start.unwrap_or_else(crate::history::first)), Moment(end.unwrap_or_else(crate::history::last)))
}

/// The rooms with the tails of their epochs, and the last ordinal.
pub(crate) async fn rooms<C: GenericClient>(
    client: &C,
    events_max: usize,
) -> Result<(Vec<RoomRecord>, u64), StoreError> {
    let sql = "SELECT * FROM (SELECT name, epoch, seq, ordinal FROM room \
               ORDER BY (name = 'uwb') DESC, ordinal DESC LIMIT $1) latest ORDER BY name";
    let rows = client.query(sql, &[&(ROOMS_MAX.cast_signed() as i64 + 1)]).await.map_err(store_error)?;
    let mut rooms = Vec::with_capacity(rows.len());
    let mut last_ordinal = 0;
    for row in &rows {
        let name = RoomName::parse(get(row, 0)?).map_err(|reason| Fault::Row("room", reason.to_string()))?;
        let ordinal = unsigned(row, 3)?;
        last_ordinal = last_ordinal.max(ordinal);
        rooms.push(RoomRecord {
            name,
            epoch: get::<&str>(row, 1)?.into(),
            seq: unsigned(row, 2)?,
            ordinal,
            events: Vec::new(),
        });
    }
    let sql = format!(
        "SELECT {EVENT_COLUMNS} FROM room r CROSS JOIN LATERAL (SELECT * FROM event \
         WHERE event.room = r.name AND event.epoch = r.epoch ORDER BY event.ordinal DESC LIMIT $1) e \
         ORDER BY e.ordinal"
    );
    let limit = i64::try_from(events_max).unwrap_or(i64::MAX);
    for row in client.query(&sql, &[&limit]).await.map_err(store_error)? {
        let event = event(&row)?;
        if let Some(room) = rooms.iter_mut().find(|room| room.name == event.room) {
            room.events.push(event);
        }
    }
    Ok((rooms, last_ordinal))
}
