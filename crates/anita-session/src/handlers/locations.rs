//! Reports of locations, the same by WebSocket and by REST.

use anita_auth::Principal;
use anita_hub::{Durability, Hub, Kept, ReportOutcome, Reported};
use anita_model::{Fix, Now, Report, SiteName, SourceName};
use anita_wire::message::{LocationsReported, RefusedItem};
use anita_wire::request::{LocationItem, ReportLocation};
use anita_wire::{ErrorCode, Refusal, RequestId};

use crate::handlers::{Answering, Refused, answer_kept};
use crate::session::Session;

/// Takes the items of a report for a principal; each is accepted or refused by itself. The answer may be given when the
/// items are kept; if they can't be, nothing is acknowledged, and the whole report can be sent again.
pub fn report(
    hub: &Hub,
    principal: &Principal,
    source: &SourceName,
    items: Vec<Result<LocationItem, Refusal>>,
    now: Now,
) -> (LocationsReported, Kept) {
    let mut refused = Vec::new();
    let mut refuse = |index: usize, refusal: Refusal| {
        refused.push(RefusedItem { index, code: refusal.code, message: refusal.message });
    };
    let (mut indexes, mut reports) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
    for (index, item) in items.into_iter().enumerate() {
        match item.and_then(|item| fix(principal, source, item, now)) {
            Ok(fix) => {
                indexes.push(index);
                reports.push(Report::Fix(fix));
            }
            Err(refusal) => {
                hub.metrics().count_fix(source.as_str(), "refused_item");
                refuse(index, refusal);
            }
        }
    }
    let mut accepted = 0;
    let Reported { outcomes, kept } = hub.report(reports, now);
    for (index, outcome) in indexes.into_iter().zip(outcomes) {
        match outcome {
            ReportOutcome::Accepted => accepted += 1,
            ReportOutcome::Refused(refusal) => refuse(index, refusal),
        }
    }
    refused.sort_by_key(|item| item.index);
    let durability = (hub.durability() == Durability::None).then_some("none");
    (LocationsReported { accepted, refused, durability }, kept)
}

/// The fix of an item.
fn fix(principal: &Principal, source: &SourceName, item: LocationItem, now: Now) -> Result<Fix, Refusal> {
    if !principal.may_see(item.device_id.as_str()) {
        let message = format!("There is no device {:?}, or this token may not see it.", item.device_id);
        return Err(Refusal::saying(ErrorCode::NotFound, message));
    }
    let position = item.location.position();
    let position = position
        .map_err(|invalid| Refusal::saying(ErrorCode::OutOfRange, format!("location: {invalid}.")))?;
    Ok(Fix {
        device: item.device_id,
        site: item.site.unwrap_or_else(SiteName::main),
        position,
        accuracy_m: item.accuracy,
        floor: item.floor,
        battery_percent: item.battery,
        taken_at: item.timestamp.map_or(now.wall, |time| time.0),
        received_at: now.wall,
        source: source.clone(),
        sequence: item.sequence,
    })
}

impl Session {
    pub(crate) fn report_location(
        &mut self,
        payload: ReportLocation,
        id: Option<&RequestId>,
        now: Now,
    ) -> Result<Answering, Refused> {
        let hub = &self.context.hub;
        let (reported, kept) = report(hub, self.principal()?, &self.source, payload.items, now);
        Ok(answer_kept(kept, &reported, id))
    }
}
