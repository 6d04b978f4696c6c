//! The JSON Schemas of all messages, from the types themselves; and the documents that are made of them.

mod asyncapi;
mod catalogue;
mod document;

pub use asyncapi::asyncapi;
pub use catalogue::{Catalogue, MessageEntry, RequestEntry};
pub use document::document;

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde_json::{Map, Value};

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
pub fn written<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|it| it.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    if let Some(fields) = schema.as_object_mut() {
        fields.values_mut().for_each(never_null_where_absent);
        drop_null_of_optional(fields);
    }
    schema
}

/// A field that may be absent is left out where it has no value, and never written as `null`: `schemars` cannot know.
fn never_null_where_absent(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(never_null_where_absent);
            drop_null_of_optional(fields);
        }
        Value::Array(items) => items.iter_mut().for_each(never_null_where_absent),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn drop_null_of_optional(object: &mut Map<String, Value>) {
    let required = object.get("required").cloned().unwrap_or_default();
    let is_required = |name: &str| required.as_array().is_some_and(|names| names.iter().any(|it| it == name));
    let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (_name, property) in properties.iter_mut().filter(|(name, _)| !is_required(name)) {
        let Some(property) = property.as_object_mut() else { continue };
        match property.get_mut("type") {
            Some(Value::Array(types)) => types.retain(|it| it != "null"),
            _ => without_null_form(property),
        }
        if let Some([only]) = property.get("type").and_then(Value::as_array).map(Vec::as_slice) {
            let only = only.clone();
            property.insert("type".to_owned(), only);
        }
    }
}

/// `anyOf` one form and `null` becomes the form itself.
fn without_null_form(property: &mut Map<String, Value>) {
    let Some(forms) = property.get_mut("anyOf").and_then(Value::as_array_mut) else { return };
    forms.retain(|form| form.get("type").is_none_or(|it| it != "null"));
    if let [Value::Object(form)] = forms.as_slice() {
        let form = form.clone();
        property.remove("anyOf");
        property.extend(form);
    }
}

/// The schema of one payload as it is read (`default` makes a field optional).
pub fn read<T: JsonSchema>() -> Schema {
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

    #[test]
    fn a_field_that_may_be_absent_is_never_null_and_one_that_may_be_null_is_never_absent() {
        let schemas = Schemas::all();
        let device = &schemas.messages["device.updated"].as_value()["properties"]["device"];
        assert_eq!(device["properties"]["accuracy"]["type"], "number");
        assert_eq!(device["properties"]["last_seen"]["type"], serde_json::json!(["string", "null"]));
        let request = schemas.requests["get_active_devices"].payload.as_value();
        assert_eq!(request["properties"]["limit"]["type"], serde_json::json!(["integer", "null"]));
    }
}
