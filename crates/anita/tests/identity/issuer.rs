//! Tokens of a real issuer, while it rotates its keys, freezes and is gone.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::house::{House, PATIENCE, token, until};
use crate::provider::Provider;

const SERVICE: &str = "client_credentials";
const PERSON: &str = "authorization_code";
const RS256: &str = "urn:anita";
const ES256: &str = "urn:anita:es";

async fn open(issuer: &str) -> House {
    House::open(&format!(
        "[[auth.issuers]]\nissuer = \"{issuer}\"\ndiscovery = true\ntoken_type = \"at+jwt\"\njwks_refresh_secs = 1\n\
         roles_claims = [\"scope\"]\nroles_allowed = [\"viewer\"]"
    ))
    .await
}

async fn state(house: &House) -> Value {
    house.http("GET", "/readyz", &[], "").await.body["issuers"][1].clone()
}

async fn until_state(house: &House, wanted: &str) {
    until(wanted, || async { state(house).await["state"] == wanted }).await;
}

/// The status of a request with the token.
async fn status(house: &House, token: &str) -> u16 {
    house.ask("GET", "/api/v1/session", token, "").await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_a_real_issuer_come_in_and_its_keys_are_rotated_in_mid_flight() {
    let Some(mut provider) = Provider::start() else { return };
    let house = open(&provider.issuer).await;
    for (grant, resource, subject) in
        [(SERVICE, RS256, "service"), (SERVICE, ES256, "service"), (PERSON, ES256, "alice")]
    {
        let token = provider.token(grant, resource);
        let hello = house.with_token(&token).await.welcomed().await;
        assert_eq!(hello["user_id"], subject);
        assert_eq!(hello["roles"], serde_json::json!(["viewer"]), "a scope is a role");
        assert_eq!(status(&house, &token).await, 200);
    }
    let old = provider.token(PERSON, RS256);
    let mut live = house.with_token(&old).await;
    live.welcomed().await;

    // A new key, and a token that is signed with it, at once: it waits for the key. Had the issuer been asked a moment
    // before, the client is told to come back, and not to stay away.
    provider.ask("rotate");
    let new = provider.token(PERSON, RS256);
    let started = Instant::now();
    loop {
        let mut socket = house.with_token(&new).await;
        let first = socket.hear().await.unwrap();
        if first["type"] == "system.connection" {
            break;
        }
        assert_eq!(first["payload"]["code"], "unavailable", "{first}");
        assert!(started.elapsed() < PATIENCE, "the new key is not taken");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(status(&house, &old).await, 200, "both are published");

    provider.ask("forget");
    until("the end of the old key", || async { status(&house, &old).await != 200 }).await;
    until("the old key is refused for good", || async { status(&house, &old).await == 401 }).await;
    assert_eq!(status(&house, &new).await, 200);
    live.ping().await;
    house.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_freezes_or_is_gone_takes_nobody_with_it() {
    let Some(mut provider) = Provider::start() else { return };
    let house = open(&provider.issuer).await;
    let known = provider.token(SERVICE, RS256);
    house.with_token(&known).await.welcomed().await;
    provider.ask("rotate");
    let unknown = provider.token(SERVICE, RS256);

    provider.signal("STOP");
    until_state(&house, "kept").await;
    assert_eq!(status(&house, &known).await, 200, "known keys go on");
    house.with_token(&known).await.welcomed().await;
    let started = Instant::now();
    let answer = house.ask("GET", "/api/v1/session", &unknown, "").await;
    // Between the stop and now the new key may have been read.
    assert!([503, 200].contains(&answer.status), "{}", answer.body);
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    let own = token("bob", "viewer", "t1");
    assert_eq!(status(&house, &own).await, 200, "other issuers have nothing to do with it");

    provider.signal("CONT");
    until_state(&house, "fresh").await;
    until("the new key", || async { status(&house, &unknown).await == 200 }).await;
    drop(provider);
    until_state(&house, "kept").await;
    house.with_token(&unknown).await.welcomed().await;
    let metrics = house.http("GET", "/metrics", &[], "").await;
    assert_eq!(metrics.status, 200);
    house.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_starts_while_its_issuer_is_away_and_says_so() {
    // Nobody listens there.
    let house = open("http://127.0.0.1:1").await;
    until_state(&house, "missing").await;
    let ready = house.http("GET", "/readyz", &[], "").await;
    assert_eq!((ready.status, &ready.body["status"]), (200, &Value::from("degraded")));
    let header = r#"{"alg":"RS256","typ":"at+jwt","kid":"k"}"#;
    let claims = r#"{"iss":"http://127.0.0.1:1","sub":"alice","aud":"anita","exp":4102444800}"#;
    let encode = |text: &str| {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
    };
    let token = format!("{}.{}.{}", encode(header), encode(claims), encode("a signature"));
    let started = Instant::now();
    let answer = house.ask("GET", "/api/v1/session", &token, "").await;
    assert_eq!((answer.status, &answer.body["code"]), (503, &Value::from("unavailable")));
    assert!(answer.head.to_ascii_lowercase().contains("retry-after: "), "{}", answer.head);
    assert_eq!(house.with_token(&token).await.refused().await, ("unavailable".to_owned(), 1013));
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    house.running.stop().await.unwrap();
}
