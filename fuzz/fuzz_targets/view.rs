//! Any text as the payload of `subscribe`: the area and the filter are asked about a device that walks.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| anita_fuzz::view::run(bytes));
