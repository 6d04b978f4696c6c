//! An entry as a line of JSON, in one form only: a line that would not be written as it stands is no entry.

use std::fmt::Write as _;

use anita_model::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AuditEntry, AuditHash, AuditHead, AuditRecord};

/// The longest line, bytes, its end included: every text of an entry is bounded, and a character takes six bytes at most.
pub const LINE_BYTES_MAX: usize = 16_384;

/// Text that is no line of an audit file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLine {
    /// No JSON, or not that of an entry.
    #[error("it is no entry of an audit trail: {0}")]
    Json(String),
    /// It says what an entry says, but not as one is written.
    #[error("it was changed: it is not written as entries are")]
    Form,
}

/// The line's members, in their order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Members<'a> {
    at: &'a str,
    seq: u64,
    subject: std::borrow::Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<std::borrow::Cow<'a, str>>,
    action: std::borrow::Cow<'a, str>,
    object: std::borrow::Cow<'a, str>,
    outcome: std::borrow::Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<std::borrow::Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<&'a str>,
    hash: &'a str,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLine {
    /// What was done.
    pub record: AuditRecord,
    /// Its number.
    pub seq: u64,
    /// The hash of the entry before it; absent where that is the line before.
    pub previous: Option<AuditHash>,
    /// Its hash.
    pub hash: AuditHash,
}

impl AuditLine {
    /// From a line without its end.
    ///
    /// # Errors
    /// [`InvalidLine`].
    pub fn parse(text: &str) -> Result<Self, InvalidLine> {
        let members: Members<'_> =
            serde_json::from_str(text).map_err(|error| InvalidLine::Json(error.to_string()))?;
        let same = written(&members).map_err(|error| InvalidLine::Json(error.to_string()))?;
        let at = Timestamp::parse(members.at).map_err(|error| InvalidLine::Json(error.to_string()))?;
        let hash = |text: &str| -> Result<AuditHash, InvalidLine> {
            let hash: AuditHash = text.parse().map_err(|_no_hash: super::InvalidHead| InvalidLine::Form)?;
            if hash.to_string() == text { Ok(hash) } else { Err(InvalidLine::Form) }
        };
        if same != text || at.to_string() != members.at {
            return Err(InvalidLine::Form);
        }
        Ok(Self {
            seq: members.seq,
            previous: members.previous.map(hash).transpose()?,
            hash: hash(members.hash)?,
            record: AuditRecord {
                at,
                subject: members.subject.into_owned(),
                issuer: members.issuer.map(Into::into),
                action: members.action.into_owned(),
                object: members.object.into_owned(),
                outcome: members.outcome.into_owned(),
                address: members.address.map(Into::into),
            },
        })
    }

    /// The chain up to here.
    pub fn head(&self) -> AuditHead {
        AuditHead { seq: self.seq, hash: self.hash }
    }
}

/// The members as JSON. Besides what JSON wants escaped, everything is that a terminal or an editor takes for more than a
/// character: delete and the C1 controls, the separators of lines, and what turns the direction of text.
fn written(members: &Members<'_>) -> serde_json::Result<String> {
    let plain = serde_json::to_string(members)?;
    let is_more = |it: char| matches!(it, '\u{7f}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    if !plain.contains(is_more) {
        return Ok(plain);
    }
    let mut escaped = String::with_capacity(plain.len() + 16);
    for character in plain.chars() {
        if is_more(character) {
            // Writing to a String does not fail.
            write!(escaped, "\\u{:04x}", u32::from(character)).ok();
        } else {
            escaped.push(character);
        }
    }
    Ok(escaped)
}

