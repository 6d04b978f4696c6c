//! A histogram of microseconds whose buckets are 1.6 % wide or narrower: recording is an addition.

/// Steps in each doubling.
const STEPS: u64 = 64;
const STEP_BITS: u32 = 6;
/// Up to some 70 minutes.
const BUCKETS: usize = 64 * 28;

/// Values in microseconds.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, max: 0 }
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, us: i64) {
        let us = u64::try_from(us).unwrap_or(0);
        if let Some(count) = self.counts.get_mut(bucket(us)) {
            *count += 1;
        }
        self.total += 1;
        self.max = self.max.max(us);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn max_ms(&self) -> f64 {
        self.max as f64 / 1e3
    }

    /// The value that `share` of all values do not exceed, milliseconds; 0 when there is none.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        let rank = (self.total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return (upper_end(index as u64).min(self.max)) as f64 / 1e3;
            }
        }
        self.max_ms()
    }
}

fn bucket(us: u64) -> usize {
    if us < STEPS {
        return us as usize;
    }
    let doubling = us.ilog2() - STEP_BITS;
    let step = (us >> doubling) - STEPS;
    let index = u64::from(doubling + 1) * STEPS + step;
    (index as usize).min(BUCKETS - 1)
}

fn upper_end(index: u64) -> u64 {
    if index < STEPS {
        return index;
    }
    let doubling = index / STEPS - 1;
    let step = index % STEPS;
    ((STEPS + step + 1) << doubling) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_two_percent() {
        let mut histogram = Histogram::default();
        for us in 1..=100_000 {
            histogram.record(us);
        }
        for share in [0.01, 0.5, 0.9, 0.99] {
            let exact_ms = share * 100.0;
            let ratio = histogram.quantile_ms(share) / exact_ms;
            assert!((0.98..1.02).contains(&ratio), "{share}: {ratio}");
        }
        assert!((histogram.max_ms() - 100.0).abs() < 1e-9);
    }

    #[test]
    fn every_value_is_in_the_bucket_that_ends_at_or_after_it() {
        for us in (0..2_000_000).step_by(7) {
            let index = bucket(us) as u64;
            assert!(upper_end(index) >= us, "{us}");
            assert!(index == 0 || upper_end(index - 1) < us, "{us}");
        }
    }
}
