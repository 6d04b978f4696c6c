//! Any bytes as a message of a Pozyx gateway.
#![no_main]

use anita_formats::{Delivery, Origin, pozyx};
use anita_model::{Report, SiteName, SourceName, Timestamp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(source) = SourceName::parse("fuzz") else { return };
    let origin = Origin { source, site: SiteName::main(), received_at: Timestamp::UNIX_EPOCH };
    for report in pozyx::decode(bytes, Delivery::Live, &origin).reports {
        assert!(!matches!(report, Report::Sighting(_)), "a measurement, with a position or without");
    }
});
