//! The rules of the house that no compiler knows. Each rule is a function from the files to its violations.

mod code;
mod documents;
mod metrics;
mod protocol;

use std::fs;
use std::path::{Path, PathBuf};

use crate::fault::{Fault, Outcome};

/// Folders whose files others write: builds, packages, the history.
const NOT_OURS: [&str; 7] = [".git", "build", "coverage", "dist", "node_modules", "target", "test-results"];

/// A text file of the project.
#[derive(Debug)]
struct SourceFile {
    /// Relative to the root, with `/`.
    path: String,
    text: String,
}

impl SourceFile {
    /// Whether its name ends in one of these.
    fn is_any(&self, endings: &[&str]) -> bool {
        endings.iter().any(|ending| self.path.ends_with(ending))
    }

    /// Whether it holds tests and nothing else.
    fn is_test(&self) -> bool {
        self.path.contains("tests/") || self.path.ends_with("tests.rs") || self.path.ends_with(".test.ts")
    }
}

/// Checks every rule.
pub(crate) fn check(root: &Path) -> Outcome {
    let mut files = Vec::new();
    collect(root, root, &mut files)?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    let mut violations = code::violations(&files);
    violations.extend(documents::violations(&files, |path| root.join(path).exists()));
    violations.extend(metrics::violations(&files));
    violations.extend(protocol::violations(&files));
    Fault::unless_empty(&violations, "the rules are in xtask/src/tidy")
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<SourceFile>) -> Outcome {
    let entries = fs::read_dir(folder).map_err(|error| Fault::io("read", folder, error))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !NOT_OURS.contains(&name) {
            collect(root, &path, files)?;
        } else if path.is_file()
            && let Ok(text) = fs::read_to_string(&path)
        {
            // What is not UTF-8 is data: pictures, recordings.
            let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            files.push(SourceFile { path, text });
        }
    }
    Ok(())
}

#[cfg(test)]
fn file(path: &str, text: &str) -> SourceFile {
    SourceFile { path: path.to_owned(), text: text.to_owned() }
}
