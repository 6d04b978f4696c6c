//! Any bytes as a recording, as CSV and as NDJSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| anita_fuzz::source_recording::run(bytes));
