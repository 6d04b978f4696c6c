//! How many fixes there are in each part of a stretch of time: what a timeline draws.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use anita_auth::Principal;
use anita_hub::{Hub, Past};
use anita_model::{DeviceId, Fix, Timestamp};
use anita_store::{HistoryQuery, Order};
use anita_wire::{ErrorCode, Refusal, Time};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::{FIXES_AT_ONCE, Range, Selection, field};
use crate::handlers::Refused;

/// The most buckets of an answer.
pub const DENSITY_BUCKETS_MAX: usize = 1_000;

/// How many there are unless the question says otherwise.
pub const DENSITY_BUCKETS_DEFAULT: usize = 200;

/// So many fixes are counted one by one; of more, a sample is.
pub const DENSITY_FIXES_MAX: usize = 100_000;

/// How many pages of the store an exact count may read: devices without fixes cost one each.
const EXACT_PAGES_MAX: usize = 2_000;

/// How many questions a sample may put to the store.
const SAMPLE_PAGES_MAX: usize = 2_000;

/// How many fixes of one device in one bucket are looked at; where there are more, their distance says how many.
const SAMPLE_FIXES: usize = 64;

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct DensityQuestion {
    /// When; both ends are needed.
    pub range: Range,
    /// How many buckets.
    pub buckets: Option<usize>,
    /// Of this device only.
    pub device: Option<DeviceId>,
    /// Of these only: ids and patterns, as in an export.
    pub devices: Option<Vec<String>>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Density {
    /// The start that was asked for, and that of the first bucket.
    pub start_time: Time,
    /// The end that was asked for, and that of the last bucket.
    pub end_time: Time,
    /// How long a bucket is, seconds.
    pub bucket_secs: f64,
    /// How many fixes there are in each bucket, oldest first.
    pub counts: Vec<u64>,
    /// Whether the counts are estimated from a sample, because there are too many fixes to count.
    pub is_estimate: bool,
    /// How many devices it is about.
    pub devices: usize,
    /// How many of them were looked at.
    pub devices_looked_at: usize,
}

/// How many fixes there are in each part of a stretch of time, of the devices that the principal may see.
///
/// # Errors
/// The refusal: a time without ends, a number of buckets that makes no sense, no such device; a store that does not answer.
pub async fn density(
    hub: &Hub,
    principal: &Principal,
    question: DensityQuestion,
) -> Result<Density, Refused> {
    let buckets = Buckets::new(question.range, question.buckets)?;
    let selection = match (&question.device, &question.devices) {
        (Some(_one), Some(_some)) => return Err(field("devices", "give device_id or devices, not both")),
        (Some(device), None) => Selection::one(hub, principal, device.as_str())?,
        (None, Some(texts)) => Selection::parse(hub, principal, texts)?,
        (None, None) => Selection::all(),
    };
    let devices = all_of(hub, principal, &selection);
    let past = hub.past();
    let count = devices.len();
    let exact = exactly(&past, &devices, &buckets).await?;
    let is_estimate = exact.is_none();
    let (counts, devices_looked_at) = match exact {
        Some(counts) => (counts, count),
        None => sampled(&past, devices, &buckets).await?,
    };
    Ok(Density {
        start_time: Time(buckets.start),
        end_time: Time(buckets.end),
        bucket_secs: micros_as_secs(buckets.length_us) / as_number(buckets.count),
        counts,
        is_estimate,
        devices: count,
        devices_looked_at,
    })
}

#[expect(clippy::cast_precision_loss, reason = "a microsecond in 300 years is nothing on a timeline")]
fn micros_as_secs(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// Every device of a selection.
fn all_of(hub: &Hub, principal: &Principal, selection: &Selection) -> Vec<DeviceId> {
    let mut devices: Vec<DeviceId> = Vec::new();
    loop {
        let page = selection.after(hub, principal, devices.last());
        if page.is_empty() {
            return devices;
        }
        devices.extend(page);
    }
}

/// A stretch of time in equal parts.
#[derive(Debug)]
struct Buckets {
    start: Timestamp,
    end: Timestamp,
    length_us: u64,
    count: usize,
}

impl Buckets {
    fn new(range: Range, count: Option<usize>) -> Result<Self, Refused> {
        let start = range.start.ok_or_else(|| field("start_time", "say from when on"))?;
        let end = range.end.ok_or_else(|| field("end_time", "say until when"))?;
        let count = count.unwrap_or(DENSITY_BUCKETS_DEFAULT);
        if !(1..=DENSITY_BUCKETS_MAX).contains(&count) {
            let message = format!("buckets: has to be 1 to {DENSITY_BUCKETS_MAX}.");
            let refusal = Refusal::saying(ErrorCode::OutOfRange, message);
            return Err(refusal
                .with_details(json!({ "path": "buckets", "limit": DENSITY_BUCKETS_MAX }))
                .into());
        }
        let length_us = u64::try_from(end.since(start).as_micros()).unwrap_or(u64::MAX);
        if length_us < count as u64 {
            return Err(field("end_time", "has to be after start_time, by a microsecond a bucket at least"));
        }
        Ok(Self { start, end, length_us, count })
    }

    /// In which one a moment is; the very end is in the last one.
    fn of(&self, moment: Timestamp) -> usize {
        let since_us = moment.since(self.start).as_micros();
        let index = since_us * self.count as u128 / u128::from(self.length_us.max(1));
        usize::try_from(index).unwrap_or(usize::MAX).min(self.count - 1)
    }

    /// The ends of one. The next one begins where it ends, and only the last one has its end.
    fn ends(&self, index: usize) -> (Timestamp, Timestamp) {
        // The first moment that `of` takes for that bucket.
        let from = |index: usize| {
            let micros = (index as u128 * u128::from(self.length_us)).div_ceil(self.count as u128);
            self.start.plus(std::time::Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)))
        };
        if index + 1 >= self.count {
            (from(index), self.end)
        } else {
            (from(index), from(index + 1).minus(std::time::Duration::from_micros(1)))
        }
    }
}

