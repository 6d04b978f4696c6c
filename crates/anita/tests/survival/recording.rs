//! A recording of twelve tags, replayed with the server restarted in between, and exported: equal.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anita_model::Timestamp;
use serde_json::json;

use crate::server::{Home, Server, token};

/// When the recording begins, by the time of its devices.
const BEGAN: &str = "2026-03-01T12:00:00Z";

/// A device, the time in microseconds, and the place in millimetres: everything that a recording says.
type Told = (String, i64, [i64; 3]);

#[expect(clippy::cast_possible_truncation, reason = "a hall is small")]
fn millimetres(metres: &str) -> i64 {
    (metres.parse::<f64>().unwrap() * 1_000.0).round() as i64
}

/// What the recording says, each line once.
#[expect(clippy::print_stderr, reason = "a test that did not run says so")]
fn recorded() -> Option<Vec<Told>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/uci-ubisense-tags/three_people_12_tags/positions.csv");
    let Ok(text) = std::fs::read_to_string(path) else {
        // It is no service that a machine could install.
        eprintln!("skipped: the recording is not there: ../shared/data/uci-ubisense-tags");
        return None;
    };
    let began = Timestamp::parse(BEGAN).unwrap().as_micros();
    let told = text.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        #[expect(clippy::cast_possible_truncation, reason = "a recording is short")]
        let taken_us = (fields[0].parse::<f64>().unwrap() * 1e6).round() as i64;
        (fields[1].to_owned(), began + taken_us, [2, 3, 4].map(|column| millimetres(fields[column])))
    });
    let told: BTreeSet<Told> = told.collect();
    Some(told.into_iter().collect())
}

fn replay(home: &Home, server: &Server, name: &str, part: &[Told]) {
    let mut in_time: Vec<&Told> = part.iter().collect();
    in_time.sort_by_key(|told| told.1);
    #[expect(clippy::cast_precision_loss, reason = "millimetres of a hall are exact")]
    let lines = in_time.iter().map(|(device, taken_us, place)| {
        let [x, y, z] = place.map(|mm| mm as f64 / 1_000.0);
        let time = Timestamp::from_micros(*taken_us).unwrap().to_string();
        json!({ "device_id": device, "location": { "x": x, "y": y, "z": z }, "timestamp": time }).to_string()
            + "\n"
    });
    let file = home.file(name);
    std::fs::write(&file, lines.collect::<String>()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_anita"));
    command.args([
        "replay",
        "--keep-time",
        "--speed",
        "1000",
        "--url",
        &format!("http://{}", server.address),
    ]);
    command.args(["--token", &token("publisher"), "--file"]).arg(&file);
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// What an export as CSV says.
fn exported(home: &Home, server: &Server) -> Vec<Told> {
    let file = home.file("export.csv");
    let mut command = Command::new(env!("CARGO_BIN_EXE_anita"));
    command.args(["export", "--format", "csv", "--url", &format!("http://{}", server.address)]);
    command.args(["--token", &token("viewer"), "--output"]).arg(&file);
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let column = |name: &str| header.iter().position(|it| *it == name).unwrap();
    let (device, time) = (column("device_id"), column("timestamp"));
    let place = ["x_m", "y_m", "z_m"].map(column);
    let told = lines.map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        let taken_us = Timestamp::parse(fields[time]).unwrap().as_micros();
        (fields[device].to_owned(), taken_us, place.map(|column| millimetres(fields[column])))
    });
    let mut told: Vec<Told> = told.collect();
    told.sort();
    told
}

#[test]
fn a_recording_replayed_with_a_restart_in_between_is_exported_as_it_was() {
    let Some(recorded) = recorded() else { return };
    let home = Home::new("[storage]\nrecent_fixes_max = 2000\n");
    let server = home.start();
    // By time, so that every device has a part in each half.
    let mut times: Vec<i64> = recorded.iter().map(|told| told.1).collect();
    times.sort_unstable();
    let middle = times[times.len() / 2];
    let (before, after): (Vec<Told>, Vec<Told>) = recorded.iter().cloned().partition(|told| told.1 < middle);
    replay(&home, &server, "before.ndjson", &before);
    assert_eq!(exported(&home, &server), before);
    server.kill();
    let server = home.start();
    assert_eq!(exported(&home, &server), before);
    replay(&home, &server, "after.ndjson", &after);
    server.stop();
    let server = home.start();
    assert_eq!(exported(&home, &server), recorded);
    // Once more from the start: nothing is there twice.
    replay(&home, &server, "before.ndjson", &before);
    assert_eq!(exported(&home, &server), recorded);
}
