//! Any bytes as the keys that an issuer publishes, and as a key file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| anita_fuzz::jwks::run(bytes));
