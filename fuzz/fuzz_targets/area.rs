//! Any text as the filter of a view, of which the area is asked about many places, and compared with what is known of the
//! plane by other means.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| anita_fuzz::area::run(bytes));
