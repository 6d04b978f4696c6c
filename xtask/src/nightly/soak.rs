//! The dashboard, the JavaScript client and the Python client for minutes, with the server killed five times a minute: what
//! they hold stays flat. The same tests run for half a minute in the suites `e2e` and `pyclient`.

use std::fs;
use std::path::Path;

use super::Options;
use crate::fault::Fault;
use crate::process::{Ending, Running};
use crate::test::bench::{Bench, Report};
use crate::test::counts::{Counts, Exit};
use crate::test::needs::{self, Need};
use crate::test::{programs, venv};

/// How long, minutes.
const MINUTES_VARIABLE: &str = "ANITA_SOAK_MINUTES";

/// How a line with a figure begins.
const FIGURE: &str = "soak: ";

const NEEDS: [Need; 5] = [Need::Node, Need::Npm, Need::NodeModules, Need::Chromium, Need::PythonVenv];

pub(super) fn run(bench: &mut Bench, options: &Options) -> Result<Report, Fault> {
    let missing = needs::unmet(&bench.root, NEEDS);
    if !missing.is_empty() {
        needs::install(&bench.root, &missing);
    }
    let program = bench.build_program()?;
    let minutes = options.minutes.to_string();
    // Both at the same time, each with a server of its own.
    let log = bench.log.with_file_name("soak-python.log");
    fs::write(&log, "").map_err(|error| Fault::io("write", &log, error))?;
    let python = venv::python(bench)?;
    let mut tests = bench.command_in(Path::new("clients/python"), &python.to_string_lossy());
    tests.args(["-m", "unittest", "--verbose", "tests.test_soak"]);
    let mut running = Running::start(tests.env("ANITA_BIN", &program).env(MINUTES_VARIABLE, &minutes), &log)?;
    let environment = [
        ("ANITA_BIN", &*program.to_string_lossy()),
        ("ANITA_CHROMIUM", needs::chromium().unwrap_or_default()),
        ("ANITA_TEST_REQUIRE_SERVICES", "1"),
        (MINUTES_VARIABLE, &minutes),
    ];
    let of_web = programs::vitest(bench, "e2e", &["soak/"], &environment)?;
    let exit = match running.wait(bench.deadline, &bench.interrupt)? {
        Ending::Succeeded => Exit::Good,
        Ending::Failed => Exit::Bad,
        Ending::TimedOut => return Err(Fault::new("took too long and was ended")),
        Ending::Interrupted => return Err(Fault::new("interrupted")),
    };
    let said = fs::read(&log).map_err(|error| Fault::io("read", &log, error))?;
    let said = String::from_utf8_lossy(&said);
    let of_python = Counts::of_unittest(&said).of_command(exit);
    if exit == Exit::Bad {
        bench.note(&said)?;
    }
    for figure in figures(&bench.text()?).into_iter().chain(figures(&said)) {
        println!("  {figure}");
    }
    Ok((of_web + of_python).into())
}

/// The figures of an output, each once.
fn figures(output: &str) -> Vec<String> {
    let mut figures: Vec<String> = Vec::new();
    for figure in output.lines().filter_map(|line| line.strip_prefix(FIGURE)) {
        if !figures.iter().any(|known| known == figure) {
            figures.push(figure.to_owned());
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_the_lines_that_say_so() {
        let output = "stdout | soak\nsoak: heap, MB: 5 at first, 5 at last (6 allowed), 5 at most\nok\nsoak: nodes: 1: NOT FLAT\n\
            soak: nodes: 1: NOT FLAT\n";
        let expected = ["heap, MB: 5 at first, 5 at last (6 allowed), 5 at most", "nodes: 1: NOT FLAT"];
        assert_eq!(figures(output), expected);
    }
}
