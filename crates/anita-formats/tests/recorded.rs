//! The recording of a real Pozyx gateway, where the folder with the recordings is there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::path::{Path, PathBuf};

use anita_formats::recording::{Format, Reader};
use anita_formats::{Delivery, Origin, pozyx};
use anita_model::{Fix, Report, SiteName, SourceName, Timestamp};

/// When the recording begins, microseconds since the Unix epoch: the zero of `positions.csv`.
const FIRST_US: f64 = 1_623_790_949_250_502.6;

#[test]
fn every_message_of_the_recording_becomes_the_published_position() {
    let Some(folder) = recording() else { return };
    let messages = fs::read_to_string(folder.join("tags.ndjson")).unwrap();
    let origin = Origin {
        source: SourceName::parse("pozyx").unwrap(),
        site: SiteName::main(),
        received_at: Timestamp::parse("2026-03-01T12:00:00Z").unwrap(),
    };
    let mut fixes = Vec::new();
    let mut failures = Vec::new();
    for message in messages.lines() {
        let decoded = pozyx::decode(message.as_bytes(), Delivery::Live, &origin);
        assert_eq!(decoded.malformed, [], "{message}");
        assert_eq!(decoded.reports.len(), 1, "{message}");
        for report in decoded.reports {
            match report {
                Report::Fix(fix) => fixes.push(fix),
                Report::NoPosition(none) => failures.push(none.reason),
                Report::Sighting(sighting) => panic!("{sighting:?}"),
            }
        }
    }
    assert_eq!(messages.lines().count(), 320);
    assert_eq!(failures, ["invalid_solution"; 2]);
    assert_eq!(fixes.len(), 318);
    let positions = fs::read_to_string(folder.join("positions.csv")).unwrap();
    let published = positions.lines().skip(1).filter(|line| !line.contains(",,"));
    assert_eq!(published.clone().count(), 318);
    for (fix, line) in fixes.iter().zip(published) {
        check(fix, line);
    }
}

#[test]
fn the_recording_is_the_same_from_either_file() {
    let Some(folder) = recording() else { return };
    let read = |name: &str, format: Format| {
        let text = fs::read(folder.join(name)).unwrap();
        let mut reader = Reader::new(format, text.as_slice());
        let entries: Vec<_> = reader.by_ref().map(|entry| entry.unwrap()).collect();
        assert_eq!((entries.len(), reader.skipped_count()), (318, 2), "{name}");
        entries
    };
    let messages = read("tags.ndjson", Format::Ndjson);
    let rows = read("positions.csv", Format::Csv);
    for (message, row) in messages.iter().zip(&rows) {
        assert_eq!((&message.device, message.position), (&row.device, row.position));
        // The table has its times rounded to a tenth of a millisecond.
        assert!(message.taken_us.abs_diff(row.taken_us) <= 150, "{message:?} {row:?}");
    }
    assert!(messages.is_sorted_by_key(|entry| entry.at), "never backwards");
    assert!(!messages.is_sorted_by_key(|entry| entry.taken_us), "the gateway's own order is kept");
}

fn check(fix: &Fix, line: &str) {
    let mut fields = line.split(',');
    let mut number = || fields.next().unwrap().parse::<f64>().unwrap();
    let secs = number();
    let device = number();
    let published = [number(), number(), number()];
    assert_eq!(fix.device.as_str(), device.to_string(), "{line}");
    let position = fix.position;
    assert_eq!(
        [position.x_m(), position.y_m(), position.z_m()].map(f64::to_bits),
        published.map(f64::to_bits),
        "{line}"
    );
    let first = Timestamp::from_secs_f64(FIRST_US / 1e6).unwrap();
    let off_us = (fix.taken_at.as_micros() - first.as_micros())
        .abs_diff(Timestamp::from_secs_f64(secs).unwrap().as_micros());
    assert!(off_us <= 60, "{off_us} µs off the published time: {line}");
}

fn recording() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/pozyx-mqtt");
    if folder.is_dir() {
        return Some(folder);
    }
    skip("the recordings are not there: ../shared/data/pozyx-mqtt");
    None
}

#[expect(clippy::print_stderr, reason = "a test that did not run says so")]
fn skip(why: &str) {
    eprintln!("skipped: {why}");
}
