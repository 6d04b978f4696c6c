//! Where everything was at a moment.

use std::time::Duration;

use anita_auth::Principal;
use anita_hub::{DeviceFilter, Hub};
use anita_model::{DeviceId, Fix, Timestamp};
use anita_store::NewestQuery;
use anita_wire::{Metres, Percent, Place, Time};
use schemars::JsonSchema;
use serde::Serialize;

use super::{page_limit, site_of};
use crate::handlers::Refused;

/// The most devices that one page looks at, and how many unless `limit` says otherwise.
pub const SNAPSHOT_PER_PAGE_MAX: usize = 1_000;

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotQuestion {
    /// The moment, by the devices' time.
    pub at: Timestamp,
    /// Fixes that were older than this at the moment don't count.
    pub max_age: Option<Duration>,
    /// How many devices to look at, at most.
    pub limit: Option<usize>,
    /// The previous page's `next`.
    pub after: Option<String>,
}

/// One page of the answer, in the order of the devices' ids. Devices without a fix are left out.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Snapshot {
    /// The moment.
    pub at: Time,
    /// Where devices were.
    pub devices: Vec<SnapshotEntry>,
    /// What to send as `after` for the next page; absent on the last. A page can be short, or empty, and have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Where a device was: its newest fix at the moment or before it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SnapshotEntry {
    /// Which device.
    pub device_id: String,
    /// The device's time of the fix.
    pub timestamp: Time,
    /// When it reached the server.
    pub received_at: Time,
    /// Where, metres in the frame of the site.
    pub location: Place,
    /// The radius within which the true position probably lies, metres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<Metres>,
    /// The floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
    /// Charge of the battery, percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery: Option<Percent>,
    /// The site, unless it is `main`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// The source.
    pub source: String,
}

impl From<&Fix> for SnapshotEntry {
    fn from(fix: &Fix) -> Self {
        Self {
            device_id: fix.device.to_string(),
            timestamp: Time(fix.taken_at),
            received_at: Time(fix.received_at),
            location: fix.position.into(),
            accuracy: fix.accuracy_m.map(Metres),
            floor: fix.floor,
            battery: fix.battery_percent.map(Percent),
            site: site_of(fix),
            source: fix.source.to_string(),
        }
    }
}

/// Where everything was at a moment that the principal may see now.
///
/// # Errors
/// A limit that makes no sense; a store that does not answer.
pub async fn snapshot(
    hub: &Hub,
    principal: &Principal,
    question: SnapshotQuestion,
) -> Result<Snapshot, Refused> {
    let limit = page_limit(question.limit, SNAPSHOT_PER_PAGE_MAX, SNAPSHOT_PER_PAGE_MAX)?;
    let page = hub.devices(principal, &DeviceFilter::default(), question.after.as_deref(), limit);
    let devices = page.devices.iter().filter_map(|device| DeviceId::parse(&device.id).ok());
    let query = NewestQuery {
        devices: devices.collect(),
        at: question.at,
        not_before: question.max_age.map(|max_age| question.at.minus(max_age)),
    };
    let fixes = hub.past().newest(query).await?;
    let devices = fixes.iter().map(|fix| SnapshotEntry::from(&**fix)).collect();
    Ok(Snapshot { at: Time(question.at), devices, next: page.next })
}
