//! How the store works.

use std::path::PathBuf;
use std::time::Duration;

use anita_sqlite::SpoolSettings;

/// How the store works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresSettings {
    /// A file with the password, which goes over that of the address. It is read again for each connection, so that it can
    /// be changed without a restart.
    pub password_file: Option<PathBuf>,
    /// How many connections read at most.
    pub pool_max: usize,
    /// How long a question waits for one of them; then the store is busy.
    pub pool_wait: Duration,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long a commit may take; then its connection is given up.
    pub commit_timeout: Duration,
    /// How long a question may take; then its connection is given up.
    pub read_timeout: Duration,
    /// How long a step of tidying may take.
    pub tidy_timeout: Duration,
    /// How long to wait at the start for another server to let go of the database.
    pub lock_wait: Duration,
    /// The longest pause between two attempts to get a lost connection back.
    pub retry_max: Duration,
    /// Where commits wait while the database is away: a file of its own. Without it they are refused.
    pub spool: Option<PathBuf>,
    /// How much may wait there.
    pub spool_limits: SpoolSettings,
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self {
            password_file: None,
            pool_max: 8,
            pool_wait: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(5),
            commit_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            tidy_timeout: Duration::from_secs(600),
            lock_wait: Duration::from_secs(3),
            retry_max: Duration::from_secs(5),
            spool: None,
            spool_limits: SpoolSettings::default(),
        }
    }
}
