//! Any bytes as a recording, as CSV and as NDJSON.

use anita_formats::recording::{Format, Reader};

/// Decodes the bytes.
pub fn run(bytes: &[u8]) {
    for format in [Format::Csv, Format::Ndjson] {
        let due: Vec<_> = Reader::new(format, bytes).filter_map(Result::ok).map(|entry| entry.at).collect();
        assert!(due.is_sorted(), "never backwards");
    }
}
