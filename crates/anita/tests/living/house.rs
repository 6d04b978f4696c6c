//! The real program in a process of its own, and a client for it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anita_auth::{Grant, Minter};
use anita_model::Timestamp;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// How long anything may take that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a configuration, a secret and a log.
pub(crate) struct Home {
    pub(crate) folder: tempfile::TempDir,
    /// More variables of the environment of its programs.
    pub(crate) environment: Vec<(String, OsString)>,
}

/// A running server; killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    pub(crate) address: SocketAddr,
    log: PathBuf,
}

/// A port that is free now, and not among those that the system gives to connections: nobody takes it while the server
/// is away.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = rand::random_range(10_000..32_000);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Home {
    /// `more` are further sections.
    pub(crate) fn new(port: u16, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("jwt.secret"), SECRET).unwrap();
        let home = Self { folder, environment: Vec::new() };
        home.configure(port, more);
        home
    }

    pub(crate) fn configure(&self, port: u16, more: &str) {
        self.configure_with_store(port, more, "memory");
    }

    pub(crate) fn configure_with_store(&self, port: u16, more: &str, url: &str) {
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\nplaintext = \"loopback\"\n[auth]\nsecret_file = \"jwt.secret\"\n\
             [storage]\nurl = \"{url}\"\n{more}\n"
        );
        std::fs::write(self.folder.path().join("anita.toml"), text).unwrap();
    }

    pub(crate) fn start(&self) -> Program {
        self.try_start().expect("the server did not start")
    }

    pub(crate) fn try_start(&self) -> Option<Program> {
        let log = self.folder.path().join("log");
        let errors = File::options().create(true).append(true).open(&log).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_anita"))
            .args(["serve", "--config"])
            .arg(self.folder.path().join("anita.toml"))
            .envs(self.environment.iter().cloned())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.map_while(Result::ok).find_map(|line| {
            let (_before, rest) = line.split_once("http://")?;
            rest.split(' ').next()?.parse().ok()
        });
        Some(Program { child, address: address?, log })
    }
}

impl Program {
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }

    /// How often the log has a text.
    pub(crate) fn logged(&self, text: &str) -> usize {
        self.log().matches(text).count()
    }

    /// Waits until the log has a text.
    pub(crate) async fn until_logged(&self, text: &str) {
        self.until_logged_again(text, 0).await;
    }

    /// Waits until the log has a text more often than before.
    pub(crate) async fn until_logged_again(&self, text: &str, before: usize) {
        let started = Instant::now();
        while self.logged(text) <= before {
            assert!(started.elapsed() < PATIENCE, "{text:?} is never logged: {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Waits for the end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "the server does not end: {}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The sum of a metric over its labels.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        metric_of(&get(self.address, "/metrics", None).await.unwrap().body, name)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(crate) fn metric_of(page: &str, name: &str) -> f64 {
    let lines = page.lines().filter_map(|line| line.strip_prefix(name));
    let values = lines.filter(|rest| rest.starts_with([' ', '{']));
    values.map(|rest| rest.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

pub(crate) fn token(subject: &str, role: &str) -> String {
    token_for(subject, role, Duration::from_secs(3_600))
}

pub(crate) fn token_for(subject: &str, role: &str, ttl: Duration) -> String {
    let minter = Minter::hs256(SECRET.as_bytes(), "anita", "anita").unwrap();
    let roles = [role.to_owned()];
    let grant = Grant { subject, roles: &roles, ..Grant::default() };
    minter.mint(&grant, Timestamp::now(), ttl).unwrap()
}

pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
    /// The cookie that was set.
    pub(crate) cookie: Option<String>,
}

pub(crate) async fn get(address: SocketAddr, path: &str, token: Option<&str>) -> std::io::Result<Answered> {
    let bearer = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    send(address, &format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{bearer}\r\n"))
        .await
}

pub(crate) async fn post(
    address: SocketAddr,
    path: &str,
    token: &str,
    body: &str,
) -> std::io::Result<Answered> {
    let count = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-length: {count}\r\n\r\n"
    );
    send(address, &format!("{head}{body}")).await
}

pub(crate) async fn send(address: SocketAddr, request: &str) -> std::io::Result<Answered> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let set = head.lines().find_map(|line| line.strip_prefix("set-cookie: "));
    let cookie = set.and_then(|line| line.split(';').next()).map(str::to_owned);
    Ok(Answered { status, head: head.to_ascii_lowercase(), body: body.to_owned(), cookie })
}

/// A WebSocket that says nothing by itself.
pub(crate) struct Client {
    socket: WebSocketStream<TcpStream>,
}

impl Client {
    /// Connects and hears the hello.
    pub(crate) async fn connect(address: SocketAddr, token: &str) -> Result<Self, Error> {
        let mut request = format!("ws://{address}/ws").into_client_request()?;
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let stream = TcpStream::connect(address).await?;
        let (socket, _response) = tokio_tungstenite::client_async(request, stream).await?;
        let mut client = Self { socket };
        match client.hear("system.connection").await {
            Ok(_hello) => Ok(client),
            Err(_closed) => Err(Error::ConnectionClosed),
        }
    }

    pub(crate) async fn say(&mut self, message: &Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next message of a type, or how it ended before that.
    pub(crate) async fn hear(&mut self, wanted: &str) -> Result<Value, Option<CloseFrame>> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("nothing is heard");
            match next {
                Some(Ok(Message::Text(text))) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    if message["type"] == wanted {
                        return Ok(message["payload"].clone());
                    }
                }
                Some(Ok(Message::Close(frame))) => return Err(frame),
                Some(Ok(_control)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// Asks, and hears the answer or the error.
    pub(crate) async fn ask(&mut self, request: &str, payload: Value) -> Value {
        self.say(&serde_json::json!({ "type": request, "payload": payload, "id": "q" })).await;
        loop {
            match tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("nothing is heard") {
                Some(Ok(Message::Text(text))) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    if message["id"] == "q" {
                        return message;
                    }
                }
                Some(Ok(Message::Close(frame))) => panic!("closed: {frame:?}"),
                Some(Ok(_control)) => {}
                other => panic!("gone: {other:?}"),
            }
        }
    }

    /// How it ends.
    pub(crate) async fn closed(&mut self) -> Option<CloseFrame> {
        self.hear("nothing has this type").await.unwrap_err()
    }
}

/// The code of a close, and when to come back.
pub(crate) fn read_close(frame: &CloseFrame) -> (u16, Option<u64>) {
    let reason: Value = serde_json::from_str(&frame.reason).unwrap();
    (u16::from(frame.code), reason["retry_after_ms"].as_u64())
}
