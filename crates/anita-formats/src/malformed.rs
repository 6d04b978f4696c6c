//! Why a message, or one item of it, was refused.

use std::fmt;

use anita_model::{InvalidName, InvalidPosition};

/// How much of a bad message its description repeats, characters: enough to recognise it, never a flood of log.
const EXCERPT_CHARS_MAX: usize = 80;

/// The kinds of damage, each with a stable word for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The bytes are not JSON.
    NotJson,
    /// The bytes are not UTF-8.
    NotUtf8,
    /// It is JSON, but not the kind of value that belongs there.
    WrongShape,
    /// Something that every message of the format has is absent.
    MissingField,
    /// A number is something else.
    NotANumber,
    /// A number is infinite.
    NotFinite,
    /// A coordinate is farther out than any site.
    TooFar,
    /// The id of the device is none.
    BadId,
    /// The time is none.
    BadTime,
    /// The topic belongs to no message of the format.
    UnknownTopic,
    /// The message says it is of a version that is not known.
    UnknownVersion,
    /// A line of text was cut, mixed with another, or overwritten.
    DamagedLine,
    /// The line says nothing of whose it is, and the configuration does not either.
    NoDeviceId,
}

/// A refused message or item. Its text says what is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Malformed {
    reason: Reason,
    what: String,
}

// === impl Reason ===

impl Reason {
    /// All of them, for whoever counts by reason.
    pub const ALL: [Self; 13] = [
        Self::NotJson,
        Self::NotUtf8,
        Self::WrongShape,
        Self::MissingField,
        Self::NotANumber,
        Self::NotFinite,
        Self::TooFar,
        Self::BadId,
        Self::BadTime,
        Self::UnknownTopic,
        Self::UnknownVersion,
        Self::DamagedLine,
        Self::NoDeviceId,
    ];

    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::NotUtf8 => "not_utf8",
            Self::WrongShape => "wrong_shape",
            Self::MissingField => "missing_field",
            Self::NotANumber => "not_a_number",
            Self::NotFinite => "not_finite",
            Self::TooFar => "too_far",
            Self::BadId => "bad_id",
            Self::BadTime => "bad_time",
            Self::UnknownTopic => "unknown_topic",
            Self::UnknownVersion => "unknown_version",
            Self::DamagedLine => "damaged_line",
            Self::NoDeviceId => "no_device_id",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Malformed ===

impl Malformed {
    pub(crate) fn new(reason: Reason, what: impl Into<String>) -> Self {
        Self { reason, what: what.into() }
    }

    pub(crate) fn missing(field: &str) -> Self {
        Self::new(Reason::MissingField, format!("`{field}` is missing"))
    }

    pub(crate) fn damaged(why: &str, line: &str) -> Self {
        Self::new(Reason::DamagedLine, format!("{why}: {}", excerpt(line)))
    }

    pub(crate) fn id(place: &str, error: &InvalidName) -> Self {
        Self::new(Reason::BadId, format!("{place}: {error}"))
    }

    pub(crate) fn position(field: &str, error: InvalidPosition) -> Self {
        let reason = match error {
            InvalidPosition::NotFinite { .. } => Reason::NotFinite,
            InvalidPosition::TooFar { .. } => Reason::TooFar,
        };
        Self::new(reason, format!("`{field}`: {error}"))
    }

    /// Puts the place of the item in front: `item 3: …`.
    pub(crate) fn at(mut self, place: impl fmt::Display) -> Self {
        self.what = format!("{place}: {}", self.what);
        self
    }

    /// The kind of damage.
    pub fn kind(&self) -> Reason {
        self.reason
    }

    /// The kind of damage as its stable word, for metrics.
    pub fn reason(&self) -> &'static str {
        self.reason.as_str()
    }
}

/// The start of a foreign text, quoted and escaped, so that it cannot forge a line of log.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT_CHARS_MAX) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_word_of_its_own() {
        let mut words: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Reason::ALL.len());
    }

    #[test]
    fn a_bad_message_is_quoted_shortly_and_escaped() {
        assert_eq!(excerpt("a\nb\u{1b}[31m"), r#""a\nb\u{1b}[31m""#);
        assert_eq!(excerpt(&"é".repeat(500)).chars().count(), EXCERPT_CHARS_MAX + 3);
    }
}
