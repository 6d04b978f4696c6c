//! Stopping in stages: who is told to come back when, and who is closed when.
//!
//! All clients are told at once. They are closed in batches, so that the goodbyes are no storm of their own, and come back
//! evenly spread after the last of them: each has a slot, and a moment within its slot.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How many connections are closed at once at the most.
const CLOSED_AT_ONCE_MAX: usize = 500;

/// How the server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainSettings {
    /// How long it serves on while `/readyz` says that it stops: a load balancer needs a moment to notice.
    pub ready_wait: Duration,
    /// The time over which clients come back.
    pub spread: Duration,
    /// The time over which many connections are closed; few are closed at once.
    pub close_over: Duration,
    /// How long to wait for all to be gone.
    pub wait: Duration,
}

impl Default for DrainSettings {
    fn default() -> Self {
        Self {
            ready_wait: Duration::ZERO,
            spread: Duration::from_secs(5),
            close_over: Duration::from_secs(2),
            wait: Duration::from_secs(10),
        }
    }
}

/// What one connection is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    /// When it is closed, after the start of the drain.
    pub(crate) close_after: Duration,
    /// When its client is to come back at the earliest, after the close.
    pub(crate) retry_after: Duration,
}

/// Gives every connection its turn.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    total: AtomicUsize,
    given: AtomicUsize,
}

impl Turns {
    /// So many connections there are.
    pub(crate) fn begin(&self, total: usize) {
        self.total.store(total, Ordering::Relaxed);
    }

    /// The next turn; `random` is from 0 to 1, and says where in its slot it is.
    pub(crate) fn next(&self, settings: &DrainSettings, random: f64) -> Turn {
        let total = self.total.load(Ordering::Relaxed).max(1);
        // Who came at the last moment shares a slot with another one.
        let slot = self.given.fetch_add(1, Ordering::Relaxed) % total;
        turn(slot, total, settings, random)
    }
}

/// The turn of a slot.
fn turn(slot: usize, total: usize, settings: &DrainSettings, random: f64) -> Turn {
    let batches = total.div_ceil(CLOSED_AT_ONCE_MAX);
    let batch = slot / CLOSED_AT_ONCE_MAX;
    // The last batch goes when the time is over; a single one goes at once.
    let close_after = settings.close_over.mul_f64(share(batch, batches.saturating_sub(1)));
    let closed = settings.close_over.mul_f64(share(batches.saturating_sub(1), batches.saturating_sub(1)));
    let width = settings.spread.div_f64(share(total, 1).max(1.0));
    let within =
        settings.spread.mul_f64(share(slot, total)).saturating_add(width.mul_f64(random.clamp(0.0, 1.0)));
    Turn { close_after, retry_after: closed.saturating_sub(close_after).saturating_add(within) }
}

/// `part` of `whole`; 0 where there is no whole.
#[expect(clippy::cast_precision_loss, reason = "numbers of connections are small")]
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: DrainSettings = DrainSettings {
        ready_wait: Duration::ZERO,
        spread: Duration::from_secs(5),
        close_over: Duration::from_secs(2),
        wait: Duration::from_secs(10),
    };

    /// In how many of the pieces of a length each moment falls, the fullest one first.
    fn fullest(moments: &[Duration], piece: Duration) -> usize {
        let mut counts = std::collections::BTreeMap::new();
        for moment in moments {
            *counts.entry(moment.as_micros() / piece.as_micros()).or_insert(0) += 1;
        }
        counts.into_values().max().unwrap_or(0)
    }

    fn all(total: usize, random: impl Fn(usize) -> f64) -> Vec<Turn> {
        let turns = Turns::default();
        turns.begin(total);
        (0..total).map(|slot| turns.next(&SETTINGS, random(slot))).collect()
    }

    #[test]
    fn ten_thousand_come_back_at_two_thousand_a_second_and_are_closed_by_five_hundred() {
        // The worst that chance can do with neighbouring slots.
        let turns = all(10_000, |slot| if slot % 2 == 0 { 1.0 } else { 0.0 });
        let closed: Vec<Duration> = turns.iter().map(|turn| turn.close_after).collect();
        assert_eq!(fullest(&closed, Duration::from_millis(50)), 500);
        assert_eq!(closed.iter().max(), Some(&SETTINGS.close_over));
        let back: Vec<Duration> = turns.iter().map(|turn| turn.close_after + turn.retry_after).collect();
        let peak = fullest(&back, Duration::from_secs(1));
        assert!((1_999..=2_002).contains(&peak), "{peak} in the fullest second");
        let peak = fullest(&back, Duration::from_millis(100));
        assert!((199..=202).contains(&peak), "{peak} in the fullest tenth of a second");
        assert!(
            back.iter().all(|back| *back >= SETTINGS.close_over),
            "nobody comes back before the last is gone"
        );
        assert!(back.iter().all(|back| *back <= SETTINGS.close_over + SETTINGS.spread));
    }

    #[test]
    fn few_are_closed_at_once_and_come_back_within_the_spread() {
        for total in [1, 2, 500] {
            let turns = all(total, |_slot| 0.5);
            assert!(turns.iter().all(|turn| turn.close_after == Duration::ZERO), "{total}");
            assert!(turns.iter().all(|turn| turn.retry_after <= SETTINGS.spread), "{total}");
        }
        assert!(all(501, |_slot| 0.5).iter().any(|turn| turn.close_after == SETTINGS.close_over));
    }

    #[test]
    fn who_comes_at_the_last_moment_has_a_turn_too() {
        let turns = Turns::default();
        turns.begin(0);
        assert!(turns.next(&SETTINGS, 0.5).retry_after <= SETTINGS.spread);
        turns.begin(2);
        for _ in 0..5 {
            assert!(turns.next(&SETTINGS, 0.5).retry_after <= SETTINGS.spread);
        }
    }
}
