//! What panics behind REST costs its request; a part without which the server is none costs the server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "the code of a test")]

use std::sync::Arc;
use std::time::Duration;

use anita_auth::{Key, Roles, Verifier};
use anita_hub::{Durability, Hub, HubSettings, Keeping};
use anita_metrics::Metrics;
use anita_model::{Fix, Timestamp};
use anita_server::{
    Clock, Desk, Door, Plaintext, Server, ServerSettings, SiteMap, SourceReport, SourceReports,
};
use anita_session::{Context, Extensions, SessionSettings};
use anita_store::{
    AuditPage, AuditQuery, BoxFuture, EventPage, EventQuery, HistoryPage, HistoryQuery, MemoryStore,
    NewestQuery, PlanStore, Record, Remembered, Retention, Store, StoreError, Tidied, Usage, Window,
    WindowQuery, WriterSettings,
};
use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Sources whose state can't be told.
#[derive(Debug)]
struct Broken;

impl SourceReports for Broken {
    fn reports(&self) -> Vec<SourceReport> {
        panic!("the inside of a handler");
    }
}

async fn get(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// A store that panics as soon as it has to keep something.
#[derive(Debug)]
struct Broke(MemoryStore);

impl Store for Broke {
    fn commit(&self, _records: Arc<Vec<Record>>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { panic!("the inside of the store") })
    }

    fn load(&self, events_max: usize) -> BoxFuture<'_, Result<Remembered, StoreError>> {
        self.0.load(events_max)
    }

    fn page(&self, query: HistoryQuery) -> BoxFuture<'_, Result<HistoryPage, StoreError>> {
        self.0.page(query)
    }

    fn newest(&self, query: NewestQuery) -> BoxFuture<'_, Result<Vec<Arc<Fix>>, StoreError>> {
        self.0.newest(query)
    }

    fn window(&self, query: WindowQuery) -> BoxFuture<'_, Result<Window, StoreError>> {
        self.0.window(query)
    }

    fn events(&self, query: EventQuery) -> BoxFuture<'_, Result<EventPage, StoreError>> {
        self.0.events(query)
    }

    fn audit(&self, query: AuditQuery) -> BoxFuture<'_, Result<AuditPage, StoreError>> {
        self.0.audit(query)
    }

    fn tidy(&self, retention: Retention, now: Timestamp) -> BoxFuture<'_, Result<Tidied, StoreError>> {
        self.0.tidy(retention, now)
    }

    fn usage(&self) -> BoxFuture<'_, Result<Usage, StoreError>> {
        self.0.usage()
    }

    fn plans(&self) -> &dyn PlanStore {
        self.0.plans()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.0.close()
    }
}

async fn hub(keeping: Keeping, metrics: &Arc<Metrics>) -> Arc<Hub> {
    Hub::open(HubSettings::default(), keeping, Arc::clone(metrics), Clock::start().now()).await.unwrap()
}

fn server(hub: Arc<Hub>) -> Arc<Server> {
    let clock = Clock::start();
    let key = Key::hs256(b"a secret that is long enough for a test").unwrap();
    let context = Context {
        hub,
        verifier: Arc::new(Verifier::new(key, "anita", "anita", Roles::default())),
        settings: SessionSettings::default(),
        extensions: Extensions::default(),
        playbacks: Arc::default(),
    };
    let settings = ServerSettings { plaintext: Plaintext::Loopback, ..ServerSettings::default() };
    let site = SiteMap { name: String::new(), bounds: None, zones: Vec::new() };
    Server::new(Arc::new(context), settings, clock, site, Box::new(Broken), Desk::default())
}

/// Which part is gone, when one is.
async fn failed(server: &Arc<Server>) -> String {
    tokio::time::timeout(Duration::from_secs(30), server.failed()).await.expect("nobody notices")
}

#[tokio::test]
async fn a_server_whose_way_into_the_store_is_gone_ends() {
    let metrics = Arc::new(Metrics::default());
    let store = Arc::new(Broke(MemoryStore::new(10, 10, 10)));
    let keeping = Keeping::new(store, WriterSettings::default(), None, Durability::Commit);
    let hub = hub(keeping, &metrics).await;
    let server = server(Arc::clone(&hub));
    let tending = tokio::spawn(Arc::clone(&server).tend());
    assert!(server.failed().now_or_never().is_none(), "all is well");
    hub.audit_own(Timestamp::now(), "start server", "");
    assert_eq!(failed(&server).await, "store");
    tending.abort();
}

#[tokio::test]
async fn a_server_whose_vital_task_panics_ends_and_one_whose_vital_task_is_done_does_not() {
    let metrics = Arc::new(Metrics::default());
    let server = server(hub(Keeping::in_memory(MemoryStore::new(10, 10, 10)), &metrics).await);
    server.vital("tend", async {}).await;
    assert!(server.failed().now_or_never().is_none(), "it was told to end, as when the server stops");
    server.vital("sweep", async { panic!("the inside of a task") }).await;
    server.vital("tend", async { panic!("the inside of another one") }).await;
    assert_eq!(failed(&server).await, "sweep", "the first one is named");
    assert!(metrics.page().contains("anita_panics_total{where=\"sweep\"} 1\n"), "{}", metrics.page());
}

#[tokio::test]
async fn a_request_whose_handler_panics_hears_so_and_the_next_one_does_not() {
    let metrics = Arc::new(Metrics::default());
    let server = server(hub(Keeping::in_memory(MemoryStore::new(10, 10, 10)), &metrics).await);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(Door::new(Arc::clone(&server), listener, None).unwrap().serve());
    for times in 1..=2 {
        let answer = get(address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        assert!(answer.contains("application/problem+json") && answer.contains("\"internal\""), "{answer}");
        assert!(answer.contains("x-content-type-options"), "the headers of every answer: {answer}");
        assert!(!answer.contains("the inside"), "no internals: {answer}");
        let count = format!("anita_panics_total{{where=\"rest\"}} {times}\n");
        assert!(metrics.page().contains(&count), "{}", metrics.page());
    }
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200 "));
    assert!(server.drain().await);
    serving.await.unwrap();
}
