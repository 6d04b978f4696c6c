//! Any text as lines of an audit file, verified as `anita audit verify` does it.

use anita_store::audit::{AuditLine, Verification};

/// Reads each line, and holds the chain of them all against itself.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut verification = Verification::of_files([]);
    let mut count = 0_u64;
    for line in text.lines() {
        let Ok(line) = AuditLine::parse(line) else { return };
        if verification.step_line(line).is_err() {
            return;
        }
        count += 1;
    }
    assert!(count == 0 || verification.head().is_some());
    drop(verification.finish());
}
