//! How a source is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anita_formats::{Decoded, Malformed, Reason};
use anita_model::{Report, SourceName, Timestamp};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::limiter::Limiter;

/// What a source is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It is connecting.
    Starting,
    /// It is connected and hears what comes.
    Connected,
    /// It faulted and waits for its next attempt.
    Waiting,
    /// It was told to stop, and did.
    Stopped,
}

/// The health of one source at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Which source.
    pub source: SourceName,
    /// What it is doing.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// The last fault with its causes; `None` while it never had one. It stays after the source has come back.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<Timestamp>,
    /// What to do about it.
    pub remedy: Option<&'static str>,
    /// Messages or lines that arrived.
    pub messages: u64,
    /// Items that were refused, by reason; only reasons that occurred.
    pub malformed: BTreeMap<&'static str, u64>,
    /// Measurements that gave no position.
    pub no_position: u64,
    /// Reports that were not accepted and are lost, because nobody keeps them for another attempt.
    pub dropped: u64,
    /// How often it was started again.
    pub restarts: u64,
}

/// How a source is, shared between the source, its supervisor, and whoever asks.
#[derive(Debug)]
pub struct Health {
    source: SourceName,
    condition: Mutex<Condition>,
    limiter: Mutex<Limiter>,
    messages: AtomicU64,
    malformed: [AtomicU64; Reason::ALL.len()],
    no_position: AtomicU64,
    dropped: AtomicU64,
    restarts: AtomicU64,
}

#[derive(Debug)]
struct Condition {
    state: State,
    since: Timestamp,
    connected_at: Option<Instant>,
    last_error: Option<LastError>,
}

/// A fault, in words.
#[derive(Debug, Clone)]
struct LastError {
    text: String,
    remedy: &'static str,
    at: Timestamp,
}

// === impl State ===

impl State {
    /// A stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Connected => "connected",
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
        }
    }
}

// === impl Health ===

impl Health {
    /// The health of a source that has not been started yet.
    pub fn new(source: SourceName, now: Timestamp) -> Arc<Self> {
        Arc::new(Self {
            source,
            condition: Mutex::new(Condition {
                state: State::Starting,
                since: now,
                connected_at: None,
                last_error: None,
            }),
            limiter: Mutex::default(),
            messages: AtomicU64::new(0),
            malformed: std::array::from_fn(|_| AtomicU64::new(0)),
            no_position: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
        })
    }

    /// Which source.
    pub fn source(&self) -> &SourceName {
        &self.source
    }

    /// Everything, as it is now.
    pub fn snapshot(&self) -> Snapshot {
        let condition = self.condition.lock();
        let counted = Reason::ALL.iter().zip(&self.malformed);
        Snapshot {
            source: self.source.clone(),
            state: condition.state,
            since: condition.since,
            last_error: condition.last_error.as_ref().map(|it| it.text.clone()),
            last_error_at: condition.last_error.as_ref().map(|it| it.at),
            remedy: condition.last_error.as_ref().map(|it| it.remedy),
            messages: read(&self.messages),
            malformed: counted
                .map(|(reason, count)| (reason.as_str(), read(count)))
                .filter(|(_, count)| *count > 0)
                .collect(),
            no_position: read(&self.no_position),
            dropped: read(&self.dropped),
            restarts: read(&self.restarts),
        }
    }

    /// The source hears what comes.
    pub fn connected(&self, now: Timestamp) {
        self.enter(State::Connected, now);
        tracing::info!(source = %self.source, "source connected");
    }

    /// A message or a line arrived.
    pub fn count_message(&self) {
        add(&self.messages, 1);
    }

    /// Reports are lost.
    pub fn count_dropped(&self, reports: usize) {
        add(&self.dropped, u64::try_from(reports).unwrap_or(u64::MAX));
    }

    /// Counts what a message held, logs what was bad about it, and gives its reports.
    pub fn take(&self, decoded: Decoded) -> Vec<Report> {
        for malformed in &decoded.malformed {
            self.complain(malformed);
        }
        let unsolved =
            decoded.reports.iter().filter(|report| matches!(report, Report::NoPosition(_))).count();
        add(&self.no_position, u64::try_from(unsolved).unwrap_or(u64::MAX));
        decoded.reports
    }

    pub(crate) fn starting(&self, now: Timestamp) {
        self.enter(State::Starting, now);
    }

    pub(crate) fn restarting(&self, now: Timestamp) {
        add(&self.restarts, 1);
        self.enter(State::Starting, now);
    }

    /// It faulted: what is told of the fault, and what to do about it.
    pub(crate) fn waiting(&self, text: String, remedy: &'static str, now: Timestamp) {
        self.enter(State::Waiting, now);
        self.condition.lock().last_error = Some(LastError { text, remedy, at: now });
    }

    pub(crate) fn stopped(&self, now: Timestamp) {
        self.enter(State::Stopped, now);
    }

    /// For how long the source has been connected; zero when it is not.
    pub(crate) fn connected_for(&self) -> Duration {
        self.condition.lock().connected_at.map_or(Duration::ZERO, |at| at.elapsed())
    }

    /// Whether to log a complaint of this kind; see [`Limiter::admit`].
    pub(crate) fn admit(&self, kind: &'static str) -> Option<u64> {
        self.limiter.lock().admit(kind, Instant::now())
    }

    fn enter(&self, state: State, now: Timestamp) {
        let mut condition = self.condition.lock();
        condition.state = state;
        condition.since = now;
        condition.connected_at = (state == State::Connected).then(Instant::now);
    }

    fn complain(&self, malformed: &Malformed) {
        let position = Reason::ALL.iter().position(|&reason| reason == malformed.kind());
        if let Some(count) = position.and_then(|position| self.malformed.get(position)) {
            add(count, 1);
        }
        let reason = malformed.reason();
        if let Some(suppressed) = self.admit(reason) {
            tracing::warn!(source = %self.source, reason, suppressed, "bad message: {malformed}");
        }
    }
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}
