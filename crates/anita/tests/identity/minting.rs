//! Tokens that the server makes by REST.

use std::time::Duration;

use anita::App;
use anita::config::{Config, Written};
use anita_auth::{Grant, Minter};
use anita_model::Timestamp;
use serde_json::{Value, json};

use crate::house::{Answer, House, SECRET, token};

/// A role that may make tokens and little else.
const GIVER: &str =
    "[roles]\ngiver = [\"tokens.mint\", \"devices.read\", \"history.read\", \"rooms.join\"]\n";

async fn mint(house: &House, token: &str, body: Value) -> Answer {
    house.ask("POST", "/api/v1/tokens", token, &body.to_string()).await
}

/// Somebody's token with patterns.
fn narrow(role: &str, devices: &[&str], rooms: &[&str]) -> String {
    let minter = Minter::hs256(SECRET.as_bytes(), "anita", "anita").unwrap();
    let texts = |texts: &[&str]| texts.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
    let (roles, devices, rooms) = ([role.to_owned()], texts(devices), texts(rooms));
    let grant = Grant {
        subject: "narrow",
        roles: &roles,
        devices: Some(&devices),
        rooms: Some(&rooms),
        token_id: Some("narrow-1"),
    };
    minter.mint(&grant, Timestamp::now(), Duration::from_secs(600)).unwrap()
}

#[tokio::test]
async fn a_token_that_was_made_here_lets_in_is_listed_and_can_be_revoked() {
    let house = House::open("").await;
    let admin = token("admin", "admin", "admin-1");
    let wanted = json!({
        "subject": "display", "roles": ["viewer"], "ttl_secs": 3_600, "devices": ["tag-*"], "rooms": ["uwb"],
    });
    let made = mint(&house, &admin, wanted).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let (made_token, id) =
        (made.body["token"].as_str().unwrap().to_owned(), made.body["token_id"].as_str().unwrap().to_owned());
    let who = house.ask("GET", "/api/v1/session", &made_token, "").await.body;
    assert_eq!((&who["user_id"], &who["roles"]), (&json!("display"), &json!(["viewer"])));
    assert_eq!(who["expires_at"], made.body["expires_at"]);
    let mut socket = house.with_token(&made_token).await;
    socket.welcomed().await;

    let listed = house.ask("GET", "/api/v1/tokens", &admin, "").await;
    assert!(!listed.body.to_string().contains(&made_token), "the token itself is nowhere");
    let entry = &listed.body["tokens"][0];
    assert_eq!(listed.body["total"], 1);
    assert_eq!(listed.body["offer"]["ttl_secs_max"], 30 * 86_400);
    assert_eq!((&entry["token_id"], &entry["subject"]), (&json!(id), &json!("display")));
    assert_eq!((&entry["devices"], &entry["rooms"]), (&json!(["tag-*"]), &json!(["uwb"])));
    assert_eq!((&entry["made_by"], &entry["is_revoked"]), (&json!("admin"), &json!(false)));

    let revoked = house.ask("POST", "/api/v1/revocations", &admin, &json!({ "jti": id }).to_string()).await;
    assert_eq!((revoked.status, &revoked.body["connections_closed"]), (201, &json!(1)));
    assert_eq!(socket.closed().await, 4509);
    let listed = house.ask("GET", "/api/v1/tokens", &admin, "").await;
    assert_eq!(listed.body["tokens"][0]["is_revoked"], true);

    let is_minted = |it: &&Value| it["action"] == "mint token";
    let entries =
        house.until_trail("subject=admin", &admin, |entries| entries.iter().any(|it| is_minted(&it))).await;
    let entry = entries.iter().find(is_minted).unwrap();
    let object = entry["object"].as_str().unwrap();
    assert!(object.starts_with(&format!("jti {id} until ")), "{object}");
    assert!(object.ends_with(" for display: viewer, devices tag-*, rooms uwb"), "{object}");
    assert!(!Value::from(entries).to_string().contains(&made_token));
}

