//! A panic costs its request.

use std::net::SocketAddr;

use anita::config::{Config, Written};
use anita::{App, Running};
use serde_json::{Value, json};

use crate::house::{Client, SECRET, get, metric_of, token};

/// A server in this process, with an application's handlers that panic and one that blocks its thread.
pub(crate) async fn open(more: &str) -> (tempfile::TempDir, Running) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("jwt.secret"), SECRET).unwrap();
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nplaintext = \"loopback\"\n[storage]\nurl = \"memory\"\n\
         [auth]\nsecret_file = \"jwt.secret\"\n[drain]\nspread_secs = 0.01\n[delivery]\nthreads = 2\n{more}\n"
    );
    let path = folder.path().join("anita.toml");
    let written = Written::parse(&path, &text, std::iter::empty()).unwrap();
    let mut app = App::new(Config::from_written(&written).unwrap());
    app.on("domain.at_once", None, "domain.never", |_caller, payload: Value| {
        assert!(payload == "never", "before there is a future");
        async { Ok(Value::Null) }
    })
    .unwrap();
    app.on("domain.later", None, "domain.never", |_caller, payload: Value| async move {
        tokio::task::yield_now().await;
        assert!(payload == "never", "in the middle of it");
        Ok(Value::Null)
    })
    .unwrap();
    app.on("domain.block", None, "domain.blocked", |_caller, millis: Value| async move {
        std::thread::sleep(std::time::Duration::from_millis(millis["ms"].as_u64().unwrap_or(0)));
        Ok(Value::Null)
    })
    .unwrap();
    let running = app.start().await.unwrap();
    (folder, running)
}

pub(crate) async fn metric(address: SocketAddr, name: &str) -> f64 {
    metric_of(&get(address, "/metrics", None).await.unwrap().body, name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_panics_costs_its_request_and_is_counted() {
    let (_folder, running) = open("").await;
    let address = running.address();
    let mut client = Client::connect(address, &token("alice", "viewer")).await.unwrap();
    for request in ["domain.at_once", "domain.later"] {
        let answer = client.ask(request, json!({})).await;
        assert_eq!((&answer["type"], &answer["payload"]["code"]), (&json!("error"), &json!("internal")));
        assert!(!answer.to_string().contains("future"), "no internals: {answer}");
    }
    assert_eq!(client.ask("ping", json!({})).await["type"], "system.pong", "the socket goes on");
    assert!((metric(address, "anita_panics_total{where=\"handler\"}").await - 2.0).abs() < 0.1);
    assert_eq!(get(address, "/healthz", None).await.unwrap().status, 200);
    running.stop().await.unwrap();
}
