//! Any bytes as a token, and any header and claims with a valid signature.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| anita_fuzz::token::run(bytes));
