//! The scenarios, small, against the program beside this one.

#![allow(clippy::print_stderr, reason = "says why it is skipped")]

use std::path::Path;
use std::process::Command;

#[test]
fn every_scenario_runs_to_its_end_when_it_is_quick() {
    let bench = Path::new(env!("CARGO_BIN_EXE_anita-bench"));
    let anita = bench.with_file_name("anita");
    if !anita.is_file() {
        eprintln!("skipped: there is no {}; cargo build -p anita makes it", anita.display());
        return;
    }
    let json = std::env::temp_dir().join(format!("anita-bench-smoke-{}.json", std::process::id()));
    let output = Command::new(bench)
        .args(["all", "--quick", "--anita"])
        .arg(&anita)
        .arg("--json")
        .arg(&json)
        .output()
        .unwrap();
    let said =
        format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    let raw: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    std::fs::remove_file(&json).unwrap();
    for scenario in ["a", "b", "c", "d", "e", "f", "g", "i"] {
        assert!(raw[scenario]["title"].is_string(), "{scenario} is missing: {said}");
    }
    assert_eq!(raw["g"]["verdict: all recovered, each number once and in order, no gap"], true, "{said}");
}

#[test]
fn every_scenario_has_a_help_that_teaches() {
    for scenario in ["a", "b", "c", "d", "e", "f", "g", "i", "all"] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_anita-bench")).args([scenario, "--help"]).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(help.contains("--quick") && help.contains("--json"), "{scenario}: {help}");
    }
}
