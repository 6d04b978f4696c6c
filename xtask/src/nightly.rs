//! `cargo xtask nightly`: what takes too long for the test command. Each part runs on as many seeds, for as long, or with
//! as many messages as it is told, and the last line on standard output is the line of totals.

mod fuzz;
mod simulation;
mod soak;
mod storm;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::fault::{Fault, Outcome};
use crate::process::Interrupt;
use crate::test::bench::{Bench, Report};
use crate::test::counts::Counts;
use crate::test::{needs, services, supply};
use crate::workspace;

/// Where the parts leave what their commands printed, from the root.
const LOGS: &str = "build/nightly/logs";

/// How many lines of the end of a failed part's log are shown.
const TAIL_LINES: usize = 60;

/// What to run, and how much of it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The parts to run: fuzz, simulation, autobahn, api, reproduce, soak, storm; all of them when none is named
    parts: Vec<String>,
    /// How long each fuzz target runs
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    seconds: u64,
    /// A fuzz target to run; can be given several times; all of them when none is named
    #[arg(long = "target", value_name = "TARGET")]
    targets: Vec<String>,
    /// How many seeds each simulation runs
    #[arg(long, default_value_t = 10_000, value_name = "COUNT")]
    seeds: u64,
    /// How long the soak takes
    #[arg(long, default_value_t = 10, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..=1440))]
    minutes: u64,
}

/// One part.
#[derive(Debug, Clone, Copy)]
struct Part {
    name: &'static str,
    /// How long it may take besides what it was told to take.
    minutes_max: u64,
    run: fn(&mut Bench, &Options) -> Result<Report, Fault>,
}

const PARTS: [Part; 7] = [
    Part { name: "fuzz", minutes_max: 90, run: fuzz::run },
    Part { name: "simulation", minutes_max: 600, run: simulation::run },
    Part { name: "autobahn", minutes_max: 120, run: autobahn },
    Part { name: "api", minutes_max: 60, run: api },
    Part { name: "reproduce", minutes_max: 120, run: reproduce },
    Part { name: "soak", minutes_max: 60, run: soak::run },
    // The build takes most of it.
    Part { name: "storm", minutes_max: 120, run: storm::run },
];

/// Runs the parts.
pub(crate) fn run(root: &Path, options: &Options) -> Outcome {
    let parts = choose(options)?;
    let logs = root.join(LOGS);
    fs::create_dir_all(&logs).map_err(|error| Fault::io("create", &logs, error))?;
    let interrupt = Interrupt::listen()?;
    let mut finished: Vec<(Part, Report, Duration)> = Vec::new();
    for part in parts {
        println!("{} …", part.name);
        let start = Instant::now();
        let report = run_part(root, part, options, &interrupt);
        if report.counts.failed > 0 {
            show_tail(root, part);
        }
        finished.push((part, report, start.elapsed()));
        if interrupt.came() {
            break;
        }
    }
    println!("\n{:<10} {:>7} {:>7} {:>8} {:>10}", "part", "passed", "failed", "skipped", "time");
    for (part, Report { counts, note }, took) in &finished {
        let Counts { passed, failed, skipped } = counts;
        let note = note.as_deref().map(|note| format!("  {note}")).unwrap_or_default();
        let secs = took.as_secs_f64();
        println!("{:<10} {passed:>7} {failed:>7} {skipped:>8} {secs:>8.1} s{note}", part.name);
    }
    let total: Counts = finished.iter().map(|(_part, report, _took)| report.counts).sum();
    println!("{} passed, {} failed, {} skipped", total.passed, total.failed, total.skipped);
    if total.failed == 0 && !interrupt.came() { Ok(()) } else { Err(Fault::silent()) }
}

fn choose(options: &Options) -> Result<Vec<Part>, Fault> {
    if let Some(unknown) = options.parts.iter().find(|name| !PARTS.iter().any(|part| part.name == **name)) {
        let names = PARTS.map(|part| part.name).join(", ");
        return Err(Fault::new(format!("there is no part {unknown}; there are {names}")));
    }
    let is_wanted = |part: &Part| options.parts.is_empty() || options.parts.iter().any(|it| it == part.name);
    Ok(PARTS.into_iter().filter(is_wanted).collect())
}

fn run_part(root: &Path, part: Part, options: &Options, interrupt: &Interrupt) -> Report {
    let log = root.join(LOGS).join(format!("{}.log", part.name));
    let of_fuzz = options.seconds.saturating_mul(fuzz::target_count(root));
    let asked = Duration::from_secs(of_fuzz.saturating_add(options.minutes.saturating_mul(60)));
    let written = fs::write(&log, "").map_err(|error| Fault::io("write", &log, error));
    let report = written.and_then(|()| {
        let mut bench = Bench {
            root: root.to_owned(),
            log: log.clone(),
            deadline: Instant::now() + Duration::from_secs(part.minutes_max * 60) + asked,
            interrupt: interrupt.clone(),
            is_fast: false,
            built: Arc::default(),
        };
        (part.run)(&mut bench, options)
    });
    report.unwrap_or_else(|fault| Report::failed(fault.to_string()))
}

fn show_tail(root: &Path, part: Part) {
    let bytes = fs::read(root.join(LOGS).join(format!("{}.log", part.name))).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    println!("\n{} failed; the end of {LOGS}/{}.log:", part.name, part.name);
    for line in lines.iter().skip(lines.len().saturating_sub(TAIL_LINES)) {
        println!("  {line}");
    }
}

/// All cases of the independent suite with its own numbers of messages.
fn autobahn(bench: &mut Bench, _options: &Options) -> Result<Report, Fault> {
    with_python(bench);
    services::autobahn_whole(bench)
}

/// REST, with a seed that no night had before.
fn api(bench: &mut Bench, _options: &Options) -> Result<Report, Fault> {
    with_python(bench);
    supply::api_anew(bench)
}

fn with_python(bench: &Bench) {
    let missing = needs::unmet(&bench.root, [needs::Need::PythonVenv]);
    if !missing.is_empty() {
        needs::install(&bench.root, &missing);
    }
}

/// The release is built twice, and has to come out the same.
fn reproduce(bench: &mut Bench, _options: &Options) -> Result<Report, Fault> {
    let mut command = workspace::cargo(&bench.root, &["run", "--package", "xtask", "--", "reproduce"]);
    Ok(bench.check(&mut command)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(parts: &[&str]) -> Options {
        let parts = parts.iter().map(|part| (*part).to_owned()).collect();
        Options { parts, seconds: 60, targets: Vec::new(), seeds: 10_000, minutes: 10 }
    }

    #[test]
    fn parts_are_chosen_by_name_and_an_unknown_one_is_refused_with_the_list() {
        let names = |parts: &[&str]| -> Vec<&str> {
            choose(&options(parts)).unwrap().iter().map(|part| part.name).collect()
        };
        assert_eq!(names(&[]), ["fuzz", "simulation", "autobahn", "api", "reproduce", "soak", "storm"]);
        assert_eq!(names(&["autobahn", "fuzz"]), ["fuzz", "autobahn"]);
        let fault = choose(&options(&["fuz"])).unwrap_err().to_string();
        assert_eq!(
            fault,
            "there is no part fuz; there are fuzz, simulation, autobahn, api, reproduce, soak, storm"
        );
    }
}
