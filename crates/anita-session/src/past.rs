//! What can be asked of the past beside a device's history: walks through everything for exports, tracks, snapshots,
//! visits, events and the audit trail.
//!
//! The rights are part of each question: a device that the principal may not see is not there, here as everywhere. Each
//! question reads a bounded amount; where an answer would need more, it ends early with a `next`, or is refused with the
//! limit and what to do.

mod density;
mod selection;
mod snapshot;
mod track;
mod trail;
mod visits;
mod walk;

#[cfg(test)]
mod tests;

use anita_model::{DeviceId, Fix, Timestamp};
use anita_wire::{ErrorCode, Refusal};
use serde_json::json;

pub use density::{
    DENSITY_BUCKETS_DEFAULT, DENSITY_BUCKETS_MAX, DENSITY_FIXES_MAX, Density, DensityQuestion, density,
};
pub use selection::{SELECTED_IDS_MAX, Selection};
pub use snapshot::{SNAPSHOT_PER_PAGE_MAX, Snapshot, SnapshotEntry, SnapshotQuestion, snapshot};
pub use track::{
    TOLERANCE_DEFAULT_M, TOLERANCE_MAX_M, TRACK_FIXES_MAX, TRACK_POINTS_MAX, Track, TrackPoint,
    TrackQuestion, track,
};
pub use trail::{
    AuditEntry, AuditTrail, EventEntry, Events, TRAIL_PER_PAGE_DEFAULT, TRAIL_PER_PAGE_MAX, TrailQuestion,
    audit, events,
};
pub use visits::{
    GAP_DEFAULT_SECS, GAP_MAX_SECS, VISIT_PAGES_MAX, VISITS_DAYS_MAX, VISITS_DEVICES_DEFAULT,
    VISITS_DEVICES_MAX, VISITS_MAX, Visit, Visits, VisitsQuestion, visits,
};
pub use walk::Walk;

use crate::handlers::Refused;

/// How many fixes are read from the store at once.
pub const FIXES_AT_ONCE: usize = 2_000;

/// A stretch of time, its ends included; open where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    /// Not before this, by the device's time.
    pub start: Option<Timestamp>,
    /// Not after this.
    pub end: Option<Timestamp>,
}

impl Range {
    /// A range that makes sense.
    ///
    /// # Errors
    /// `invalid_payload` when it ends before it starts.
    pub fn new(start: Option<Timestamp>, end: Option<Timestamp>) -> Result<Self, Refused> {
        if start.zip(end).is_some_and(|(start, end)| start > end) {
            return Err(field("start_time", "is after end_time"));
        }
        Ok(Self { start, end })
    }
}

/// A refusal that names a field.
fn field(path: &str, message: impl std::fmt::Display) -> Refused {
    Refusal::saying(ErrorCode::InvalidPayload, format!("{path}: {message}."))
        .with_details(json!({ "path": path }))
        .into()
}

/// A number of things on a page: what was asked for, or the default, within the limit.
fn page_limit(asked: Option<usize>, default: usize, limit_max: usize) -> Result<usize, Refused> {
    let limit = asked.unwrap_or(default);
    if (1..=limit_max).contains(&limit) {
        return Ok(limit);
    }
    let refusal = Refusal::saying(ErrorCode::OutOfRange, format!("limit: has to be 1 to {limit_max}."));
    Err(refusal.with_details(json!({ "path": "limit", "limit": limit_max })).into())
}

/// A number that has to be within a range.
fn within(path: &str, value: f64, max: f64, unit: &str) -> Result<f64, Refused> {
    if (0.0..=max).contains(&value) {
        return Ok(value);
    }
    let refusal = Refusal::saying(
        ErrorCode::OutOfRange,
        format!("{path}: has to be 0 to {max} {unit}, and is {value}."),
    );
    Err(refusal.with_details(json!({ "path": path, "limit": max })).into())
}

/// More than one answer may need.
fn too_much(message: String, limit: usize) -> Refused {
    Refusal::saying(ErrorCode::TooLarge, message).with_details(json!({ "limit": limit })).into()
}

/// The id of a device that the principal may not see, or that is not there.
fn no_such_device(device: &DeviceId) -> Refused {
    let message = format!("There is no device {device:?}, or this token may not see it.");
    Refusal::saying(ErrorCode::NotFound, message).into()
}

/// The site of a fix, where it is not the default.
fn site_of(fix: &Fix) -> Option<String> {
    (fix.site != anita_model::SiteName::main()).then(|| fix.site.to_string())
}
