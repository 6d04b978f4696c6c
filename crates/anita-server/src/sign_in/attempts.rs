//! Who was sent to an issuer and has not come back yet.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::guests::Neighbour;

/// How long somebody may take to sign in at the issuer.
pub(super) const ATTEMPT_TTL: Duration = Duration::from_secs(600);

/// The most that are under way at once.
const ATTEMPTS_MAX: usize = 10_000;

/// The most of one address: one more takes the place of its oldest.
const ATTEMPTS_PER_ADDRESS_MAX: usize = 1_000;

/// What a state or a browser is found by: who measures how long it takes learns nothing of it.
pub(super) type Hash = [u8; 32];

pub(super) fn hash(text: &str) -> Hash {
    Sha256::digest(text).into()
}

/// Somebody who was sent to an issuer.
pub(super) struct Attempt {
    /// By which way.
    pub(super) way: String,
    /// The browser.
    pub(super) binding: Hash,
    /// What the ID token has to repeat.
    pub(super) nonce: String,
    /// What is shown with the code (RFC 7636).
    pub(super) verifier: String,
    /// Where the browser goes afterwards: a path of the page.
    pub(super) return_to: String,
    /// Whether the issuer has to say who it is.
    pub(super) names_itself: bool,
    /// When it is over, by the uptime.
    pub(super) expires_at: Duration,
}

/// All of them, by the hash of their state.
#[derive(Default)]
pub(crate) struct Attempts {
    kept: Mutex<HashMap<Hash, (Neighbour, Attempt)>>,
}

impl std::fmt::Debug for Attempts {
    /// Nothing of them is anybody's business.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempts").finish_non_exhaustive()
    }
}

impl Attempts {
    /// Somebody is sent to an issuer.
    ///
    /// # Errors
    /// When as many as may be are there already.
    pub(super) fn insert(
        &self,
        state: &str,
        attempt: Attempt,
        address: IpAddr,
        uptime: Duration,
    ) -> Result<(), ()> {
        let neighbour = Neighbour::from(address);
        let mut kept = self.kept.lock();
        kept.retain(|_state, (_neighbour, attempt)| uptime < attempt.expires_at);
        let of_address = || kept.iter().filter(|(_state, (it, _attempt))| *it == neighbour);
        if of_address().count() >= ATTEMPTS_PER_ADDRESS_MAX {
            let oldest = of_address().min_by_key(|(_state, (_neighbour, attempt))| attempt.expires_at);
            let oldest = oldest.map(|(state, _attempt)| *state);
            oldest.and_then(|state| kept.remove(&state));
        }
        if kept.len() >= ATTEMPTS_MAX {
            return Err(());
        }
        kept.insert(hash(state), (neighbour, attempt));
        Ok(())
    }

    /// Somebody came back with this state: whom it belongs to, if it is not over. It is used up.
    pub(super) fn take(&self, state: &str, uptime: Duration) -> Option<Attempt> {
        let (_neighbour, attempt) = self.kept.lock().remove(&hash(state))?;
        (uptime < attempt.expires_at).then_some(attempt)
    }

    /// Whether this browser is expected back.
    pub(super) fn is_bound(&self, binding: &Hash, uptime: Duration) -> bool {
        let kept = self.kept.lock();
        kept.values().any(|(_neighbour, attempt)| attempt.binding == *binding && uptime < attempt.expires_at)
    }

    /// How many are under way.
    pub(crate) fn count(&self, uptime: Duration) -> usize {
        let mut kept = self.kept.lock();
        kept.retain(|_state, (_neighbour, attempt)| uptime < attempt.expires_at);
        kept.len()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn attempt(binding: &str, expires_at_secs: u64) -> Attempt {
        Attempt {
            way: "oidc".to_owned(),
            binding: hash(binding),
            nonce: String::new(),
            verifier: String::new(),
            return_to: "/".to_owned(),
            names_itself: false,
            expires_at: Duration::from_secs(expires_at_secs),
        }
    }

    const fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from(0x0a00_0000 + number).into()
    }

    #[test]
    fn a_state_is_good_once_and_for_a_while() {
        let attempts = Attempts::default();
        for state in ["a", "b"] {
            attempts.insert(state, attempt("browser", 600), address(1), at(0)).unwrap();
        }
        assert!(attempts.is_bound(&hash("browser"), at(599)) && !attempts.is_bound(&hash("other"), at(0)));
        assert!(attempts.take("c", at(1)).is_none(), "nobody was sent with it");
        assert!(attempts.take("a", at(599)).is_some());
        assert!(attempts.take("a", at(599)).is_none(), "it is used up");
        assert!(!attempts.is_bound(&hash("browser"), at(600)));
        assert!(attempts.take("b", at(600)).is_none(), "it is over");
        attempts.insert("d", attempt("browser", 600), address(1), at(0)).unwrap();
        assert_eq!((attempts.count(at(599)), attempts.count(at(600))), (1, 0));
    }

    #[test]
    fn one_address_has_some_places_and_no_more_than_those() {
        let attempts = Attempts::default();
        let insert = |state: &str, number: u32, secs: u64| {
            attempts.insert(state, attempt(state, secs), address(number), at(0))
        };
        insert("victim", 0, 600).unwrap();
        for number in 0..=u32::try_from(ATTEMPTS_PER_ADDRESS_MAX).unwrap() {
            insert(&format!("flood-{number}"), 1, 601 + u64::from(number)).unwrap();
        }
        assert_eq!(attempts.count(at(0)), ATTEMPTS_PER_ADDRESS_MAX + 1);
        assert!(attempts.take("flood-0", at(0)).is_none(), "the oldest made room");
        assert!(attempts.take("flood-1", at(0)).is_some());
        assert!(attempts.take("victim", at(0)).is_some());
    }

    #[test]
    fn all_together_have_a_bound() {
        let attempts = Attempts::default();
        {
            let mut kept = attempts.kept.lock();
            for number in 0..u32::try_from(ATTEMPTS_MAX).unwrap() {
                kept.insert(hash(&number.to_string()), (address(number).into(), attempt("x", 600)));
            }
        }
        assert_eq!(attempts.insert("one more", attempt("x", 700), address(20_000), at(0)), Err(()));
        assert_eq!(attempts.insert("later", attempt("x", 1_200), address(20_000), at(600)), Ok(()));
    }
}
