//! `replay`: a recording is sent in its own time, faster, slower, or again and again.
//!
//! An entry is due at the recording's spacing since its first one, divided by the speed. Its `timestamp` is the moment at which
//! it would have been measured if the recording had begun now and run at that speed, so that the live state moves; entries that
//! are out of order in the recording stay so. What is due goes out in one report, at most every 50 ms. A report that the server
//! could not take is sent again as it was: the server knows a fix that it has by its device and timestamp, so nothing is lost
//! and nothing counts twice.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use anita_formats::recording::{Format, ReadError};
use anita_model::Timestamp;
use anita_wire::limits::LOCATIONS_PER_REPORT_MAX;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::address::{Address, AddressError};
use crate::connection::Url;
use crate::error::ConnectError;
use crate::replay::feed::{Fed, Feed, Times};
use crate::replay::reporter::{Outcome, Reporter};
use crate::replay::schedule::{Due, Schedule};
use crate::token::Token;
use crate::trust::{Trust, TrustError};

mod feed;
mod reporter;
mod schedule;

/// The time between two reports that are not full.
const REPORT_EVERY: Duration = Duration::from_millis(50);

/// The time between two [`ReplayEvent::Progress`].
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// How many refused items are told one by one; all are counted.
const REFUSED_TOLD_MAX: u64 = 10;

/// What to replay, to whom, and how.
#[derive(Debug, Clone)]
pub struct ReplayOptions {
    /// The base URL, `http(s)://` or `ws(s)://`; the URL of a WebSocket of the server does as well.
    pub url: Url,
    /// The token of a publisher.
    pub token: Option<Token>,
    /// Which certificates are trusted.
    pub trust: Trust,
    /// Whether plain text may go to other machines than this one.
    pub allow_plain: bool,
    /// The recording.
    pub file: PathBuf,
    /// How it is written; by its extension when absent.
    pub format: Option<Format>,
    /// How many times as fast as it was.
    pub speed: f64,
    /// Whether to begin again at its end, until stopped. Each pass begins its times anew.
    pub is_loop: bool,
    /// Whether the recorded times are sent, where the recording has dates. They may be too old to become the live state.
    pub keep_time: bool,
    /// The most items of one report, 1 to 1,000.
    pub batch_max: usize,
    /// How long one report is tried before the replay gives up.
    pub retry_for: Duration,
    /// Cancelled at Ctrl-C.
    pub stop: CancellationToken,
}

/// What happens meanwhile, for people.
#[derive(Debug)]
pub enum ReplayEvent<'a> {
    /// How far it is: once a second, and at the end.
    Progress(Progress),
    /// A line can't be read. It is skipped.
    BadLine {
        /// Its number and what is wrong.
        error: &'a ReadError,
    },
    /// An item was refused. Only the first ones are told.
    Refused {
        /// The line of the recording.
        line: u64,
        /// The stable code.
        code: &'a str,
        /// What is wrong.
        message: &'a str,
    },
    /// The server could not take a report; it is sent again after the wait.
    Retry {
        /// Why.
        error: &'a ConnectError,
        /// How long until then.
        wait: Duration,
    },
}

/// How far a replay is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Entries that the server answered for.
    pub sent: u64,
    /// How far into the recording.
    pub position: Duration,
    /// Entries a second, since the progress before.
    pub per_second: f64,
    /// The pass, from 1.
    pub pass: u64,
}

