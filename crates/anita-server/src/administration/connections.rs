//! `/api/v1/connections`: who is connected, and how each connection is served.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anita_auth::{Permission, Principal};
use anita_hub::{Gaze, Peer};
use anita_wire::view::{Ages, SubscriptionStats};
use anita_wire::{ErrorCode, Refusal, Time};
use axum::Json;
use axum::extract::{Path, RawQuery, State};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::paging::Page;
use crate::caller::Caller;
use crate::problem::Problem;
use crate::rest::query_payload;
use crate::server::Server;

/// The most on a page, and how many there are when nobody says.
pub(crate) const CONNECTIONS_PER_PAGE: (usize, usize) = (1_000, 100);

/// The longest reason for closing a connection, bytes.
const REASON_BYTES_MAX: usize = 256;

/// The longest `User-Agent` that is kept, bytes.
const USER_AGENT_BYTES_MAX: usize = 160;

/// Who is connected.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ShownConnections {
    /// How many there are in all.
    total: usize,
    /// The moment of the counts: two of these answers give rates.
    at: Time,
    /// This page of them, in the order of their ids.
    connections: Vec<ShownConnection>,
    /// The `after` of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A connection.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ShownConnection {
    /// Its id.
    client_id: String,
    /// Whose it is; `null` before a token has come.
    user_id: Option<String>,
    /// The roles of its token, as it names them; none before it has come.
    roles: Vec<String>,
    /// The address that it opened: `/ws` or `/ws/uwb`.
    endpoint: &'static str,
    /// From where, if that is known.
    address: Option<String>,
    /// Since when.
    since: Time,
    /// The subprotocol that was agreed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    subprotocol: Option<&'static str>,
    /// What its client says that it is; cut after 160 bytes. Nobody checks it.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    /// Whether its messages are compressed.
    is_compressed: bool,
    /// Messages from it.
    received: u64,
    /// Their bytes.
    received_bytes: u64,
    /// Messages to it.
    sent: u64,
    /// Their bytes, with their frames, and without TLS.
    sent_bytes: u64,
    /// Positions that were replaced by newer ones before they were told.
    replaced: u64,
    /// Positions that it was sent.
    positions_delivered: u64,
    /// Positions that newer ones replaced because it was slow.
    positions_dropped: u64,
    /// Bytes that wait for it to read.
    queued_bytes: usize,
    /// Received by the server → written to the socket. Only where somebody had it measured: the client itself, or whoever
    /// asked for this one connection; since the client asked last.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_ms: Option<Ages>,
    /// Due by the view's rate → written to the socket: what the server added.
    #[serde(skip_serializing_if = "Option::is_none")]
    added_age_ms: Option<Ages>,
    /// Its subscriptions.
    subscriptions: Vec<SubscriptionStats>,
    /// The rooms that it is in, as far as the caller may see them.
    rooms: Vec<String>,
}

impl ShownConnection {
    /// `None` when it is gone meanwhile.
    fn of(peer: &Peer, gaze: Gaze, caller: &Principal) -> Option<Self> {
        let figures = peer.shard.figures_of(peer, gaze)?;
        let introduction = peer.introduction.get();
        Some(Self {
            client_id: peer.id.to_string(),
            user_id: peer.user(),
            roles: peer.roles().to_vec(),
            endpoint: peer.endpoint.path(),
            address: peer.address.map(|address| address.to_string()),
            since: Time(peer.since.wall),
            subprotocol: introduction.and_then(|it| it.subprotocol),
            user_agent: introduction.and_then(|it| it.user_agent.as_deref()).map(str::to_owned),
            is_compressed: introduction.is_some_and(|it| it.is_compressed),
            received: peer.received.load(Ordering::Relaxed),
            received_bytes: peer.received_bytes.load(Ordering::Relaxed),
            sent: peer.sent.load(Ordering::Relaxed),
            sent_bytes: peer.sent_bytes.load(Ordering::Relaxed),
            replaced: peer.replaced.load(Ordering::Relaxed),
            positions_delivered: figures.delivered,
            positions_dropped: figures.dropped,
            queued_bytes: peer.queued_bytes.load(Ordering::Relaxed),
            age_ms: figures.age,
            added_age_ms: figures.added_age,
            subscriptions: figures.subscriptions,
            rooms: peer
                .rooms()
                .iter()
                .filter(|room| caller.rooms.allow(room.as_str()))
                .map(ToString::to_string)
                .collect(),
        })
    }
}

