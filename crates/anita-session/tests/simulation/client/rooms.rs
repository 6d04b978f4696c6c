//! What a client hears in its rooms: every number once, in order, or why not.

use serde_json::Value;

use super::Client;
use crate::truth::{Room, Truth};

impl Client {
    /// Whether a numbered message is for this client; one that was lost is for nobody.
    pub(super) fn is_for_it(&self, room: &Room, seq: u64) -> bool {
        room.messages.get(&seq).is_some_and(|message| {
            let is_own = message.from.is_some() && message.from == self.id;
            !is_own && message.devices.iter().all(|device| self.rights.sees(device))
        })
    }

    /// Whether it has to hear a message: one that was looked at with other rights may be left out for these.
    pub(super) fn is_due(&self, name: &str, room: &Room, seq: u64) -> bool {
        let was_hidden = self.rights_before.iter().any(|(rights, seqs)| {
            let message =
                room.messages.get(&seq).filter(|_it| seqs.get(name).is_some_and(|last| seq <= *last));
            message.is_some_and(|message| message.devices.iter().any(|device| !rights.sees(device)))
        });
        self.is_for_it(room, seq) && !was_hidden
    }

    pub(super) fn take_numbered(&mut self, message: &Value, text: &str, truth: &Truth) {
        let name = message["room"].as_str().unwrap();
        let hearing =
            self.rooms.get(name).unwrap_or_else(|| panic!("a message of a room that it is not in: {text}"));
        let room = &truth.rooms[name];
        let seq = message["seq"].as_u64().unwrap();
        assert_eq!(message["epoch"], hearing.epoch.as_str(), "{name}: the epoch that was told");
        assert_eq!(seq, hearing.told + 1, "{name}: a number was left out, or comes again: {text}");
        if room.epoch == hearing.epoch {
            assert!(self.is_for_it(room, seq), "{name}: {seq} is not for this client: {text}");
            assert_eq!(room.messages[&seq].text, text, "{name}: as it was said");
        }
        self.hear(name, hearing.epoch.clone(), seq);
    }

    /// Some numbers were not for it, or are lost.
    pub(super) fn take_note(&mut self, kind: &str, payload: &Value, truth: &Truth) {
        let name = payload["room"].as_str().unwrap();
        let hearing = self.rooms.get(name).expect("a room that it is in").clone();
        assert_eq!(payload["epoch"], hearing.epoch.as_str(), "{name}: the epoch that was told");
        let room = &truth.rooms[name];
        let number = |field: &str| payload[field].as_u64().unwrap();
        let (silent_to, to) = match kind {
            "room.advanced" => (number("seq"), number("seq")),
            _ => (number("from_seq") - 1, number("to_seq")),
        };
        assert!(silent_to >= hearing.told && to > hearing.told, "{name}: {payload} after {}", hearing.told);
        for seq in hearing.told + 1..=to {
            if room.epoch != hearing.epoch {
                continue;
            }
            if seq <= silent_to {
                let is_said = room.messages.contains_key(&seq);
                assert!(
                    is_said && !self.is_due(name, room, seq),
                    "{name}: {seq} was for this client: {payload}"
                );
            } else {
                assert!(
                    !room.has(seq, truth.ring),
                    "{name}: {seq} is said to be lost, and is not: {payload}"
                );
            }
        }
        self.hear(name, hearing.epoch, to);
    }
}
