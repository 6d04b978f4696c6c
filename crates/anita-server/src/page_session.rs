//! Sessions of pages: a random cookie that stands for a verified token, kept in memory until the token runs out.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use anita_auth::{LEEWAY, Principal};
use anita_hub::{Peer, random_token};
use anita_issuers::{Secret, SignedIn};
use anita_model::Now;
use anita_wire::CloseCode;
use parking_lot::Mutex;

/// The cookie's name.
pub(crate) const COOKIE: &str = "anita_session";

/// The most sessions at once.
const SESSIONS_MAX: usize = 10_000;

/// The most sessions of one subject: one more ends its oldest.
const SESSIONS_PER_SUBJECT_MAX: usize = 16;

/// How long a session lasts at most that is renewed again and again: then its user signs in anew.
pub(crate) const RENEWED_SESSION_MAX: Duration = Duration::from_secs(12 * 3_600);

/// How long before its end a session is renewed, or a quarter of its time if that is less.
const RENEWED_BEFORE: Duration = Duration::from_secs(60);

/// A session that nobody used for so long is not renewed.
const UNUSED_MAX: Duration = Duration::from_secs(600);

/// When a session is tried again that could not be renewed.
const RENEWED_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// By how much the wall clock may drift before the end of a session is said anew.
const DRIFT_MAX: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Page {
    /// Counts up, so that the oldest is known.
    number: u64,
    principal: Principal,
    /// When its token has run out, by the uptime: a jump of the wall clock signs nobody out, and lets nobody stay. A time in
    /// which the machine was suspended counts ([`crate::clock`]).
    expires_at: Duration,
    /// The sockets that were opened with it; they end with it.
    peers: Vec<Weak<Peer>>,
    /// When it was used last, by the uptime.
    used_at: Duration,
    /// What it is renewed with, if it can be.
    renewal: Option<Renewal>,
    /// Where its user signs out at the issuer as well, if that is wanted.
    sign_out_at: Option<String>,
}

/// What a session is renewed with.
#[derive(Debug)]
struct Renewal {
    /// The way its user came by.
    way: String,
    refresh_token: Secret,
    /// When to do it, by the uptime; never while it is being done.
    due_at: Duration,
    /// When the session is over nevertheless.
    ends_at: Duration,
}

/// A session that is to be renewed now.
#[derive(Debug)]
pub(crate) struct DueRenewal {
    /// Which.
    pub(crate) id: String,
    /// The way its user came by.
    pub(crate) way: String,
    /// What the issuer gave for it.
    pub(crate) refresh_token: Secret,
    /// Whose it is.
    pub(crate) principal: Principal,
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

    /// Whether anybody has something of it: a socket, or a request a while ago.
    fn is_used(&self, uptime: Duration) -> bool {
        uptime.saturating_sub(self.used_at) < UNUSED_MAX
            || self.peers.iter().any(|peer| peer.strong_count() > 0)
    }

    /// Takes whom the session stands for from now on.
    fn take(&mut self, principal: Principal, now: Now) {
        let left = principal.expires_at.plus(LEEWAY).since(now.wall);
        let most = self.renewal.as_ref().map_or(left, |it| it.ends_at.saturating_sub(now.uptime));
        let left = left.min(most);
        self.expires_at = now.uptime.saturating_add(left);
        self.principal = principal;
        if let Some(renewal) = &mut self.renewal {
            let before = RENEWED_BEFORE.min(left / 4);
            renewal.due_at = now.uptime.saturating_add(left.saturating_sub(before));
        }
    }

    /// Ends its sockets.
    fn close(self) {
        self.peers.iter().filter_map(Weak::upgrade).for_each(|peer| peer.close(CloseCode::LoggedOut));
    }
}

impl PageSessions {
    /// Begins a session. `None` when there are as many as there may be.
    pub(crate) fn begin(&self, principal: Principal, now: Now) -> Option<String> {
        self.begin_with(principal, None, None, now)
    }

    /// Begins the session of somebody who came by a way to sign in; it is renewed if the issuer lets it be.
    pub(crate) fn begin_by(
        &self,
        way: &str,
        signed_in: SignedIn,
        sign_out_at: Option<String>,
        now: Now,
    ) -> Option<String> {
        let renewal = signed_in.refresh_token.map(|refresh_token| Renewal {
            way: way.to_owned(),
            refresh_token,
            due_at: Duration::MAX,
            ends_at: now.uptime.saturating_add(RENEWED_SESSION_MAX),
        });
        self.begin_with(signed_in.principal, renewal, sign_out_at, now)
    }

    fn begin_with(
        &self,
        principal: Principal,
        renewal: Option<Renewal>,
        sign_out_at: Option<String>,
        now: Now,
    ) -> Option<String> {
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
        let mut page = Page {
            number,
            principal: principal.clone(),
            expires_at: Duration::ZERO,
            peers: Vec::new(),
            used_at: now.uptime,
            renewal,
            sign_out_at,
        };
        page.take(principal, now);
        pages.insert(id.clone(), page);
        Some(id)
    }

    /// Sessions that are to be renewed now, at most so many. Each is given once, until what became of it is said.
    pub(crate) fn due(&self, most: usize, now: Now) -> Vec<DueRenewal> {
        let mut pages = self.pages.lock();
        let due = pages.iter_mut().filter_map(|(id, page)| {
            let is_used = page.is_used(now.uptime);
            let is_over = now.uptime >= page.expires_at;
            let renewal = page.renewal.as_mut()?;
            if now.uptime < renewal.due_at || is_over || !is_used {
                return None;
            }
            renewal.due_at = Duration::MAX;
            Some(DueRenewal {
                id: id.clone(),
                way: renewal.way.clone(),
                refresh_token: renewal.refresh_token.clone(),
                principal: page.principal.clone(),
            })
        });
        due.take(most).collect()
    }

