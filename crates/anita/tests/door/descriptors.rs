//! The real program, when it has no file descriptor left.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::house::{Client, HERE, PATIENCE, PLAIN, ask, folder, tcp, text, token_of, upgrade};

/// A running server; killed when it is dropped.
struct Server {
    child: Child,
    address: SocketAddr,
    errors: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = folder();
        let text = text(
            PLAIN,
            "[log]\nlevel = \"warn\"\n[limits]\nheader_deadline_secs = 600\ntls_deadline_secs = 600",
        );
        std::fs::write(folder.path().join("anita.toml"), text).unwrap();
        let errors = folder.path().join("errors.txt");
        let mut child = Command::new(env!("CARGO_BIN_EXE_anita"))
            .args(["serve", "--config"])
            .arg(folder.path().join("anita.toml"))
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&errors).unwrap())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.map_while(Result::ok).find_map(|line| {
            let (_before, rest) = line.split_once("http://")?;
            rest.split(' ').next()?.parse().ok()
        });
        Self { child, address: address.expect("it starts"), errors, _folder: folder }
    }

    /// How many descriptors it has.
    fn descriptors(&self) -> u64 {
        let folder = format!("/proc/{}/fd", self.child.id());
        u64::try_from(std::fs::read_dir(folder).unwrap().count()).unwrap()
    }

    /// How long it has worked.
    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<u64> =
            stat.rsplit(')').next().unwrap().split_whitespace().map(|it| it.parse().unwrap_or(0)).collect();
        // utime and stime, in hundredths of a second.
        Duration::from_millis((fields[11] + fields[12]) * 10)
    }

    fn limit(&self, descriptors: u64) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let resource = rustix::process::Resource::Nofile;
        let maximum = rustix::process::getrlimit(resource).maximum;
        let limit = rustix::process::Rlimit { current: Some(descriptors), maximum };
        rustix::process::prlimit(Some(pid), resource, limit).unwrap();
    }

    async fn client(&self) -> Client {
        let bearer = format!("Bearer {}", token_of("alice", "viewer"));
        let stream = tcp(HERE, self.address).await;
        upgrade(stream, self.address, "/ws", &[("authorization", &bearer)]).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Whether a new connection is closed before it says anything; one that is not after so long is left waiting, as the
/// server waits for it to speak.
async fn is_refused(stream: &mut TcpStream, patience: Duration) -> bool {
    let read = tokio::time::timeout(patience, stream.read(&mut [0])).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn without_descriptors_newcomers_are_refused_at_once_and_the_others_live_on() {
    let server = Server::start();
    let mut inside = server.client().await;
    inside.ping().await;
    server.limit(server.descriptors() + 5);
    let mut came = Vec::new();
    for _ in 0..100 {
        came.push(tcp(HERE, server.address).await);
    }
    // In the time that each has, all of the others are judged as well.
    let asked = came.iter_mut().map(|stream| is_refused(stream, Duration::from_secs(10)));
    let answers = futures_util::future::join_all(asked).await;
    let refused = answers.iter().filter(|is_refused| **is_refused).count();
    let mut answers = answers.into_iter();
    came.retain(|_stream| answers.next() == Some(false));
    let held = came;
    assert!((1..=10).contains(&held.len()) && refused >= 90, "{} held, {refused} refused", held.len());
    inside.ping().await;

    // Nobody comes, and then many do: it does not spin.
    let (before, began) = (server.cpu(), Instant::now());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = server.cpu().saturating_sub(before);
    for _ in 0..500 {
        let mut stream = tcp(HERE, server.address).await;
        assert!(is_refused(&mut stream, PATIENCE).await);
    }
    let all = server.cpu().saturating_sub(before);
    println!(
        "without descriptors: {idle:?} of work in two idle seconds, {all:?} with 500 refusals in {:.1?}",
        began.elapsed()
    );
    // Work, and not time: one that spins works all the time that passes.
    let passed = began.elapsed();
    assert!(
        idle < Duration::from_millis(500) && all < Duration::from_secs(5),
        "{idle:?} {all:?} in {passed:?}"
    );
    inside.ping().await;

    drop(held);
    let started = Instant::now();
    let page = loop {
        let answer = ask(tcp(HERE, server.address).await, "GET", "/metrics", &[]).await;
        if let Some(answer) = answer {
            break answer;
        }
        assert!(started.elapsed() < PATIENCE, "nobody comes in again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let line = page.body.lines().find(|line| line.contains("reason=\"descriptors\"")).unwrap();
    let counted: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(counted >= 590.0, "{line}");
    server.client().await.ping().await;
    inside.ping().await;
    let said = std::fs::read_to_string(&server.errors).unwrap();
    let lines = said.lines().filter(|line| line.contains("no file descriptor is left")).count();
    assert!((1..=20).contains(&lines), "the log says so now and then: {lines} times");
}
