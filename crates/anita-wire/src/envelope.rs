//! The envelope: `{"type": …, "payload": {…}}`, one message a frame.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{ErrorCode, Refusal};
use crate::limits::{NESTING_DEPTH_MAX, REQUEST_ID_BYTES_MAX};
use crate::message::{self, ServerPayload};
use crate::strict;

/// A request's id: a JSON string or number, given back to the letter.
#[derive(Debug, Clone)]
pub struct RequestId(Box<RawValue>);

impl RequestId {
    fn parse(raw: &RawValue) -> Result<Self, Refusal> {
        let text = raw.get();
        let is_scalar =
            text.starts_with('"') || text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        if !is_scalar || text.len() > REQUEST_ID_BYTES_MAX {
            let message =
                format!("The id has to be a string or a number of at most {REQUEST_ID_BYTES_MAX} bytes.");
            return Err(Refusal::saying(ErrorCode::InvalidMessage, message));
        }
        Ok(Self(raw.to_owned()))
    }

    /// The id of a message that is JSON and no envelope, as far as one can be found: its refusal carries it.
    pub fn find(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct OnlyId<'a> {
            #[serde(borrow, default)]
            id: Option<&'a RawValue>,
        }
        strict::check(text, NESTING_DEPTH_MAX).ok()?;
        let OnlyId { id } = serde_json::from_str(text).ok()?;
        id.and_then(|id| Self::parse(id).ok())
    }

    /// The id as JSON text.
    pub fn as_json(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for RequestId {
    fn eq(&self, other: &Self) -> bool {
        self.as_json() == other.as_json()
    }
}

#[derive(Deserialize)]
struct RawEnvelope<'a> {
    #[serde(rename = "type", borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

/// A message of a client whose envelope is read and whose payload is not yet.
#[derive(Debug, Clone)]
pub struct Incoming<'a> {
    /// The type.
    pub name: Cow<'a, str>,
    /// The payload as JSON text; `{}` where the message has none.
    pub payload: &'a str,
    /// The id, if the client wants its answer to carry one.
    pub id: Option<RequestId>,
}

impl<'a> Incoming<'a> {
    /// Reads the envelope of one text frame.
    ///
    /// # Errors
    /// `invalid_json` for what is not one JSON value, has a key twice, or is nested too deep; `invalid_message` for
    /// JSON that is no envelope.
    pub fn decode(text: &'a str) -> Result<Self, Refusal> {
        Self::decode_within(text, NESTING_DEPTH_MAX)
    }

    /// The same for what may be nested so deep.
    ///
    /// # Errors
    /// The same.
    pub fn decode_within(text: &'a str, nesting_max: usize) -> Result<Self, Refusal> {
        check_json(text, nesting_max)?;
        if !text.trim_start().starts_with('{') {
            return Err(ErrorCode::InvalidMessage.into());
        }
        let envelope: RawEnvelope<'a> = serde_json::from_str(text).map_err(|error| {
            let error = error.to_string();
            let reason = error.rsplit_once(" at line ").map_or(error.as_str(), |(reason, _place)| reason);
            Refusal::saying(ErrorCode::InvalidMessage, format!("The message is not an envelope: {reason}."))
        })?;
        Ok(Self {
            name: envelope.name,
            payload: envelope.payload.map_or("{}", RawValue::get),
            id: envelope.id.map(RequestId::parse).transpose()?,
        })
    }
}

/// Refuses what is not one JSON value, has a key twice in an object, or is nested deeper than it may be.
///
/// # Errors
/// `invalid_json`, with the place.
pub fn check_json(text: &str, nesting_max: usize) -> Result<(), Refusal> {
    strict::check(text, nesting_max)
        .map_err(|error| Refusal::saying(ErrorCode::InvalidJson, format!("This is not valid JSON: {error}.")))
}

/// Where a numbered message stands in its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbered<'a> {
    /// The room.
    pub room: &'a str,
    /// The epoch of the room's numbering.
    pub epoch: &'a str,
    /// The number.
    pub seq: u64,
}

/// Which subscription a message is of, and where it stands in the numbering of fixes, if it is numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfView<'a> {
    /// The subscription; none for the room's and tracking's own views.
    pub subscription: Option<&'a str>,
    /// The epoch of the numbering, and the number.
    pub place: Option<(&'a str, u64)>,
}

/// A message of the server, ready to become text.
#[derive(Debug)]
pub struct Outgoing<'a, P> {
    payload: &'a P,
    id: Option<&'a RequestId>,
    marks: Marks<'a>,
}

/// What stands beside type and payload; any client may ignore it.
#[derive(Debug, Clone, Copy, Default)]
struct Marks<'a> {
    subscription: Option<&'a str>,
    playback: Option<&'a str>,
    room: Option<&'a str>,
    epoch: Option<&'a str>,
    seq: Option<u64>,
}

