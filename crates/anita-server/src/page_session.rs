//! Sessions of pages: a random cookie that stands for a verified token, kept in memory until the token runs out.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use anita_auth::{LEEWAY, Principal};
use anita_hub::{Peer, random_token};
use anita_model::Timestamp;
use anita_wire::CloseCode;
use parking_lot::Mutex;

/// The cookie's name.
pub(crate) const COOKIE: &str = "anita_session";

/// The most sessions at once.
const SESSIONS_MAX: usize = 10_000;

/// The most sessions of one subject: one more ends its oldest.
const SESSIONS_PER_SUBJECT_MAX: usize = 16;

#[derive(Debug)]
struct Page {
    /// Counts up, so that the oldest is known.
    number: u64,
    principal: Principal,
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
    /// Ends its sockets.
    fn close(self) {
        self.peers.iter().filter_map(Weak::upgrade).for_each(|peer| peer.close(CloseCode::LoggedOut));
    }
}

impl PageSessions {
    /// Begins a session. `None` when there are as many as there may be.
    pub(crate) fn begin(&self, principal: Principal, now: Timestamp) -> Option<String> {
        let mut pages = self.pages.lock();
        if pages.len() >= SESSIONS_MAX {
            pages.retain(|_id, page| is_alive(&page.principal, now));
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
        pages.insert(id.clone(), Page { number, principal, peers: Vec::new() });
        Some(id)
    }

    /// Whose session it is.
    pub(crate) fn principal(&self, id: &str, now: Timestamp) -> Option<Principal> {
        let mut pages = self.pages.lock();
        let is_over = pages.get(id).is_some_and(|page| !is_alive(&page.principal, now));
        if is_over {
            pages.remove(id);
        }
        pages.get(id).map(|page| page.principal.clone())
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

fn is_alive(principal: &Principal, now: Timestamp) -> bool {
    now < principal.expires_at.plus(LEEWAY)
}