/// What a replay did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplayReport {
    /// Entries that the server answered for: those accepted and those refused.
    pub sent: u64,
    /// Entries that were taken.
    pub accepted: u64,
    /// Entries that were refused.
    pub refused: u64,
    /// Reports that were sent again.
    pub retried: u64,
    /// Entries of the last report, when the replay was stopped before the server answered for it.
    pub unanswered: u64,
    /// Measurements of the recording that have no position.
    pub without_position: u64,
    /// Lines that can't be read.
    pub bad_lines: u64,
    /// Passes that came to the end of the recording.
    pub passes: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// Why a replay ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The URL can't be used.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No certificate can be trusted as was asked.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The extension says nothing.
    #[error("{path} is neither .csv nor .ndjson; name its format")]
    Format {
        /// The recording.
        path: PathBuf,
    },
    /// The speed makes no sense.
    #[error("the speed has to be more than 0 and at most 1,000,000, not {0}")]
    Speed(f64),
    /// The size of a report makes no sense.
    #[error("a report has 1 to {LOCATIONS_PER_REPORT_MAX} items, not {0}")]
    BatchMax(usize),
    /// Two options contradict each other.
    #[error("a loop can't keep the recorded times: the second pass would bring nothing new")]
    LoopKeepsTime,
    /// The recording can't be opened.
    #[error("cannot open {path}")]
    Open {
        /// The recording.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The recording can't be read, or not further.
    #[error("the recording cannot be read")]
    Read(#[from] ReadError),
    /// There is nothing in it to send.
    #[error("{path} holds no position")]
    Empty {
        /// The recording.
        path: PathBuf,
    },
    /// The server won't take reports, or not for too long.
    #[error("the server does not take the locations")]
    Report(#[source] ConnectError),
}

/// How one pass through the recording ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PassEnd {
    Finished,
    Stopped,
}

struct Replay<'a, F> {
    options: &'a ReplayOptions,
    reporter: Reporter,
    report: ReplayReport,
    began_at: Instant,
    told_at: Instant,
    told_sent: u64,
    position: Duration,
    /// From 1.
    pass: u64,
    on_event: F,
}

// === impl ReplayOptions ===

impl ReplayOptions {
    /// Replays a file once in its own time.
    pub fn new(url: impl Into<String>, file: impl Into<PathBuf>) -> Self {
        Self {
            url: Url(url.into()),
            token: None,
            trust: Trust::System,
            allow_plain: false,
            file: file.into(),
            format: None,
            speed: 1.0,
            is_loop: false,
            keep_time: false,
            batch_max: 500,
            retry_for: Duration::from_secs(120),
            stop: CancellationToken::new(),
        }
    }

    fn check(&self) -> Result<Format, ReplayError> {
        if !(self.speed > 0.0 && self.speed <= 1e6) {
            return Err(ReplayError::Speed(self.speed));
        }
        if !(1..=LOCATIONS_PER_REPORT_MAX).contains(&self.batch_max) {
            return Err(ReplayError::BatchMax(self.batch_max));
        }
        if self.is_loop && self.keep_time {
            return Err(ReplayError::LoopKeepsTime);
        }
        let extension = self.file.extension().and_then(|it| it.to_str()).map(str::to_ascii_lowercase);
        match (self.format, extension.as_deref()) {
            (Some(format), _) => Ok(format),
            (None, Some("csv")) => Ok(Format::Csv),
            (None, Some("ndjson" | "jsonl")) => Ok(Format::Ndjson),
            (None, _) => Err(ReplayError::Format { path: self.file.clone() }),
        }
    }
}

