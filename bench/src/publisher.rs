//! Publishers that keep to a schedule: a fix is due at its time, whether the server took the one before or not.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use crate::clock::{self, now_us, sleep_until};
use crate::fault::{Fault, Outcome, While as _};
use crate::histogram::Histogram;
use crate::positions::number;
use crate::reader::{Listen, Reader, Tally};
use crate::tags::{Floor, Tags};
use crate::ws::{self, Answer, Compression, Kind};

/// How long a server may refuse to take bytes.
const WRITE_MAX: Duration = Duration::from_secs(8);

/// What is published.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) tags: usize,
    /// Fixes of a tag in a second.
    pub(crate) rate_hz: f64,
    pub(crate) connections: usize,
    /// Every so often those tags report whose turn it is, milliseconds.
    pub(crate) tick_ms: i64,
    pub(crate) floor: Floor,
}

impl Plan {
    pub(crate) fn new(tags: usize) -> Self {
        let connections = (tags / 250).clamp(1, 10);
        Self { tags, rate_hz: 10.0, connections, tick_ms: 10, floor: Floor::new(0.0, 0.0, 100.0, 100.0) }
    }

    /// After so many ticks each tag has reported once.
    pub(crate) fn ticks(&self) -> usize {
        ((1e3 / self.rate_hz) as usize / self.tick_ms as usize).max(1)
    }
}

/// Counters of a publisher that runs.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sent: AtomicU64,
    pub(crate) accepted: AtomicU64,
    stop: AtomicBool,
}

impl Counters {
    /// Whether nothing more is to be published.
    pub(crate) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// A publisher in a thread of its own.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) counters: Arc<Counters>,
    thread: Option<JoinHandle<Outcome<Histogram>>>,
}

impl Publisher {
    /// Connects, and publishes until [`Self::finish`].
    pub(crate) fn start(server: SocketAddr, token: &str, plan: Plan) -> Outcome<Self> {
        let mut links = Vec::new();
        for number in 0..plan.connections {
            let range = number * plan.tags / plan.connections..(number + 1) * plan.tags / plan.connections;
            links.push(Link::open(server, token, Tags::new(range, plan.floor, 7))?);
        }
        Self::spawn(move |counters| publish(links, plan, counters))
    }

    /// Publishes in a thread of its own what `job` publishes; it returns how late fixes were sent.
    pub(crate) fn spawn(job: impl FnOnce(&Counters) -> Outcome<Histogram> + Send + 'static) -> Outcome<Self> {
        let counters = Arc::new(Counters::default());
        let theirs = Arc::clone(&counters);
        let thread = thread::Builder::new()
            .name("publisher".to_owned())
            .spawn(move || job(&theirs))
            .to("start a thread")?;
        Ok(Self { counters, thread: Some(thread) })
    }

    /// How many fixes were sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.counters.sent.load(Ordering::Relaxed)
    }

    /// How many the server said that it took.
    pub(crate) fn accepted(&self) -> u64 {
        self.counters.accepted.load(Ordering::Relaxed)
    }

    /// Whether its thread has ended, which it does before [`Self::finish`] only by a fault.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Stops before it is asked how late it was.
    pub(crate) fn stop(&self) {
        self.counters.stop.store(true, Ordering::Relaxed);
    }

    /// Stops; returns how late fixes were sent.
    pub(crate) fn finish(mut self) -> Outcome<Histogram> {
        self.stop();
        let thread = self.thread.take().ok_or_else(|| Fault::new("there is no publisher"))?;
        thread.join().map_err(|_panic| Fault::new("the publisher broke"))?
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn publish(mut links: Vec<Link>, plan: Plan, counters: &Counters) -> Outcome<Histogram> {
    let mut lateness = Histogram::default();
    let ticks = plan.ticks();
    // Due times are whole milliseconds: the height of a tag holds no more.
    let mut due_us = (now_us() / 1_000 + 20) * 1_000;
    let mut tick = 0;
    while !counters.is_over() {
        sleep_until(due_us);
        for link in &mut links {
            let fixes = link.report(due_us, tick, ticks)?;
            lateness.record(now_us() - due_us);
            counters.sent.fetch_add(fixes, Ordering::Relaxed);
            counters.accepted.fetch_add(std::mem::take(&mut link.accepted), Ordering::Relaxed);
        }
        due_us += plan.tick_ms * 1_000;
        tick = (tick + 1) % ticks;
    }
    // What was taken last is said a little later.
    let until_us = now_us() + 1_000_000;
    while counters.accepted.load(Ordering::Relaxed) < counters.sent.load(Ordering::Relaxed)
        && now_us() < until_us
    {
        thread::sleep(Duration::from_millis(5));
        for link in &mut links {
            link.hear()?;
            counters.accepted.fetch_add(std::mem::take(&mut link.accepted), Ordering::Relaxed);
        }
    }
    Ok(lateness)
}

/// One publishing connection.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    tags: Tags,
    reader: Reader,
    tally: Tally,
    scratch: Vec<u8>,
    text: Vec<u8>,
    frame: Vec<u8>,
    accepted: u64,
    refused: u64,
}

