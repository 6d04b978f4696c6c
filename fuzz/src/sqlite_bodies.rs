//! Any bytes as what the embedded store keeps of fixes, and a spool of records: as from a damaged file.

/// Reads the bytes in each of the forms; what can be read has to be the same when it is written and read again.
pub fn run(bytes: &[u8]) {
    anita_sqlite::fuzz(bytes);
}
