//! How much is logged: so many lines a second of each place in the program, and now and then how many more there were.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anita_metrics::Metrics;
use parking_lot::Mutex;
use tracing::callsite::Identifier;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// How often it is said how much was left out.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// How many seconds' worth may come at once.
const BURST_SECS: f64 = 2.0;

/// The audit trail has bounds of its own: nothing of it is left out here. Nor is what is told of what was.
const EXEMPT: [&str; 2] = ["anita::audit", OWN_TARGET];

/// Where it is said how much was left out.
const OWN_TARGET: &str = "anita::log";

/// Lets so many events of each place through. There are as many places as the program has: the table is bounded.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Throttle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    per_second: f64,
    places: Mutex<HashMap<Identifier, Place>>,
    /// Where it is counted, once there is a server.
    metrics: OnceLock<Arc<Metrics>>,
}

#[derive(Debug)]
struct Place {
    metadata: &'static Metadata<'static>,
    bucket: Bucket,
}

/// A token bucket that counts what it refused.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bucket {
    tokens: f64,
    filled_at: Instant,
    suppressed: u64,
}

impl Bucket {
    fn new(per_second: f64, now: Instant) -> Self {
        Self { tokens: per_second * BURST_SECS, filled_at: now, suppressed: 0 }
    }

    fn take(&mut self, per_second: f64, now: Instant) -> bool {
        let gained = now.saturating_duration_since(self.filled_at).as_secs_f64() * per_second;
        self.tokens = (self.tokens + gained).min(per_second * BURST_SECS);
        self.filled_at = now;
        let is_taken = self.tokens >= 1.0;
        if is_taken {
            self.tokens -= 1.0;
        } else {
            self.suppressed += 1;
        }
        is_taken
    }
}

impl Throttle {
    pub(super) fn new(lines_per_second: u32) -> Self {
        let shared = Shared {
            per_second: f64::from(lines_per_second),
            places: Mutex::default(),
            metrics: OnceLock::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Counts from now on what is left out.
    pub(in crate::cli) fn count_in(&self, metrics: &Arc<Metrics>) {
        self.shared.metrics.get_or_init(|| Arc::clone(metrics));
    }

    fn lets_through(&self, metadata: &'static Metadata<'static>, now: Instant) -> bool {
        let per_second = self.shared.per_second;
        if per_second <= 0.0 || EXEMPT.contains(&metadata.target()) {
            return true;
        }
        let mut places = self.shared.places.lock();
        let new = || Place { metadata, bucket: Bucket::new(per_second, now) };
        places.entry(metadata.callsite()).or_insert_with(new).bucket.take(per_second, now)
    }

    /// What was left out since this was last asked, by place.
    fn take_suppressed(&self) -> Vec<(&'static Metadata<'static>, u64)> {
        let mut places = self.shared.places.lock();
        let suppressed = |place: &mut Place| {
            let count = std::mem::take(&mut place.bucket.suppressed);
            (count > 0).then_some((place.metadata, count))
        };
        places.values_mut().filter_map(suppressed).collect()
    }

    /// Starts a thread that says how much was left out. It ends with the program.
    pub(super) fn tell_now_and_then(&self) -> std::io::Result<()> {
        let throttle = self.clone();
        std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            loop {
                std::thread::sleep(TELL_EVERY);
                throttle.tell();
            }
        })?;
        Ok(())
    }

    fn tell(&self) {
        for (metadata, count) in self.take_suppressed() {
            let place =
                format!("{}:{}", metadata.file().unwrap_or_default(), metadata.line().unwrap_or_default());
            if let Some(metrics) = self.shared.metrics.get() {
                metrics.log_suppressed.inc_by(count);
            }
            tracing::warn!(
                target: OWN_TARGET,
                of = metadata.target(),
                place,
                "… {count} more like this suppressed"
            );
        }
    }
}

// A layer of its own and not a filter of another one: what such a filter stops at the event, the registry of
// `tracing-subscriber` 0.3 takes for stopped at the next one, too.
impl<S: Subscriber> Layer<S> for Throttle {
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        self.lets_through(event.metadata(), Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    struct Counted(Arc<AtomicU64>);

    impl<S: Subscriber> Layer<S> for Counted {
        fn on_event(&self, _event: &Event<'_>, _context: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counted(throttle: &Throttle, log: impl FnOnce()) -> u64 {
        let count = Arc::new(AtomicU64::new(0));
        let layers = tracing_subscriber::registry().with(throttle.clone()).with(Counted(Arc::clone(&count)));
        tracing::subscriber::with_default(layers, log);
        count.load(Ordering::Relaxed)
    }

    #[test]
    fn a_place_that_shouts_is_cut_short_and_the_others_are_heard() {
        let throttle = Throttle::new(50);
        let lines = counted(&throttle, || {
            for _ in 0..1_000 {
                tracing::warn!("the same again");
            }
            tracing::warn!("something else");
        });
        assert!((101..=110).contains(&lines), "{lines}");
        let suppressed = throttle.take_suppressed();
        assert_eq!(suppressed.iter().map(|(_place, count)| count).sum::<u64>(), 1_001 - lines);
        assert_eq!(throttle.take_suppressed().len(), 0, "said once");
    }

    #[test]
    fn the_audit_trail_is_whole_and_no_limit_is_none() {
        let audit = || (0..1_000).for_each(|_| tracing::info!(target: "anita::audit", "an entry"));
        assert_eq!(counted(&Throttle::new(50), audit), 1_000);
        let other = || (0..1_000).for_each(|_| tracing::info!("a line"));
        assert_eq!(counted(&Throttle::new(0), other), 1_000);
    }

    #[test]
    fn a_bucket_fills_again() {
        let now = Instant::now();
        let mut bucket = Bucket::new(10.0, now);
        assert_eq!((0..100).filter(|_| bucket.take(10.0, now)).count(), 20);
        assert_eq!(bucket.suppressed, 80);
        let later = now + Duration::from_millis(500);
        assert_eq!((0..100).filter(|_| bucket.take(10.0, later)).count(), 5);
    }
}
