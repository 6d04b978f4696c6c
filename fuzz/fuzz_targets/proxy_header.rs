//! Any bytes as what a proxy sends before its client: the header of the PROXY protocol, byte by byte and at once.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| anita_fuzz::proxy_header::run(bytes));
