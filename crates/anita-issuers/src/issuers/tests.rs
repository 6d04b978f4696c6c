//! Issuers that behave and issuers that don't, on this machine.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::address::KeyAddress;

/// How long anything may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

const KEYS: [(&str, &str, &str); 2] = [
    ("first", include_str!("tests/first.pem"), include_str!("tests/first.jwk.json")),
    ("second", include_str!("tests/second.pem"), include_str!("tests/second.jwk.json")),
];

/// What a host answers.
#[derive(Clone)]
enum Answer {
    /// These bytes, and the end.
    Bytes(String),
    /// An answer that comes when there is a permit.
    When(Arc<Semaphore>, Box<Answer>),
    /// The beginning of an answer, and then nothing.
    Stuck,
    /// Bytes without an end.
    Endless,
    /// Nobody is there.
    Away,
}

struct Host {
    address: String,
    keys: Arc<Mutex<Answer>>,
    configuration: Arc<Mutex<Answer>>,
    asked: Arc<AtomicUsize>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Host {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn ok(body: &str) -> Answer {
    Answer::Bytes(format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    ))
}

fn jwks(names: &[&str]) -> Answer {
    let keys = KEYS.iter().filter(|(name, ..)| names.contains(name));
    let keys: Vec<Value> = keys
        .map(|(name, _pem, jwk)| {
            let mut jwk: Value = serde_json::from_str(jwk).unwrap();
            jwk["kid"] = (*name).into();
            jwk
        })
        .collect();
    ok(&json!({ "keys": keys }).to_string())
}

fn redirect(to: &str) -> Answer {
    Answer::Bytes(format!(
        "HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    ))
}

impl Host {
    async fn start(keys: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (keys, asked) = (Arc::new(Mutex::new(keys)), Arc::new(AtomicUsize::new(0)));
        let configuration = Arc::new(Mutex::new(Answer::Away));
        let here = (Arc::clone(&keys), Arc::clone(&configuration), Arc::clone(&asked));
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _peer) = listener.accept().await.unwrap();
                tokio::spawn(answer(stream, here.clone()));
            }
        });
        Self { address, keys, configuration, asked, serving }
    }

    fn publish(&self, answer: Answer) {
        *self.keys.lock() = answer;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

type Here = (Arc<Mutex<Answer>>, Arc<Mutex<Answer>>, Arc<AtomicUsize>);

async fn answer(mut stream: TcpStream, (keys, configuration, asked): Here) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await.unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let answer = if head.contains(".well-known") {
        configuration.lock().clone()
    } else {
        let answer = keys.lock().clone();
        asked.fetch_add(1, Ordering::SeqCst);
        answer
    };
    let answer = if let Answer::When(permits, answer) = answer {
        permits.acquire().await.unwrap().forget();
        *answer
    } else {
        answer
    };
    let begun = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    match answer {
        Answer::Bytes(bytes) => drop(stream.write_all(bytes.as_bytes()).await),
        Answer::Stuck => {
            drop(stream.write_all(begun.as_bytes()).await);
            std::future::pending::<()>().await;
        }
        Answer::Endless => {
            let chunk = format!("400\r\n{}\r\n", "x".repeat(0x400));
            let mut sent = stream.write_all(begun.as_bytes()).await;
            while sent.is_ok() {
                sent = stream.write_all(chunk.as_bytes()).await;
            }
        }
        Answer::Away | Answer::When(..) => {}
    }
}

fn token(kid: &str, signed_by: &str) -> String {
    issued(kid, signed_by, None)
}

fn issued(kid: &str, signed_by: &str, issued_at: Option<i64>) -> String {
    let (_name, pem, _jwk) = KEYS.iter().find(|(name, ..)| *name == signed_by).unwrap();
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) };
    let claims = json!({ "sub": "alice", "iss": "https://one", "aud": "anita", "exp": Timestamp::now().as_secs() + 60, "iat": issued_at });
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ec_pem(pem.as_bytes()).unwrap()).unwrap()
}

