//! `[log]`.

use serde::{Deserialize, Serialize};

/// `format` of `[log]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawLog {
    /// `text` or `json`.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`, or a filter such as `info,anita_session=debug`.
    pub level: String,
    /// Lines a second of one place in the program, the audit trail apart; twice as many at once. The rest is counted. 0
    /// for no limit.
    pub lines_per_second: u32,
}

impl Default for RawLog {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned(), lines_per_second: 50 }
    }
}
