//! A bound on how often the same complaint is logged.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// How many complaints of one kind are logged in a window.
const LOGGED_MAX: u32 = 5;
/// The length of a window.
const WINDOW: Duration = Duration::from_secs(60);

/// Lets through five complaints a minute and kind, and counts the others. The kinds are a fixed set of words.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    windows: HashMap<&'static str, Window>,
}

#[derive(Debug)]
struct Window {
    started_at: Instant,
    logged_count: u32,
    suppressed_count: u64,
}

// === impl Limiter ===

impl Limiter {
    /// Whether to log a complaint: `Some` with the number of those of its kind left out since the last one that was logged.
    pub(crate) fn admit(&mut self, kind: &'static str, now: Instant) -> Option<u64> {
        let window = self.windows.entry(kind).or_insert(Window {
            started_at: now,
            logged_count: 0,
            suppressed_count: 0,
        });
        if now.duration_since(window.started_at) >= WINDOW {
            window.started_at = now;
            window.logged_count = 0;
        }
        if window.logged_count >= LOGGED_MAX {
            window.suppressed_count += 1;
            return None;
        }
        window.logged_count += 1;
        Some(std::mem::take(&mut window.suppressed_count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_a_minute_and_kind_and_the_others_are_counted() {
        let mut limiter = Limiter::default();
        let start = Instant::now();
        let logged = (0..100).filter(|_| limiter.admit("not_json", start).is_some()).count();
        assert_eq!(logged, 5);
        assert_eq!(limiter.admit("bad_id", start), Some(0), "each kind has its own");
        assert_eq!(limiter.admit("not_json", start + WINDOW), Some(95));
        assert_eq!(limiter.admit("not_json", start + WINDOW), Some(0));
    }
}
