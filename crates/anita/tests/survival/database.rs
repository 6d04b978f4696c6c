//! PostgreSQL under a real server: stopped, killed, frozen, and back.

use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;

use crate::cluster::{Cluster, execute};
use crate::disk::{check, until_acknowledged};
use crate::publishers::{Publisher, item};
use crate::server::Home;

/// A PostgreSQL, and a home whose store is in it.
async fn home(more: &str) -> Option<(Cluster, Home)> {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap()?;
    execute(&format!("{}/postgres", cluster.url()), "CREATE DATABASE anita").await;
    let home = Home::new(&format!("[storage]\nurl = \"{}/anita\"\n{more}\n", cluster.url()));
    Some((cluster, home))
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_the_spool_takes_what_is_acknowledged() {
    let Some((cluster, home)) = home("").await else { return };
    let server = home.start();
    let (announce, whereabouts) = watch::channel(Some(server.address));
    let mut publishers =
        [Publisher::by_http("http", whereabouts.clone()), Publisher::by_websocket("socket", whereabouts)];
    for publisher in &publishers {
        until_acknowledged(publisher, 50).await;
    }
    cluster.stop();
    server.until_store_is("spooling").await;
    for publisher in &publishers {
        until_acknowledged(publisher, 200).await;
    }
    // The server is killed while the database is away.
    announce.send(None).unwrap();
    server.kill();
    cluster.resume();
    let server = home.start();
    server.until_store_is("well").await;
    for publisher in &publishers {
        check(&server, publisher).await;
    }
    announce.send(Some(server.address)).unwrap();
    for publisher in &publishers {
        until_acknowledged(publisher, 50).await;
    }
    // The database crashes under load and comes back under load.
    cluster.kill();
    server.until_store_is("spooling").await;
    for publisher in &publishers {
        until_acknowledged(publisher, 200).await;
    }
    cluster.resume();
    server.until_store_is("well").await;
    for publisher in &mut publishers {
        until_acknowledged(publisher, 50).await;
        publisher.finish().await;
        check(&server, publisher).await;
    }
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_spool_reports_are_refused_and_live_while_the_database_is_away() {
    let Some((cluster, home)) = home("spool_fixes_max = 0").await else { return };
    let server = home.start();
    let (_announce, whereabouts) = watch::channel(Some(server.address));
    let mut publisher = Publisher::by_http("http", whereabouts);
    until_acknowledged(&publisher, 50).await;
    cluster.stop();
    server.until_store_is("away").await;
    let (status, answer) = server.report(&json!([item("live", 7)])).await;
    assert_eq!((status, &answer["code"]), (503, &json!("unavailable")), "{answer}");
    let live = server.get("/api/v1/devices/live").await;
    assert_eq!(live["location"]["x"].as_f64(), Some(7.0));
    let (status, body) = crate::http::request(
        server.address,
        "GET",
        "/api/v1/history/live",
        &crate::server::token("viewer"),
        "",
    )
    .await
    .unwrap();
    assert_eq!(status, 503, "{body}");
    cluster.resume();
    server.until_store_is("well").await;
    until_acknowledged(&publisher, 50).await;
    publisher.finish().await;
    check(&server, &publisher).await;
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_database_holds_up_nothing_live() {
    let Some((cluster, home)) = home("").await else { return };
    let server = home.start();
    let (_announce, whereabouts) = watch::channel(Some(server.address));
    let mut publisher = Publisher::by_http("http", whereabouts);
    until_acknowledged(&publisher, 50).await;
    cluster.freeze("-STOP");
    // The server notices after a while; until then reports wait, and positions don't.
    let items = json!([item("live", 7)]);
    let waiting = server.report(&items);
    let live = async {
        while server.try_get("/api/v1/devices/live").await.is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let (status, answer) = {
        tokio::pin!(waiting);
        tokio::select! {
            biased;
            () = live => {}
            answered = &mut waiting => panic!("a position waits for the store: {answered:?}"),
        }
        waiting.await
    };
    assert_eq!(status, 200, "the spool took it: {answer}");
    cluster.freeze("-CONT");
    server.until_store_is("well").await;
    publisher.finish().await;
    check(&server, &publisher).await;
    server.stop();
}
