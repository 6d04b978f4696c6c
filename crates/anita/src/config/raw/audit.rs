//! `[audit]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[audit]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawAudit {
    /// A file of JSON lines; beside what the store has on this disk when absent, none when empty.
    pub file: Option<PathBuf>,
    /// How large it becomes before another one begins, bytes.
    pub file_bytes_max: u64,
    /// How many files there are, the one that is written included.
    pub files_max: usize,
    /// Refusals of one caller that get an entry of their own, a second; the others are counted.
    pub refusals_per_second: f64,
    /// The same at once, after a pause.
    pub refusals_burst: f64,
    /// How often what was counted is summed up, seconds.
    pub summary_secs: f64,
}

impl Default for RawAudit {
    fn default() -> Self {
        Self {
            file: None,
            file_bytes_max: 100_000_000,
            files_max: 5,
            refusals_per_second: 20.0,
            refusals_burst: 100.0,
            summary_secs: 60.0,
        }
    }
}
