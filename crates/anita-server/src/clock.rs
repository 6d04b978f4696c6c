//! The clock of the edge: everything inside gets `now` from it.
//!
//! The wall clock of a machine may jump: somebody sets it, or the machine's time service corrects it. What is handed out
//! runs on by the time since the start, which does not jump, and follows the wall clock as long as that moves little. A
//! jump is doubted for a minute: one that is taken back meanwhile was nothing, one that stays is believed.
//!
//! A machine that was suspended is another matter: the time really went by. It is added to the time since the start, so that
//! tokens, sessions and silences are as old as they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use anita_metrics::Metrics;
use anita_model::{Now, Timestamp};
use parking_lot::Mutex;
use tokio::time::Instant;

/// By how much the wall clock may move between two looks and be believed at once, microseconds.
const STEP_MAX_US: i64 = 60_000_000;

/// After how long a jump is believed.
const BELIEVED_AFTER: Duration = Duration::from_secs(60);

/// A shorter sleep of the machine is none: the two clocks that tell it are read one after the other.
const SLEEP_MIN: Duration = Duration::from_secs(1);

/// The present by the wall clock and since the start.
#[derive(Debug, Clone)]
pub struct Clock {
    started: Instant,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The wall clock at the start, as it is believed now, microseconds.
    began_us: AtomicI64,
    /// How long the machine slept since the start, microseconds.
    slept_us: AtomicU64,
    /// How long it had slept before.
    slept_before: Duration,
    doubt: Mutex<Doubt>,
}

impl Clock {
    /// A clock whose uptime begins now.
    pub fn start() -> Self {
        let shared = Shared {
            began_us: AtomicI64::new(Timestamp::now().as_micros()),
            slept_us: AtomicU64::new(0),
            slept_before: slept_since_boot(),
            doubt: Mutex::default(),
        };
        Self { started: Instant::now(), shared: Arc::new(shared) }
    }

    /// The present.
    pub fn now(&self) -> Now {
        let uptime = self.uptime();
        let began_us = self.shared.began_us.load(Ordering::Relaxed);
        let wall_us = began_us.saturating_add(micros(uptime));
        Now { wall: Timestamp::from_micros(wall_us).unwrap_or(Timestamp::UNIX_EPOCH), uptime }
    }

    /// The moment of an uptime, for timers; far ahead for one that can't be.
    pub fn instant_of(&self, uptime: Duration) -> Instant {
        const FAR_AHEAD: Duration = Duration::from_secs(86_400);
        // Timers do not run while the machine sleeps.
        let awake = uptime.saturating_sub(self.slept());
        self.started.checked_add(awake).unwrap_or_else(|| Instant::now() + FAR_AHEAD)
    }

    fn slept(&self) -> Duration {
        Duration::from_micros(self.shared.slept_us.load(Ordering::Relaxed))
    }

    fn uptime(&self) -> Duration {
        self.started.elapsed().saturating_add(self.slept())
    }

    /// Takes into account how long the machine slept since the start.
    fn sleep(&self, slept: Duration) {
        let more = slept.saturating_sub(self.slept());
        if more < SLEEP_MIN {
            return;
        }
        let slept_us = u64::try_from(slept.as_micros()).unwrap_or(u64::MAX);
        self.shared.slept_us.store(slept_us, Ordering::Relaxed);
        tracing::warn!(
            slept_secs = more.as_secs(),
            "the machine was suspended; what ran out meanwhile has run out"
        );
    }

    /// Compares with the wall clock of the machine, once a second.
    pub(crate) fn follow(&self, metrics: &Metrics) {
        self.sleep(slept_since_boot().saturating_sub(self.shared.slept_before));
        let uptime = self.uptime();
        let began_us = Timestamp::now().as_micros().saturating_sub(micros(uptime));
        let believed_us = self.shared.began_us.load(Ordering::Relaxed);
        let ahead_us = began_us.saturating_sub(believed_us);
        let judged = self.shared.doubt.lock().judge(ahead_us, uptime);
        let ahead_secs = secs(ahead_us);
        match judged {
            Judged::Followed | Judged::Doubted => {}
            Judged::CameBack => tracing::warn!("the clock of the machine is where it was before its jump"),
            Judged::Jumped => {
                metrics.clock_jumps.inc();
                tracing::error!(
                    ahead_secs,
                    "the clock of the machine jumped; it is not believed for a minute"
                );
            }
            Judged::Believed => {
                tracing::warn!(
                    ahead_secs,
                    "the clock of the machine stays where it jumped to, and is believed"
                );
            }
        }
        let is_followed = matches!(judged, Judged::Followed | Judged::CameBack | Judged::Believed);
        if is_followed {
            self.shared.began_us.store(began_us, Ordering::Relaxed);
        }
        metrics.clock_doubt_seconds.set(if is_followed { 0.0 } else { ahead_secs });
    }
}

