//! The query of a question.

use std::time::Duration;

use anita_model::Timestamp;
use anita_wire::{ErrorCode, Refusal};
use serde_json::json;

use crate::problem::Problem;
use crate::rest::url_pairs;

/// The longest duration that is asked for, seconds: more than all of the years that a time can be of.
const DURATION_SECS_MAX: f64 = 1e12;

/// The pairs of a query. What nobody asks for is not looked at, as everywhere.
#[derive(Debug)]
pub(super) struct Asked(Vec<(String, String)>);

/// A refusal that names a parameter.
pub(super) fn field(name: &str, message: impl std::fmt::Display) -> Problem {
    let refusal = Refusal::saying(ErrorCode::InvalidPayload, format!("{name}: {message}."));
    Problem(refusal.with_details(json!({ "path": name })))
}

impl Asked {
    pub(super) fn new(query: Option<&str>) -> Self {
        Self(url_pairs(query.unwrap_or_default()))
    }

    /// A parameter that can be there once.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut found = self.0.iter().filter(|(key, _value)| key == name).map(|(_key, value)| value.as_str());
        let first = found.next();
        if found.next().is_some() {
            return Err(field(name, "is there twice"));
        }
        Ok(first)
    }

    /// A list: by commas, by repeating, or both. `None` where it is not there at all.
    pub(super) fn list(&self, name: &str) -> Option<Vec<String>> {
        let mut found = self.0.iter().filter(|(key, _value)| key == name).peekable();
        found.peek()?;
        let texts = found.flat_map(|(_key, value)| split(value));
        Some(texts.filter(|text| !text.is_empty()).collect())
    }

    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let time = self.text(name)?.map(|text| {
            Timestamp::parse(text).map_err(|invalid| {
                // A plus that is not escaped is a blank.
                let hint = if text.contains(' ') { "; in an address, write + as %2B" } else { "" };
                field(name, format!("{invalid}{hint}"))
            })
        });
        time.transpose()
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, Problem> {
        let number = self.text(name)?.map(|text| {
            let number = text.parse().ok().filter(|number: &f64| number.is_finite());
            number.ok_or_else(|| field(name, format!("{text:?} is not a number")))
        });
        number.transpose()
    }

    pub(super) fn duration(&self, name: &str) -> Result<Option<Duration>, Problem> {
        let duration = self.number(name)?.map(|secs| {
            let secs = Some(secs).filter(|secs| (0.0..=DURATION_SECS_MAX).contains(secs));
            secs.map(Duration::from_secs_f64).ok_or_else(|| field(name, "has to be seconds, 0 or more"))
        });
        duration.transpose()
    }

    pub(super) fn count(&self, name: &str) -> Result<Option<usize>, Problem> {
        let count = self.text(name)?.map(|text| {
            text.parse().map_err(|_not_a_number: std::num::ParseIntError| {
                field(name, format!("{text:?} is not a whole number"))
            })
        });
        count.transpose()
    }
}

/// Splits at commas, but not inside the braces or brackets of a pattern.
fn split(text: &str) -> Vec<String> {
    let (mut parts, mut part, mut depth) = (Vec::new(), String::new(), 0_usize);
    for character in text.chars() {
        match character {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if character == ',' && depth == 0 {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(character);
        }
    }
    parts.push(part);
    parts
}
