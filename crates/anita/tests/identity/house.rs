//! A server in this process, and clients as browsers and programs are.

use std::time::{Duration, Instant};

use anita::config::{Config, Written};
use anita::{App, Running};
use anita_auth::{Grant, Minter};
use anita_model::Timestamp;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// How long anything may take that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct House {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) running: Running,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl House {
    /// With more in `[auth]` and after it.
    pub(crate) async fn open(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let app = App::new(configured(folder.path(), more));
        Self { folder, running: app.start().await.unwrap() }
    }

    /// At a port that is known before, because others have to know it.
    pub(crate) async fn open_at(port: u16, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let environment = [
            ("ANITA__SERVER__LISTEN", format!("127.0.0.1:{port}")),
            ("ANITA__SERVER__PUBLIC_URL", format!("http://127.0.0.1:{port}")),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value));
        let config = configured_by(folder.path(), more, environment.into_iter());
        Self { folder, running: App::new(config).start().await.unwrap() }
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.running.address())
    }

    pub(crate) async fn http(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut stream = TcpStream::connect(self.running.address()).await.unwrap();
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.running.address());
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("content-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: serde_json::from_str(body).unwrap_or_default(),
        }
    }

    /// Waits until the audit trail, asked with this query, has entries that are so: they are stored a moment after the
    /// answer that they are about.
    pub(crate) async fn until_trail(
        &self,
        query: &str,
        admin: &str,
        is_so: impl Fn(&[Value]) -> bool,
    ) -> Vec<Value> {
        let started = Instant::now();
        loop {
            let trail = self.ask("GET", &format!("/api/v1/audit?{query}"), admin, "").await.body;
            let entries = trail["entries"].as_array().unwrap();
            if is_so(entries) {
                return entries.clone();
            }
            assert!(started.elapsed() < PATIENCE, "not in time: {trail}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A text that everybody may read.
    pub(crate) async fn http_text(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.running.address()).await.unwrap();
        let host = self.running.address();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// With a token, as a program.
    pub(crate) async fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> Answer {
        self.http(method, path, &[("authorization", &format!("Bearer {token}"))], body).await
    }

    /// Signs in as a page of this origin: the cookie.
    pub(crate) async fn sign_in(&self, token: &str) -> String {
        let headers = [("origin", &*self.origin()), ("authorization", &*format!("Bearer {token}"))];
        let answer = self.http("POST", "/api/v1/session", &headers, "").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let cookie = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    /// Opens a socket with these headers; `Err` with the HTTP status when it is refused before the upgrade.
    pub(crate) async fn connect(&self, path: &str, headers: &[(&str, &str)]) -> Result<Socket, u16> {
        let mut request = format!("ws://{}{path}", self.running.address()).into_client_request().unwrap();
        for (name, value) in headers {
            let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        match tokio_tungstenite::connect_async(request).await {
            Ok((socket, _response)) => Ok(Socket(socket)),
            Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn with_token(&self, token: &str) -> Socket {
        self.connect("/ws", &[("authorization", &format!("Bearer {token}"))]).await.unwrap()
    }
}

pub(crate) fn configured(folder: &std::path::Path, more: &str) -> Config {
    configured_by(folder, more, std::iter::empty())
}

fn configured_by(
    folder: &std::path::Path,
    more: &str,
    environment: impl Iterator<Item = (String, String)>,
) -> Config {
    std::fs::write(folder.join("client.secret"), "a secret of the client, not of the issuer\n").unwrap();
    std::fs::write(folder.join("jwt.secret"), SECRET).unwrap();
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nplaintext = \"loopback\"\n[storage]\nurl = \"memory\"\n\
         [drain]\nspread_secs = 0.01\n[auth]\nsecret_file = \"jwt.secret\"\n{more}\n"
    );
    Config::from_written(&Written::parse(&folder.join("anita.toml"), &text, environment).unwrap()).unwrap()
}

/// A socket of a client.
pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// The next message; `Err` with the code when the socket was closed instead.
    pub(crate) async fn hear(&mut self) -> Result<Value, u16> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("a message in time");
            match message {
                Some(Ok(tungstenite::Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(tungstenite::Message::Close(Some(frame)))) => return Err(frame.code.into()),
                Some(Ok(tungstenite::Message::Ping(_) | tungstenite::Message::Pong(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The hello; panics with what came instead.
    pub(crate) async fn welcomed(&mut self) -> Value {
        let hello = self.hear().await.unwrap();
        assert_eq!(hello["type"], "system.connection", "{hello}");
        hello["payload"].clone()
    }

    pub(crate) async fn say(&mut self, message: &Value) {
        self.0.send(tungstenite::Message::Text(message.to_string().into())).await.unwrap();
    }

    /// It is asked, and answers.
    pub(crate) async fn ping(&mut self) {
        self.say(&serde_json::json!({ "type": "ping" })).await;
        while self.hear().await.unwrap()["type"] != "system.pong" {}
    }

    /// The error's code and the close code.
    pub(crate) async fn refused(&mut self) -> (String, u16) {
        let error = self.hear().await.unwrap();
        assert_eq!(error["type"], "error", "{error}");
        (error["payload"]["code"].as_str().unwrap().to_owned(), self.closed().await)
    }

    /// How it is closed, whatever comes before.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            if let Err(code) = self.hear().await {
                return code;
            }
        }
    }
}

/// A token of our own: subject, role and id.
pub(crate) fn token(subject: &str, role: &str, id: &str) -> String {
    let minter = Minter::hs256(SECRET.as_bytes(), "anita", "anita").unwrap();
    let roles = [role.to_owned()];
    let grant = Grant { subject, roles: &roles, token_id: Some(id), ..Grant::default() };
    minter.mint(&grant, Timestamp::now(), Duration::from_secs(600)).unwrap()
}

/// Asks again and again until it is so.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < PATIENCE, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
