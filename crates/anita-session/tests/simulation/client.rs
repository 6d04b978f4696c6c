//! One connection as its client knows it: it judges every message that it gets.

mod rooms;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::disk::Disk;
use crate::house::Minted;
use crate::link::Millis;
use crate::rights::Rights;
use crate::truth::{Room, Truth};
use crate::view::{Asked, Reader, View};

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    /// Something whose answer is of this type, and changes nothing here.
    Plain(&'static str),
    /// With this token.
    Authenticate(Minted),
    Join {
        room: String,
        since: Option<(String, u64)>,
    },
    Leave(String),
    Subscribe(Asked),
    Read {
        devices: Option<Vec<String>>,
        since: Option<(String, u64)>,
    },
    Update {
        name: String,
        asked: Asked,
    },
    Unsubscribe(String),
    Track(Asked),
    StopTracking,
    Report(Vec<usize>),
    Register {
        device: usize,
        name: u64,
    },
    Rename {
        device: usize,
        name: u64,
    },
    Remove {
        device: usize,
    },
}

impl Request {
    fn answer(&self) -> &'static str {
        match self {
            Self::Plain(answer) => answer,
            Self::Authenticate(_) => "system.token_refreshed",
            Self::Join { .. } => "room.joined",
            Self::Leave(_) => "room.left",
            Self::Subscribe(_) | Self::Read { .. } => "subscribed",
            Self::Update { .. } => "subscription.updated",
            Self::Unsubscribe(_) => "unsubscribed",
            Self::Track(_) => "uwb.tracking_started",
            Self::StopTracking => "uwb.tracking_stopped",
            Self::Report(_) => "uwb.locations_reported",
            Self::Register { .. } => "uwb.device_registered",
            Self::Rename { .. } => "device.updated",
            Self::Remove { .. } => "device.removed",
        }
    }
}

/// What was so when the server took a request.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) version: u64,
    /// The room that it joins, with what its ring had.
    pub(crate) room: Option<(Room, BTreeSet<u64>)>,
    /// Which items are to be accepted.
    pub(crate) verdicts: Vec<bool>,
    /// The place of the change in the device's log.
    pub(crate) place: Option<usize>,
    /// The last number of each room.
    pub(crate) seqs: BTreeMap<&'static str, u64>,
    /// Which server it was.
    pub(crate) run: u32,
}

#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) request: Request,
    pub(crate) taken: Option<Taken>,
}

/// How far a room was heard.
#[derive(Debug, Clone)]
pub(crate) struct Hearing {
    pub(crate) epoch: String,
    pub(crate) told: u64,
}

/// What came of an answer, for whoever asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    Hello,
    /// These fixes need not be sent again.
    Done(Vec<usize>),
    /// These have to be.
    Undone(Vec<usize>),
}

/// What surrounds a client when a message comes.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) truth: &'a mut Truth,
    pub(crate) disk: &'a Disk,
}

/// One connection, seen by its client.
#[derive(Debug)]
pub(crate) struct Client {
    /// Which server it talks to.
    run: u32,
    /// What the server has confirmed.
    pub(crate) rights: Rights,
    /// What it had confirmed before, and up to which numbers of the rooms that held.
    rights_before: Vec<(Rights, BTreeMap<&'static str, u64>)>,
    pub(crate) id: Option<String>,
    pub(crate) requests: BTreeMap<u64, Sent>,
    pub(crate) views: BTreeMap<String, View>,
    pub(crate) readers: BTreeMap<String, Reader>,
    pub(crate) rooms: BTreeMap<String, Hearing>,
    /// The room that the endpoint joins: what was so then.
    pub(crate) joins: Option<Taken>,
    pub(crate) closed: Option<u16>,
    pub(crate) news: Vec<News>,
    pub(crate) messages: u64,
}

const ROOM: &str = "the room";
const TRACKING: &str = "tracking";

impl Client {
    pub(crate) fn new(rights: Rights, run: u32) -> Self {
        Self {
            run,
            rights,
            rights_before: Vec::new(),
            id: None,
            requests: BTreeMap::new(),
            views: BTreeMap::new(),
            readers: BTreeMap::new(),
            rooms: BTreeMap::new(),
            joins: None,
            closed: None,
            news: Vec::new(),
            messages: 0,
        }
    }

