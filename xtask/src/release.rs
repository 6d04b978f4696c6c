//! `cargo xtask release`: the program as it is given away, with its bill of materials; and `cargo xtask reproduce`, which
//! builds it twice, in two folders, and compares.
//!
//! What would differ from one machine or moment to the next is kept out: folders are rewritten in what compilers note
//! down, and what has to have a time has that of the last commit.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

use crate::fault::{Fault, Outcome};
use crate::{process, sbom, tools, workspace};

/// Where a release goes, from the root.
const RELEASE: &str = "build/release";

/// Where it is built twice, from the root.
const REPRODUCE: &str = "build/reproduce";

/// How much the compiler does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// As a release.
    Whole,
    /// Without optimisation: to try out whether builds differ, in less time.
    Cheap,
}

/// A built program.
#[derive(Debug)]
struct Made {
    program: PathBuf,
    sha256: String,
}

/// Builds the release into `build/release`: `anita`, `anita.cdx.json` and `SHA256SUMS`.
pub(crate) fn run(root: &Path) -> Outcome {
    let folder = root.join(RELEASE);
    create(&folder)?;
    let made = build(root, &folder.join("target"), Effort::Whole)?;
    let program = folder.join("anita");
    fs::copy(&made.program, &program).map_err(|error| Fault::io("copy", &made.program, error))?;
    let bill = folder.join("anita.cdx.json");
    sbom::write(root, &bill)?;
    let sums = format!("{}  anita\n{}  anita.cdx.json\n", made.sha256, sha256(&bill)?);
    let file = folder.join("SHA256SUMS");
    fs::write(&file, &sums).map_err(|error| Fault::io("write", &file, error))?;
    println!("{}:\n{sums}", folder.display());
    Ok(())
}

/// Builds the committed sources in two folders and compares the two programs, byte by byte by their hashes.
pub(crate) fn reproduce(root: &Path, effort: Effort) -> Outcome {
    let folder = root.join(REPRODUCE);
    let mut all = Vec::new();
    // Folders of other lengths: a path that is left anywhere moves what comes after it.
    for name in ["one", "another-one/and-deeper"] {
        let source = folder.join(name);
        remove(&source)?;
        create(&source)?;
        copy_committed(root, &source)?;
        let made = build(&source, &source.join("target"), effort)?;
        println!("{}  {}", made.sha256, made.program.display());
        all.push(made);
    }
    if all.windows(2).all(|pair| matches!(pair, [one, other] if one.sha256 == other.sha256)) {
        remove(&folder)?;
        println!("both are the same");
        return Ok(());
    }
    Err(Fault::new(format!("the two programs differ; they are left in {}", folder.display())))
}

/// Builds the program from the sources of a folder, with everything of the web made anew.
fn build(source: &Path, target: &Path, effort: Effort) -> Result<Made, Fault> {
    tools::check(&[tools::NODE, tools::NPM, tools::CC])?;
    if workspace::needs_npm_ci(source) {
        process::run(&mut workspace::npm(source, &["ci", "--no-audit", "--no-fund"]))?;
    }
    for part in workspace::WEB_PARTS {
        process::run(&mut part.build(source))?;
    }
    let mut cargo = workspace::cargo(source, &["build", "--release", "--locked", "--package", "anita"]);
    cargo.arg("--target-dir").arg(target);
    without_places(&mut cargo, source, target)?;
    if effort == Effort::Cheap {
        cargo.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0").env("CARGO_PROFILE_RELEASE_LTO", "off");
    }
    process::run(&mut cargo)?;
    let program = target.join("release/anita");
    let sha256 = sha256(&program)?;
    Ok(Made { program, sha256 })
}

/// Keeps this machine's folders and this moment out of what is built.
fn without_places(cargo: &mut Command, source: &Path, target: &Path) -> Outcome {
    let places = [(source.to_owned(), "/anita"), (target.to_owned(), "/target"), (cargo_home()?, "/cargo")];
    let (mut rust, mut c) = (OsString::new(), OsString::new());
    // The last one that fits counts, so the target folder, which may be inside the sources, comes after them.
    for (place, name) in &places {
        for (flags, flag) in [(&mut rust, "--remap-path-prefix="), (&mut c, "-ffile-prefix-map=")] {
            flags.push(if flags.is_empty() { "" } else { " " });
            flags.push(flag);
            flags.push(place);
            flags.push("=");
            flags.push(name);
        }
    }
    let last_commit = process::output(workspace::command(source, "git").args(["log", "-1", "--format=%ct"]));
    let last_commit = last_commit.map_or_else(|| "0".to_owned(), |secs| secs.trim().to_owned());
    cargo.env("RUSTFLAGS", rust).env("CFLAGS", &c).env("CXXFLAGS", &c);
    cargo.env("SOURCE_DATE_EPOCH", last_commit).env("CARGO_INCREMENTAL", "0").env_remove("CARGO_TARGET_DIR");
    Ok(())
}

/// Where cargo keeps the sources of crates.
fn cargo_home() -> Result<PathBuf, Fault> {
    let named = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let usual = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    named.or_else(usual).ok_or_else(|| Fault::new("neither CARGO_HOME nor HOME is set"))
}

/// Copies what the last commit has.
fn copy_committed(root: &Path, into: &Path) -> Outcome {
    let archive = into.join("source.tar");
    let mut git = workspace::command(root, "git");
    process::run(git.args(["archive", "--format=tar", "HEAD", "--output"]).arg(&archive))?;
    process::run(workspace::command(into, "tar").arg("-xf").arg(&archive))?;
    fs::remove_file(&archive).map_err(|error| Fault::io("remove", &archive, error))
}

fn sha256(file: &Path) -> Result<String, Fault> {
    let bytes = fs::read(file).map_err(|error| Fault::io("read", file, error))?;
    Ok(sbom::hexadecimal(&Sha256::digest(bytes)))
}

fn create(folder: &Path) -> Outcome {
    fs::create_dir_all(folder).map_err(|error| Fault::io("create", folder, error))
}

fn remove(folder: &Path) -> Outcome {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder).map_err(|error| Fault::io("remove", folder, error))
}