    /// A session goes on with fresh tokens, and its sockets with it. Nothing happens if it ended meanwhile.
    pub(crate) fn renewed(&self, id: &str, fresh: SignedIn, now: Now) {
        let mut pages = self.pages.lock();
        let Some(page) = pages.get_mut(id) else { return };
        if let (Some(renewal), Some(refresh_token)) = (&mut page.renewal, fresh.refresh_token) {
            renewal.refresh_token = refresh_token;
        }
        page.take(fresh.principal, now);
        let Some(principal) = page.principal(now) else { return };
        let peers = page.peers.iter().filter_map(Weak::upgrade);
        peers.for_each(|peer| peer.renew(principal.clone()));
    }

    /// A session could not be renewed just now.
    pub(crate) fn renew_later(&self, id: &str, now: Now) {
        if let Some(renewal) = self.pages.lock().get_mut(id).and_then(|page| page.renewal.as_mut()) {
            renewal.due_at = now.uptime.saturating_add(RENEWED_AGAIN_AFTER);
        }
    }

    /// A session can't be renewed any more: it ends with its token.
    pub(crate) fn renew_never(&self, id: &str) {
        if let Some(page) = self.pages.lock().get_mut(id) {
            page.renewal = None;
        }
    }

    /// Whose session it is.
    pub(crate) fn principal(&self, id: &str, now: Now) -> Option<Principal> {
        let mut pages = self.pages.lock();
        let page = pages.get_mut(id)?;
        page.used_at = now.uptime;
        let principal = page.principal(now);
        if principal.is_none() {
            pages.remove(id);
        }
        principal
    }

    /// Where its user signs out at the issuer as well, if that is wanted.
    pub(crate) fn sign_out_at(&self, id: &str) -> Option<String> {
        self.pages.lock().get(id)?.sign_out_at.clone()
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

/// The line that gives a page its session.
pub(crate) fn set_cookie(id: &str, max_age: Duration, secure: &'static str) -> String {
    let max_age_secs = max_age.as_secs();
    format!("{COOKIE}={id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age_secs}{secure}")
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

    fn signed_in(wall_secs: u32, refresh_token: &str) -> SignedIn {
        SignedIn { principal: until(wall_secs), refresh_token: Some(Secret::new(refresh_token)) }
    }

    fn due(pages: &PageSessions, now: Now) -> Vec<Vec<u8>> {
        pages.due(10, now).into_iter().map(|due| due.refresh_token.expose().to_vec()).collect()
    }

    #[test]
    fn a_session_is_renewed_before_its_end_once_at_a_time_and_not_for_ever() {
        let pages = PageSessions::default();
        let id = pages.begin_by("oidc", signed_in(10_300, "r1"), None, now(0, 10_000)).unwrap();
        assert!(due(&pages, now(244, 10_244)).is_empty());
        assert_eq!(due(&pages, now(245, 10_245)), [b"r1"]);
        assert!(due(&pages, now(246, 10_246)).is_empty(), "it is under way");
        pages.renew_later(&id, now(246, 10_246));
        assert!(due(&pages, now(250, 10_250)).is_empty());
        assert_eq!(due(&pages, now(251, 10_251)), [b"r1"]);
        pages.renewed(&id, signed_in(10_560, "r2"), now(260, 10_260));
        assert!(pages.principal(&id, now(400, 10_400)).is_some(), "it goes on");
        assert_eq!(due(&pages, now(505, 10_505)), [b"r2"]);

        // The last renewal before the twelve hours are over gets no more than what is left of them.
        pages.renewed(&id, signed_in(53_299, "r3"), now(43_000, 53_000));
        assert!(pages.principal(&id, now(43_199, 53_199)).is_some());
        assert!(pages.principal(&id, now(43_200, 53_200)).is_none());
    }

    #[test]
    fn a_session_that_nobody_uses_or_that_the_issuer_gave_up_ends_with_its_token() {
        let pages = PageSessions::default();
        let unused = pages.begin_by("oidc", signed_in(11_000, "r1"), None, now(0, 10_000)).unwrap();
        assert!(due(&pages, now(960, 10_960)).is_empty(), "nobody was there for sixteen minutes");
        assert!(pages.principal(&unused, now(961, 10_961)).is_some());
        assert_eq!(due(&pages, now(962, 10_962)), [b"r1"], "now somebody is");
        pages.renew_never(&unused);
        pages.renew_later(&unused, now(962, 10_962));
        assert!(due(&pages, now(970, 10_970)).is_empty());
        assert!(pages.principal(&unused, now(1_005, 11_005)).is_none());

        let gone = pages.begin_by("oidc", signed_in(10_300, "r1"), None, now(0, 10_000)).unwrap();
        assert_eq!(due(&pages, now(245, 10_245)).len(), 1);
        pages.end(&gone);
        pages.renewed(&gone, signed_in(20_000, "r2"), now(246, 10_246));
        assert!(pages.principal(&gone, now(247, 10_247)).is_none(), "who signed out meanwhile stays so");
        assert!(!format!("{pages:?}").contains("r1"), "what renews it is not printed");
    }
}
