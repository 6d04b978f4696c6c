//! What one client may say and hold, as the configuration bounds it; each refusal is counted.

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::house::{Client, HERE, House, token_of};

const LIMITS: &str = "unauthenticated_message_bytes_max = 10000\nfragments_max = 3\njson_nesting_max = 8\n\
                      views_per_connection_max = 2\narea_corners_max = 4\npings_per_second = 10";

/// Sends a text message in so many fragments.
async fn say_in(client: &mut Client, fragments: usize, message: &Value) {
    let text = message.to_string();
    for number in 0..fragments {
        let kind = if number == 0 { Data::Text } else { Data::Continue };
        let is_last = number + 1 == fragments;
        let payload = if is_last { text.clone() } else { String::new() };
        let frame = Frame::message(payload, OpCode::Data(kind), is_last);
        // The server may have had enough of it.
        client.0.send(Message::Frame(frame)).await.ok();
    }
}

/// The answer to a request: its type, or its code when it is refused.
async fn answer(client: &mut Client, kind: &str, payload: &Value) -> String {
    client.say(&json!({ "type": kind, "payload": payload, "id": "it" })).await;
    loop {
        let heard = client.next().await;
        if heard["id"] == "it" {
            let code = heard["payload"]["code"].as_str();
            return code.or(heard["type"].as_str()).unwrap().to_owned();
        }
        assert!(heard["close"].is_null() && heard["gone"].is_null(), "{heard}");
    }
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _level| json!([inner]))
}

fn polygon(corners: i32) -> Value {
    let corners: Vec<[i32; 2]> = (0..corners).map(|corner| [corner, corner * corner]).collect();
    json!({ "polygon": corners })
}

#[tokio::test]
async fn what_a_client_may_say_and_hold_is_bounded_as_configured() {
    let house = House::limited(LIMITS).await;
    let counted = async |code: &str| house.metric(&format!("anita_errors_total{{code=\"{code}\"}}")).await;
    let mut client = house.client("alice").await;
    // A message and its payload are two levels.
    assert_eq!(answer(&mut client, "ping", &json!({ "x": nested(6) })).await, "system.pong");
    assert_eq!(answer(&mut client, "ping", &json!({ "x": nested(7) })).await, "invalid_json");
    assert_eq!(counted("invalid_json").await, 1);

    let small = json!({ "view": { "area": polygon(4) } });
    let complex = json!({ "view": { "area": polygon(5) } });
    assert_eq!(answer(&mut client, "subscribe", &complex).await, "invalid_payload");
    assert_eq!(answer(&mut client, "subscribe", &small).await, "subscribed");
    let change = json!({ "subscription": "s1", "view": { "area": polygon(5) } });
    assert_eq!(answer(&mut client, "update_subscription", &change).await, "invalid_payload");
    let change = json!({ "subscription": "s1", "view": { "area": polygon(3) } });
    assert_eq!(answer(&mut client, "update_subscription", &change).await, "subscription.updated");
    assert_eq!(counted("invalid_payload").await, 2);
    assert_eq!(answer(&mut client, "subscribe", &small).await, "subscribed");
    assert_eq!(answer(&mut client, "subscribe", &small).await, "limit_reached");
    assert_eq!(counted("limit_reached").await, 1);

    let ping = json!({ "type": "ping", "payload": {}, "id": "it" });
    say_in(&mut client, 3, &ping).await;
    assert_eq!(client.next().await["type"], "system.pong");
    say_in(&mut client, 4, &ping).await;
    let heard = client.until_end().await;
    assert_eq!(heard.last().unwrap()["close"], 1009, "{heard:?}");
    assert_eq!(counted("too_large").await, 1);
    assert_eq!(house.metric("anita_closes_total{code=\"violation\"}").await, 1);
}

#[tokio::test]
async fn rest_has_the_same_bounds() {
    let house = House::limited(LIMITS).await;
    let bearer = format!("Bearer {}", token_of("alice", "operator"));
    let headers = [("authorization", bearer.as_str())];
    let visits = async |corners| {
        let area = polygon(corners).to_string().replace('"', "%22").replace('{', "%7B").replace('}', "%7D");
        let times = "start_time=2026-01-01T00:00:00Z&end_time=2026-01-02T00:00:00Z";
        house.http("GET", &format!("/api/v1/visits?{times}&area={area}"), &headers).await
    };
    let allowed = visits(4).await;
    assert_eq!(allowed.status, 200, "{}", allowed.body);
    let refused = visits(5).await;
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("a polygon has 3 to 4 corners, not 5"), "{}", refused.body);
    // The object, the list and the item are three levels.
    for (levels, status) in [(5, 200), (6, 400)] {
        let item =
            json!({ "device_id": "a", "location": { "x": 1, "y": 1, "z": 1 }, "more": nested(levels) });
        let body = json!({ "locations": [item] }).to_string();
        let answer = house.post("/api/v1/locations", &headers, &body).await;
        assert_eq!(answer.status, status, "{levels}: {}", answer.body);
    }
    assert_eq!(house.metric("anita_errors_total{code=\"invalid_json\"}").await, 1);
}

#[tokio::test]
async fn before_it_is_known_who_it_is_only_little_is_read() {
    let house = House::limited(LIMITS).await;
    for (bytes, close) in [(9_000, 4501), (10_500, 1009)] {
        let mut client = house.socket_from(HERE, "/ws", &[]).await.unwrap();
        assert_eq!(client.next().await["type"], "system.auth_required");
        let token = "x".repeat(bytes);
        let message = json!({ "type": "authenticate", "payload": { "token": token } }).to_string();
        client.0.send(Message::text(message)).await.ok();
        let heard = client.until_end().await;
        assert_eq!(heard.last().unwrap()["close"], close, "{bytes}: {heard:?}");
    }
    assert_eq!(house.metric("anita_errors_total{code=\"too_large\"}").await, 1);
}

#[tokio::test]
async fn more_pings_than_may_be_end_the_connection() {
    let house = House::limited(LIMITS).await;
    let mut client = house.client("alice").await;
    for _ping in 0..10 {
        client.0.send(Message::Ping(Vec::new().into())).await.unwrap();
    }
    client.ping().await;
    for _ping in 0..100 {
        // The server may have had enough of them.
        client.0.send(Message::Ping(Vec::new().into())).await.ok();
    }
    let heard = client.until_end().await;
    assert_eq!(heard.last().unwrap()["close"], 4429, "{heard:?}");
    assert_eq!(house.metric("anita_closes_total{code=\"rate_limited\"}").await, 1);
}
