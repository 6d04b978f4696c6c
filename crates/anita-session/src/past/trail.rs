//! What was told in rooms, and who did what.

use anita_auth::Principal;
use anita_hub::Hub;
use anita_model::RoomName;
use anita_store::{AuditQuery, EventQuery, EventRecord};
use anita_wire::Time;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Range, field, page_limit};
use crate::handlers::Refused;

/// The most entries on one page.
pub const TRAIL_PER_PAGE_MAX: usize = 1_000;

/// How many come when the question gives no `limit`.
pub const TRAIL_PER_PAGE_DEFAULT: usize = 100;

/// How many pages of events are looked through for one that the principal may see. Then the page ends, with a `next`.
const EVENT_PAGES_MAX: usize = 20;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrailQuestion {
    /// Of this room; of this subject.
    pub of: Option<String>,
    /// When.
    pub range: Range,
    /// How many at most.
    pub limit: Option<usize>,
    /// The previous page's `next`.
    pub after: Option<String>,
}

impl TrailQuestion {
    fn limit(&self) -> Result<usize, Refused> {
        page_limit(self.limit, TRAIL_PER_PAGE_DEFAULT, TRAIL_PER_PAGE_MAX)
    }

    fn ordinal(&self) -> Result<Option<u64>, Refused> {
        let ordinal = self.after.as_deref().map(str::parse).transpose();
        ordinal.map_err(|_not_a_number: std::num::ParseIntError| {
            field("after", "has to be the `next` of a page, unchanged")
        })
    }
}

/// A page of events, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Events {
    /// The events.
    pub events: Vec<EventEntry>,
    /// What to send as `after` for the next page; absent on the last. A page can be short, or empty, and have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What was told in a room.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EventEntry {
    /// The room.
    pub room: String,
    /// The epoch of the room's numbering.
    pub epoch: String,
    /// Its number in the room.
    pub seq: u64,
    /// When it was told.
    pub at: Time,
    /// The devices it tells of.
    pub devices: Vec<String>,
    /// The message, as it was told.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub message: Box<RawValue>,
}

impl EventEntry {
    fn of(event: EventRecord) -> Option<Self> {
        let EventRecord { room, epoch, seq, at, devices, text, .. } = event;
        let message = RawValue::from_string(text.to_string());
        let message = message.inspect_err(|error| {
            tracing::error!(%error, %room, seq, "an event of the store is no JSON, and is not shown");
        });
        Some(Self {
            room: room.to_string(),
            epoch: epoch.to_string(),
            seq,
            at: Time(at),
            devices: devices.iter().map(ToString::to_string).collect(),
            message: message.ok()?,
        })
    }
}

/// A page of what was told in rooms that the principal may see, of devices all of which it may see.
///
/// # Errors
/// A limit, a cursor or a room that makes no sense; a store that does not answer.
pub async fn events(hub: &Hub, principal: &Principal, question: TrailQuestion) -> Result<Events, Refused> {
    let (limit, mut after) = (question.limit()?, question.ordinal()?);
    let room = question.of.as_deref().map(RoomName::parse).transpose();
    let room = room.map_err(|invalid| field("room", invalid))?;
    let past = hub.past();
    let may_see = |event: &EventRecord| {
        principal.rooms.allow(event.room.as_str())
            && event.devices.iter().all(|device| principal.may_see(device.as_str()))
    };
    let mut events = Vec::new();
    for _page in 0..EVENT_PAGES_MAX {
        let Range { start, end } = question.range;
        let query = EventQuery { room: room.clone(), start, end, limit: limit - events.len(), after };
        let page = past.events(query).await?;
        events.extend(page.events.into_iter().filter(may_see).filter_map(EventEntry::of));
        after = page.next;
        if after.is_none() || events.len() >= limit {
            break;
        }
    }
    Ok(Events { events, next: after.map(|ordinal| ordinal.to_string()) })
}

/// A page of the audit trail, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AuditTrail {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// What to send as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Who did or tried what.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AuditEntry {
    /// When.
    pub at: Time,
    /// Its number in the chain; absent for one from before there was a chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Who; empty for nobody who is known, and for the server itself.
    pub subject: String,
    /// Who says that it is that subject: `iss` of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// What.
    pub action: String,
    /// What it was about; empty for nothing in particular.
    pub object: String,
    /// `done`, `forbidden` or `refused`.
    pub outcome: String,
    /// From where, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its hash, which holds the one before it: 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// A page of the audit trail. Whoever calls it has made sure that it may be read.
///
/// # Errors
/// A limit or a cursor that makes no sense; a store that does not answer.
pub async fn audit(hub: &Hub, question: TrailQuestion) -> Result<AuditTrail, Refused> {
    let (limit, after) = (question.limit()?, question.ordinal()?);
    let TrailQuestion { of: subject, range: Range { start, end }, .. } = question;
    let page =
        hub.past().audit(AuditQuery { subject, start, end, limit, after, ..AuditQuery::default() }).await?;
    let entries = page.entries.into_iter().map(|(_ordinal, entry)| AuditEntry {
        seq: entry.seq(),
        hash: entry.link.map(|link| link.hash.to_string()),
        at: Time(entry.record.at),
        subject: entry.record.subject,
        issuer: entry.record.issuer,
        action: entry.record.action,
        object: entry.record.object,
        outcome: entry.record.outcome,
        address: entry.record.address,
    });
    Ok(AuditTrail { entries: entries.collect(), next: page.next.map(|ordinal| ordinal.to_string()) })
}
