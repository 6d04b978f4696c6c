//! `cargo xtask test`: installs what is missing, runs the suites, and ends with one line of totals.

pub(crate) mod bench;
mod checks;
pub(crate) mod counts;
pub(crate) mod needs;
mod postgres;
pub(crate) mod programs;
pub(crate) mod services;
mod suite;
pub(crate) mod supply;
pub(crate) mod venv;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use bench::{Bench, Built, Report};
use counts::Counts;
use suite::{Manner, Pace, SUITES, Suite};

use crate::fault::{Fault, Outcome};
use crate::process::Interrupt;

/// Where the suites leave what their commands printed, from the root.
const LOGS: &str = "build/test/logs";

/// How many suites run side by side, of those that may.
const LANES: usize = 2;

/// How many lines of the end of a failed suite's log are shown.
const TAIL_LINES: usize = 40;

/// How many lines that name a failure are shown before them.
const FAILURE_LINES: usize = 20;

/// What to run.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// The suites to run; all of them when none is named (see --list)
    suites: Vec<String>,
    /// Shows the suites and ends
    #[arg(long)]
    list: bool,
    /// Leaves a suite out; can be given several times
    #[arg(long, value_name = "SUITE")]
    skip: Vec<String>,
    /// Installs nothing: suites that need what is missing are skipped
    #[arg(long)]
    no_install: bool,
    /// Only what is quick: formatting, lints, layers, tidy, generated files and unit tests
    #[arg(long, conflicts_with = "suites")]
    fast: bool,
}

/// A suite that has run.
struct Finished {
    suite: Suite,
    report: Report,
    took: Duration,
}

/// Runs the suites. The last line on standard output is the line of totals.
pub(crate) fn run(root: &Path, options: &Options) -> Outcome {
    if options.list {
        for suite in SUITES {
            println!("{:<10} {}", suite.name, suite.about);
        }
        return Ok(());
    }
    let suites = choose(options)?;
    let logs = root.join(LOGS);
    fs::create_dir_all(&logs).map_err(|error| Fault::io("create", &logs, error))?;
    let interrupt = Interrupt::listen()?;
    let missing = needs::unmet(root, suites.iter().flat_map(|suite| suite.needs.iter().copied()));
    if !options.no_install && !missing.is_empty() {
        needs::install(root, &missing);
    }
    let start = Instant::now();
    let run = Run { root, options, interrupt, built: Arc::default() };
    let mut finished: Vec<Finished> = Vec::new();
    for group in groups(&suites) {
        finished.extend(run.side_by_side(group));
        if run.interrupt.came() {
            break;
        }
    }
    for failed in finished.iter().filter(|it| it.report.counts.failed > 0) {
        show_failure(root, failed);
    }
    show_table(&finished);
    let total: Counts = finished.iter().map(|it| it.report.counts).sum();
    println!("{:<10} {:>38}", "in all", seconds(start.elapsed()));
    println!("{} passed, {} failed, {} skipped", total.passed, total.failed, total.skipped);
    if total.failed == 0 && !run.interrupt.came() { Ok(()) } else { Err(Fault::silent()) }
}

/// The suites that were asked for, in the order of the list.
fn choose(options: &Options) -> Result<Vec<Suite>, Fault> {
    let is_known = |name: &&String| SUITES.iter().any(|suite| suite.name == **name);
    if let Some(unknown) = options.suites.iter().chain(&options.skip).find(|name| !is_known(name)) {
        let names: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
        return Err(Fault::new(format!("there is no suite {unknown}; there are {}", names.join(", "))));
    }
    let is_wanted = |suite: &Suite| {
        let is_named = options.suites.is_empty() || options.suites.iter().any(|name| name == suite.name);
        let is_left_out = options.skip.iter().any(|name| name == suite.name);
        is_named && !is_left_out && (!options.fast || suite.pace == Pace::Fast)
    };
    Ok(SUITES.into_iter().filter(is_wanted).collect())
}

/// The suites in pieces: one that computes, or all that may run side by side.
fn groups(suites: &[Suite]) -> impl Iterator<Item = &[Suite]> {
    suites.chunk_by(|one, next| [one.manner, next.manner] == [Manner::Beside; 2])
}

/// What the suites of a run share.
struct Run<'run> {
    root: &'run Path,
    options: &'run Options,
    interrupt: Interrupt,
    built: Arc<Built>,
}

