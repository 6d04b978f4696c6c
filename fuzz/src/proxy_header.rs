//! Any bytes as what a proxy sends before its client: the header of the PROXY protocol, byte by byte and at once.

use anita_forwarded::proxy_protocol::{Parsed, V2_BYTES_MAX, parse};

/// Reads a header as a server does that knows nothing of what follows it.
pub fn run(bytes: &[u8]) {
    let whole = parse(bytes);
    let mut have = 0;
    let by_and_by = loop {
        let Some(beginning) = bytes.get(..have) else { break Ok(None) };
        match parse(beginning) {
            Ok(Parsed::Incomplete { missing_bytes }) => {
                assert!(missing_bytes > 0, "it has to get further");
                have += missing_bytes;
                assert!(have <= V2_BYTES_MAX, "it wants {have} bytes");
            }
            Ok(Parsed::Complete(header)) => {
                assert_eq!(header.bytes, have, "not one byte of the client was read");
                break Ok(Some(header));
            }
            Err(error) => break Err(error),
        }
    };
    match (whole, by_and_by) {
        (Ok(Parsed::Complete(header)), Ok(Some(same))) => assert_eq!(header, same),
        (Ok(Parsed::Incomplete { .. }), Ok(None)) => {}
        // What is wrong may show itself later in small pieces, never be right in them.
        (Err(_), Err(_) | Ok(None)) => {}
        (whole, by_and_by) => panic!("{whole:?} at once and {by_and_by:?} by and by"),
    }
}
