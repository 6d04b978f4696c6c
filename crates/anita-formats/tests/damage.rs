//! Nothing that a device or a broker sends makes a decoder panic, and nothing that is no position becomes one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

use anita_formats::{Decoded, Delivery, Origin, drtls, pozyx};
use anita_model::{POSITION_ABS_MAX_M, Report, SiteName, SourceName, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

fn origin() -> Origin {
    Origin {
        source: SourceName::parse("damage").unwrap(),
        site: SiteName::main(),
        received_at: Timestamp::UNIX_EPOCH,
    }
}

/// Any JSON, with the names that decoders look for among its keys.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "NaN|inf|-1.5| 7 |1e400|[a-z]{0,4}".prop_map(Value::from),
    ];
    let key = prop::sample::select(vec![
        "position",
        "x",
        "y",
        "z",
        "configuration",
        "anchor",
        "nodeType",
        "label",
        "batt",
        "present",
        "tagId",
        "version",
        "success",
        "timestamp",
        "data",
        "coordinates",
        "errorCode",
    ]);
    leaf.prop_recursive(5, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(key.clone().prop_map(str::to_owned), inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn topic() -> impl Strategy<Value = String> {
    prop_oneof!["dwm/node/[0-9a-f]{4}/uplink/(location|status|config|data)", "[a-z/]{0,20}", ".{0,20}",]
}

fn check(decoded: &Decoded) -> Result<(), TestCaseError> {
    for report in &decoded.reports {
        if let Report::Fix(fix) = report {
            let position = fix.position;
            for coordinate_m in [position.x_m(), position.y_m(), position.z_m()] {
                prop_assert!(coordinate_m.is_finite() && coordinate_m.abs() <= POSITION_ABS_MAX_M);
            }
        }
    }
    for malformed in &decoded.malformed {
        prop_assert!(
            malformed.to_string().chars().count() < 800,
            "a refusal is a line, not a copy: {}",
            malformed
        );
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_on_any_topic(topic in topic(), payload in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&drtls::decode(&topic, &payload, Delivery::Live, &origin()))?;
        check(&pozyx::decode(&payload, Delivery::Live, &origin()))?;
    }

    #[test]
    fn any_json_on_any_topic(topic in topic(), value in any_json()) {
        let payload = value.to_string();
        check(&drtls::decode(&topic, payload.as_bytes(), Delivery::Live, &origin()))?;
        check(&pozyx::decode(payload.as_bytes(), Delivery::Live, &origin()))?;
    }

    #[test]
    fn each_item_of_an_array_is_judged_by_itself(junk in any_json(), place in 0_usize..2) {
        let good = json!({"tagId": "1", "success": true, "timestamp": 1.5,
            "data": {"coordinates": {"x": 1, "y": 2, "z": 3}}});
        let mut items = vec![good];
        items.insert(place, junk);
        let decoded = pozyx::decode(Value::from(items).to_string().as_bytes(), Delivery::Live, &origin());
        prop_assert_eq!(decoded.reports.len() + decoded.malformed.len(), 2);
        prop_assert!(decoded.reports.iter().any(|report| matches!(report, Report::Fix(fix) if fix.device.as_str() == "1")));
    }
}

#[test]
fn a_number_beyond_all_sites_is_refused_with_its_reason() {
    let cases = [
        (r#"{"position":{"x":1e8,"y":0,"z":0}}"#, "too_far"),
        (r#"{"position":{"x":"inf","y":0,"z":0}}"#, "not_finite"),
        (r#"{"position":{"x":1e999,"y":0,"z":0}}"#, "not_json"),
        (r#"{"position":{"x":"one","y":0,"z":0}}"#, "not_a_number"),
        (r#"{"position":{"x":true,"y":0,"z":0}}"#, "not_a_number"),
        (r#"{"position":{"x":1,"y":0}}"#, "missing_field"),
        (r#"{"position":[1,2,3]}"#, "wrong_shape"),
        ("{}", "missing_field"),
        ("7", "wrong_shape"),
        ("\u{0}", "not_json"),
    ];
    for (payload, reason) in cases {
        let decoded =
            drtls::decode("dwm/node/1/uplink/location", payload.as_bytes(), Delivery::Live, &origin());
        assert_eq!(
            decoded.malformed.iter().map(anita_formats::Malformed::reason).collect::<Vec<_>>(),
            [reason],
            "{payload}"
        );
        assert!(decoded.malformed[0].to_string().contains("dwm/node/1/uplink/location"), "the topic is told");
    }
}
