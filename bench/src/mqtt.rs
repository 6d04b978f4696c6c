//! A broker of this machine, publishers of fixes and a plain subscriber: as much of MQTT 3.1.1 as they need, `QoS` 0.
//!
//! Written by hand because a publisher must cost less than what it measures: a tick's messages are one write.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::clock::{now_us, sleep_until};
use crate::fault::{Fault, Outcome, While as _};
use crate::histogram::Histogram;
use crate::process::Server;
use crate::publisher::{Counters, Publisher};
use crate::server::{Folder, free_address, wait_for};
use crate::tags::{Floor, Tags};

/// The topic of a Pozyx gateway.
const TOPIC: &[u8] = b"tags";
const TICK_US: i64 = 2_000;

/// A broker as a child process.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) process: Server,
    pub(crate) address: SocketAddr,
    _folder: Folder,
}

impl Broker {
    /// Starts `mosquitto`; `None` when there is none.
    pub(crate) fn start() -> Outcome<Option<Self>> {
        let places = ["mosquitto", "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"];
        let is_there = |place: &&str| {
            let mut command = Command::new(place);
            command.arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
        };
        let Some(program) = places.iter().find(|place| is_there(place)) else { return Ok(None) };
        let (folder, address) = (Folder::new()?, free_address()?);
        let text = format!(
            "listener {} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 100000\nset_tcp_nodelay true\n",
            address.port()
        );
        let config = folder.write("mosquitto.conf", &text)?;
        let log = folder.file("mosquitto.log");
        let errors = File::create(&log).to("make a log")?;
        let mut process = Server::spawn(Path::new(program), |command| {
            command.arg("-c").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        })?;
        wait_for(address, &mut process, &log)?;
        Ok(Some(Self { process, address, _folder: folder }))
    }
}

/// Opens a session.
fn connect(broker: SocketAddr, name: &str) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(broker).to("connect to the broker")?;
    stream.set_nodelay(true).to("set TCP_NODELAY")?;
    stream.set_write_timeout(Some(Duration::from_secs(20))).to("set a timeout")?;
    let mut packet = vec![0x10];
    push_length(&mut packet, 12 + name.len());
    // The protocol's name and level, a clean session, no keep-alive.
    packet.extend_from_slice(&[0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0, 0, name.len() as u8]);
    packet.extend_from_slice(name.as_bytes());
    stream.write_all(&packet).to("greet the broker")?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).to("hear the broker")?;
    if answer != [0x20, 2, 0, 0] {
        return Err(Fault::new("the broker refused a connection"));
    }
    Ok(stream)
}

fn push_length(packet: &mut Vec<u8>, mut length: usize) {
    loop {
        let more = length / 128;
        packet.push((length % 128) as u8 | if more > 0 { 0x80 } else { 0 });
        length = more;
        if length == 0 {
            return;
        }
    }
}

/// What is published.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flow {
    pub(crate) tags: usize,
    /// Fixes in a second, of all tags together.
    pub(crate) fixes_hz: f64,
}

/// Publishes one fix a message, over two connections, until it is stopped.
pub(crate) fn publish(broker: SocketAddr, flow: Flow) -> Outcome<Publisher> {
    let links = [connect(broker, "bench-p0")?, connect(broker, "bench-p1")?];
    Publisher::spawn(move |counters| run(links, flow, counters))
}

fn run(mut links: [TcpStream; 2], flow: Flow, counters: &Counters) -> Outcome<Histogram> {
    let mut lateness = Histogram::default();
    let mut tags = Tags::new(0..flow.tags, Floor::new(0.0, 0.0, 100.0, 100.0), 11);
    let (mut payload, mut packets) = (Vec::new(), Vec::new());
    let (mut next, mut owed) = (0, 0.0);
    let mut due_us = (now_us() / 1_000 + 20) * 1_000;
    while !counters.is_over() {
        sleep_until(due_us);
        owed += flow.fixes_hz * TICK_US as f64 / 1e6;
        let mut fixes = 0;
        for link in &mut links {
            packets.clear();
            let share = owed / 2.0;
            for _ in 0..share as usize {
                payload.clear();
                tags.push_pozyx(next, due_us, &mut payload);
                next = (next + 1) % flow.tags;
                packets.push(0x30);
                push_length(&mut packets, 2 + TOPIC.len() + payload.len());
                packets.extend_from_slice(&(TOPIC.len() as u16).to_be_bytes());
                packets.extend_from_slice(TOPIC);
                packets.extend_from_slice(&payload);
                fixes += 1;
            }
            link.write_all(&packets).to("publish to the broker")?;
            lateness.record(now_us() - due_us);
        }
        owed -= fixes as f64;
        counters.sent.fetch_add(fixes, Ordering::Relaxed);
        due_us += TICK_US;
    }
    Ok(lateness)
}

/// A subscriber that counts messages in a thread of its own.
#[derive(Debug)]
pub(crate) struct Counter {
    count: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Counter {
    pub(crate) fn start(broker: SocketAddr) -> Outcome<Self> {
        let mut stream = connect(broker, "bench-counter")?;
        let mut packet = vec![0x82];
        push_length(&mut packet, 2 + 2 + TOPIC.len() + 1);
        packet.extend_from_slice(&[0, 1, 0, TOPIC.len() as u8]);
        packet.extend_from_slice(TOPIC);
        packet.push(0);
        stream.write_all(&packet).to("subscribe")?;
        stream.set_read_timeout(Some(Duration::from_millis(50))).to("set a timeout")?;
        let (count, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (theirs, is_over) = (Arc::clone(&count), Arc::clone(&stop));
        let read = move || {
            let (mut packets, mut scratch) = (Packets::default(), vec![0; 256 * 1024]);
            while !is_over.load(Ordering::Relaxed) {
                if let Ok(bytes) = stream.read(&mut scratch) {
                    let data = scratch.get(..bytes).unwrap_or_default();
                    theirs.fetch_add(packets.feed(data), Ordering::Relaxed);
                }
            }
        };
        let thread = thread::Builder::new().name("counter".to_owned()).spawn(read).to("start a thread")?;
        Ok(Self { count, stop, thread: Some(thread) })
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Counts the messages of a stream of packets.
#[derive(Debug, Default)]
struct Packets {
    /// Bytes of the payload that are still to come.
    left: usize,
    is_length: bool,
    is_message: bool,
    shift: u32,
}

impl Packets {
    fn feed(&mut self, mut data: &[u8]) -> u64 {
        let mut messages = 0;
        while let Some((first, rest)) = data.split_first() {
            if self.is_length {
                self.left |= usize::from(first & 0x7f) << self.shift;
                self.shift += 7;
                self.is_length = first & 0x80 != 0;
                messages += u64::from(!self.is_length && self.is_message);
                data = rest;
            } else if self.left > 0 {
                let skipped = self.left.min(data.len());
                self.left -= skipped;
                data = data.get(skipped..).unwrap_or_default();
            } else {
                self.is_message = first >> 4 == 3;
                (self.is_length, self.shift) = (true, 0);
                data = rest;
            }
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_however_the_stream_is_cut() {
        let mut stream = vec![0x90, 3, 0, 1, 0];
        for size in [0, 5, 127, 128, 300] {
            stream.push(0x30);
            push_length(&mut stream, size);
            stream.extend(std::iter::repeat_n(0x30, size));
        }
        for step in 1..stream.len() {
            let mut packets = Packets::default();
            let count: u64 = stream.chunks(step).map(|part| packets.feed(part)).sum();
            assert_eq!(count, 5, "{step}");
        }
    }
}
