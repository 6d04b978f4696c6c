//! The programs that have to be there, and what to do where one is not.

use std::path::Path;
use std::process::Command;

use crate::fault::Outcome;
use crate::{fault::Fault, process};

/// A program that builds need.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    program: &'static str,
    purpose: &'static str,
    remedy: &'static str,
    /// The oldest major version that will do, where that matters.
    major_min: Option<u32>,
}

pub(crate) const NODE: Tool = Tool {
    program: "node",
    purpose: "the dashboard and the client are built with it",
    remedy: "apt-get install nodejs, or https://nodejs.org",
    major_min: Some(20),
};

pub(crate) const NPM: Tool = Tool {
    program: "npm",
    purpose: "it installs what the dashboard is built with",
    remedy: "apt-get install npm; it comes with Node from https://nodejs.org",
    major_min: None,
};

pub(crate) const CC: Tool = Tool {
    program: "cc",
    purpose: "SQLite and the cryptography of TLS are compiled with it",
    remedy: "apt-get install build-essential, or your system's C compiler",
    major_min: None,
};

/// Names every tool that is missing or too old.
pub(crate) fn check(tools: &[Tool]) -> Outcome {
    let missing: Vec<String> = tools.iter().filter_map(Tool::fault).collect();
    if missing.is_empty() { Ok(()) } else { Err(Fault::new(missing.join("\n"))) }
}

impl Tool {
    fn fault(&self) -> Option<String> {
        let Tool { program, purpose, remedy, major_min } = self;
        let Some(version) = process::output(Command::new(program).arg("--version")) else {
            return Some(format!("{program} is missing: {purpose}. Install it: {remedy}"));
        };
        let major_min = (*major_min)?;
        let major = major_of(&version);
        (major < Some(major_min)).then(|| {
            let version = version.trim();
            format!(
                "{program} is {version} and has to be {major_min} or newer: {purpose}. Update it: {remedy}"
            )
        })
    }
}

/// `v20.11.1` → 20.
fn major_of(version: &str) -> Option<u32> {
    version.trim().trim_start_matches('v').split('.').next()?.parse().ok()
}

/// Whether a program can be found as a shell would find it, or where Debian keeps those of an administrator.
pub(crate) fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    folders.map(|folder| folder.join(program)).any(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_is_named_with_its_remedy() {
        let tool = Tool { program: "no-such-tool", purpose: "for tests", remedy: "make it", major_min: None };
        let fault = check(&[tool]).unwrap_err().to_string();
        assert_eq!(fault, "no-such-tool is missing: for tests. Install it: make it");
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(major_of("v20.11.1\n"), Some(20));
        assert_eq!(major_of("8.2"), Some(8));
        assert_eq!(major_of("nonsense"), None);
    }
}
