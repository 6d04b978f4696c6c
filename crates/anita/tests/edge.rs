//! The edge of a real server in this process: TLS, REST, sessions of pages, and message types of an application.

#![allow(
    clippy::format_push_string,
    clippy::unused_self,
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the code of a test"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use anita::config::{Config, Written};
use anita::{App, Permission, Running};
use anita_auth::{Grant, Minter};
use anita_client::{Client, Options, Token, Trust};
use anita_model::Timestamp;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest};

const PLAIN_LISTENER: &str = "[server]\nlisten = \"127.0.0.1:0\"\nplaintext = \"loopback\"\n";

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A server in a folder of its own.
struct House {
    folder: tempfile::TempDir,
    running: Running,
}

impl House {
    async fn open(configuration: &str) -> Self {
        Self::with(configuration, |_app| {}).await
    }

    async fn with(configuration: &str, change: impl FnOnce(&mut App)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut app = App::new(configured(folder.path(), configuration));
        change(&mut app);
        let running = app.start().await.unwrap();
        Self { folder, running }
    }

    fn token(&self, role: &str) -> String {
        let minter = Minter::hs256(SECRET.as_bytes(), "anita", "anita").unwrap();
        let roles = [role.to_owned()];
        let grant = Grant { subject: "alice", roles: &roles, ..Grant::default() };
        minter.mint(&grant, Timestamp::now(), Duration::from_secs(600)).unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.running.address())
    }

    /// An HTTP request, its status, head and body.
    async fn http(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.running.address()).await.unwrap();
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.running.address());
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("content-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_owned(), body.to_owned())
    }
}

fn configured(folder: &Path, configuration: &str) -> Config {
    std::fs::write(folder.join("jwt.secret"), SECRET).unwrap();
    let text =
        format!("{configuration}\n[auth]\nsecret_file = \"jwt.secret\"\n[drain]\nspread_secs = 0.01\n");
    Config::from_written(&Written::parse(&folder.join("anita.toml"), &text, std::iter::empty()).unwrap())
        .unwrap()
}

const PLAIN: &str =
    "[server]\nlisten = \"127.0.0.1:0\"\nplaintext = \"loopback\"\n[storage]\nurl = \"memory\"";

/// How long anything may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until it is so.
async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < PATIENCE, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn write_certificate(folder: &Path) -> String {
    let made =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    anita_server::fingerprint_of(made.cert.der())
}

async fn connect_tls(
    running: &Running,
    fingerprint: &str,
    token: &str,
) -> Result<anita_client::Connection, String> {
    let mut options = Options::new(format!("wss://{}/ws/uwb", running.address()));
    options.token = Some(Token::new(token));
    options.trust = Trust::Fingerprint(fingerprint.to_owned());
    Client::connect(options).await.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_changes_is_taken_without_a_restart_and_connections_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let first = write_certificate(folder.path());
    let configuration = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[storage]\nurl = \"memory\"\n[server.tls]\ncert_file = {:?}\nkey_file = {:?}",
        folder.path().join("cert.pem"),
        folder.path().join("key.pem")
    );
    let house = House::open(&configuration).await;
    let token = house.token("viewer");
    let mut connection = connect_tls(&house.running, &first, &token).await.unwrap();

    std::fs::write(folder.path().join("cert.pem"), "half a file").unwrap();
    let second = write_certificate(folder.path());
    assert_ne!(first, second);
    until("the new certificate", || async { connect_tls(&house.running, &second, &token).await.is_ok() })
        .await;
    assert!(connect_tls(&house.running, &first, &token).await.is_err(), "the old one is gone");

    let pong = connection.request("ping", &json!({}), PATIENCE).await.unwrap();
    assert_eq!(pong.kind, "system.pong");
    house.running.stop().await.unwrap();
}

#[tokio::test]
async fn plain_text_is_told_to_speak_tls() {
    let house = House::open(
        "[server]\nlisten = \"127.0.0.1:0\"\n[server.tls]\nself_signed = true\n[storage]\nurl = \"memory\"",
    )
    .await;
    let (status, _head, body) = house.http("GET", "/healthz", &[], "").await;
    assert_eq!((status, body.as_str()), (400, "This port speaks TLS: use https:// and wss://.\n"));
}

