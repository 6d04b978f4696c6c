//! Any bytes as a message of a DRTLS gateway: the topic up to the first newline, the payload after it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| anita_fuzz::source_drtls::run(bytes));
