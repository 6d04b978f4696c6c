//! Any text as a configuration: read, explained, and turned into what it means.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| anita_fuzz::config::run(bytes));
