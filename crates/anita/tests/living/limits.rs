//! Requests by class: what is dear can be asked less often, over the socket and by REST alike.

use serde_json::json;

use crate::house::{Client, Home, get, token};

#[tokio::test(flavor = "multi_thread")]
async fn each_class_has_its_own_rate_for_each_socket_and_each_user() {
    let home = Home::new(0, "[limits.requests_per_second]\npast = 2\nsay = 3\n");
    let server = home.start();
    let address = server.address;
    let mut client = Client::connect(address, &token("alice", "operator")).await.unwrap();
    let asked = json!({ "device_id": "tag-1" });
    // Until one is too many, however slowly they come.
    let mut answered = 0;
    loop {
        let answer = client.ask("get_location_history", asked.clone()).await;
        if answer["payload"]["code"] == "rate_limited" {
            assert_eq!(answer["payload"]["details"], json!({ "class": "past", "per_second": 2 }));
            assert!(answer["payload"]["retry_after_ms"].as_u64().unwrap() <= 500);
            break;
        }
        answered += 1;
        assert!(answered < 1_000, "nothing is refused");
    }
    assert!(answered >= 2, "{answered}");
    assert_eq!(client.ask("ping", json!({})).await["type"], "system.pong");
    let alice = token("alice", "operator");
    let mut count = 0;
    loop {
        let answered = get(address, "/api/v1/history/tag-1", Some(&alice)).await.unwrap();
        if answered.status == 429 {
            assert!(answered.head.contains("retry-after: 1"), "{}", answered.head);
            assert!(answered.body.contains(r#""details":{"class":"past"}"#), "{}", answered.body);
            break;
        }
        count += 1;
        assert!(count < 1_000, "nothing is refused");
    }
    assert!(count >= 2, "{count}");
    let other = get(address, "/api/v1/devices", Some(&alice)).await.unwrap();
    assert_eq!(other.status, 200, "another class");
    let bob = get(address, "/api/v1/history/tag-1", Some(&token("bob", "operator"))).await.unwrap();
    assert_ne!(bob.status, 429, "another user");
    assert!(server.metric("anita_rate_limited_total{class=\"past\"}").await >= 2.0);
}
