//! A server in this process, and clients of all kinds.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use anita::config::{Config, Written};
use anita::{App, Running};
use anita_auth::{Grant, Minter};
use anita_model::Timestamp;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Message, client::IntoClientRequest};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// How long anything may take that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A place that tests come from.
pub(crate) const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// A server in a folder of its own.
pub(crate) struct House {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) running: Running,
}

/// A folder with the secret.
pub(crate) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("jwt.secret"), SECRET).unwrap();
    folder
}

/// The configuration with more keys of `[server]`, and more sections.
pub(crate) fn text(server: &str, sections: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n{server}\n[storage]\nurl = \"memory\"\n[drain]\nspread_secs = 0.01\n\
         [auth]\nsecret_file = \"jwt.secret\"\n{sections}\n"
    )
}

pub(crate) fn configured(folder: &Path, text: &str) -> Result<Config, anita::ConfigError> {
    Config::from_written(&Written::parse(&folder.join("anita.toml"), text, std::iter::empty())?)
}

pub(crate) fn token_of(subject: &str, role: &str) -> String {
    let minter = Minter::hs256(SECRET.as_bytes(), "anita", "anita").unwrap();
    let roles = [role.to_owned()];
    let grant = Grant { subject, roles: &roles, ..Grant::default() };
    minter.mint(&grant, Timestamp::now(), Duration::from_secs(600)).unwrap()
}

/// Without TLS, on loopback.
pub(crate) const PLAIN: &str = "plaintext = \"loopback\"";

impl House {
    /// Without TLS, with these limits.
    pub(crate) async fn limited(limits: &str) -> Self {
        Self::open(PLAIN, &format!("[limits]\n{limits}")).await
    }

    pub(crate) async fn open(server: &str, sections: &str) -> Self {
        Self::open_in(folder(), server, sections).await
    }

    pub(crate) async fn open_in(folder: tempfile::TempDir, server: &str, sections: &str) -> Self {
        let config = configured(folder.path(), &text(server, sections)).unwrap();
        let running = App::new(config).start().await.unwrap();
        Self { folder, running }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// A TCP connection from an address of this machine.
    pub(crate) async fn tcp_from(&self, host: Ipv4Addr) -> TcpStream {
        tcp(host, self.address()).await
    }

    pub(crate) async fn http(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.http_from(HERE, method, path, headers).await
    }

    /// With a body.
    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = self.tcp_from(HERE).await;
        let length = body.len().to_string();
        let more = [("content-length", length.as_str()), ("connection", "close")];
        let headers: Vec<_> = headers.iter().copied().chain(more).collect();
        let request = request_text("POST", path, &headers) + body;
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = String::from_utf8(end_of(&mut stream).await).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(crate) async fn http_from(
        &self,
        host: Ipv4Addr,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let stream = self.tcp_from(host).await;
        ask(stream, method, path, headers).await.unwrap()
    }

    /// The value of a metric; 0 when it is not there yet.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let page = self.http("GET", "/metrics", &[]).await;
        assert_eq!(page.status, 200, "{}", page.head);
        let line = page.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }

    /// Waits until a metric has at least this value.
    pub(crate) async fn until_metric(&self, name: &str, least: u64) {
        let started = Instant::now();
        loop {
            let found = self.metric(name).await;
            if found >= least {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{name} has to be {least} or more and is {found}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A WebSocket with a token, past its hello.
    pub(crate) async fn client(&self, subject: &str) -> Client {
        self.client_from(HERE, subject).await.unwrap()
    }

    pub(crate) async fn client_from(&self, host: Ipv4Addr, subject: &str) -> Result<Client, Answer> {
        let bearer = format!("Bearer {}", token_of(subject, "operator"));
        let mut client = self.socket_from(host, "/ws", &[("authorization", &bearer)]).await?;
        let hello = client.next().await;
        assert_eq!(hello["type"], "system.connection", "{hello}");
        Ok(client)
    }

    /// A WebSocket, as far as the upgrade.
    pub(crate) async fn socket_from(
        &self,
        host: Ipv4Addr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Client, Answer> {
        upgrade(self.tcp_from(host).await, self.address(), path, headers).await
    }
}

pub(crate) async fn tcp(host: Ipv4Addr, server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((host, 0).into()).unwrap();
    socket.connect(server).await.unwrap()
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// A refusal that says when to come back.
    pub(crate) fn is_busy(&self, status: u16, code: &str) -> bool {
        let problem: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let retry_after = self.header("retry-after").and_then(|secs| secs.parse::<u64>().ok());
        self.status == status
            && problem["code"] == code
            && problem["retry_after_ms"].as_u64().is_some()
            && retry_after.is_some_and(|secs| (1..=60).contains(&secs))
            && self.header("content-type") == Some("application/problem+json")
    }
}

pub(crate) fn request_text(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let mut request = format!("{method} {path} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _value)| *name == "host") {
        request += "host: anita.test\r\n";
    }
    for (name, value) in headers {
        write!(request, "{name}: {value}\r\n").unwrap();
    }
    request + "\r\n"
}

/// Asks once; `None` when the connection was closed without an answer.
pub(crate) async fn ask(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Option<Answer> {
    let says_more = headers.iter().any(|(name, _value)| *name == "connection");
    let close = (!says_more).then_some(("connection", "close"));
    let headers: Vec<_> = headers.iter().copied().chain(close).collect();
    stream.write_all(request_text(method, path, &headers).as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// Any stream.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// A WebSocket.
pub(crate) struct Client(pub(crate) WebSocketStream<Box<dyn Wire>>);

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a client")
    }
}

pub(crate) async fn upgrade(
    stream: impl Wire + 'static,
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<Client, Answer> {
    let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
    for (name, value) in headers {
        let name: tungstenite::http::HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    match tokio_tungstenite::client_async(request, Box::new(stream) as Box<dyn Wire>).await {
        Ok((socket, _response)) => Ok(Client(socket)),
        Err(tungstenite::Error::Http(response)) => {
            let status = response.status().as_u16();
            let mut head = format!("HTTP/1.1 {status}\n");
            for (name, value) in response.headers() {
                writeln!(head, "{name}: {}", value.to_str().unwrap()).unwrap();
            }
            let body = response.body().clone().unwrap_or_default();
            Err(Answer { status, head, body: String::from_utf8(body).unwrap() })
        }
        Err(error) => Err(Answer { status: 0, head: error.to_string(), body: String::new() }),
    }
}

impl Client {
    /// The next message; a close is `{"close": code, "reason": …}`, and the end `{"gone": true}`.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("something has to come");
            match next {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Close(Some(close)))) => {
                    let reason: Value = serde_json::from_str(&close.reason).unwrap_or_default();
                    return json!({ "close": u16::from(close.code), "reason": reason });
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return json!({ "gone": true }),
            }
        }
    }

    pub(crate) async fn say(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// Asks and waits for the answer; how long it took.
    pub(crate) async fn ping(&mut self) -> Duration {
        let started = Instant::now();
        self.say(&json!({ "type": "ping", "payload": {}, "id": 7 })).await;
        loop {
            let answer = self.next().await;
            if answer["type"] == "system.pong" {
                return started.elapsed();
            }
            assert!(answer["close"].is_null() && answer["gone"].is_null(), "{answer}");
        }
    }

    /// Everything until the close, which is the last.
    pub(crate) async fn until_end(&mut self) -> Vec<Value> {
        let mut heard = Vec::new();
        loop {
            let next = self.next().await;
            let is_last = !next["close"].is_null() || !next["gone"].is_null();
            heard.push(next);
            if is_last {
                return heard;
            }
        }
    }
}

/// Waits for the end of a stream; what came before it.
pub(crate) async fn end_of(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut heard = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut heard)).await;
    ended.expect("the connection has to end").ok();
    heard
}
