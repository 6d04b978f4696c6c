//! Why a command failed, for people.

use std::fmt;
use std::io;
use std::path::Path;

/// What a command comes to.
pub(crate) type Outcome = Result<(), Fault>;

/// A sentence, or several lines, that say what is wrong and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault(String);

impl Fault {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A fault that was told already.
    pub(crate) fn silent() -> Self {
        Self(String::new())
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.0.is_empty()
    }

    /// An operation on a file that failed.
    #[allow(clippy::needless_pass_by_value, reason = "it is the end of the error")]
    pub(crate) fn io(verb: &str, path: &Path, error: io::Error) -> Self {
        Self(format!("cannot {verb} {}: {error}", path.display()))
    }

    /// Fine when there are no violations; else all of them, and what to do.
    pub(crate) fn unless_empty(violations: &[String], remedy: &str) -> Outcome {
        if violations.is_empty() {
            return Ok(());
        }
        let count = violations.len();
        let noun = if count == 1 { "violation" } else { "violations" };
        Err(Self(format!("{}\n{count} {noun}; {remedy}", violations.join("\n"))))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
