//! Killed in the middle of it, again and again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rumqttc_v4::{AsyncClient, MqttOptions, PublishOptions, QoS};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::publishers::{FIRST_MS, Publisher};
use crate::server::{Home, PATIENCE, Server};

/// How often the server is killed.
const KILLS: usize = 20;

/// The numbers of the items in a history, and how often each is there.
pub(crate) fn counted(history: &[Value]) -> BTreeMap<u64, usize> {
    let mut counted = BTreeMap::new();
    for entry in history {
        let number = entry["location"]["x"].as_f64().unwrap();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "they are small whole numbers"
        )]
        let number = number.round() as u64;
        *counted.entry(number).or_default() += 1;
    }
    counted
}

/// Checks that everything is there that was acknowledged, nothing twice, and nothing that was never sent.
async fn check(server: &Server, publisher: &Publisher) {
    // What is acknowledged meanwhile may be missing from what was read before.
    let acknowledged = publisher.ledger.lock().acknowledged.clone();
    let counted = counted(&server.history(publisher.device).await);
    let missing: Vec<&u64> = acknowledged.iter().filter(|number| !counted.contains_key(number)).collect();
    let count = acknowledged.len();
    assert!(missing.is_empty(), "{}: of {count} acknowledged, missing {missing:?}", publisher.device);
    let sent = publisher.ledger.lock().sent;
    let twice: Vec<_> = counted.iter().filter(|(number, count)| **count > 1 || **number >= sent).collect();
    assert!(twice.is_empty(), "{}: more than once, or never sent: {twice:?}", publisher.device);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_twenty_times_it_has_all_that_it_acknowledged_and_nothing_twice() {
    let home = Home::new("[storage]\nrecent_fixes_max = 500\n");
    let (announce, whereabouts) = watch::channel(None);
    let mut publishers =
        [Publisher::by_http("http", whereabouts.clone()), Publisher::by_websocket("socket", whereabouts)];
    for kill in 0..KILLS {
        let server = home.start();
        announce.send(Some(server.address)).unwrap();
        let before = publishers.each_ref().map(Publisher::acknowledged);
        let started = Instant::now();
        // Each has something acknowledged, and then a little later, at another moment each time.
        while publishers.iter().zip(before).any(|(publisher, before)| publisher.acknowledged() < before + 20)
        {
            assert!(started.elapsed() < PATIENCE, "nothing is acknowledged after {kill} kills");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::time::sleep(Duration::from_micros(kill as u64 * 1_700)).await;
        announce.send(None).unwrap();
        server.kill();
    }
    let server = home.start();
    for publisher in &publishers {
        check(&server, publisher).await;
    }
    announce.send(Some(server.address)).unwrap();
    for publisher in &mut publishers {
        publisher.finish().await;
        check(&server, publisher).await;
    }
    server.stop();
    let server = home.start();
    for publisher in &publishers {
        check(&server, publisher).await;
    }
}

/// A Mosquitto of our own; killed when it is dropped.
pub(crate) struct Broker {
    child: std::process::Child,
    pub(crate) port: u16,
    _folder: tempfile::TempDir,
}

impl Broker {
    pub(crate) fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text = format!(
            "listener {port} 127.0.0.1\nuser root\nallow_anonymous true\npersistence false\n\
             max_queued_messages 0\nmax_inflight_messages 200\n"
        );
        let file = folder.path().join("mosquitto.conf");
        std::fs::write(&file, text).unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
        let program = folders.find_map(|folder| Some(folder.join("mosquitto")).filter(|it| it.is_file()));
        let Some(program) = program else {
            crate::cluster::skip("there is no mosquitto in PATH or /usr/sbin");
            return None;
        };
        let mut command = std::process::Command::new(program);
        let null = std::process::Stdio::null;
        let child = command.arg("-c").arg(file).stdout(null()).stderr(null()).spawn().unwrap();
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < PATIENCE, "mosquitto does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(Self { child, port, _folder: folder })
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_twenty_times_it_has_all_that_the_broker_took_and_nothing_twice() {
    let Some(broker) = Broker::start() else { return };
    let home = Home::new(&format!(
        "[[sources]]\nname = \"hall\"\ntype = \"mqtt\"\nurl = \"mqtt://127.0.0.1:{}\"\nformat = \"pozyx\"\n\
         client_id = \"anita\"\nclean_session = false\n",
        broker.port
    ));
    let server = home.start();
    until_source_is_connected(&server).await;
    let mut options = MqttOptions::new("publisher", ("127.0.0.1", broker.port));
    options.set_max_packet_size(1_000_000, 1_000_000);
    let (client, mut events) = AsyncClient::builder(options).capacity(64).try_build().unwrap();
    let polling = tokio::spawn(async move { while events.poll().await.is_ok() {} });
    let mut sent = 0;
    let mut server = Some(server);
    for kill in 0..KILLS {
        let running = server.take().unwrap_or_else(|| home.start());
        until_source_is_connected(&running).await;
        for _message in 0..30 {
            publish(&client, sent).await;
            sent += 1;
        }
        tokio::time::sleep(Duration::from_micros(kill as u64 * 1_700)).await;
        running.kill();
        publish(&client, sent).await;
        sent += 1;
    }
    let server = home.start();
    let started = Instant::now();
    loop {
        let counted = counted(&server.history("tag").await);
        assert!(counted.values().all(|count| *count == 1), "more than once: {counted:?}");
        if counted.len() as u64 == sent {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{} of {sent} are there", counted.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    polling.abort();
}

pub(crate) async fn until_source_is_connected(server: &Server) {
    let started = Instant::now();
    while server.get("/readyz").await["sources"][0]["state"] != "connected" {
        assert!(started.elapsed() < PATIENCE, "the source does not connect");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Publishes the n-th position at `QoS` 1 and waits until the broker has it.
pub(crate) async fn publish(client: &AsyncClient, number: u64) {
    let millis = FIRST_MS + i64::try_from(number).unwrap();
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this century are exact")]
    let secs = millis as f64 / 1_000.0;
    let payload = json!([{
        "version": "1", "tagId": "tag", "timestamp": secs, "success": true,
        "data": { "coordinates": { "x": number * 1_000, "y": 1_500, "z": 250 } },
    }]);
    let options = PublishOptions::new(QoS::AtLeastOnce);
    let notice = client.publish_tracked("tags", payload.to_string(), options).await.unwrap();
    notice.wait_completion_async().await.unwrap();
}
