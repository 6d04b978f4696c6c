//! The audit trail: who did or tried what, each entry chained to the one before it.
//!
//! An entry is numbered and hashed where it is made, under one lock, so the order of the chain is the order in which
//! entries are handed to the store. Verifying is a fold over the entries ([`Verification`]): no store, file or clock is in it.

mod chain;
mod file;
mod line;
mod stretches;
mod verification;

use anita_model::Timestamp;

pub use chain::{AuditHash, AuditHead, AuditLink, Chain, InvalidHead};
pub use file::{AuditFile, AuditFileSettings, FILES_MAX, each_line, end_of_files, files_of};
pub use line::{AuditLine, InvalidLine, LINE_BYTES_MAX, line};
pub use stretches::Stretches;
pub use verification::{Broken, Unexplained, Verification, Whole};

/// The action of an entry that says which entries the store does not have, because too many waited for it. Its object is
/// their numbers, `first-last`.
pub const LOST_ENTRIES: &str = "lose audit entries";

/// The action of an entry that says which lines a file of the trail does not have. Its object is their numbers,
/// `first-last`.
pub const LOST_LINES: &str = "lose audit lines";

/// The action of an entry that says which entries a start found missing after a server that did not end in good order, and
/// for which no entry accounted: given up right before that, most likely. Its object is their numbers, `first-last`.
pub const MISSED_ENTRIES: &str = "miss audit entries";

/// The action of an entry that says that a start found entries removed from the end of the store. Its object is
/// `COUNT after SEQ`.
pub const REMOVED_ENTRIES: &str = "find audit entries removed";

/// The action of an entry that says that the lines of the file so far were not those of the store: its end was cut off, or
/// it is an older copy or another one. Its object names the ends of both.
pub const FILE_SET_ASIDE: &str = "set audit file aside";

/// The action of an entry that says that a file began while the store had entries already. Its object is the end of the
/// store's trail then.
pub const FILE_BEGUN: &str = "begin audit file";

/// The action of an entry that says that the file lacked its last lines though the last server ended in good order, and got
/// them from the store. Its object is their numbers, `first-last`.
pub const FILE_MENDED: &str = "mend audit file";

/// The action of an entry that says that a copy took the place of the store. Its object is the copy, and the end of the
/// trail before.
pub const RESTORED_STORE: &str = "restore store";

/// The action of an entry that a server makes when it starts.
pub const START_SERVER: &str = "start server";

/// The action of an entry that a server makes when it ends in good order.
pub const STOP_SERVER: &str = "stop server";

/// Who did or tried what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// When.
    pub at: Timestamp,
    /// Who; empty for nobody who is known, and for the server itself.
    pub subject: String,
    /// Who says that it is that subject: `iss` of the token.
    pub issuer: Option<String>,
    /// What: a short word or two, such as `remove device`.
    pub action: String,
    /// What it was about: a device, a connection, a permission; empty for nothing in particular.
    pub object: String,
    /// `done`, `begun`, `forbidden` or `refused`.
    pub outcome: String,
    /// From where, if that is known.
    pub address: Option<String>,
}

/// How long the texts of an entry may be, bytes: subject, issuer, action, object, outcome, address.
const TEXT_BYTES_MAX: [usize; 6] = [256, 512, 64, 1_024, 64, 64];

impl AuditRecord {
    /// The same with texts that every store can hold: cut where they are too long, which `…` at their end shows, and
    /// without NUL.
    #[must_use]
    pub fn bounded(self) -> Self {
        let [subject, issuer, action, object, outcome, address] = TEXT_BYTES_MAX;
        Self {
            at: self.at,
            subject: bounded(self.subject, subject),
            issuer: self.issuer.map(|text| bounded(text, issuer)),
            action: bounded(self.action, action),
            object: bounded(self.object, object),
            outcome: bounded(self.outcome, outcome),
            address: self.address.map(|text| bounded(text, address)),
        }
    }
}

fn bounded(mut text: String, bytes_max: usize) -> String {
    const CUT: char = '…';
    if text.contains('\0') {
        text = text.replace('\0', "?");
    }
    if text.len() > bytes_max {
        let most = bytes_max - CUT.len_utf8();
        let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push(CUT);
    }
    text
}

/// What was done, and its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// What was done.
    pub record: AuditRecord,
    /// Its place; `None` for entries from before there was a chain.
    pub link: Option<AuditLink>,
}

impl AuditEntry {
    /// Its number in the chain, if it has one.
    pub fn seq(&self) -> Option<u64> {
        self.link.map(|link| link.seq)
    }
}

/// Numbers as an object of [`LOST_ENTRIES`], [`MISSED_ENTRIES`] and [`LOST_LINES`] says them.
pub fn numbers(first: u64, last: u64) -> String {
    format!("{first}-{last}")
}

/// The numbers that an object says.
fn numbers_of(object: &str) -> Option<(u64, u64)> {
    let (first, last) = object.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?)).filter(|(first, last)| first <= last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters_and_hold_no_nul() {
        let long = "ü".repeat(5_000);
        let record = AuditRecord {
            at: Timestamp::UNIX_EPOCH,
            subject: long.clone(),
            issuer: Some(long.clone()),
            action: "a\0b".to_owned(),
            object: "x".repeat(1_024),
            outcome: long.clone(),
            address: Some(long),
        };
        let bounded = record.bounded();
        assert!(bounded.subject.ends_with("ü…") && bounded.subject.len() <= 256, "{}", bounded.subject);
        assert!(bounded.issuer.unwrap().len() <= 512 && bounded.outcome.len() <= 64);
        assert_eq!((bounded.action.as_str(), bounded.object.len()), ("a?b", 1_024));
        assert!(TEXT_BYTES_MAX.iter().sum::<usize>() * 6 + 512 < LINE_BYTES_MAX);
    }
}
