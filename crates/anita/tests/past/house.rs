//! A server with a history, and plain HTTP.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use anita::config::{Config, Written};
use anita::{App, Running};
use anita_auth::{Grant, Minter};
use anita_model::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A store in memory that holds all that these tests report.
pub(crate) const MEMORY: &str = "url = \"memory\"\nhistory_per_device_max = 300000\nhistory_max = 1000000";

/// The embedded store.
pub(crate) const SQLITE: &str = "url = \"sqlite:anita.db\"";

/// The text of a configuration; its secret is beside it.
pub(crate) fn configuration(folder: &Path, storage: &str) -> String {
    std::fs::write(folder.join("jwt.secret"), SECRET).unwrap();
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nplaintext = \"loopback\"\n[storage]\n{storage}\n\
         [auth]\nsecret_file = \"jwt.secret\"\n[drain]\nspread_secs = 0.01\n\
         [[site.zones]]\nname = \"dock\"\npolygon = [[0, 0], [10, 0], [10, 10], [0, 10]]\n"
    )
}

pub(crate) struct House {
    _folder: Option<tempfile::TempDir>,
    pub(crate) running: Running,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn inflated(&self) -> String {
        let mut text = String::new();
        flate2::read::GzDecoder::new(&self.body[..]).read_to_string(&mut text).unwrap();
        text
    }
}

/// How long anything may take that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A token of a role that sees devices that match a pattern.
pub(crate) fn token_for(role: &str, devices: &str) -> String {
    let minter = Minter::hs256(SECRET.as_bytes(), "anita", "anita").unwrap();
    let devices = (devices != "*").then(|| vec![devices.to_owned()]);
    // Requests are counted by subject.
    let subject = format!("{role} of {}", devices.as_ref().map_or("all", |it| &it[0]));
    minter
        .mint(
            &Grant {
                subject: &subject,
                roles: &[role.to_owned()],
                devices: devices.as_deref(),
                ..Grant::default()
            },
            Timestamp::now(),
            Duration::from_secs(600),
        )
        .unwrap()
}

pub(crate) fn token(role: &str) -> String {
    token_for(role, "*")
}

/// The moment some seconds after the first of March, as the wire writes it.
pub(crate) fn at(secs: f64) -> String {
    let start = Timestamp::parse("2026-03-01T12:00:00Z").unwrap();
    start.plus(Duration::from_secs_f64(secs)).to_string()
}

/// An item of a report.
pub(crate) fn item(device: &str, secs: f64, x: f64, y: f64) -> Value {
    json!({ "device_id": device, "timestamp": at(secs), "location": { "x": x, "y": y, "z": 1.5 } })
}

impl House {
    pub(crate) async fn open(storage: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let running = Self::start(folder.path(), storage).await;
        Self { _folder: Some(folder), running }
    }

    /// In a folder that outlives it.
    pub(crate) async fn open_in(folder: &Path, storage: &str) -> Self {
        Self { _folder: None, running: Self::start(folder, storage).await }
    }

    async fn start(folder: &Path, storage: &str) -> Running {
        let text = configuration(folder, storage);
        let path = folder.join("anita.toml");
        std::fs::write(&path, &text).unwrap();
        let written = Written::parse(&path, &text, std::iter::empty()).unwrap();
        App::new(Config::from_written(&written).unwrap()).start().await.unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.running.address())
    }

    pub(crate) async fn report(&self, items: &[Value]) {
        for items in items.chunks(1_000) {
            let body = Value::from(items.to_vec()).to_string();
            let answer = self.http("POST", "/api/v1/locations", &token("publisher"), "", &body).await;
            assert_eq!(answer.json()["accepted"], items.len(), "{}", answer.text());
        }
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.http("GET", path, token, "", "").await
    }

    /// Asks again and again until the answer is so: entries and events are stored a moment after what they are about.
    pub(crate) async fn until(&self, path: &str, token: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let began = std::time::Instant::now();
        loop {
            let answer = self.get(path, token).await.json();
            if is_so(&answer) {
                return answer;
            }
            assert!(began.elapsed() < PATIENCE, "{path}: not in time: {answer}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// An HTTP request; `headers` are further lines.
    pub(crate) async fn http(
        &self,
        method: &str,
        path: &str,
        token: &str,
        headers: &str,
        body: impl AsRef<[u8]>,
    ) -> Answer {
        let mut stream = self.send(method, path, token, headers, body).await;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let rest = &answer[end + 4..];
        let body = if head.contains("transfer-encoding: chunked") { dechunked(rest) } else { rest.to_vec() };
        Answer { status, head, body }
    }

    /// A request whose answer is not read.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        token: &str,
        headers: &str,
        body: impl AsRef<[u8]>,
    ) -> TcpStream {
        let body = body.as_ref();
        let address = self.running.address();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             {headers}content-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[request.as_bytes(), body].concat()).await.unwrap();
        stream
    }
}

/// The chunks of a body put together (RFC 9112 §7.1); panics where the last one is missing.
fn dechunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|it| it == b"\r\n").expect("a chunk has a length");
        let length = std::str::from_utf8(&rest[..end]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        rest = &rest[end + 2..];
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&rest[..length]);
        rest = &rest[length + 2..];
    }
}
