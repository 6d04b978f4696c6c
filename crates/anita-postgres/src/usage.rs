//! How much there is.

use anita_store::{Amount, StoreError, Usage};
use deadpool_postgres::GenericClient;

use crate::fault::store_error;
use crate::partitions::REST;
use crate::plans;

/// About what a fix takes with its place in the index, bytes: for tables in which room becomes free and is used again.
const FIX_BYTES: u64 = 150;

/// Tables up to this size are counted exactly; of larger ones the database has an estimate.
const COUNTED_BYTES_MAX: i64 = 32 << 20;

/// A table of fixes.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) amount: Amount,
}

/// The tables of fixes with what is in them, the oldest day first, those without a day of their own at the end.
pub(crate) async fn tables<C: GenericClient>(client: &C) -> Result<Vec<Table>, StoreError> {
    let sql = "SELECT c.relname::text, c.reltuples::float8::bigint, pg_relation_size(c.oid), \
               pg_total_relation_size(c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
               WHERE i.inhparent = 'fix'::regclass ORDER BY c.relname";
    let mut tables = Vec::new();
    for row in client.query(sql, &[]).await.map_err(store_error)? {
        let name: String = row.try_get(0).map_err(store_error)?;
        let (estimate, own, total): (i64, i64, i64) = (
            row.try_get(1).map_err(store_error)?,
            row.try_get(2).map_err(store_error)?,
            row.try_get(3).map_err(store_error)?,
        );
        let count =
            if estimate < 0 || own <= COUNTED_BYTES_MAX { count(client, &name).await? } else { estimate };
        let count = u64::try_from(count).unwrap_or(0);
        let bytes =
            if REST.contains(&name.as_str()) { count * FIX_BYTES } else { u64::try_from(total).unwrap_or(0) };
        tables.push(Table { name, amount: Amount { count, bytes } });
    }
    Ok(tables)
}

/// How many fixes a table has of devices that are there.
pub(crate) async fn count<C: GenericClient>(client: &C, table: &str) -> Result<i64, StoreError> {
    let sql = format!(
        "SELECT count(*) FROM {table} f WHERE f.device NOT IN (SELECT number FROM device_number WHERE is_removed)"
    );
    client.query_one(&sql, &[]).await.and_then(|row| row.try_get(0)).map_err(store_error)
}

/// Of events or of the audit trail.
pub(crate) async fn kept<C: GenericClient>(client: &C, kind: &str) -> Result<Amount, StoreError> {
    let row = client.query_one("SELECT count, bytes FROM kept WHERE kind = $1", &[&kind]).await;
    let row = row.map_err(store_error)?;
    let (count, bytes): (i64, i64) =
        (row.try_get(0).map_err(store_error)?, row.try_get(1).map_err(store_error)?);
    Ok(Amount { count: u64::try_from(count).unwrap_or(0), bytes: u64::try_from(bytes).unwrap_or(0) })
}

pub(crate) async fn usage<C: GenericClient>(client: &C) -> Result<Usage, StoreError> {
    let mut fixes = Amount::default();
    for table in tables(client).await? {
        fixes.count += table.amount.count;
        fixes.bytes += table.amount.bytes;
    }
    let row = client.query_one("SELECT pg_database_size(current_database())", &[]).await;
    let disk_bytes: i64 = row.and_then(|row| row.try_get(0)).map_err(store_error)?;
    Ok(Usage {
        fixes,
        events: kept(client, "event").await?,
        audit: kept(client, "audit").await?,
        plans: plans::amount(client).await?,
        disk_bytes: u64::try_from(disk_bytes).unwrap_or(0),
    })
}
