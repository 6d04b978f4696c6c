//! A thousand clients that stop reading, at the real program in a process of its own: it holds next to nothing for them,
//! nobody else notices, and whoever reads again has the newest first, or hears why it was closed.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::client::{Client, Dial};
use crate::house::{House, PATIENCE, SECRET};
use crate::{Round, Watcher, round_of};

const STOPPED: usize = 1_000;

/// How many connect, read or speak at the same time.
const AT_ONCE: usize = 50;

const TAGS: usize = 20;

/// So many that nobody's kernel can hold them all.
const ROUNDS: Round = 400;

/// What the kernel can hold of a narrow connection, on both sides and with what it adds, bytes.
const KERNEL_BYTES: usize = 48 * 1024;

/// `delivery.queued_bytes_max` of this server.
const QUEUED_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// With less than this waiting nobody is closed for want of memory; docs/LIMITS.md has it.
const QUEUED_BYTES_OF_ONE: u64 = 16 * 1024;

/// What a server's memory may move by besides what waits for its clients: what it reuses, and what the allocator keeps.
/// Every round kept for everybody who does not read would be four times as much.
const MEMORY_MOVES_BYTES: u64 = 80 * 1024 * 1024;

/// A running server; killed when it is dropped.
struct Program {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Program {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("jwt.secret"), SECRET).unwrap();
        // Silence and the deadline of a write have tests of their own; here nobody ends by them.
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nplaintext = \"loopback\"\n[auth]\nsecret_file = \"jwt.secret\"\n\
             [storage]\nurl = \"memory\"\nhistory_per_device_max = 10\n[log]\nlevel = \"warn\"\n\
             [delivery]\nthreads = 2\nsend_buffer_bytes = 8192\nqueued_bytes_max = {QUEUED_BYTES_MAX}\n\
             [heartbeat]\ninterval_secs = 300\n[limits]\nwrite_deadline_secs = 600\n"
        );
        std::fs::write(folder.path().join("anita.toml"), text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_anita"))
            .args(["serve", "--config"])
            .arg(folder.path().join("anita.toml"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.map_while(Result::ok).find_map(|line| {
            let (_before, rest) = line.split_once("http://")?;
            rest.split(' ').next()?.parse().ok()
        });
        Self { child, address: address.expect("it starts"), _folder: folder }
    }

    async fn client(&self, role: &str) -> Client {
        Client::connect(self.address, &Dial::new(House::token(role, None))).await
    }

    async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut page = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut page)).await.expect("an answer").unwrap();
        page
    }

    /// A metric with just these labels; 0 if it was never counted.
    async fn metric(&self, name: &str) -> u64 {
        let page = self.get("/metrics").await;
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }

    async fn is_well(&self) {
        let answer = self.get("/healthz").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Each of these clients is a descriptor here and one there.
fn raise_descriptors() {
    let resource = rustix::process::Resource::Nofile;
    let limit = rustix::process::getrlimit(resource);
    let wanted = 4 * STOPPED as u64;
    assert!(
        limit.maximum.is_none_or(|most| most >= wanted),
        "the hard limit of descriptors is below {wanted}"
    );
    if limit.current.is_some_and(|now| now < wanted) {
        let more = rustix::process::Rlimit { current: Some(wanted), maximum: limit.maximum };
        rustix::process::setrlimit(resource, more).unwrap();
    }
}

/// Who reports, who keeps up, and what the server says of itself meanwhile.
struct Hall<'a> {
    program: &'a Program,
    publisher: Client,
    others: Vec<Watcher>,
    round: Round,
    /// The most that ever waited, and the most memory, bytes.
    queued_max: u64,
    memory_max: u64,
}