impl Link {
    pub(crate) fn open(server: SocketAddr, token: &str, tags: Tags) -> Outcome<Self> {
        let mut stream = TcpStream::connect(server).to("connect a publisher")?;
        stream.set_nodelay(true).to("set TCP_NODELAY")?;
        stream.set_write_timeout(Some(WRITE_MAX)).to("set a timeout")?;
        stream.set_read_timeout(Some(WRITE_MAX)).to("set a timeout")?;
        stream
            .write_all(ws::upgrade("/ws", Some(token), Compression::Unasked).as_bytes())
            .to("open a publisher")?;
        let mut reader = Reader::new(Listen::Words);
        let (mut head, mut tally) = (Vec::new(), Tally::default());
        let mut scratch = vec![0; 16 * 1024];
        loop {
            let bytes = stream.read(&mut scratch).to("open a publisher")?;
            head.extend_from_slice(scratch.get(..bytes).unwrap_or_default());
            match ws::answer(&head) {
                Answer::Incomplete if bytes > 0 => {}
                Answer::Opened { head_len, .. } => {
                    reader.feed(head.get(head_len..).unwrap_or_default(), &mut tally, &mut |_, _| ());
                    break;
                }
                Answer::Incomplete => return Err(Fault::new("the server closed a publisher")),
                Answer::Refused(line) => return Err(Fault::new(format!("a publisher was refused: {line}"))),
            }
        }
        let (text, frame) = (Vec::new(), Vec::new());
        Ok(Self { stream, tags, reader, tally, scratch, text, frame, accepted: 0, refused: 0 })
    }

    /// Reports those of its tags whose turn it is; returns how many.
    pub(crate) fn report(&mut self, due_us: i64, tick: usize, ticks: usize) -> Outcome<u64> {
        let time = clock::text(due_us);
        self.text.clear();
        self.text.extend_from_slice(br#"{"type":"report_location","payload":{"locations":["#);
        let mut fixes = 0;
        for index in (tick..self.tags.len()).step_by(ticks) {
            if fixes > 0 {
                self.text.push(b',');
            }
            self.tags.push_item(index, due_us, &time, &mut self.text);
            fixes += 1;
        }
        self.text.extend_from_slice(b"]}}");
        if fixes > 0 {
            self.frame.clear();
            ws::push_text(&mut self.frame, &self.text);
            self.stream.write_all(&self.frame).to("publish")?;
        }
        self.hear()?;
        Ok(fixes)
    }

    /// Reads the answers that are there.
    pub(crate) fn hear(&mut self) -> Outcome {
        loop {
            let bytes = match recv(&self.stream, self.scratch.as_mut_slice(), RecvFlags::DONTWAIT) {
                Ok((_, 0)) => return Err(Fault::new("the server closed a publisher")),
                Ok((_, bytes)) => bytes,
                Err(Errno::AGAIN | Errno::INTR) => break,
                Err(error) => return Err(error).to("hear what became of reports"),
            };
            let (accepted, refused) = (&mut self.accepted, &mut self.refused);
            let data = self.scratch.get(..bytes).unwrap_or_default();
            self.reader.feed(data, &mut self.tally, &mut |kind, body| match kind {
                Kind::Reported => {
                    *accepted += number(body, "\"accepted\":").unwrap_or(0);
                    *refused += u64::from(memchr::memmem::find(body, b"\"refused\":[]").is_none());
                }
                Kind::Refused => *refused += 1,
                _ => {}
            });
        }
        if self.refused > 0 {
            return Err(Fault::new("the server refused a report"));
        }
        Ok(())
    }
}
