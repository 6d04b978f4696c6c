//! What those who look after the server see by REST: rooms, connections, the configuration; and what a page sees first.

use serde_json::{Value, json};

use crate::house::{House, token, until};

async fn get(house: &House, path: &str, token: &str) -> Value {
    let answer = house.ask("GET", path, token, "").await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.body
}

#[tokio::test]
async fn each_of_it_needs_its_permission_and_what_is_tried_without_is_counted_and_noted() {
    let house = House::open("").await;
    // What the trail says that was tried, and with what.
    let table = [
        ("GET /api/v1/sources", "GET /api/v1/sources", "sources.read", ""),
        ("GET /api/v1/rooms", "GET /api/v1/rooms", "rooms.members", ""),
        ("GET /api/v1/connections?limit=5", "GET /api/v1/connections", "connections.manage", ""),
        ("GET /api/v1/connections/x", "GET /api/v1/connections/{id}", "connections.manage", ", id x"),
        (
            "DELETE /api/v1/connections/a%0Ab%E2%80%AE",
            "DELETE /api/v1/connections/{id}",
            "connections.manage",
            ", id a%0Ab%E2%80%AE",
        ),
        ("DELETE /api/v1/revocations/r7", "DELETE /api/v1/revocations/{id}", "tokens.revoke", ", id r7"),
        ("PUT /api/v1/plans/hall/picture", "PUT /api/v1/plans/{id}/picture", "plans.write", ", id hall"),
        ("POST /api/v1/locations", "POST /api/v1/locations", "locations.report", ""),
        ("GET /api/v1/tokens", "GET /api/v1/tokens", "tokens.mint", ""),
        ("GET /api/v1/configuration", "GET /api/v1/configuration", "configuration.read", ""),
    ];
    let long = format!("DELETE /api/v1/plans/{}", "x".repeat(300));
    let cut = format!(", id {}…", "x".repeat(256));
    let more = [(long.as_str(), "DELETE /api/v1/plans/{id}", "plans.write", cut.as_str())];
    let table: Vec<_> = table.into_iter().chain(more).collect();
    let viewer = token("v", "viewer", "v");
    for (tried, _action, permission, _names) in &table {
        let (method, path) = tried.split_once(' ').unwrap();
        let refused = house.ask(method, path, &viewer, "").await;
        assert_eq!(
            (refused.status, &refused.body["details"]["permission"]),
            (403, &json!(permission)),
            "{tried}"
        );
        assert_eq!(house.http(method, path, &[], "").await.status, 401, "{tried}");
    }
    assert_eq!(house.ask("GET", "/api/v1/rooms", &token("o", "operator", "o"), "").await.status, 200);
    assert_eq!(house.ask("GET", "/api/v1/devices/nobody", &viewer, "").await.status, 404);

    let page = house.http_text("/metrics").await;
    let all = table.len();
    for line in [
        format!("anita_forbidden_total {all}"),
        format!("anita_errors_total{{code=\"forbidden\"}} {all}"),
        format!("anita_errors_total{{code=\"unauthenticated\"}} {all}"),
        "anita_errors_total{code=\"not_found\"} 1".to_owned(),
    ] {
        assert!(page.lines().any(|it| it == line), "{line}:\n{page}");
    }
    let admin = token("admin", "admin", "admin-1");
    let entries = house.until_trail("outcome=forbidden", &admin, |entries| entries.len() == all).await;
    // The newest is the first.
    for ((tried, action, permission, names), entry) in table.iter().rev().zip(&entries) {
        let expected = (json!("v"), json!(action), json!(format!("{permission}{names}")));
        let found = (&entry["subject"], &entry["action"], &entry["object"]);
        assert_eq!(found, (&expected.0, &expected.1, &expected.2), "{tried}");
    }
}

