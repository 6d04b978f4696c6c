//! Doubt about a clock that jumps: what is deleted because it seems to be old does not come back.

use std::time::Duration;

use anita_model::Now;

/// How far ahead the wall clock may jump and be believed at once.
const JUMP_MAX: Duration = Duration::from_secs(3_600);

/// After how long one that jumped further is believed all the same.
const BELIEVED_AFTER: Duration = Duration::from_secs(3_600);

/// Compares the wall clock with the time since the start, which does not jump.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    believed: Option<Now>,
    /// Since when it is not, by the uptime.
    doubted_since: Option<Duration>,
}

impl Doubt {
    /// Whether the wall clock can be right.
    pub(super) fn believes(&mut self, now: Now) -> bool {
        let expected =
            self.believed.map_or(now.wall, |last| last.wall.plus(now.uptime.saturating_sub(last.uptime)));
        let ahead = now.wall.since(expected);
        if ahead > JUMP_MAX {
            let since = *self.doubted_since.get_or_insert_with(|| {
                tracing::error!(
                    ahead_secs = ahead.as_secs(),
                    "the clock jumped ahead; nothing old is deleted for an hour"
                );
                now.uptime
            });
            if now.uptime.saturating_sub(since) < BELIEVED_AFTER {
                return false;
            }
        }
        self.believed = Some(now);
        if self.doubted_since.take().is_some() {
            tracing::warn!(now = %now.wall, "the clock is believed again");
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use anita_model::Timestamp;

    use super::*;

    /// The wall clock and the uptime, seconds.
    fn now(wall_secs: u64, uptime_secs: u64) -> Now {
        let wall = Timestamp::UNIX_EPOCH.plus(Duration::from_secs(wall_secs));
        Now { wall, uptime: Duration::from_secs(uptime_secs) }
    }

    #[test]
    fn a_clock_that_jumps_ahead_is_believed_when_it_comes_back_or_stays_there() {
        const YEAR: u64 = 31_536_000;
        let mut doubt = Doubt::default();
        assert!(doubt.believes(now(YEAR, 0)));
        assert!(doubt.believes(now(YEAR + 10, 10)));
        assert!(doubt.believes(now(YEAR + 3_000, 20)), "by less than an hour");
        assert!(!doubt.believes(now(9 * YEAR, 30)));
        assert!(!doubt.believes(now(9 * YEAR + 3_590, 3_620)));
        assert!(doubt.believes(now(YEAR + 6_610, 3_630)), "it came back");
        assert!(doubt.believes(now(10, 3_640)), "what is young stays: no harm");
        assert!(!doubt.believes(now(2 * YEAR, 3_650)));
        assert!(doubt.believes(now(2 * YEAR + 3_600, 7_250)), "it stays");
        assert!(doubt.believes(now(2 * YEAR + 90_000, 93_650)), "a long pause is no jump");
    }
}