fn query(device: &DeviceId, (start, end): (Timestamp, Timestamp), limit: usize) -> HistoryQuery {
    HistoryQuery {
        device: device.clone(),
        start: Some(start),
        end: Some(end),
        order: Order::OldestFirst,
        limit,
        after: None,
        within: None,
    }
}

/// Counts every fix; `None` when there are too many.
async fn exactly(past: &Past, devices: &[DeviceId], buckets: &Buckets) -> Result<Option<Vec<u64>>, Refused> {
    let mut counts = vec![0; buckets.count];
    let (mut fixes, mut pages) = (0, 0);
    if devices.len() > EXACT_PAGES_MAX {
        return Ok(None);
    }
    for device in devices {
        let mut asked = query(device, (buckets.start, buckets.end), FIXES_AT_ONCE);
        loop {
            let page = past.page(asked.clone()).await?;
            pages += 1;
            fixes += page.fixes.len();
            if fixes > DENSITY_FIXES_MAX || pages > EXACT_PAGES_MAX {
                return Ok(None);
            }
            for fix in &page.fixes {
                if let Some(count) = counts.get_mut(buckets.of(fix.taken_at)) {
                    *count += 1;
                }
            }
            asked.after = page.next;
            if asked.after.is_none() {
                break;
            }
        }
    }
    Ok(Some(counts))
}

/// Estimates: some of the devices, and of each in each bucket a few fixes. Says how many devices were looked at.
async fn sampled(
    past: &Past,
    mut devices: Vec<DeviceId>,
    buckets: &Buckets,
) -> Result<(Vec<u64>, usize), Refused> {
    let all = devices.len();
    // The same ones each time, and no row of neighbours.
    devices.sort_by_cached_key(|device| {
        let mut hasher = DefaultHasher::new();
        device.as_str().hash(&mut hasher);
        hasher.finish()
    });
    devices.truncate((SAMPLE_PAGES_MAX / buckets.count).max(1));
    let mut sums = vec![0.0; buckets.count];
    for device in &devices {
        for (index, sum) in sums.iter_mut().enumerate() {
            let ends = buckets.ends(index);
            let page = past.page(query(device, ends, SAMPLE_FIXES)).await?;
            *sum += if page.next.is_none() {
                as_number(page.fixes.len())
            } else {
                by_distance(&page.fixes, ends)
            };
        }
    }
    let scale = as_number(all) / as_number(devices.len().max(1));
    Ok((sums.into_iter().map(|sum| rounded(sum * scale)).collect(), devices.len()))
}

#[expect(clippy::cast_precision_loss, reason = "nobody has so many devices or fixes on a page")]
fn as_number(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a count, rounded")]
fn rounded(count: f64) -> u64 {
    count.round() as u64
}

/// How many there are in a bucket if they go on as its first ones.
fn by_distance(fixes: &[Arc<Fix>], (start, end): (Timestamp, Timestamp)) -> f64 {
    let seen = as_number(fixes.len());
    let Some(last) = fixes.last() else { return 0.0 };
    let looked_at_secs = last.taken_at.since(start).as_secs_f64();
    if looked_at_secs <= 0.0 {
        return seen;
    }
    // Before the first one there is half of the time between two, on the average.
    ((seen - 0.5) * end.since(start).as_secs_f64() / looked_at_secs).max(seen)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros).unwrap()
    }

    proptest! {
        #[test]
        fn each_moment_is_in_the_bucket_whose_ends_are_around_it(
            start in 0..1_000_000_000_i64,
            length in 1_000..10_000_000_000_i64,
            count in 1..=DENSITY_BUCKETS_MAX,
            part in 0.0..=1.0,
        ) {
            let range = Range { start: Some(at(start)), end: Some(at(start + length)) };
            let buckets = Buckets::new(range, Some(count)).unwrap();
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "any moment will do")]
            let moment = at(start + (part * length as f64) as i64);
            let index = buckets.of(moment);
            let (from, to) = buckets.ends(index);
            prop_assert!((from..=to).contains(&moment), "{index}: {from} {moment} {to}");
            let gap = |index| buckets.ends(index + 1).0.since(buckets.ends(index).1);
            prop_assert!((0..count - 1).all(|index| gap(index) == Duration::from_micros(1)));
            prop_assert_eq!((buckets.ends(0).0, buckets.ends(count - 1).1), (buckets.start, buckets.end));
        }
    }
}
