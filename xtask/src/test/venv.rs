//! The Python of the tests: one environment in `build/venv`, with what `tests/requirements.txt` names.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::bench::{Bench, Report};
use super::counts::Counts;
use crate::fault::Fault;

/// The packages, each with its version.
const REQUIREMENTS: &str = "tests/requirements.txt";

/// The interpreter of the environment, which is made or brought up to date where that is needed.
pub(crate) fn python(bench: &Bench) -> Result<PathBuf, Fault> {
    let _building = bench.building();
    let python = bench.root.join("build/venv/bin/python");
    if !python.is_file() {
        let mut make = bench.command_in(Path::new("."), "python3");
        bench.prepare(make.args(["-m", "venv", "build/venv"]), "making build/venv")?;
    }
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    install.arg(bench.root.join(REQUIREMENTS));
    bench.prepare(&mut install, "installing what the Python tests use")?;
    Ok(python)
}

/// Runs the tests of a folder.
pub(crate) fn unittest(bench: &Bench, folder: &str, environment: &[(&str, &Path)]) -> Result<Report, Fault> {
    unittest_of(bench, folder, &[], environment)
}

/// Runs the tests of a folder, found as further arguments of `unittest discover` say.
pub(crate) fn unittest_of(
    bench: &Bench,
    folder: &str,
    arguments: &[&str],
    environment: &[(&str, &Path)],
) -> Result<Report, Fault> {
    let python = python(bench)?;
    let mut tests = bench.command_in(Path::new(folder), &python.to_string_lossy());
    tests.args(["-m", "unittest", "discover", "--verbose", "--pattern", "test_*.py"]);
    tests.args(arguments);
    tests.envs(environment.iter().copied());
    let (exit, output) = bench.capture(&mut tests)?;
    Ok(Counts::of_unittest(&output).of_command(exit).into())
}