    /// The connection is over, and with what.
    pub(crate) fn take_close(&mut self, payload: &[u8]) {
        assert!(self.closed.is_none(), "closed twice");
        let code = payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
        self.closed = Some(code);
    }

    pub(crate) fn take_text(&mut self, text: &str, scene: &mut Scene<'_>) {
        assert!(self.closed.is_none(), "a message after the close: {text}");
        self.messages += 1;
        let message: Value = serde_json::from_str(text).unwrap();
        let kind = message["type"].as_str().unwrap();
        let payload = &message["payload"];
        if kind == "error" {
            assert_ne!(payload["code"], "internal", "{text}");
        }
        let is_stale = self.run != scene.truth.run;
        if let Some(id) = message.get("id") {
            let id = id.as_u64().unwrap();
            let sent = self.requests.remove(&id);
            let sent = sent.unwrap_or_else(|| panic!("an answer to nothing, or a second one: {text}"));
            if !is_stale || matches!(sent.request, Request::Report(_)) {
                self.take_answer(sent, kind, payload, scene);
            }
            return;
        }
        if is_stale && kind != "system.connection" {
            // What the server said before it ended, and what was true then, is judged no more.
            return;
        }
        if message.get("playback").is_some() {
            self.take_playback(kind, payload);
            return;
        }
        if message.get("room").is_some() {
            self.take_numbered(&message, text, scene.truth);
            return;
        }
        match kind {
            "system.connection" => self.take_hello(payload),
            "room.advanced" | "room.gap" => self.take_note(kind, payload, scene.truth),
            "room.left" => {
                self.rooms.remove(payload["room"].as_str().unwrap()).expect("out of a room that it was in");
            }
            "system.heartbeat" | "system.reconnect" | "system.pace" | "system.auth_required" | "error" => {}
            _ => self.take_of_view(kind, &message, scene.truth),
        }
    }

    fn take_hello(&mut self, payload: &Value) {
        assert!(self.id.is_none(), "the hello comes once");
        self.id = Some(payload["client_id"].as_str().unwrap().to_owned());
        if let Some(Taken { version, room: Some((room, _ring)), .. }) = self.joins.take() {
            self.hear("uwb", room.epoch.clone(), room.seq);
            self.views.insert(ROOM.to_owned(), View::unnamed(Asked::everything("single"), version));
        }
        self.news.push(News::Hello);
    }

    fn hear(&mut self, room: &str, epoch: String, told: u64) {
        self.rooms.insert(room.to_owned(), Hearing { epoch, told });
    }

    // --- positions

    fn take_of_view(&mut self, kind: &str, message: &Value, truth: &Truth) {
        let payload = &message["payload"];
        let name = message.get("subscription").or_else(|| payload.get("subscription"));
        let name = match (name, kind) {
            (Some(name), _) => name.as_str().unwrap(),
            (None, "uwb.location") => ROOM,
            (None, _) => TRACKING,
        };
        if let Some(reader) = self.readers.get_mut(name) {
            reader.take(message, &self.rights, truth);
            return;
        }
        let Some(view) = self.views.get_mut(name) else { panic!("a message of no view: {message}") };
        view.take(kind, payload, &self.rights, truth);
    }

    fn take_playback(&self, kind: &str, payload: &Value) {
        if kind == "uwb.position_update" {
            for id in payload["positions"].as_object().unwrap().keys() {
                assert!(self.rights.sees(id), "{id} may not be seen, in the past neither");
            }
        }
    }

    // --- answers

