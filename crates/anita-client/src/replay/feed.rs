//! A recording, read on a thread of its own a little ahead of what is due.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use anita_formats::recording::{Entry, Format, ReadError, Reader};
use anita_model::Timestamp;
use tokio::sync::mpsc;

use crate::replay::ReplayError;
use crate::replay::schedule::Due;

/// How many entries are read ahead.
const AHEAD_COUNT: usize = 2_000;

/// Times below this one, 2000-01-01, count from a zero of the recording's own: they are no dates. Microseconds.
const DATES_FROM_US: i64 = 946_684_800_000_000;

/// An entry at the Unix epoch. The reader tells times since the first entry; with this one first, it tells them since the epoch.
const EPOCH_LINE: &str = "{\"t_s\":0,\"tag_id\":\"epoch\",\"x_m\":0,\"y_m\":0,\"z_m\":0}\n";

/// What comes of a recording.
#[derive(Debug)]
pub(super) enum Fed {
    /// An entry.
    Entry(Due),
    /// A line, or all that follows, can't be read.
    Bad(ReadError),
    /// The end, and how many measurements had no position.
    End {
        /// How many.
        skipped_count: u64,
    },
}

/// Which times the entries get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    /// Those of the schedule.
    Shifted,
    /// The recorded ones, where the recording has dates.
    Recorded,
}

/// The entries of one pass.
#[derive(Debug)]
pub(super) struct Feed {
    entries: mpsc::Receiver<Fed>,
}

// === impl Feed ===

impl Feed {
    /// Opens the recording; the reading ends when the feed is dropped.
    pub(super) async fn open(path: &Path, format: Format, times: Times) -> Result<Self, ReplayError> {
        let (tx, entries) = mpsc::channel(AHEAD_COUNT);
        let unopened = |source| ReplayError::Open { path: path.to_owned(), source };
        let file = tokio::fs::File::open(path).await.map_err(unopened)?.into_std().await;
        tokio::task::spawn_blocking(move || read(file, format, times, &tx));
        Ok(Self { entries })
    }

    /// What comes next; `None` after the end. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Fed> {
        self.entries.recv().await
    }
}

fn read(file: File, format: Format, times: Times, tx: &mpsc::Sender<Fed>) {
    let file = BufReader::new(file);
    match (times, format) {
        (Times::Recorded, Format::Ndjson) => {
            let mut reader = Reader::new(format, EPOCH_LINE.as_bytes().chain(file));
            reader.next();
            let mut dates = Dates::default();
            forward(&mut reader, tx, |read| dates.fed(read));
        }
        // CSV has no dates.
        (Times::Recorded, Format::Csv) | (Times::Shifted, _) => {
            let mut reader = Reader::new(format, file);
            forward(&mut reader, tx, |read| match read {
                Ok(entry) => {
                    Fed::Entry(Due { at: entry.at, taken_us: entry.taken_us, recorded_at: None, entry })
                }
                Err(error) => Fed::Bad(error),
            });
        }
    }
}

fn forward<R: BufRead>(
    reader: &mut Reader<R>,
    tx: &mpsc::Sender<Fed>,
    mut fed: impl FnMut(Result<Entry, ReadError>) -> Fed,
) {
    for read in reader.by_ref() {
        if tx.blocking_send(fed(read)).is_err() {
            return;
        }
    }
    // Nobody may be there any more to hear of the end.
    tx.blocking_send(Fed::End { skipped_count: reader.skipped_count() }).ok();
}

/// Entries whose times are told since the epoch.
#[derive(Debug, Default)]
struct Dates {
    first_us: Option<i64>,
    at_us: i64,
}

impl Dates {
    /// What was read, in the file's own lines: that of the epoch does not belong to it.
    fn fed(&mut self, read: Result<Entry, ReadError>) -> Fed {
        match read {
            Ok(entry) => Fed::Entry(self.due(Entry { line: entry.line.saturating_sub(1), ..entry })),
            Err(ReadError::Line { line, malformed }) => {
                Fed::Bad(ReadError::Line { line: line.saturating_sub(1), malformed })
            }
            Err(error @ (ReadError::Io(_) | ReadError::Header { .. })) => Fed::Bad(error),
        }
    }

    fn due(&mut self, entry: Entry) -> Due {
        let recorded_us = entry.taken_us;
        let taken_us = recorded_us - *self.first_us.get_or_insert(recorded_us);
        self.at_us = self.at_us.max(taken_us);
        let recorded_at =
            (recorded_us >= DATES_FROM_US).then(|| Timestamp::from_micros(recorded_us).ok()).flatten();
        Due { at: Duration::from_micros(self.at_us.unsigned_abs()), taken_us, recorded_at, entry }
    }
}
