//! Any text as the payload of a request: the type up to the first newline, the payload after it.

use anita_wire::limits::LOCATIONS_PER_REPORT_MAX;
use anita_wire::request::Request;

/// Reads the payload.
pub fn run(bytes: &[u8]) {
    let Some((name, payload)) = std::str::from_utf8(bytes).ok().and_then(|text| text.split_once('\n')) else {
        return;
    };
    match Request::decode(name, payload) {
        Some(Ok(request)) => {
            assert!(Request::TYPES.contains(&name));
            if let Request::ReportLocation(report) = request {
                assert!(report.items.len() <= LOCATIONS_PER_REPORT_MAX);
            }
        }
        Some(Err(refusal)) => {
            assert!(!refusal.message.is_empty());
            assert!(refusal.details.is_some_and(|details| details["path"].is_string()), "the path is named");
        }
        None => assert!(!Request::TYPES.contains(&name)),
    }
}
