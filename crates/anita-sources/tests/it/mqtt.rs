//! MQTT against a real Mosquitto.

use std::fs;
use std::path::Path;

use anita_sources::State;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::bench::{Bench, skip};
use crate::broker::{Broker, PATIENCE, find, free_port};

const VERSIONS: [&str; 2] = ["3.1.1", "5"];

fn table(url: &str, format: &str, more: &str) -> String {
    format!("type = 'mqtt'\nname = 'hall'\nurl = '{url}'\nformat = '{format}'\n{more}\n")
}

fn pozyx(device: &str, index: u32) -> String {
    format!(
        r#"[{{"version":"2.0","tagId":"{device}","success":true,"timestamp":1623790949.25,"data":{{"coordinates":{{"x":{index},"y":0,"z":0}}}}}}]"#
    )
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "a test that did not run says so")]
async fn every_recorded_pozyx_message_arrives_once() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/pozyx-mqtt/tags.ndjson");
    let Ok(recording) = fs::read_to_string(path) else {
        // It is no service that a machine could install.
        eprintln!("skipped: the recording is not there: ../shared/data/pozyx-mqtt");
        return;
    };
    let Some(broker) = Broker::start().await else { return };
    let publisher = broker.publisher();
    for version in VERSIONS {
        let bench = Bench::start(&table(&broker.url(), "pozyx", &format!("version = '{version}'")));
        bench.until_connected().await;
        for message in recording.lines() {
            publisher.publish("tags", message).await;
        }
        publisher.publish("tags/last", &pozyx("last", 1)).await;
        bench
            .until("the last one", |it| it.sink.fixes().iter().any(|fix| fix.device.as_str() == "last"))
            .await;
        assert_eq!(bench.sink.fixes().len(), 319, "MQTT {version}");
        let snapshot = bench.snapshot();
        assert_eq!((snapshot.messages, snapshot.no_position, snapshot.dropped), (321, 2, 0));
        assert_eq!(snapshot.malformed.len(), 0, "{snapshot:?}");
        bench.stop().await;
    }
}

