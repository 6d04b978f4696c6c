//! What one client has heard, and what it may not hear.

use std::collections::{BTreeMap, BTreeSet};

use anita_auth::Principal;
use anita_hub::Endpoint;
use anita_model::RoomName;
use anita_wire::{Incoming, RequestId, message};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::stage::ROOMS_PER_CLIENT_MAX;

/// A longer message that is refused as one too many is not read, so its answer has no id.
const READ_WHEN_TOO_MANY_BYTES_MAX: usize = 1_024;

/// The largest message of a server here, bytes: a thousand devices with everything that is known of them.
const MESSAGE_BYTES_MAX: usize = 512 * 1024;

#[derive(Default)]
pub(super) struct Ear {
    /// Whose token was heard last, once the server has said that it knows them.
    principal: Option<Principal>,
    /// Whose token was sent.
    becomes: Option<Principal>,
    /// The rooms it was told that it is in.
    pub(super) rooms: BTreeSet<String>,
    subscriptions: BTreeSet<String>,
    /// Whether it joins the room `uwb` by itself, which is not told, once it is known.
    joins_uwb: bool,
    /// Whether it has just done so: an error that follows at once says that it was not possible.
    has_just_joined: bool,
    /// Answers that are missing, by the id of the request as it was written.
    open: BTreeMap<String, Open>,
}

#[derive(Default)]
struct Open {
    /// Requests whose answer has to carry the id.
    certain: usize,
    /// Requests whose answer may lack it.
    uncertain: usize,
}

#[derive(Deserialize)]
struct OnlyId<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

impl Ear {
    /// Of a client that came through this door.
    pub(super) fn behind(endpoint: Endpoint) -> Self {
        Self { joins_uwb: endpoint == Endpoint::Uwb, ..Self::default() }
    }

    /// A token is on its way; if it is accepted, this is who is there.
    pub(super) fn may_become(&mut self, principal: Option<Principal>) {
        if principal.is_some() {
            self.becomes = principal;
        }
    }

    /// A text is sent.
    pub(super) fn asks(&mut self, text: &str) {
        let id = match Incoming::decode(text) {
            Ok(incoming) => incoming.id,
            Err(_refusal) => RequestId::find(text),
        };
        let Some(id) = id else { return };
        let open = self.open.entry(id.as_json().to_owned()).or_default();
        if text.len() <= READ_WHEN_TOO_MANY_BYTES_MAX {
            open.certain += 1;
        } else {
            open.uncertain += 1;
        }
    }

    /// Everything that was asked has been answered.
    pub(super) fn check_answered(&mut self) {
        for (id, open) in std::mem::take(&mut self.open) {
            assert_eq!(open.certain, 0, "a request with the id {id} was not answered");
        }
    }

    /// Frames of the server, complete and in a row.
    pub(super) fn hear(&mut self, mut frames: &[u8]) {
        while let [first, length, rest @ ..] = frames {
            let (bytes, rest) = match length {
                127 => {
                    let (length, rest) = rest.split_first_chunk().expect("a length");
                    (usize::try_from(u64::from_be_bytes(*length)).expect("a length"), rest)
                }
                126 => {
                    let (length, rest) = rest.split_first_chunk().expect("a length");
                    (usize::from(u16::from_be_bytes(*length)), rest)
                }
                short => (usize::from(*short), rest),
            };
            assert!(bytes <= MESSAGE_BYTES_MAX, "a message of {bytes} bytes");
            let (payload, rest) = rest.split_at(bytes);
            match first {
                0x89 => assert!(payload.is_empty()),
                0x81 => self.hear_text(std::str::from_utf8(payload).expect("text")),
                _ => panic!("a frame that is neither text nor ping: {first:x}"),
            }
            frames = rest;
        }
    }

    fn hear_text(&mut self, text: &str) {
        let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let OnlyId { id } = serde_json::from_str(text).expect("an object");
        if let Some(id) = id {
            let open = self.open.get_mut(id.get());
            let open = open.unwrap_or_else(|| panic!("nobody asked, or it was answered before: {text}"));
            if open.certain > 0 {
                open.certain -= 1;
            } else {
                assert!(open.uncertain > 0, "it was answered before: {text}");
                open.uncertain -= 1;
            }
        }
        let (kind, payload) = (value["type"].as_str().expect("a type"), &value["payload"]);
        assert!(message::TYPES.contains(&kind) || kind == "domain.echoed", "there is no type {kind}");
        assert!(payload.is_object() || kind == "domain.echoed", "{text}");
        let has_just_joined = std::mem::take(&mut self.has_just_joined);
        match kind {
            "system.connection" => {
                self.principal = self.becomes.clone();
                let may_join = self.principal.as_ref().is_some_and(|it| it.may_join(&RoomName::uwb()));
                if self.joins_uwb && may_join {
                    self.join("uwb");
                    self.has_just_joined = true;
                }
            }
            "system.token_refreshed" => self.principal = self.becomes.clone(),
            "error" if has_just_joined && payload["code"] == "limit_reached" => {
                self.rooms.remove("uwb");
            }
            "error" => assert_ne!(payload["code"], "internal", "a handler panicked: {text}"),
            "room.joined" => self.join(payload["room"].as_str().expect("a room")),
            "room.left" => {
                let room = payload["room"].as_str().expect("a room");
                assert!(self.rooms.remove(room), "it was not in {room}");
            }
            "subscribed" => {
                self.subscriptions.insert(payload["subscription"].to_string());
                assert!(self.subscriptions.len() <= anita_wire::limits::SUBSCRIPTIONS_MAX, "{text}");
            }
            "unsubscribed" => drop(self.subscriptions.remove(&payload["subscription"].to_string())),
            _ => {}
        }
        if let Some(room) = value["room"].as_str() {
            assert!(self.rooms.contains(room), "it is not in that room: {text}");
        }
        // These repeat what the client said itself, or name what it can no longer see.
        let repeats = ["error", "uwb.tracking_started", "view.left", "room.message", "domain.echoed"];
        if !repeats.contains(&kind) {
            self.check_devices(payload, text);
        }
    }

    fn join(&mut self, room: &str) {
        let name = RoomName::parse(room).expect("the name of a room");
        assert!(self.principal.as_ref().is_some_and(|it| it.may_join(&name)), "it may not be in {room}");
        self.rooms.insert(room.to_owned());
        assert!(self.rooms.len() <= ROOMS_PER_CLIENT_MAX, "it is in {:?}", self.rooms);
    }

    /// Every device that is named is one that the client may see.
    fn check_devices(&self, value: &Value, text: &str) {
        let check = |device: &str| {
            let may_see = self.principal.as_ref().is_some_and(|principal| principal.may_see(device));
            assert!(may_see, "it may not see {device}: {text}");
        };
        let Value::Object(members) = value else { return };
        for (name, member) in members {
            match (name.as_str(), member) {
                ("device_id" | "device1" | "device2", Value::String(device)) => check(device),
                ("device_ids", Value::Array(devices)) => {
                    devices.iter().filter_map(Value::as_str).for_each(check);
                }
                ("positions", Value::Object(positions)) => positions.keys().for_each(|device| check(device)),
                ("devices", Value::Array(devices)) => {
                    devices.iter().filter_map(|device| device["id"].as_str()).for_each(check);
                }
                (_, Value::Object(_)) => self.check_devices(member, text),
                _ => {}
            }
        }
    }
}