#[tokio::test]
async fn a_server_that_nobody_could_reach_does_not_start_and_names_the_ways_out() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[server]\nlisten = \"0.0.0.0:0\"\nplaintext = \"loopback\"\n[storage]\nurl = \"memory\"";
    let error = App::new(configured(folder.path(), text)).start().await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    for way in ["cert_file", "self_signed = true", "listen on loopback", "trusted_proxy"] {
        assert!(cause.contains(way), "{way}: {cause}");
    }
}

#[tokio::test]
async fn locations_come_in_by_rest_in_each_form() {
    let house = House::open(PLAIN).await;
    let publisher = format!("Bearer {}", house.token("publisher"));
    let viewer = format!("Bearer {}", house.token("viewer"));
    let item = |id: &str| json!({ "device_id": id, "location": { "x": 1, "y": 2, "z": 3 } }).to_string();
    let bodies = [
        ("application/json", item("a"), 1),
        ("application/json", format!("[{},{}]", item("b"), item("c")), 2),
        ("application/json", format!("{{\"locations\":[{}]}}", item("d")), 1),
        ("application/x-ndjson", format!("{}\n\n{}\nnonsense\n", item("e"), item("f")), 2),
    ];
    for (content_type, body, accepted) in bodies {
        let headers = [("authorization", publisher.as_str()), ("content-type", content_type)];
        let (status, _head, answer) = house.http("POST", "/api/v1/locations", &headers, &body).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!((status, &answer["accepted"]), (200, &json!(accepted)), "{body}");
    }
    let read = [("authorization", viewer.as_str())];
    let (_, _, list) = house.http("GET", "/api/v1/devices?limit=2&status=connected,stale", &read, "").await;
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!((&list["total"], &list["next"]), (&json!(6), &json!("b")));
    let (status, _, history) = house.http("GET", "/api/v1/history/a?limit=5", &read, "").await;
    assert_eq!((status, history.matches("timestamp").count()), (200, 1));

    let refusals = [
        ("POST", "/api/v1/locations", vec![], item("a"), 401, "unauthenticated"),
        ("POST", "/api/v1/locations", vec![("authorization", viewer.as_str())], item("a"), 403, "forbidden"),
        (
            "POST",
            "/api/v1/locations",
            vec![("authorization", publisher.as_str())],
            "{".to_owned(),
            400,
            "invalid_json",
        ),
        (
            "POST",
            "/api/v1/locations",
            vec![("authorization", publisher.as_str())],
            "{\"a\":1,\"a\":1}".to_owned(),
            400,
            "invalid_json",
        ),
        ("GET", "/api/v1/devices?limit=many", read.to_vec(), String::new(), 400, "invalid_payload"),
        ("GET", "/api/v1/devices/nobody", read.to_vec(), String::new(), 404, "not_found"),
        ("GET", "/api/v1/connections", read.to_vec(), String::new(), 403, "forbidden"),
        ("GET", "/api/v1/session", vec![("authorization", "Bearer x")], String::new(), 401, "invalid_token"),
    ];
    for (method, path, headers, body, status, code) in refusals {
        let (found, head, answer) = house.http(method, path, &headers, &body).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!((found, &answer["code"]), (status, &json!(code)), "{method} {path} {body}");
        assert!(head.contains("application/problem+json"), "{head}");
    }
    let big = "x".repeat(1_048_577);
    let (status, ..) = house.http("POST", "/api/v1/locations", &[("authorization", &publisher)], &big).await;
    assert_eq!(status, 413);
    let (_, head, _) = house.http("POST", "/api/v1/locations", &[("authorization", &publisher)], &big).await;
    assert!(head.contains("application/problem+json"), "{head}");
}

#[tokio::test]
async fn rest_requests_are_counted_by_subject() {
    // So few that they are too many however slowly they come.
    let house = House::open(&format!("{PLAIN}\n[limits]\nviewer_requests_per_second = 2")).await;
    let viewer = format!("Bearer {}", house.token("viewer"));
    let headers = [("authorization", viewer.as_str())];
    let mut refused = None;
    for _request in 0..200 {
        let (status, head, body) = house.http("GET", "/api/v1/devices", &headers, "").await;
        if status == 429 {
            refused = Some((head, body));
            break;
        }
    }
    let (head, body) = refused.expect("a viewer may ask twice a second");
    assert!(head.contains("retry-after: 1"), "{head}");
    assert!(body.contains("rate_limited"), "{body}");
}

