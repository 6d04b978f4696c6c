//! Recordings of positions, read as a stream: CSV, and NDJSON in three dialects.
//!
//! CSV has a header that names `t_s,tag_id,x_m,y_m,z_m` in any order, or, as exports do, `timestamp` (RFC 3339) and `device_id`
//! instead of the first two; `accuracy_m`, `floor` and `battery_percent` are read where they are there, other columns are
//! ignored. A line of NDJSON is one of
//!
//! - `{"t_s":…,"tag_id":…,"x_m":…,"y_m":…,"z_m":…}`, the same names as in CSV;
//! - `{"device_id":…,"location":{"x":…,"y":…,"z":…},"timestamp":…}`, an item of the wire, also inside `{"type":…,"payload":…}`;
//! - a message of a Pozyx gateway.
//!
//! A measurement without a position is skipped and counted; a line that cannot be read is an error with its number, and the
//! next one is read.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::time::Duration;

use anita_model::{DeviceId, Position, Timestamp};

use crate::malformed::{Malformed, Reason};

mod csv;
mod ndjson;

/// The longest line, bytes. A batch of a Pozyx cloud has some hundred kilobytes.
pub const LINE_BYTES_MAX: u64 = 1_048_576;

/// How a recording is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a header.
    Csv,
    /// One JSON value a line.
    Ndjson,
}

/// One position of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The number of its line, from 1.
    pub line: u64,
    /// When to send it, since the first entry. Never runs backwards: an entry out of order is due with the one before it.
    pub at: Duration,
    /// The time of the measurement since the first entry's, microseconds. Negative, or less than that of the entry before it,
    /// where the recording is not in order.
    pub taken_us: i64,
    /// Whose.
    pub device: DeviceId,
    /// Where.
    pub position: Position,
    /// The radius within which the true position probably lies, metres, if recorded.
    pub accuracy_m: Option<f64>,
    /// The floor, if recorded.
    pub floor: Option<f64>,
    /// Charge of the battery, percent, if recorded.
    pub battery_percent: Option<f64>,
    /// The source's own number of the fix, if recorded.
    pub sequence: Option<u64>,
}

/// Why a recording, or a line of it, could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file itself could not be read. Nothing comes after it.
    #[error("cannot read the recording")]
    Io(#[source] io::Error),
    /// The header of a CSV recording lacks what is needed. Nothing comes after it.
    #[error("line 1: the header has no column `{column}`; it must name t_s,tag_id,x_m,y_m,z_m")]
    Header {
        /// The first column that is missing.
        column: &'static str,
    },
    /// One line is refused. The next one is read.
    #[error("line {line}")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// What is wrong with it.
        #[source]
        malformed: Malformed,
    },
}

/// Reads a recording, entry by entry, in constant memory.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    format: Format,
    columns: Option<csv::Columns>,
    line: u64,
    first_us: Option<i64>,
    at_us: i64,
    skipped_count: u64,
    pending: VecDeque<Result<Entry, ReadError>>,
    is_ended: bool,
}

/// One position as a line tells it, before it is set against the first.
struct Sample {
    time_us: i64,
    device: DeviceId,
    position: Position,
    accuracy_m: Option<f64>,
    floor: Option<f64>,
    battery_percent: Option<f64>,
    sequence: Option<u64>,
}

/// What an item of a line is: a position, or a measurement without one.
type Item = Result<Option<Sample>, Malformed>;

// === impl Reader ===

impl<R: BufRead> Reader<R> {
    /// A reader of one recording. Nothing is read yet.
    pub fn new(format: Format, input: R) -> Self {
        Self {
            input,
            format,
            columns: None,
            line: 0,
            first_us: None,
            at_us: 0,
            skipped_count: 0,
            pending: VecDeque::new(),
            is_ended: false,
        }
    }

    /// How many measurements had no position, so far.
    pub fn skipped_count(&self) -> u64 {
        self.skipped_count
    }

    /// Reads one line and queues what it holds.
    fn read_line(&mut self) {
        let text = match self.next_text() {
            Ok(Some(text)) => text,
            Ok(None) => {
                self.is_ended = true;
                return;
            }
            Err(error) => {
                self.is_ended = matches!(error, ReadError::Io(_));
                self.pending.push_back(Err(error));
                return;
            }
        };
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        match (self.format, &self.columns) {
            (Format::Ndjson, _) => {
                for item in ndjson::items(text) {
                    self.queue(item);
                }
            }
            (Format::Csv, Some(columns)) => {
                let item = columns.item(text);
                self.queue(item);
            }
            (Format::Csv, None) => match csv::Columns::parse(text) {
                Ok(columns) => self.columns = Some(columns),
                Err(column) => {
                    self.is_ended = true;
                    self.pending.push_back(Err(ReadError::Header { column }));
                }
            },
        }
    }

    /// The next line as text; `None` at the end.
    fn next_text(&mut self) -> Result<Option<String>, ReadError> {
        let mut bytes = Vec::new();
        let read =
            self.input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes).map_err(ReadError::Io)?;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        let refused = |malformed| ReadError::Line { line: self.line, malformed };
        if bytes.last() != Some(&b'\n') && u64::try_from(read).is_ok_and(|read| read == LINE_BYTES_MAX) {
            skip_line(&mut self.input).map_err(ReadError::Io)?;
            let what = format!("longer than {LINE_BYTES_MAX} bytes");
            return Err(refused(Malformed::new(Reason::DamagedLine, what)));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            refused(Malformed::new(Reason::NotUtf8, format!("not UTF-8: {}", error.utf8_error())))
        })?;
        match (self.line, text.strip_prefix('\u{feff}')) {
            (1, Some(without_mark)) => Ok(Some(without_mark.to_owned())),
            _ => Ok(Some(text)),
        }
    }

    fn queue(&mut self, item: Item) {
        let line = self.line;
        let sample = match item {
            Ok(Some(sample)) => sample,
            Ok(None) => {
                self.skipped_count += 1;
                return;
            }
            Err(malformed) => {
                self.pending.push_back(Err(ReadError::Line { line, malformed }));
                return;
            }
        };
        let taken_us = sample.time_us.saturating_sub(*self.first_us.get_or_insert(sample.time_us));
        self.at_us = self.at_us.max(taken_us);
        self.pending.push_back(Ok(Entry {
            line,
            at: Duration::from_micros(self.at_us.unsigned_abs()),
            taken_us,
            device: sample.device,
            position: sample.position,
            accuracy_m: sample.accuracy_m,
            floor: sample.floor,
            battery_percent: sample.battery_percent,
            sequence: sample.sequence,
        }));
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.pending.pop_front() {
                return Some(entry);
            }
            if self.is_ended {
                return None;
            }
            self.read_line();
        }
    }
}

/// Reads to the end of the line, keeping nothing.
fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let chunk = input.fill_buf()?;
        let (len, is_end) = match chunk.iter().position(|&byte| byte == b'\n') {
            Some(index) => (index + 1, true),
            None => (chunk.len(), chunk.is_empty()),
        };
        input.consume(len);
        if is_end {
            return Ok(());
        }
    }
}

/// Seconds, from a zero of the recording's own, as microseconds. The rounding and the range are those of a time.
fn micros(secs: f64, field: &str) -> Result<i64, Malformed> {
    Timestamp::from_secs_f64(secs).map(Timestamp::as_micros).map_err(|_out_of_range| {
        Malformed::new(Reason::BadTime, format!("`{field}` is not a time in seconds"))
    })
}

#[cfg(test)]
mod tests;
