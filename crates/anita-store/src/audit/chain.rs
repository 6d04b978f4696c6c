//! The chain: how an entry is encoded and hashed.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::{AuditEntry, AuditRecord};

/// What every hash begins with, so that no other text of the world has the hash of an entry; it names the encoding, too.
const DOMAIN: &[u8] = b"anita audit 1\0";

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AuditHash(pub [u8; 32]);

impl AuditHash {
    /// What the first entry of a chain has before it.
    pub const NONE: Self = Self([0; 32]);

    /// From its bytes; `None` unless there are 32.
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for AuditHash {
    /// 64 hexadecimal digits, lower case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AuditHash {
    type Err = InvalidHead;

    fn from_str(text: &str) -> Result<Self, InvalidHead> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut bytes = [0; 32];
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(InvalidHead);
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high).ok_or(InvalidHead)? << 4 | digit(*low).ok_or(InvalidHead)?;
        }
        Ok(Self(bytes))
    }
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        b'A'..=b'F' => Some(character - b'A' + 10),
        _ => None,
    }
}

/// Text that is no head of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "has to be SEQ:HASH, a number and 64 hexadecimal digits, as the log and `anita audit verify` print it"
)]
pub struct InvalidHead;

/// The end of a chain: its last entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHead {
    /// Its number.
    pub seq: u64,
    /// Its hash.
    pub hash: AuditHash,
}

impl fmt::Display for AuditHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

impl FromStr for AuditHead {
    type Err = InvalidHead;

    fn from_str(text: &str) -> Result<Self, InvalidHead> {
        let (seq, hash) = text.split_once(':').ok_or(InvalidHead)?;
        let seq = seq.parse().ok().filter(|seq| *seq > 0).ok_or(InvalidHead)?;
        Ok(Self { seq, hash: hash.parse()? })
    }
}

/// The place of an entry in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditLink {
    /// Its number: 1, 2, … without a gap, as they are made.
    pub seq: u64,
    /// The hash of the entry before it; [`AuditHash::NONE`] for the first one. Kept with it, so that it can be verified when
    /// that one is gone.
    pub previous: AuditHash,
    /// Its own hash.
    pub hash: AuditHash,
}

impl AuditLink {
    /// The link of an entry with this number after the one with that hash.
    ///
    /// The hash is SHA-256 over, in this order: `anita audit 1` and a zero byte; the hash before it, 32 bytes; the number,
    /// 8 bytes; the time, microseconds since the Unix epoch, 8 bytes, signed; then subject, issuer, action, object, outcome
    /// and address, each either a zero byte (absent) or a byte 1, the length in bytes as 8 bytes, and the UTF-8 text.
    /// Numbers have their highest byte first.
    pub fn new(seq: u64, previous: AuditHash, record: &AuditRecord) -> Self {
        let AuditRecord { at, subject, issuer, action, object, outcome, address } = record;
        let mut hasher = Sha256::new();
        hasher.update(DOMAIN);
        hasher.update(previous.0);
        hasher.update(seq.to_be_bytes());
        hasher.update(at.as_micros().to_be_bytes());
        let texts =
            [Some(subject), issuer.as_ref(), Some(action), Some(object), Some(outcome), address.as_ref()];
        for text in texts {
            match text {
                None => hasher.update([0]),
                Some(text) => {
                    hasher.update([1]);
                    hasher.update((text.len() as u64).to_be_bytes());
                    hasher.update(text.as_bytes());
                }
            }
        }
        Self { seq, previous, hash: AuditHash(hasher.finalize().into()) }
    }

    /// Whether its hash is that of this record at its place.
    pub fn fits(&self, record: &AuditRecord) -> bool {
        Self::new(self.seq, self.previous, record) == *self
    }

    /// The chain up to here.
    pub fn head(&self) -> AuditHead {
        AuditHead { seq: self.seq, hash: self.hash }
    }
}

/// A chain that grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chain {
    head: Option<AuditHead>,
}

impl Chain {
    /// That goes on after a head.
    pub fn after(head: Option<AuditHead>) -> Self {
        Self { head }
    }

    /// Its end.
    pub fn head(&self) -> Option<AuditHead> {
        self.head
    }

    /// Adds an entry.
    pub fn add(&mut self, record: AuditRecord) -> AuditEntry {
        let (seq, previous) = self.head.map_or((1, AuditHash::NONE), |head| (head.seq + 1, head.hash));
        let link = AuditLink::new(seq, previous, &record);
        self.head = Some(link.head());
        AuditEntry { record, link: Some(link) }
    }
}

#[cfg(test)]
mod tests {
    use anita_model::Timestamp;

    use super::*;

    #[test]
    fn the_encoding_does_not_change_from_one_version_to_the_next() {
        let record = AuditRecord {
            at: Timestamp::parse("2026-03-01T12:00:00.000001Z").unwrap(),
            subject: "älice".to_owned(),
            issuer: Some("https://id.example".to_owned()),
            action: "remove device".to_owned(),
            object: "tag-7".to_owned(),
            outcome: "done".to_owned(),
            address: None,
        };
        let mut chain = Chain::default();
        let first = chain.add(record.clone()).link.unwrap();
        let second = chain.add(AuditRecord { issuer: None, address: Some("::1".to_owned()), ..record });
        // Made by a few lines of Python that follow the description in OPERATIONS.md.
        assert_eq!(
            first.hash.to_string(),
            "6560ca8a69f4eced813110a1b9dc5ed92a8aab7db7c274acfc46f65ab70ee085"
        );
        assert_eq!(
            second.link.unwrap().hash.to_string(),
            "f38b63c6c71d21c13261fdc34ed662ef7bd82216213f4ff3ed43b52847ad57ee"
        );
        assert_eq!(chain.head().unwrap().to_string().parse(), Ok(chain.head().unwrap()));
    }

    #[test]
    fn texts_that_are_no_heads_are_refused() {
        let hash = AuditHash([0xab; 32]).to_string();
        for text in [
            "",
            "1",
            "1:",
            &format!(":{hash}"),
            &format!("0:{hash}"),
            &format!("1:{hash}0"),
            &format!("1:g{}", &hash[1..]),
        ] {
            assert_eq!(text.parse::<AuditHead>(), Err(InvalidHead), "{text}");
        }
        assert_eq!(hash.to_uppercase().parse(), Ok(AuditHash([0xab; 32])));
    }
}
