//! The revocations that are in force, found by what a token says.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use anita_model::{Identity, Now, Revocation, RevocationId, Revoked, Timestamp};

use crate::LEEWAY;

/// The most revocations at once.
pub const REVOCATIONS_MAX: usize = 100_000;

/// The most that are forgotten at once: the next are due at the next look.
const FORGOTTEN_AT_ONCE: usize = 1_000;

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
    all: BTreeMap<RevocationId, InForce>,
    by_key: HashMap<Key, Vec<RevocationId>>,
    /// Those that can be forgotten, by when that is looked at.
    by_due: BTreeSet<(Duration, RevocationId)>,
}

/// When a token that runs out as its revocation says is accepted no more by itself.
fn end(revocation: &Revocation) -> Option<Timestamp> {
    revocation.until.map(|until| until.plus(LEEWAY))
}

/// A revocation, and when it is looked at whether it can be forgotten, by the uptime; never when it holds for ever.
#[derive(Debug)]
struct InForce {
    revocation: Revocation,
    due: Option<Duration>,
}

impl Revocations {
    /// Adds one that is known from this uptime on; the same id again changes nothing.
    ///
    /// It is forgotten no earlier than when as much time has gone by as there was between its making and its end. Of one that
    /// comes from a store it is not known how long ago it was made: the wall clock may have been set at any time since, so
    /// the time is counted anew.
    ///
    /// # Errors
    /// [`TooManyRevocations`].
    pub fn add(&mut self, revocation: Revocation, uptime: Duration) -> Result<(), TooManyRevocations> {
        if self.all.contains_key(&revocation.id) {
            return Ok(());
        }
        if self.all.len() >= REVOCATIONS_MAX {
            return Err(TooManyRevocations);
        }
        self.by_key.entry(Key::of(&revocation.revoked)).or_default().push(revocation.id.clone());
        let due = end(&revocation).map(|end| uptime.saturating_add(end.since(revocation.made_at)));
        self.by_due.extend(due.map(|due| (due, revocation.id.clone())));
        self.all.insert(revocation.id.clone(), InForce { revocation, due });
        Ok(())
    }

    /// Takes one away: what it was about is accepted again.
    pub fn remove(&mut self, id: &RevocationId) -> Option<Revocation> {
        let InForce { revocation, due } = self.all.remove(id)?;
        if let Some(due) = due {
            self.by_due.remove(&(due, id.clone()));
        }
        let key = Key::of(&revocation.revoked);
        if let Some(ids) = self.by_key.get_mut(&key) {
            ids.retain(|it| it != id);
            if ids.is_empty() {
                self.by_key.remove(&key);
            }
        }
        Some(revocation)
    }

    /// Forgets those whose tokens have run out by both clocks, and says which: a wall clock that jumps ahead, or is ahead at
    /// the start, forgets none early whose token would be good again when the clock comes back.
    pub fn forget(&mut self, now: Now) -> Vec<RevocationId> {
        let mut forgotten = Vec::new();
        while let Some((due, id)) = self.by_due.first().cloned()
            && due <= now.uptime
            && forgotten.len() < FORGOTTEN_AT_ONCE
        {
            let Some(it) = self.all.get_mut(&id) else { break };
            match end(&it.revocation).filter(|end| *end > now.wall) {
                // The wall clock went back meanwhile.
                Some(end) => {
                    let later = now.uptime.saturating_add(end.since(now.wall));
                    it.due = Some(later);
                    self.by_due.remove(&(due, id.clone()));
                    self.by_due.insert((later, id));
                }
                None => forgotten.extend(self.remove(&id).map(|it| it.id)),
            }
        }
        forgotten
    }

    /// Makes room for one more where there is none: those go that are over by the wall clock alone, the longest over first.
    /// Says which.
    pub fn make_room(&mut self, wall: Timestamp) -> Vec<RevocationId> {
        if self.all.len() < REVOCATIONS_MAX {
            return Vec::new();
        }
        let ends = self.all.values().filter_map(|it| Some((end(&it.revocation)?, &it.revocation.id)));
        let over: BTreeSet<_> = ends.filter(|(end, _id)| *end <= wall).collect();
        let ids: Vec<RevocationId> =
            over.into_iter().take(FORGOTTEN_AT_ONCE).map(|(_end, id)| id.clone()).collect();
        for id in &ids {
            self.remove(id);
        }
        ids
    }

    /// Whether it has to be looked at what can be forgotten.
    pub fn has_over(&self, now: Now) -> bool {
        self.by_due.first().is_some_and(|(due, _id)| *due <= now.uptime)
    }

    /// The first that is about this token.
    pub fn find(&self, identity: &Identity) -> Option<&Revocation> {
        let token = identity.token_id.clone().map(Key::Token);
        let keys = [token, Some(Key::Subject(Arc::clone(&identity.user.subject))), Some(Key::Everybody)];
        keys.into_iter()
            .flatten()
            .filter_map(|key| self.by_key.get(&key))
            .flatten()
            .filter_map(|id| self.all.get(id).map(|it| &it.revocation))
            .find(|revocation| revocation.concerns(identity))
    }

    /// All of them, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Revocation> {
        self.all.values().map(|it| &it.revocation)
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

