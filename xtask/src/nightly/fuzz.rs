//! Every fuzz target under libFuzzer and its sanitizer, with a corpus that grows from night to night.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Options;
use crate::fault::{Fault, Outcome};
use crate::process;
use crate::test::bench::{Bench, Report};
use crate::test::counts::{Counts, Exit};

/// Where `cargo fuzz` is installed where the machine has none, what it builds, what it has found, and what it tripped
/// over; from the root.
const TOOLS: &str = "build/tools";
const TARGET: &str = "build/fuzz/target";
const CORPUS: &str = "build/fuzz/corpus";
const ARTIFACTS: &str = "build/fuzz/artifacts";

/// The longest input, bytes; an input that takes longer, seconds, or more memory, MiB, is a failure.
const LIMITS: [&str; 3] = ["-max_len=4096", "-timeout=20", "-rss_limit_mb=2048"];

/// How many lines of a crash are shown.
const CRASH_LINES: usize = 12;

/// How many targets there are.
pub(super) fn target_count(root: &Path) -> u64 {
    targets(root).map_or(0, |names| u64::try_from(names.len()).unwrap_or(u64::MAX))
}

pub(super) fn run(bench: &mut Bench, options: &Options) -> Result<Report, Fault> {
    let names = targets(&bench.root)?;
    if let Some(unknown) = options.targets.iter().find(|name| !names.contains(name)) {
        return Err(Fault::new(format!("there is no fuzz target {unknown}; there are {}", names.join(", "))));
    }
    install(bench)?;
    // All at once: what they have in common is built once.
    println!("  building");
    bench.prepare(&mut cargo_fuzz(bench, "build")?, "building the fuzz targets")?;
    let is_wanted = |name: &&String| options.targets.is_empty() || options.targets.contains(name);
    let mut counts = Counts::default();
    for name in names.iter().filter(is_wanted) {
        let (outcome, sentence) = run_target(bench, name, options.seconds)?;
        println!("  {name}: {sentence}");
        counts = counts + outcome;
    }
    Ok(counts.into())
}

/// The names of the targets, in order.
fn targets(root: &Path) -> Result<Vec<String>, Fault> {
    let folder = root.join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).map_err(|error| Fault::io("read", &folder, error))?;
    let names = entries.filter_map(Result::ok).filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        name.strip_suffix(".rs").map(str::to_owned)
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    Ok(names)
}

fn install(bench: &Bench) -> Outcome {
    let is_there = |command: &mut Command| process::output(command.args(["fuzz", "--version"])).is_some();
    let mut command = bench.cargo(&[]);
    if is_there(command.env("PATH", path(bench)?)) {
        return Ok(());
    }
    println!("  installing cargo-fuzz");
    let root = bench.root.join(TOOLS);
    let mut command = bench.cargo(&["install", "cargo-fuzz", "--locked", "--root"]);
    bench.prepare(command.arg(root), "installing cargo-fuzz")
}

/// The search path with our own tools at its end.
fn path(bench: &Bench) -> Result<OsString, Fault> {
    let before = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&before).chain([bench.root.join(TOOLS).join("bin")]);
    std::env::join_paths(folders).map_err(|error| Fault::new(format!("the search path: {error}")))
}

fn cargo_fuzz(bench: &Bench, verb: &str) -> Result<Command, Fault> {
    let mut command = bench.cargo(&["fuzz", verb, "--fuzz-dir", "fuzz", "--target-dir"]);
    // The sanitizer is an option that only the nightly compiler has by itself.
    command.arg(bench.root.join(TARGET)).env("RUSTC_BOOTSTRAP", "1").env("PATH", path(bench)?);
    Ok(command)
}

