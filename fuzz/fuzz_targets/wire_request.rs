//! Any text as the payload of a request: the type up to the first newline, the payload after it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| anita_fuzz::wire_request::run(bytes));
