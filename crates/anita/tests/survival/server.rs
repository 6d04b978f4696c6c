//! The real program in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anita_auth::{Grant, Minter};
use anita_model::Timestamp;
use serde_json::Value;

use crate::http;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// How long anything may take that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a configuration, a secret and a store.
pub(crate) struct Home {
    pub(crate) folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

/// A running server; killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Home {
    /// With more sections in the configuration.
    pub(crate) fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("jwt.secret"), SECRET).unwrap();
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nplaintext = \"loopback\"\n[auth]\nsecret_file = \"jwt.secret\"\n\
             [drain]\nspread_secs = 0.01\n[log]\nlevel = \"warn\"\n{more}\n"
        );
        std::fs::write(folder.path().join("anita.toml"), text).unwrap();
        Self { folder, environment: Vec::new() }
    }

    pub(crate) fn with_environment(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.environment.push((name.to_owned(), value.as_ref().display().to_string()));
        self
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn start(&self) -> Server {
        self.start_telling(Stdio::inherit())
    }

    /// The same with a place for its log.
    pub(crate) fn start_telling(&self, log: Stdio) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_anita"))
            .args(["serve", "--config"])
            .arg(self.file("anita.toml"))
            .envs(self.environment.iter().cloned())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.map_while(Result::ok).find_map(|line| {
            let (_before, rest) = line.split_once("http://")?;
            rest.split(' ').next()?.parse().ok()
        });
        let Some(address) = address else { panic!("the server did not start: {:?}", child.wait()) };
        Server { child, address }
    }
}

pub(crate) fn token(role: &str) -> String {
    let minter = Minter::hs256(SECRET.as_bytes(), "anita", "anita").unwrap();
    let roles = [role.to_owned()];
    let grant = Grant { subject: role, roles: &roles, ..Grant::default() };
    minter.mint(&grant, Timestamp::now(), Duration::from_secs(3_600)).unwrap()
}

impl Server {
    /// SIGKILL, in the middle of whatever it does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn stop(mut self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let started = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(started.elapsed() < PATIENCE, "the server does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = http::request(self.address, "GET", path, &token("admin"), "").await.unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// The same, `None` if it is refused.
    pub(crate) async fn try_get(&self, path: &str) -> Option<Value> {
        let (status, body) = http::request(self.address, "GET", path, &token("admin"), "").await.unwrap();
        (status == 200).then(|| serde_json::from_str(&body).unwrap())
    }

    /// Reports items; the status and the answer.
    pub(crate) async fn report(&self, items: &Value) -> (u16, Value) {
        let body = items.to_string();
        let answer =
            http::request(self.address, "POST", "/api/v1/locations", &token("publisher"), &body).await;
        let (status, body) = answer.unwrap();
        (status, serde_json::from_str(&body).unwrap())
    }

    /// Waits until `/readyz` says so of the store.
    pub(crate) async fn until_store_is(&self, state: &str) {
        let started = Instant::now();
        loop {
            let found = self.get("/readyz").await["store"]["state"].clone();
            if found == state {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "the store has to become {state} and is {found}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The whole history of a device, newest first: entries as they are told.
    pub(crate) async fn history(&self, device: &str) -> Vec<Value> {
        let mut entries = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.get(&format!("/api/v1/history/{device}?limit=1000{after}")).await;
            entries.extend(page["history"].as_array().unwrap().iter().cloned());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return entries,
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