#[tokio::test]
async fn behind_a_proxy_only_what_the_proxy_says_is_near() {
    let proxied = "[server]\nlisten = \"127.0.0.1:0\"\nplaintext = \"trusted_proxy\"\ntrusted_proxies = [\"127.0.0.1\"]\n[storage]\nurl = \"memory\"";
    let house = House::open(proxied).await;
    let table: [(&[(&str, &str)], u16); 6] = [
        (&[], 401),
        (&[("x-forwarded-for", "203.0.113.7")], 401),
        (&[("x-forwarded-for", "203.0.113.7:1234")], 401),
        (&[("x-forwarded-for", "unknown")], 401),
        (&[("x-forwarded-for", "127.0.0.1, 203.0.113.7")], 401),
        (&[("x-forwarded-for", "203.0.113.7, [::1]:99")], 200),
    ];
    for (headers, status) in table {
        assert_eq!(house.http("GET", "/metrics", headers, "").await.0, status, "{headers:?}");
    }
    let bearer = format!("Bearer {}", house.token("viewer"));
    let origin = format!("https://{}", house.running.address());
    let headers = [("authorization", bearer.as_str()), ("origin", origin.as_str())];
    let (status, head, _body) = house.http("POST", "/api/v1/session", &headers, "").await;
    assert!(status == 200 && head.contains("; Secure"), "{head}");
}

#[tokio::test]
async fn only_the_path_says_which_device_and_unknown_paths_are_problems() {
    let house = House::open(PLAIN).await;
    let viewer = format!("Bearer {}", house.token("viewer"));
    let headers = [("authorization", viewer.as_str())];
    let (status, _head, body) = house.http("GET", "/api/v1/history/a", &headers, "").await;
    assert!(status == 404 && body.contains("\\\"a\\\""), "{body}");
    // What the path says can't be said otherwise.
    let (status, _head, body) = house.http("GET", "/api/v1/history/a?device_id=b", &headers, "").await;
    assert!(status == 400 && body.contains("device_id"), "{body}");
    let (status, head, _body) = house.http("GET", "/api/v1/nothing", &headers, "").await;
    assert!(status == 404 && head.contains("problem+json"), "{head}");
    assert_eq!(house.http("POST", "/nothing", &headers, "").await.0, 405);
}

type Page = tokio_tungstenite::WebSocketStream<TcpStream>;

/// A page's socket, with its cookie and origin.
async fn page(house: &House, cookie: &str, origin: &str) -> Result<Page, tungstenite::Error> {
    let mut request = house.url("/ws/uwb").into_client_request().unwrap();
    request.headers_mut().insert("cookie", cookie.parse().unwrap());
    request.headers_mut().insert("origin", origin.parse().unwrap());
    let stream = TcpStream::connect(house.running.address()).await.unwrap();
    tokio_tungstenite::client_async(request, stream).await.map(|(page, _response)| page)
}

