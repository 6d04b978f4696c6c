//! A histogram of ages that takes many equal observations at once: one for each socket that a frame went to.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// The upper bounds of the buckets, microseconds; the last bucket has none.
const BOUNDS_US: [u64; 16] = [
    250, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000,
    5_000_000, 10_000_000, 60_000_000,
];

#[derive(Debug, Default)]
struct Counts {
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

/// How old things were, as one thread counts them before it adds them to a histogram.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgeCounts {
    buckets: [u64; BOUNDS_US.len() + 1],
    sum_us: u64,
}

impl AgeCounts {
    /// So many things were this old.
    pub fn observe(&mut self, age: Duration, count: u64) {
        let age_us = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
        let place = BOUNDS_US.partition_point(|&bound| bound < age_us);
        if let Some(bucket) = self.buckets.get_mut(place) {
            *bucket += count;
        }
        self.sum_us = self.sum_us.saturating_add(age_us.saturating_mul(count));
    }
}

/// How old things were.
#[derive(Debug, Clone, Default)]
pub struct AgeHistogram(Arc<Counts>);

impl AgeHistogram {
    /// So many things were this old.
    pub fn observe(&self, age: Duration, count: u64) {
        let mut counts = AgeCounts::default();
        counts.observe(age, count);
        self.add(&counts);
    }

    /// Adds what a thread has counted.
    pub fn add(&self, counts: &AgeCounts) {
        for (bucket, &count) in
            self.0.buckets.iter().zip(&counts.buckets).filter(|(_bucket, count)| **count > 0)
        {
            bucket.fetch_add(count, Ordering::Relaxed);
        }
        self.0.sum_us.fetch_add(counts.sum_us, Ordering::Relaxed);
    }

    /// How many things there were.
    pub fn count(&self) -> u64 {
        self.0.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }
}

impl TypedMetric for AgeHistogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for AgeHistogram {
    #[expect(clippy::cast_precision_loss, reason = "a sum of seconds needs no more than 53 bits")]
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let counts: Vec<u64> = self.0.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let bounds = BOUNDS_US.iter().map(|&bound| bound as f64 / 1e6).chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts.iter().copied()).collect();
        let sum = self.0.sum_us.load(Ordering::Relaxed) as f64 / 1e6;
        encoder.encode_histogram::<NoLabelSet>(sum, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ages_are_counted_at_once_in_their_bucket() {
        let ages = AgeHistogram::default();
        ages.observe(Duration::from_micros(250), 3);
        ages.observe(Duration::from_micros(251), 2);
        ages.observe(Duration::from_secs(3_600), 1);
        let counts: Vec<u64> = ages.0.buckets.iter().map(|it| it.load(Ordering::Relaxed)).collect();
        assert_eq!((counts[0], counts[1], counts[BOUNDS_US.len()]), (3, 2, 1));
        assert_eq!(ages.count(), 6);
    }
}
