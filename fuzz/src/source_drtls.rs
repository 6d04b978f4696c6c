//! Any bytes as a message of a DRTLS gateway: the topic up to the first newline, the payload after it.

use anita_formats::{Delivery, Origin, drtls};
use anita_model::{SiteName, SourceName, Timestamp};

/// Decodes the bytes.
pub fn run(bytes: &[u8]) {
    let Ok(source) = SourceName::parse("fuzz") else { return };
    let origin = Origin { source, site: SiteName::main(), received_at: Timestamp::UNIX_EPOCH };
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    let (topic, payload) = bytes.split_at(end);
    let Ok(topic) = std::str::from_utf8(topic) else { return };
    for delivery in [Delivery::Live, Delivery::Retained] {
        let decoded = drtls::decode(topic, payload.get(1..).unwrap_or_default(), delivery, &origin);
        assert!(decoded.reports.len() + decoded.malformed.len() <= 1, "one message is one item");
    }
}
