//! The golden files of `conformance/source`: what each real message becomes, in a form that people read.
//!
//! A case is `<case>.in`, the message as it came. Beside it, where needed, `<case>.topic` (its topic, and `retained` if it was) or
//! `<case>.tag` (the configured id of the tag). `UPDATE_GOLDEN=1 cargo test -p anita-formats` writes `<case>.expected.json`
//! anew; read the difference before keeping it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::path::{Path, PathBuf};

use anita_formats::recording::{Entry, Format, ReadError, Reader};
use anita_formats::{Decoded, Delivery, LineBuffer, Malformed, Origin, drtls, dwm1001, pozyx};
use anita_model::{DeviceId, Position, Report, SiteName, SourceName, Timestamp};
use serde_json::{Value, json};

#[test]
fn drtls_messages_become_what_is_written() {
    check("drtls", |case, input| {
        let topic = beside(case, "topic").expect("a DRTLS case has a topic");
        let (topic, delivery) = match topic.split_once(' ') {
            Some((topic, "retained")) => (topic, Delivery::Retained),
            Some((_, other)) => panic!("`retained` or nothing after the topic, not {other}"),
            None => (topic.as_str(), Delivery::Live),
        };
        decoded(&drtls::decode(topic, input, delivery, &origin()))
    });
}

#[test]
fn pozyx_messages_become_what_is_written() {
    check("pozyx", |_, input| decoded(&pozyx::decode(input, Delivery::Live, &origin())));
}

#[test]
fn dwm1001_lines_become_what_is_written() {
    check("dwm1001", |case, input| {
        let tag_id = beside(case, "tag").map(|tag_id| DeviceId::parse(&tag_id).unwrap());
        let outcome = |line: Result<String, Malformed>| match line {
            Ok(line) => {
                let outcome = decoded(&Decoded::from(dwm1001::decode(&line, tag_id.as_ref(), &origin())));
                json!({"line": line, "is": outcome})
            }
            Err(malformed) => json!({"line": null, "is": refused(&malformed)}),
        };
        LineBuffer::default().push(input).into_iter().map(outcome).collect()
    });
}

#[test]
fn recordings_become_what_is_written() {
    check("recording", |case, input| {
        let format = if case.to_string_lossy().contains(".csv.") { Format::Csv } else { Format::Ndjson };
        let mut reader = Reader::new(format, input);
        let entries: Vec<Value> = reader.by_ref().map(entry).collect();
        json!({"entries": entries, "skipped": reader.skipped_count()})
    });
}

fn check(format: &str, outcome: impl Fn(&Path, &[u8]) -> Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/source").join(format);
    let mut cases: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "in"))
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "no cases in {}", folder.display());
    for case in cases {
        let text = serde_json::to_string_pretty(&outcome(&case, &fs::read(&case).unwrap())).unwrap() + "\n";
        let expected = case.with_extension("expected.json");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&expected, &text).unwrap();
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(text, expected, "{}", case.display());
    }
}

fn beside(case: &Path, extension: &str) -> Option<String> {
    fs::read_to_string(case.with_extension(extension)).ok().map(|text| text.trim().to_owned())
}

fn origin() -> Origin {
    Origin {
        source: SourceName::parse("golden").unwrap(),
        site: SiteName::main(),
        received_at: Timestamp::parse("2026-03-01T12:00:00Z").unwrap(),
    }
}

fn decoded(decoded: &Decoded) -> Value {
    match (decoded.reports.as_slice(), decoded.malformed.as_slice()) {
        ([], []) => json!("nothing"),
        (reports, malformed) => reports.iter().map(report).chain(malformed.iter().map(refused)).collect(),
    }
}

fn refused(malformed: &Malformed) -> Value {
    json!({"refused": malformed.reason(), "what": malformed.to_string()})
}

fn report(report: &Report) -> Value {
    match report {
        Report::Fix(fix) => json!({"fix": {
            "device": fix.device.as_str(),
            "site": fix.site.as_str(),
            "source": fix.source.as_str(),
            "position_m": point(fix.position),
            "accuracy_m": fix.accuracy_m,
            "floor": fix.floor,
            "battery_percent": fix.battery_percent,
            "taken_at": fix.taken_at.to_string(),
            "received_at": fix.received_at.to_string(),
        }}),
        Report::Sighting(sighting) => json!({"sighting": {
            "device": sighting.device.as_str(),
            "site": sighting.site.as_str(),
            "source": sighting.source.as_str(),
            "kind": sighting.kind.map(|kind| format!("{kind:?}")),
            "name": sighting.name,
            "battery_percent": sighting.battery_percent,
            "mounted_at_m": sighting.mounted_at.map(point),
            "is_present": sighting.is_present,
            "received_at": sighting.received_at.to_string(),
        }}),
        Report::NoPosition(none) => json!({"no_position": {
            "device": none.device.as_ref().map(DeviceId::as_str),
            "reason": none.reason,
        }}),
    }
}

fn entry(entry: Result<Entry, ReadError>) -> Value {
    match entry {
        Ok(entry) => json!({
            "line": entry.line,
            "at_us": u64::try_from(entry.at.as_micros()).unwrap(),
            "taken_us": entry.taken_us,
            "device": entry.device.as_str(),
            "position_m": point(entry.position),
            "accuracy_m": entry.accuracy_m,
            "floor": entry.floor,
            "battery_percent": entry.battery_percent,
        }),
        Err(ReadError::Line { line, malformed }) => json!({"line": line, "is": refused(&malformed)}),
        Err(error) => json!({"error": error.to_string()}),
    }
}

fn point(position: Position) -> Value {
    json!([position.x_m(), position.y_m(), position.z_m()])
}
