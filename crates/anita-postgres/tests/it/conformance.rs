//! The suite that every backend passes.

use std::sync::Arc;
use std::time::Duration;

use anita_postgres::{PostgresSettings, PostgresStore};
use anita_store::conformance::{Fixture, Slack};
use anita_store::{BoxFuture, Store};

use crate::database::{Database, database};

struct Postgres(Option<Database>);

impl Fixture for Postgres {
    fn open(&mut self) -> BoxFuture<'_, Arc<dyn Store>> {
        Box::pin(async move {
            let url = &self.0.as_ref().unwrap().url;
            let store = PostgresStore::open(url, PostgresSettings::default()).await.unwrap();
            Arc::new(store) as Arc<dyn Store>
        })
    }

    fn slack(&self) -> Slack {
        // Whole days are dropped and thinned out.
        Slack { age: Duration::from_secs(86_400), bytes: 0 }
    }
}

fn postgres() -> Option<Postgres> {
    let database = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(database()))?;
    Some(Postgres(Some(database)))
}

anita_store::store_conformance!(postgres);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn longer_random_work_agrees_with_memory() {
    for seed in [11, 12, 13] {
        let Some(mut fixture) = postgres() else { return };
        let store = fixture.open().await;
        anita_store::conformance::agrees_with_memory(&store, seed).await;
    }
}
