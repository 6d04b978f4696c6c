//! The rooms, page by page, for those who look after them.

use std::collections::BTreeMap;
use std::sync::Arc;

use anita_model::{RoomName, Timestamp};

use super::{Room, Rooms};
use crate::connections::Peer;

/// A room at one moment.
#[derive(Debug)]
pub struct RoomOverview {
    /// Its name.
    pub name: RoomName,
    /// The epoch of its numbering.
    pub epoch: Arc<str>,
    /// The number of its last message.
    pub seq: u64,
    /// How many are in it.
    pub member_count: usize,
    /// Those who came first, and since when each is in it.
    pub members: Vec<(Arc<Peer>, Timestamp)>,
    /// How many messages are kept for those who come back.
    pub kept_messages: usize,
    /// Their bytes.
    pub kept_bytes: usize,
    /// The number of the oldest of them.
    pub kept_from_seq: Option<u64>,
    /// When the newest of them was told.
    pub last_told_at: Option<Timestamp>,
}

/// A page of rooms.
#[derive(Debug)]
pub struct RoomPage {
    /// The rooms, in the order of their names.
    pub rooms: Vec<RoomOverview>,
    /// How many there are on all pages.
    pub total: usize,
    /// Whether there is another page.
    pub has_more: bool,
}

impl Room {
    fn overview(&self, name: &RoomName, members_max: usize) -> RoomOverview {
        let members = self.members.values().take(members_max);
        RoomOverview {
            name: name.clone(),
            epoch: Arc::clone(&self.epoch),
            seq: self.seq,
            member_count: self.members.len(),
            members: members.map(|member| (Arc::clone(&member.peer), member.since)).collect(),
            kept_messages: self.ring.len(),
            kept_bytes: self.ring_bytes,
            kept_from_seq: self.ring.front().map(|event| event.seq),
            last_told_at: self.ring.back().map(|event| event.at),
        }
    }
}

impl Rooms {
    /// The rooms that are shown, after a name, at most `rooms_max` of them, each with `members_max` members at most.
    pub fn page(
        &self,
        after: Option<&str>,
        (rooms_max, members_max): (usize, usize),
        is_shown: impl Fn(&RoomName) -> bool,
    ) -> RoomPage {
        let rooms = self.by_name.lock();
        let (mut page, mut total, mut has_more) = (BTreeMap::new(), 0, false);
        for (name, room) in rooms.iter().filter(|(name, _room)| is_shown(name)) {
            total += 1;
            if after.is_some_and(|after| name.as_str() <= after) {
                continue;
            }
            page.insert(name.as_str(), (name, room));
            if page.len() > rooms_max {
                page.pop_last();
                has_more = true;
            }
        }
        let rooms = page.into_values().map(|(name, room)| room.overview(name, members_max)).collect();
        RoomPage { rooms, total, has_more }
    }
}
