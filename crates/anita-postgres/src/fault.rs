//! What the server's errors mean.

use std::sync::Arc;
use std::time::Duration;

use anita_store::StoreError;
use tokio_postgres::error::SqlState;

/// Why something did not work that is not an error of the driver.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("no answer of the database within {0:?}")]
    Frozen(Duration),
    #[error("there is no connection to the database at the moment")]
    Away,
    #[error("{0} holds a NUL, which PostgreSQL cannot keep")]
    Nul(&'static str),
    #[error("{0} is larger than PostgreSQL can keep")]
    TooLarge(&'static str),
    #[error("a row of the table {0} cannot be understood: {1}")]
    Row(&'static str, String),
    #[error("the pool of connections fails: {0}")]
    Pool(String),
    #[error("the password cannot be read from {0}: {1}")]
    Password(String, #[source] std::io::Error),
    #[error("a task of the store ended by a fault")]
    Task,
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Nul(_) | Fault::TooLarge(_) => Self::Invalid(Arc::new(fault)),
            Fault::Frozen(_)
            | Fault::Away
            | Fault::Row(..)
            | Fault::Pool(_)
            | Fault::Password(..)
            | Fault::Task => Self::Unavailable(Arc::new(fault)),
        }
    }
}

/// The server's error and what it says of it. The driver's own words are just "db error".
#[derive(Debug, thiserror::Error)]
#[error("{}", said(.0))]
struct Said(#[source] tokio_postgres::Error);

fn said(error: &tokio_postgres::Error) -> String {
    let Some(db) = error.as_db_error() else {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
        return format!("{error}{}", cause.unwrap_or_default());
    };
    let detail = db.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
    format!("{} {}: {}{detail}", db.severity(), db.code().code(), db.message())
}

/// An error of the driver, as the port names it.
pub(crate) fn store_error(error: tokio_postgres::Error) -> StoreError {
    let code = error.code().cloned();
    let cause = Arc::new(Said(error));
    match code {
        Some(SqlState::DISK_FULL) => StoreError::Full(cause),
        Some(code) if code.code().starts_with("22") || code.code().starts_with("23") => {
            StoreError::Invalid(cause)
        }
        _other => StoreError::Unavailable(cause),
    }
}

/// An error of the driver, for those who open a store.
pub(crate) fn boxed(error: tokio_postgres::Error) -> Box<dyn std::error::Error + Send + Sync> {
    Box::new(Said(error))
}

/// Whether a row is there already.
pub(crate) fn is_double(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::UNIQUE_VIOLATION)
}

/// Of an answer that comes in time or not at all.
pub(crate) async fn in_time<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, StoreError>>,
) -> Result<Result<T, StoreError>, Fault> {
    tokio::time::timeout(limit, answer).await.map_err(|_elapsed| Fault::Frozen(limit))
}