/// An entry as a line, with its end; `before` is the end of the chain in the line before it. `None` for one that is in no
/// chain.
pub fn line(entry: &AuditEntry, before: Option<AuditHead>) -> Option<String> {
    let link = entry.link?;
    let AuditRecord { at, subject, issuer, action, object, outcome, address } = &entry.record;
    let follows =
        before.is_some_and(|head| head.seq.checked_add(1) == Some(link.seq) && head.hash == link.previous);
    let previous = (!follows).then(|| link.previous.to_string());
    let members = Members {
        at: &at.to_string(),
        seq: link.seq,
        subject: subject.into(),
        issuer: issuer.as_deref().map(Into::into),
        action: action.into(),
        object: object.into(),
        outcome: outcome.into(),
        address: address.as_deref().map(Into::into),
        previous: previous.as_deref(),
        hash: &link.hash.to_string(),
    };
    // Texts and numbers can always be written.
    let mut text = written(&members).ok()?;
    text.push('\n');
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Broken, Chain, Verification};
    use super::*;

    fn any_record() -> impl Strategy<Value = AuditRecord> {
        let text = || "\\PC{0,9}|[\\x00-\\x1f\"\\\\\u{2028}\u{7f}-\u{9f}]{0,9}";
        (0..9_000_000_i64, text(), prop::option::of(text()), text(), text(), prop::option::of(text()))
            .prop_map(|(us, subject, issuer, action, object, address)| AuditRecord {
                at: Timestamp::from_micros(us).unwrap(),
                subject,
                issuer,
                action,
                object,
                outcome: "done".to_owned(),
                address,
            })
    }

    proptest! {
        #[test]
        fn a_line_is_one_line_without_control_characters_and_comes_back(record in any_record()) {
            let entry = Chain::default().add(record);
            let text = line(&entry, None).unwrap();
            prop_assert!(text.ends_with('\n') && text.len() <= LINE_BYTES_MAX);
            let text = text.trim_end_matches('\n');
            prop_assert!(!text.contains(|it: char| it.is_control() || it == '\u{2028}'), "{:?}", text);
            let parsed = AuditLine::parse(text).unwrap();
            prop_assert_eq!((parsed.seq, parsed.record), (1, entry.record));
        }

        #[test]
        fn any_changed_byte_of_a_line_is_found(
            records in prop::collection::vec(any_record(), 2..5), place: prop::sample::Index, byte: u8
        ) {
            let mut chain = Chain::default();
            let (mut text, mut before) = (String::new(), None);
            for record in records {
                let entry = chain.add(record);
                text.push_str(&line(&entry, before).unwrap());
                before = entry.link.map(|link| link.head());
            }
            let mut bytes = text.clone().into_bytes();
            let place = place.index(bytes.len() - 1);
            prop_assume!(bytes[place] != byte);
            bytes[place] = byte;
            let verify = |bytes: &[u8]| -> Result<(), String> {
                let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
                let mut verification = Verification::of_files([]);
                for line in text.lines() {
                    let line = AuditLine::parse(line).map_err(|error| error.to_string())?;
                    verification.step_line(line).map_err(|error| error.to_string())?;
                }
                verification.finish().map(drop).map_err(|error: Broken| error.to_string())
            };
            prop_assert_eq!(verify(text.as_bytes()), Ok(()));
            prop_assert!(verify(&bytes).is_err(), "{}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn the_form_is_what_the_documents_say() {
        let record = AuditRecord {
            at: Timestamp::parse("2026-03-01T12:00:00Z").unwrap(),
            subject: "alice\n\u{1b}[31m".to_owned(),
            issuer: Some("anita".to_owned()),
            action: "remove device".to_owned(),
            object: "tag \"7\"".to_owned(),
            outcome: "done".to_owned(),
            address: Some("::1".to_owned()),
        };
        let mut chain = Chain::default();
        let first = chain.add(record.clone());
        let head = chain.head();
        let text = line(&first, None).unwrap();
        let (hash, none) = (head.unwrap().hash, AuditHash::NONE);
        let expected = format!(
            r#"{{"at":"2026-03-01T12:00:00.000000Z","seq":1,"subject":"alice\n\u001b[31m","issuer":"anita","action":"remove device","object":"tag \"7\"","outcome":"done","address":"::1","previous":"{none}","hash":"{hash}"}}"#
        );
        assert_eq!(text.trim_end(), expected);
        let second = chain.add(record);
        assert!(!line(&second, head).unwrap().contains("previous"));
        assert!(line(&second, None).unwrap().contains(&format!(r#""previous":"{hash}""#)));
        for changed in [
            expected.replace(",\"issuer\"", ", \"issuer\""),
            expected.replace("000000Z", "0000000Z"),
            expected.replace("\\u001b", "\\u001B"),
            expected.replace(&hash.to_string(), &hash.to_string().to_uppercase()),
        ] {
            assert_eq!(AuditLine::parse(&changed), Err(InvalidLine::Form), "{changed}");
        }
        let more = expected.replace("{\"at\"", "{\"more\":1,\"at\"");
        assert!(matches!(AuditLine::parse(&more), Err(InvalidLine::Json(_))));
    }
}
