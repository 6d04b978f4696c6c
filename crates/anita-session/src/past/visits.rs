//! Who was in an area between two times.

use std::time::Duration;

use anita_auth::Principal;
use anita_hub::{Hub, Past};
use anita_model::{DeviceId, Fix, POSITION_ABS_MAX_M, SiteName, Timestamp};
use anita_store::{Extent, HistoryQuery, Order};
use anita_views::Filter;
use anita_wire::view::{Area, ViewFilter};
use anita_wire::{ErrorCode, Refusal, Time};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::{FIXES_AT_ONCE, Range, Selection, field, page_limit, too_much, within};
use crate::handlers::Refused;

/// The longest time that a question may be about, days.
pub const VISITS_DAYS_MAX: u64 = 31;

/// After so long without a fix inside, a visit is over, unless the question says otherwise; seconds.
pub const GAP_DEFAULT_SECS: f64 = 30.0;

/// The longest such time, seconds: a day.
pub const GAP_MAX_SECS: f64 = 86_400.0;

/// The most devices that one page looks at.
pub const VISITS_DEVICES_MAX: usize = 1_000;

/// How many it looks at unless `limit` says otherwise.
pub const VISITS_DEVICES_DEFAULT: usize = 100;

/// The most visits of one answer.
pub const VISITS_MAX: usize = 10_000;

/// How many pages of fixes are read for one answer. Then it ends after the last device that is done, with a `next`.
pub const VISIT_PAGES_MAX: usize = 1_000;

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct VisitsQuestion {
    /// When; both ends are needed.
    pub range: Range,
    /// Where, on which floors, of which site: `main` unless it is named.
    pub place: ViewFilter,
    /// After so long without a fix inside, a visit is over, seconds.
    pub gap_secs: Option<f64>,
    /// How many devices to look at, at most.
    pub limit: Option<usize>,
    /// The previous page's `next`.
    pub after: Option<String>,
}

/// One page of the answer: in the order of the devices' ids, and of each device the oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Visits {
    /// The start that was asked for.
    pub start_time: Time,
    /// The end that was asked for.
    pub end_time: Time,
    /// After so long without a fix inside, a visit is over, seconds.
    pub gap_secs: f64,
    /// The visits.
    pub visits: Vec<Visit>,
    /// What to send as `after` for the next page; absent on the last. A page can be short, or empty, and have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A stretch of time in which a device was inside.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Visit {
    /// Which device.
    pub device_id: String,
    /// Its first fix inside.
    pub first: Time,
    /// Its last fix inside.
    pub last: Time,
    /// How many there were.
    pub fixes: u64,
}

/// What a fix has to be to count.
struct Inside {
    filter: Filter,
    site: SiteName,
    extent: Extent,
}

impl Inside {
    fn new(place: &ViewFilter) -> Result<Self, Refused> {
        let area = place.area.as_ref().ok_or_else(|| field("area", "say where: an area, or a zone"))?;
        let filter = Filter::from_wire(place).map_err(|invalid| field("area", invalid))?;
        let site = place.site.clone().unwrap_or_else(SiteName::main);
        Ok(Self { filter, site, extent: extent(area) })
    }

    fn has(&self, fix: &Fix) -> bool {
        fix.site == self.site && self.filter.lets_place(Some(fix.position), fix.floor)
    }
}

/// The box around an area.
fn extent(area: &Area) -> Extent {
    let (west, south, east, north) = match area {
        Area::Box(it) => (it.min_x, it.min_y, it.max_x, it.max_y),
        Area::Circle(it) => (it.x - it.radius_m, it.y - it.radius_m, it.x + it.radius_m, it.y + it.radius_m),
        Area::Polygon(corners) => {
            let start = (f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY);
            corners.iter().fold(start, |(west, south, east, north), &[x, y]| {
                (west.min(x), south.min(y), east.max(x), north.max(y))
            })
        }
    };
    let clamp = |metres: f64| metres.clamp(-POSITION_ABS_MAX_M, POSITION_ABS_MAX_M);
    Extent { min_x_m: clamp(west), min_y_m: clamp(south), max_x_m: clamp(east), max_y_m: clamp(north) }
}

