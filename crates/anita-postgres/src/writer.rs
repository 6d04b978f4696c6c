//! The connection that writes, and holds the lock of the database.

use std::time::Duration;

use anita_model::Timestamp;
use anita_store::OpenError;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_postgres::{Client, Config, Error, Statement};

use crate::address::Address;
use crate::connector::Connector;
use crate::fault::{Fault, boxed};
use crate::names::Names;
use crate::partitions::{self, Shared};
use crate::schema;
use crate::settings::PostgresSettings;

/// The lock of the database that a server holds, as long as its connection lives: "anita" in bytes.
const LOCK: i64 = 0x61_6e_69_74_61;

/// How long to wait between two attempts to get the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Where the database is and how to get there.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) address: Address,
    pub(crate) connector: Connector,
    pub(crate) settings: PostgresSettings,
}

/// A connection of the server's side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Backend {
    pid: i32,
    started: String,
}

/// The connection that writes.
pub(crate) struct Writer {
    pub(crate) client: Client,
    task: JoinHandle<()>,
    pub(crate) names: Names,
    pub(crate) copy: Option<Statement>,
    /// For so many commits fixes are not copied in, because some were there already.
    pub(crate) careful: u32,
    pub(crate) backend: Backend,
}

impl Way {
    /// For connections whose statements may take so long.
    pub(crate) fn config(&self, statement_timeout: Duration) -> Config {
        self.address.config(self.settings.connect_timeout, statement_timeout)
    }

    /// Connects, takes the lock, and brings the tables up to date. `before` is this server's own lost connection, which the
    /// database may not know to be lost. `at_end` is called when the connection ends, for whatever reason.
    pub(crate) async fn open(
        &self,
        shared: &Shared,
        before: Option<&Backend>,
        at_end: impl FnOnce() + Send + 'static,
    ) -> Result<Writer, OpenError> {
        let store = &self.address.shown;
        let failed = |source| OpenError::Backend { store: store.clone(), source };
        let backend = |error| failed(boxed(error));
        let limit = self.settings.connect_timeout;
        let config = self.config(self.settings.commit_timeout);
        let connecting = tokio::time::timeout(limit, self.connector.connect(config, at_end)).await;
        let (mut client, task) =
            connecting.map_err(|_elapsed| failed(Fault::Frozen(limit).into()))?.map_err(backend)?;
        if let Some(Backend { pid, started }) = before {
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                       WHERE pid = $1 AND backend_start::text = $2 AND usename = current_user";
            client.execute(end, &[pid, started]).await.map_err(backend)?;
        }
        let until = Instant::now() + self.settings.lock_wait;
        while !lock(&client).await.map_err(backend)? {
            if Instant::now() >= until {
                return Err(OpenError::InUse { store: store.clone() });
            }
            tokio::time::sleep(LOCK_PAUSE).await;
        }
        schema::migrate(&mut client, store, Timestamp::now()).await?;
        partitions::learn(&client, shared).await.map_err(backend)?;
        let itself = "SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()";
        let row = client.query_one(itself, &[]).await.map_err(backend)?;
        let own =
            Backend { pid: row.try_get(0).map_err(backend)?, started: row.try_get(1).map_err(backend)? };
        Ok(Writer { client, task, names: Names::default(), copy: None, careful: 0, backend: own })
    }
}

async fn lock(client: &Client) -> Result<bool, Error> {
    client.query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK]).await?.try_get(0)
}

impl Writer {
    /// Ends it, so that another server can begin.
    pub(crate) async fn close(self) {
        let Self { client, task, .. } = self;
        drop(client);
        if tokio::time::timeout(Duration::from_secs(2), task).await.is_err() {
            tracing::warn!("the database does not answer when its connection is closed");
        }
    }
}
