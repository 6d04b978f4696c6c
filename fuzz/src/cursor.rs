//! Any text as a cursor of a history, as an `after` of a request, and as the place of an audit trail.

use anita_store::{AuditHead, Cursor};

/// Reads the text; what can be read has to be written the same way again.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(cursor) = Cursor::parse(text) {
        let again = Cursor::parse(&cursor.to_string());
        assert_eq!(again, Ok(cursor), "what is handed out is taken back");
    }
    if let Ok(head) = text.parse::<AuditHead>() {
        assert_eq!(head.to_string().parse::<AuditHead>().ok(), Some(head));
    }
}
