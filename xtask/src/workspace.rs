//! Where things are, and whether they are up to date.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::fault::{Fault, Outcome};
use crate::process;

/// What `cargo run` tells this program and no other build should hear: it would rebuild what depends on it.
const OURS_ALONE: [&str; 14] = [
    "CARGO",
    "CARGO_BIN_NAME",
    "CARGO_CRATE_NAME",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_PKG_AUTHORS",
    "CARGO_PKG_DESCRIPTION",
    "CARGO_PKG_LICENSE",
    "CARGO_PKG_NAME",
    "CARGO_PKG_RUST_VERSION",
    "CARGO_PKG_VERSION",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
];

/// The folder above this crate's.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// A command that runs at the root, in the environment in which this program was started.
pub(crate) fn command(root: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root);
    for name in OURS_ALONE {
        command.env_remove(name);
    }
    command
}

/// Cargo, at the root.
pub(crate) fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let mut command = command(root, "cargo");
    command.args(arguments);
    command
}

/// npm, at the root.
pub(crate) fn npm(root: &Path, arguments: &[&str]) -> Command {
    let mut command = command(root, "npm");
    command.args(arguments);
    command
}

/// Where cargo puts what it builds.
pub(crate) fn target_folder(root: &Path) -> Result<PathBuf, Fault> {
    let text = process::output(&mut cargo(root, &["metadata", "--format-version", "1", "--no-deps"]));
    let metadata: Option<serde_json::Value> = text.and_then(|text| serde_json::from_str(&text).ok());
    let folder = metadata.as_ref().and_then(|it| it.get("target_directory")).and_then(|it| it.as_str());
    folder.map(PathBuf::from).ok_or_else(|| Fault::new("cargo metadata failed: run it to see why"))
}

/// Whether `npm ci` has to run: nothing is installed, or something else than the lock file says.
pub(crate) fn needs_npm_ci(root: &Path) -> bool {
    let installed = modified(&root.join("node_modules/.package-lock.json"));
    installed.is_none() || installed < modified(&root.join("package-lock.json"))
}

/// A part of the project that npm builds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WebPart {
    /// Its folder, which is its name for npm too.
    pub(crate) folder: &'static str,
    /// What is there once it is built.
    product: &'static str,
    /// Other folders that go into it.
    takes: &'static [&'static str],
}

/// What is built from TypeScript, in the order in which one needs the other.
pub(crate) const WEB_PARTS: [WebPart; 2] = [
    WebPart { folder: "sdk", product: "sdk/dist/anita.js", takes: &[] },
    WebPart { folder: "dashboard", product: "dashboard/dist/index.html", takes: &["sdk"] },
];

impl WebPart {
    /// Whether anything that goes into it is newer than what came out.
    pub(crate) fn is_stale(self, root: &Path) -> bool {
        let Some(built) = modified(&root.join(self.product)) else { return true };
        let folders = std::iter::once(&self.folder).chain(self.takes).map(|folder| root.join(folder));
        folders.chain([root.join("package-lock.json")]).any(|path| newest(&path) > Some(built))
    }

    /// The command that builds it.
    pub(crate) fn build(self, root: &Path) -> Command {
        npm(root, &["run", "--silent", "build", "--workspace", self.folder])
    }
}

/// Builds what is not up to date, in this terminal.
pub(crate) fn build_web(root: &Path) -> Outcome {
    for part in WEB_PARTS.into_iter().filter(|part| part.is_stale(root)) {
        println!("building {}", part.folder);
        process::run(&mut part.build(root))?;
    }
    Ok(())
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// The newest time of a file, or of any source in a folder: not of what is built or installed there.
fn newest(path: &Path) -> Option<SystemTime> {
    let Ok(entries) = fs::read_dir(path) else { return modified(path) };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let is_source = |path: &PathBuf| !(path.ends_with("dist") || path.ends_with("node_modules"));
    paths.filter(is_source).filter_map(|path| newest(&path)).max()
}