/// Runs one target on its seeds and its corpus, which grows. Says in a sentence how it went.
fn run_target(bench: &Bench, name: &str, seconds: u64) -> Result<(Counts, String), Fault> {
    let folder = |of: &str| -> Result<PathBuf, Fault> {
        let folder = bench.root.join(of).join(name);
        fs::create_dir_all(&folder).map_err(|error| Fault::io("create", &folder, error))?;
        Ok(folder)
    };
    let (corpus, artifacts) = (folder(CORPUS)?, folder(ARTIFACTS)?);
    let mut command = cargo_fuzz(bench, "run")?;
    command.arg(name).arg(&corpus).arg(bench.root.join("fuzz/seeds").join(name)).arg("--").args(LIMITS);
    command.arg(format!("-max_total_time={seconds}")).arg("-print_final_stats=1");
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    let (exit, output) = bench.capture(&mut command)?;
    let inputs = fs::read_dir(&corpus).map_or(0, Iterator::count);
    if exit == Exit::Good {
        let runs = statistic(&output, "stat::number_of_executed_units:").unwrap_or("?");
        return Ok((Counts::PASSED, format!("{runs} runs, {inputs} inputs in its corpus, ok")));
    }
    Ok((Counts::FAILED, format!("FAILED\n{}", crash(name, &output))))
}

fn statistic<'a>(output: &'a str, name: &str) -> Option<&'a str> {
    output.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// What a crash said, where its input is, and how to see it again.
fn crash(name: &str, output: &str) -> String {
    let signs = ["panicked at", "ERROR: ", "SUMMARY: ", "error: ", "error["];
    let mut lines: Vec<String> = Vec::new();
    let mut left = 0;
    for line in output.lines() {
        if signs.iter().any(|sign| line.contains(sign)) {
            left = 3;
        }
        if left > 0 && lines.len() < CRASH_LINES {
            left -= 1;
            lines.push(format!("    {line}"));
        }
    }
    match output.lines().find_map(|line| line.split_once("Test unit written to ")) {
        Some((_before, file)) => {
            let replay = "cargo run --manifest-path fuzz/Cargo.toml --no-default-features --bin replay --";
            lines.push(format!("    its input: {file}"));
            lines.push(format!("    to see it again, with any compiler: {replay} {name} {file}"));
            lines.push(format!("    or under libFuzzer: RUSTC_BOOTSTRAP=1 cargo fuzz run {name} {file}"));
        }
        None => lines.push("    it left no input: see the log".to_owned()),
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_is_told_with_its_input_and_how_to_see_it_again() {
        let output = "#12 NEW cov: 1\n\
            thread '<unnamed>' panicked at fuzz/src/token.rs:9:5:\n\
            nobody guesses a signature\n\
            ==7== ERROR: libFuzzer: deadly signal\n\
            artifact_prefix='/b/'; Test unit written to /b/crash-1\n";
        let told = crash("token", output);
        assert!(told.contains("nobody guesses a signature"), "{told}");
        assert!(told.contains("--bin replay -- token /b/crash-1"), "{told}");
        assert!(told.contains("cargo fuzz run token /b/crash-1"), "{told}");
        assert!(crash("token", "error: could not compile").contains("could not compile"));
    }

    #[test]
    fn every_target_has_its_program_its_entry_and_its_seeds() {
        let root = crate::workspace::root();
        let names = targets(&root).unwrap();
        assert!(names.len() >= 18, "{names:?}");
        let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
        let (manifest, list) = (read("fuzz/Cargo.toml"), read("fuzz/src/lib.rs"));
        assert_eq!(manifest.matches("\n[[bin]]").count(), names.len() + 1, "and `replay`");
        assert_eq!(list.matches("Target { name: \"").count(), names.len());
        for name in &names {
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} in fuzz/Cargo.toml");
            assert!(list.contains(&format!("run: {name}::run")), "{name} in fuzz/src/lib.rs");
            let seeds = fs::read_dir(root.join("fuzz/seeds").join(name)).map_or(0, Iterator::count);
            assert!(seeds > 0, "fuzz/seeds/{name}");
        }
    }
}
