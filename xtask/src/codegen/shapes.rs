//! A JSON Schema as the client's small shape language, which its validator reads.
//!
//! `'s' | 'n' | 'b' | '*'`, `['?', S]` nullable, `['[]', S]` array, `['{}', S]` map, `['=', …]` one of these texts,
//! `['|', …]` one of these shapes, and objects, whose optional fields end in `?`.

use serde_json::{Map, Value};

use super::typescript::{forms, is_open, is_scalar, variants};

/// The expression of a shape. Types with fields or values are constants by the name `constant` gives.
pub(super) fn shape(schema: &Value, definitions: &Map<String, Value>) -> String {
    let Value::Object(fields) = schema else { return "'*'".to_owned() };
    if let Some(name) = referred(fields) {
        return match definitions.get(name) {
            Some(_) if is_open(name) => "'s'".to_owned(),
            Some(target) if is_scalar(target) => own_shape(target, definitions),
            Some(_) => constant(name),
            None => "'*'".to_owned(),
        };
    }
    own_shape(schema, definitions)
}

/// The expression of a definition, spelled out.
pub(super) fn own_shape(schema: &Value, definitions: &Map<String, Value>) -> String {
    if let Some(values) = variants(schema) {
        let values: Vec<String> = values.iter().map(|value| format!(", '{value}'")).collect();
        return format!("['='{}]", values.concat());
    }
    if let Some(forms) = forms(schema) {
        return any_of(forms, definitions);
    }
    match schema.get("type") {
        Some(Value::String(name)) => of_type(name, schema, definitions),
        Some(Value::Array(names)) => {
            let inner = names.iter().filter_map(Value::as_str).find(|name| *name != "null");
            let inner = inner.map_or_else(|| "'*'".to_owned(), |name| of_type(name, schema, definitions));
            if names.iter().any(|name| name == "null") { format!("['?', {inner}]") } else { inner }
        }
        _ => "'*'".to_owned(),
    }
}

fn any_of(forms: &[Value], definitions: &Map<String, Value>) -> String {
    let is_null = |form: &&Value| form.get("type").and_then(Value::as_str) == Some("null");
    let shapes: Vec<String> =
        forms.iter().filter(|form| !is_null(form)).map(|form| shape(form, definitions)).collect();
    let inner = match shapes.as_slice() {
        [one] => one.clone(),
        _ => format!("['|', {}]", shapes.join(", ")),
    };
    if forms.iter().any(|form| is_null(&form)) { format!("['?', {inner}]") } else { inner }
}

fn of_type(name: &str, schema: &Value, definitions: &Map<String, Value>) -> String {
    let inner = |key: &str| schema.get(key).map_or_else(|| "'*'".to_owned(), |it| shape(it, definitions));
    match name {
        "string" => "'s'".to_owned(),
        "number" | "integer" => "'n'".to_owned(),
        "boolean" => "'b'".to_owned(),
        "array" => format!("['[]', {}]", inner("items")),
        "object" if schema.get("properties").is_some() => object(schema, definitions),
        "object" if schema.get("additionalProperties").is_some() => {
            format!("['{{}}', {}]", inner("additionalProperties"))
        }
        "object" => "{}".to_owned(),
        _ => "'*'".to_owned(),
    }
}

fn object(schema: &Value, definitions: &Map<String, Value>) -> String {
    let fields: Vec<String> = super::typescript::fields(schema)
        .into_iter()
        .map(|field| {
            let key = if field.is_required { field.name.to_owned() } else { format!("'{}?'", field.name) };
            format!("{key}: {}", shape(field.schema, definitions))
        })
        .collect();
    format!("{{ {} }}", fields.join(", "))
}

/// The name behind a reference.
pub(super) fn referred(fields: &Map<String, Value>) -> Option<&str> {
    fields.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix("#/$defs/"))
}

/// The name of the constant that holds a type's shape.
pub(super) fn constant(name: &str) -> String {
    let mut characters = name.chars();
    characters
        .next()
        .map(|first| format!("{}{}Shape", first.to_ascii_lowercase(), characters.as_str()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn schemas_become_shapes() {
        let definitions = json!({
            "Metres": { "type": "number" },
            "Kind": { "oneOf": [{ "const": "tag" }, { "const": "anchor" }] },
            "Place": { "type": "object", "properties": { "x": { "$ref": "#/$defs/Metres" } }, "required": ["x"] },
        });
        let cases = [
            (json!(true), "'*'"),
            (json!({ "description": "any" }), "'*'"),
            (json!({ "type": "string", "format": "date-time" }), "'s'"),
            (json!({ "type": ["integer", "null"] }), "['?', 'n']"),
            (json!({ "type": "array", "items": { "$ref": "#/$defs/Kind" } }), "['[]', kindShape]"),
            (json!({ "type": ["array", "null"], "items": { "type": "boolean" } }), "['?', ['[]', 'b']]"),
            (
                json!({ "type": "object", "additionalProperties": { "$ref": "#/$defs/Place" } }),
                "['{}', placeShape]",
            ),
            (json!({ "anyOf": [{ "$ref": "#/$defs/Place" }, { "type": "null" }] }), "['?', placeShape]"),
            (
                json!({ "anyOf": [{ "$ref": "#/$defs/Place" }, { "type": "string" }] }),
                "['|', placeShape, 's']",
            ),
            (
                json!({ "oneOf": [{ "$ref": "#/$defs/Place" }, { "type": "number" }] }),
                "['|', placeShape, 'n']",
            ),
            (json!({ "$ref": "#/$defs/Metres" }), "'n'"),
            (
                json!({ "type": "object", "properties": { "b": { "type": "string" }, "a": true }, "required": ["b"] }),
                "{ b: 's', 'a?': '*' }",
            ),
        ];
        for (schema, expected) in cases {
            assert_eq!(shape(&schema, definitions.as_object().unwrap()), expected, "{schema}");
        }
        assert_eq!(own_shape(&definitions["Kind"], &Map::new()), "['=', 'tag', 'anchor']");
    }
}