/// Issuers that are kept fresh until they are dropped.
struct Kept {
    issuers: Arc<Issuers>,
    stop: CancellationToken,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn keep(issuer: &str, address: KeyAddress, refresh: Duration, demand_interval: Duration) -> Kept {
    let settings = PublishedSettings { address, refresh, demand_interval, ca_file: None };
    let settings =
        IssuerSettings { rules: IssuerRules::new(issuer, "anita"), source: KeySource::Published(settings) };
    let issuers = Issuers::new(vec![settings], Roles::default(), Arc::default()).unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(Arc::clone(&issuers).keep_fresh(stop.clone()));
    Kept { issuers, stop }
}

const LONG: Duration = Duration::from_secs(3_600);
const SHORT: Duration = Duration::from_millis(50);

impl Kept {
    fn of(host: &Host, refresh: Duration, demand_interval: Duration) -> Self {
        let address = KeyAddress::jwks(&format!("{}/jwks", host.address)).unwrap();
        keep("https://one", address, refresh, demand_interval)
    }

    /// What a client hears that waits as long as it has to.
    async fn judge(&self, token: &str) -> Result<(), TokenError> {
        let judged = match self.issuers.judge(token, Timestamp::now()) {
            Judgement::Given(given) => given,
            Judgement::Awaited(keys) => match keys.await {
                Ok(()) => self.issuers.verify(token, Timestamp::now()),
                Err(error) => Err(error),
            },
        };
        judged.map(|_principal| ())
    }

    fn report(&self) -> IssuerReport {
        self.issuers.reports().remove(0)
    }

