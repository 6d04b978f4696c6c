//! The time of a playback: it goes faster or slower than ours, stands still, and jumps.

use std::time::Duration;

use anita_model::Timestamp;

/// Which moment of the past it is, by the uptime.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Clock {
    /// It was this moment …
    at: Timestamp,
    /// … then, by the uptime.
    since: Duration,
    speed: f64,
    is_paused: bool,
}

impl Clock {
    pub(super) fn new(at: Timestamp, speed: f64, uptime: Duration) -> Self {
        Self { at, since: uptime, speed, is_paused: false }
    }

    pub(super) fn is_paused(&self) -> bool {
        self.is_paused
    }

    pub(super) fn speed(&self) -> f64 {
        self.speed
    }

    pub(super) fn has_speed(&self, speed: f64) -> bool {
        self.speed.total_cmp(&speed).is_eq()
    }

    /// The moment of the past.
    pub(super) fn at(&self, uptime: Duration) -> Timestamp {
        if self.is_paused {
            return self.at;
        }
        let passed_secs = uptime.saturating_sub(self.since).as_secs_f64() * self.speed;
        self.at.plus(Duration::try_from_secs_f64(passed_secs).unwrap_or(Duration::MAX))
    }

    /// When a moment of the past is reached, by the uptime; never, while it stands still.
    pub(super) fn reaches(&self, at: Timestamp) -> Option<Duration> {
        let wait_secs = at.since(self.at).as_secs_f64() / self.speed;
        // Half a microsecond that is rounded down must not lead to a wake that is too early.
        let wait = Duration::try_from_secs_f64(wait_secs).ok()?.saturating_add(Duration::from_micros(1));
        (!self.is_paused).then(|| self.since.saturating_add(wait))
    }

    /// From now on it is this moment.
    pub(super) fn set(&mut self, at: Timestamp, uptime: Duration) {
        (self.at, self.since) = (at, uptime);
    }

    pub(super) fn set_speed(&mut self, speed: f64, uptime: Duration) {
        self.set(self.at(uptime), uptime);
        self.speed = speed;
    }

    pub(super) fn pause(&mut self, uptime: Duration) {
        self.set(self.at(uptime), uptime);
        self.is_paused = true;
    }

    pub(super) fn resume(&mut self, uptime: Duration) {
        self.set(self.at(uptime), uptime);
        self.is_paused = false;
    }
}
