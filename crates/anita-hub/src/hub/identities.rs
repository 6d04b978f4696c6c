//! Whose tokens are not accepted any more, and whose connections end with them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anita_auth::{Principal, Revocations};
use anita_model::{Now, Revocation, RevocationId, UserId};
use anita_store::Record;
use anita_wire::{CloseCode, ErrorCode, Refusal};

use super::{Hub, Kept};

/// The revocations that a store remembers, without those that are over: a store has them until it is tidied.
pub(super) fn restored(remembered: Vec<Revocation>, now: Now) -> Revocations {
    let mut revocations = Revocations::default();
    for revocation in remembered.into_iter().filter(|it| it.until.is_none_or(|until| until > now.wall)) {
        if let Err(error) = revocations.add(revocation, now) {
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
        let since = Now { wall: revocation.made_at, uptime };
        let mut revocations = self.revocations.write();
        revocations.add(revocation.clone(), since).map_err(|error| {
            let message = format!("There {}.", error.to_string().trim_start_matches("there "));
            Refusal::saying(ErrorCode::LimitReached, message)
        })?;
        // Within the lock: the store hears what is said of one id in the same order.
        let kept = self.kept([self.writer.entrust(vec![Record::Revoke(revocation.clone())])]);
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

    /// Forgets revocations whose tokens have run out. The store does the same by itself, when it is tidied.
    pub(super) fn forget_revocations(&self, now: Now) {
        if self.revocations.read().has_over(now) {
            self.revocations.write().forget(now);
        }
        let count = self.revocations.read().len();
        self.metrics.revocations.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use anita_model::{Revoked, Timestamp};

    use super::*;

    #[test]
    fn what_is_over_takes_no_place_at_a_start() {
        let at = |secs| Timestamp::from_secs_f64(secs).unwrap();
        let revocation = |id: &str, until: Option<f64>| Revocation {
            id: RevocationId::parse(id).unwrap(),
            revoked: Revoked::Token(id.into()),
            issuer: None,
            made_at: at(0.0),
            until: until.map(at),
            made_by: "admin".into(),
            reason: "".into(),
        };
        let remembered =
            vec![revocation("over", Some(10.0)), revocation("on", Some(10.5)), revocation("always", None)];
        let now = Now { wall: at(10.0), uptime: Duration::ZERO };
        let ids: Vec<String> = restored(remembered, now).iter().map(|it| it.id.to_string()).collect();
        assert_eq!(ids, ["always", "on"]);
    }
}
