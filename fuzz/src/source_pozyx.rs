//! Any bytes as a message of a Pozyx gateway.

use anita_formats::{Delivery, Origin, pozyx};
use anita_model::{Report, SiteName, SourceName, Timestamp};

/// Decodes the bytes.
pub fn run(bytes: &[u8]) {
    let Ok(source) = SourceName::parse("fuzz") else { return };
    let origin = Origin { source, site: SiteName::main(), received_at: Timestamp::UNIX_EPOCH };
    for report in pozyx::decode(bytes, Delivery::Live, &origin).reports {
        assert!(!matches!(report, Report::Sighting(_)), "a measurement, with a position or without");
    }
}