impl Run<'_> {
    /// Runs suites, [`LANES`] at a time, and gives them back in the order of the list.
    fn side_by_side(&self, group: &[Suite]) -> Vec<Finished> {
        let waiting = Mutex::new(group.iter().copied().enumerate());
        let finished = Mutex::new(Vec::new());
        let lane = || {
            while !self.interrupt.came() {
                // A statement of its own: the lock is not held while the suite runs.
                let next = waiting.lock().next();
                let Some((place, suite)) = next else { break };
                println!("{} …", suite.name);
                let done = self.run_one(suite);
                println!("{} {} ({})", suite.name, verdict(&done.report), seconds(done.took));
                finished.lock().push((place, done));
            }
        };
        std::thread::scope(|scope| {
            for _lane in 0..LANES.min(group.len()) {
                scope.spawn(lane);
            }
        });
        let mut finished = finished.into_inner();
        finished.sort_by_key(|(place, _done)| *place);
        finished.into_iter().map(|(_place, done)| done).collect()
    }

    fn run_one(&self, suite: Suite) -> Finished {
        let start = Instant::now();
        let log = log_of(self.root, suite);
        let report = fs::write(&log, "")
            .map_err(|error| Fault::io("write", &log, error))
            .and_then(|()| {
                let mut bench = Bench {
                    root: self.root.to_owned(),
                    log: log.clone(),
                    deadline: start + suite.time_max(),
                    interrupt: self.interrupt.clone(),
                    is_fast: self.options.fast,
                    built: Arc::clone(&self.built),
                };
                // Unit tests need none of the services.
                let needs = if self.options.fast { &[] } else { suite.needs };
                let missing = needs::unmet(self.root, needs.iter().copied());
                match (missing.is_empty(), self.options.no_install) {
                    (true, _) => (suite.run)(&mut bench),
                    (false, true) => Ok(Report::skipped(format!("needs: {}", needs::remedies(&missing)))),
                    (false, false) => Ok(Report::failed(format!("missing: {}", needs::remedies(&missing)))),
                }
            })
            .unwrap_or_else(|fault| Report::failed(fault.to_string()));
        Finished { suite, report, took: start.elapsed() }
    }
}

fn log_of(root: &Path, suite: Suite) -> std::path::PathBuf {
    root.join(LOGS).join(format!("{}.log", suite.name))
}

fn verdict(report: &Report) -> String {
    let word = match report.counts {
        Counts { failed: 1.., .. } => "FAILED",
        Counts { passed: 0, skipped: 1.., .. } => "skipped",
        Counts { .. } => "ok",
    };
    report.note.as_ref().map_or_else(|| word.to_owned(), |note| format!("{word}: {note}"))
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

fn show_failure(root: &Path, failed: &Finished) {
    let log = log_of(root, failed.suite);
    let bytes = fs::read(&log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let (body, tail) = lines.split_at(lines.len().saturating_sub(TAIL_LINES));
    println!("\n{} failed; from {LOGS}/{}.log:", failed.suite.name, failed.suite.name);
    for line in body.iter().filter(|line| names_failure(line)).take(FAILURE_LINES) {
        println!("  {line}");
    }
    println!("  [the last lines]");
    for line in tail {
        println!("  {line}");
    }
    if let Some(note) = &failed.report.note {
        println!("  {note}");
    }
}

/// Whether a line of a log says what failed: the end of a long log often does not.
fn names_failure(line: &str) -> bool {
    let signs = ["... FAILED", "panicked at", "FAIL ", "AssertionError", "error[", "left:", "right:"];
    line.starts_with("error: ") || signs.iter().any(|sign| line.contains(sign))
}

fn show_table(finished: &[Finished]) {
    println!("\n{:<10} {:>7} {:>7} {:>8} {:>10}", "suite", "passed", "failed", "skipped", "time");
    for Finished { suite, report: Report { counts, note }, took } in finished {
        let Counts { passed, failed, skipped } = counts;
        let time = seconds(*took);
        let note = note.as_deref().map(|note| format!("  {note}")).unwrap_or_default();
        println!("{:<10} {passed:>7} {failed:>7} {skipped:>8} {time:>10}{note}", suite.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(options: &Options) -> Vec<&'static str> {
        choose(options).unwrap().iter().map(|suite| suite.name).collect()
    }

    #[test]
    fn suites_are_chosen_by_name_and_keep_their_order() {
        let all = names(&Options::default());
        assert_eq!(all.len(), SUITES.len());
        let some = Options { suites: vec!["rust".to_owned(), "fmt".to_owned()], ..Options::default() };
        assert_eq!(names(&some), ["fmt", "rust"]);
        let but_one = Options { skip: vec!["e2e".to_owned()], ..Options::default() };
        assert!(!names(&but_one).contains(&"e2e"));
        let fast = Options { fast: true, ..Options::default() };
        assert_eq!(names(&fast), ["fmt", "layers", "tidy", "codegen", "clippy", "rust"]);
    }

    #[test]
    fn suites_that_wait_run_side_by_side_and_those_that_compute_by_themselves() {
        let groups: Vec<Vec<&str>> =
            groups(&SUITES).map(|group| group.iter().map(|it| it.name).collect()).collect();
        assert!(groups.contains(&vec!["clippy"]) && groups.contains(&vec!["dashboard", "sdk"]));
        assert!(groups.iter().any(|group| group.contains(&"rust") && group.contains(&"e2e")));
    }

    #[test]
    fn an_unknown_suite_is_refused_with_the_list() {
        for options in [
            Options { suites: vec!["unit".to_owned()], ..Options::default() },
            Options { skip: vec!["unit".to_owned()], ..Options::default() },
        ] {
            let fault = choose(&options).unwrap_err().to_string();
            assert!(fault.starts_with("there is no suite unit; there are fmt, "), "{fault}");
        }
    }

    #[test]
    fn lines_that_name_a_failure_are_told_from_the_others() {
        assert!(names_failure("test a_room_is_left ... FAILED"));
        assert!(names_failure("error[E0599]: no method named `x`"));
        assert!(!names_failure("test a_room_is_left ... ok") && !names_failure("running 7 tests"));
    }

    #[test]
    fn verdicts_name_their_reason() {
        assert_eq!(verdict(&Counts::PASSED.into()), "ok");
        assert_eq!(verdict(&Report::skipped("not here")), "skipped: not here");
        assert_eq!(verdict(&Report::failed("took too long")), "FAILED: took too long");
    }
}
