//! A message of the server: its envelope is read, its payload is not yet.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// A message as it came.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The type.
    pub kind: String,
    /// The payload; `{}` where the message has none.
    pub payload: Box<RawValue>,
    /// The id of the request that it answers, as JSON.
    pub id: Option<Box<RawValue>>,
    /// The room, of a numbered message.
    pub room: Option<String>,
    /// The epoch of the room's numbering.
    pub epoch: Option<String>,
    /// The number in the room.
    pub seq: Option<u64>,
    /// The subscription, of a message of a view that names it beside the payload.
    pub subscription: Option<String>,
    /// The whole text, as received.
    pub text: String,
}

/// A text that is no message.
#[derive(Debug, thiserror::Error)]
#[error("the server sent a text that is no message")]
pub struct NotAnEnvelope(#[from] serde_json::Error);

#[derive(Deserialize)]
struct Read<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(default)]
    room: Option<String>,
    #[serde(default)]
    epoch: Option<String>,
    #[serde(default)]
    seq: Option<u64>,
    #[serde(default)]
    subscription: Option<String>,
}

// === impl Envelope ===

impl Envelope {
    /// Reads a message.
    ///
    /// # Errors
    /// [`NotAnEnvelope`].
    pub fn parse(text: impl Into<String>) -> Result<Self, NotAnEnvelope> {
        let text = text.into();
        let read: Read<'_> = serde_json::from_str(&text)?;
        let payload = match read.payload {
            Some(payload) => payload.to_owned(),
            None => RawValue::from_string("{}".to_owned())?,
        };
        let (kind, id) = (read.kind, read.id.map(ToOwned::to_owned));
        let (room, epoch, seq, subscription) = (read.room, read.epoch, read.seq, read.subscription);
        Ok(Self { kind, payload, id, room, epoch, seq, subscription, text })
    }

    /// The payload as a type.
    ///
    /// # Errors
    /// That of the parser.
    pub fn payload_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.payload.get())
    }

    /// The subscription that the message is of, beside the payload or in it.
    pub fn subscription(&self) -> Option<Cow<'_, str>> {
        #[derive(Deserialize)]
        struct OfView {
            subscription: String,
        }
        match &self.subscription {
            Some(subscription) => Some(subscription.into()),
            None if self.kind.starts_with("view.") => {
                Some(self.payload_as::<OfView>().ok()?.subscription.into())
            }
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_are_read_with_what_stands_beside_the_payload() {
        let text =
            r#"{"type":"room.message","room":"hall","epoch":"e","seq":7,"payload":{"x":1.50},"more":[1]}"#;
        let message = Envelope::parse(text).unwrap();
        assert_eq!((message.kind.as_str(), message.seq), ("room.message", Some(7)));
        assert_eq!((message.room.as_deref(), message.epoch.as_deref()), (Some("hall"), Some("e")));
        assert_eq!((message.payload.get(), message.text.as_str()), (r#"{"x":1.50}"#, text));
        let bare = Envelope::parse(r#"{"type":"x","id":1.50}"#).unwrap();
        assert_eq!((bare.payload.get(), bare.id.unwrap().get()), ("{}", "1.50"));
        for text in ["", "[]", "{}", r#"{"type":3}"#, r#"{"type":"x"} {}"#] {
            assert!(Envelope::parse(text).is_err(), "{text}");
        }
    }
}
