//! How old the positions of one connection were when they were written.

use std::time::Duration;

use anita_wire::view;
use hdrhistogram::Histogram;

/// When a position arrived, and when it was due by the rate of its view; by the uptime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// When it arrived.
    pub arrived: Duration,
    /// When it was due.
    pub due: Duration,
}

/// The longest age that is told apart from a longer one, milliseconds: ten minutes.
const AGE_MS_MAX: u64 = 600_000;

/// The ages of a connection's positions, since they were asked for.
#[derive(Debug)]
pub(crate) struct Ages {
    /// Arrived → written; `None` only if a histogram of these bounds were impossible.
    age: Option<Histogram<u32>>,
    /// Due → written.
    added: Option<Histogram<u32>>,
}

impl Ages {
    pub(crate) fn new() -> Self {
        let histogram = || Histogram::new_with_bounds(1, AGE_MS_MAX, 1).ok();
        Self { age: histogram(), added: histogram() }
    }

    pub(crate) fn observe(&mut self, stamps: &[Stamp], uptime: Duration) {
        for stamp in stamps {
            let record = |histogram: &mut Option<Histogram<u32>>, since: Duration| {
                let age_ms = u64::try_from(uptime.saturating_sub(since).as_millis()).unwrap_or(u64::MAX);
                if let Some(histogram) = histogram {
                    histogram.saturating_record(age_ms);
                }
            };
            record(&mut self.age, stamp.arrived);
            record(&mut self.added, stamp.due);
        }
    }

    /// What was observed so far.
    pub(crate) fn peek(&self) -> (Option<view::Ages>, Option<view::Ages>) {
        let told = |histogram: &Option<Histogram<u32>>| {
            let histogram = histogram.as_ref().filter(|histogram| !histogram.is_empty())?;
            Some(view::Ages {
                p50: histogram.value_at_quantile(0.5),
                p99: histogram.value_at_quantile(0.99),
                max: histogram.max(),
            })
        };
        (told(&self.age), told(&self.added))
    }

    /// What was observed; begins anew.
    pub(crate) fn take(&mut self) -> (Option<view::Ages>, Option<view::Ages>) {
        let told = self.peek();
        for histogram in [&mut self.age, &mut self.added].into_iter().flatten() {
            histogram.reset();
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_once_and_begin_anew() {
        let mut ages = Ages::new();
        assert_eq!(ages.take(), (None, None));
        let stamp = |arrived: u64, due: u64| Stamp {
            arrived: Duration::from_millis(arrived),
            due: Duration::from_millis(due),
        };
        ages.observe(&[stamp(0, 90), stamp(95, 95), stamp(200, 200)], Duration::from_millis(100));
        assert_eq!(ages.peek().0.unwrap().p50, 5, "a look takes nothing away");
        let (age, added) = ages.take();
        let (age, added) = (age.unwrap(), added.unwrap());
        assert_eq!((age.p50, added.p50), (5, 5));
        assert!((100..=107).contains(&age.max), "{age:?}");
        assert_eq!(added.max, 10, "due later than it arrived");
        assert_eq!(ages.take(), (None, None), "it begins anew");
    }
}
