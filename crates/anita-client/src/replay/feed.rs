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

/// The entries of one pass.
#[derive(Debug)]
pub(super) struct Feed {
    entries: mpsc::Receiver<Fed>,
}

// === impl Feed ===

impl Feed {
    /// Opens the recording; the reading ends when the feed is dropped.
    pub(super) async fn open(path: &Path, format: Format, keep_time: bool) -> Result<Self, ReplayError> {
        let (tx, entries) = mpsc::channel(AHEAD_COUNT);
        let unopened = |source| ReplayError::Open { path: path.to_owned(), source };
        let file = tokio::fs::File::open(path).await.map_err(unopened)?.into_std().await;
        // Only NDJSON has dates.
        let keep_time = keep_time && format == Format::Ndjson;
        tokio::task::spawn_blocking(move || read(file, format, keep_time, &tx));
        Ok(Self { entries })
    }

    /// What comes next; `None` after the end. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Fed> {
        self.entries.recv().await
    }
}

fn read(file: File, format: Format, keep_time: bool, tx: &mpsc::Sender<Fed>) {
    if keep_time {
        let mut reader = Reader::new(format, EPOCH_LINE.as_bytes().chain(BufReader::new(file)));
        reader.next();
        let mut dates = Dates::default();
        forward(&mut reader, tx, |entry| dates.due(entry));
    } else {
        let mut reader = Reader::new(format, BufReader::new(file));
        forward(&mut reader, tx, |entry| Due {
            at: entry.at,
            taken_us: entry.taken_us,
            recorded_at: None,
            entry,
        });
    }
}

fn forward<R: BufRead>(reader: &mut Reader<R>, tx: &mpsc::Sender<Fed>, mut due: impl FnMut(Entry) -> Due) {
    while let Some(read) = reader.next() {
        let fed = match read {
            Ok(entry) => Fed::Entry(due(entry)),
            Err(error) => Fed::Bad(error),
        };
        if tx.blocking_send(fed).is_err() {
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
    fn due(&mut self, mut entry: Entry) -> Due {
        let recorded_us = entry.taken_us;
        let taken_us = recorded_us - *self.first_us.get_or_insert(recorded_us);
        self.at_us = self.at_us.max(taken_us);
        // The line of the epoch does not belong to the file.
        entry.line = entry.line.saturating_sub(1);
        let recorded_at =
            (recorded_us >= DATES_FROM_US).then(|| Timestamp::from_micros(recorded_us).ok()).flatten();
        Due { at: Duration::from_micros(self.at_us.unsigned_abs()), taken_us, recorded_at, entry }
    }
}
