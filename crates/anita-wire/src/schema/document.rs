//! One JSON Schema document with every message in its envelope.

use serde_json::{Map, Value, json};

use super::catalogue::{Catalogue, DEFINITIONS, MessageEntry, RequestEntry};
use crate::limits::REQUEST_ID_BYTES_MAX;

/// The JSON Schema (2020-12) of the protocol. It fits any message of either side; `$defs` has one entry for each
/// payload by the name of its type, one for each message by its type on the wire, and the two envelopes
/// `ClientMessage` and `ServerMessage`.
pub fn document() -> Value {
    let catalogue = Catalogue::all();
    let mut definitions = messages(&catalogue);
    let client: Vec<Value> = catalogue.requests.iter().map(|it| reference(it.name)).collect();
    let server: Vec<Value> = catalogue.messages.iter().map(|it| reference(it.name)).collect();
    definitions.insert(
        "ClientMessage".to_owned(),
        json!({ "description": "What a client may send, one JSON object a text frame.", "oneOf": client }),
    );
    definitions.insert(
        "ServerMessage".to_owned(),
        json!({ "description": "What the server says, one JSON object a text frame.", "oneOf": server }),
    );
    definitions.extend(catalogue.definitions);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:anita:schema:v1",
        "title": "ANITA, protocol anita.v1",
        "description": "Every message of the WebSocket protocol. Within v1 messages and fields are only added: \
                        a client ignores what it does not know.",
        "oneOf": [reference("ClientMessage"), reference("ServerMessage")],
        "$defs": definitions,
    })
}

/// Every message in its envelope, by its type on the wire.
pub(super) fn messages(catalogue: &Catalogue) -> Map<String, Value> {
    let requests = catalogue.requests.iter().map(|it| (it.name.to_owned(), request(catalogue, it)));
    let messages = catalogue.messages.iter().map(|it| (it.name.to_owned(), message(catalogue, it)));
    requests.chain(messages).collect()
}

fn request(catalogue: &Catalogue, request: &RequestEntry) -> Value {
    let required: &[&str] =
        if catalogue.may_omit_payload(request) { &["type"] } else { &["type", "payload"] };
    json!({
        "type": "object",
        "description": catalogue.description(&request.payload),
        "properties": {
            "type": { "const": request.name },
            "id": {
                "type": ["string", "number"],
                "description": format!(
                    "The answer, or the `error`, repeats it. At most {REQUEST_ID_BYTES_MAX} bytes of JSON."
                ),
            },
            "payload": reference(&request.payload),
        },
        "required": required,
    })
}

fn message(catalogue: &Catalogue, message: &MessageEntry) -> Value {
    json!({
        "type": "object",
        "description": catalogue.description(&message.payload),
        "properties": {
            "type": { "const": message.name },
            "id": { "type": ["string", "number"], "description": "The id of the request that this answers." },
            "subscription": { "type": "string", "description": "The subscription whose positions these are." },
            "playback": { "type": "string", "description": "The playback whose message this is: nothing of it is live." },
            "room": { "type": "string", "description": "The room of a numbered message." },
            "epoch": { "type": "string", "description": "The epoch of the numbering: of the room, or of all fixes." },
            "seq": { "type": "integer", "minimum": 0, "description": "The number in the room, or of the fix." },
            "payload": reference(&message.payload),
        },
        "required": ["type", "payload"],
        "dependentRequired": { "seq": ["epoch"] },
        "dependentSchemas": { "seq": { "anyOf": [{ "required": ["room"] }, { "required": ["subscription"] }] } },
    })
}

pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("{DEFINITIONS}{name}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let text = document.to_string();
        for target in text.split("\"$ref\":\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let pointer = target.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{target}");
        }
    }
}