impl Hall<'_> {
    /// So many rounds: everybody who reads has each of them, and nothing else, before the next is reported.
    async fn go_on(&mut self, rounds: Round) {
        for _ in 0..rounds {
            self.round += 1;
            self.publisher.report(round_of(TAGS, self.round)).await;
            for other in &mut self.others {
                other.hear_round(TAGS, self.round).await;
            }
            if self.round % 5 == 0 {
                self.program.is_well().await;
                self.queued_max = self.queued_max.max(self.program.metric("anita_queued_bytes").await);
                self.memory_max = self.memory_max.max(self.program.metric("anita_memory_bytes").await);
            }
        }
    }
}

/// Clients that have heard their snapshot, and read nothing from now on.
async fn stopped(program: &Program) -> Vec<Watcher> {
    let mut stopped = Vec::new();
    while stopped.len() < STOPPED {
        let joining = (0..AT_ONCE).map(|_| async {
            let dial = Dial::new(House::token("viewer", None)).narrow();
            Watcher::new(Client::connect(program.address, &dial).await, &json!({})).await
        });
        stopped.extend(join_all(joining).await);
    }
    stopped
}

/// Reads again: what was in the kernel comes first, and then everything as it is now, with one frame. Says how many bytes
/// were old.
async fn read_again(watcher: &mut Watcher, newest: Round) -> usize {
    let mut old_bytes = 0;
    loop {
        let message = watcher.client.next().await;
        let told = watcher.pictures.hear(&message);
        if told.iter().any(|told| told.place.unwrap().count == newest) {
            let is_newest = told.iter().all(|told| told.place.unwrap().count == newest);
            assert!(told.len() == TAGS && is_newest, "not all with one frame: {message}");
            assert!(old_bytes <= KERNEL_BYTES, "{old_bytes} old bytes came before what is new");
            return old_bytes;
        }
        if !told.is_empty() {
            old_bytes += watcher.client.message_bytes;
        }
    }
}

/// How one ended that asked for much and read nothing.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It heard the code.
    Told,
    /// It came too late to hear it.
    Gone,
    /// It was never closed, and has everything.
    Current,
}

/// Reads whatever there is, up to the end or to what is newest.
async fn end_of(mut watcher: Watcher, newest: Round) -> End {
    let (mut answers, mut is_current) = (0, false);
    loop {
        let message = watcher.client.next().await;
        match message["type"].as_str().unwrap() {
            "close" => {
                assert_eq!(message["code"], 4413, "{message}");
                return End::Told;
            }
            "gone" => return End::Gone,
            "error" => assert_eq!(message["payload"]["code"], "memory_limit", "{message}"),
            "uwb.device_list" => answers += 1,
            _ => {
                let told = watcher.pictures.hear(&message);
                is_current |= told.iter().any(|told| told.place.unwrap().count == newest);
            }
        }
        if is_current && answers == ASKED {
            return End::Current;
        }
    }
}

/// Connections that were closed for want of memory, code 4413.
const CLOSED: &str = "anita_closes_total{code=\"memory_limit\"}";

/// How many lists a greedy client asks for.
const ASKED: usize = 20;

async fn ask_for_much(watcher: &mut Watcher) {
    for _ in 0..ASKED {
        watcher.client.send("get_active_devices", &json!({})).await;
    }
}

