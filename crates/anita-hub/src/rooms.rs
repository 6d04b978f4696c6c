//! Rooms: who is in them, and the ring of their latest numbered messages.
//!
//! A message is kept once, whoever hears it; a member holds the number up to which it has heard. A member that falls
//! behind the ring is told which numbers it lost.

mod page;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use anita_model::{DeviceId, Now, RoomName, Timestamp};
use anita_store::{Begun, EventRecord, RoomRecord};
use anita_wire::request::Since;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::connections::Peer;
use crate::ids::{ConnectionId, random_token};
use crate::keeping::{EventLog, Telling};

pub use page::{RoomOverview, RoomPage};

/// What rooms may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomLimits {
    /// Rooms in all.
    pub rooms_max: usize,
    /// Rooms that one connection may be in.
    pub rooms_per_connection_max: usize,
    /// Members of one room.
    pub members_max: usize,
    /// Messages that a room keeps for those who come back.
    pub ring_messages_max: usize,
    /// Bytes that a room keeps for those who come back.
    pub ring_bytes_max: usize,
    /// How long the numbering of a room that nobody is in is kept, so that its only member can come back.
    pub linger: Duration,
}

impl Default for RoomLimits {
    fn default() -> Self {
        Self {
            rooms_max: 10_000,
            rooms_per_connection_max: 64,
            members_max: 100_000,
            ring_messages_max: 1_000,
            ring_bytes_max: 1024 * 1024,
            linger: Duration::from_secs(60),
        }
    }
}

/// A numbered message of a room.
#[derive(Debug)]
pub struct RoomEvent {
    /// Its number.
    pub seq: u64,
    /// The complete WebSocket frame.
    pub frame: Bytes,
    /// The devices it tells of: only those who may see all of them hear it.
    pub devices: Vec<DeviceId>,
    /// Who said it, and does not hear it.
    pub from: Option<ConnectionId>,
    /// When it happened.
    pub at: Timestamp,
}

#[derive(Debug)]
struct Member {
    peer: Arc<Peer>,
    since: Timestamp,
}

#[derive(Debug)]
struct Room {
    epoch: Arc<str>,
    seq: u64,
    ring: VecDeque<Arc<RoomEvent>>,
    ring_bytes: usize,
    /// In the order they came: the key counts up.
    members: BTreeMap<u64, Member>,
    places: HashMap<ConnectionId, u64>,
    joins: u64,
    /// Since when nobody is in it, by the uptime.
    empty_since: Option<Duration>,
}

impl Room {
    fn new(now: Now) -> Self {
        Self {
            epoch: random_token(6).into(),
            seq: 0,
            ring: VecDeque::new(),
            ring_bytes: 0,
            members: BTreeMap::new(),
            places: HashMap::new(),
            joins: 0,
            empty_since: Some(now.uptime),
        }
    }

    fn leave(&mut self, connection: &ConnectionId, uptime: Duration) -> bool {
        let was_in = self.places.remove(connection).map(|place| self.members.remove(&place)).is_some();
        if was_in && self.members.is_empty() {
            self.empty_since = Some(uptime);
        }
        was_in
    }

    /// Whether nobody is in it, and nobody can come back for what was said: at once if nothing ever was, else after
    /// the linger time.
    fn is_unused(&self, uptime: Duration, linger: Duration) -> bool {
        self.empty_since.is_some_and(|since| self.seq == 0 || uptime.saturating_sub(since) >= linger)
    }

    /// As it was, without the numbers that may have been told and are lost.
    fn restored(record: RoomRecord, begun: &Begun, limits: &RoomLimits, now: Now) -> Self {
        let skipped = begun.skipped(record.ordinal);
        let mut room = Self { epoch: record.epoch, ..Self::new(now) };
        for event in record.events {
            let EventRecord { seq, at, devices, text, .. } = event;
            // Who said it is gone, and would hear it as anybody does.
            let frame = anita_ws::frame::text(&text);
            room.push(RoomEvent { seq, frame, devices, from: None, at }, limits);
        }
        room.seq = record.seq.saturating_add(skipped);
        room
    }

    /// Whether everything after a number is in the ring.
    fn has_all_after(&self, seq: u64) -> bool {
        let first = self.ring.partition_point(|event| event.seq <= seq);
        seq <= self.seq && (self.ring.len() - first) as u64 == self.seq - seq
    }