#[tokio::test]
async fn a_connection_is_shown_with_its_client_its_counts_and_its_rooms() {
    let house = House::open("").await;
    let admin = token("admin", "admin", "admin-1");
    let headers = [
        ("authorization", &*format!("Bearer {}", token("alice", "viewer", "a"))),
        ("user-agent", "Forklift/1.0"),
        ("sec-websocket-protocol", "anita.v1"),
    ];
    let mut alice = house.connect("/ws/uwb", &headers).await.unwrap();
    let id = alice.welcomed().await["client_id"].as_str().unwrap().to_owned();
    alice.ping().await;
    let bearer = format!("Bearer {}", token("bob", "viewer", "b"));
    let mut bob = house.connect("/ws/uwb", &[("authorization", &bearer)]).await.unwrap();
    bob.welcomed().await;
    get(&house, "/api/v1/connections", &admin).await;

    let shown = get(&house, &format!("/api/v1/connections/{id}"), &admin).await;
    assert_eq!((&shown["user_id"], &shown["endpoint"]), (&json!("alice"), &json!("/ws/uwb")));
    assert_eq!(shown["roles"], json!(["viewer"]));
    assert_eq!((&shown["user_agent"], &shown["subprotocol"]), (&json!("Forklift/1.0"), &json!("anita.v1")));
    assert_eq!((&shown["rooms"], &shown["address"]), (&json!(["uwb"]), &json!("127.0.0.1")));
    assert_eq!(shown["received_bytes"], r#"{"type":"ping"}"#.len(), "{shown}");
    // Rooms that a token does not name are not shown with who is in them.
    let narrow = json!({ "subject": "n", "roles": ["admin"], "ttl_secs": 60, "rooms": ["hall"] }).to_string();
    let narrow = house.ask("POST", "/api/v1/tokens", &admin, &narrow).await.body;
    let narrow = narrow["token"].as_str().unwrap();
    assert_eq!(get(&house, &format!("/api/v1/connections/{id}"), narrow).await["rooms"], json!([]));
    assert_eq!(get(&house, "/api/v1/connections", narrow).await["connections"][0]["rooms"], json!([]));
    let sent_bytes = async || {
        let shown = get(&house, &format!("/api/v1/connections/{id}"), &admin).await;
        (
            shown["sent_bytes"].as_u64().unwrap(),
            shown["positions_delivered"].as_u64().unwrap(),
            shown["age_ms"]["p99"].is_u64(),
        )
    };
    let before = sent_bytes().await;
    assert!(before.0 > 100 && !before.2, "{before:?}");
    let item = json!({ "device_id": "tag-1", "location": { "x": 1, "y": 2, "z": 3 } }).to_string();
    // The status of a new device, and where it is; then where it is, which the shard writes by itself.
    let mut heard_bytes = 0;
    for messages in [2, 1] {
        house.ask("POST", "/api/v1/locations", &token("p", "publisher", "p"), &item).await;
        for _each in 0..messages {
            heard_bytes += alice.hear().await.unwrap().to_string().len() as u64;
            bob.hear().await.unwrap();
        }
    }
    // From the first look on, its ages are measured.
    until("the position is counted", async || {
        let after = sent_bytes().await;
        after.0 >= before.0 + heard_bytes && after.1 == 2 && after.2
    })
    .await;

    // The other shard may be behind.
    until("the other position is counted", async || {
        let list = get(&house, "/api/v1/connections", &admin).await;
        let connections = list["connections"].as_array().unwrap();
        connections.iter().all(|it| it["positions_delivered"] == 2)
    })
    .await;
    let first = get(&house, "/api/v1/connections?limit=1", &admin).await;
    let next = first["next"].as_str().unwrap();
    let second = get(&house, &format!("/api/v1/connections?limit=1&after={next}"), &admin).await;
    let ids = [&first, &second].map(|page| page["connections"][0]["client_id"].as_str().unwrap().to_owned());
    assert!(ids[0] < ids[1] && ids.contains(&id), "{ids:?}");
    assert!(second.get("next").is_none() && first["total"] == 2);
    let mut pages = [first, second].into_iter().map(|page| page["connections"][0].clone());
    let other = pages.find(|it| it["client_id"] != id).unwrap();
    assert!(other.get("user_agent").is_none() && other["positions_delivered"] == 2, "{other}");
    assert!(other.get("age_ms").is_none(), "a list measures nothing");
    for limit in ["0", "1001"] {
        let refused = house.ask("GET", &format!("/api/v1/connections?limit={limit}"), &admin, "").await;
        assert_eq!(refused.status, 422);
    }
}

#[tokio::test]
async fn a_connection_is_closed_with_a_reason_that_the_trail_keeps() {
    let house = House::open("").await;
    let admin = token("admin", "admin", "admin-1");
    let bearer = format!("Bearer {}", token("alice", "viewer", "a"));
    let mut alice = house.connect("/ws/uwb", &[("authorization", &bearer)]).await.unwrap();
    let id = alice.welcomed().await["client_id"].as_str().unwrap().to_owned();
    let close = async |reason: &str| {
        let path = format!("/api/v1/connections/{id}?reason={reason}");
        house.ask("DELETE", &path, &admin, "").await.status
    };
    assert_eq!((close("a%0Ab").await, close(&"x".repeat(257)).await), (400, 400), "not said, not closed");
    assert_eq!(close("display%20moved").await, 204);
    assert_eq!(alice.closed().await, 4509);
    let trail = house.until_trail("action=close%20connection", &admin, |entries| !entries.is_empty()).await;
    assert_eq!(trail[0]["object"], format!("{id}: display moved"));
    assert_eq!(trail.len(), 1);
    until("it is gone", async || {
        house.ask("GET", &format!("/api/v1/connections/{id}"), &admin, "").await.status == 404
    })
    .await;
}

#[tokio::test]
async fn rooms_are_shown_with_their_members_and_what_they_keep_as_far_as_they_may_be_seen() {
    let house = House::open("").await;
    let operator = token("operator", "operator", "o");
    let item = json!({ "device_id": "tag-1", "location": { "x": 1, "y": 2, "z": 3 } }).to_string();
    house.ask("POST", "/api/v1/locations", &operator, &item).await;
    let mut alice = house
        .connect("/ws/uwb", &[("authorization", &format!("Bearer {}", token("alice", "viewer", "a")))])
        .await
        .unwrap();
    let id = alice.welcomed().await["client_id"].clone();
    alice.say(&json!({ "type": "join_room", "payload": { "room": "hall" } })).await;
    while alice.hear().await.unwrap()["type"] != "room.joined" {}
    let rooms = get(&house, "/api/v1/rooms", &operator).await;
    let names: Vec<&str> =
        rooms["rooms"].as_array().unwrap().iter().map(|it| it["room"].as_str().unwrap()).collect();
    assert_eq!((names, &rooms["total"]), (vec!["hall", "uwb"], &json!(2)));
    let (hall, uwb) = (&rooms["rooms"][0], &rooms["rooms"][1]);
    assert_eq!((&hall["member_count"], &hall["members"][0]["client_id"]), (&json!(1), &id));
    assert_eq!((&hall["members"][0]["user_id"], &hall["kept"]["messages"]), (&json!("alice"), &json!(0)));
    // The status of the new device was told there.
    assert!(uwb["seq"].as_u64().unwrap() >= 1 && uwb["kept"]["from_seq"] == 1, "{uwb}");
    assert!(uwb["kept"]["bytes"].as_u64().unwrap() > 50 && uwb["kept"]["last_at"].is_string());
    let page = get(&house, "/api/v1/rooms?limit=1", &operator).await;
    assert_eq!((&page["next"], &page["total"]), (&json!("hall"), &json!(2)));
    let page = get(&house, "/api/v1/rooms?limit=1&after=hall", &operator).await;
    assert_eq!((&page["rooms"][0]["room"], page.get("next")), (&json!("uwb"), None));

    let made = json!({ "subject": "n", "roles": ["operator"], "ttl_secs": 60, "rooms": ["uwb"] }).to_string();
    let made = house.ask("POST", "/api/v1/tokens", &token("admin", "admin", "x"), &made).await.body;
    let seen = get(&house, "/api/v1/rooms", made["token"].as_str().unwrap()).await;
    assert_eq!((&seen["total"], &seen["rooms"][0]["room"]), (&json!(1), &json!("uwb")));
}

#[tokio::test]
async fn the_configuration_is_shown_with_origins_and_without_secrets() {
    let more = "[[sources]]\nname = \"hall\"\ntype = \"mqtt\"\nurl = \"mqtt://127.0.0.1:1\"\nformat = \"drtls\"\n\
                username = \"u\"\npassword = \"hunter2\"\n[heartbeat]\ninterval_secs = 20";
    let house = House::open(more).await;
    let admin = token("admin", "admin", "admin-1");
    let shown = get(&house, "/api/v1/configuration", &admin).await;
    let values = shown["values"].as_array().unwrap();
    let value = |key: &str| values.iter().find(|it| it["key"] == key).unwrap();
    let interval = value("heartbeat.interval_secs");
    assert_eq!((&interval["value"], &interval["origin"]), (&json!(20.0), &json!("file")));
    assert_eq!(value("auth.minted_ttl_max_secs")["origin"], "default");
    assert_eq!(value("auth.minted_ttl_max_secs")["value"], 2_592_000.0);
    assert_eq!(
        (&value("sources[0].password")["value"], &value("sources[0].username")["value"]),
        (&json!("…"), &json!("u"))
    );
    assert!(!shown.to_string().contains("hunter2") && !shown.to_string().contains(crate::house::SECRET));
    let made =
        json!({ "subject": "n", "roles": ["admin"], "ttl_secs": 60, "devices": ["tag-1"] }).to_string();
    let made = house.ask("POST", "/api/v1/tokens", &admin, &made).await.body;
    let refused = house.ask("GET", "/api/v1/configuration", made["token"].as_str().unwrap(), "").await;
    assert_eq!(refused.status, 403, "it names devices that this token may not see");
}

#[tokio::test]
async fn a_page_hears_what_it_needs_and_only_who_is_signed_in_hears_of_devices() {
    let house = House::open("[site]\nname = \"Hall 3\"").await;
    let nobody = house.http("GET", "/api/v1/page", &[], "").await;
    assert_eq!(nobody.status, 200);
    assert_eq!(
        (&nobody.body["site"], &nobody.body["sign_in"]),
        (&json!("Hall 3"), &json!([{ "method": "token" }]))
    );
    assert!(nobody.body["version"].is_string() && nobody.body.get("signed_in").is_none());
    let stale = house.http("GET", "/api/v1/page", &[("cookie", "anita_session=gone")], "").await;
    assert_eq!((stale.status, &stale.body), (200, &nobody.body), "what is over is nothing");
    let (viewer, admin) = (token("v", "viewer", "v"), token("a", "admin", "a"));
    let signed_in = get(&house, "/api/v1/page", &viewer).await["signed_in"].clone();
    assert_eq!(signed_in, json!({ "user_id": "v", "has_devices": false, "can_mint_tokens": false }));
    let item = json!({ "device_id": "tag-1", "location": { "x": 1, "y": 2, "z": 3 } }).to_string();
    house.ask("POST", "/api/v1/locations", &admin, &item).await;
    let cookie = house.sign_in(&admin).await;
    let page = house.http("GET", "/api/v1/page", &[("cookie", &cookie)], "").await.body;
    assert_eq!(page["signed_in"], json!({ "user_id": "a", "has_devices": true, "can_mint_tokens": true }));
    let publisher = get(&house, "/api/v1/page", &token("p", "publisher", "p")).await["signed_in"].clone();
    assert_eq!(publisher, json!({ "user_id": "p", "can_mint_tokens": false }));
}
