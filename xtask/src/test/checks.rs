//! The suites that look at the text of the project: each is one check.

use super::bench::{Bench, Report};
use super::counts::Counts;
use crate::fault::{Fault, Outcome};
use crate::{codegen, layers, tidy};

pub(crate) fn fmt(bench: &mut Bench) -> Result<Report, Fault> {
    let workspace = bench.check(&mut bench.cargo(&["fmt", "--all", "--check"]))?;
    // The fuzz targets are no member of the workspace.
    let mut fuzz = bench.cargo(&["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]);
    Ok((workspace + bench.check(&mut fuzz)?).into())
}

pub(crate) fn clippy(bench: &mut Bench) -> Result<Report, Fault> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    Ok(bench.check(&mut bench.cargo(&arguments))?.into())
}

pub(crate) fn doc(bench: &mut Bench) -> Result<Report, Fault> {
    let mut command = bench.cargo(&["doc", "--workspace", "--no-deps"]);
    Ok(bench.check(command.env("RUSTDOCFLAGS", "-D warnings"))?.into())
}

pub(crate) fn layers(bench: &mut Bench) -> Result<Report, Fault> {
    ours(bench, layers::check(&bench.root))
}

pub(crate) fn tidy(bench: &mut Bench) -> Result<Report, Fault> {
    ours(bench, tidy::check(&bench.root))
}

pub(crate) fn codegen(bench: &mut Bench) -> Result<Report, Fault> {
    ours(bench, codegen::check(&bench.root))
}

/// A check of this program's own: what it found goes to the log.
fn ours(bench: &Bench, outcome: Outcome) -> Result<Report, Fault> {
    match outcome {
        Ok(()) => Ok(Counts::PASSED.into()),
        Err(fault) => {
            bench.note(&fault.to_string())?;
            Ok(Counts::FAILED.into())
        }
    }
}
