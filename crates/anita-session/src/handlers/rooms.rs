//! Joining, leaving, members, and messages of clients to rooms.

use anita_hub::JoinRefused;
use anita_model::{Now, RoomName};
use anita_views::Start;
use anita_wire::limits::ROOM_MESSAGE_BYTES_MAX;
use anita_wire::message::{Member, RoomJoined, RoomLeft, RoomMembers, RoomMessage, RoomSent, Sender};
use anita_wire::request::{GetRoomMembers, JoinRoom, LeaveRoom, SendToRoom, Since};
use anita_wire::{ErrorCode, Refusal, RequestId, Time};
use bytes::Bytes;
use serde_json::json;

use crate::handlers::{Refused, answer};
use crate::session::{Heard, Session};

/// The most members that one `room.members` names.
const MEMBERS_SHOWN_MAX: usize = 1_000;

/// The longest `name` of a room message, bytes.
const MESSAGE_NAME_BYTES_MAX: usize = 64;

/// Whether the room `uwb` tells a client where devices are, beside what happens to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum UwbPositions {
    #[default]
    Told,
    LeftOut,
}

impl Session {
    pub(crate) fn join_room(
        &mut self,
        payload: &JoinRoom,
        id: Option<&RequestId>,
        now: Now,
    ) -> Result<Bytes, Refused> {
        let is_uwb = payload.room == RoomName::uwb();
        if !is_uwb && payload.positions.is_some() {
            let message = "positions: only the room \"uwb\" tells where devices are.";
            return Err(Refusal::saying(ErrorCode::InvalidPayload, message)
                .with_details(json!({ "path": "positions" }))
                .into());
        }
        let before = self.uwb_positions;
        self.uwb_positions = match payload.positions {
            Some(true) => UwbPositions::Told,
            Some(false) => UwbPositions::LeftOut,
            None => before,
        };
        let joined = self.join(&payload.room, payload.since.as_ref(), now);
        if joined.is_err() {
            self.uwb_positions = before;
        }
        Ok(answer(&joined?, id))
    }

    /// Joins a room, and hears it from there on.
    pub(crate) fn join(
        &mut self,
        room: &RoomName,
        since: Option<&Since>,
        now: Now,
    ) -> Result<RoomJoined, Refused> {
        self.check_room(room, "join_room")?;
        let rooms_max = self.context.hub.rooms().limits().rooms_per_connection_max;
        if !self.rooms.contains_key(room) && self.rooms.len() >= rooms_max {
            let message = format!("This connection is in {rooms_max} rooms, the most that are allowed.");
            return Err(Refusal::saying(ErrorCode::LimitReached, message)
                .with_details(json!({ "limit": rooms_max }))
                .into());
        }
        let joined = self.context.hub.rooms().join(room, self.peer(), since, now).map_err(|refused| {
            let code = match refused {
                JoinRefused::Full { .. } | JoinRefused::TooManyRooms { .. } => ErrorCode::LimitReached,
            };
            Refused(Refusal::saying(code, format!("{refused}.")))
        })?;
        // Who is in the room already and names no place goes on where it is: what waits for it is not skipped.
        let stays = since.is_none() && self.rooms.contains_key(room);
        if !stays {
            self.rooms.insert(room.clone(), Heard::up_to(joined.heard_seq));
        }
        if *room == RoomName::uwb() {
            match self.uwb_positions {
                // Who was away and comes back is told where everything is by now.
                UwbPositions::Told => {
                    self.hear_locations(if since.is_some() { Start::Snapshot } else { Start::Now }, now);
                }
                UwbPositions::LeftOut => self.stop_hearing_locations(now),
            }
        }
        Ok(RoomJoined {
            room: room.to_string(),
            epoch: joined.epoch.to_string(),
            seq: joined.seq,
            recovered: joined.recovered,
        })
    }

    pub(crate) fn leave_room(
        &mut self,
        payload: &LeaveRoom,
        id: Option<&RequestId>,
        now: Now,
    ) -> Result<Bytes, Refused> {
        if !self.leave(&payload.room, now) {
            return Err(Refusal::saying(ErrorCode::NotFound, "This connection is not in that room.").into());
        }
        Ok(answer(&RoomLeft { room: payload.room.to_string() }, id))
    }

    /// Leaves a room; says whether it was in it.
    pub(crate) fn leave(&mut self, room: &RoomName, now: Now) -> bool {
        if *room == RoomName::uwb() {
            self.stop_hearing_locations(now);
            self.uwb_positions = UwbPositions::default();
        }
        self.context.hub.rooms().leave(room, self.peer(), now.uptime);
        self.rooms.remove(room).is_some()
    }

    pub(crate) fn room_members(
        &self,
        payload: &GetRoomMembers,
        id: Option<&RequestId>,
    ) -> Result<Bytes, Refused> {
        self.check_room(&payload.room, "get_room_members")?;
        let (members, total) = self.context.hub.rooms().members(&payload.room, MEMBERS_SHOWN_MAX);
        let members = members.into_iter().map(|(peer, since)| Member {
            client_id: peer.id.to_string(),
            user_id: peer.user().unwrap_or_default(),
            since: Time(since),
        });
        Ok(answer(&RoomMembers { room: payload.room.to_string(), members: members.collect(), total }, id))
    }

    pub(crate) fn send_to_room(
        &mut self,
        payload: SendToRoom,
        id: Option<&RequestId>,
        now: Now,
    ) -> Result<Bytes, Refused> {
        self.check_room(&payload.room, "send_to_room")?;
        if payload.name.is_empty() || payload.name.len() > MESSAGE_NAME_BYTES_MAX {
            let message = format!("name: has to be 1 to {MESSAGE_NAME_BYTES_MAX} bytes long.");
            return Err(Refusal::saying(ErrorCode::InvalidPayload, message)
                .with_details(json!({ "path": "name" }))
                .into());
        }
        if payload.data.get().len() > ROOM_MESSAGE_BYTES_MAX {
            let message = format!("data: more than {ROOM_MESSAGE_BYTES_MAX} bytes.");
            let details = json!({ "path": "data", "limit": ROOM_MESSAGE_BYTES_MAX });
            return Err(Refusal::saying(ErrorCode::TooLarge, message).with_details(details).into());
        }
        let room = payload.room;
        let from = Sender {
            client_id: self.client_id().to_owned(),
            user_id: self.principal()?.subject().to_owned(),
        };
        let message = RoomMessage { room: room.to_string(), name: payload.name, data: payload.data, from };
        let published = self.context.hub.publish(&room, &message, &[], Some(&self.peer().id), now.wall);
        let (epoch, seq) =
            published.ok_or_else(|| Refusal::saying(ErrorCode::NotFound, "Nobody is in that room."))?;
        Ok(answer(&RoomSent { room: room.to_string(), epoch: epoch.to_string(), seq }, id))
    }

    /// Refuses what is done to a room outside the token's patterns.
    fn check_room(&self, room: &RoomName, action: &str) -> Result<(), Refused> {
        if self.principal()?.rooms.allow(room.as_str()) {
            return Ok(());
        }
        self.audit_forbidden(action, room.as_str());
        let message = format!("This token does not allow the room {room:?}.");
        Err(Refusal::saying(ErrorCode::Forbidden, message)
            .with_details(json!({ "room": room.as_str() }))
            .into())
    }
}
