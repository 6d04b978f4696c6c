//! A database for each test.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::cluster::{Cluster, execute};

/// The address of a server that tests may make databases in, `postgres://user:password@host:port`.
const URL: &str = "ANITA_TEST_POSTGRES_URL";

/// A database of one test.
pub(crate) struct Database {
    pub(crate) url: String,
    _cluster: Option<Arc<Cluster>>,
}

static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// An empty database of its own: in the server that the environment names, else in one that all tests share.
pub(crate) async fn database() -> Option<Database> {
    let given = std::env::var_os(URL).map(|url| url.into_string().unwrap());
    let (server, cluster) = if let Some(url) = given {
        (url.trim_end_matches('/').to_owned(), None)
    } else {
        let cluster = tokio::task::spawn_blocking(shared).await.unwrap()?;
        (cluster.url(), Some(cluster))
    };
    let name = format!("anita_{}_{}", std::process::id(), DATABASES.fetch_add(1, Ordering::Relaxed));
    execute(&format!("{server}/postgres"), &format!("CREATE DATABASE {name}")).await;
    Some(Database { url: format!("{server}/{name}"), _cluster: cluster })
}

fn shared() -> Option<Arc<Cluster>> {
    let mut shared = SHARED.lock();
    if let Some(cluster) = shared.upgrade() {
        return Some(cluster);
    }
    let cluster = Arc::new(Cluster::start()?);
    *shared = Arc::downgrade(&cluster);
    Some(cluster)
}
