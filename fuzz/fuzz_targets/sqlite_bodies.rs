//! Any bytes as what the embedded store keeps of fixes, and a spool of records: as from a damaged file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| anita_fuzz::sqlite_bodies::run(bytes));
