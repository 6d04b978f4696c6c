//! Any bytes as a message of a Pozyx gateway.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| anita_fuzz::source_pozyx::run(bytes));
