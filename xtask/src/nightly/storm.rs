//! 10,000 clients of a server that is restarted, and of one that is killed: how many it lets in a second, and how long it
//! takes until all are back. The bench measures; here each of its verdicts is a check.

use std::fs;

use serde_json::Value;

use super::Options;
use crate::fault::Fault;
use crate::test::bench::{Bench, Report};
use crate::test::counts::{Counts, Exit};
use crate::workspace;

/// The scenario of the bench.
const SCENARIO: &str = "i";

/// What a key of the bench's report begins with that says whether something was reached.
const VERDICT: &str = "verdict: ";

/// How many there have to be: one that is no longer given was not reached.
const VERDICTS_MIN: usize = 4;

pub(super) fn run(bench: &mut Bench, _options: &Options) -> Result<Report, Fault> {
    bench.build_web(&["sdk", "dashboard"])?;
    let mut build = bench.cargo(&["build", "--release", "--package", "anita", "--package", "anita-bench"]);
    bench.prepare(&mut build, "building the program and its bench")?;
    let programs = workspace::target_folder(&bench.root)?.join("release");
    let found = bench.log.with_file_name("storm.json");
    // One of an earlier night says nothing about this one.
    if found.exists() {
        fs::remove_file(&found).map_err(|error| Fault::io("remove", &found, error))?;
    }
    let mut command = workspace::command(&bench.root, &programs.join("anita-bench").to_string_lossy());
    command.arg(SCENARIO).arg("--anita").arg(programs.join("anita")).arg("--json").arg(&found);
    let (exit, said) = bench.capture(&mut command)?;
    if exit == Exit::Bad {
        return Ok(Report::failed("the bench could not measure"));
    }
    for line in said.lines().filter(|line| !line.starts_with("$ ")) {
        println!("  {line}");
    }
    let text = fs::read_to_string(&found).map_err(|error| Fault::io("read", &found, error))?;
    Ok(judge(&text))
}

/// Each verdict is a check.
fn judge(report: &str) -> Report {
    let report: Value = serde_json::from_str(report).unwrap_or_default();
    let scenario = report.get(SCENARIO).and_then(Value::as_object);
    let of_verdicts =
        scenario.into_iter().flatten().filter_map(|(key, value)| Some((key.strip_prefix(VERDICT)?, value)));
    let (reached, missed): (Vec<_>, Vec<_>) =
        of_verdicts.partition(|(_what, is_reached)| **is_reached == Value::Bool(true));
    if reached.len() + missed.len() < VERDICTS_MIN {
        return Report::failed(format!("fewer than {VERDICTS_MIN} verdicts: {} reached", reached.len()));
    }
    let counts = Counts { passed: reached.len() as u64, failed: missed.len() as u64, skipped: 0 };
    let missed: Vec<&str> = missed.into_iter().map(|(what, _false)| what).collect();
    let note = (!missed.is_empty()).then(|| format!("not reached: {}", missed.join("; ")));
    Report { counts, note }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdicts: &[bool]) -> String {
        let verdicts = verdicts.iter().enumerate().map(|(index, is)| format!(r#","verdict: {index}":{is}"#));
        format!(r#"{{"i":{{"title":"a storm","killed_in_vain":7{}}}}}"#, verdicts.collect::<String>())
    }

    #[test]
    fn each_verdict_is_a_check_and_one_that_was_missed_is_named() {
        assert_eq!(judge(&report(&[true; 4])), Counts { passed: 4, failed: 0, skipped: 0 }.into());
        let missed = judge(&report(&[true, true, false, true]));
        assert_eq!(missed.counts, Counts { passed: 3, failed: 1, skipped: 0 });
        assert_eq!(missed.note.as_deref(), Some("not reached: 2"));
    }

    #[test]
    fn verdicts_that_are_not_there_were_not_reached() {
        for text in [report(&[true; 3]), "{}".to_owned(), String::new()] {
            assert_eq!(judge(&text).counts, Counts::FAILED, "{text}");
        }
    }
}