impl<'a> From<Numbered<'a>> for Marks<'a> {
    fn from(Numbered { room, epoch, seq }: Numbered<'a>) -> Self {
        Self { room: Some(room), epoch: Some(epoch), seq: Some(seq), ..Self::default() }
    }
}

impl<'a> From<OfView<'a>> for Marks<'a> {
    fn from(OfView { subscription, place }: OfView<'a>) -> Self {
        Self {
            subscription,
            epoch: place.map(|(epoch, _)| epoch),
            seq: place.map(|(_, seq)| seq),
            ..Self::default()
        }
    }
}

#[derive(Serialize)]
struct OutgoingEnvelope<'a, P> {
    #[serde(rename = "type")]
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    playback: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    payload: &'a P,
}

impl<'a, P: ServerPayload> Outgoing<'a, P> {
    /// A message that nobody asked for.
    pub fn push(payload: &'a P) -> Self {
        Self { payload, id: None, marks: Marks::default() }
    }

    /// The answer to a request.
    pub fn answer(payload: &'a P, id: Option<&'a RequestId>) -> Self {
        Self { payload, id, marks: Marks::default() }
    }

    /// A numbered message of a room.
    pub fn numbered(payload: &'a P, numbered: Numbered<'a>) -> Self {
        Self { payload, id: None, marks: numbered.into() }
    }

    /// A message of a view.
    pub fn of_view(payload: &'a P, view: OfView<'a>) -> Self {
        Self { payload, id: None, marks: view.into() }
    }

    /// A message of a playback, be it an answer or not.
    pub fn of_playback(payload: &'a P, playback: &'a str, id: Option<&'a RequestId>) -> Self {
        Self { payload, id, marks: Marks { playback: Some(playback), ..Marks::default() } }
    }

    /// The text of the message.
    pub fn to_text(&self) -> String {
        text_of(P::TYPE, self.payload, self.id, self.marks)
    }
}

/// The text of a message whose type is an application's own (`domain.*`).
pub fn encode<P: Serialize>(
    name: &str,
    payload: &P,
    id: Option<&RequestId>,
    numbered: Option<Numbered<'_>>,
) -> String {
    text_of(name, payload, id, numbered.map(Marks::from).unwrap_or_default())
}

fn text_of<P: Serialize>(name: &str, payload: &P, id: Option<&RequestId>, marks: Marks<'_>) -> String {
    let Marks { subscription, playback, room, epoch, seq } = marks;
    let id = id.map(|id| &*id.0);
    let envelope = OutgoingEnvelope { name, id, subscription, playback, room, epoch, seq, payload };
    // Only an application's own payload can fail here (a map whose keys are not strings); its client hears a fault.
    serde_json::to_string(&envelope).unwrap_or_else(|_unwritable| {
        let fault = message::Error::from(&Refusal::new(ErrorCode::Internal));
        format!(r#"{{"type":"error","payload":{}}}"#, serde_json::to_value(fault).unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Pong;
    use crate::scalar::Time;
    use anita_model::Timestamp;
    use proptest::prelude::*;

    #[test]
    fn envelopes_are_read_or_refused_with_a_code() {
        let cases = [
            ("", "invalid_json"),
            ("hello", "invalid_json"),
            (r#"{"type":"ping"} {"#, "invalid_json"),
            (r#"{"type":"ping","type":"ping"}"#, "invalid_json"),
            (r#"{"type":"ping","payload":{"a":1,"a":2}}"#, "invalid_json"),
            ("[]", "invalid_message"),
            ("3", "invalid_message"),
            ("{}", "invalid_message"),
            (r#"{"type":3}"#, "invalid_message"),
            (r#"{"type":"ping","id":{}}"#, "invalid_message"),
            (r#"{"type":"ping","id":true}"#, "invalid_message"),
        ];
        for (text, code) in cases {
            assert_eq!(Incoming::decode(text).unwrap_err().code.as_str(), code, "{text}");
        }
    }

    #[test]
    fn a_missing_payload_is_an_empty_one_and_ids_come_back_to_the_letter() {
        let incoming = Incoming::decode(r#"{"id":1.50,"type":"pi\u006eg","more":[1]}"#).unwrap();
        assert_eq!((&*incoming.name, incoming.payload), ("ping", "{}"));
        let pong = Pong { server_time: Time(Timestamp::UNIX_EPOCH) };
        assert_eq!(
            Outgoing::answer(&pong, incoming.id.as_ref()).to_text(),
            r#"{"type":"system.pong","id":1.50,"payload":{"server_time":"1970-01-01T00:00:00.000000Z"}}"#
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            std::hint::black_box(Incoming::decode(&text)).ok();
        }

        #[test]
        fn any_string_is_a_fine_id(id in "[^\\p{C}]{0,20}") {
            let text = serde_json::json!({ "type": "ping", "id": id }).to_string();
            let incoming = Incoming::decode(&text).unwrap();
            let given_back = incoming.id.unwrap();
            prop_assert_eq!(given_back.as_json(), serde_json::to_string(&id).unwrap());
        }
    }
}
