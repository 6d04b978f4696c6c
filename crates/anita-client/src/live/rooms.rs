//! The rooms that the application wants to be in: counted, joined again on each connection from where they were left, and
//! their numbers followed. No socket, no clock.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::AskError;
use super::events::{Gap, GapOf};
use super::requests::{Done, WAITING_MAX};
use crate::envelope::Envelope;

/// Where a numbering stands.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Place {
    pub(super) epoch: String,
    pub(super) seq: u64,
}

/// Whether this connection is in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    Out,
    Asked,
    In,
}

#[derive(Debug, Default)]
struct Room {
    /// How many joined and did not leave.
    uses: usize,
    stage: Stage,
    /// How far its numbering has been seen.
    place: Option<Place>,
    /// Who waits to be in it.
    waiters: Vec<Done>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    rooms: BTreeMap<String, Room>,
}

/// What a message means to the rooms.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// Whether it was told before, or will be told again in its place.
    pub(super) is_repeat: bool,
    pub(super) gap: Option<Gap>,
}

/// What has to be done for a room.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Todo {
    Nothing,
    Join,
    Leave,
}

#[derive(Deserialize)]
struct Joined {
    epoch: String,
    seq: u64,
    #[serde(default)]
    recovered: bool,
}

#[derive(Deserialize)]
struct Skipped {
    room: String,
    epoch: String,
    #[serde(default)]
    from_seq: u64,
    #[serde(default, alias = "seq")]
    to_seq: u64,
}

// === impl Rooms ===

impl Rooms {
    /// The endpoint itself joins this one, on each connection; where it was left is asked for all the same.
    pub(super) fn by_endpoint(room: &str) -> Self {
        let joined = Room { uses: 1, stage: Stage::In, ..Room::default() };
        Self { rooms: BTreeMap::from([(room.to_owned(), joined)]) }
    }

    /// Somebody wants to be in a room.
    pub(super) fn join(&mut self, name: &str, done: Done) -> Todo {
        if self.rooms.values().map(|room| room.waiters.len()).sum::<usize>() >= WAITING_MAX {
            drop(done.send(Err(AskError::QueueFull)));
            return Todo::Nothing;
        }
        let room = self.rooms.entry(name.to_owned()).or_default();
        room.uses += 1;
        match room.stage {
            Stage::In => {
                if done.send(Ok(())).is_err() {
                    return self.let_go(name);
                }
                Todo::Nothing
            }
            Stage::Asked => {
                room.waiters.push(done);
                Todo::Nothing
            }
            Stage::Out => {
                room.waiters.push(done);
                Todo::Join
            }
        }
    }

    /// One of those who wanted to be in a room does not any more. Who was never in one may ask the server to leave it.
    pub(super) fn let_go(&mut self, name: &str) -> Todo {
        let Some(room) = self.rooms.get_mut(name) else { return Todo::Leave };
        room.uses = room.uses.saturating_sub(1);
        if room.uses > 0 {
            return Todo::Nothing;
        }
        if let Some(room) = self.rooms.remove(name) {
            room.settle(&Err(AskError::Closed));
        }
        Todo::Leave
    }

    /// Those that this connection has to be asked for, without those that nobody waits for any more.
    pub(super) fn missing(&mut self) -> Vec<String> {
        for room in self.rooms.values_mut() {
            let waiting = room.waiters.len();
            room.waiters.retain(|done| !done.is_closed());
            room.uses = room.uses.saturating_sub(waiting - room.waiters.len());
        }
        self.rooms.retain(|_name, room| room.uses > 0);
        let out = self.rooms.iter().filter(|(_name, room)| room.stage == Stage::Out);
        out.map(|(name, _room)| name.clone()).collect()
    }

    /// The payload of `join_room`.
    pub(super) fn ask(&mut self, name: &str) -> Value {
        let Some(room) = self.rooms.get_mut(name) else { return json!({ "room": name }) };
        room.stage = Stage::Asked;
        match &room.place {
            Some(Place { epoch, seq }) => json!({ "room": name, "since": { "epoch": epoch, "seq": seq } }),
            None => json!({ "room": name }),
        }
    }

    /// The answer to a join.
    pub(super) fn joined(&mut self, name: &str, answer: &Envelope) -> (Todo, Option<Gap>) {
        let Some(room) = self.rooms.get_mut(name) else { return (Todo::Leave, None) };
        room.stage = Stage::In;
        let mut gap = None;
        if let Ok(Joined { epoch, seq, recovered }) = answer.payload_as::<Joined>()
            && (room.place.is_none() || !recovered)
        {
            let now = Place { epoch, seq };
            gap = room.place.as_ref().and_then(|seen| hole(name, seen, &now, seq));
            room.place = Some(now);
        }
        let gone_count = room.settle_in();
        room.uses = room.uses.saturating_sub(gone_count);
        if room.uses > 0 {
            return (Todo::Nothing, gap);
        }
        self.rooms.remove(name);
        (Todo::Leave, gap)
    }