    async fn until(&self, what: &str, mut is_so: impl FnMut(&IssuerReport) -> bool) {
        let started = Instant::now();
        while !is_so(&self.report()) {
            assert!(started.elapsed() < PATIENCE, "not in time: {what}: {:?}", self.report());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

const UNAVAILABLE: Result<(), TokenError> = Err(TokenError::KeysUnavailable { retry_after: KEYS_WAIT_MAX });

#[tokio::test]
async fn a_token_of_a_key_that_was_just_published_waits_for_it_and_is_accepted() {
    let host = Host::start(jwks(&["first"])).await;
    let kept = Kept::of(&host, LONG, SHORT);
    assert_eq!(kept.judge(&token("first", "first")).await, Ok(()), "already at the start");
    host.publish(jwks(&["second"]));
    assert_eq!(kept.judge(&token("second", "second")).await, Ok(()), "at once, and not at the next refresh");
    assert_eq!(
        kept.judge(&token("first", "first")).await,
        Err(TokenError::UnknownKey),
        "it is not published any more"
    );
    assert_eq!(kept.judge(&token("second", "first")).await, Err(TokenError::Signature));
    assert_eq!(kept.report().state, KeysState::Fresh);
}

#[tokio::test]
async fn a_token_that_is_older_than_the_last_look_is_refused_without_another() {
    let host = Host::start(jwks(&["first"])).await;
    let kept = Kept::of(&host, LONG, SHORT);
    assert_eq!(kept.judge(&token("first", "first")).await, Ok(()));
    let asked = host.asked();
    let now = Timestamp::now().as_secs();
    for (issued_secs_ago, is_awaited) in [(60, false), (0, true)] {
        let token = issued("second", "second", Some(now - issued_secs_ago));
        let judged = kept.issuers.judge(&token, Timestamp::now());
        assert_eq!(matches!(judged, Judgement::Awaited(_)), is_awaited, "{issued_secs_ago}");
        if !is_awaited {
            assert!(matches!(judged, Judgement::Given(Err(TokenError::UnknownKey))));
            assert_eq!(host.asked(), asked);
        }
    }
}

#[tokio::test]
async fn however_many_tokens_want_a_key_the_issuer_is_asked_once_and_few_wait() {
    let host = Host::start(jwks(&["first"])).await;
    let kept = Kept::of(&host, LONG, Duration::from_secs(1));
    assert_eq!(kept.judge(&token("first", "first")).await, Ok(()));
    let before = host.asked();
    let flood = (0..TOKENS_WAITING_MAX + 200).map(|number| token(&format!("k{number}"), "first"));
    let mut waiting = Vec::new();
    let mut refused = 0;
    for token in flood {
        match kept.issuers.judge(&token, Timestamp::now()) {
            Judgement::Awaited(keys) => waiting.push((token, keys)),
            Judgement::Given(given) => {
                let retry_after = NO_PLACE_RETRY_AFTER;
                assert_eq!(given, Err(TokenError::KeysUnavailable { retry_after }));
                refused += 1;
            }
        }
    }
    assert_eq!((waiting.len(), refused), (TOKENS_WAITING_MAX, 200));
    for (token, keys) in waiting {
        assert_eq!(keys.await, Ok(()), "the issuer was asked");
        assert_eq!(kept.issuers.verify(&token, Timestamp::now()), Err(TokenError::UnknownKey));
    }
    assert_eq!(host.asked(), before + 1);
    assert!(
        matches!(kept.issuers.judge(&token("k", "first"), Timestamp::now()), Judgement::Awaited(_)),
        "there is room again"
    );
}

#[tokio::test]
async fn a_token_that_comes_while_the_issuer_is_being_asked_waits_for_that_answer() {
    let permits = Arc::new(Semaphore::new(0));
    let when = |names: &[&str]| Answer::When(Arc::clone(&permits), Box::new(jwks(names)));
    let host = Host::start(when(&["first"])).await;
    // Because of a token it is asked once an hour, by itself again and again.
    let kept = Kept::of(&host, SHORT, LONG);
    for (look, name) in [(1, "first"), (2, "second")] {
        kept.until("it is asked", |_report| host.asked() == look).await;
        // What it says the next time.
        host.publish(when(&["first", "second"]));
        let token = token(name, name);
        let Judgement::Awaited(keys) = kept.issuers.judge(&token, Timestamp::now()) else {
            panic!("{name}: nobody is told to come back later while the answer is on its way")
        };
        permits.add_permits(1);
        assert_eq!(keys.await, Ok(()), "{name}");
        assert!(kept.issuers.verify(&token, Timestamp::now()).is_ok(), "{name}");
    }
}

#[tokio::test]
async fn an_issuer_that_is_away_is_no_reason_to_refuse_for_good_and_its_known_keys_go_on() {
    let host = Host::start(Answer::Away).await;
    let kept = Kept::of(&host, SHORT, SHORT);
    assert_eq!(kept.judge(&token("first", "first")).await, UNAVAILABLE);
    assert_eq!(kept.report().state, KeysState::Missing);
    host.publish(jwks(&["first"]));
    kept.until("keys", |report| report.state == KeysState::Fresh).await;
    assert_eq!(kept.judge(&token("first", "first")).await, Ok(()));
    host.publish(Answer::Away);
    kept.until("an outage", |report| report.state == KeysState::Kept).await;
    assert_eq!(kept.judge(&token("first", "first")).await, Ok(()), "known keys go on");
    assert_eq!(kept.judge(&token("second", "second")).await, UNAVAILABLE, "others may be good");
}

#[tokio::test]
async fn what_an_issuer_answers_is_bounded_and_nothing_bad_takes_the_place_of_good_keys() {
    let host = Host::start(jwks(&["first"])).await;
    let elsewhere = Host::start(jwks(&["second"])).await;
    let kept = Kept::of(&host, SHORT, SHORT);
    assert_eq!(kept.judge(&token("first", "first")).await, Ok(()));
    let too_many = format!("{{\"keys\":[{}]}}", ["{}"; 65].join(","));
    let Answer::Bytes(good) = jwks(&["first"]) else { panic!() };
    let good = good.split_once("\r\n\r\n").unwrap().1;
    let answers = [
        ok(&format!("{good}{}", " ".repeat(crate::fetch::JWKS_BYTES_MAX))),
        Answer::Endless,
        Answer::Stuck,
        ok("not json"),
        ok("{\"keys\":[]}"),
        ok(&too_many),
        Answer::Bytes("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()),
        redirect(&format!("{}/jwks", elsewhere.address)),
    ];
    for answer in answers {
        host.publish(answer);
        kept.until("a failure", |report| report.state == KeysState::Kept).await;
        assert_eq!(kept.judge(&token("first", "first")).await, Ok(()));
        host.publish(jwks(&["first"]));
        kept.until("an end of it", |report| report.state == KeysState::Fresh).await;
    }
    assert_eq!(elsewhere.asked(), 0, "another host is not asked");
}

#[tokio::test]
async fn the_configuration_of_an_issuer_has_to_be_its_own() {
    let host = Host::start(jwks(&["first"])).await;
    let configuration =
        |issuer: &str, keys: &str| ok(&json!({ "issuer": issuer, "jwks_uri": keys }).to_string());
    let own_keys = format!("{}/jwks", host.address);
    *host.configuration.lock() = configuration("https://somebody.example", &own_keys);
    let kept = keep(&host.address, KeyAddress::discovery(&host.address).unwrap(), SHORT, SHORT);
    let failed = |kept: &Kept| {
        let labels = anita_metrics::FetchLabels { issuer: host.address.clone(), outcome: "failed" };
        kept.issuers.metrics.identity.issuer_fetches.get_or_create(&labels).get()
    };
    kept.until("a failure", |_report| failed(&kept) > 0).await;
    assert_eq!(
        (kept.report().state, host.asked()),
        (KeysState::Missing, 0),
        "its keys are not even asked for"
    );
    *host.configuration.lock() = configuration(&host.address, "http://id.example/jwks");
    let before = failed(&kept);
    kept.until("another failure", |_report| failed(&kept) > before).await;
    *host.configuration.lock() = configuration(&host.address, &own_keys);
    kept.until("keys", |report| report.state == KeysState::Fresh && report.keys == 1).await;
}

#[tokio::test]
async fn changed_files_are_taken_and_bad_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "0123456789abcdef0123456789abcdef").unwrap();
    let files = KeyFiles::SecretFile { file: file.clone(), previous: Vec::new() };
    let keys = files.read().unwrap();
    let rules = IssuerRules::new("anita", "anita");
    let settings = IssuerSettings { rules, source: KeySource::Given(files, keys) };
    let issuers = Issuers::new(vec![settings], Roles::default(), Arc::default()).unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(Arc::clone(&issuers).keep_fresh(stop.clone()));
    let kept = Kept { issuers, stop };
    let token = |secret: &str| {
        let claims = json!({ "sub": "alice", "iss": "anita", "aud": "anita", "exp": Timestamp::now().as_secs() + 600 });
        jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes()))
            .unwrap()
    };
    let (old, new) =
        (token("0123456789abcdef0123456789abcdef"), token("another secret of more than enough bytes"));
    assert_eq!(kept.judge(&old).await, Ok(()));
    let faults = |kept: &Kept| {
        let labels = IssuerLabels { issuer: "anita".to_owned() };
        kept.issuers.metrics.identity.key_file_faults.get_or_create(&labels).get()
    };
    // In one step, so that nobody reads the half of it.
    let put = |text: &str| {
        let written = file.with_extension("new");
        std::fs::write(&written, text).unwrap();
        std::fs::rename(&written, &file).unwrap();
    };
    put("short");
    kept.until("the bad file is seen", |_report| faults(&kept) == 1).await;
    assert_eq!(kept.judge(&old).await, Ok(()), "the old one stays in force");
    put("another secret of more than enough bytes");
    kept.until("the new secret", |_report| kept.issuers.verify(&new, Timestamp::now()).is_ok()).await;
    assert_eq!(kept.judge(&old).await, Err(TokenError::Signature));
}
