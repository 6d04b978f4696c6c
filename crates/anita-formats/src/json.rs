//! Reading the JSON of gateways: numbers that come as text, and `NaN`, which is none of JSON but is sent.

use anita_model::{DeviceId, Position};
use serde_json::{Map, Value};

use crate::malformed::{Malformed, Reason, excerpt};

/// What stands where a coordinate should.
pub(crate) enum Coordinates {
    /// Three numbers that are a position.
    At(Position),
    /// The device says that it has none: `null` or NaN.
    None,
}

/// Parses JSON. A bare `NaN`, as `printf` and Python write it, is read as `null`.
pub(crate) fn parse(payload: &[u8]) -> Result<Value, Malformed> {
    let text = std::str::from_utf8(payload)
        .map_err(|error| Malformed::new(Reason::NotUtf8, format!("not UTF-8: {error}")))?;
    let error = match serde_json::from_str(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let repaired = text.to_ascii_lowercase().contains("nan").then(|| nan_to_null(text));
    repaired
        .and_then(|repaired| serde_json::from_str(&repaired).ok())
        .ok_or_else(|| Malformed::new(Reason::NotJson, format!("not JSON ({error}): {}", excerpt(text))))
}

/// The members of an object.
pub(crate) fn object<'v>(value: &'v Value, what: &str) -> Result<&'v Map<String, Value>, Malformed> {
    value.as_object().ok_or_else(|| {
        Malformed::new(Reason::WrongShape, format!("{what} is {}, and not an object", kind(value)))
    })
}

/// A number, written as one or as text. `None` is the gateway's way to say that it has none: absent, `null`, or NaN.
pub(crate) fn number(value: Option<&Value>, field: &str) -> Result<Option<f64>, Malformed> {
    let not_a_number = |found: String| {
        Err(Malformed::new(Reason::NotANumber, format!("`{field}` is {found}, not a number")))
    };
    let number = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => match text.trim().parse() {
            Ok(number) => Some(number),
            Err(_not_a_number) => return not_a_number(excerpt(text)),
        },
        Some(other @ (Value::Bool(_) | Value::Array(_) | Value::Object(_))) => {
            return not_a_number(kind(other).into());
        }
    };
    Ok(number.filter(|number| !number.is_nan()))
}

/// The members `x`, `y` and `z`, each divided by `per_metre`. All three must be there.
pub(crate) fn coordinates(
    members: &Map<String, Value>,
    field: &str,
    per_metre: f64,
) -> Result<Coordinates, Malformed> {
    let read = |axis: &str| {
        let value = members.get(axis).ok_or_else(|| Malformed::missing(&format!("{field}.{axis}")))?;
        number(Some(value), &format!("{field}.{axis}"))
    };
    match (read("x")?, read("y")?, read("z")?) {
        (Some(x), Some(y), Some(z)) => Position::new(x / per_metre, y / per_metre, z / per_metre)
            .map(Coordinates::At)
            .map_err(|error| Malformed::position(field, error)),
        _ => Ok(Coordinates::None),
    }
}

/// The id of a device, written as text or as a whole number.
pub(crate) fn device(members: &Map<String, Value>, field: &str) -> Result<DeviceId, Malformed> {
    let bad_id = |found: &str| Malformed::new(Reason::BadId, format!("`{field}` is {found}, not an id"));
    let text = match members.get(field) {
        None | Some(Value::Null) => return Err(Malformed::missing(field)),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) if number.is_u64() => number.to_string(),
        Some(other) => return Err(bad_id(kind(other))),
    };
    DeviceId::parse(&text).map_err(|error| Malformed::id(&format!("`{field}`"), &error))
}

/// What a value is, in words.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Replaces each bare `NaN` (any case, with or without a sign) by `null`; texts in quotes stay as they are.
fn nan_to_null(text: &str) -> String {
    let mut repaired = String::with_capacity(text.len());
    let mut rest = text;
    let mut is_quoted = false;
    while let Some(character) = rest.chars().next() {
        let unsigned = rest.strip_prefix('-').unwrap_or(rest);
        let after_nan =
            unsigned.get(..3).filter(|word| word.eq_ignore_ascii_case("nan")).and(unsigned.get(3..));
        if let (false, Some(after)) = (is_quoted, after_nan) {
            repaired.push_str("null");
            rest = after;
            continue;
        }
        let len_bytes = match (is_quoted, character) {
            (true, '\\') => character.len_utf8() + rest.chars().nth(1).map_or(0, char::len_utf8),
            (_, '"') => {
                is_quoted = !is_quoted;
                character.len_utf8()
            }
            _ => character.len_utf8(),
        };
        let (taken, after) = rest.split_at(len_bytes);
        repaired.push_str(taken);
        rest = after;
    }
    repaired
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_bare_nan_is_null_and_a_quoted_one_is_text() {
        let cases = [
            (r#"{"x":NaN}"#, json!({"x": null})),
            ("[-nan,1]", json!([null, 1])),
            (r#"{"NaN":"a NaN \" NaN","x":nan}"#, json!({"NaN": "a NaN \" NaN", "x": null})),
        ];
        for (text, value) in cases {
            assert_eq!(parse(text.as_bytes()).unwrap(), value, "{text}");
        }
        for text in ["NaNNaN", r#"{"x":Infinity}"#, "{nan", "\"\\", ""] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().reason(), "not_json", "{text}");
        }
    }
}
