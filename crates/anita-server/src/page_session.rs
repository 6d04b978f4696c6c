//! Sessions of pages: a random cookie that stands for a verified token, kept in memory until the token runs out.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use anita_auth::{LEEWAY, Principal};
use anita_hub::{Peer, random_token};
use anita_model::Now;
use anita_wire::CloseCode;
use parking_lot::Mutex;

/// The cookie's name.
pub(crate) const COOKIE: &str = "anita_session";

/// The most sessions at once.
const SESSIONS_MAX: usize = 10_000;

/// The most sessions of one subject: one more ends its oldest.
const SESSIONS_PER_SUBJECT_MAX: usize = 16;

/// By how much the wall clock may drift before the end of a session is said anew.
const DRIFT_MAX: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Page {
    /// Counts up, so that the oldest is known.
    number: u64,
    principal: Principal,
    /// When its token has run out, by the uptime: a jump of the wall clock signs nobody out.
    expires_at: Duration,
    /// The sockets that were opened with it; they end with it.
    peers: Vec<Weak<Peer>>,
}

/// The sessions of pages.
#[derive(Debug, Default)]
pub struct PageSessions {
    pages: Mutex<HashMap<String, Page>>,
    begun: AtomicU64,
}

impl Page {
    /// Whose it is at this moment. When that ends is said by the wall clock as it is now, so that it is the same moment
    /// for whoever goes on with it.
    fn principal(&self, now: Now) -> Option<Principal> {
        let left = self.expires_at.checked_sub(now.uptime).filter(|left| !left.is_zero())?;
        let mut principal = self.principal.clone();
        let ends = now.wall.plus(left).minus(LEEWAY);
        if ends.since(principal.expires_at).max(principal.expires_at.since(ends)) > DRIFT_MAX {
            principal.expires_at = ends;
        }
        Some(principal)
    }

    /// Ends its sockets.
    fn close(self) {
        self.peers.iter().filter_map(Weak::upgrade).for_each(|peer| peer.close(CloseCode::LoggedOut));
    }
}

impl PageSessions {
    /// Begins a session. `None` when there are as many as there may be.
    pub(crate) fn begin(&self, principal: Principal, now: Now) -> Option<String> {
        let mut pages = self.pages.lock();
        if pages.len() >= SESSIONS_MAX {
            pages.retain(|_id, page| now.uptime < page.expires_at);
        }
        if pages.len() >= SESSIONS_MAX {
            return None;
        }
        let of_subject =
            |(_id, page): &(&String, &Page)| page.principal.identity.user == principal.identity.user;
        if pages.iter().filter(of_subject).count() >= SESSIONS_PER_SUBJECT_MAX {
            let oldest = pages.iter().filter(of_subject).min_by_key(|(_id, page)| page.number);
            let oldest = oldest.map(|(id, _page)| id.clone());
            oldest.and_then(|id| pages.remove(&id)).into_iter().for_each(Page::close);
        }
        let id = random_token(32);
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let expires_at = now.uptime.saturating_add(principal.expires_at.plus(LEEWAY).since(now.wall));
        pages.insert(id.clone(), Page { number, principal, expires_at, peers: Vec::new() });
        Some(id)
    }

    /// Whose session it is.
    pub(crate) fn principal(&self, id: &str, now: Now) -> Option<Principal> {
        let mut pages = self.pages.lock();
        let principal = pages.get(id)?.principal(now);
        if principal.is_none() {
            pages.remove(id);
        }
        principal
    }

    /// Remembers a socket of a session. Says whether the session is still there.
    pub(crate) fn attach(&self, id: &str, peer: &Arc<Peer>) -> bool {
        let mut pages = self.pages.lock();
        let Some(page) = pages.get_mut(id) else { return false };
        page.peers.retain(|peer| peer.strong_count() > 0);
        page.peers.push(Arc::downgrade(peer));
        true
    }

    /// Ends the sessions of which this is true, and their sockets. Returns how many there were.
    pub(crate) fn end_where(&self, is_meant: impl Fn(&Principal) -> bool) -> usize {
        let ended: Vec<Page> = {
            let mut pages = self.pages.lock();
            pages.extract_if(|_id, page| is_meant(&page.principal)).map(|(_id, page)| page).collect()
        };
        let count = ended.len();
        ended.into_iter().for_each(Page::close);
        count
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.pages.lock().len()
    }

    /// Ends a session and its sockets.
    pub(crate) fn end(&self, id: &str) {
        if let Some(page) = self.pages.lock().remove(id) {
            page.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use anita_auth::{Patterns, Permissions};
    use anita_model::{Identity, Timestamp, UserId};

    use super::*;

    fn now(uptime_secs: u64, wall_secs: u32) -> Now {
        let wall = Timestamp::from_secs_f64(f64::from(wall_secs)).unwrap();
        Now { wall, uptime: Duration::from_secs(uptime_secs) }
    }

    /// Somebody whose token runs out, by the wall clock.
    fn until(wall_secs: u32) -> Principal {
        Principal {
            identity: Arc::new(Identity {
                user: UserId { issuer: "anita".into(), subject: "alice".into() },
                token_id: None,
                issued_at: None,
            }),
            roles: Vec::new(),
            permissions: Permissions::default(),
            devices: Patterns::all(),
            rooms: Patterns::all(),
            expires_at: now(0, wall_secs).wall,
        }
    }

    #[test]
    fn a_session_lasts_as_long_as_its_token_whatever_the_wall_clock_does() {
        let pages = PageSessions::default();
        let id = pages.begin(until(13_600), now(10, 10_000)).unwrap();
        let left = |now: Now| pages.principal(&id, now).map(|it| it.expires_at.since(now.wall).as_secs());
        assert_eq!(left(now(10, 10_000)), Some(3_600));
        assert_eq!(left(now(20, 182_800)), Some(3_590), "two days ahead");
        assert_eq!(left(now(30, 20)), Some(3_580), "and far back");
        assert_eq!(left(now(3_614, 10)), Some(0), "within the leeway");
        assert_eq!(left(now(3_615, 10)), None);
        assert_eq!(pages.count(), 0, "nothing is left of it");
    }
}