    /// This far after the start, and what the wall clock says then.
    fn now(uptime_secs: u64, wall_secs: f64) -> Now {
        Now { wall: at(wall_secs), uptime: Duration::from_secs(uptime_secs) }
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
            revocations.add(revocation("r", revoked.clone(), None), Duration::ZERO).unwrap();
            assert_eq!(revocations.find(&alice()).is_some(), expected, "{revoked:?}");
        }
    }

    #[test]
    fn what_is_taken_away_or_over_is_accepted_again() {
        let mut revocations = Revocations::default();
        let began = Duration::ZERO;
        revocations.add(revocation("by-hand", Revoked::Token("t1".into()), None), began).unwrap();
        revocations.add(revocation("by-time", Revoked::Token("t1".into()), Some(50.0)), began).unwrap();
        assert_eq!(
            revocations.remove(&RevocationId::parse("by-hand").unwrap()).unwrap().id.as_str(),
            "by-hand"
        );
        assert_eq!(revocations.find(&alice()).unwrap().id.as_str(), "by-time");
        assert!(!revocations.has_over(now(54, 54.0)) && revocations.has_over(now(55, 55.0)));
        assert_eq!(revocations.forget(now(54, 54.0)), [], "its token is good for the leeway more");
        assert_eq!(revocations.len(), 1);
        assert_eq!(revocations.forget(now(55, 55.0)), [RevocationId::parse("by-time").unwrap()]);
        assert!(revocations.is_empty() && revocations.find(&alice()).is_none());
        assert!(revocations.by_key.is_empty() && revocations.by_due.is_empty(), "nothing is left behind");
    }

    #[test]
    fn a_wall_clock_that_jumps_forgets_none_early() {
        let two_days = 172_800.0;
        let mut revocations = Revocations::default();
        let revoked = || Revoked::Token("t1".into());
        revocations.add(revocation("r", revoked(), Some(3_600.0)), Duration::from_secs(100)).unwrap();
        // Two days ahead, and back.
        revocations.forget(now(200, two_days));
        assert!(revocations.find(&alice()).is_some(), "a jump ahead makes no revoked token good");
        revocations.forget(now(300, 200.0));
        assert!(revocations.find(&alice()).is_some());
        // An hour back: by the wall clock the token is good for an hour more.
        revocations.forget(now(3_706, 1.0));
        assert!(
            revocations.find(&alice()).is_some(),
            "its time is over by the uptime, and not by the wall clock"
        );
        assert!(!revocations.has_over(now(3_707, 2.0)), "it is not looked at again and again");
        revocations.forget(now(7_310, 3_605.0));
        assert!(revocations.is_empty() && revocations.by_due.is_empty());
        // One that was taken back in between leaves nothing.
        revocations.add(revocation("r", revoked(), Some(two_days)), Duration::from_secs(100)).unwrap();
        revocations.forget(now(172_906, 1.0));
        assert!(revocations.remove(&RevocationId::parse("r").unwrap()).is_some());
        assert!(revocations.by_due.is_empty() && revocations.by_key.is_empty());
    }

    #[test]
    fn what_comes_from_a_store_is_forgotten_by_the_uptime_also_when_the_clock_is_ahead_at_the_start() {
        let mut revocations = Revocations::default();
        // Made at 0 for an hour; the server starts again with a clock that is a year ahead.
        let year = 31_536_000.0;
        revocations.add(revocation("r", Revoked::Token("t1".into()), Some(3_600.0)), Duration::ZERO).unwrap();
        assert_eq!(revocations.forget(now(3_600, year)), []);
        assert!(revocations.find(&alice()).is_some(), "the clock may come back");
        assert_eq!(revocations.forget(now(3_605, year)).len(), 1);
    }

    #[test]
    fn many_that_are_over_go_a_part_at_a_time() {
        let mut revocations = Revocations::default();
        for number in 0..=FORGOTTEN_AT_ONCE {
            let revoked = Revoked::Token(number.to_string().into());
            revocations.add(revocation(&number.to_string(), revoked, Some(1.0)), Duration::ZERO).unwrap();
        }
        assert_eq!(revocations.forget(now(6, 6.0)).len(), FORGOTTEN_AT_ONCE);
        assert_eq!(revocations.forget(now(6, 6.0)).len(), 1);
        assert!(revocations.is_empty() && revocations.by_due.is_empty());
    }

    #[test]
    fn where_there_is_no_room_what_is_over_by_the_wall_clock_makes_some() {
        let mut revocations = Revocations::default();
        for number in 0..REVOCATIONS_MAX {
            let until = match number {
                7 => Some(20.0),
                8 => Some(10.0),
                9 => Some(1_000.0),
                _ => None,
            };
            let revoked = Revoked::Token(number.to_string().into());
            revocations.add(revocation(&number.to_string(), revoked, until), Duration::ZERO).unwrap();
        }
        assert_eq!(revocations.make_room(at(14.9)), []);
        let ids = revocations.make_room(at(100.0));
        assert_eq!(ids.iter().map(RevocationId::as_str).collect::<Vec<_>>(), ["8", "7"]);
        assert_eq!(revocations.len(), REVOCATIONS_MAX - 2);
        assert_eq!(revocations.make_room(at(5_000.0)), [], "there is room: nothing goes before its time");
    }

    #[test]
    fn there_are_at_most_so_many() {
        let mut revocations = Revocations::default();
        for number in 0..REVOCATIONS_MAX {
            let revoked = Revoked::Token(number.to_string().into());
            revocations.add(revocation(&number.to_string(), revoked, None), Duration::ZERO).unwrap();
        }
        let one_more = revocation("more", Revoked::Token("more".into()), None);
        assert_eq!(revocations.add(one_more, Duration::ZERO), Err(TooManyRevocations));
        let known = revocation("7", Revoked::Token("7".into()), None);
        assert_eq!(revocations.add(known, Duration::ZERO), Ok(()));
    }
}