#[tokio::test]
async fn retained_descriptions_hold_and_retained_locations_are_not_live() {
    let Some(broker) = Broker::start().await else { return };
    let publisher = broker.publisher();
    let config = r#"{"configuration":{"label":"DW0F07","nodeType":"ANCHOR","anchor":{"initiator":true,"position":{"x":1,"y":2,"z":3,"quality":0}}}}"#;
    let status = r#"{"present":true,"downlink":true,"batt":87,"timestamp":"1679494411479191"}"#;
    let location = |x: u32| {
        format!(r#"{{"position":{{"x":"{x}","y":8.35,"z":0.5,"quality":77}},"superFrameNumber":848}}"#)
    };
    publisher.publish_retained("dwm/node/0f07/uplink/config", config).await;
    publisher.publish_retained("dwm/node/0f07/uplink/status", status).await;
    publisher.publish_retained("dwm/node/5000/uplink/location", &location(1)).await;
    for version in VERSIONS {
        let bench =
            Bench::start(&table(&broker.url(), "drtls", &format!("version = '{version}'\nsite = 'hall-1'")));
        bench.until("both descriptions", |it| it.sink.reports().len() == 2).await;
        publisher.publish("dwm/node/5000/uplink/location", "{").await;
        publisher.publish("dwm/gateway/dw1/uplink", "{}").await;
        // The broker has it as retained from now on; this subscriber gets it as it happens.
        publisher.publish_retained("dwm/node/5000/uplink/location", &location(2)).await;
        bench.until("the live location", |it| it.sink.fixes().len() == 1).await;
        let mut told = bench.sink.told();
        told.sort();
        let expected = [
            "0f07: None None Some(87.0) Some(true)",
            "0f07: Some(Anchor) Some(\"DW0F07\") None None",
            "5000@2,8.35,0.5",
        ];
        assert_eq!(told, expected, "MQTT {version}");
        assert_eq!(bench.sink.fixes()[0].site.as_str(), "hall-1");
        assert_eq!(bench.snapshot().malformed.into_iter().collect::<Vec<_>>(), [("not_json", 1)]);
        bench.stop().await;
    }
}

#[tokio::test]
async fn a_broker_that_is_killed_is_waited_for() {
    let Some(mut broker) = Broker::start().await else { return };
    for version in VERSIONS {
        let bench = Bench::start(&table(&broker.url(), "pozyx", &format!("version = '{version}'")));
        bench.until_connected().await;
        broker.publisher().publish("tags", &pozyx("before", 1)).await;
        bench.until("one before", |it| it.sink.fixes().len() == 1).await;
        broker.kill().await;
        bench.until("the loss is noticed", |it| it.snapshot().state == State::Waiting).await;
        broker.resume().await;
        bench.until_connected().await;
        broker.publisher().publish("tags", &pozyx("after", 1)).await;
        bench.until("one after", |it| it.sink.fixes().len() == 2).await;
        let snapshot = bench.snapshot();
        assert!(snapshot.restarts >= 1, "{snapshot:?}");
        assert!(snapshot.last_error.unwrap().contains("127.0.0.1"));
        bench.stop().await;
    }
}

#[tokio::test]
async fn what_was_not_accepted_is_sent_again_to_the_next_session() {
    let Some(broker) = Broker::start().await else { return };
    let publisher = broker.publisher();
    for version in VERSIONS {
        let more =
            format!("version = '{version}'\nclient_id = 'anita{}'\nclean_session = false", version.len());
        let table = table(&broker.url(), "pozyx", &more);
        let bench = Bench::start(&table);
        bench.until_connected().await;
        bench.sink.refuse();
        for index in 0..50 {
            publisher.publish("tags", &pozyx("a", index)).await;
        }
        bench.until("refusals", |it| it.sink.refused() > 20).await;
        let sink = bench.stop().await;
        assert_eq!(sink.reports().len(), 0);
        sink.accept();
        let bench = Bench::start_into(&table, sink);
        bench.until("all of them", |it| it.sink.fixes().len() >= 50).await;
        let mut xs: Vec<_> =
            bench.sink.fixes().iter().map(|fix| (fix.position.x_m() * 1e3).to_string()).collect();
        xs.sort_by_key(|x| x.parse::<u32>().unwrap());
        xs.dedup();
        assert_eq!(xs, (0..50).map(|x| x.to_string()).collect::<Vec<_>>(), "MQTT {version}");
        bench.stop().await;
    }
}

#[tokio::test]
async fn an_intake_that_comes_back_gets_what_waited() {
    let Some(broker) = Broker::start().await else { return };
    let publisher = broker.publisher();
    let bench = Bench::start(&table(&broker.url(), "pozyx", ""));
    bench.until_connected().await;
    bench.sink.refuse();
    for index in 0..300 {
        publisher.publish("tags", &pozyx("a", index)).await;
    }
    bench.until("refusals", |it| it.sink.refused() > 40).await;
    bench.sink.accept();
    bench.until("all of them", |it| it.sink.fixes().len() == 300).await;
    assert_eq!((bench.snapshot().restarts, bench.snapshot().dropped), (0, 0));
    bench.stop().await;
}

#[tokio::test]
async fn a_message_that_nobody_keeps_is_dropped_and_counted() {
    let Some(broker) = Broker::start().await else { return };
    let publisher = broker.publisher();
    let bench = Bench::start(&table(&broker.url(), "pozyx", ""));
    bench.until_connected().await;
    bench.sink.refuse();
    for index in 0..30 {
        publisher.publish_at_most_once("tags", &pozyx("a", index)).await;
    }
    bench.until("the drops", |it| it.snapshot().dropped == 30).await;
    bench.sink.accept();
    publisher.publish_at_most_once("tags", &pozyx("b", 1)).await;
    bench.until("the next one", |it| it.sink.fixes().len() == 1).await;
    bench.stop().await;
}

#[tokio::test]
async fn a_wrong_password_is_a_clear_fault_and_a_right_one_is_read_anew() {
    let Some(mut broker) = Broker::prepare() else { return };
    let Some(tool) = find("mosquitto_passwd") else { return skip("there is no mosquitto_passwd") };
    let passwords = broker.folder.path().join("passwords");
    let made = Command::new(tool).arg("-b").arg("-c").arg(&passwords).args(["anita", "right"]).status().await;
    assert!(made.unwrap().success());
    broker.configure("allow_anonymous false\npassword_file FOLDER/passwords");
    broker.resume().await;
    let password_file = broker.folder.path().join("anita.password");
    for version in VERSIONS {
        fs::write(&password_file, "wrong\n").unwrap();
        let more = format!(
            "version = '{version}'\nusername = 'anita'\npassword_file = '{}'",
            password_file.display()
        );
        let bench = Bench::start(&table(&broker.url(), "drtls", &more));
        bench.until_error("check `username` and `password_file`").await;
        let error = bench.snapshot().last_error.unwrap();
        assert!(!error.contains("wrong"), "the password is not told: {error}");
        fs::write(&password_file, "right\n").unwrap();
        bench.until_connected().await;
        bench.stop().await;
        let bench =
            Bench::start(&table(&broker.url(), "drtls", "username = 'anita'\npassword_file = '/nowhere'"));
        bench.until_error("cannot read `password_file` = /nowhere").await;
        bench.stop().await;
    }
}

#[tokio::test]
async fn tls_is_spoken_to_a_broker_that_the_ca_file_knows_and_to_no_other() {
    let Some(mut broker) = Broker::prepare() else { return };
    let folder = broker.folder.path().to_owned();
    make_certificates(&folder, "right");
    make_certificates(&folder, "other");
    broker.configure("allow_anonymous true\ncertfile FOLDER/right.pem\nkeyfile FOLDER/right.key");
    broker.resume().await;
    let url = format!("mqtts://127.0.0.1:{}", broker.port);
    let ca = |name: &str| format!("ca_file = '{}'", folder.join(format!("{name}-ca.pem")).display());
    for version in VERSIONS {
        let more = format!("version = '{version}'\n{}", ca("right"));
        let bench = Bench::start(&table(&url, "drtls", &more));
        bench.until_connected().await;
        bench.stop().await;
        let bench = Bench::start(&table(&url, "drtls", &format!("version = '{version}'\n{}", ca("other"))));
        bench.until_error("certificate").await;
        bench.stop().await;
        let bench = Bench::start(&table(&url, "drtls", &format!("version = '{version}'")));
        bench.until_error("certificate").await;
        bench.stop().await;
    }
}

/// A certificate authority and a certificate of it for 127.0.0.1.
fn make_certificates(folder: &Path, name: &str) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    fs::write(folder.join(format!("{name}-ca.pem")), authority_pem).unwrap();
    fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
    fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_a_clear_fault() {
    let bench = Bench::start(&table(&format!("mqtt://127.0.0.1:{}", free_port()), "drtls", ""));
    bench.until_error("the connection to the broker at 127.0.0.1:").await;
    bench.until_error("refused").await;
    bench.stop().await;
}

#[tokio::test]
async fn a_refused_subscription_is_a_fault_that_names_the_topic() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let broker = tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut packet = [0; 256];
            // CONNECT is answered by CONNACK, SUBSCRIBE by a SUBACK that grants the first topic and refuses the second.
            assert!(socket.read(&mut packet).await.unwrap() > 0);
            socket.write_all(&[0x20, 2, 0, 0]).await.unwrap();
            assert!(socket.read(&mut packet).await.unwrap() > 0);
            socket.write_all(&[0x90, 4, packet[2], packet[3], 1, 0x80]).await.unwrap();
            while socket.read(&mut packet).await.is_ok_and(|len| len > 0) {}
        }
    });
    let bench = Bench::start(&table(&format!("mqtt://127.0.0.1:{port}"), "pozyx", "topics = ['a', 'b']"));
    bench.until_error("refuses the subscription to `b`").await;
    assert_ne!(bench.snapshot().state, State::Connected);
    bench.stop().await;
    broker.abort();
}

#[tokio::test]
async fn a_broker_that_says_nothing_does_not_hold_up_the_stop() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let bench = Bench::start(&table(&format!("mqtt://127.0.0.1:{port}"), "pozyx", ""));
    let (_silent, _) = tokio::time::timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    bench.stop().await;
}
