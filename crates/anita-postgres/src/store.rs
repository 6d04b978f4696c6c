//! The store.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anita_model::{Fix, Timestamp};
use anita_sqlite::Spool;
use anita_store::{
    AuditPage, AuditQuery, BoxFuture, Condition, EventPage, EventQuery, HistoryPage, HistoryQuery,
    NewestQuery, OpenError, PlanStore, Record, Remembered, Retention, Store, StoreError, Tidied, Usage,
    Window, WindowQuery,
};
use deadpool_postgres::{
    Client, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType, Transaction,
};
use tokio::task::JoinHandle;

use crate::address::Address;
use crate::connector::{Connector, PasswordFile};
use crate::fault::{Fault, in_time, store_error};
use crate::link::Link;
use crate::settings::PostgresSettings;
use crate::writer::Way;
use crate::{history, load, messages, tidy, tls, trail, usage};

/// The store in PostgreSQL, 15 or newer.
///
/// While the database is away, commits go to the spool if there is one, and are refused at once if not. What is in the
/// spool comes into the database in its order when that is back; until then reads don't see it. Questions are answered
/// with [`StoreError::Unavailable`] at once while the database is away.
pub struct PostgresStore {
    link: Arc<Link>,
    readers: Pool,
    /// One connection, whose statements may take longer.
    tidier: Pool,
    task: JoinHandle<()>,
}

impl std::fmt::Debug for PostgresStore {
    /// Without secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").field("address", &self.link.way.address).finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Opens a database by its URL, `postgres://user:password@host:port/database?sslmode=…`, makes or updates its tables,
    /// and takes its lock, so that no second server uses it. Needs a runtime with time and network.
    ///
    /// `sslmode` is `disable`, `prefer` (the default: encrypted where the server offers it, whoever that is), or `require`
    /// and `verify-full`, which both check the server's certificate, by the system's certificates or by those of
    /// `sslrootcert`.
    ///
    /// # Errors
    /// [`OpenError`]; the password is in none of them.
    pub async fn open(url: &str, settings: PostgresSettings) -> Result<Self, OpenError> {
        let refused = |source: Box<dyn std::error::Error + Send + Sync>, store: &str| OpenError::Backend {
            store: store.to_owned(),
            source,
        };
        let address = Address::parse(url).map_err(|error| refused(error.into(), "postgres"))?;
        let shown = address.shown.clone();
        let tls = tls::connector(&address.trust).map_err(|error| refused(error.into(), &shown))?;
        let spool = match settings.spool.clone() {
            Some(path) => {
                let limits = settings.spool_limits;
                let open = tokio::task::spawn_blocking(move || Spool::open(&path, limits));
                Some(open.await.map_err(|fault| refused(fault.into(), &shown))??)
            }
            None => None,
        };
        let password = match settings.password_file.clone() {
            Some(path) => Some(password(path).await.map_err(|error| refused(error.into(), &shown))?),
            None => None,
        };
        let way = Way { connector: Connector::new(&address, tls, password), address, settings };
        let readers = pool(&way, way.settings.pool_max, way.settings.read_timeout)
            .map_err(|fault| refused(fault.into(), &shown))?;
        let tidier =
            pool(&way, 1, way.settings.tidy_timeout).map_err(|fault| refused(fault.into(), &shown))?;
        let link = Link::open(way, spool).await?;
        let task = tokio::spawn(Arc::clone(&link).tend());
        Ok(Self { link, readers, tidier, task })
    }

    /// A question of another part to the readers.
    pub(crate) async fn ask<T>(
        &self,
        answer: impl AsyncFnOnce(&Client) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let client = self.client(&self.readers).await?;
        let result = in_time(self.read_limit(), answer(&client)).await;
        given(client, result)
    }

