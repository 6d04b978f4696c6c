//! Who somebody is, and when that is not believed any more.

use std::fmt;
use std::sync::Arc;

use crate::{RevocationId, Timestamp};

/// A subject, as its issuer names it. The same name at another issuer is somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId {
    /// Who says so: `iss` of a token (RFC 7519 §4.1.1).
    pub issuer: Arc<str>,
    /// Who: `sub` (RFC 7519 §4.1.2).
    pub subject: Arc<str>,
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject)
    }
}

/// What somebody was let in by: a user, and which of the user's tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who.
    pub user: UserId,
    /// The token's own id, `jti` (RFC 7519 §4.1.7), if it has one.
    pub token_id: Option<Arc<str>>,
    /// When it was issued, `iat` (RFC 7519 §4.1.6), if it says so and it can be true.
    pub issued_at: Option<Timestamp>,
}

impl Identity {
    /// A text for the audit trail with the id of the token, by which it can be revoked.
    pub fn noted(&self, what: &str) -> String {
        self.token_id.as_ref().map_or_else(|| what.to_owned(), |id| format!("{what}, jti {id}"))
    }
}

/// What a revocation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    /// One token, by its id.
    Token(Arc<str>),
    /// A subject's tokens: those issued before a moment, or all. One that does not say when it was issued counts as
    /// issued before any moment.
    Subject {
        /// Whose.
        subject: Arc<str>,
        /// Which; all when absent.
        issued_before: Option<Timestamp>,
    },
    /// Everybody's tokens that were issued before a moment.
    IssuedBefore(Timestamp),
}

/// Tokens that are not accepted any more, although they are valid by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Its own id.
    pub id: RevocationId,
    /// What it is about.
    pub revoked: Revoked,
    /// Whose tokens: those of one issuer, or of all when absent.
    pub issuer: Option<Arc<str>>,
    /// When it was made.
    pub made_at: Timestamp,
    /// When it can be forgotten, because the tokens have run out by then; never when absent.
    pub until: Option<Timestamp>,
    /// Who made it.
    pub made_by: Arc<str>,
    /// Why, in the words of whoever made it; may be empty.
    pub reason: Arc<str>,
}

impl Revocation {
    /// Whether it is about this token.
    pub fn concerns(&self, identity: &Identity) -> bool {
        let is_before = |moment: Timestamp| identity.issued_at.is_none_or(|issued_at| issued_at < moment);
        let is_issuer = self.issuer.as_ref().is_none_or(|issuer| *issuer == identity.user.issuer);
        is_issuer
            && match &self.revoked {
                Revoked::Token(id) => identity.token_id.as_ref() == Some(id),
                Revoked::Subject { subject, issued_before } => {
                    *subject == identity.user.subject && issued_before.is_none_or(is_before)
                }
                Revoked::IssuedBefore(moment) => is_before(*moment),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: f64) -> Timestamp {
        Timestamp::from_secs_f64(secs).unwrap()
    }

    fn identity(issuer: &str, subject: &str, token_id: Option<&str>, issued_at: Option<f64>) -> Identity {
        Identity {
            user: UserId { issuer: issuer.into(), subject: subject.into() },
            token_id: token_id.map(Into::into),
            issued_at: issued_at.map(at),
        }
    }

    #[test]
    fn a_revocation_is_about_a_token_a_subject_or_an_age() {
        let alice = identity("a", "alice", Some("t1"), Some(100.0));
        let bob_undated = identity("b", "bob", None, None);
        let subject = |subject: &str, before: Option<f64>| Revoked::Subject {
            subject: subject.into(),
            issued_before: before.map(at),
        };
        let table = [
            (Revoked::Token("t1".into()), None, [true, false]),
            (Revoked::Token("t1".into()), Some("b"), [false, false]),
            (Revoked::Token("t2".into()), None, [false, false]),
            (subject("alice", None), None, [true, false]),
            (subject("alice", None), Some("a"), [true, false]),
            (subject("alice", None), Some("b"), [false, false]),
            (subject("alice", Some(100.0)), None, [false, false]),
            (subject("alice", Some(100.5)), None, [true, false]),
            (subject("bob", Some(1.0)), None, [false, true]),
            (Revoked::IssuedBefore(at(100.0)), None, [false, true]),
            (Revoked::IssuedBefore(at(101.0)), None, [true, true]),
            (Revoked::IssuedBefore(at(101.0)), Some("a"), [true, false]),
        ];
        for (revoked, issuer, expected) in table {
            let revocation = Revocation {
                id: RevocationId::parse("r").unwrap(),
                revoked,
                issuer: issuer.map(Into::into),
                made_at: at(0.0),
                until: None,
                made_by: "admin".into(),
                reason: "".into(),
            };
            let found = [&alice, &bob_undated].map(|it| revocation.concerns(it));
            assert_eq!(found, expected, "{revocation:?}");
        }
    }
}
