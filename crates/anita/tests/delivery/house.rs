//! A whole server in this process, and what a test asks of it besides its sockets.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anita::config::{Config, Written};
use anita::{App, Running};
use anita_auth::{Grant, Minter};
use anita_model::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Client, Dial};

pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// How long anything may take that has to happen; so long that only what never happens takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server in a folder of its own.
pub(crate) struct House {
    _folder: tempfile::TempDir,
    running: Running,
}

impl House {
    /// Two threads with connections, and small buffers in the kernel; `more` are further sections.
    pub(crate) async fn open(delivery: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("jwt.secret"), SECRET).unwrap();
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nplaintext = \"loopback\"\n\
             [storage]\nurl = \"memory\"\nhistory_per_device_max = 10\n\
             [auth]\nsecret_file = \"jwt.secret\"\n[drain]\nspread_secs = 0.01\n\
             [delivery]\nthreads = 2\n{delivery}\n{more}\n"
        );
        let path = folder.path().join("anita.toml");
        let written = Written::parse(&path, &text, std::iter::empty()).unwrap();
        let running = App::new(Config::from_written(&written).unwrap()).start().await.unwrap();
        Self { _folder: folder, running }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// A token of a role that sees the devices of these patterns, or all.
    pub(crate) fn token(role: &str, devices: Option<&[&str]>) -> String {
        let minter = Minter::hs256(SECRET.as_bytes(), "anita", "anita").unwrap();
        let devices = devices.map(|patterns| patterns.iter().map(|&it| it.to_owned()).collect::<Vec<_>>());
        let roles = [role.to_owned()];
        let grant =
            Grant { subject: "alice", roles: &roles, devices: devices.as_deref(), ..Grant::default() };
        minter.mint(&grant, Timestamp::now(), Duration::from_secs(600)).unwrap()
    }

    /// A client with a role and buffers of the usual size.
    pub(crate) async fn client(&self, role: &str) -> Client {
        Client::connect(self.address(), &Dial::new(Self::token(role, None))).await
    }

    /// The same with a receive buffer of 4 KiB.
    pub(crate) async fn narrow_client(&self, role: &str) -> Client {
        Client::connect(self.address(), &Dial::new(Self::token(role, None)).narrow()).await
    }

    /// The sum of a metric over its labels.
    pub(crate) async fn metric(&self, name: &str) -> i64 {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        let request =
            format!("GET /metrics HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).await.unwrap();
        let lines = page.lines().filter_map(|line| line.strip_prefix(name));
        let values = lines.filter(|rest| rest.starts_with([' ', '{']));
        values.map(|rest| rest.rsplit(' ').next().unwrap().parse::<i64>().unwrap()).sum()
    }

    /// Waits until a metric has a value.
    pub(crate) async fn until_metric(&self, name: &str, value: i64) {
        self.until_metric_is(name, &format!("{value}"), |it| it == value).await;
    }

    /// Waits until a metric is as it should be.
    pub(crate) async fn until_metric_is(&self, name: &str, what: &str, is_so: impl Fn(i64) -> bool) {
        let started = Instant::now();
        loop {
            let found = self.metric(name).await;
            if is_so(found) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{name} has to become {what} and is {found}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn stop(self) {
        self.running.stop().await.unwrap();
    }
}
