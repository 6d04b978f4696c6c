//! Publishers that keep to a schedule: a fix is due at its time, whether the server took the one before or not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anita_client::{Client, Connection, Options, Token};
use futures_util::FutureExt as _;
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use crate::clock::{self, now_us, sleep_until};
use crate::fault::{Fault, Outcome, While as _};
use crate::histogram::Histogram;
use crate::tags::{Floor, Tags};

/// How long a server may refuse to take bytes.
const WRITE_MAX: Duration = Duration::from_secs(8);

/// Tokio's clock has milliseconds: the rest of a wait is slept through by the thread.
const CLOCK_STEP_US: i64 = 2_000;

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
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.to("start a runtime")?;
        let mut links = Vec::new();
        for number in 0..plan.connections {
            let range = number * plan.tags / plan.connections..(number + 1) * plan.tags / plan.connections;
            let tags = Tags::new(range, plan.floor, 7);
            links.push(runtime.block_on(Link::open(server, token, tags))?);
        }
        Self::spawn(move |counters| runtime.block_on(publish(links, plan, counters)))
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

async fn publish(mut links: Vec<Link>, plan: Plan, counters: &Counters) -> Outcome<Histogram> {
    let mut lateness = Histogram::default();
    let ticks = plan.ticks();
    // Due times are whole milliseconds: the height of a tag holds no more.
    let mut due_us = (now_us() / 1_000 + 20) * 1_000;
    let mut tick = 0;
    while !counters.is_over() {
        let rest_us = u64::try_from(due_us - CLOCK_STEP_US - now_us()).unwrap_or(0);
        sleep(Duration::from_micros(rest_us)).await;
        sleep_until(due_us);
        for link in &mut links {
            let fixes = link.report(due_us, tick, ticks).await?;
            lateness.record(now_us() - due_us);
            counters.sent.fetch_add(fixes, Ordering::Relaxed);
            counters.accepted.fetch_add(link.hear()?, Ordering::Relaxed);
        }
        due_us += plan.tick_ms * 1_000;
        tick = (tick + 1) % ticks;
    }
    // What was taken last is said a little later.
    let until_us = now_us() + 1_000_000;
    while counters.accepted.load(Ordering::Relaxed) < counters.sent.load(Ordering::Relaxed)
        && now_us() < until_us
    {
        sleep(Duration::from_millis(5)).await;
        for link in &mut links {
            counters.accepted.fetch_add(link.hear()?, Ordering::Relaxed);
        }
    }
    Ok(lateness)
}

/// One publishing connection: the client that applications have.
#[derive(Debug)]
struct Link {
    connection: Connection,
    tags: Tags,
}

/// What the server says of a report.
#[derive(Debug, Deserialize)]
struct Reported {
    accepted: u64,
    refused: Vec<serde::de::IgnoredAny>,
}

impl Link {
    async fn open(server: SocketAddr, token: &str, tags: Tags) -> Outcome<Self> {
        let mut options = Options::new(format!("ws://{server}/ws"));
        options.token = Some(Token::new(token));
        Ok(Self { connection: Client::connect(options).await.to("connect a publisher")?, tags })
    }

    /// Reports those of its tags whose turn it is; returns how many.
    async fn report(&mut self, due_us: i64, tick: usize, ticks: usize) -> Outcome<u64> {
        let time = clock::text(due_us);
        let mut text = br#"{"type":"report_location","payload":{"locations":["#.to_vec();
        let mut fixes = 0;
        for index in (tick..self.tags.len()).step_by(ticks) {
            if fixes > 0 {
                text.push(b',');
            }
            self.tags.push_item(index, due_us, &time, &mut text);
            fixes += 1;
        }
        text.extend_from_slice(b"]}}");
        if fixes > 0 {
            let text = String::from_utf8(text).to("write a report")?;
            let sent = timeout(WRITE_MAX, self.connection.send_text(text)).await;
            sent.to("publish in time")?.to("publish")?;
        }
        Ok(fixes)
    }

    /// Reads the answers that are there; returns how many fixes they say were taken.
    fn hear(&mut self) -> Outcome<u64> {
        let mut accepted = 0;
        while let Some(next) = self.connection.next().now_or_never() {
            let message = next.to("hear what became of reports")?;
            let message = message.ok_or_else(|| Fault::new("the server closed a publisher"))?;
            match message.kind.as_str() {
                "uwb.locations_reported" => {
                    let answer: Reported = message.payload_as().to("read what became of a report")?;
                    if !answer.refused.is_empty() {
                        return Err(Fault::new("the server refused fixes of a report"));
                    }
                    accepted += answer.accepted;
                }
                "error" => return Err(Fault::new(format!("the server refused a report: {}", message.text))),
                _ => {}
            }
        }
        Ok(accepted)
    }
}
