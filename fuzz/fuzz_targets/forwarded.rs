//! Any bytes as the lines of `X-Forwarded-For` and `Forwarded`, and as the networks of proxies.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| anita_fuzz::forwarded::run(bytes));
