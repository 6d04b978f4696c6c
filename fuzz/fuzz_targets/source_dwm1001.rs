//! Any bytes from a serial line, cut into lines and decoded; the cuts of the chunks must not matter.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| anita_fuzz::source_dwm1001::run(bytes));
