//! Any bytes as the picture of a floor plan: PNG, JPEG, WebP or SVG.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| anita_fuzz::plan_picture::run(bytes));
