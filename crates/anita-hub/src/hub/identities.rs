//! Whose tokens are not accepted any more, and whose connections end with them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anita_auth::{Principal, Revocations};
use anita_model::{Now, Revocation, RevocationId, UserId};
use anita_store::Record;
use anita_wire::{CloseCode, ErrorCode, Refusal};

use super::{Hub, Kept};

/// The revocations that a store remembers: also those that are over by the wall clock, which may be wrong at a start.
pub(super) fn restored(remembered: Vec<Revocation>, now: Now) -> Revocations {
    let mut revocations = Revocations::default();
    for revocation in remembered {
        if let Err(error) = revocations.add(revocation, now.uptime) {
            // No more than these were accepted.
            tracing::error!(%error, "a revocation of the store is not in force");
        }
    }
    revocations
}

impl Hub {
    /// From now on some tokens are not accepted any more. It holds at once, whether or not the store takes it, and ends
    /// the connections that came in with such a token. Returns how many these were.
    ///
    /// # Errors
    /// The refusal for whoever wants it, when there are too many.
    pub fn revoke(&self, revocation: &Revocation) -> Result<(usize, Kept), Refusal> {
        let uptime = Duration::from_micros(self.uptime_us.load(Ordering::Relaxed));
        let mut revocations = self.revocations.write();
        let gone = revocations.make_room(revocation.made_at);
        let added = revocations.add(revocation.clone(), uptime);
        let mut words: Vec<Record> = gone.into_iter().map(Record::Unrevoke).collect();
        added.map_err(|error| {
            let message = format!("There {}.", error.to_string().trim_start_matches("there "));
            Refusal::saying(ErrorCode::LimitReached, message)
        })?;
        words.push(Record::Revoke(revocation.clone()));
        // Within the lock: the store hears what is said of one id in the same order.
        let kept = self.kept([self.writer.entrust(words)]);
        drop(revocations);
        // A connection says who it is before it asks whether that is revoked: one of the two sees the other.
        let closed = self.connections.close_where(CloseCode::LoggedOut, |it| revocation.concerns(it));
        Ok((closed, kept))
    }

    /// Takes a revocation back. `None` when there is none of this id.
    pub fn unrevoke(&self, id: &RevocationId) -> Option<(Revocation, Kept)> {
        let mut revocations = self.revocations.write();
        let removed = revocations.remove(id)?;
        Some((removed, self.kept([self.writer.entrust(vec![Record::Unrevoke(id.clone())])])))
    }

    /// The revocations that are in force, in the order of their ids.
    pub fn revocations(&self) -> Vec<Revocation> {
        self.revocations.read().iter().cloned().collect()
    }

    /// Whether a principal's token is not accepted any more.
    pub fn is_revoked(&self, principal: &Principal) -> bool {
        self.revocations.read().find(&principal.identity).is_some()
    }

    /// Ends every connection of a user: a logout. Returns how many there were.
    pub fn log_out(&self, user: &UserId) -> usize {
        self.connections.close_where(CloseCode::LoggedOut, |identity| identity.user == *user)
    }

    /// Forgets revocations whose tokens have certainly run out, here and in the store: that has no clock of its own for it.
    pub(super) fn forget_revocations(&self, now: Now) {
        if self.revocations.read().has_over(now) {
            let mut revocations = self.revocations.write();
            let forgotten = revocations.forget(now);
            if !forgotten.is_empty() {
                drop(self.writer.entrust(forgotten.into_iter().map(Record::Unrevoke).collect()));
            }
        }
        let count = self.revocations.read().len();
        self.metrics.revocations.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use anita_model::{Revoked, Timestamp};

    use super::*;

    fn at(secs: f64) -> Timestamp {
        Timestamp::from_secs_f64(secs).unwrap()
    }

    fn revocation(id: &str, until: Option<f64>) -> Revocation {
        Revocation {
            id: RevocationId::parse(id).unwrap(),
            revoked: Revoked::Token(id.into()),
            issuer: None,
            made_at: at(0.0),
            until: until.map(at),
            made_by: "admin".into(),
            reason: "".into(),
        }
    }

    #[test]
    fn a_clock_that_is_ahead_at_the_start_takes_no_revocation_out_of_force() {
        let remembered = vec![revocation("over", Some(10.0)), revocation("always", None)];
        let now = Now { wall: at(1e9), uptime: Duration::from_secs(1) };
        let ids: Vec<String> = restored(remembered, now).iter().map(|it| it.id.to_string()).collect();
        assert_eq!(ids, ["always", "over"]);
    }
}
