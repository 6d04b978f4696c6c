//! The JSON Schemas of all messages, from the types themselves; and the documents that are made of them.

mod asyncapi;
mod catalogue;
mod document;

pub use asyncapi::asyncapi;
pub use catalogue::{Catalogue, MessageEntry, RequestEntry};
pub use document::document;

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, generate::SchemaSettings};

use crate::message::{MessageVisitor, ServerPayload, visit_messages};
use crate::request::{RequestVisitor, visit_requests};

/// The schemas of the protocol.
#[derive(Debug, Clone)]
pub struct Schemas {
    /// What a client may send: type → schema of the payload, and the type of the answer.
    pub requests: BTreeMap<&'static str, RequestSchema>,
    /// What the server says: type → schema of the payload.
    pub messages: BTreeMap<&'static str, Schema>,
}

/// The schema of one request.
#[derive(Debug, Clone)]
pub struct RequestSchema {
    /// The payload's schema.
    pub payload: Schema,
    /// The type of the answer.
    pub answer: &'static str,
}

/// The schema of one payload as it is written (`skip_serializing_if` makes a field optional).
fn written<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|it| it.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>()
}

/// The schema of one payload as it is read (`default` makes a field optional).
fn read<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().for_deserialize().with(|it| it.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>()
}

impl RequestVisitor for Schemas {
    fn visit<P: JsonSchema, A: ServerPayload>(&mut self, name: &'static str) {
        self.requests.insert(name, RequestSchema { payload: read::<P>(), answer: A::TYPE });
    }
}

impl MessageVisitor for Schemas {
    fn visit<P: ServerPayload>(&mut self) {
        self.messages.insert(P::TYPE, written::<P>());
    }
}

impl Schemas {
    /// All schemas.
    pub fn all() -> Self {
        let mut schemas = Self { requests: BTreeMap::new(), messages: BTreeMap::new() };
        visit_requests(&mut schemas);
        visit_messages(&mut schemas);
        schemas
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_answered_by_a_message_that_exists() {
        let schemas = Schemas::all();
        for (name, request) in &schemas.requests {
            assert!(schemas.messages.contains_key(request.answer), "{name}");
        }
        assert_eq!(schemas.requests.len(), crate::request::Request::TYPES.len());
        assert_eq!(schemas.messages.len(), crate::message::TYPES.len());
    }
}