    fn take_answer(&mut self, sent: Sent, kind: &str, payload: &Value, scene: &mut Scene<'_>) {
        let Sent { request, taken, .. } = sent;
        let taken = taken.unwrap_or_else(|| panic!("an answer to what never came: {request:?}"));
        if kind == "error" {
            return self.take_refusal(&request, payload);
        }
        assert_eq!(kind, request.answer(), "the answer to {request:?}");
        let text = |field: &str| payload[field].as_str().unwrap().to_owned();
        match request {
            Request::Plain(_) => {}
            Request::Authenticate(minted) => self.become_of(minted.rights, &taken),
            Request::Join { room, since } => {
                self.take_joined(&room, since, payload, &taken);
            }
            Request::Leave(room) => {
                self.rooms.remove(&room).expect("out of a room that it was in");
                if room == "uwb" {
                    self.views.remove(ROOM);
                }
            }
            Request::Subscribe(asked) => {
                let silent_to = if asked.has_snapshot { 0 } else { taken.version };
                self.views.insert(text("subscription"), View::named(asked, silent_to));
            }
            Request::Read { devices, since } => {
                let (epoch, seq) = (text("epoch"), payload["seq"].as_u64().unwrap());
                assert_eq!(seq, taken.version, "the number of the last fix");
                let since = since.filter(|(known, _seq)| *known == epoch);
                let seen = since.map_or(seq, |(_epoch, seq)| seq);
                let reader = Reader { devices, epoch, seen, is_unsure: false };
                self.readers.insert(text("subscription"), reader);
            }
            Request::Update { name, asked } => {
                let view = self.views.get_mut(&name).expect("a view that is there");
                let was_paused = view.asked.is_paused();
                if was_paused && !asked.is_paused() {
                    let has_snapshot = true;
                    *view = View::named(Asked { has_snapshot, ..asked }, 0);
                } else {
                    let has_snapshot = view.asked.has_snapshot;
                    view.change(Asked { has_snapshot, ..asked });
                }
            }
            Request::Unsubscribe(name) => {
                let is_there = self.views.remove(&name).is_some() || self.readers.remove(&name).is_some();
                assert!(is_there, "a view that was there");
            }
            Request::Track(asked) => {
                let view = View::unnamed(asked, 0);
                self.views.insert(TRACKING.to_owned(), view);
            }
            Request::StopTracking => {
                self.views.remove(TRACKING);
            }
            Request::Report(numbers) => self.take_reported(numbers, payload, &taken, scene),
            Request::Register { device, .. }
            | Request::Rename { device, .. }
            | Request::Remove { device } => {
                let place = taken.place.expect("a change that was to be refused");
                scene.truth.ack_change(device, place, taken.run);
            }
        }
    }

    fn become_of(&mut self, rights: Rights, taken: &Taken) {
        let before = std::mem::replace(&mut self.rights, rights);
        self.rights_before.push((before, taken.seqs.clone()));
        self.views.values_mut().for_each(|view| view.narrow(taken.version));
        self.readers.values_mut().for_each(|reader| reader.is_unsure = true);
        for room in self.rooms.keys() {
            assert!(self.rights.joins(room), "still in the room {room}, which the token does not allow");
        }
        if !self.rooms.contains_key("uwb") {
            self.views.remove(ROOM);
        }
    }

    fn take_joined(&mut self, name: &str, since: Option<(String, u64)>, payload: &Value, taken: &Taken) {
        assert!(self.rights.joins(name), "in a room that the token does not allow: {name}");
        let (room, ring) = taken.room.as_ref().unwrap();
        let seq = payload["seq"].as_u64().unwrap();
        assert_eq!(
            (payload["epoch"].as_str().unwrap(), seq),
            (room.epoch.as_str(), room.seq),
            "{name}: its place"
        );
        let is_whole = since.as_ref().map(|(epoch, since)| {
            *epoch == room.epoch && *since <= seq && (*since + 1..=seq).all(|seq| ring.contains(&seq))
        });
        assert_eq!(
            payload.get("recovered").and_then(Value::as_bool),
            is_whole,
            "{name}: whether all that was missed follows"
        );
        let is_new = !self.rooms.contains_key(name);
        match since {
            Some((_epoch, since)) if is_whole == Some(true) => self.hear(name, room.epoch.clone(), since),
            None if !is_new => {}
            _ => self.hear(name, room.epoch.clone(), seq),
        }
        if name == "uwb" {
            let asked = Asked { has_snapshot: since_is_some(is_whole), ..Asked::everything("single") };
            let before = self.views.remove(ROOM);
            let mut view = View::unnamed(asked.clone(), taken.version);
            if let Some(before) = before.filter(|_it| !is_new) {
                view = before;
                view.change(asked);
            }
            self.views.insert(ROOM.to_owned(), view);
        }
    }

