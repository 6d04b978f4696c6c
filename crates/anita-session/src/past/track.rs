//! A device's way, simplified for drawing.

use std::sync::Arc;

use anita_auth::Principal;
use anita_hub::Hub;
use anita_model::{DeviceId, Fix};
use anita_store::{HistoryQuery, Order};
use anita_wire::{Metres, Place, Time};
use geo::{Coord, LineString, SimplifyIdx};
use schemars::JsonSchema;
use serde::Serialize;

use super::{FIXES_AT_ONCE, Range, no_such_device, site_of, too_much, within};
use crate::handlers::Refused;

/// The tolerance where the question gives none, metres.
pub const TOLERANCE_DEFAULT_M: f64 = 0.25;

/// The largest tolerance, metres.
pub const TOLERANCE_MAX_M: f64 = 10_000.0;

/// The most points of an answer.
pub const TRACK_POINTS_MAX: usize = 10_000;

/// The most fixes that an answer looks at.
pub const TRACK_FIXES_MAX: usize = 1_000_000;

/// How many fixes are simplified at once. The last one that is kept of them begins the next ones, so every fix is near the
/// line, whatever the number. The algorithm calls itself, for a zigzag once for each fix: this bounds the stack, and the work.
pub(super) const SIMPLIFIED_AT_ONCE: usize = 512;

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackQuestion {
    /// Whose way.
    pub device: DeviceId,
    /// When.
    pub range: Range,
    /// How far a fix may be from the line, metres, in the plane of the floor.
    pub tolerance_m: Option<f64>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Track {
    /// Which device.
    pub device_id: String,
    /// The start that was asked for, if any.
    pub start_time: Option<Time>,
    /// The end that was asked for, if any.
    pub end_time: Option<Time>,
    /// How far a fix is from the line at most, metres.
    pub tolerance: Metres,
    /// How many fixes were looked at.
    pub fixes: usize,
    /// The points of the line, oldest first. Each is a fix.
    pub points: Vec<TrackPoint>,
}

/// A point of a track.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TrackPoint {
    /// The device's time.
    pub timestamp: Time,
    /// Where, metres in the frame of the site.
    pub location: Place,
    /// The floor. Where it changes, the line ends on the old one and begins on the new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
    /// The site, unless it is `main`; as with floors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
}

impl From<&Fix> for TrackPoint {
    fn from(fix: &Fix) -> Self {
        Self {
            timestamp: Time(fix.taken_at),
            location: fix.position.into(),
            floor: fix.floor,
            site: site_of(fix),
        }
    }
}

/// A device's way, simplified.
///
/// # Errors
/// The refusal: no such device, a tolerance that makes no sense, more fixes or points than an answer may have; a store that
/// does not answer.
pub async fn track(hub: &Hub, principal: &Principal, question: TrackQuestion) -> Result<Track, Refused> {
    let TrackQuestion { device, range, tolerance_m } = question;
    let tolerance_m =
        within("tolerance", tolerance_m.unwrap_or(TOLERANCE_DEFAULT_M), TOLERANCE_MAX_M, "metres")?;
    if hub.device(principal, &device).is_none() {
        return Err(no_such_device(&device));
    }
    let past = hub.past();
    let mut simplifier = Simplifier::new(tolerance_m);
    let (mut fixes, mut after) = (0, None);
    loop {
        let query = HistoryQuery {
            device: device.clone(),
            start: range.start,
            end: range.end,
            order: Order::OldestFirst,
            limit: FIXES_AT_ONCE,
            after,
            within: None,
        };
        let page = past.page(query).await?;
        fixes += page.fixes.len();
        if fixes > TRACK_FIXES_MAX {
            let message = format!(
                "There are more than {TRACK_FIXES_MAX} fixes in this time, as many as a track may be made of: \
                 ask for a shorter time."
            );
            return Err(too_much(message, TRACK_FIXES_MAX));
        }
        for fix in page.fixes {
            simplifier.take(fix);
        }
        if simplifier.points.len() > TRACK_POINTS_MAX {
            return Err(too_many_points());
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let points = simplifier.finish();
    if points.len() > TRACK_POINTS_MAX {
        return Err(too_many_points());
    }
    Ok(Track {
        device_id: device.to_string(),
        start_time: range.start.map(Time),
        end_time: range.end.map(Time),
        tolerance: Metres(tolerance_m),
        fixes,
        points,
    })
}

fn too_many_points() -> Refused {
    let message = format!(
        "The track has more than {TRACK_POINTS_MAX} points: ask with a larger tolerance, or for a shorter time."
    );
    too_much(message, TRACK_POINTS_MAX)
}

/// Takes fixes in their order and keeps those that a line needs.
#[derive(Debug)]
pub(super) struct Simplifier {
    tolerance_m: f64,
    /// Those of one floor of one site that are not decided yet; the first one is kept already, if `is_begun`.
    waiting: Vec<Arc<Fix>>,
    is_begun: bool,
    points: Vec<TrackPoint>,
}

impl Simplifier {
    pub(super) fn new(tolerance_m: f64) -> Self {
        Self { tolerance_m, waiting: Vec::new(), is_begun: false, points: Vec::new() }
    }

    pub(super) fn take(&mut self, fix: Arc<Fix>) {
        let is_elsewhere =
            self.waiting.last().is_some_and(|last| last.floor != fix.floor || last.site != fix.site);
        if is_elsewhere {
            self.decide();
            self.waiting.clear();
            self.is_begun = false;
        }
        self.waiting.push(fix);
        if self.waiting.len() >= SIMPLIFIED_AT_ONCE {
            self.decide();
            let last = self.waiting.pop();
            self.waiting.clear();
            self.waiting.extend(last);
            self.is_begun = true;
        }
    }

    pub(super) fn finish(mut self) -> Vec<TrackPoint> {
        self.decide();
        self.points
    }

    /// Keeps what the line through all that waits needs: its ends at least.
    fn decide(&mut self) {
        let place = |fix: &Arc<Fix>| Coord { x: fix.position.x_m(), y: fix.position.y_m() };
        let line: LineString<f64> = self.waiting.iter().map(place).collect();
        let kept = match self.waiting.len() {
            // Two of the same place would be one to the algorithm.
            0..=2 => (0..self.waiting.len()).collect(),
            _ => line.simplify_idx(self.tolerance_m),
        };
        for index in kept.into_iter().skip(usize::from(self.is_begun)) {
            self.points.extend(self.waiting.get(index).map(|fix| TrackPoint::from(&**fix)));
        }
    }
}
