//! Records and questions for the checks.

use std::sync::Arc;

use anita_model::{
    DeviceId, DeviceKind, DeviceStatus, Fix, Position, Revocation, RevocationId, Revoked, RoomName, SiteName,
    SourceName, Timestamp,
};

use crate::audit::{AuditEntry, AuditRecord};
use crate::port::{Store, StoreError};
use crate::query::{AuditQuery, Cursor, EventQuery, HistoryQuery, NewestQuery, Order, Window, WindowQuery};
use crate::record::{DeviceRecord, DeviceState, EventRecord, Record};
use crate::retention::{Retention, Tidied};

/// Most of the checks happen on this day: 2026-03-01T12:00:00Z.
const NOON_SECS: i64 = 1_772_366_400;

/// So many pieces of tidying are enough for any check.
const PIECES_MAX: usize = 10_000;

/// What a store answered; it has to be good.
#[track_caller]
pub(super) fn done<T>(result: Result<T, StoreError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            panic!("the store refused: {error} ({cause:?})")
        }
    }
}

pub(super) fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

pub(super) fn room(text: &str) -> RoomName {
    RoomName::parse(text).unwrap()
}

/// A moment of the day of the checks, milliseconds from its noon.
pub(super) fn at_ms(ms: i64) -> Timestamp {
    Timestamp::from_micros(NOON_SECS * 1_000_000 + ms * 1_000).unwrap()
}

/// A moment of the day of the checks, seconds from its noon.
pub(crate) fn at(secs: i64) -> Timestamp {
    at_ms(secs * 1_000)
}

/// A fix whose x says which it is.
pub(crate) fn fix(device: &str, x_m: f64, taken_at: Timestamp) -> Fix {
    Fix {
        device: id(device),
        site: SiteName::main(),
        position: Position::new(x_m, -2.5, 1.125).unwrap(),
        accuracy_m: None,
        floor: None,
        battery_percent: None,
        taken_at,
        received_at: taken_at,
        source: SourceName::parse("test").unwrap(),
        sequence: None,
    }
}

pub(super) fn numbered(device: &str, x_m: f64, taken_at: Timestamp, sequence: u64) -> Fix {
    Fix { sequence: Some(sequence), ..fix(device, x_m, taken_at) }
}

pub(crate) fn record(fix: Fix) -> Record {
    Record::Fix(Arc::new(fix))
}

pub(super) fn device(text: &str) -> DeviceRecord {
    DeviceRecord {
        id: id(text),
        name: None,
        kind: DeviceKind::Tag,
        site: SiteName::main(),
        mounted_at: None,
        floor: None,
    }
}

pub(super) fn state(text: &str) -> DeviceState {
    DeviceState {
        id: id(text),
        status: DeviceStatus::Connected,
        last_seen: None,
        battery_percent: None,
        newest: None,
    }
}

