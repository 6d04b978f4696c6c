//! Any bytes from a socket after its handshake; the cuts of the chunks must not matter.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| anita_fuzz::ws_decoder::run(bytes));