/// What a client says that it is.
pub(crate) fn user_agent(headers: &http::HeaderMap) -> Option<Box<str>> {
    let text = String::from_utf8_lossy(headers.get(http::header::USER_AGENT)?.as_bytes());
    let plain = text.chars().filter(|it| !it.is_control());
    let within = plain.scan(0, |bytes, character| {
        *bytes += character.len_utf8();
        (*bytes <= USER_AGENT_BYTES_MAX).then_some(character)
    });
    Some(within.collect())
}

/// `GET /api/v1/connections`: who is connected.
pub(crate) async fn list(
    State(server): State<Arc<Server>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<ShownConnections>, Problem> {
    caller.require(Permission::ConnectionsManage)?;
    let page: Page = query_payload(query.as_deref(), &[], &[])?;
    let limit = page.limit(CONNECTIONS_PER_PAGE)?;
    let (mut peers, total) = server.context.hub.connections().page(page.after.as_deref(), limit + 1);
    let has_more = peers.len() > limit;
    peers.truncate(limit);
    let next = peers.last().filter(|_last| has_more).map(|last| last.id.to_string());
    let connections =
        peers.iter().filter_map(|peer| ShownConnection::of(peer, Gaze::Passing, &caller.principal)).collect();
    Ok(Json(ShownConnections { total, at: Time(server.clock.now().wall), connections, next }))
}

/// `GET /api/v1/connections/{id}`: one of them; from the first such question on, the ages of its positions are measured.
pub(crate) async fn show(
    State(server): State<Arc<Server>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<ShownConnection>, Problem> {
    caller.require(Permission::ConnectionsManage)?;
    let peer = server.context.hub.connections().get(&id);
    let shown = peer.and_then(|peer| ShownConnection::of(&peer, Gaze::Measures, &caller.principal));
    shown.map(Json).ok_or_else(|| ErrorCode::NotFound.into())
}

/// Why a connection is closed, for the audit trail.
#[derive(Debug, Deserialize)]
struct Closing {
    reason: Option<String>,
}

impl Closing {
    /// What the audit trail says was closed, and why.
    fn object(self, id: &str) -> Result<String, Problem> {
        let Some(reason) = self.reason.filter(|it| !it.is_empty()) else { return Ok(id.to_owned()) };
        let fault = if reason.len() > REASON_BYTES_MAX {
            format!("reason: has more than {REASON_BYTES_MAX} bytes.")
        } else if reason.contains(char::is_control) {
            "reason: holds control characters.".to_owned()
        } else {
            return Ok(format!("{id}: {reason}"));
        };
        let refusal = Refusal::saying(ErrorCode::InvalidPayload, fault);
        Err(Problem(refusal.with_details(json!({ "path": "reason" }))))
    }
}

/// `DELETE /api/v1/connections/{id}`: ends one; its client is told to stay away. The audit trail says why.
pub(crate) async fn close(
    State(server): State<Arc<Server>>,
    caller: Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Problem> {
    caller.require(Permission::ConnectionsManage)?;
    let closing: Closing = query_payload(query.as_deref(), &[], &[])?;
    let object = closing.object(&id)?;
    let was_there = anita_hub::WebSocketManager::new(Arc::clone(&server.context.hub)).disconnect(&id);
    if !was_there {
        return Err(ErrorCode::NotFound.into());
    }
    caller.audit("close connection", &object, "done");
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    #[test]
    fn what_a_client_says_of_itself_is_bounded_and_plain() {
        let said = |bytes: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::USER_AGENT, HeaderValue::from_bytes(bytes).unwrap());
            user_agent(&headers).unwrap().into_string()
        };
        assert_eq!(said(b"Mozilla/5.0 (X11)"), "Mozilla/5.0 (X11)");
        assert_eq!(said("a\tb\u{85}c".as_bytes()), "abc");
        assert_eq!(said(&[0xff, b'x']), "\u{fffd}x");
        assert_eq!(said("ä".repeat(1_000).as_bytes()), "ä".repeat(80));
        assert_eq!(said(format!("x{}", "ä".repeat(1_000)).as_bytes()).len(), 159);
        assert_eq!(user_agent(&HeaderMap::new()), None);
    }
}
