//! How many requests a client may make: a token bucket that holds one second's worth.

use std::time::Duration;

/// A token bucket.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    per_second: f64,
    tokens: f64,
    filled_at: Duration,
}

impl Budget {
    /// A full one.
    pub fn new(per_second: u32, uptime: Duration) -> Self {
        Self { per_second: f64::from(per_second), tokens: f64::from(per_second), filled_at: uptime }
    }

    /// Another rate from now on; what is there is not filled up.
    pub fn set_rate(&mut self, per_second: u32) {
        self.per_second = f64::from(per_second);
        self.tokens = self.tokens.min(self.per_second);
    }

    /// Takes one token.
    ///
    /// # Errors
    /// When there is none: how long until there is.
    pub fn take(&mut self, uptime: Duration) -> Result<(), Duration> {
        let gained = uptime.saturating_sub(self.filled_at).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + gained).min(self.per_second);
        // Of two threads the one that came first may be counted last: no time is gained twice.
        self.filled_at = self.filled_at.max(uptime);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            Ok(())
        } else {
            Err(Duration::from_secs_f64((1.0 - self.tokens) / self.per_second.max(f64::MIN_POSITIVE)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holds_as_many_requests_as_are_allowed() {
        let mut budget = Budget::new(10, Duration::ZERO);
        assert_eq!((0..20).filter(|_| budget.take(Duration::ZERO).is_ok()).count(), 10);
        let wait = budget.take(Duration::ZERO).unwrap_err();
        assert!(wait <= Duration::from_millis(100));
        assert!(budget.take(Duration::from_millis(101)).is_ok());
        assert!(budget.take(Duration::from_millis(101)).is_err());
        let later = Duration::from_secs(100);
        assert_eq!((0..20).filter(|_| budget.take(later).is_ok()).count(), 10, "it does not save up");
    }

    #[test]
    fn who_comes_with_an_older_time_gains_nothing() {
        let mut budget = Budget::new(10, Duration::ZERO);
        let (early, late) = (Duration::from_secs(5), Duration::from_secs(6));
        let taken = (0..100).filter(|_| budget.take(late).is_ok() | budget.take(early).is_ok()).count();
        assert!(taken <= 10, "{taken}");
    }
}
