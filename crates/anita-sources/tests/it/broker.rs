//! A Mosquitto of our own, on a free port, and somebody who publishes.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rumqttc_v4::{AsyncClient, MqttOptions, PublishOptions, QoS};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Longer than anything here takes, even on a busy machine; what is waited for is looked at all the time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running Mosquitto; killed when it is dropped.
pub(crate) struct Broker {
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
    program: PathBuf,
    child: Option<Child>,
}

/// A connection that publishes.
pub(crate) struct Publisher {
    client: AsyncClient,
    task: JoinHandle<()>,
}

// === impl Broker ===

impl Broker {
    /// Starts one that lets anybody in; `None` where there is no Mosquitto.
    pub(crate) async fn start() -> Option<Self> {
        Self::start_with("allow_anonymous true").await
    }

    /// Starts one with these lines in its configuration; `FOLDER` stands for its folder.
    pub(crate) async fn start_with(lines: &str) -> Option<Self> {
        let mut broker = Self::prepare()?;
        broker.configure(lines);
        broker.resume().await;
        Some(broker)
    }

    /// Makes the folder and finds the port, and starts nothing.
    pub(crate) fn prepare() -> Option<Self> {
        let program = find("mosquitto");
        if program.is_none() {
            super::bench::skip("there is no mosquitto in PATH or /usr/sbin");
        }
        let folder = tempfile::tempdir().unwrap();
        Some(Self { port: free_port(), folder, program: program?, child: None })
    }

    pub(crate) fn configure(&self, lines: &str) {
        let folder = self.folder.path().display().to_string();
        let lines = lines.replace("FOLDER", &folder);
        // Mosquitto as root gives itself another user, who cannot read the folder.
        let text = format!("listener {} 127.0.0.1\nuser root\npersistence false\n{lines}\n", self.port);
        std::fs::write(self.folder.path().join("mosquitto.conf"), text).unwrap();
    }

    pub(crate) async fn resume(&mut self) {
        let child = Command::new(&self.program)
            .arg("-c")
            .arg(self.folder.path().join("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.is_err() {
            assert!(Instant::now() < deadline, "mosquitto does not listen");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn kill(&mut self) {
        self.child.take().unwrap().kill().await.unwrap();
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    pub(crate) fn publisher(&self) -> Publisher {
        let mut options = MqttOptions::new("publisher", ("127.0.0.1", self.port));
        options.set_max_packet_size(1_000_000, 1_000_000);
        let (client, mut events) = AsyncClient::builder(options).capacity(64).try_build().unwrap();
        let task = tokio::spawn(async move { while events.poll().await.is_ok() {} });
        Publisher { client, task }
    }
}

// === impl Publisher ===

impl Publisher {
    /// Publishes at `QoS` 1 and waits until the broker has it.
    pub(crate) async fn publish(&self, topic: &str, payload: &str) {
        self.publish_as(topic, payload, PublishOptions::new(QoS::AtLeastOnce)).await;
    }

    pub(crate) async fn publish_retained(&self, topic: &str, payload: &str) {
        self.publish_as(topic, payload, PublishOptions::new(QoS::AtLeastOnce).retain(true)).await;
    }

    pub(crate) async fn publish_at_most_once(&self, topic: &str, payload: &str) {
        self.publish_as(topic, payload, PublishOptions::new(QoS::AtMostOnce)).await;
    }

    async fn publish_as(&self, topic: &str, payload: &str, options: PublishOptions) {
        let notice = self.client.publish_tracked(topic, payload.to_owned(), options).await.unwrap();
        notice.wait_completion_async().await.unwrap();
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A port that nobody listens on, for now, and that is not among those that the system gives to connections.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = rand::random_range(10_000..32_000);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// A program in PATH or where Debian puts daemons.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    folders.find_map(|folder| Some(folder.join(program)).filter(|path| path.is_file()))
}
