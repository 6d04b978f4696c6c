//! The server of one conversation: the real program with an empty store, at one address for as long as the conversation lasts.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anita_auth::{Grant, Minter};
use anita_model::Timestamp;
use serde_json::Value;

use crate::http;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// How long anything may take that a line waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A port that is free now, and not among those that the system gives to connections: nobody takes it while the server
/// is away.
fn free_port() -> u16 {
    loop {
        let port = rand::random_range(10_000..32_000);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// A server, running or not; killed when it is dropped.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    address: SocketAddr,
    child: Option<Child>,
}

/// What a token says.
#[derive(Clone)]
pub(crate) struct Claims {
    pub(crate) subject: String,
    pub(crate) role: String,
    pub(crate) ttl: Duration,
    pub(crate) devices: Vec<String>,
    pub(crate) rooms: Vec<String>,
}

impl Claims {
    pub(crate) fn new(subject: &str, role: &str) -> Self {
        let (subject, role) = (subject.to_owned(), role.to_owned());
        Self { subject, role, ttl: Duration::from_secs(3_600), devices: Vec::new(), rooms: Vec::new() }
    }

    /// A fresh token.
    pub(crate) fn mint(&self) -> String {
        let minter = Minter::hs256(SECRET.as_bytes(), "anita", "anita").unwrap();
        let roles = [self.role.clone()];
        let some = |patterns: &'_ Vec<String>| (!patterns.is_empty()).then(|| patterns.clone());
        let (devices, rooms) = (some(&self.devices), some(&self.rooms));
        let grant = Grant {
            subject: &self.subject,
            roles: &roles,
            devices: devices.as_deref(),
            rooms: rooms.as_deref(),
            ..Grant::default()
        };
        minter.mint(&grant, Timestamp::now(), self.ttl).unwrap()
    }
}

impl Server {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The address has to be the same after a restart.
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        std::fs::write(folder.path().join("jwt.secret"), SECRET).unwrap();
        let text = format!(
            "[server]\nlisten = \"{address}\"\nplaintext = \"loopback\"\n[auth]\nsecret_file = \"jwt.secret\"\n\
             [heartbeat]\ninterval_secs = 10\n[storage]\nurl = \"sqlite:anita.db\"\n[log]\nlevel = \"error\"\n"
        );
        std::fs::write(folder.path().join("anita.toml"), text).unwrap();
        Self { folder, address, child: None }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    pub(crate) async fn start(&mut self) {
        let child = Command::new(env!("CARGO_BIN_EXE_anita"))
            .args(["serve", "--config"])
            .arg(self.folder.path().join("anita.toml"))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let child = self.child.insert(child);
        let started = Instant::now();
        while !matches!(http::request(self.address, "GET", "/readyz", "", "").await, Ok((200, _))) {
            assert!(child.try_wait().unwrap().is_none(), "the server ended");
            assert!(started.elapsed() < PATIENCE, "the server does not get ready");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// SIGTERM, and waits for the end.
    pub(crate) async fn stop(&mut self) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.ended().await;
    }

    /// SIGKILL, and waits for the end.
    pub(crate) async fn kill(&mut self) {
        self.child.as_mut().unwrap().kill().unwrap();
        self.ended().await;
    }

    async fn ended(&mut self) {
        let mut child = self.child.take().unwrap();
        let started = Instant::now();
        while child.try_wait().unwrap().is_none() {
            assert!(started.elapsed() < PATIENCE, "the server does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A publisher reports one location.
    pub(crate) async fn report(&self, item: &str) {
        let answer = self.post("/api/v1/locations", &Claims::new("gateway", "publisher"), item).await;
        assert_eq!(answer["accepted"], 1, "{answer}");
    }

    /// An admin revokes a subject.
    pub(crate) async fn revoke(&self, subject: &str) {
        let body = serde_json::json!({ "subject": subject }).to_string();
        self.post("/api/v1/revocations", &Claims::new("root", "admin"), &body).await;
    }

    async fn post(&self, path: &str, claims: &Claims, body: &str) -> Value {
        let answer = http::request(self.address, "POST", path, &claims.mint(), body).await;
        let (status, body) = answer.unwrap();
        assert!(matches!(status, 200 | 201), "{path}: {status} {body}");
        serde_json::from_str(&body).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().ok();
            child.wait().ok();
        }
    }
}
