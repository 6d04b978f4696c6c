//! The tables, and how they came about: one step a version.

use anita_model::Timestamp;
use anita_store::OpenError;
use tokio_postgres::{Client, Error};

use crate::day::Day;
use crate::fault::boxed;
use crate::partitions::AGE_DAYS_MAX;

/// The steps, the first one makes version 1.
const STEPS: [&str; 3] = [
    include_str!("schema/001_initial.sql"),
    include_str!("schema/002_trail.sql"),
    include_str!("schema/003_plans.sql"),
];

/// What makes it possible to say which version there is.
const BEFORE: &str = "
    CREATE TABLE IF NOT EXISTS schema_version (
        version integer PRIMARY KEY,
        applied_at timestamptz NOT NULL DEFAULT now(),
        -- The first day that may have a table of its own, in days since 1970.
        first_day bigint NOT NULL
    )";

/// Which version there is.
pub(crate) async fn version(client: &Client) -> Result<u32, Error> {
    let row = client.query_one("SELECT coalesce(max(version), 0) FROM schema_version", &[]).await?;
    let found: i32 = row.try_get(0)?;
    Ok(u32::try_from(found).unwrap_or(u32::MAX))
}

/// Whether this program knows that version.
///
/// # Errors
/// [`OpenError::Newer`].
pub(crate) fn judge(found: u32, store: &str) -> Result<(), OpenError> {
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(OpenError::Newer { store: store.to_owned(), found, known });
    }
    Ok(())
}

/// Brings the tables to the newest version. The caller holds the lock of the database.
pub(crate) async fn migrate(client: &mut Client, store: &str, now: Timestamp) -> Result<(), OpenError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| OpenError::Backend {
        store: store.to_owned(),
        source,
    };
    let backend = |error| failed(boxed(error));
    client.batch_execute(BEFORE).await.map_err(backend)?;
    let found = version(client).await.map_err(backend)?;
    judge(found, store)?;
    for (version, step) in (1_i32..).zip(STEPS).skip(found as usize) {
        let first_day = Day(Day::of(now).0 - AGE_DAYS_MAX);
        let transaction = client.transaction().await.map_err(backend)?;
        transaction.batch_execute(step).await.map_err(backend)?;
        if version == 1 {
            // What is imported from before goes where no later partition has to be cut out of it.
            let past = format!(
                "CREATE TABLE fix_past PARTITION OF fix FOR VALUES FROM (MINVALUE) TO ({});
                 CREATE INDEX fix_past_taken_at ON fix_past (taken_at)",
                first_day.literal()
            );
            transaction.batch_execute(&past).await.map_err(backend)?;
        }
        let note = "INSERT INTO schema_version (version, first_day) VALUES ($1, $2)";
        transaction.execute(note, &[&version, &first_day.0]).await.map_err(backend)?;
        transaction.commit().await.map_err(backend)?;
        tracing::info!(store, version, "the tables were brought to a newer version");
    }
    Ok(())
}
