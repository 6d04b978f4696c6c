//! Certificates of clients: who they stand for, until when, and for whom they do not count.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::house::{Answer, Client, HERE, House, PATIENCE, ask, folder, token_of, upgrade};

/// A certificate with its key, DER.
pub(crate) struct Held {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
    serial: rcgen::SerialNumber,
}

fn now() -> std::time::SystemTime {
    let since = u64::try_from(anita_model::Timestamp::now().as_micros()).unwrap();
    std::time::UNIX_EPOCH + Duration::from_micros(since)
}

/// What is sent with a request.
type Headers<'a> = &'a [(&'a str, &'a str)];

/// Signs certificates.
struct Authority(Issuer<'static, KeyPair>, String);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    fn sign(&self, name: &str, serial: u64, valid: Duration) -> Held {
        let mut params = CertificateParams::new(vec![format!("{name}.hall.example")]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let serial = rcgen::SerialNumber::from(serial);
        params.serial_number = Some(serial.clone());
        let now = now();
        params.not_before = (now - Duration::from_secs(3_600)).into();
        params.not_after = (now + valid).into();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().der().clone();
        Held { certificate, key: key.serialize_der(), serial }
    }

    fn revoke(&self, serials: &[&rcgen::SerialNumber]) -> String {
        let now = now();
        let revoked = serials.iter().map(|&serial| rcgen::RevokedCertParams {
            serial_number: serial.clone(),
            revocation_time: now.into(),
            reason_code: None,
            invalidity_date: None,
        });
        let list = rcgen::CertificateRevocationListParams {
            this_update: now.into(),
            next_update: (now + Duration::from_secs(3_600)).into(),
            crl_number: rcgen::SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        list.signed_by(&self.0).unwrap().pem().unwrap()
    }
}

/// A certificate that signed itself, as one of an authority does: what `openssl req -x509` makes.
fn authority_shown(name: &str) -> Held {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let serial = rcgen::SerialNumber::from(9);
    params.serial_number = Some(serial.clone());
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    Held { certificate, key: key.serialize_der(), serial }
}

const HOUR: Duration = Duration::from_secs(3_600);

/// TLS with a server whose certificate this is.
pub(crate) async fn secured(
    stream: TcpStream,
    server: &[u8],
    held: Option<&Held>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(server.to_vec())).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let config = match held {
        Some(held) => {
            let key = PrivateKeyDer::try_from(held.key.clone()).unwrap();
            builder.with_client_auth_cert(vec![held.certificate.clone()], key).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

/// A server with an authority.
struct Hall {
    house: House,
    authority: Authority,
    server: Vec<u8>,
}

impl Hall {
    async fn open(policy: &str, more: &str) -> Self {
        let folder = folder();
        let authority = Authority::new("the hall's authority");
        std::fs::write(folder.path().join("ca.pem"), &authority.1).unwrap();
        let crl = authority.revoke(&[]);
        std::fs::write(folder.path().join("crl.pem"), crl).unwrap();
        let sections = format!(
            "[[auth.certificates]]\nsubject = \"gateway-*\"\nroles = [\"publisher\"]\n\
             [[auth.certificates]]\nfield = \"dns\"\nsubject = \"board-*.hall.example\"\nroles = [\"viewer\"]\n\
             devices = [\"forklift-*\"]\nrooms = [\"uwb\"]\n\
             [server.tls]\nself_signed = true\nclient_certificates = \"{policy}\"\nclient_ca_file = \"ca.pem\"\n{more}"
        );
        let house = House::open_in(folder, "", &sections).await;
        let server = house.running.certificates().unwrap().certificate_der();
        Self { house, authority, server }
    }

    /// A new file in place of the old one, in one step: nobody reads the half of it.
    fn put(&self, name: &str, text: &str) {
        let folder = self.house.folder.path();
        let written = folder.join(format!("{name}.new"));
        std::fs::write(&written, text).unwrap();
        std::fs::rename(&written, folder.join(name)).unwrap();
    }

    async fn wire(&self, held: Option<&Held>) -> std::io::Result<TlsStream<TcpStream>> {
        secured(self.house.tcp_from(HERE).await, &self.server, held).await
    }

    /// Asks who it is; `None` when there was no connection.
    async fn who(&self, held: Option<&Held>, headers: &[(&str, &str)]) -> Option<Answer> {
        ask(self.wire(held).await.ok()?, "GET", "/api/v1/session", headers).await
    }

    /// Waits until the entries of the audit trail, the newest first, are so.
    async fn until_trail(&self, held: Option<&Held>, is_so: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let bearer = format!("Bearer {}", token_of("root", "admin"));
        let started = std::time::Instant::now();
        loop {
            let wire = self.wire(held).await.unwrap();
            let headers = [("authorization", bearer.as_str())];
            let answer = ask(wire, "GET", "/api/v1/audit?limit=1000", &headers).await.unwrap();
            let page: Value = serde_json::from_str(&answer.body).unwrap();
            let entries = page["entries"].as_array().unwrap();
            if is_so(entries) {
                return entries.clone();
            }
            assert!(started.elapsed() < PATIENCE, "not in time: {entries:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn socket(&self, held: Option<&Held>, headers: &[(&str, &str)]) -> Client {
        let stream = self.wire(held).await.unwrap();
        upgrade(stream, self.house.address(), "/ws", headers).await.unwrap()
    }
}

fn subject(answer: &Answer) -> (u16, Value) {
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    (answer.status, body["user_id"].clone())
}

#[tokio::test]
async fn a_certificate_stands_for_whom_the_rules_say() {
    let hall = Hall::open("optional", "").await;
    let signed = |name: &str| hall.authority.sign(name, 7, HOUR);
    let table = [
        ("gateway-7", 200, json!("gateway-7"), json!(["publisher"])),
        ("board-2", 200, json!("board-2.hall.example"), json!(["viewer"])),
        ("somebody", 401, Value::Null, Value::Null),
    ];
    for (name, status, user, roles) in table {
        let answer = hall.who(Some(&signed(name)), &[]).await.unwrap();
        assert_eq!(subject(&answer), (status, user.clone()), "{name}");
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(body["roles"], roles, "{name}");
    }
    let mut socket = hall.socket(Some(&signed("board-2")), &[]).await;
    let hello = socket.next().await;
    assert_eq!(
        (&hello["type"], &hello["payload"]["user_id"]),
        (&json!("system.connection"), &json!("board-2.hall.example"))
    );
    socket
        .say(&json!({ "type": "get_device_location", "payload": { "device_id": "cart-1" }, "id": 1 }))
        .await;
    assert_eq!(socket.next().await["payload"]["code"], "not_found");
    assert_eq!(hall.who(None, &[]).await.unwrap().status, 401, "nobody has to show one");
    let mut asked = hall.socket(Some(&signed("somebody")), &[]).await;
    assert_eq!(asked.next().await["type"], "system.auth_required");
}

#[tokio::test]
async fn a_token_goes_over_a_certificate_and_pages_do_not_use_it_for_others() {
    let hall = Hall::open("optional", "").await;
    let held = hall.authority.sign("gateway-7", 7, HOUR);
    let bearer = format!("Bearer {}", token_of("alice", "viewer"));
    let own = "https://anita.test";
    let table: [(Headers<'_>, (u16, Value)); 8] = [
        (&[("authorization", &bearer)], (200, json!("alice"))),
        (&[("authorization", "Bearer nonsense")], (401, Value::Null)),
        (&[("cookie", "anita_session=x")], (401, Value::Null)),
        (&[("cookie", "another=x")], (200, json!("gateway-7"))),
        (&[("origin", own)], (200, json!("gateway-7"))),
        (&[("origin", "https://evil.example")], (401, Value::Null)),
        (&[("sec-fetch-site", "cross-site")], (401, Value::Null)),
        (&[("sec-fetch-site", "none")], (200, json!("gateway-7"))),
    ];
    for (headers, expected) in table {
        let answer = hall.who(Some(&held), headers).await.unwrap();
        assert_eq!(subject(&answer), expected, "{headers:?}");
    }
    let mut without_origin = hall.socket(Some(&held), &[("cookie", "anita_session=x")]).await;
    assert_eq!(without_origin.next().await["type"], "system.auth_required");
    let mut socket = hall.socket(Some(&held), &[("authorization", &bearer)]).await;
    assert_eq!(socket.next().await["payload"]["user_id"], "alice");
    let mut socket = hall
        .socket(Some(&held), &[("cookie", "anita_session=x"), ("origin", own), ("host", "anita.test")])
        .await;
    assert_eq!(socket.next().await["type"], "system.auth_required");
}

#[tokio::test]
async fn whoever_has_to_show_a_certificate_does_not_come_in_without_a_good_one() {
    let hall = Hall::open("required", "client_crl_file = \"crl.pem\"").await;
    let good = hall.authority.sign("gateway-7", 7, HOUR);
    assert_eq!(hall.who(Some(&good), &[]).await.unwrap().status, 200);
    assert!(hall.who(None, &[]).await.is_none());
    let foreign = Authority::new("the hall's authority").sign("gateway-7", 7, HOUR);
    assert!(hall.who(Some(&foreign), &[]).await.is_none(), "another authority of the same name");
    let own = authority_shown("gateway-7");
    assert!(hall.who(Some(&own), &[]).await.is_none(), "an authority's own");
    assert!(hall.house.running.manager().connection_count() == 0);
    // Whoever is refused may see the end before it is written down and counted.
    let trail = hall
        .until_trail(Some(&good), |trail| trail.iter().filter(|it| it["outcome"] == "refused").count() >= 3)
        .await;
    let trail = Value::from(trail).to_string();
    for words in ["none was shown", "client_ca_file", "CA:FALSE and extendedKeyUsage = clientAuth"] {
        assert_eq!(trail.matches(words).count(), 1, "{words}: {trail}");
    }
    let counted = || {
        let page = hall.house.running.metrics().page();
        page.lines().find(|line| line.contains("reason=\"client_certificate\"")).unwrap().to_owned()
    };
    let started = std::time::Instant::now();
    while !counted().ends_with(" 3") {
        assert!(started.elapsed() < PATIENCE, "{}", counted());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // Revoked by the authority: read within seconds, and without a restart.
    let other = hall.authority.sign("gateway-8", 8, HOUR);
    let mut socket = hall.socket(Some(&good), &[]).await;
    socket.ping().await;
    hall.put("crl.pem", &hall.authority.revoke(&[&good.serial]));
    gone(&hall, &good).await;
    assert_eq!(hall.who(Some(&other), &[]).await.unwrap().status, 200);
    socket.ping().await;
}

/// Waits until nobody comes in with it.
async fn gone(hall: &Hall, held: &Held) {
    let started = std::time::Instant::now();
    while hall.who(Some(held), &[]).await.is_some_and(|answer| answer.status == 200) {
        assert!(started.elapsed() < PATIENCE, "it is still accepted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

const RELOAD: &str = "reload certificates";

/// What came of each look at files that had changed.
fn reloads(trail: &[Value]) -> Vec<&str> {
    let reloads = trail.iter().filter(|entry| entry["action"] == RELOAD);
    reloads.map(|entry| entry["outcome"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_authority_that_changes_is_taken_without_a_restart_and_a_bad_file_changes_nothing() {
    let hall = Hall::open("optional", "").await;
    let held = hall.authority.sign("gateway-7", 7, HOUR);
    let mut socket = hall.socket(Some(&held), &[]).await;
    hall.put("ca.pem", "no certificate");
    // It was looked at: what was in force stays so.
    hall.until_trail(None, |trail| reloads(trail) == ["refused"]).await;
    assert_eq!(hall.who(Some(&held), &[]).await.unwrap().status, 200);
    let next = Authority::new("the next authority");
    hall.put("ca.pem", &next.1);
    gone(&hall, &held).await;
    assert_eq!(hall.who(Some(&next.sign("gateway-7", 7, HOUR)), &[]).await.unwrap().status, 200);
    socket.ping().await;
    // Both are in the audit trail, the newest first.
    let mut entries = hall.until_trail(None, |trail| reloads(trail).len() >= 2).await;
    assert_eq!(reloads(&entries), ["done", "refused"], "{entries:?}");
    entries.retain(|entry| entry["action"] == RELOAD);
    assert!(entries[1]["object"].as_str().unwrap().contains("ca.pem"), "{entries:?}");
}

#[tokio::test]
async fn a_socket_ends_with_its_certificate() {
    let hall = Hall::open("optional", "").await;
    let held = hall.authority.sign("gateway-7", 7, Duration::from_secs(10));
    let mut socket = hall.socket(Some(&held), &[]).await;
    let heard = socket.until_end().await;
    assert_eq!(heard.last().unwrap()["close"], 4401, "{heard:?}");
    assert!(hall.who(Some(&held), &[]).await.is_none(), "it is not accepted any more");
}

#[tokio::test]
async fn a_logout_of_its_subject_ends_its_sockets() {
    let hall = Hall::open("optional", "").await;
    let held = hall.authority.sign("gateway-7", 7, HOUR);
    let mut socket = hall.socket(Some(&held), &[]).await;
    assert_eq!(socket.next().await["payload"]["user_id"], "gateway-7");
    let bearer = format!("Bearer {}", token_of("root", "admin"));
    let body = json!({ "subject": "gateway-7", "issuer": "certificate" }).to_string();
    let length = body.len().to_string();
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("content-length", &length),
    ];
    let mut wire = hall.wire(None).await.unwrap();
    let request = crate::house::request_text("POST", "/api/v1/revocations", &headers) + &body;
    tokio::io::AsyncWriteExt::write_all(&mut wire, request.as_bytes()).await.unwrap();
    assert_eq!(socket.until_end().await.last().unwrap()["close"], 4509);
    assert_eq!(hall.who(Some(&held), &[]).await.unwrap().status, 401);
    let mut again = hall.socket(Some(&held), &[]).await;
    assert_eq!(again.until_end().await.last().unwrap()["close"], 4509);
}

#[tokio::test]
async fn an_authority_that_is_none_is_refused_at_the_start() {
    let folder = folder();
    let path: &Path = folder.path();
    std::fs::write(path.join("ca.pem"), "nothing").unwrap();
    let text = crate::house::text(
        "",
        "[server.tls]\nself_signed = true\nclient_certificates = \"optional\"\nclient_ca_file = \"ca.pem\"",
    );
    let refused = anita::App::new(crate::house::configured(path, &text).unwrap()).start().await.unwrap_err();
    let told = anita_sources::chain(&refused);
    assert!(told.contains("ca.pem holds no certificate in PEM"), "{told}");
}
