//! Every message with the name of its payload's type, and every type once: what generated code and documents need.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value};

use crate::message::{self, MessageVisitor, ServerPayload, visit_messages};
use crate::request::{RequestVisitor, visit_requests};

/// Where schemas refer to each other.
pub(super) const DEFINITIONS: &str = "#/$defs/";

/// All messages of the protocol, in the order of their tables.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    /// What a client may send.
    pub requests: Vec<RequestEntry>,
    /// What the server says.
    pub messages: Vec<MessageEntry>,
    /// The schema of every type by its name; they refer to each other as `#/$defs/<name>`.
    pub definitions: Map<String, Value>,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestEntry {
    /// Its type on the wire.
    pub name: &'static str,
    /// The name of its payload's type.
    pub payload: String,
    /// The types on the wire that can answer it, beside `error`.
    pub answers: Vec<&'static str>,
}

/// A message of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageEntry {
    /// Its type on the wire.
    pub name: &'static str,
    /// The name of its payload's type.
    pub payload: String,
}

impl Catalogue {
    /// All messages.
    pub fn all() -> Self {
        let mut reading = Reading {
            generator: SchemaSettings::draft2020_12().for_deserialize().into_generator(),
            requests: Vec::new(),
        };
        visit_requests(&mut reading);
        let mut writing = Writing {
            generator: SchemaSettings::draft2020_12().for_serialize().into_generator(),
            messages: Vec::new(),
        };
        visit_messages(&mut writing);
        let mut definitions = reading.generator.take_definitions(true);
        let mut written = writing.generator.take_definitions(true);
        written.values_mut().for_each(super::never_null_where_absent);
        definitions.extend(written);
        Self { requests: reading.requests, messages: writing.messages, definitions }
    }

    /// The schema of a type.
    pub fn definition(&self, name: &str) -> Option<&Value> {
        self.definitions.get(name)
    }

    /// What the type's documentation says, one paragraph.
    pub fn description(&self, name: &str) -> &str {
        self.definition(name).and_then(|it| it.get("description")).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether a request may leave its payload out: nothing in it is required.
    pub fn may_omit_payload(&self, request: &RequestEntry) -> bool {
        self.definition(&request.payload)
            .is_some_and(|schema| schema.get("required").is_none() && schema.get("anyOf").is_none())
    }
}

/// Payloads as they are read: `default` makes a field optional.
struct Reading {
    generator: SchemaGenerator,
    requests: Vec<RequestEntry>,
}

impl RequestVisitor for Reading {
    fn visit<P: JsonSchema, A: ServerPayload>(&mut self, name: &'static str) {
        let payload = name_of(&self.generator.subschema_for::<P>());
        let mut answers = vec![A::TYPE];
        if A::TYPE == message::TokenRefreshed::TYPE {
            // The first `authenticate` of a connection is answered by the hello.
            answers.insert(0, message::Connection::TYPE);
        }
        self.requests.push(RequestEntry { name, payload, answers });
    }
}

/// Payloads as they are written: `skip_serializing_if` makes a field optional.
struct Writing {
    generator: SchemaGenerator,
    messages: Vec<MessageEntry>,
}

impl MessageVisitor for Writing {
    fn visit<P: ServerPayload>(&mut self) {
        let payload = name_of(&self.generator.subschema_for::<P>());
        self.messages.push(MessageEntry { name: P::TYPE, payload });
    }
}

/// The name behind a reference.
fn name_of(reference: &Schema) -> String {
    let target = reference.get("$ref").and_then(Value::as_str).unwrap_or_default();
    target.strip_prefix(DEFINITIONS).unwrap_or(target).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_payload_is_a_named_and_described_type() {
        let catalogue = Catalogue::all();
        let payloads = catalogue.requests.iter().map(|it| (it.name, &it.payload));
        for (name, payload) in payloads.chain(catalogue.messages.iter().map(|it| (it.name, &it.payload))) {
            assert!(catalogue.definition(payload).is_some(), "{name}: {payload:?}");
            assert!(!catalogue.description(payload).is_empty(), "{name}: {payload:?}");
        }
    }

    #[test]
    fn a_type_that_is_read_and_written_looks_the_same_both_ways() {
        let mut reading = Reading {
            generator: SchemaSettings::draft2020_12().for_deserialize().into_generator(),
            requests: Vec::new(),
        };
        visit_requests(&mut reading);
        let catalogue = Catalogue::all();
        for (name, schema) in reading.generator.take_definitions(true) {
            assert_eq!(catalogue.definition(&name), Some(&schema), "{name}");
        }
    }

    #[test]
    fn only_requests_without_required_fields_may_omit_their_payload() {
        let catalogue = Catalogue::all();
        let omitting: Vec<_> = catalogue
            .requests
            .iter()
            .filter(|request| catalogue.may_omit_payload(request))
            .map(|request| request.name)
            .collect();
        let expected = [
            "ping",
            "get_active_devices",
            "stop_position_tracking",
            "subscribe",
            "get_connection_stats",
            "update_playback",
            "stop_playback",
        ];
        assert_eq!(omitting, expected);
    }
}
