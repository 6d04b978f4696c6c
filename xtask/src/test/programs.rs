//! The suites that build and run test programs.

use std::fs;
use std::path::Path;

use super::bench::{Bench, Report};
use super::counts::Counts;
use super::postgres::Postgres;
use crate::fault::Fault;
use crate::workspace;

/// The tests of the JavaScript client that need the real program.
pub(crate) const LIVE: [&str; 3] =
    ["tests/live.test.ts", "tests/guide.test.ts", "tests/conversations.test.ts"];

/// How long each fuzz target runs on mutations, seconds.
const FUZZ_SECS: &str = "5";

/// How many Rust tests run at once. Most of them wait for deadlines and for other programs, so this is no matter of
/// how many processors there are.
const TEST_THREADS: &str = "4";

pub(crate) fn rust(bench: &mut Bench) -> Result<Report, Fault> {
    let mut command = bench.cargo(&["test", "--workspace", "--no-fail-fast"]);
    if bench.is_fast {
        command.args(["--lib", "--bins"]);
    } else {
        // A service that is not there is a failure then, and not a skip.
        command.env("ANITA_TEST_REQUIRE_SERVICES", "1").env("RUST_TEST_THREADS", TEST_THREADS);
    }
    let database = if bench.is_fast { None } else { Some(Postgres::start(bench)?) };
    if let Some(database) = &database {
        command.env("ANITA_TEST_POSTGRES_URL", database.url());
    }
    let (exit, output) = bench.capture(&mut command)?;
    drop(database);
    Ok(Counts::of_libtest(&output).of_command(exit).into())
}

/// Everything that the suites after it run: none of them waits for a compiler then.
pub(crate) fn build(bench: &mut Bench) -> Result<Report, Fault> {
    bench.build_all()?;
    Ok(Counts::PASSED.into())
}

pub(crate) fn examples(bench: &mut Bench) -> Result<Report, Fault> {
    Ok(bench.check(&mut bench.cargo(&["build", "--workspace", "--examples"]))?.into())
}

pub(crate) fn fuzz(bench: &mut Bench) -> Result<Report, Fault> {
    let manifest = "fuzz/Cargo.toml";
    if !bench.root.join(manifest).is_file() {
        return Ok(Report::skipped("there is no fuzz/Cargo.toml"));
    }
    // The same folder: most of what the targets use is built already.
    let target = workspace::target_folder(&bench.root)?;
    let mut command = bench.cargo(&["run", "--no-default-features", "--bin", "replay"]);
    command.args(["--manifest-path", manifest, "--target-dir"]).arg(target);
    let (exit, output) = bench.capture(command.args(["--", "--seconds", FUZZ_SECS]))?;
    let count = |end: &str| {
        let lines = output.lines().filter(|line| line.starts_with("fuzz target ") && line.ends_with(end));
        u64::try_from(lines.count()).unwrap_or(0)
    };
    let counts = Counts { passed: count(" ... ok"), failed: count(" ... FAILED"), skipped: 0 };
    Ok(counts.of_command(exit).into())
}

pub(crate) fn sdk(bench: &mut Bench) -> Result<Report, Fault> {
    bench.build_web(&["sdk"])?;
    let checks = lint_and_types(bench, "sdk")?;
    // What a page loads of it, and what a package registry and its users would find wrong with it.
    let script = |name| workspace::npm(&bench.root, &["run", "--silent", name, "--workspace", "sdk"]);
    let package = bench.check(&mut script("size"))? + bench.check(&mut script("package"))?;
    // These need a server; the suite `live` runs them.
    let without = LIVE.iter().flat_map(|file| ["--exclude", file]).collect::<Vec<_>>();
    Ok((checks + package + vitest(bench, "sdk", &without, &[])?).into())
}

pub(crate) fn dashboard(bench: &mut Bench) -> Result<Report, Fault> {
    bench.build_web(&["sdk"])?;
    Ok((lint_and_types(bench, "dashboard")? + vitest(bench, "dashboard", &[], &[])?).into())
}

/// Lint, format and types of a package: three checks.
pub(crate) fn lint_and_types(bench: &Bench, package: &str) -> Result<Counts, Fault> {
    // From the root: what is not to be judged is listed there.
    let tool = |arguments: &[&str]| {
        let mut command = workspace::command(&bench.root, "npx");
        bench.check(command.arg("--no-install").args(arguments))
    };
    let lint = tool(&["eslint", "--max-warnings", "0", package])?;
    let format = tool(&["prettier", "--check", package])?;
    let types = ["run", "--silent", "typecheck", "--workspace", package];
    Ok(lint + format + bench.check(&mut workspace::npm(&bench.root, &types))?)
}

/// Runs the tests of a package.
pub(crate) fn vitest(
    bench: &Bench,
    package: &str,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Result<Counts, Fault> {
    let report = bench.log.with_extension("json");
    if report.exists() {
        fs::remove_file(&report).map_err(|error| Fault::io("remove", &report, error))?;
    }
    let mut command = bench.command_in(Path::new(package), "npx");
    command.args(["--no-install", "vitest", "run", "--reporter=default", "--reporter=json"]);
    command.arg(format!("--outputFile.json={}", report.display()));
    command.env("NO_COLOR", "1").envs(environment.iter().copied()).args(arguments);
    let exit = bench.run(&mut command)?;
    let text = fs::read_to_string(&report).unwrap_or_default();
    Ok(Counts::of_vitest(&text).unwrap_or_default().of_command(exit))
}
