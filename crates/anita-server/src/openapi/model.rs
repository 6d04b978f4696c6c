//! The shapes of bodies, from the Rust types themselves.

use std::borrow::Cow;

use anita_wire::limits::LOCATIONS_PER_REPORT_MAX;
use anita_wire::request::{LocationItem, ReportLocation};
use anita_wire::schema;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

/// A named shape.
#[derive(Debug, Clone, Copy)]
pub(super) struct Model {
    name: fn() -> Cow<'static, str>,
    schema: fn() -> Schema,
}

/// What the server writes.
pub(super) const fn written<T: JsonSchema>() -> Model {
    Model { name: T::schema_name, schema: schema::written::<T> }
}

/// What a client sends.
pub(super) const fn read<T: JsonSchema>() -> Model {
    Model { name: T::schema_name, schema: schema::read::<T> }
}

/// What `POST /api/v1/locations` takes: one item, a list of them, or `{"locations": […]}`.
pub(super) const fn locations_body() -> Model {
    fn name() -> Cow<'static, str> {
        "Locations".into()
    }
    fn shape() -> Schema {
        let list = json!({
            "type": "array",
            "maxItems": LOCATIONS_PER_REPORT_MAX,
            "items": schema::read::<LocationItem>(),
        });
        schemars::json_schema!({ "anyOf": [schema::read::<ReportLocation>(), list] })
    }
    Model { name, schema: shape }
}

impl Model {
    /// The reference to it, which it puts among the components.
    pub(super) fn reference(self, components: &mut Map<String, Value>) -> Value {
        let name = (self.name)().into_owned();
        let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
        components.entry(name).or_insert_with(|| plain((self.schema)().to_value()));
        reference
    }
}

/// A schema without what only a document of its own says.
fn plain(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(fields) => {
            fields.remove("$schema");
            fields.values_mut().for_each(|value| *value = plain(value.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| *value = plain(value.take())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    schema
}
