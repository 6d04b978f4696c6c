//! Fixes as rows, both ways.

use std::collections::HashSet;
use std::sync::Arc;

use anita_model::{DeviceId, Fix, Position, SiteName, SourceName};
use anita_store::{FixKey, StoreError, millimetres};
use bytes::{BufMut as _, Bytes, BytesMut};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use crate::day::{Moment, since_2000_us};
use crate::fault::{Fault, store_error};
use crate::names::Names;
use crate::partitions::Shared;

/// The columns of a fix, of a table that is called `f`, without its device.
pub(crate) const COLUMNS: &str = "f.taken_at, f.discriminator, f.received_at, f.x_m, f.y_m, f.z_m, f.accuracy_m, \
     f.floor, f.battery_percent, f.origin, f.sequence_has_high_bit";

/// Which of them is the origin.
pub(crate) const ORIGIN: usize = 9;

/// How fixes are copied in.
pub(crate) const COPY: &str = "COPY fix (taken_at, discriminator, received_at, x_m, y_m, z_m, accuracy_m, floor, \
     battery_percent, device, origin, sequence_has_high_bit) FROM STDIN (FORMAT binary)";

/// How many columns that are.
const COPY_COLUMNS: i16 = 12;

/// So many bytes are sent at a time.
const PIECE_BYTES: usize = 128 * 1024;

/// Metres as they are kept: whole millimetres.
pub(crate) fn rounded(metres: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "10^10 mm are exact")]
    let mm = millimetres(metres) as f64;
    mm / 1_000.0
}

/// Whether the highest bit of the source's number is set; nothing where it is not.
pub(crate) fn high_bit(fix: &Fix) -> Option<bool> {
    fix.sequence.filter(|sequence| sequence >> 63 == 1).map(|_high| true)
}

/// Fixes in the binary format of COPY, in pieces. `None` when the numbers of one are not known.
pub(crate) fn encoded(fixes: &[&Arc<Fix>], names: &Names) -> Option<Vec<Bytes>> {
    let mut pieces = Vec::new();
    let mut out = BytesMut::with_capacity(PIECE_BYTES + 256);
    out.put_slice(b"PGCOPY\n\xff\r\n\0");
    out.put_slice(&[0; 8]); // flags, and no extension
    for fix in fixes {
        let (device, origin) = names.of(fix)?;
        out.put_i16(COPY_COLUMNS);
        put_i64(&mut out, since_2000_us(fix.taken_at));
        put_i64(&mut out, FixKey::of(fix).discriminator);
        put_i64(&mut out, since_2000_us(fix.received_at));
        for metres in [fix.position.x_m(), fix.position.y_m(), fix.position.z_m()] {
            put_f64(&mut out, Some(rounded(metres)));
        }
        for value in [fix.accuracy_m, fix.floor, fix.battery_percent] {
            put_f64(&mut out, value);
        }
        for number in [device, origin] {
            out.put_i32(4);
            out.put_i32(number);
        }
        match high_bit(fix) {
            Some(bit) => {
                out.put_i32(1);
                out.put_u8(bit.into());
            }
            None => out.put_i32(-1),
        }
        if out.len() >= PIECE_BYTES {
            pieces.push(out.split().freeze());
            out.reserve(PIECE_BYTES + 256);
        }
    }
    out.put_i16(-1);
    pieces.push(out.freeze());
    Some(pieces)
}

fn put_i64(out: &mut BytesMut, value: i64) {
    out.put_i32(8);
    out.put_i64(value);
}

fn put_f64(out: &mut BytesMut, value: Option<f64>) {
    match value {
        Some(value) => {
            out.put_i32(8);
            out.put_f64(value);
        }
        None => out.put_i32(-1),
    }
}

/// The key of a row whose columns begin at a place.
pub(crate) fn key(row: &Row, first: usize) -> Result<FixKey, StoreError> {
    let taken_at: Moment = row.try_get(first).map_err(store_error)?;
    let discriminator = row.try_get(first + 1).map_err(store_error)?;
    Ok(FixKey { taken_at: taken_at.0, discriminator })
}

/// The fix of a row whose columns begin at a place. Its origin has to be known.
pub(crate) fn fix(
    row: &Row,
    first: usize,
    device: &DeviceId,
    shared: &Shared,
) -> Result<Arc<Fix>, StoreError> {
    fn get<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, StoreError> {
        row.try_get(column).map_err(store_error)
    }
    let key = key(row, first)?;
    let received_at: Moment = get(row, first + 2)?;
    let position = Position::new(get(row, first + 3)?, get(row, first + 4)?, get(row, first + 5)?)
        .map_err(|reason| Fault::Row("fix", reason.to_string()))?;
    let origin: i32 = get(row, first + ORIGIN)?;
    let (source, site) = shared
        .origins
        .lock()
        .get(&origin)
        .cloned()
        .ok_or_else(|| Fault::Row("fix", format!("there is no origin {origin}")))?;
    let has_high_bit: Option<bool> = get(row, first + 10)?;
    let high = if has_high_bit == Some(true) { 1 << 63 } else { 0 };
    Ok(Arc::new(Fix {
        device: device.clone(),
        site,
        position,
        accuracy_m: get(row, first + 6)?,
        floor: get(row, first + 7)?,
        battery_percent: get(row, first + 8)?,
        taken_at: key.taken_at,
        received_at: received_at.0,
        source,
        sequence: u64::try_from(key.discriminator).ok().map(|sequence| sequence | high),
    }))
}

/// Makes sure that the origins of rows are known; their numbers are in a column.
pub(crate) async fn learn_origins<C: GenericClient>(
    client: &C,
    shared: &Shared,
    rows: &[Row],
    column: usize,
) -> Result<(), StoreError> {
    let mut unknown = HashSet::new();
    {
        let origins = shared.origins.lock();
        for row in rows {
            let number: i32 = row.try_get(column).map_err(store_error)?;
            if !origins.contains_key(&number) {
                unknown.insert(number);
            }
        }
    }
    if unknown.is_empty() {
        return Ok(());
    }
    let numbers: Vec<i32> = unknown.into_iter().collect();
    let find = "SELECT number, source, site FROM origin WHERE number = ANY($1)";
    for row in client.query(find, &[&numbers]).await.map_err(store_error)? {
        let number: i32 = row.try_get(0).map_err(store_error)?;
        let (source, site): (&str, &str) =
            (row.try_get(1).map_err(store_error)?, row.try_get(2).map_err(store_error)?);
        let broken = |reason: anita_model::InvalidName| Fault::Row("origin", reason.to_string());
        let origin = (SourceName::parse(source).map_err(broken)?, SiteName::parse(site).map_err(broken)?);
        shared.origins.lock().insert(number, origin);
    }
    Ok(())
}
