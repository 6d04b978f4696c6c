//! How a writer works.

use std::time::Duration;

/// How a writer works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterSettings {
    /// How long fixes are gathered while there are many. What comes after a pause is committed at once.
    pub commit_every: Duration,
    /// How many fixes may wait; more are refused.
    pub waiting_fixes_max: usize,
    /// How many events and audit entries may wait while the store is away; the oldest go first. Of the registry and of
    /// states only the last of each device waits.
    pub backlog_max: usize,
    /// How long the store is left alone after it failed; also what refused callers are told to wait.
    pub retry_after: Duration,
    /// A commit that takes longer than this makes the store count as slow.
    pub slow_after: Duration,
}

impl WriterSettings {
    /// How many entrusted records may wait for the next commit; more go to the backlog, where only the last word on each
    /// device stays. Far more than come during a commit that does not hang.
    pub(super) fn entrusted_max(&self) -> usize {
        self.backlog_max.saturating_mul(4).max(1_000)
    }
}

impl Default for WriterSettings {
    fn default() -> Self {
        Self {
            commit_every: Duration::from_millis(20),
            waiting_fixes_max: 262_144,
            backlog_max: 100_000,
            retry_after: Duration::from_secs(1),
            slow_after: Duration::from_secs(2),
        }
    }
}
