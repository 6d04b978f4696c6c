//! What panics behind REST costs its request.

#![allow(clippy::unwrap_used, clippy::panic, reason = "the code of a test")]

use std::sync::Arc;

use anita_auth::{Key, Roles, Verifier};
use anita_hub::{Hub, HubSettings, Keeping};
use anita_metrics::Metrics;
use anita_server::{Clock, Door, Plaintext, Server, ServerSettings, SiteMap, SourceReport, SourceReports};
use anita_session::{Context, Extensions, SessionSettings};
use anita_store::MemoryStore;
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

#[tokio::test]
async fn a_request_whose_handler_panics_hears_so_and_the_next_one_does_not() {
    let (clock, metrics) = (Clock::start(), Arc::new(Metrics::default()));
    let keeping = Keeping::in_memory(MemoryStore::new(10, 10, 10));
    let hub = Hub::open(HubSettings::default(), keeping, Arc::clone(&metrics), clock.now()).await.unwrap();
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
    let server = Server::new(Arc::new(context), settings, clock, site, Box::new(Broken));
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
