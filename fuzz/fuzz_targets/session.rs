//! Any text as what several clients of one hub do: whole conversations, held against what must be true of them all.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| anita_fuzz::session::run(bytes));
