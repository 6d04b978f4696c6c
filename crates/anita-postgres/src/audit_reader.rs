//! Reads the audit trail of a database that a server may be writing into, without its lock and without writing anything.

use std::path::PathBuf;

use anita_store::{AuditPage, AuditQuery, OpenError, StoreError};
use deadpool_postgres::{Pool, PoolError};

use crate::address::Address;
use crate::connector::Connector;
use crate::fault::{Fault, boxed, store_error};
use crate::schema;
use crate::settings::PostgresSettings;
use crate::store::{password, pool};
use crate::writer::Way;
use crate::{tls, trail, usage};

/// The first version of the tables whose audit trail is a chain.
const CHAINED: u32 = 2;

/// The audit trail of a database.
#[derive(Debug)]
pub struct AuditReader {
    pool: Pool,
    entries: u64,
}

impl AuditReader {
    /// Connects to a database by its URL, as [`PostgresStore`](crate::PostgresStore) does, with the password of a file if
    /// there is one.
    ///
    /// # Errors
    /// [`OpenError`]; the password is in none of them. Also for a database whose audit trail is not a chain yet, as nobody
    /// wrote into it since.
    pub async fn open(url: &str, password_file: Option<PathBuf>) -> Result<Self, OpenError> {
        let address = Address::parse(url)
            .map_err(|error| OpenError::Backend { store: "postgres".to_owned(), source: error.into() })?;
        let store = address.shown.clone();
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| OpenError::Backend {
            store: store.clone(),
            source,
        };
        let tls = tls::connector(&address.trust).map_err(|error| failed(error.into()))?;
        let password = match password_file {
            Some(path) => Some(password(path).await.map_err(|fault| failed(fault.into()))?),
            None => None,
        };
        let connector = Connector::new(&address, tls, password);
        let way = Way { address, connector, settings: PostgresSettings::default() };
        let pool = pool(&way, 1, way.settings.read_timeout).map_err(|fault| failed(fault.into()))?;
        let client = pool.get().await.map_err(|error| failed(error.into()))?;
        let version = schema::version(&client).await.map_err(|error| failed(boxed(error)))?;
        schema::judge(version, &store)?;
        if version < CHAINED {
            let source = "its audit trail is not a chain yet: start the server of this version on it first";
            return Err(failed(source.into()));
        }
        let entries = usage::kept(&client, "audit").await.map_err(|error| failed(error.into()))?.count;
        drop(client);
        Ok(Self { pool, entries })
    }

    /// How many entries there were when it was opened, as the store counts them.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// A page.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn page(&self, query: &AuditQuery) -> Result<AuditPage, StoreError> {
        let client = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => store_error(error),
            PoolError::Timeout(_)
            | PoolError::Closed
            | PoolError::NoRuntimeSpecified
            | PoolError::PostCreateHook(_) => Fault::Pool(error.to_string()).into(),
        })?;
        trail::audit(&client, query).await
    }
}
