//! Saying something now and then that could be said all the time.

use std::time::Duration;

/// Says when it is time to say something again, and how often it was left out.
#[derive(Debug)]
pub(crate) struct Seldom {
    every: Duration,
    said_at: Option<Duration>,
    left_out: u64,
}

impl Seldom {
    pub(crate) fn every(every: Duration) -> Self {
        Self { every, said_at: None, left_out: 0 }
    }

    /// `Some` when it is time to say it: how often it was left out since the last time.
    pub(crate) fn now(&mut self, uptime: Duration) -> Option<u64> {
        if self.said_at.is_some_and(|said_at| uptime.saturating_sub(said_at) < self.every) {
            self.left_out += 1;
            return None;
        }
        self.said_at = Some(uptime);
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_now_and_then_with_how_often_it_was_left_out() {
        let mut seldom = Seldom::every(Duration::from_secs(10));
        let said = [0, 1, 9, 10, 19, 20].map(|at| seldom.now(Duration::from_secs(at)));
        assert_eq!(said, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