pub(super) fn event(ordinal: u64, name: &str, epoch: &str, seq: u64, happened_at: Timestamp) -> EventRecord {
    EventRecord {
        ordinal,
        room: room(name),
        epoch: epoch.into(),
        seq,
        at: happened_at,
        devices: vec![id("a")],
        from: None,
        text: format!(r#"{{"type":"room.message","seq":{seq}}}"#).into(),
    }
}

/// An entry in no chain, as those of old files are.
pub(super) fn entry(subject: &str, action: &str, happened_at: Timestamp) -> AuditEntry {
    let record = AuditRecord {
        at: happened_at,
        subject: subject.to_owned(),
        issuer: None,
        action: action.to_owned(),
        object: "a".to_owned(),
        outcome: "done".to_owned(),
        address: None,
    };
    AuditEntry { record, link: None }
}

pub(super) fn revocation(text: &str, revoked: Revoked, made_at: Timestamp) -> Revocation {
    Revocation {
        id: RevocationId::parse(text).unwrap(),
        revoked,
        issuer: None,
        made_at,
        until: None,
        made_by: "admin".into(),
        reason: "".into(),
    }
}

pub(crate) async fn keep(store: &Arc<dyn Store>, records: Vec<Record>) {
    done(store.commit(Arc::new(records)).await);
}

/// Everything of a device, newest first, a hundred a page.
pub(super) fn history_of(device: &str) -> HistoryQuery {
    HistoryQuery {
        device: id(device),
        start: None,
        end: None,
        order: Order::NewestFirst,
        limit: 100,
        after: None,
        within: None,
    }
}

/// All pages of a query, each cursor by way of its text.
pub(super) async fn pages(store: &Arc<dyn Store>, query: &HistoryQuery) -> Vec<Vec<Arc<Fix>>> {
    let mut pages = Vec::new();
    let mut after = query.after;
    loop {
        let page = done(store.page(HistoryQuery { after, ..query.clone() }).await);
        assert!(page.fixes.len() <= query.limit, "a page of {} has {}", query.limit, page.fixes.len());
        pages.push(page.fixes);
        let Some(next) = page.next else { return pages };
        assert!(after != Some(next), "the cursor {next} leads to itself");
        after = Some(Cursor::parse(&next.to_string()).unwrap());
        assert!(pages.len() < PIECES_MAX, "pages without end");
    }
}

/// All fixes that a query finds.
pub(super) async fn all(store: &Arc<dyn Store>, query: &HistoryQuery) -> Vec<Arc<Fix>> {
    pages(store, query).await.concat()
}

/// The x of each.
pub(super) fn xs(fixes: &[Arc<Fix>]) -> Vec<f64> {
    fixes.iter().map(|fix| fix.position.x_m()).collect()
}

/// The x of everything of a device, newest first.
pub(crate) async fn xs_of(store: &Arc<dyn Store>, device: &str) -> Vec<f64> {
    xs(&all(store, &history_of(device)).await)
}

pub(super) async fn newest(
    store: &Arc<dyn Store>,
    devices: &[&str],
    moment: Timestamp,
    not_before: Option<Timestamp>,
) -> Vec<(String, f64)> {
    let devices = devices.iter().map(|text| id(text)).collect();
    let found = done(store.newest(NewestQuery { devices, at: moment, not_before }).await);
    found.iter().map(|fix| (fix.device.to_string(), fix.position.x_m())).collect()
}

pub(super) async fn window(store: &Arc<dyn Store>, query: &WindowQuery) -> Window {
    done(store.window(query.clone()).await)
}

/// The ordinals of all pages.
pub(super) async fn event_pages(store: &Arc<dyn Store>, query: &EventQuery) -> Vec<Vec<u64>> {
    let mut pages = Vec::new();
    let mut after = query.after;
    loop {
        let page = done(store.events(EventQuery { after, ..query.clone() }).await);
        pages.push(page.events.iter().map(|event| event.ordinal).collect());
        if page.next.is_none() {
            return pages;
        }
        after = page.next;
        assert!(pages.len() < PIECES_MAX, "pages without end");
    }
}

/// The actions of all pages.
pub(super) async fn audit_pages(store: &Arc<dyn Store>, query: &AuditQuery) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut after = query.after;
    loop {
        let page = done(store.audit(AuditQuery { after, ..query.clone() }).await);
        match query.order {
            Order::NewestFirst => {
                assert!(page.entries.is_sorted_by(|(a, _), (b, _)| a > b), "they count down");
            }
            Order::OldestFirst => assert!(page.entries.is_sorted_by(|(a, _), (b, _)| a < b), "they count up"),
        }
        pages.push(page.entries.into_iter().map(|(_ordinal, entry)| entry.record.action).collect());
        if page.next.is_none() {
            return pages;
        }
        after = page.next;
        assert!(pages.len() < PIECES_MAX, "pages without end");
    }
}

/// Tidies until there is no more to do, and says what was done in all.
pub(super) async fn tidy(store: &Arc<dyn Store>, retention: &Retention, now: Timestamp) -> Tidied {
    let mut sum = Tidied::default();
    for _piece in 0..PIECES_MAX {
        let tidied = done(store.tidy(retention.clone(), now).await);
        sum.fixes_removed += tidied.fixes_removed;
        sum.fixes_thinned += tidied.fixes_thinned;
        sum.events_removed += tidied.events_removed;
        sum.audit_removed += tidied.audit_removed;
        if !tidied.has_more {
            return sum;
        }
    }
    panic!("tidying does not end")
}
