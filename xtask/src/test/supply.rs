//! The suites about what the program is made of, and about its face to strangers: licences and advisories, the software
//! bill of materials, TLS, REST.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::bench::{Bench, Report};
use super::counts::{Counts, Exit};
use super::venv;
use crate::fault::Fault;
use crate::{process, sbom, workspace};

/// The version of cargo-deny that is installed into `build/tools`.
const CARGO_DENY: &str = "0.20.2";

/// What cargo-deny says when it can't have the database of advisories.
const NO_DATABASE: &str = "failed to fetch advisory database";

/// Where random bytes come from.
const RANDOM: &str = "/dev/urandom";

/// How many examples of each operation of REST the nightly command tries.
const API_EXAMPLES: &str = "40";

/// What npm says when its registry answers no questions about advisories.
const NO_AUDIT: &str = "audit endpoint returned an error";

/// Licences, versions, sources and advisories: of crates by cargo-deny, of npm's packages by npm itself.
pub(crate) fn deny(bench: &mut Bench) -> Result<Report, Fault> {
    let program = cargo_deny(bench)?;
    let check = |kinds: &[&str]| {
        let mut command = workspace::command(&bench.root, &program.to_string_lossy());
        bench.capture(command.arg("check").args(kinds))
    };
    let (exit, _output) = check(&["bans", "licenses", "sources"])?;
    let mut counts = of_check(exit);
    let (exit, output) = check(&["advisories"])?;
    let crates = advisories(exit, &output, NO_DATABASE);
    let mut audit = workspace::npm(&bench.root, &["audit", "--workspaces", "--include-workspace-root"]);
    let (exit, output) = bench.capture(&mut audit)?;
    let packages = advisories(exit, &output, NO_AUDIT);
    counts = counts + crates + packages;
    let unread = [(crates, "of crates (RustSec)"), (packages, "of npm")];
    let unread = unread.iter().filter(|(counts, _of)| counts.skipped > 0).map(|(_counts, of)| *of);
    let unread = unread.collect::<Vec<_>>().join(" and ");
    let note = (counts.skipped > 0).then(|| format!("the advisories {unread} could not be read"));
    Ok(Report { counts, note })
}

fn of_check(exit: Exit) -> Counts {
    match exit {
        Exit::Good => Counts::PASSED,
        Exit::Bad => Counts::FAILED,
    }
}

/// A check that is left out where what it reads can't be had: by the words with which the tool says so, and not by
/// whatever else goes wrong.
fn advisories(exit: Exit, output: &str, out_of_reach: &str) -> Counts {
    if exit == Exit::Bad && output.contains(out_of_reach) { Counts::SKIPPED } else { of_check(exit) }
}

/// cargo-deny, which is compiled once. It reads a few files, so it need not be fast, but it should be there soon.
fn cargo_deny(bench: &Bench) -> Result<PathBuf, Fault> {
    let tools = bench.root.join("build/tools");
    let program = tools.join("bin/cargo-deny");
    let version =
        process::output(workspace::command(&bench.root, &program.to_string_lossy()).arg("--version"));
    if version.is_some_and(|version| version.trim().ends_with(CARGO_DENY)) {
        return Ok(program);
    }
    let target = tools.join("target");
    let mut install = bench.cargo(&["install", "--locked", "--force", "cargo-deny", "--version", CARGO_DENY]);
    install.arg("--root").arg(&tools).env("CARGO_TARGET_DIR", &target);
    install.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0").env("CARGO_PROFILE_RELEASE_LTO", "off");
    install.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "256").env("CARGO_PROFILE_RELEASE_STRIP", "true");
    bench.prepare(&mut install, "installing cargo-deny")?;
    fs::remove_dir_all(&target).map_err(|error| Fault::io("remove", &target, error))?;
    Ok(program)
}

/// The bill of materials is complete and is what its standard says.
pub(crate) fn materials(bench: &mut Bench) -> Result<Report, Fault> {
    let file = bench.scratch("sbom")?.join("anita.cdx.json");
    sbom::write(&bench.root, &file)?;
    venv::unittest(bench, "tests/sbom", &[("ANITA_SBOM", &file), ("ANITA_ROOT", &bench.root)])
}

/// TLS, judged by an independent scanner, and a certificate that is changed under load.
pub(crate) fn tls(bench: &mut Bench) -> Result<Report, Fault> {
    let program = bench.build_program()?;
    venv::unittest(bench, "tests/tls", &[("ANITA_BIN", &program)])
}

/// REST, fuzzed from its own document by an independent fuzzer.
pub(crate) fn api(bench: &mut Bench) -> Result<Report, Fault> {
    api_with(bench, &[])
}

/// The same with another seed each time, which the log has, and with more examples.
pub(crate) fn api_anew(bench: &mut Bench) -> Result<Report, Fault> {
    let mut bytes = [0; 4];
    let random = fs::File::open(RANDOM).and_then(|mut source| source.read_exact(&mut bytes));
    random.map_err(|error| Fault::io("read", Path::new(RANDOM), error))?;
    let seed = u32::from_le_bytes(bytes).to_string();
    bench.note(&format!("again with the same: ANITA_API_SEED={seed} ANITA_API_EXAMPLES={API_EXAMPLES}"))?;
    api_with(bench, &[("ANITA_API_SEED", Path::new(&seed)), ("ANITA_API_EXAMPLES", Path::new(API_EXAMPLES))])
}

fn api_with(bench: &Bench, more: &[(&str, &Path)]) -> Result<Report, Fault> {
    let program = bench.build_program()?;
    let fuzzer = venv::python(bench)?.with_file_name("schemathesis");
    let own: [(&str, &Path); 2] = [("ANITA_BIN", &program), ("ANITA_SCHEMATHESIS", &fuzzer)];
    venv::unittest(bench, "tests/api", &[&own, more].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advisories_out_of_reach_are_a_skip_and_other_faults_are_none() {
        let unreachable = "[ERROR] failed to fetch advisory database https://…";
        assert_eq!(advisories(Exit::Bad, unreachable, NO_DATABASE), Counts::SKIPPED);
        assert_eq!(advisories(Exit::Bad, "error[vulnerability]: …", NO_DATABASE), Counts::FAILED);
        assert_eq!(advisories(Exit::Good, "advisories ok", NO_DATABASE), Counts::PASSED);
        assert_eq!(advisories(Exit::Bad, "3 high severity vulnerabilities", NO_AUDIT), Counts::FAILED);
    }
}
