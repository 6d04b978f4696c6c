//! What went wrong in SQLite, in the words of the port.

use std::sync::Arc;

use anita_store::StoreError;
use rusqlite::ErrorCode;
use rusqlite::ffi;

use crate::codec::Damaged;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// SQLite says so.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// What was stored can't be read.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// A number is larger than the file can hold.
    #[error("a number is larger than 2^63")]
    TooLarge,
    /// The connection has to be opened anew first, and that did not work.
    #[error("the store could not be opened again after its disk failed")]
    Reopen(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A store, or a part of it, that has ended.
#[derive(Debug, thiserror::Error)]
#[error("the store is closed")]
pub(crate) struct Closed;

impl Fault {
    /// Whether nothing is certain any more about what the disk has of what was written.
    ///
    /// After a failed fsync the system may believe that pages are on the disk which never got there, and a later fsync
    /// succeeds without writing them. So nothing is built upon what was written before: see
    /// [`crate::keeper::Keeper::recover`].
    pub(crate) fn shakes_the_disk(&self) -> bool {
        let Self::Sqlite(rusqlite::Error::SqliteFailure(failure, _message)) = self else { return false };
        failure.code == ErrorCode::SystemIoFailure
    }

    /// Whether it is about one row, whose values are none of ours; the others can be read.
    fn is_of_a_row(&self) -> bool {
        use rusqlite::Error::{
            FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
        };
        match self {
            Self::Damaged(_) => true,
            Self::Sqlite(error) => matches!(
                error,
                FromSqlConversionFailure(..)
                    | IntegralValueOutOfRange(..)
                    | InvalidColumnType(..)
                    | Utf8Error(..)
            ),
            Self::TooLarge | Self::Reopen(_) => false,
        }
    }
}

/// What a row says; `None`, and an entry in the log, where its values are none of ours: one row must not keep a server
/// from starting.
pub(crate) fn sound<T>(row: Result<T, Fault>, table: &str) -> Result<Option<T>, Fault> {
    match row {
        Ok(value) => Ok(Some(value)),
        Err(fault) if fault.is_of_a_row() => {
            tracing::error!(error = %fault, table, "a row of the store can't be read, and is left out");
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        let code = match &fault {
            Fault::Sqlite(error) => error.sqlite_error().copied(),
            Fault::TooLarge => return Self::Invalid(Arc::new(fault)),
            Fault::Damaged(_) | Fault::Reopen(_) => None,
        };
        let Some(code) = code else { return Self::Unavailable(Arc::new(fault)) };
        match (code.code, code.extended_code) {
            // The index of the log in shared memory could not grow.
            (ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_SHMSIZE) => Self::Full(Arc::new(fault)),
            (ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch, _) => {
                Self::Invalid(Arc::new(fault))
            }
            _ => Self::Unavailable(Arc::new(fault)),
        }
    }
}