    fn push(&mut self, event: RoomEvent, limits: &RoomLimits) {
        self.ring_bytes += event.frame.len();
        self.ring.push_back(Arc::new(event));
        while self.ring.len() > limits.ring_messages_max || self.ring_bytes > limits.ring_bytes_max {
            match self.ring.pop_front() {
                Some(oldest) => self.ring_bytes -= oldest.frame.len(),
                None => break,
            }
        }
    }
}

/// Why a room could not be joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinRefused {
    /// The room is full.
    #[error("the room has {members_max} members, the most that are allowed")]
    Full {
        /// The limit.
        members_max: usize,
    },
    /// There are as many rooms as there may be.
    #[error("there are {rooms_max} rooms, the most that are allowed")]
    TooManyRooms {
        /// The limit.
        rooms_max: usize,
    },
}

/// What a client is told when it joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The epoch of the numbering.
    pub epoch: Arc<str>,
    /// The last number given so far.
    pub seq: u64,
    /// The number up to which the client has heard: where its live messages begin.
    pub heard_seq: u64,
    /// With `since`: whether everything that was missed follows.
    pub recovered: Option<bool>,
}

/// What a member hears next.
#[derive(Debug, Default)]
pub struct Heard {
    /// The numbers that were lost, first and last, if any.
    pub gap: Option<(u64, u64)>,
    /// The epoch of the numbering.
    pub epoch: Arc<str>,
    /// The messages after those, in order.
    pub events: Vec<Arc<RoomEvent>>,
}

/// All rooms.
#[derive(Debug)]
pub struct Rooms {
    limits: RoomLimits,
    by_name: Mutex<HashMap<RoomName, Room>>,
    /// Taken while the rooms are locked.
    log: Mutex<EventLog>,
}

impl Rooms {
    /// The rooms as they were, and `uwb`, which is always there.
    pub(crate) fn new(
        limits: RoomLimits,
        mut remembered: Vec<RoomRecord>,
        begun: &Begun,
        log: EventLog,
        now: Now,
    ) -> Self {
        let uwb = RoomName::uwb();
        let mut rooms = HashMap::from([(uwb.clone(), Room::new(now))]);
        // Where more are remembered than there may be: those that were used last, and `uwb` whatever happens.
        remembered.sort_by_key(|record| Reverse((record.name == uwb, record.ordinal)));
        for record in remembered.into_iter().take(limits.rooms_max.max(1)) {
            rooms.insert(record.name.clone(), Room::restored(record, begun, &limits, now));
        }
        Self { limits, by_name: Mutex::new(rooms), log: Mutex::new(log) }
    }

    /// Says that everything that was told is kept. Nothing is told afterwards.
    pub(crate) fn close(&self) {
        self.log.lock().close();
    }

    /// The limits.
    pub fn limits(&self) -> &RoomLimits {
        &self.limits
    }

    /// Puts a connection into a room; one that is in it already stays where it is.
    ///
    /// # Errors
    /// [`JoinRefused`].
    pub fn join(
        &self,
        name: &RoomName,
        peer: &Arc<Peer>,
        since: Option<&Since>,
        now: Now,
    ) -> Result<Joined, JoinRefused> {
        let mut rooms = self.by_name.lock();
        if !rooms.contains_key(name) {
            self.make_room_for_one(&mut rooms)?;
        }
        let room = rooms.entry(name.clone()).or_insert_with(|| Room::new(now));
        if !room.places.contains_key(&peer.id) {
            if room.members.len() >= self.limits.members_max {
                return Err(JoinRefused::Full { members_max: self.limits.members_max });
            }
            room.joins += 1;
            room.places.insert(peer.id.clone(), room.joins);
            room.members.insert(room.joins, Member { peer: Arc::clone(peer), since: now.wall });
            room.empty_since = None;
            peer.rooms.lock().insert(name.clone());
        }
        let recovered = since.map(|since| *since.epoch == *room.epoch && room.has_all_after(since.seq));
        let heard_seq = match (since, recovered) {
            (Some(since), Some(true)) => since.seq,
            _ => room.seq,
        };
        Ok(Joined { epoch: Arc::clone(&room.epoch), seq: room.seq, heard_seq, recovered })
    }

