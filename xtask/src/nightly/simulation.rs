//! Every test that plays seeds, on many more of them than in the test command.

use super::Options;
use crate::fault::Fault;
use crate::test::bench::{Bench, Report};
use crate::test::counts::Counts;

/// How many seeds such a test runs.
const SEEDS_VARIABLE: &str = "ANITA_SEEDS";

/// A test that plays seeds: the package, the name of the test program, and where it is, from the root.
struct Seeded {
    package: &'static str,
    test: &'static str,
    place: &'static str,
}

/// All of them. Each takes the number of seeds from [`SEEDS_VARIABLE`], and says which one failed.
const SEEDED: [Seeded; 2] = [
    Seeded { package: "anita-views", test: "model", place: "crates/anita-views/tests/model" },
    Seeded { package: "anita-session", test: "simulation", place: "crates/anita-session/tests/simulation" },
];

pub(super) fn run(bench: &mut Bench, options: &Options) -> Result<Report, Fault> {
    let mut counts = Counts::default();
    let mut missing = Vec::new();
    for Seeded { package, test, place } in SEEDED {
        if !bench.root.join(place).exists() {
            missing.push(package);
            counts = counts + Counts::SKIPPED;
            continue;
        }
        // Optimised: many seeds are worth more than a quick build.
        let mut command = bench.cargo(&["test", "--release", "--package", package, "--test", test]);
        command.env(SEEDS_VARIABLE, options.seeds.to_string());
        let (exit, output) = bench.capture(&mut command)?;
        let of_test = Counts::of_libtest(&output).of_command(exit);
        println!(
            "  {package}: {} seeds, {}",
            options.seeds,
            if of_test.failed == 0 { "ok" } else { "FAILED" }
        );
        for line in output.lines().filter(|line| line.contains("ANITA_SEED=")) {
            println!("    {line}");
        }
        counts = counts + of_test;
    }
    let note = (!missing.is_empty()).then(|| format!("not there: {}", missing.join(", ")));
    Ok(Report { counts, note })
}
