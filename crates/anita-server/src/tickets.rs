//! Tickets: a page that has a token, and can't put it into a header, gets something that opens one socket, once, soon,
//! and from the same page. What stands in an address is worth nothing afterwards.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use anita_auth::{LEEWAY, Principal};
use anita_hub::random_token;
use anita_metrics::Metrics;
use anita_model::{Now, UserId};
use anita_wire::{ErrorCode, Time};
use axum::Json;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::caller::{Caller, Wire};
use crate::origin::{self, Origin};
use crate::problem::Problem;
use crate::server::Server;

/// The most tickets at once.
const TICKETS_MAX: usize = 10_000;

/// The most tickets of one user.
const TICKETS_PER_USER_MAX: usize = 100;

/// How long the text of a ticket is, random bytes.
const TICKET_BYTES: usize = 32;

/// What a ticket is found by: whoever reads the memory, or measures how long it takes, learns nothing of the ticket.
type TicketHash = [u8; 32];

fn hash(ticket: &str) -> TicketHash {
    Sha256::digest(ticket).into()
}

/// What a ticket stands for.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// Whose it is.
    pub(crate) principal: Principal,
    /// The session of the page that asked for it, whose end ends its sockets.
    pub(crate) page: Option<String>,
    /// The `Origin` of the page that asked for it; none when it was a program.
    origin: Option<String>,
    /// When it is over, by the uptime.
    expires_at: Duration,
}

/// The tickets that were not used yet, in memory.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    tickets: HashMap<TicketHash, Ticket>,
    /// How many each user has; nobody with none is in it.
    by_user: HashMap<UserId, usize>,
    /// All that were issued, the oldest first; those that were used are still in it for a while.
    order: VecDeque<(Duration, TicketHash)>,
}

/// Why there is no ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoTicket {
    /// There are as many as there may be.
    Full,
    /// This user has as many as one may have.
    FullOfUser,
}

impl Shelf {
    fn remove(&mut self, hash: &TicketHash) -> Option<Ticket> {
        let ticket = self.tickets.remove(hash)?;
        let user = &ticket.principal.identity.user;
        if let Some(count) = self.by_user.get_mut(user) {
            *count -= 1;
            if *count == 0 {
                self.by_user.remove(user);
            }
        }
        Some(ticket)
    }

    fn forget(&mut self, uptime: Duration) {
        while let Some((_expires_at, hash)) =
            self.order.front().filter(|(expires_at, _)| *expires_at <= uptime)
        {
            let hash = *hash;
            self.order.pop_front();
            self.remove(&hash);
        }
    }
}

impl Tickets {
    /// Makes a ticket.
    pub(crate) fn issue(&self, ticket: Ticket, uptime: Duration) -> Result<String, NoTicket> {
        let mut kept = self.shelf.lock();
        kept.forget(uptime);
        // Used ones are in the order until their time is over.
        if kept.order.len() >= TICKETS_MAX {
            return Err(NoTicket::Full);
        }
        let count = kept.by_user.entry(ticket.principal.identity.user.clone()).or_default();
        if *count >= TICKETS_PER_USER_MAX {
            return Err(NoTicket::FullOfUser);
        }
        *count += 1;
        let text = random_token(TICKET_BYTES);
        let hash = hash(&text);
        kept.order.push_back((ticket.expires_at, hash));
        kept.tickets.insert(hash, ticket);
        Ok(text)
    }

    /// Uses a ticket up, whether or not it is good for this.
    pub(crate) fn take(&self, text: &str, origin: Option<&str>, now: Now) -> Option<Ticket> {
        let ticket = self.shelf.lock().remove(&hash(text))?;
        let is_good = now.uptime < ticket.expires_at
            && now.wall < ticket.principal.expires_at.plus(LEEWAY)
            && ticket.origin.as_deref() == origin;
        is_good.then_some(ticket)
    }

    /// Throws away those of which this is true.
    pub(crate) fn drop_where(&self, is_meant: impl Fn(&Ticket) -> bool) {
        let mut kept = self.shelf.lock();
        let meant = kept.tickets.iter().filter(|(_hash, ticket)| is_meant(ticket));
        let meant: Vec<TicketHash> = meant.map(|(hash, _ticket)| *hash).collect();
        for hash in meant {
            kept.remove(&hash);
        }
    }

    pub(crate) fn refresh_gauge(&self, metrics: &Metrics, uptime: Duration) {
        let mut kept = self.shelf.lock();
        kept.forget(uptime);
        metrics.identity.tickets.set(i64::try_from(kept.tickets.len()).unwrap_or(i64::MAX));
    }
}

/// A ticket, for whoever asked for it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct IssuedTicket {
    /// The ticket: `?ticket=…` of the socket's address, or the subprotocol `anita.ticket.…`.
    ticket: String,
    /// Until when it can be used.
    expires_at: Time,
    /// How long that is, seconds.
    expires_in_secs: f64,
}

/// `POST /api/v1/tickets`: something that opens one socket.
pub(crate) async fn issue(
    State(server): State<Arc<Server>>,
    axum::Extension(wire): axum::Extension<Wire>,
    headers: HeaderMap,
    caller: Caller,
) -> Result<(StatusCode, Json<IssuedTicket>), Problem> {
    if origin::judge(&headers, wire.scheme(&server), &server.settings.allowed_origins) == Origin::Foreign {
        return Err(Problem::saying(ErrorCode::Forbidden, "A page of this origin may not have a ticket."));
    }
    let (now, ttl) = (server.clock.now(), server.settings.ticket_ttl);
    let ticket = Ticket {
        principal: caller.principal.clone(),
        page: caller.page.clone(),
        origin: origin::text(&headers).map(str::to_owned),
        expires_at: now.uptime.saturating_add(ttl),
    };
    let issued = server.tickets.issue(ticket, now.uptime).map_err(|none| {
        let message = match none {
            NoTicket::Full => "There are as many tickets as there may be.",
            NoTicket::FullOfUser => "You have as many unused tickets as one may have.",
        };
        Problem::busy(ErrorCode::RateLimited, message, ttl)
    })?;
    server.context.hub.metrics().identity.count_ticket("issued");
    let expires_at = Time(now.wall.plus(ttl));
    Ok((
        StatusCode::CREATED,
        Json(IssuedTicket { ticket: issued, expires_at, expires_in_secs: ttl.as_secs_f64() }),
    ))
}

#[cfg(test)]
mod tests;