/// Who was in an area between two times, of those that the principal may see.
///
/// # Errors
/// The refusal: a time without ends or too long, an area that is none, too much for one device; a store that does not answer.
pub async fn visits(hub: &Hub, principal: &Principal, question: VisitsQuestion) -> Result<Visits, Refused> {
    let (start, end) = ends(question.range)?;
    let gap_secs =
        within("gap_secs", question.gap_secs.unwrap_or(GAP_DEFAULT_SECS), GAP_MAX_SECS, "seconds")?;
    let limit = page_limit(question.limit, VISITS_DEVICES_DEFAULT, VISITS_DEVICES_MAX)?;
    let after = question.after.as_deref().map(DeviceId::parse).transpose();
    let after = after.map_err(|_not_an_id| field("after", "has to be the `next` of a page, unchanged"))?;
    let inside = Inside::new(&question.place)?;
    // One more than the page has: whether there is another one.
    let mut devices = Selection::all().after(hub, principal, after.as_ref());
    let mut has_more = devices.len() > limit || devices.len() >= anita_wire::limits::DEVICES_PER_PAGE_MAX;
    devices.truncate(limit);
    let mut search = Search {
        past: hub.past(),
        inside,
        range: question.range,
        gap: Duration::from_secs_f64(gap_secs),
        pages_left: VISIT_PAGES_MAX,
        visits: Vec::new(),
    };
    let mut last: Option<DeviceId> = None;
    for device in devices {
        let visits_before = search.visits.len();
        if !search.look_at(&device).await? {
            if last.is_none() {
                return Err(too_much_of(&device));
            }
            // It begins the next page.
            search.visits.truncate(visits_before);
            has_more = true;
            break;
        }
        last = Some(device);
    }
    let next = last.filter(|_last| has_more).map(|last| last.to_string());
    Ok(Visits { start_time: Time(start), end_time: Time(end), gap_secs, visits: search.visits, next })
}

/// Both ends of a time that is not too long.
fn ends(range: Range) -> Result<(Timestamp, Timestamp), Refused> {
    let start = range.start.ok_or_else(|| field("start_time", "say from when on"))?;
    let end = range.end.ok_or_else(|| field("end_time", "say until when"))?;
    if end.since(start) > Duration::from_secs(VISITS_DAYS_MAX * 86_400) {
        let message =
            format!("end_time: at most {VISITS_DAYS_MAX} days after start_time; ask several times for more.");
        let details = json!({ "path": "end_time", "limit_days": VISITS_DAYS_MAX });
        return Err(Refusal::saying(ErrorCode::OutOfRange, message).with_details(details).into());
    }
    Ok((start, end))
}

fn too_much_of(device: &DeviceId) -> Refused {
    let message = format!(
        "The device {device:?} alone has more in this time than one answer may be made of ({VISITS_MAX} visits, \
         {VISIT_PAGES_MAX} pages of fixes): ask for a shorter time, or with a longer gap_secs."
    );
    too_much(message, VISITS_MAX)
}

struct Search {
    past: Past,
    inside: Inside,
    range: Range,
    gap: Duration,
    pages_left: usize,
    visits: Vec<Visit>,
}

impl Search {
    /// Finds the visits of a device. `false` when that would be too much.
    async fn look_at(&mut self, device: &DeviceId) -> Result<bool, Refused> {
        let mut present: Option<Visit> = None;
        let mut after = None;
        loop {
            let Some(pages_left) = self.pages_left.checked_sub(1) else { return Ok(false) };
            self.pages_left = pages_left;
            let query = HistoryQuery {
                device: device.clone(),
                start: self.range.start,
                end: self.range.end,
                order: Order::OldestFirst,
                limit: FIXES_AT_ONCE,
                after,
                within: Some(self.inside.extent),
            };
            let page = self.past.page(query).await?;
            for fix in page.fixes.iter().filter(|fix| self.inside.has(fix)) {
                let at = fix.taken_at;
                match &mut present {
                    Some(visit) if at.since(visit.last.0) <= self.gap => {
                        visit.last = Time(at);
                        visit.fixes += 1;
                    }
                    over => {
                        let device_id = device.to_string();
                        let begun = Visit { device_id, first: Time(at), last: Time(at), fixes: 1 };
                        self.visits.extend(over.replace(begun));
                    }
                }
            }
            if self.visits.len() >= VISITS_MAX {
                return Ok(false);
            }
            after = page.next;
            if after.is_none() {
                self.visits.extend(present);
                return Ok(true);
            }
        }
    }
}
