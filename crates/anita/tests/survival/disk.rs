//! A disk that is full, and one that fails: a layer between the program and the system says so.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;

use crate::kills::counted;
use crate::publishers::{Publisher, item};
use crate::server::{Home, Server};

/// The layer as a library; `None` where there is no C compiler.
fn layer(folder: &Path) -> Option<PathBuf> {
    let library = folder.join("faults.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/survival/faults.c");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-ldl")
        .status();
    match built {
        Ok(status) => {
            assert!(status.success(), "the layer does not build");
            Some(library)
        }
        Err(_no_compiler) => {
            crate::cluster::skip("there is no C compiler for the layer that makes the disk fail");
            None
        }
    }
}

/// A home whose disk fails when the test says so.
fn home() -> Option<(Home, PathBuf)> {
    let home = Home::new("[storage]\nrecent_fixes_max = 500\n");
    let library = layer(home.folder.path())?;
    let word = home.file("fault");
    std::fs::write(&word, "none").unwrap();
    let below = home.folder.path().canonicalize().unwrap();
    let home = home
        .with_environment("LD_PRELOAD", library)
        .with_environment("FAULTS", &word)
        .with_environment("FAULTS_BELOW", below);
    Some((home, word))
}

/// Waits until a publisher has this much more acknowledged.
pub(crate) async fn until_acknowledged(publisher: &Publisher, more: usize) {
    let before = publisher.acknowledged();
    let started = std::time::Instant::now();
    while publisher.acknowledged() < before + more {
        assert!(started.elapsed() < crate::server::PATIENCE, "nothing is acknowledged");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Checks that everything that is acknowledged is there once.
pub(crate) async fn check(server: &Server, publisher: &Publisher) {
    // What is acknowledged meanwhile may be missing from what was read before.
    let acknowledged = publisher.ledger.lock().acknowledged.clone();
    let counted = counted(&server.history(publisher.device).await);
    assert!(acknowledged.iter().all(|number| counted.get(number) == Some(&1)), "missing or twice");
}

/// A fault comes while somebody publishes, is seen, costs nothing live, and goes.
async fn comes_and_goes(fault: &str, state: &str) {
    let Some((home, word)) = home() else { return };
    let server = home.start();
    let (announce, whereabouts) = watch::channel(Some(server.address));
    let mut publisher = Publisher::by_http("http", whereabouts);
    until_acknowledged(&publisher, 50).await;
    std::fs::write(&word, fault).unwrap();
    server.until_store_is(state).await;
    // A report is refused, and live all the same.
    let (status, answer) = server.report(&json!([item("live", 7)])).await;
    assert_eq!((status, &answer["code"]), (503, &json!("unavailable")), "{answer}");
    assert!(answer["retry_after_ms"].as_u64().is_some_and(|wait| wait > 0), "{answer}");
    let live = server.get("/api/v1/devices/live").await;
    assert_eq!(live["location"]["x"].as_f64(), Some(7.0));
    let metrics =
        crate::http::request(server.address, "GET", "/metrics", &crate::server::token("admin"), "").await;
    assert!(metrics.unwrap().1.contains(&format!("anita_store_state{{state=\"{state}\"}} 1")));
    std::fs::write(&word, "none").unwrap();
    server.until_store_is("well").await;
    until_acknowledged(&publisher, 50).await;
    check(&server, &publisher).await;
    // And killed right after it.
    server.kill();
    let server = home.start();
    check(&server, &publisher).await;
    announce.send(Some(server.address)).unwrap();
    publisher.finish().await;
    check(&server, &publisher).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_a_state_that_comes_and_goes() {
    comes_and_goes("full", "full").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_sync_did_not_store_is_not_acknowledged() {
    comes_and_goes("sync", "away").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_while_the_disk_is_full_loses_nothing_acknowledged() {
    let Some((home, word)) = home() else { return };
    let server = home.start();
    let (_announce, whereabouts) = watch::channel(Some(server.address));
    let publisher = Publisher::by_http("http", whereabouts);
    until_acknowledged(&publisher, 50).await;
    std::fs::write(&word, "full").unwrap();
    server.until_store_is("full").await;
    server.stop();
    std::fs::write(&word, "none").unwrap();
    let server = home.start();
    check(&server, &publisher).await;
}