/// Sends a recording as reports to `POST /api/v1/locations`, in constant memory. A stop is no error.
///
/// # Errors
/// [`ReplayError`]. What was sent until then was told by the last [`ReplayEvent::Progress`].
pub async fn replay(
    options: ReplayOptions,
    on_event: impl FnMut(ReplayEvent<'_>),
) -> Result<ReplayReport, ReplayError> {
    let format = options.check()?;
    let address = Address::parse(&options.url.0)?;
    if !options.allow_plain {
        address.check_secrecy()?;
    }
    let tls = if address.is_tls { Some(options.trust.client_config()?) } else { None };
    let reporter = Reporter::new(address, tls, options.token.as_ref()).map_err(ReplayError::Report)?;
    let now = Instant::now();
    let mut replay = Replay {
        options: &options,
        reporter,
        report: ReplayReport::default(),
        began_at: now,
        told_at: now,
        told_sent: 0,
        position: Duration::ZERO,
        pass: 0,
        on_event,
    };
    let run = replay.run(format).await;
    replay.tell_progress();
    replay.report.elapsed = replay.began_at.elapsed();
    run.map(|()| replay.report)
}

// === impl Replay ===

impl<F: FnMut(ReplayEvent<'_>)> Replay<'_, F> {
    async fn run(&mut self, format: Format) -> Result<(), ReplayError> {
        let times = if self.options.keep_time { Times::Recorded } else { Times::Shifted };
        loop {
            self.pass += 1;
            let feed = Feed::open(&self.options.file, format, times).await?;
            let sent_before = self.report.sent;
            let end = self.pass(feed).await?;
            if end == PassEnd::Stopped {
                return Ok(());
            }
            self.report.passes += 1;
            if self.report.sent == sent_before {
                return Err(ReplayError::Empty { path: self.options.file.clone() });
            }
            if !self.options.is_loop {
                return Ok(());
            }
        }
    }

    /// One pass: waits for what is due next, takes all that is due with it, reports it.
    async fn pass(&mut self, mut feed: Feed) -> Result<PassEnd, ReplayError> {
        let schedule = Schedule::begin(Instant::now(), Timestamp::now(), self.options.speed);
        let stop = self.options.stop.clone();
        let mut due = VecDeque::new();
        let mut next = self.next_entry(&mut feed).await?;
        let mut report_at = schedule.began_at();
        while let Some(entry) = next.take() {
            let wait_until = schedule.due_at(&entry).max(report_at);
            if stop.run_until_cancelled(sleep_until(wait_until)).await.is_none() {
                return Ok(PassEnd::Stopped);
            }
            let now = Instant::now();
            let mut following = Some(entry);
            while let Some(entry) = following.take() {
                if schedule.due_at(&entry) > now || due.len() >= self.options.batch_max {
                    following = Some(entry);
                    break;
                }
                self.position = entry.at;
                due.push_back(schedule.stamp(entry));
                following = self.next_entry(&mut feed).await?;
            }
            next = following;
            // What is due beyond a full report must not wait for the next turn.
            let is_full = due.len() >= self.options.batch_max;
            report_at = if is_full { now } else { now + REPORT_EVERY };
            if self.send(due.make_contiguous()).await? == PassEnd::Stopped {
                return Ok(PassEnd::Stopped);
            }
            due.clear();
        }
        Ok(PassEnd::Finished)
    }

    /// The next entry of the recording; what can't be read is told and counted. `None` at the end.
    async fn next_entry(&mut self, feed: &mut Feed) -> Result<Option<Due>, ReplayError> {
        loop {
            match feed.next().await {
                Some(Fed::Entry(entry)) => return Ok(Some(entry)),
                Some(Fed::Bad(error @ ReadError::Line { .. })) => {
                    self.report.bad_lines += 1;
                    (self.on_event)(ReplayEvent::BadLine { error: &error });
                }
                Some(Fed::Bad(error)) => return Err(error.into()),
                Some(Fed::End { skipped_count }) => {
                    self.report.without_position += skipped_count;
                    return Ok(None);
                }
                None => return Ok(None),
            }
        }
    }

    async fn send(&mut self, batch: &[schedule::Stamped]) -> Result<PassEnd, ReplayError> {
        let on_event = &mut self.on_event;
        let retried = &mut self.report.retried;
        let retry = |error: &ConnectError, wait| {
            *retried += 1;
            on_event(ReplayEvent::Retry { error, wait });
        };
        let outcome = self.reporter.report(batch, self.options.retry_for, &self.options.stop, retry).await;
        let answer = match outcome.map_err(ReplayError::Report)? {
            Outcome::Answered(answer) => answer,
            Outcome::Stopped => {
                self.report.unanswered += batch.len() as u64;
                return Ok(PassEnd::Stopped);
            }
        };
        self.report.sent += batch.len() as u64;
        self.report.accepted += answer.accepted;
        for refused in &answer.refused {
            self.report.refused += 1;
            if self.report.refused <= REFUSED_TOLD_MAX {
                let line = batch.get(refused.index).map_or(0, |item| item.line);
                let (code, message) = (refused.code.as_str(), refused.message.as_str());
                (self.on_event)(ReplayEvent::Refused { line, code, message });
            }
        }
        if self.told_at.elapsed() >= PROGRESS_EVERY {
            self.tell_progress();
        }
        Ok(PassEnd::Finished)
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn tell_progress(&mut self) {
        let elapsed_secs = self.told_at.elapsed().as_secs_f64().max(1e-3);
        let per_second = (self.report.sent - self.told_sent) as f64 / elapsed_secs;
        (self.told_at, self.told_sent) = (Instant::now(), self.report.sent);
        let (sent, position, pass) = (self.report.sent, self.position, self.pass);
        (self.on_event)(ReplayEvent::Progress(Progress { sent, position, per_second, pass }));
    }
}

#[cfg(test)]
mod tests;
