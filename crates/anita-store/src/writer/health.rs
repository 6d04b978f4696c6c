//! How the way into the store is.

use std::time::Duration;

/// How the way into the store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// What is handed in is kept within a moment.
    #[default]
    Well,
    /// It is kept in a place nearby, because the real one is away.
    Spooling,
    /// A commit takes unusually long.
    Slow,
    /// There is no room left on the store's disk.
    Full,
    /// The last commit failed.
    Away,
}

impl State {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Spooling => "spooling",
            Self::Slow => "slow",
            Self::Full => "full",
            Self::Away => "away",
        }
    }
}

/// How the way into the store is, in figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Health {
    /// The word for it.
    pub state: State,
    /// Fixes that wait, those of the commit under way included.
    pub waiting_fixes: usize,
    /// Entrusted records that wait.
    pub backlog: usize,
    /// Entrusted records that were given up because too many waited.
    pub given_up: u64,
    /// Fixes in the spool.
    pub spooled_fixes: u64,
    /// Commits that succeeded.
    pub commits: u64,
    /// Commits that failed.
    pub failures: u64,
    /// Fixes that were kept, those that were known already included.
    pub fixes: u64,
    /// How long commits took in all.
    pub commit_time: Duration,
}
