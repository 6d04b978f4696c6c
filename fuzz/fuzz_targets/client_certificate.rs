//! Any bytes as the certificate of a client: whom its names stand for.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| anita_fuzz::client_certificate::run(bytes));
