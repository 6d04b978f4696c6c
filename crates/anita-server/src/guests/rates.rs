//! How often each address did something lately.

use std::collections::HashMap;
use std::time::Duration;

use anita_session::Budget;

use super::Neighbour;
use super::tally::Full;

/// The most addresses that are told apart in a second. Those that come beyond it are bounded all together only.
pub(super) const NEIGHBOURS_MAX: usize = 16_384;

/// A bucket that was not asked for so long is full again, so it can be forgotten.
const FULL_AFTER: Duration = Duration::from_secs(1);

/// Token buckets: one for all, and one for each address that came in the last two seconds.
#[derive(Debug)]
pub(super) struct Rates {
    in_all: Option<Budget>,
    per_second_of_one: u32,
    /// Those that came since the turn.
    now: HashMap<Neighbour, Budget>,
    /// Those that came in the time before it, and not since.
    before: HashMap<Neighbour, Budget>,
    turned_at: Duration,
}

impl Rates {
    /// Full ones.
    pub(super) fn new(per_second: Option<u32>, per_second_of_one: u32) -> Self {
        Self {
            in_all: per_second.map(|per_second| Budget::new(per_second, Duration::ZERO)),
            per_second_of_one,
            now: HashMap::new(),
            before: HashMap::new(),
            turned_at: Duration::ZERO,
        }
    }

    /// Takes a token of an address, and one of all. What an address is refused costs the others nothing.
    ///
    /// # Errors
    /// When there is none: of which, and how long until there is.
    pub(super) fn take(
        &mut self,
        neighbour: Option<Neighbour>,
        uptime: Duration,
    ) -> Result<(), (Full, Duration)> {
        self.turn(uptime);
        if let Some(neighbour) = neighbour
            && let Some(budget) = self.budget(neighbour, uptime)
        {
            budget.take(uptime).map_err(|wait| (Full::OfOne, wait))?;
        }
        match &mut self.in_all {
            Some(budget) => budget.take(uptime).map_err(|wait| (Full::InAll, wait)),
            None => Ok(()),
        }
    }

    /// The bucket of an address; `None` when too many other addresses came in this second.
    fn budget(&mut self, neighbour: Neighbour, uptime: Duration) -> Option<&mut Budget> {
        if self.now.len() >= NEIGHBOURS_MAX && !self.now.contains_key(&neighbour) {
            return None;
        }
        let (before, per_second) = (&mut self.before, self.per_second_of_one);
        let known = || before.remove(&neighbour).unwrap_or_else(|| Budget::new(per_second, uptime));
        Some(self.now.entry(neighbour).or_insert_with(known))
    }

    fn turn(&mut self, uptime: Duration) {
        let passed = uptime.saturating_sub(self.turned_at);
        if passed >= FULL_AFTER {
            let last = std::mem::take(&mut self.now);
            self.before = if passed < FULL_AFTER * 2 { last } else { HashMap::new() };
            self.turned_at = uptime;
        }
    }

    /// How many addresses are told apart.
    #[cfg(test)]
    pub(super) fn known(&self) -> usize {
        self.now.len() + self.before.len()
    }
}
