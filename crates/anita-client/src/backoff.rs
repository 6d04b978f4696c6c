//! How long to wait before the next attempt.

use std::time::Duration;

use rand::Rng;

/// Exponential with full jitter: anything from nothing to a bound that doubles with every attempt, the first included. Clients
/// that lost the same server do not come back at once.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    attempts: u32,
}

// === impl Backoff ===

impl Backoff {
    /// The bound of the first wait.
    pub const FIRST_MAX: Duration = Duration::from_millis(500);
    /// The bound of every wait.
    pub const MAX: Duration = Duration::from_secs(20);
    /// A connection that lived for as long begins the waits anew.
    pub const STABLE_AFTER: Duration = Duration::from_secs(10);

    /// The next wait: never less than what the server asked for, with the jitter on top.
    pub fn next_wait(&mut self, asked: Option<Duration>) -> Duration {
        self.wait(asked, rand::rng().random())
    }

    /// Begins anew.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }

    /// The same with `random` from 0 to 1.
    pub(crate) fn wait(&mut self, asked: Option<Duration>, random: f64) -> Duration {
        let doubled = Self::FIRST_MAX.saturating_mul(2_u32.saturating_pow(self.attempts));
        self.attempts = self.attempts.saturating_add(1);
        asked.unwrap_or_default().saturating_add(doubled.min(Self::MAX).mul_f64(random.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_twenty_seconds_and_what_the_server_asked_comes_first() {
        let mut backoff = Backoff::default();
        let secs: Vec<f64> = (0..8).map(|_| backoff.wait(None, 1.0).as_secs_f64()).collect();
        assert_eq!(secs, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]);
        assert_eq!(backoff.wait(None, 0.5), Duration::from_secs(10));
        backoff.reset();
        assert_eq!(backoff.wait(Some(Duration::from_secs(7)), 0.5), Duration::from_millis(7_250));
        assert!(backoff.next_wait(None) <= Duration::from_secs(1));
    }
}
