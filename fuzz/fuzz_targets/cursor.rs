//! Any text as a cursor of a history, as an `after` of a request, and as the place of an audit trail.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| anita_fuzz::cursor::run(bytes));