    /// Where there are too many rooms, one that nobody is in makes place.
    fn make_room_for_one(&self, rooms: &mut HashMap<RoomName, Room>) -> Result<(), JoinRefused> {
        if rooms.len() < self.limits.rooms_max {
            return Ok(());
        }
        let longest_empty = rooms
            .iter()
            .filter(|(name, room)| room.members.is_empty() && **name != RoomName::uwb())
            .min_by_key(|(_name, room)| room.empty_since)
            .map(|(name, _room)| name.clone());
        match longest_empty {
            Some(name) => {
                rooms.remove(&name);
                Ok(())
            }
            None => Err(JoinRefused::TooManyRooms { rooms_max: self.limits.rooms_max }),
        }
    }

    /// Takes a connection out of a room. Says whether it was in it.
    pub fn leave(&self, name: &RoomName, peer: &Peer, uptime: Duration) -> bool {
        peer.rooms.lock().remove(name);
        let mut rooms = self.by_name.lock();
        let Some(room) = rooms.get_mut(name) else { return false };
        let was_in = room.leave(&peer.id, uptime);
        if room.is_unused(uptime, self.limits.linger) && *name != RoomName::uwb() {
            rooms.remove(name);
        }
        was_in
    }

    /// Takes a connection out of every room it is in.
    pub fn leave_all(&self, peer: &Peer, uptime: Duration) {
        let names = std::mem::take(&mut *peer.rooms.lock());
        for name in names {
            self.leave(&name, peer, uptime);
        }
    }

    /// Forgets rooms that nobody has been in for the linger time.
    pub fn sweep(&self, uptime: Duration) {
        let uwb = RoomName::uwb();
        self.by_name.lock().retain(|name, room| !room.is_unused(uptime, self.limits.linger) || *name == uwb);
    }

    /// Says something in a room, and keeps it. The function gets the epoch and the number, and makes the message. Returns
    /// them, or `None` when there is no such room.
    pub fn publish(
        &self,
        name: &RoomName,
        devices: Vec<DeviceId>,
        from: Option<&ConnectionId>,
        at: Timestamp,
        text: impl FnOnce(&str, u64) -> String,
    ) -> Option<(Arc<str>, u64)> {
        let mut rooms = self.by_name.lock();
        let room = rooms.get_mut(name)?;
        room.seq += 1;
        let text = text(&room.epoch, room.seq);
        self.log.lock().keep(Telling {
            room: name,
            epoch: &room.epoch,
            seq: room.seq,
            at,
            devices: &devices,
            from: from.map(|id| id.as_str().into()),
            text: &text,
        });
        let frame = anita_ws::frame::text(&text);
        let event = RoomEvent { seq: room.seq, frame, devices, from: from.cloned(), at };
        room.push(event, &self.limits);
        for member in room.members.values() {
            member.peer.bell.notify_one();
        }
        Some((Arc::clone(&room.epoch), room.seq))
    }

    /// What a member has not heard yet after a number, at most so many messages.
    pub fn heard_after(&self, name: &RoomName, seq: u64, events_max: usize) -> Heard {
        let rooms = self.by_name.lock();
        let Some(room) = rooms.get(name) else { return Heard::default() };
        let first = room.ring.partition_point(|event| event.seq <= seq);
        let kept = || room.ring.range(first..);
        // What is not in the ring is before it, or was lost when the server crashed.
        let next_kept = kept().next().map_or(room.seq + 1, |event| event.seq);
        let gap = (seq + 1 < next_kept).then(|| (seq + 1, next_kept - 1));
        let in_a_row = kept().zip(next_kept..).take_while(|(event, expected)| event.seq == *expected);
        let events = in_a_row.take(events_max).map(|(event, _expected)| Arc::clone(event)).collect();
        Heard { gap, epoch: Arc::clone(&room.epoch), events }
    }

    /// The members of a room in the order they came, at most so many, and how many there are.
    pub fn members(&self, name: &RoomName, members_max: usize) -> (Vec<(Arc<Peer>, Timestamp)>, usize) {
        let rooms = self.by_name.lock();
        let Some(room) = rooms.get(name) else { return (Vec::new(), 0) };
        let members = room.members.values().take(members_max);
        (members.map(|member| (Arc::clone(&member.peer), member.since)).collect(), room.members.len())
    }

    /// The rooms with somebody in them, and how many.
    pub fn occupied(&self) -> Vec<(RoomName, usize)> {
        let rooms = self.by_name.lock();
        let occupied = rooms.iter().filter(|(_name, room)| !room.members.is_empty());
        occupied.map(|(name, room)| (name.clone(), room.members.len())).collect()
    }
}

#[cfg(test)]
mod tests;