async fn next_json(page: &mut Page) -> Value {
    loop {
        match page.next().await.unwrap().unwrap() {
            tungstenite::Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            tungstenite::Message::Close(close) => return json!({ "close": u16::from(close.unwrap().code) }),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_page_signs_in_with_a_cookie_that_only_its_own_origin_can_use_and_signs_out() {
    let house = House::open(PLAIN).await;
    let own = format!("http://{}", house.running.address());
    let bearer = format!("Bearer {}", house.token("viewer"));
    let foreign = [("authorization", bearer.as_str()), ("origin", "http://evil.example")];
    assert_eq!(house.http("POST", "/api/v1/session", &foreign, "").await.0, 403);

    let headers = [("authorization", bearer.as_str()), ("origin", own.as_str())];
    let (status, head, _body) = house.http("POST", "/api/v1/session", &headers, "").await;
    assert_eq!(status, 200);
    let set_cookie = head.lines().find(|line| line.starts_with("set-cookie: ")).unwrap();
    assert!(set_cookie.contains("HttpOnly") && set_cookie.contains("SameSite=Strict"), "{set_cookie}");
    let cookie = set_cookie.trim_start_matches("set-cookie: ").split(';').next().unwrap().to_owned();

    let mut socket = page(&house, &cookie, &own).await.unwrap();
    assert_eq!(next_json(&mut socket).await["type"], "system.connection");
    match page(&house, &cookie, "http://evil.example").await {
        Err(tungstenite::Error::Http(response)) => assert_eq!(response.status(), 403),
        other => panic!("a foreign page got {other:?}"),
    }
    let without_origin = [("cookie", cookie.as_str())];
    assert_eq!(house.http("DELETE", "/api/v1/session", &without_origin, "").await.0, 403);
    let out = [("cookie", cookie.as_str()), ("origin", own.as_str())];
    assert_eq!(house.http("DELETE", "/api/v1/session", &out, "").await.0, 204);
    assert_eq!(
        next_json(&mut socket).await,
        json!({ "close": 4509 }),
        "the sockets of a session end with it"
    );
    let mut socket = page(&house, &cookie, &own).await.unwrap();
    assert_eq!(
        next_json(&mut socket).await["type"],
        "system.auth_required",
        "the cookie is worth nothing now"
    );
}

#[tokio::test]
async fn an_application_has_message_types_of_its_own() {
    let house = House::with(PLAIN, |app| {
        app.on("domain.whoami", None, "domain.you", |caller, _payload: Value| async move {
            Ok(json!({ "user": caller.principal.subject() }))
        })
        .unwrap();
        app.on("domain.secret", Some(Permission::DevicesWrite), "domain.told", |_caller, (): ()| async {
            Ok(())
        })
        .unwrap();
        let refused = app.on("ping", None, "domain.pong", |_caller, _payload: Value| async { Ok(()) });
        assert!(refused.unwrap_err().to_string().contains("domain."));
    })
    .await;
    let mut options = Options::new(house.url("/ws"));
    options.token = Some(Token::new(house.token("viewer")));
    let mut connection = Client::connect(options).await.unwrap();
    let answer = connection.request("domain.whoami", &json!({}), PATIENCE).await.unwrap();
    assert_eq!(answer.kind, "domain.you");
    assert_eq!(serde_json::to_value(&answer.payload).unwrap(), json!({ "user": "alice" }));
    let refused = connection.request("domain.secret", &json!({}), PATIENCE).await.unwrap_err();
    assert!(refused.to_string().contains("forbidden"), "{refused}");
}

#[tokio::test]
async fn a_path_that_is_no_endpoint_is_told_so_over_the_socket() {
    let house = House::open(PLAIN).await;
    let stream = TcpStream::connect(house.running.address()).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(house.url("/ws/nothing"), stream).await.unwrap();
    assert_eq!(next_json(&mut socket).await["payload"]["code"], "not_found");
    assert_eq!(next_json(&mut socket).await, json!({ "close": 4504 }));
}

#[tokio::test]
async fn a_store_that_cannot_be_there_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    for (file, said) in
        [("nowhere/anita.db", "is not there; make it first"), (".", "it is a folder; name a file in it")]
    {
        let text = format!("{PLAIN_LISTENER}[storage]\nurl = \"sqlite:{file}\"");
        let refused = App::new(configured(folder.path(), &text)).start().await.unwrap_err();
        let told = anita_sources::chain(&refused);
        assert!(told.contains(said), "{told}");
    }
}

#[tokio::test]
async fn the_registry_is_remembered_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[server]\nlisten = \"127.0.0.1:0\"\nplaintext = \"loopback\"\n[storage]\nurl = \"sqlite:anita.db\"\n\
                [devices]\nstale_after_secs = 300\ndisconnected_after_secs = 600";
    for round in 0..2 {
        let running = App::new(configured(folder.path(), text)).start().await.unwrap();
        let house = House { folder: tempfile::tempdir().unwrap(), running };
        let mut options = Options::new(house.url("/ws"));
        options.token = Some(Token::new(house.token("operator")));
        let mut connection = Client::connect(options).await.unwrap();
        if round == 0 {
            let payload = json!({ "device_id": "cart-7", "name": "Red cart", "initial_location": { "x": 1, "y": 2, "z": 0 } });
            connection.request("register_device", &payload, PATIENCE).await.unwrap();
        } else {
            // Its silence is a moment old, so it is connected still.
            let list = connection.request("get_active_devices", &json!({}), PATIENCE).await.unwrap();
            let list = serde_json::to_value(&list.payload).unwrap();
            assert_eq!(list["devices"][0]["name"], "Red cart");
            assert!(list["devices"][0]["last_seen"].is_string(), "{list}");
        }
        drop(connection);
        house.running.stop().await.unwrap();
        drop(house.folder);
    }
}
