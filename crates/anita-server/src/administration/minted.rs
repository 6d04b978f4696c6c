//! The tokens that this server made and that have not run out: what they are, never the tokens themselves. In memory: the
//! audit trail has them for good.

use std::collections::BTreeMap;
use std::sync::Arc;

use anita_auth::{LEEWAY, Principal};
use anita_model::{Timestamp, UserId};
use parking_lot::Mutex;

/// How many are known at a time. One more is not made: what nobody can list, nobody can revoke.
pub(crate) const MINTED_MAX: usize = 10_000;

/// How many of one maker: whoever makes one more and more leaves room for others.
pub(crate) const MINTED_PER_MAKER_MAX: usize = 2_000;

/// Why there is no room for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// There are as many as there may be.
    Full,
    /// There are as many of its maker as there may be.
    FullOfMaker,
}

/// A token that was made here.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MintedToken {
    /// Whose it is, as whoever shows it is judged; without its patterns, which are large to hold.
    pub(crate) principal: Principal,
    /// Globs of the devices; all when absent.
    pub(crate) devices: Option<Vec<String>>,
    /// Globs of the rooms; all when absent.
    pub(crate) rooms: Option<Vec<String>>,
    /// Who made it.
    pub(crate) made_by: UserId,
    /// When.
    pub(crate) made_at: Timestamp,
}

/// The tokens that were made, by their ids.
#[derive(Debug)]
pub(crate) struct Minted {
    tokens: Mutex<BTreeMap<Arc<str>, MintedToken>>,
    max: usize,
    per_maker_max: usize,
}

impl Default for Minted {
    fn default() -> Self {
        Self { tokens: Mutex::default(), max: MINTED_MAX, per_maker_max: MINTED_PER_MAKER_MAX }
    }
}

/// A page of them, in the order of their ids.
#[derive(Debug)]
pub(crate) struct MintedPage {
    pub(crate) tokens: Vec<(Arc<str>, MintedToken)>,
    /// How many there are on all pages.
    pub(crate) total: usize,
    pub(crate) has_more: bool,
}

impl Minted {
    /// Takes note of one, before anybody gets it, if there is room; those that have run out take none, and neither do those
    /// that are not accepted any more.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub(crate) fn add(
        &self,
        id: Arc<str>,
        token: MintedToken,
        now: Timestamp,
        is_revoked: impl Fn(&Principal) -> bool,
    ) -> Result<(), NoRoom> {
        let mut tokens = self.tokens.lock();
        let judged = |tokens: &BTreeMap<Arc<str>, MintedToken>| {
            if tokens.len() >= self.max {
                return Err(NoRoom::Full);
            }
            let of_maker = tokens.values().filter(|it| it.made_by == token.made_by).count();
            if of_maker >= self.per_maker_max { Err(NoRoom::FullOfMaker) } else { Ok(()) }
        };
        if judged(&tokens).is_err() {
            tokens.retain(|_id, it| is_valid(it, now) && !is_revoked(&it.principal));
            judged(&tokens)?;
        }
        tokens.insert(id, token);
        Ok(())
    }

    /// Those after an id that are shown and have not run out.
    pub(crate) fn page(
        &self,
        (after, limit): (Option<&str>, usize),
        now: Timestamp,
        is_shown: impl Fn(&MintedToken) -> bool,
    ) -> MintedPage {
        let mut tokens = self.tokens.lock();
        tokens.retain(|_id, it| is_valid(it, now));
        let shown = || tokens.iter().filter(|(_id, it)| is_shown(it));
        let total = shown().count();
        let rest = shown().filter(|(id, _it)| after.is_none_or(|after| &***id > after));
        let mut page: Vec<_> = rest.take(limit + 1).map(|(id, it)| (Arc::clone(id), it.clone())).collect();
        let has_more = page.len() > limit;
        page.truncate(limit);
        MintedPage { tokens: page, total, has_more }
    }
}

/// Whether anybody would be let in with it.
fn is_valid(token: &MintedToken, now: Timestamp) -> bool {
    token.principal.expires_at.plus(LEEWAY) > now
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anita_auth::{Patterns, Permissions};
    use anita_model::Identity;

    use super::*;

    const START: Timestamp = Timestamp::UNIX_EPOCH;

    fn token(subject: &str, ttl_secs: u64) -> MintedToken {
        let user = UserId { issuer: "anita".into(), subject: subject.into() };
        let identity = Identity { user: user.clone(), token_id: None, issued_at: None };
        MintedToken {
            principal: Principal {
                identity: Arc::new(identity),
                roles: Vec::new(),
                permissions: Permissions::NONE,
                devices: Patterns::all(),
                rooms: Patterns::all(),
                expires_at: START.plus(Duration::from_secs(ttl_secs)),
            },
            devices: None,
            rooms: None,
            made_by: user,
            made_at: START,
        }
    }

    fn add(minted: &Minted, id: &str, token: MintedToken, at_secs: u64) -> bool {
        let now = START.plus(Duration::from_secs(at_secs));
        minted.add(id.into(), token, now, |it| it.subject() == "revoked").is_ok()
    }

    #[test]
    fn one_maker_leaves_room_for_others() {
        let minted = Minted { max: 5, per_maker_max: 2, ..Minted::default() };
        let of = |maker: &str, subject: &str| MintedToken {
            made_by: token(maker, 1).made_by,
            ..token(subject, 100)
        };
        assert!(add(&minted, "a", of("greedy", "a"), 0) && add(&minted, "b", of("greedy", "revoked"), 0));
        assert!(add(&minted, "c", of("greedy", "c"), 0), "the revoked one takes no place");
        let refused = minted.add("d".into(), of("greedy", "d"), START, |_it| false);
        assert_eq!(refused, Err(NoRoom::FullOfMaker));
        assert!(add(&minted, "d", of("other", "d"), 0) && add(&minted, "e", of("other", "e"), 0));
        assert!(add(&minted, "f", of("third", "f"), 0));
        assert_eq!(minted.add("g".into(), of("fourth", "g"), START, |_it| false), Err(NoRoom::Full));
    }

    #[test]
    fn they_come_in_pages_and_are_gone_when_they_have_run_out() {
        let minted = Minted::default();
        for (id, ttl_secs) in [("b", 10), ("a", 100), ("d", 100), ("c", 100)] {
            assert!(add(&minted, id, token(id, ttl_secs), 0));
        }
        let page = |after: Option<&str>, limit, at_secs| {
            let now = START.plus(Duration::from_secs(at_secs));
            let page = minted.page((after, limit), now, |it| it.principal.subject() != "d");
            let ids: Vec<String> = page.tokens.iter().map(|(id, _it)| id.to_string()).collect();
            (ids.join(" "), page.total, page.has_more)
        };
        assert_eq!(page(None, 2, 14), ("a b".to_owned(), 3, true), "the leeway");
        assert_eq!(page(Some("b"), 2, 14), ("c".to_owned(), 3, false));
        assert_eq!(page(None, 2, 15), ("a c".to_owned(), 2, false));
    }

    #[test]
    fn there_is_room_again_when_some_ran_out_or_were_revoked() {
        let minted = Minted { max: 2, ..Minted::default() };
        assert!(add(&minted, "a", token("a", 10), 0) && add(&minted, "b", token("revoked", 100), 0));
        assert!(add(&minted, "c", token("c", 100), 0), "the revoked one takes no place");
        assert!(!add(&minted, "d", token("d", 100), 0));
        assert!(add(&minted, "d", token("d", 100), 15));
        assert!(!add(&minted, "e", token("e", 100), 15));
    }
}
