//! Any text as lines of an audit file, verified as `anita audit verify` does it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| anita_fuzz::audit_line::run(bytes));
