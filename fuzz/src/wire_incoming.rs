//! Any text as a message of a client, and what is answered.

use anita_model::Timestamp;
use anita_wire::message::Pong;
use anita_wire::request::Request;
use anita_wire::{ErrorCode, Incoming, Outgoing, Time};
use serde_json::Value;

/// Reads the envelope and the payload.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let is_json = serde_json::from_str::<Value>(text).is_ok();
    let incoming = match Incoming::decode(text) {
        Ok(incoming) => incoming,
        Err(refusal) => {
            let code = refusal.code;
            assert!(matches!(code, ErrorCode::InvalidJson | ErrorCode::InvalidMessage), "{code:?}");
            return;
        }
    };
    assert!(is_json, "what no other parser takes is not taken here");
    if let Some(Err(refusal)) = Request::decode(&incoming.name, incoming.payload) {
        let code = refusal.code;
        assert!(matches!(code, ErrorCode::InvalidPayload | ErrorCode::TooLarge), "{code:?}");
    }
    let pong = Pong { server_time: Time(Timestamp::UNIX_EPOCH) };
    let answer = Outgoing::answer(&pong, incoming.id.as_ref()).to_text();
    assert!(serde_json::from_str::<Value>(&answer).is_ok(), "an answer is JSON, whatever the id: {answer}");
    assert!(incoming.id.is_none_or(|id| answer.contains(id.as_json())), "the id comes back to the letter");
}
