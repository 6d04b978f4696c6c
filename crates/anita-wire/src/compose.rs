//! A `uwb.position_update` put together from parts that are made once: what is said of a device is the same text in
//! every view that shows it, so it is written once and copied into each.

use std::fmt::Write as _;

use crate::envelope::OfView;
use crate::message::{PositionUpdate, ServerPayload, Whereabouts};
use crate::scalar::Time;

/// One entry of `positions`: `"<id>":{"x":…}`.
pub fn position_entry(device_id: &str, whereabouts: &Whereabouts) -> String {
    // Strings and numbers always become JSON.
    let id = serde_json::to_string(device_id).unwrap_or_default();
    let place = serde_json::to_string(whereabouts).unwrap_or_default();
    format!("{id}:{place}")
}

/// The text of a [`PositionUpdate`] with these entries, each of [`position_entry`].
pub fn position_update<'a>(
    view: OfView<'_>,
    entries: impl Iterator<Item = &'a [u8]>,
    timestamp: Time,
    buffer: &mut Vec<u8>,
) {
    buffer.extend_from_slice(br#"{"type":""#);
    buffer.extend_from_slice(PositionUpdate::TYPE.as_bytes());
    buffer.push(b'"');
    if let Some(subscription) = view.subscription {
        let name = serde_json::to_string(subscription).unwrap_or_default();
        buffer.extend_from_slice(br#","subscription":"#);
        buffer.extend_from_slice(name.as_bytes());
    }
    buffer.extend_from_slice(br#","payload":{"positions":{"#);
    for (index, entry) in entries.enumerate() {
        if index > 0 {
            buffer.push(b',');
        }
        buffer.extend_from_slice(entry);
    }
    let mut end = String::with_capacity(48);
    // Writing to a String does not fail.
    write!(end, r#"}},"timestamp":"{}"}}}}"#, timestamp.0).ok();
    buffer.extend_from_slice(end.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use anita_model::{Position, Timestamp};
    use proptest::prelude::*;

    use super::*;
    use crate::Outgoing;
    use crate::scalar::{Metres, Percent};

    proptest! {
        /// The parts, put together, are to the letter what the whole would be.
        #[test]
        fn a_composed_update_is_the_serialised_one(
            devices in proptest::collection::btree_map("[^\\p{C}]{1,8}", (-1e4..1e4_f64, proptest::option::of(0.0..9.0_f64)), 0..5),
            subscription in proptest::option::of("s[0-9]"),
            micros in 0..4_000_000_000_000_000_i64,
        ) {
            let timestamp = Time(Timestamp::from_micros(micros).unwrap());
            let positions: BTreeMap<String, Whereabouts> = devices
                .into_iter()
                .map(|(id, (x, more))| {
                    let place = Position::new(x, -x, 0.5).unwrap().into();
                    let whereabouts = Whereabouts {
                        place,
                        accuracy: more.map(Metres),
                        floor: more,
                        battery: more.map(Percent),
                        timestamp: more.map(|_| timestamp),
                    };
                    (id, whereabouts)
                })
                .collect();
            let entries: Vec<String> = positions.iter().map(|(id, it)| position_entry(id, it)).collect();
            let view = OfView { subscription: subscription.as_deref(), place: None };
            let mut composed = Vec::new();
            position_update(view, entries.iter().map(String::as_bytes), timestamp, &mut composed);
            let whole = Outgoing::of_view(&PositionUpdate { positions, timestamp, playback: None }, view).to_text();
            prop_assert_eq!(String::from_utf8(composed).unwrap(), whole);
        }
    }
}