#[tokio::test]
async fn nobody_gives_more_than_he_has() {
    let house = House::open(GIVER).await;
    let giver = token("giver", "giver", "giver-1");
    let wanted = |roles: &[&str]| json!({ "subject": "x", "roles": roles, "ttl_secs": 60 });
    for (role, permission) in
        [("admin", "devices.write"), ("operator", "devices.write"), ("publisher", "locations.report")]
    {
        let refused = mint(&house, &giver, wanted(&["viewer", role])).await;
        assert_eq!((refused.status, &refused.body["code"]), (403, &json!("forbidden")), "{role}");
        assert_eq!(refused.body["details"]["permission"], permission, "{role}");
    }
    assert_eq!(mint(&house, &giver, wanted(&["viewer"])).await.status, 201);
    assert_eq!(mint(&house, &giver, wanted(&["giver"])).await.status, 201, "as much as he has");
    let viewer = token("viewer", "viewer", "viewer-1");
    let refused = mint(&house, &viewer, wanted(&["viewer"])).await;
    assert_eq!((refused.status, &refused.body["details"]["permission"]), (403, &json!("tokens.mint")));
    assert_eq!(house.ask("GET", "/api/v1/tokens", &viewer, "").await.status, 403);

    // Whoever can't revoke sees only his own.
    let admin = token("admin", "admin", "admin-1");
    assert_eq!(mint(&house, &admin, wanted(&["operator"])).await.status, 201);
    let total = async |token: &str| house.ask("GET", "/api/v1/tokens", token, "").await.body["total"].clone();
    assert_eq!((total(&giver).await, total(&admin).await), (json!(2), json!(3)));
    let offered = async |token: &str| {
        let listed = house.ask("GET", "/api/v1/tokens", token, "").await.body;
        let roles = listed["offer"]["roles"].as_array().unwrap().clone();
        roles.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(offered(&giver).await, "giver viewer", "no role that allows more");
    assert_eq!(offered(&admin).await, "admin giver operator publisher viewer");
    let viewer = &house.ask("GET", "/api/v1/tokens", &giver, "").await.body["offer"]["roles"][1];
    assert_eq!(viewer["permissions"], json!(["devices.read", "history.read", "rooms.join"]));
    let forbidden = |entries: &[Value]| {
        let is_forbidden = |it: &&Value| it["action"] == "mint token" && it["outcome"] == "forbidden";
        entries.iter().filter(is_forbidden).count()
    };
    let trail = house.until_trail("subject=giver", &admin, |entries| forbidden(entries) >= 3).await;
    assert_eq!(forbidden(&trail), 3);
}

#[tokio::test]
async fn what_is_seen_is_never_widened() {
    let house = House::open("").await;
    let admin = narrow("admin", &["tag-*", "anchor-1"], &["uwb"]);
    let wanted = |devices: Option<&[&str]>| {
        let mut wanted = json!({ "subject": "x", "roles": ["viewer"], "ttl_secs": 60 });
        if let Some(devices) = devices {
            wanted["devices"] = json!(devices);
        }
        wanted
    };
    let cases: [(&[&str], u16); 6] = [
        (&["tag-7", "anchor-1"], 201),
        (&["tag-1*"], 201),
        (&[], 201),
        (&["*"], 403),
        (&["tag-7", "anchor-2"], 403),
        (&["{tag-1,anchor-2}"], 403),
    ];
    for (devices, status) in cases {
        let answer = mint(&house, &admin, wanted(Some(devices))).await;
        assert_eq!(answer.status, status, "{devices:?}: {}", answer.body);
    }
    // Without patterns it gets those of its maker.
    let made = mint(&house, &admin, wanted(None)).await.body["token"].as_str().unwrap().to_owned();
    let everything = token("publisher", "publisher", "p");
    let items = json!(
        ["tag-1", "anchor-2"].map(|id| json!({ "device_id": id, "location": { "x": 1, "y": 1, "z": 1 } }))
    );
    house.ask("POST", "/api/v1/locations", &everything, &items.to_string()).await;
    let seen = house.ask("GET", "/api/v1/devices", &made, "").await.body;
    assert_eq!((&seen["total"], &seen["devices"][0]["id"]), (&json!(1), &json!("tag-1")));
}

#[tokio::test]
async fn a_wish_that_makes_no_sense_is_refused_with_its_field() {
    let house = House::open("minted_ttl_max_secs = 3600").await;
    let admin = token("admin", "admin", "admin-1");
    let good = json!({ "subject": "x", "roles": ["viewer"], "ttl_secs": 3_600 });
    assert_eq!(mint(&house, &admin, good.clone()).await.status, 201);
    let long: Vec<String> = (0..100).map(|i| format!("{i:0>200}")).collect();
    let cases = [
        ("subject", json!(""), 400, "invalid_payload"),
        ("subject", json!("a\nb"), 400, "invalid_payload"),
        ("subject", json!("x".repeat(257)), 400, "invalid_payload"),
        ("roles", json!([]), 400, "invalid_payload"),
        ("roles", json!(["owner"]), 400, "invalid_payload"),
        ("ttl_secs", json!(3_601), 422, "out_of_range"),
        ("ttl_secs", json!(0), 422, "out_of_range"),
        ("ttl_secs", json!(-1), 400, "invalid_payload"),
        ("devices", json!(["[a"]), 400, "invalid_payload"),
        ("devices", json!(long), 413, "too_large"),
    ];
    for (number, (field, value, status, code)) in cases.into_iter().enumerate() {
        let mut wanted = good.clone();
        wanted[field] = value;
        // Each by somebody else: such requests are counted by subject.
        let refused = mint(&house, &token(&format!("admin-{number}"), "admin", "x"), wanted).await;
        assert_eq!((refused.status, &refused.body["code"]), (status, &json!(code)), "{number}: {field}");
        if status != 413 {
            assert_eq!(refused.body["details"]["path"], field, "{number}");
        }
    }
    // Which is valid for ten minutes itself.
    let for_ever =
        mint(&house, &admin, json!({ "subject": "x", "roles": ["admin"], "ttl_secs": 3_600 })).await;
    assert_eq!(
        (for_ever.status, &for_ever.body["details"]["path"]),
        (422, &json!("ttl_secs")),
        "{}",
        for_ever.body
    );
    // A field that is mistyped must not give more than was meant.
    let other = token("admin-x", "admin", "x");
    let mistyped = json!({ "subject": "x", "roles": ["viewer"], "ttl_secs": 60, "device": ["tag-*"] });
    assert_eq!(mint(&house, &other, mistyped).await.status, 400);
    let mistyped = json!({ "sub": "x", "issued_before": "2026-03-01T12:00:00Z" }).to_string();
    assert_eq!(house.ask("POST", "/api/v1/revocations", &other, &mistyped).await.status, 400);
    // A token that would never be accepted is not given.
    let banned = json!({ "subject": "banned" }).to_string();
    assert_eq!(house.ask("POST", "/api/v1/revocations", &other, &banned).await.status, 201);
    let useless = json!({ "subject": "banned", "roles": ["viewer"], "ttl_secs": 60 });
    let useless = mint(&house, &other, useless).await;
    assert_eq!(
        (useless.status, &useless.body["details"]["path"]),
        (409, &json!("subject")),
        "{}",
        useless.body
    );
    let unknown = mint(&house, &admin, json!({ "subject": "x", "roles": ["owner"], "ttl_secs": 60 })).await;
    let detail = unknown.body["detail"].as_str().unwrap();
    assert!(detail.contains("the roles are admin, operator, publisher, viewer"), "{detail}");
}

#[tokio::test]
async fn a_secret_that_was_rotated_signs_at_once_and_no_token_is_given_that_nobody_believes() {
    let house = House::open("previous_secret_files = [\"old.secret\"]").await;
    let admin = token("admin", "admin", "admin-1");
    let wanted = json!({ "subject": "x", "roles": ["viewer"], "ttl_secs": 60 });
    std::fs::write(house.folder.path().join("old.secret"), SECRET).unwrap();
    std::fs::write(house.folder.path().join("jwt.secret"), "another secret that is long enough for it")
        .unwrap();
    // Until the new one is known, none is made that would be refused.
    crate::house::until("the new secret", async || {
        let answer = mint(&house, &admin, wanted.clone()).await;
        assert!(matches!(answer.status, 201 | 429 | 503), "{}", answer.body);
        assert_eq!(answer.status != 201, answer.body["retry_after_ms"].is_u64());
        answer.status == 201
    })
    .await;
    let made = mint(&house, &token("another", "admin", "another-1"), wanted.clone()).await;
    let made = made.body["token"].as_str().unwrap().to_owned();
    assert_eq!(house.ask("GET", "/api/v1/session", &made, "").await.status, 200);
    // The old secret is not believed any more: it was the new one that signed.
    std::fs::remove_file(house.folder.path().join("old.secret")).unwrap();
    crate::house::until("the old secret is gone", async || {
        house.ask("GET", "/api/v1/session", &admin, "").await.status == 401
    })
    .await;
    assert_eq!(house.ask("GET", "/api/v1/session", &made, "").await.status, 200);
}

#[tokio::test]
async fn an_issuer_that_reads_other_claims_is_no_way_around_patterns() {
    let house = House::open("devices_claim = \"tags\"").await;
    let admin = token("admin", "admin", "admin-1");
    let mut wanted = json!({ "subject": "x", "roles": ["viewer"], "ttl_secs": 60 });
    assert_eq!(mint(&house, &admin, wanted.clone()).await.status, 201);
    wanted["devices"] = json!(["tag-1"]);
    let refused = mint(&house, &admin, wanted).await;
    assert_eq!((refused.status, &refused.body["code"]), (409, &json!("conflict")), "{}", refused.body);

    let house = House::open("roles_allowed = [\"admin\", \"viewer\"]").await;
    let wanted = json!({ "subject": "x", "roles": ["operator"], "ttl_secs": 60 });
    assert_eq!(mint(&house, &admin, wanted).await.status, 409);
}

#[tokio::test]
async fn a_server_without_a_key_of_its_own_says_so_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    std::fs::write(folder.path().join("key.pub.pem"), key.public_key_pem()).unwrap();
    std::fs::write(folder.path().join("jwt.secret"), SECRET).unwrap();
    let text = "[server]\nlisten = \"127.0.0.1:0\"\nplaintext = \"loopback\"\n[storage]\nurl = \"memory\"\n\
                [drain]\nspread_secs = 0.01\n[auth]\nissuer = \"elsewhere\"\npublic_key_file = \"key.pub.pem\"\n\
                [[auth.issuers]]\nissuer = \"anita\"\nsecret_file = \"jwt.secret\"\n";
    let written = Written::parse(&folder.path().join("anita.toml"), text, std::iter::empty()).unwrap();
    let running = App::new(Config::from_written(&written).unwrap()).start().await.unwrap();
    let house = House { folder, running };
    let admin = token("admin", "admin", "admin-1");
    let refused = mint(&house, &admin, json!({ "subject": "x", "roles": ["viewer"], "ttl_secs": 60 })).await;
    assert_eq!((refused.status, &refused.body["code"]), (409, &json!("conflict")));
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("makes no tokens") && detail.contains("auth.secret_file"), "{detail}");
    let page = house.ask("GET", "/api/v1/page", &admin, "").await.body;
    assert_eq!(page["signed_in"]["can_mint_tokens"], false);
    let listed = house.ask("GET", "/api/v1/tokens", &admin, "").await.body;
    assert_eq!((&listed["total"], listed.get("offer")), (&json!(0), None), "nothing to ask for");
}

#[tokio::test]
async fn without_its_secret_the_server_makes_no_token_and_goes_on() {
    let house = House::open("").await;
    let admin = token("admin", "admin", "admin-1");
    std::fs::remove_file(house.folder.path().join("jwt.secret")).unwrap();
    let refused = mint(&house, &admin, json!({ "subject": "x", "roles": ["viewer"], "ttl_secs": 60 })).await;
    assert_eq!((refused.status, &refused.body["code"]), (503, &json!("unavailable")));
    assert_eq!(house.ask("GET", "/api/v1/tokens", &admin, "").await.body["total"], 0);
}
