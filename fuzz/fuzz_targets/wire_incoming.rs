//! Any text as a message of a client, and what is answered.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| anita_fuzz::wire_incoming::run(bytes));
