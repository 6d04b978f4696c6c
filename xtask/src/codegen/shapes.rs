//! A JSON Schema as the client's small shape language: one line a type, which its validator reads.
//!
//! A line is the names of the types that look alike, and their fields, `?` before the optional ones. What is no small
//! letter says what the fields after it are, up to the next such sign: `#` number, `!` boolean, `*` anything, `'` text,
//! `[T` list, `%T` map, `@T` nullable, `=a|b` one of these words, `/T/T` one of these types, capital letters an object
//! whose fields stand in the line of that name. The fields at the beginning of a line are texts.

use anita_wire::schema::Catalogue;
use serde_json::{Map, Value};

use super::typescript::{fields, forms, is_open, variants};

/// What a value looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    Text,
    Number,
    Flag,
    Any,
    Words(Vec<String>),
    List(Box<Self>),
    Map(Box<Self>),
    Nullable(Box<Self>),
    Either(Vec<Self>),
    Object(Vec<Field>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    name: String,
    is_optional: bool,
    shape: Shape,
}

/// The shapes of all messages, the objects inside them last. Backwards they are a little smaller when compressed.
pub(super) fn lines(catalogue: &Catalogue) -> String {
    let requests = catalogue.requests.iter().map(|it| (it.name, &it.payload));
    let messages = catalogue.messages.iter().map(|it| (it.name, &it.payload));
    let mut writer = Writer::default();
    let mut types: Vec<(String, Vec<&str>)> = Vec::new();
    for (name, payload) in requests.chain(messages) {
        let Some(schema) = catalogue.definitions.get(payload.as_str()) else { continue };
        let text = writer.line(&own_shape(schema, &catalogue.definitions));
        match types.iter_mut().find(|(known, _)| *known == text) {
            Some((_, names)) => names.push(name),
            None => types.push((text, vec![name])),
        }
    }
    let types = types.iter().rev().map(|(text, names)| format!("{} {text}", names.join(",")));
    let objects = writer.objects.iter().map(|object| format!("{} {}", object.name, object.line));
    types.chain(objects).map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Writes shapes, and gives names to the objects inside them.
#[derive(Default)]
struct Writer {
    objects: Vec<Object>,
    count: usize,
}

/// An object inside another one.
struct Object {
    fields: Vec<Field>,
    name: String,
    line: String,
}

impl Writer {
    /// A shape as it stands in a line of its own.
    fn line(&mut self, shape: &Shape) -> String {
        let Shape::Object(fields) = shape else { return self.sign(shape) };
        let mut fields: Vec<(bool, String, &str)> =
            fields.iter().map(|it| (it.is_optional, self.sign(&it.shape), it.name.as_str())).collect();
        // Those of one type stand together.
        fields.sort_by(|(left, sign, _), (right, other, _)| (left, sign).cmp(&(right, other)));
        let mut words: Vec<&str> = Vec::new();
        let (mut was_optional, mut before) = (false, "");
        for (is_optional, sign, name) in &fields {
            if *is_optional && !was_optional {
                words.push("?");
            }
            if sign != before {
                words.push(if sign.is_empty() { "'" } else { sign });
            }
            words.push(name);
            (was_optional, before) = (*is_optional, sign);
        }
        words.join(" ")
    }

    /// A shape as it stands before the names of its fields.
    fn sign(&mut self, shape: &Shape) -> String {
        match shape {
            Shape::Text => String::new(),
            Shape::Number => "#".to_owned(),
            Shape::Flag => "!".to_owned(),
            Shape::Any => "*".to_owned(),
            Shape::Words(words) => format!("={}", words.join("|")),
            Shape::List(inner) => format!("[{}", self.sign(inner)),
            Shape::Map(inner) => format!("%{}", self.sign(inner)),
            Shape::Nullable(inner) => format!("@{}", self.sign(inner)),
            Shape::Either(shapes) => {
                let signs: Vec<String> = shapes.iter().map(|each| self.sign(each)).collect();
                format!("/{}", signs.join("/"))
            }
            Shape::Object(fields) => self.name_of(fields, shape),
        }
    }

    fn name_of(&mut self, fields: &[Field], shape: &Shape) -> String {
        if let Some(known) = self.objects.iter().find(|known| known.fields == fields) {
            return known.name.clone();
        }
        let name = letters(self.count);
        self.count += 1;
        let line = self.line(shape);
        self.objects.push(Object { fields: fields.to_vec(), name: name.clone(), line });
        name
    }
}

/// `A` to `Z`, then `AA`, `AB` and so on.
fn letters(count: usize) -> String {
    let last = ('A'..='Z').nth(count % 26).unwrap_or('A').to_string();
    if count < 26 { last } else { format!("{}{last}", letters(count / 26 - 1)) }
}

/// The shape of a schema.
fn shape(schema: &Value, definitions: &Map<String, Value>) -> Shape {
    let Value::Object(members) = schema else { return Shape::Any };
    match referred(members) {
        Some(name) if is_open(name) => Shape::Text,
        Some(name) => definitions.get(name).map_or(Shape::Any, |target| own_shape(target, definitions)),
        None => own_shape(schema, definitions),
    }
}

/// The shape of a definition, spelled out.
fn own_shape(schema: &Value, definitions: &Map<String, Value>) -> Shape {
    if let Some(values) = variants(schema) {
        return Shape::Words(values.into_iter().map(str::to_owned).collect());
    }
    if let Some(forms) = forms(schema) {
        return any_of(forms, definitions);
    }
    match schema.get("type") {
        Some(Value::String(name)) => of_type(name, schema, definitions),
        Some(Value::Array(names)) => {
            let inner = names.iter().filter_map(Value::as_str).find(|name| *name != "null");
            let inner = inner.map_or(Shape::Any, |name| of_type(name, schema, definitions));
            if names.iter().any(|name| name == "null") { Shape::Nullable(Box::new(inner)) } else { inner }
        }
        _ => Shape::Any,
    }
}

fn any_of(forms: &[Value], definitions: &Map<String, Value>) -> Shape {
    let is_null = |form: &&Value| form.get("type").and_then(Value::as_str) == Some("null");
    let mut shapes: Vec<Shape> =
        forms.iter().filter(|form| !is_null(form)).map(|form| shape(form, definitions)).collect();
    let inner = match (shapes.len(), shapes.pop()) {
        (1, Some(only)) => only,
        (_, last) => Shape::Either(shapes.into_iter().chain(last).collect()),
    };
    if forms.iter().any(|form| is_null(&form)) { Shape::Nullable(Box::new(inner)) } else { inner }
}

fn of_type(name: &str, schema: &Value, definitions: &Map<String, Value>) -> Shape {
    let inner = |key: &str| Box::new(schema.get(key).map_or(Shape::Any, |it| shape(it, definitions)));
    match name {
        "string" => Shape::Text,
        "number" | "integer" => Shape::Number,
        "boolean" => Shape::Flag,
        "array" => Shape::List(inner("items")),
        "object" if schema.get("properties").is_none() && schema.get("additionalProperties").is_some() => {
            Shape::Map(inner("additionalProperties"))
        }
        "object" => Shape::Object(fields(schema).into_iter().map(|it| field(&it, definitions)).collect()),
        _ => Shape::Any,
    }
}

/// A field; an optional one may be `null` in any case, which need not be said.
fn field(field: &super::typescript::Field<'_>, definitions: &Map<String, Value>) -> Field {
    let is_optional = !field.is_required;
    let told = shape(field.schema, definitions);
    let shape =
        if let (true, Shape::Nullable(inner)) = (is_optional, &told) { inner.as_ref().clone() } else { told };
    Field { name: field.name.to_owned(), is_optional, shape }
}

/// The name behind a reference.
pub(super) fn referred(fields: &Map<String, Value>) -> Option<&str> {
    fields.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix("#/$defs/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn definitions() -> Value {
        json!({
            "Metres": { "type": "number" },
            "Kind": { "oneOf": [{ "const": "tag" }, { "const": "anchor" }] },
            "Place": { "type": "object", "properties": { "x": { "$ref": "#/$defs/Metres" } }, "required": ["x"] },
        })
    }

    #[test]
    fn schemas_become_signs() {
        let cases = [
            (json!(true), "*"),
            (json!({ "description": "any" }), "*"),
            (json!({ "type": "string", "format": "date-time" }), ""),
            (json!({ "type": ["integer", "null"] }), "@#"),
            (json!({ "type": "array", "items": { "$ref": "#/$defs/Kind" } }), "[=tag|anchor"),
            (json!({ "type": ["array", "null"], "items": { "type": "boolean" } }), "@[!"),
            (json!({ "type": "object", "additionalProperties": { "$ref": "#/$defs/Place" } }), "%A"),
            (json!({ "anyOf": [{ "$ref": "#/$defs/Place" }, { "type": "null" }] }), "@A"),
            (json!({ "anyOf": [{ "$ref": "#/$defs/Place" }, { "type": "string" }] }), "/A/"),
            (json!({ "oneOf": [{ "$ref": "#/$defs/Place" }, { "type": "number" }] }), "/A/#"),
            (json!({ "$ref": "#/$defs/Metres" }), "#"),
        ];
        let definitions = definitions();
        for (schema, expected) in cases {
            let shape = shape(&schema, definitions.as_object().unwrap());
            assert_eq!(Writer::default().sign(&shape), expected, "{schema}");
        }
    }

    #[test]
    fn a_line_says_each_sign_once() {
        let schema = json!({
            "type": "object",
            "properties": {
                "n": { "type": "number" }, "b": { "type": "string" }, "m": { "type": "integer" },
                "a": true, "c": { "type": ["number", "null"] }, "d": { "type": "string" },
                "p": { "$ref": "#/$defs/Place" }, "q": { "$ref": "#/$defs/Place" },
            },
            "required": ["n", "b", "m", "p"],
        });
        let mut writer = Writer::default();
        let shape = shape(&schema, definitions().as_object().unwrap());
        assert_eq!(writer.line(&shape), "b # n m A p ? ' d # c * a A q");
        assert_eq!(writer.objects.iter().map(|it| it.line.as_str()).collect::<Vec<_>>(), ["# x"]);
        assert_eq!(Writer::default().line(&Shape::Object(Vec::new())), "");
    }

    #[test]
    fn names_of_objects_go_on_after_the_alphabet() {
        let names: Vec<String> = [0, 25, 26, 51, 52, 701].into_iter().map(letters).collect();
        assert_eq!(names, ["A", "Z", "AA", "AZ", "BA", "ZZ"]);
    }

    #[test]
    fn every_type_has_a_line_and_types_that_look_alike_share_one() {
        let catalogue = Catalogue::all();
        let lines = lines(&catalogue);
        let names: Vec<&str> =
            lines.lines().flat_map(|line| line.split(' ').next().unwrap_or_default().split(',')).collect();
        for name in
            catalogue.requests.iter().map(|it| it.name).chain(catalogue.messages.iter().map(|it| it.name))
        {
            assert_eq!(names.iter().filter(|it| **it == name).count(), 1, "{name}");
        }
        assert!(lines.contains("unsubscribe,unsubscribed subscription\n"), "{lines}");
    }
}
