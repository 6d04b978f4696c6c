//! `/api/v1/rooms`: which rooms there are, who is in them, and what they keep.

use std::sync::Arc;

use anita_auth::Permission;
use anita_hub::RoomOverview;
use anita_wire::Time;
use axum::Json;
use axum::extract::{RawQuery, State};
use schemars::JsonSchema;
use serde::Serialize;

use super::paging::Page;
use crate::caller::Caller;
use crate::problem::Problem;
use crate::rest::query_payload;
use crate::server::Server;

/// The most on a page, and how many there are when nobody says.
pub(crate) const ROOMS_PER_PAGE: (usize, usize) = (100, 50);

/// How many members of a room are named.
const MEMBERS_SHOWN_MAX: usize = 100;

/// The rooms.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ShownRooms {
    /// How many there are in all.
    total: usize,
    /// This page of them, in the order of their names.
    rooms: Vec<ShownRoom>,
    /// The `after` of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A room.
#[derive(Debug, Serialize, JsonSchema)]
struct ShownRoom {
    /// Its name.
    room: String,
    /// The epoch of its numbering.
    epoch: String,
    /// The number of its last message; 0 before the first.
    seq: u64,
    /// How many are in it.
    member_count: usize,
    /// Those of them who came first, at most 100.
    members: Vec<ShownMember>,
    /// What it keeps for those who come back.
    kept: ShownKept,
}

/// A member of a room.
#[derive(Debug, Serialize, JsonSchema)]
struct ShownMember {
    /// Its connection.
    client_id: String,
    /// Whose that is; absent while it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// Since when it is in the room.
    since: Time,
}

/// What a room keeps.
#[derive(Debug, Serialize, JsonSchema)]
struct ShownKept {
    /// How many messages.
    messages: usize,
    /// Their bytes.
    bytes: usize,
    /// The number of the oldest of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    from_seq: Option<u64>,
    /// When the newest of them was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_at: Option<Time>,
}

impl From<RoomOverview> for ShownRoom {
    fn from(room: RoomOverview) -> Self {
        let members = room.members.into_iter().map(|(peer, since)| ShownMember {
            client_id: peer.id.to_string(),
            user_id: peer.user(),
            since: Time(since),
        });
        Self {
            room: room.name.to_string(),
            epoch: room.epoch.to_string(),
            seq: room.seq,
            member_count: room.member_count,
            members: members.collect(),
            kept: ShownKept {
                messages: room.kept_messages,
                bytes: room.kept_bytes,
                from_seq: room.kept_from_seq,
                last_at: room.last_told_at.map(Time),
            },
        }
    }
}

/// `GET /api/v1/rooms`: the rooms that the caller may see.
pub(crate) async fn list(
    State(server): State<Arc<Server>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<ShownRooms>, Problem> {
    caller.require(Permission::RoomsMembers)?;
    let page: Page = query_payload(query.as_deref(), &[], &[])?;
    let limit = page.limit(ROOMS_PER_PAGE)?;
    let visible = &caller.principal.rooms;
    let rooms = server.context.hub.rooms();
    let found =
        rooms.page(page.after.as_deref(), (limit, MEMBERS_SHOWN_MAX), |room| visible.allow(room.as_str()));
    let rooms: Vec<ShownRoom> = found.rooms.into_iter().map(Into::into).collect();
    let next = rooms.last().filter(|_last| found.has_more).map(|last| last.room.clone());
    Ok(Json(ShownRooms { total: found.total, rooms, next }))
}