async fn in_batches<T>(all: &mut [Watcher], each: impl AsyncFn(&mut Watcher) -> T) -> Vec<T> {
    let mut found = Vec::new();
    for batch in all.chunks_mut(AT_ONCE) {
        found.extend(join_all(batch.iter_mut().map(|watcher| each(watcher))).await);
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_that_stop_reading_cost_nobody_anything_and_come_back_to_what_is_newest() {
    raise_descriptors();
    let program = Program::start();
    let mut publisher = program.client("publisher").await;
    publisher.report(round_of(TAGS, 0)).await;
    let mut others = Vec::new();
    for mode in ["batch", "batch", "single", "columns"] {
        others.push(Watcher::new(program.client("viewer").await, &json!({ "mode": mode })).await);
    }
    let mut stopped = stopped(&program).await;
    let mut hall = Hall { program: &program, publisher, others, round: 0, queued_max: 0, memory_max: 0 };
    hall.go_on_without_readers().await;
    let greedy = stopped.split_off(STOPPED / 2);
    hall.bring_back(stopped).await;
    hall.refuse(greedy).await;
    hall.go_on(5).await;
    let began = Instant::now();
    while program.metric("anita_queued_bytes").await > 0 {
        assert!(began.elapsed() < PATIENCE, "bytes wait for nobody");
    }
}

impl Hall<'_> {
    /// They do not read, and the kernel has taken all it takes, long before the end.
    async fn go_on_without_readers(&mut self) {
        self.go_on(10).await;
        let memory_before = self.memory_max;
        let started = Instant::now();
        self.go_on(ROUNDS).await;
        let (took, frame_bytes) = (started.elapsed(), self.others[0].client.message_bytes as u64);
        // What waits for one of them is the rest of a frame, and one more at most. That they have not got all of it is shown
        // when they read again.
        let queued_bound = STOPPED as u64 * 2 * frame_bytes;
        assert!(self.queued_max <= queued_bound, "{} bytes wait, {queued_bound} may", self.queued_max);
        let grown = self.memory_max.saturating_sub(memory_before);
        assert!(memory_before > 0, "the gauge of the memory says nothing");
        assert!(grown <= queued_bound + MEMORY_MOVES_BYTES, "the memory grew by {grown} bytes");
        assert_eq!(self.program.metric(CLOSED).await, 0);
        assert!(self.program.metric("anita_connections").await > STOPPED as u64, "positions close nobody");
        println!(
            "{STOPPED} that stopped reading, {ROUNDS} rounds of {TAGS} tags in {took:.1?}: at most {} bytes waited, frames \
             of {frame_bytes} bytes; memory {} MiB, and {} MiB more at most",
            self.queued_max,
            memory_before >> 20,
            grown >> 20
        );
    }

    /// These read again, and keep up.
    async fn bring_back(&mut self, mut stopped: Vec<Watcher>) {
        let newest = self.round;
        let old = in_batches(&mut stopped, async |watcher| read_again(watcher, newest).await).await;
        let most = old.iter().max().unwrap();
        println!("{} read again: {most} old bytes at most, then what is newest", old.len());
        self.go_on(1).await;
        let round = self.round;
        in_batches(&mut stopped, async |watcher| watcher.hear_round(TAGS, round).await).await;
    }

    /// These ask for much, and read nothing of it: more waits than may wait in all.
    async fn refuse(&mut self, mut greedy: Vec<Watcher>) {
        self.others[0].client.request("get_active_devices", &json!({})).await;
        let list_bytes = self.others[0].client.message_bytes as u64;
        self.queued_max = 0;
        in_batches(&mut greedy, ask_for_much).await;
        let began = Instant::now();
        while self.program.metric(CLOSED).await == 0
            || self.program.metric("anita_queued_bytes").await > QUEUED_BYTES_MAX
        {
            self.go_on(5).await;
            assert!(began.elapsed() < PATIENCE, "nobody is closed, and too much waits");
        }
        // Whoever has little waiting is not closed for it; it is looked at after each answer, and why comes on top.
        let most = QUEUED_BYTES_MAX + greedy.len() as u64 * (QUEUED_BYTES_OF_ONE + 2 * list_bytes);
        assert!(self.queued_max <= most, "{} bytes waited, {most} may", self.queued_max);
        let newest = self.round;
        let ends = join_all(greedy.into_iter().map(|watcher| end_of(watcher, newest))).await;
        let count = |wanted: End| ends.iter().filter(|end| **end == wanted).count();
        let (told, gone, current) = (count(End::Told), count(End::Gone), count(End::Current));
        println!(
            "{} bytes waited at most for {} greedy ones, of {most} that may: {told} heard 4413, {gone} were closed and came too late to hear \
             it, {current} were never closed and are current",
            self.queued_max,
            ends.len()
        );
        let closed = self.program.metric(CLOSED).await;
        assert_eq!((told + gone) as u64, closed, "closed for no other reason");
    }
}