    /// A join was refused. Whether the room is still wanted, and will be asked for again; who waits is told in any case.
    pub(super) fn refused(&mut self, name: &str, error: &AskError) -> bool {
        let Some(room) = self.rooms.get_mut(name) else { return false };
        room.stage = Stage::Out;
        let waiters = std::mem::take(&mut room.waiters);
        room.uses = room.uses.saturating_sub(waiters.len());
        for done in waiters {
            drop(done.send(Err(error.clone())));
        }
        if room.uses == 0 || !error.is_retryable() {
            self.rooms.remove(name);
            return false;
        }
        true
    }

    /// The connection is gone, and its places in rooms with it. Who was waiting for an answer gets none; who waits for a
    /// connection goes on.
    pub(super) fn lose(&mut self) {
        for room in self.rooms.values_mut() {
            if room.stage == Stage::Asked {
                let waiters = std::mem::take(&mut room.waiters);
                room.uses = room.uses.saturating_sub(waiters.len());
                for done in waiters {
                    drop(done.send(Err(AskError::Disconnected)));
                }
            }
            // The numbers of a room that nobody numbered yet begin with the next connection.
            room.stage = if room.stage == Stage::In && room.place.is_none() { Stage::In } else { Stage::Out };
        }
        self.rooms.retain(|_name, room| room.uses > 0);
    }

    /// There will be no connection: who waits is told. What was joined is joined again, if there is one after all.
    pub(super) fn end(&mut self, error: &AskError) {
        for room in self.rooms.values_mut() {
            let waiters = std::mem::take(&mut room.waiters);
            room.uses = room.uses.saturating_sub(waiters.len());
            for done in waiters {
                drop(done.send(Err(error.clone())));
            }
        }
        self.rooms.retain(|_name, room| room.uses > 0);
    }

    /// Follows the numbers of a message that is no answer.
    pub(super) fn hear(&mut self, message: &Envelope) -> Heard {
        match message.kind.as_str() {
            "room.gap" | "room.advanced" => self.skip(message),
            "room.left" => {
                // Nobody asked: the server took the client out.
                let payload = message.payload_as::<Value>().unwrap_or_default();
                if let Some(room) = payload.get("room").and_then(Value::as_str) {
                    self.rooms.remove(room);
                }
                Heard::default()
            }
            _ => self.follow(message),
        }
    }

    fn skip(&mut self, message: &Envelope) -> Heard {
        let Ok(Skipped { room: name, epoch, from_seq, to_seq }) = message.payload_as::<Skipped>() else {
            return Heard::default();
        };
        if let Some(room) = self.rooms.get_mut(&name) {
            if room.is_ahead(&epoch, to_seq) {
                return Heard { is_repeat: true, gap: None };
            }
            let seen = room.place.as_ref().filter(|seen| seen.epoch == epoch).map_or(0, |seen| seen.seq);
            room.place = Some(Place { epoch: epoch.clone(), seq: seen.max(to_seq) });
        }
        let gap = (message.kind == "room.gap").then_some(Gap {
            of: GapOf::Room(name),
            epoch,
            seqs: Some((from_seq, to_seq)),
        });
        Heard { is_repeat: false, gap }
    }

    fn follow(&mut self, message: &Envelope) -> Heard {
        let (Some(name), Some(epoch), Some(seq)) = (&message.room, &message.epoch, message.seq) else {
            return Heard::default();
        };
        let Some(room) = self.rooms.get_mut(name) else { return Heard::default() };
        if room.is_ahead(epoch, seq) {
            return Heard { is_repeat: true, gap: None };
        }
        let now = Place { epoch: epoch.clone(), seq };
        let seen = room.place.as_ref();
        if seen.is_some_and(|seen| seen.epoch == now.epoch && seen.seq >= seq) {
            return Heard { is_repeat: true, gap: None };
        }
        let gap = seen.and_then(|seen| hole(name, seen, &now, seq.saturating_sub(1)));
        room.place = Some(now);
        Heard { is_repeat: false, gap }
    }
}

// === impl Room ===

impl Room {
    /// Whether a number was said before the server knew from where to go on: it comes again in its place.
    fn is_ahead(&self, epoch: &str, seq: u64) -> bool {
        let seen = self.place.as_ref().filter(|seen| seen.epoch == epoch);
        self.stage == Stage::Asked && seen.is_some_and(|seen| seq > seen.seq + 1)
    }

    fn settle(self, result: &Result<(), AskError>) {
        for done in self.waiters {
            drop(done.send(result.clone()));
        }
    }

    /// Tells those who wait that they are in; how many of them have gone.
    fn settle_in(&mut self) -> usize {
        let waiters = std::mem::take(&mut self.waiters);
        waiters.into_iter().filter_map(|done| done.send(Ok(())).err()).count()
    }
}

/// What is missing from `seen` up to `last_seq` of the numbering that holds now.
fn hole(room: &str, seen: &Place, now: &Place, last_seq: u64) -> Option<Gap> {
    let is_same = seen.epoch == now.epoch;
    if is_same && seen.seq >= last_seq {
        return None;
    }
    let seqs = is_same.then_some((seen.seq + 1, last_seq));
    Some(Gap { of: GapOf::Room(room.to_owned()), epoch: now.epoch.clone(), seqs })
}

#[cfg(test)]
#[path = "rooms_tests.rs"]
mod tests;
