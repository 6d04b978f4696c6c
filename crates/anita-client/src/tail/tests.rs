use serde_json::{Value, json};

use super::*;
use crate::scripted::{Peer, soon, websocket};

fn lines(out: &[u8]) -> Vec<Value> {
    std::str::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn messages_come_out_as_lines_until_the_count() {
    let address = websocket(None, async |_, mut peer: Peer| {
        peer.hello(25.0).await;
        peer.socket_text("{\"type\":\"uwb.location\",\n \"payload\":{\"x\":1.50}}").await;
        for kind in ["system.heartbeat", "uwb.device_list", "device.status"] {
            peer.say(json!({ "type": kind, "payload": {} })).await;
        }
        peer.hear().await;
    })
    .await;
    let options = Options::new(format!("ws://{address}/ws/uwb"));
    let settings = TailSettings {
        types: vec!["uwb.*".to_owned(), "device.status".to_owned()],
        count: Some(3),
        ..TailSettings::default()
    };
    let mut out = Vec::new();
    let report = soon(tail(options, &mut out, settings, |_| {})).await.unwrap();
    assert_eq!(report, TailReport { lines: 3, connections: 1 });
    let types: Vec<Value> = lines(&out).into_iter().map(|line| line["type"].clone()).collect();
    assert_eq!(types, ["uwb.location", "uwb.device_list", "device.status"]);
    assert!(
        out.starts_with(b"{\"type\":\"uwb.location\",  \"payload\":{\"x\":1.50}}\n"),
        "numbers as received"
    );
}

#[tokio::test]
async fn it_comes_back_after_a_restart_and_stays_away_when_it_is_told_to() {
    let address = websocket(None, async |number, mut peer: Peer| {
        if number < 2 {
            peer.hello(25.0).await;
            return peer.close(1012, r#"{"code":"restart","retry_after_ms":20}"#).await;
        }
        let payload = json!({ "code": "invalid_token", "message": "Signature.", "retryable": false });
        peer.say(json!({ "type": "error", "payload": payload })).await;
        peer.close(4501, r#"{"code":"invalid_token"}"#).await;
    })
    .await;
    let options = Options::new(format!("ws://{address}/ws"));
    let (mut out, mut waits) = (Vec::new(), Vec::new());
    let ended = soon(tail(options, &mut out, TailSettings::default(), |event| {
        if let TailEvent::Lost { error: Some(Lost::Closed(close)), wait } = event {
            waits.push((close.number, wait));
        }
    }))
    .await;
    assert!(matches!(ended, Err(TailError::Connect(ConnectError::Refused { .. }))), "{ended:?}");
    assert_eq!(lines(&out).len(), 2, "the two hellos and nothing else");
    assert_eq!(waits.len(), 2);
    assert!(
        waits.iter().all(|&(number, wait)| number == 1012 && wait >= Duration::from_millis(20)),
        "{waits:?}"
    );
}

#[tokio::test]
async fn an_expired_token_and_no_wish_to_reconnect_end_it() {
    let address = websocket(None, async |number, mut peer: Peer| {
        peer.hello(25.0).await;
        let close = if number == 0 { 4401 } else { 1012 };
        peer.close(close, "").await;
    })
    .await;
    let options = Options::new(format!("ws://{address}/ws"));
    let ended = soon(tail(options.clone(), tokio::io::sink(), TailSettings::default(), |_| {})).await;
    assert!(matches!(ended, Err(TailError::TokenExpired)), "{ended:?}");
    let settings = TailSettings { reconnect: false, ..TailSettings::default() };
    let ended = soon(tail(options, tokio::io::sink(), settings, |_| {})).await;
    assert!(matches!(ended, Err(TailError::Lost(Lost::Closed(_)))), "{ended:?}");
}

#[tokio::test]
async fn a_stop_ends_it_well_whether_it_listens_or_waits() {
    let address = websocket(None, async |_, mut peer: Peer| {
        peer.hello(25.0).await;
        peer.hear().await;
    })
    .await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (address, connections) in [(address, 1), (nobody, 0)] {
        let settings = TailSettings::default();
        let stop = settings.stop.clone();
        let options = Options::new(format!("ws://{address}/ws"));
        let report = soon(tail(options, tokio::io::sink(), settings, |_| stop.cancel())).await.unwrap();
        assert_eq!(report.connections, connections);
    }
}