    /// Work of another part in one transaction, beside the flow of records.
    pub(crate) async fn write_aside(
        &self,
        write: impl AsyncFnOnce(&Transaction<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut client = self.client(&self.readers).await?;
        let result = in_time(self.read_limit(), async {
            let transaction = client.transaction().await.map_err(store_error)?;
            write(&transaction).await?;
            transaction.commit().await.map_err(store_error)
        });
        let result = result.await;
        given(client, result)
    }

    async fn client(&self, pool: &Pool) -> Result<Client, StoreError> {
        if self.link.is_away() {
            return Err(Fault::Away.into());
        }
        pool.get().await.map_err(|error| match error {
            PoolError::Timeout(TimeoutType::Wait) => StoreError::Busy,
            PoolError::Backend(error) => store_error(error),
            PoolError::Timeout(_)
            | PoolError::Closed
            | PoolError::NoRuntimeSpecified
            | PoolError::PostCreateHook(_) => Fault::Pool(error.to_string()).into(),
        })
    }

    fn read_limit(&self) -> Duration {
        // A little longer than the database itself takes its time.
        self.link.way.settings.read_timeout.saturating_add(Duration::from_secs(1))
    }
}

/// The password of a file.
pub(crate) async fn password(path: PathBuf) -> Result<PasswordFile, Fault> {
    let shown = path.display().to_string();
    PasswordFile::open(path).await.map_err(|error| Fault::Password(shown, error))
}

/// A pool of connections whose statements may take so long. Makes none yet.
pub(crate) fn pool(way: &Way, max: usize, statement_timeout: Duration) -> Result<Pool, Fault> {
    let config = way.config(statement_timeout);
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_connect(config, way.connector.clone(), recycling);
    Pool::builder(manager)
        .max_size(max.max(1))
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(way.settings.pool_wait))
        .create_timeout(Some(way.settings.connect_timeout))
        .recycle_timeout(Some(way.settings.connect_timeout))
        .build()
        .map_err(|error| Fault::Pool(error.to_string()))
}

/// A question to the readers.
macro_rules! ask {
    ($store:expr, $client:ident => $answer:expr) => {
        Box::pin(async move {
            let client = $store.client(&$store.readers).await?;
            let result = {
                let $client = &client;
                in_time($store.read_limit(), async { $answer.await }).await
            };
            given(client, result)
        })
    };
}

/// The answer; where there is none in time, the connection is given up, since nobody knows what it is doing.
fn given<T>(client: Client, result: Result<Result<T, StoreError>, Fault>) -> Result<T, StoreError> {
    result.unwrap_or_else(|frozen| {
        drop(Client::take(client));
        Err(frozen.into())
    })
}

impl Store for PostgresStore {
    fn load(&self, events_max: usize) -> BoxFuture<'_, Result<Remembered, StoreError>> {
        Box::pin(async move {
            // First what is in the spool: what comes into the database meanwhile is then seen twice, and not never.
            let waiting = self.link.waiting().await?;
            let asked: BoxFuture<'_, Result<Remembered, StoreError>> =
                ask!(self, client => load::load(client, &self.link.shared, events_max, Timestamp::now()));
            let mut remembered = asked.await?;
            waiting.add_to(&mut remembered);
            Ok(remembered)
        })
    }

    fn commit(&self, records: Arc<Vec<Record>>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.link.commit(records))
    }

    fn page(&self, query: HistoryQuery) -> BoxFuture<'_, Result<HistoryPage, StoreError>> {
        ask!(self, client => history::page(client, &self.link.shared, &query, Timestamp::now()))
    }

    fn newest(&self, query: NewestQuery) -> BoxFuture<'_, Result<Vec<Arc<Fix>>, StoreError>> {
        ask!(self, client => history::newest(client, &self.link.shared, &query, Timestamp::now()))
    }

    fn window(&self, query: WindowQuery) -> BoxFuture<'_, Result<Window, StoreError>> {
        ask!(self, client => history::window(client, &self.link.shared, &query))
    }

    fn events(&self, query: EventQuery) -> BoxFuture<'_, Result<EventPage, StoreError>> {
        ask!(self, client => messages::events(client, &query))
    }

    fn audit(&self, query: AuditQuery) -> BoxFuture<'_, Result<AuditPage, StoreError>> {
        ask!(self, client => trail::audit(client, &query))
    }

    fn tidy(&self, retention: Retention, now: Timestamp) -> BoxFuture<'_, Result<Tidied, StoreError>> {
        Box::pin(async move {
            let mut client = self.client(&self.tidier).await?;
            let limit = self.link.way.settings.tidy_timeout;
            let result = in_time(limit, tidy::tidy(&mut client, &self.link.shared, &retention, now)).await;
            given(client, result)
        })
    }

    fn usage(&self) -> BoxFuture<'_, Result<Usage, StoreError>> {
        ask!(self, client => usage::usage(client))
    }

    fn plans(&self) -> &dyn PlanStore {
        self
    }

    fn condition(&self) -> Condition {
        self.link.condition()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.task.abort();
            self.readers.close();
            self.tidier.close();
            self.link.close().await;
            Ok(())
        })
    }
}

impl Drop for PostgresStore {
    /// Without [`Store::close`], the connections end by themselves.
    fn drop(&mut self) {
        self.task.abort();
    }
}