/// How long the machine was suspended since it was booted, where the system tells: Linux has a clock that counts it and one
/// that does not.
fn slept_since_boot() -> Duration {
    #[cfg(target_os = "linux")]
    {
        use rustix::time::{ClockId, clock_gettime};
        let awake = clock_gettime(ClockId::Monotonic);
        let all = clock_gettime(ClockId::Boottime);
        Duration::try_from(all)
            .unwrap_or_default()
            .saturating_sub(Duration::try_from(awake).unwrap_or_default())
    }
    #[cfg(not(target_os = "linux"))]
    Duration::ZERO
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "for people, who need no microseconds")]
fn secs(us: i64) -> f64 {
    us as f64 / 1e6
}

/// What a look at the wall clock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judged {
    /// It moved little.
    Followed,
    /// It had jumped, and is back.
    CameBack,
    /// It jumped.
    Jumped,
    /// It is where it jumped to.
    Doubted,
    /// It has been there for long enough.
    Believed,
}

/// The doubt of a wall clock that jumped. Pure.
#[derive(Debug, Default)]
struct Doubt {
    /// By how much it jumped, and when, by the uptime.
    jumped: Option<(i64, Duration)>,
}

impl Doubt {
    /// Judges how far the wall clock is ahead of what is believed of it.
    fn judge(&mut self, ahead_us: i64, uptime: Duration) -> Judged {
        if ahead_us.abs() <= STEP_MAX_US {
            return if self.jumped.take().is_some() { Judged::CameBack } else { Judged::Followed };
        }
        match self.jumped {
            Some((jumped_us, since)) if (ahead_us.saturating_sub(jumped_us)).abs() <= STEP_MAX_US => {
                if uptime.saturating_sub(since) < BELIEVED_AFTER {
                    return Judged::Doubted;
                }
                self.jumped = None;
                Judged::Believed
            }
            Some(_) | None => {
                self.jumped = Some((ahead_us, uptime));
                Judged::Jumped
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;
    const HOUR: i64 = 3_600 * SECOND;

    fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_jump_is_doubted_and_one_that_is_taken_back_was_nothing() {
        for jump in [HOUR, -HOUR, 24 * HOUR, -24 * HOUR] {
            let mut doubt = Doubt::default();
            assert_eq!(doubt.judge(SECOND, at(1)), Judged::Followed);
            assert_eq!(doubt.judge(-59 * SECOND, at(2)), Judged::Followed);
            assert_eq!(doubt.judge(jump, at(3)), Judged::Jumped);
            assert_eq!(doubt.judge(jump + SECOND, at(62)), Judged::Doubted);
            assert_eq!(doubt.judge(SECOND, at(62)), Judged::CameBack);
            assert_eq!(doubt.judge(0, at(63)), Judged::Followed);
        }
    }

    #[test]
    fn a_jump_that_stays_is_believed_after_a_minute_and_another_one_begins_anew() {
        let mut doubt = Doubt::default();
        assert_eq!(doubt.judge(HOUR, at(10)), Judged::Jumped);
        assert_eq!(doubt.judge(2 * HOUR, at(60)), Judged::Jumped);
        assert_eq!(doubt.judge(2 * HOUR, at(119)), Judged::Doubted);
        assert_eq!(doubt.judge(2 * HOUR, at(120)), Judged::Believed);
        assert_eq!(doubt.judge(0, at(121)), Judged::Followed);
    }

    #[tokio::test]
    async fn a_machine_that_was_suspended_is_older_by_that() {
        let clock = Clock::start();
        let began = clock.now();
        clock.sleep(Duration::from_millis(900));
        assert!(clock.now().uptime < Duration::from_millis(900), "that is how exact it is");
        clock.sleep(at(7_200));
        clock.sleep(at(7_200));
        let after = clock.now();
        assert!((at(7_200)..at(7_260)).contains(&after.uptime), "once: {after:?}");
        assert!((at(7_200)..at(7_260)).contains(&after.wall.since(began.wall)), "by both clocks: {after:?}");
        let wait = clock.instant_of(after.uptime + at(100)).saturating_duration_since(Instant::now());
        assert!(wait <= at(100) && wait > at(40), "timers go on from now: {wait:?}");
    }

    #[tokio::test]
    async fn what_is_handed_out_runs_on_with_the_time_since_the_start() {
        let (clock, metrics) = (Clock::start(), Metrics::default());
        let before = clock.now();
        // As if the machine's clock had been set back by a day.
        clock.shared.began_us.fetch_add(24 * HOUR, Ordering::Relaxed);
        let ahead = clock.now();
        assert!(ahead.wall.since(before.wall) >= Duration::from_secs(86_400));
        clock.follow(&metrics);
        let after = clock.now();
        assert!(after.wall >= ahead.wall, "time goes on");
        assert!(after.wall.since(ahead.wall) < Duration::from_secs(60));
        assert_eq!(metrics.clock_jumps.get(), 1);
        assert!(metrics.clock_doubt_seconds.get() < -86_000.0);
    }
}
