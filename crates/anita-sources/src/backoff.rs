//! How long to wait before the next attempt.

use std::time::Duration;

/// Exponential, with full jitter: anything from nothing to a bound that doubles with every attempt. Many sources that lost the
/// same broker do not come back at once.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    attempts: u32,
}

// === impl Backoff ===

impl Backoff {
    /// The bound of the first wait.
    pub const FIRST_MAX: Duration = Duration::from_millis(500);
    /// The bound of every wait.
    pub const MAX: Duration = Duration::from_secs(30);
    /// A run that stayed connected for as long begins the waits anew.
    pub const STABLE_AFTER: Duration = Duration::from_secs(30);

    /// The next wait; `random` is uniform in 0..1.
    pub fn next_wait(&mut self, random: f64) -> Duration {
        let doubled = Self::FIRST_MAX.saturating_mul(2_u32.saturating_pow(self.attempts));
        self.attempts = self.attempts.saturating_add(1);
        doubled.min(Self::MAX).mul_f64(random.clamp(0.0, 1.0))
    }

    /// Begins anew.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_half_a_minute() {
        let mut backoff = Backoff::default();
        let secs: Vec<f64> = (0..9).map(|_| backoff.next_wait(1.0).as_secs_f64()).collect();
        assert_eq!(secs, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]);
        assert_eq!(backoff.next_wait(0.5), Duration::from_secs(15));
        assert_eq!((0..100).map(|_| backoff.next_wait(1.0)).max(), Some(Backoff::MAX), "no overflow");
        backoff.reset();
        assert_eq!(backoff.next_wait(1.0), Backoff::FIRST_MAX);
    }
}
