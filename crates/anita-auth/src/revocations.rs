//! The revocations that are in force, found by what a token says.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use anita_model::{Identity, Revocation, RevocationId, Revoked, Timestamp};

/// The most revocations at once.
pub const REVOCATIONS_MAX: usize = 100_000;

/// What a revocation is found by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Token(Arc<str>),
    Subject(Arc<str>),
    Everybody,
}

impl Key {
    fn of(revoked: &Revoked) -> Self {
        match revoked {
            Revoked::Token(id) => Self::Token(Arc::clone(id)),
            Revoked::Subject { subject, .. } => Self::Subject(Arc::clone(subject)),
            Revoked::IssuedBefore(_) => Self::Everybody,
        }
    }
}

/// There are [`REVOCATIONS_MAX`] revocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are {REVOCATIONS_MAX} revocations, and no more are kept")]
pub struct TooManyRevocations;

/// The revocations that are in force.
#[derive(Debug, Default)]
pub struct Revocations {
    all: BTreeMap<RevocationId, Revocation>,
    by_key: HashMap<Key, Vec<RevocationId>>,
    /// Those that can be forgotten, by when.
    by_until: BTreeSet<(Timestamp, RevocationId)>,
}

impl Revocations {
    /// Adds one; the same id again changes nothing.
    ///
    /// # Errors
    /// [`TooManyRevocations`].
    pub fn add(&mut self, revocation: Revocation) -> Result<(), TooManyRevocations> {
        if self.all.contains_key(&revocation.id) {
            return Ok(());
        }
        if self.all.len() >= REVOCATIONS_MAX {
            return Err(TooManyRevocations);
        }
        self.by_key.entry(Key::of(&revocation.revoked)).or_default().push(revocation.id.clone());
        self.by_until.extend(revocation.until.map(|until| (until, revocation.id.clone())));
        self.all.insert(revocation.id.clone(), revocation);
        Ok(())
    }

    /// Takes one away: what it was about is accepted again.
    pub fn remove(&mut self, id: &RevocationId) -> Option<Revocation> {
        let removed = self.all.remove(id)?;
        if let Some(until) = removed.until {
            self.by_until.remove(&(until, id.clone()));
        }
        let key = Key::of(&removed.revoked);
        if let Some(ids) = self.by_key.get_mut(&key) {
            ids.retain(|it| it != id);
            if ids.is_empty() {
                self.by_key.remove(&key);
            }
        }
        Some(removed)
    }

    /// Forgets those whose tokens have run out.
    pub fn forget(&mut self, now: Timestamp) {
        while let Some((until, id)) = self.by_until.first().cloned()
            && until <= now
        {
            self.remove(&id);
        }
    }

    /// Whether there is one to forget.
    pub fn has_over(&self, now: Timestamp) -> bool {
        self.by_until.first().is_some_and(|(until, _id)| *until <= now)
    }

    /// The first that is about this token.
    pub fn find(&self, identity: &Identity) -> Option<&Revocation> {
        let token = identity.token_id.clone().map(Key::Token);
        let keys = [token, Some(Key::Subject(Arc::clone(&identity.user.subject))), Some(Key::Everybody)];
        keys.into_iter()
            .flatten()
            .filter_map(|key| self.by_key.get(&key))
            .flatten()
            .filter_map(|id| self.all.get(id))
            .find(|revocation| revocation.concerns(identity))
    }

    /// All of them, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Revocation> {
        self.all.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use anita_model::UserId;

    use super::*;

    fn at(secs: f64) -> Timestamp {
        Timestamp::from_secs_f64(secs).unwrap()
    }

    fn revocation(id: &str, revoked: Revoked, until: Option<f64>) -> Revocation {
        Revocation {
            id: RevocationId::parse(id).unwrap(),
            revoked,
            issuer: None,
            made_at: at(0.0),
            until: until.map(at),
            made_by: "admin".into(),
            reason: "".into(),
        }
    }

    fn alice() -> Identity {
        Identity {
            user: UserId { issuer: "anita".into(), subject: "alice".into() },
            token_id: Some("t1".into()),
            issued_at: Some(at(100.0)),
        }
    }

    #[test]
    fn a_token_is_found_by_its_id_its_subject_and_its_age() {
        let subject = |name: &str| Revoked::Subject { subject: name.into(), issued_before: None };
        let table = [
            (Revoked::Token("t1".into()), true),
            (Revoked::Token("t2".into()), false),
            (subject("alice"), true),
            (subject("bob"), false),
            (Revoked::IssuedBefore(at(101.0)), true),
            (Revoked::IssuedBefore(at(99.0)), false),
        ];
        for (revoked, expected) in table {
            let mut revocations = Revocations::default();
            revocations.add(revocation("r", revoked.clone(), None)).unwrap();
            assert_eq!(revocations.find(&alice()).is_some(), expected, "{revoked:?}");
        }
    }

    #[test]
    fn what_is_taken_away_or_over_is_accepted_again() {
        let mut revocations = Revocations::default();
        revocations.add(revocation("by-hand", Revoked::Token("t1".into()), None)).unwrap();
        revocations.add(revocation("by-time", Revoked::Token("t1".into()), Some(50.0))).unwrap();
        assert_eq!(
            revocations.remove(&RevocationId::parse("by-hand").unwrap()).unwrap().id.as_str(),
            "by-hand"
        );
        assert_eq!(revocations.find(&alice()).unwrap().id.as_str(), "by-time");
        assert!(!revocations.has_over(at(49.0)) && revocations.has_over(at(50.0)));
        revocations.forget(at(49.0));
        assert_eq!(revocations.len(), 1);
        revocations.forget(at(50.0));
        assert!(revocations.is_empty() && revocations.find(&alice()).is_none());
        assert!(revocations.by_key.is_empty() && revocations.by_until.is_empty(), "nothing is left behind");
    }

    #[test]
    fn there_are_at_most_so_many() {
        let mut revocations = Revocations::default();
        for number in 0..REVOCATIONS_MAX {
            let revoked = Revoked::Token(number.to_string().into());
            revocations.add(revocation(&number.to_string(), revoked, None)).unwrap();
        }
        let one_more = revocation("more", Revoked::Token("more".into()), None);
        assert_eq!(revocations.add(one_more), Err(TooManyRevocations));
        let known = revocation("7", Revoked::Token("7".into()), None);
        assert_eq!(revocations.add(known), Ok(()));
    }
}
