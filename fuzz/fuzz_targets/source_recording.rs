//! Any bytes as a recording, as CSV and as NDJSON.
#![no_main]

use anita_formats::recording::{Format, Reader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for format in [Format::Csv, Format::Ndjson] {
        let due: Vec<_> = Reader::new(format, bytes).filter_map(Result::ok).map(|entry| entry.at).collect();
        assert!(due.is_sorted(), "never backwards");
    }
});
