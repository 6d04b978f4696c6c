//! How long things are kept, and how old fixes are thinned out.

use std::sync::Arc;
use std::time::Duration;

use anita_model::{Fix, Timestamp};

/// How much of a kind of thing is kept; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KindLimits {
    /// How old it may become.
    pub age_max: Option<Duration>,
    /// How much room it may take, bytes, as [`Usage`] counts them; the oldest goes first.
    pub bytes_max: Option<u64>,
}

/// A step of thinning out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thinning {
    /// Fixes older than this, by the device's time … Where it was less before, a stretch that both borders meet may keep
    /// one fix more: what is thinned out is not looked at again.
    pub after: Duration,
    /// … are thinned out to one a device in each such stretch; counted from the Unix epoch.
    pub every: Duration,
}

/// What is kept, and how long.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retention {
    /// Of fixes.
    pub fixes: KindLimits,
    /// Of events.
    pub events: KindLimits,
    /// Of the audit trail.
    pub audit: KindLimits,
    /// How fixes are thinned out before they go: later steps have a longer `after` and a longer `every`.
    pub thinning: Vec<Thinning>,
}

/// What a piece of tidying did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tidied {
    /// Fixes that were too old or too many.
    pub fixes_removed: u64,
    /// Fixes that were thinned out.
    pub fixes_thinned: u64,
    /// Events.
    pub events_removed: u64,
    /// Entries of the audit trail.
    pub audit_removed: u64,
    /// Whether there is more to do at once.
    pub has_more: bool,
}

/// How much there is of a kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// How many: exact, or of very many a good estimate.
    pub count: u64,
    /// The room that they take, bytes: exact or a good estimate, index included.
    pub bytes: u64,
}

/// How much a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Fixes.
    pub fixes: Amount,
    /// Events.
    pub events: Amount,
    /// The audit trail.
    pub audit: Amount,
    /// Floor plans, by the bytes of their pictures.
    pub plans: Amount,
    /// What all of it takes on the disk, bytes, with what is free inside; 0 in memory.
    pub disk_bytes: u64,
}

/// What is left of fixes of one device, oldest first, when of each stretch of time only the newest stays. Thinning twice
/// is the same as once.
pub fn thinned(fixes: &[Arc<Fix>], every: Duration) -> Vec<Arc<Fix>> {
    let stretch = |fix: &Fix| stretch_of(fix.taken_at, every);
    let newest = fixes.chunk_by(|a, b| stretch(a) == stretch(b)).filter_map(<[_]>::last);
    newest.cloned().collect()
}

/// The number of the stretch of time that a moment is in, counted from the Unix epoch.
fn stretch_of(at: Timestamp, every: Duration) -> i64 {
    let every_us = i64::try_from(every.as_micros()).unwrap_or(i64::MAX).max(1);
    at.as_micros().div_euclid(every_us)
}

#[cfg(test)]
mod tests {
    use anita_model::{DeviceId, Position, SiteName, SourceName};
    use proptest::prelude::*;

    use super::*;

    fn fixes(mut times_us: Vec<i64>) -> Vec<Arc<Fix>> {
        times_us.sort_unstable();
        let fix = |time_us: i64| {
            let taken_at = Timestamp::from_micros(time_us).unwrap();
            Arc::new(Fix {
                device: DeviceId::parse("a").unwrap(),
                site: SiteName::main(),
                position: Position::new(0.0, 0.0, 0.0).unwrap(),
                accuracy_m: None,
                floor: None,
                battery_percent: None,
                taken_at,
                received_at: taken_at,
                source: SourceName::parse("test").unwrap(),
                sequence: None,
            })
        };
        times_us.into_iter().map(fix).collect()
    }

    proptest! {
        #[test]
        fn of_each_stretch_the_newest_stays(times_us in prop::collection::vec(-5_000_000_i64..5_000_000, 0..100)) {
            let every = Duration::from_secs(1);
            let all = fixes(times_us);
            let left = thinned(&all, every);
            prop_assert_eq!(&thinned(&left, every), &left);
            for stretch in -5..5 {
                let is_in = |fix: &&Arc<Fix>| stretch_of(fix.taken_at, every) == stretch;
                let newest = all.iter().filter(is_in).map(|fix| fix.taken_at).max();
                let kept: Vec<Timestamp> = left.iter().filter(is_in).map(|fix| fix.taken_at).collect();
                prop_assert_eq!(kept, newest.into_iter().collect::<Vec<_>>());
            }
        }
    }
}
