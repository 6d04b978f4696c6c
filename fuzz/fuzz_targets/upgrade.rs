//! Any bytes as the head of an upgrade request: read by the HTTP library, judged by the handshake.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| anita_fuzz::upgrade::run(bytes));