    fn take_reported(&mut self, numbers: Vec<usize>, payload: &Value, taken: &Taken, scene: &mut Scene<'_>) {
        let refused: BTreeSet<usize> = payload["refused"]
            .as_array()
            .map(|refused| {
                refused.iter().map(|item| usize::try_from(item["index"].as_u64().unwrap()).unwrap()).collect()
            })
            .unwrap_or_default();
        let verdicts: Vec<bool> = (0..numbers.len()).map(|index| !refused.contains(&index)).collect();
        assert_eq!(verdicts, taken.verdicts, "which items are taken: {payload}");
        let accepted = payload["accepted"].as_u64().unwrap();
        assert_eq!(accepted, verdicts.iter().filter(|it| **it).count() as u64);
        for (number, is_taken) in numbers.iter().zip(&verdicts) {
            if *is_taken {
                scene.truth.ack(*number, scene.disk);
            }
        }
        self.news.push(News::Done(numbers));
    }

    fn take_refusal(&mut self, request: &Request, payload: &Value) {
        let code = payload["code"].as_str().unwrap();
        let is_known = matches!(
            code,
            "unavailable"
                | "forbidden"
                | "not_found"
                | "token_expired"
                | "invalid_token"
                | "rate_limited"
                | "limit_reached"
        );
        // What is played back may lie in the future when the clock was set back.
        let is_known = is_known || (code == "out_of_range" && request.answer() == "playback.started");
        assert!(is_known, "{request:?} was refused: {payload}");
        if let Request::Report(numbers) = request {
            assert_ne!(code, "rate_limited");
            let again = code == "unavailable";
            self.news.push(if again { News::Undone(numbers.clone()) } else { News::Done(numbers.clone()) });
        }
    }

    // --- at the end

    /// When everybody has read and nothing happens, it knows everything that it has to.
    pub(crate) fn check(&self, truth: &Truth, active: &BTreeSet<usize>) {
        assert!(self.requests.is_empty(), "requests without an answer: {:?}", self.requests);
        for (name, view) in &self.views {
            view.check(name, &self.rights, truth, active);
        }
        for (name, reader) in &self.readers {
            let missed = reader.first_missed(truth.version + 1, &self.rights, truth);
            assert!(
                missed.is_none() || reader.is_unsure,
                "{name}: the fix of the number {missed:?} was not told"
            );
        }
        for (name, hearing) in &self.rooms {
            let room = &truth.rooms[name.as_str()];
            assert_eq!(hearing.epoch, room.epoch, "{name}: somebody is in it, so it was not forgotten");
            let missed = room
                .messages
                .range(hearing.told + 1..)
                .find(|(seq, _message)| self.is_due(name, room, **seq));
            assert!(missed.is_none(), "{name}: {missed:?} was not heard");
        }
    }

    /// One that keeps up has heard everything that is older than `to_ms`.
    pub(crate) fn check_fresh(&self, truth: &Truth, to_ms: Millis) {
        for (name, view) in &self.views {
            view.check_fresh(name, &self.rights, truth, to_ms);
        }
        for (name, hearing) in &self.rooms {
            let room = &truth.rooms[name.as_str()];
            let late = room
                .messages
                .range(hearing.told + 1..)
                .find(|(seq, message)| message.at_ms <= to_ms && self.is_due(name, room, **seq));
            assert!(
                late.is_none() || room.epoch != hearing.epoch,
                "{name}: keeps up, and did not hear {late:?}"
            );
        }
    }
}

fn since_is_some(is_whole: Option<bool>) -> bool {
    is_whole.is_some()
}
