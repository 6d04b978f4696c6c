//! A broker and a database behind a slow link: what was promised comes, however late, and nobody else waits for it.

use std::time::{Duration, Instant};

use rumqttc_v4::{AsyncClient, MqttOptions};
use serde_json::json;
use tokio::sync::watch;

use crate::cluster::{Cluster, execute};
use crate::disk::{check, until_acknowledged};
use crate::kills::{Broker, counted, publish, until_source_is_connected};
use crate::publishers::{Publisher, item};
use crate::server::{Home, PATIENCE, Server, token};
use crate::slow_link::{Pace, SlowLink};

/// Messages that the broker has before the link lets them through.
const MESSAGES: u64 = 300;

/// `storage.spool_fixes_max` of the test.
const SPOOL_FIXES_MAX: u64 = 2_000;

/// Reports by REST, from this one on, are taken and seen, one after the other, and the server calls itself ready.
async fn others_are_served(server: &Server, first: u64) {
    for x in first..first + 10 {
        let (status, answer) = server.report(&json!([item("other", x)])).await;
        assert_eq!(status, 200, "{answer}");
        let seen = server.get("/api/v1/devices/other").await;
        assert_eq!(seen["location"]["x"], json!(x).as_f64().unwrap(), "{seen}");
    }
    for path in ["/healthz", "/readyz"] {
        let (status, body) =
            crate::http::request(server.address, "GET", path, &token("admin"), "").await.unwrap();
        assert_eq!(status, 200, "{path}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_broker_has_comes_over_a_slow_link_all_of_it_and_once() {
    let Some(broker) = Broker::start() else { return };
    let link = SlowLink::to(broker.port).await;
    link.set(Pace::SLOW);
    let home = Home::new(&format!(
        "[[sources]]\nname = \"hall\"\ntype = \"mqtt\"\nurl = \"mqtt://{}\"\nformat = \"pozyx\"\n\
         client_id = \"anita\"\nclean_session = false\n",
        link.address
    ));
    let server = home.start();
    until_source_is_connected(&server).await;
    let mut options = MqttOptions::new("publisher", ("127.0.0.1", broker.port));
    options.set_max_packet_size(1_000_000, 1_000_000);
    let (client, mut events) = AsyncClient::builder(options).capacity(64).try_build().unwrap();
    let polling = tokio::spawn(async move { while events.poll().await.is_ok() {} });
    // Over a link that is slow, some come while others are on their way.
    for number in 0..MESSAGES / 2 {
        publish(&client, number).await;
    }
    others_are_served(&server, 0).await;
    // Over one that hardly moves, all the others are still to come when everybody else has been served.
    link.set(Pace::CRAWL);
    for number in MESSAGES / 2..MESSAGES {
        publish(&client, number).await;
    }
    others_are_served(&server, 10).await;
    let come = counted(&server.history("tag").await).len() as u64;
    assert!(come < MESSAGES, "the link is not slow: all {come} have come");
    link.set(Pace::SLOW);
    let started = Instant::now();
    loop {
        let counted = counted(&server.history("tag").await);
        assert!(counted.values().all(|count| *count == 1), "more than once: {counted:?}");
        if counted.len() as u64 == MESSAGES {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{} of {MESSAGES} are there", counted.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!(
        "{come} of {MESSAGES} messages had come over the slow link; all {:.1?} after it was better",
        started.elapsed()
    );
    until_source_is_connected(&server).await;
    polling.abort();
    server.stop();
}

/// The value of a metric without labels.
async fn metric(server: &Server, name: &str) -> u64 {
    let page = crate::http::request(server.address, "GET", "/metrics", &token("admin"), "").await.unwrap().1;
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{name} is not there")).parse().unwrap()
}

/// A position is seen while its report still waits to be stored.
async fn is_live_before_it_is_stored(server: &Server) {
    let items = json!([item("live", 7)]);
    let waiting = server.report(&items);
    let live = async {
        while server.try_get("/api/v1/devices/live").await.is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::pin!(waiting);
    tokio::select! {
        biased;
        () = live => {}
        answered = &mut waiting => panic!("a position waits for the store: {answered:?}"),
    }
    let (status, answer) = waiting.await;
    assert_eq!(status, 200, "the spool took it: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_slow_link_to_the_database_what_is_acknowledged_is_stored_and_what_waits_is_bounded() {
    let Some(cluster) = tokio::task::spawn_blocking(Cluster::start).await.unwrap() else { return };
    let url = cluster.url();
    execute(&format!("{url}/postgres"), "CREATE DATABASE anita").await;
    let (before, port) = url.rsplit_once(':').unwrap();
    let link = SlowLink::to(port.parse().unwrap()).await;
    let home = Home::new(&format!(
        "[storage]\nurl = \"{before}:{}/anita\"\nspool_fixes_max = {SPOOL_FIXES_MAX}\n",
        link.address.port()
    ));
    let server = home.start();
    let (announce, whereabouts) = watch::channel(Some(server.address));
    let mut publishers =
        [Publisher::by_http("http", whereabouts.clone()), Publisher::by_websocket("socket", whereabouts)];
    // Slow, and working: killed in the middle of it, it has what it acknowledged.
    link.set(Pace::SLOW);
    let began = publishers.each_ref().map(Publisher::acknowledged);
    let started = Instant::now();
    for publisher in &publishers {
        until_acknowledged(publisher, 50).await;
    }
    let acknowledged: usize = publishers.iter().zip(began).map(|(it, began)| it.acknowledged() - began).sum();
    println!("over the slow link {acknowledged} fixes were acknowledged in {:.1?}", started.elapsed());
    announce.send(None).unwrap();
    server.kill();
    link.set(Pace::OPEN);
    let server = home.start();
    for publisher in &publishers {
        check(&server, publisher).await;
    }
    // So slow that no commit is done in time, while others go on reporting: what they are told is stored is in the spool.
    link.set(Pace::CRAWL);
    is_live_before_it_is_stored(&server).await;
    announce.send(Some(server.address)).unwrap();
    server.until_store_is("spooling").await;
    let (started, mut most, mut number) = (Instant::now(), 0, 8);
    loop {
        let spooled = metric(&server, "anita_store_spooled_fixes").await;
        assert!(spooled <= SPOOL_FIXES_MAX, "{spooled} fixes are in the spool, {SPOOL_FIXES_MAX} may");
        most = spooled.max(most);
        let (status, answer) = server.report(&json!([item("live", number)])).await;
        if status != 200 {
            assert_eq!((status, &answer["code"]), (503, &json!("unavailable")), "{answer}");
            break;
        }
        number += 1;
        assert!(started.elapsed() < PATIENCE, "{spooled} fixes are in the spool, and it is never full");
    }
    let live = server.get("/api/v1/devices/live").await;
    assert_eq!(live["location"]["x"], json!(number).as_f64().unwrap(), "refused, and live all the same");
    println!("the spool was full with {most} fixes, {:.1?} after it began", started.elapsed());
    link.set(Pace::OPEN);
    for publisher in &mut publishers {
        until_acknowledged(publisher, 50).await;
        publisher.finish().await;
    }
    server.until_store_is("well").await;
    for publisher in &publishers {
        check(&server, publisher).await;
    }
    server.stop();
}
