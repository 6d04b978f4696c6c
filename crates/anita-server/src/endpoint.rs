//! The WebSocket endpoints: what a client brought becomes its credentials, and the connection is upgraded.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anita_hub::{Endpoint, Introduction};
use anita_session::Credentials;
use anita_wire::{ErrorCode, SUBPROTOCOL, SUBPROTOCOL_BEARER_PREFIX, SUBPROTOCOL_TICKET_PREFIX};
use anita_ws::{Compression, Handshake};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use hyper::upgrade::OnUpgrade;
use rand::Rng;

use crate::accept::Visit;
use crate::administration::connections::user_agent;
use crate::caller::{bearer, certified, cookie, visit_of, wire_of};
use crate::compression;
use crate::connection::{self, Opening, Stay};
use crate::guests::{Reason, SocketPlace};
use crate::origin::{self, Origin};
use crate::problem::Problem;
use crate::server::Server;
use crate::tend::SHED_RETRY_AFTER;

/// When to try again when too many came in a second: half of it to twice.
const HANDSHAKE_RETRY_AFTER: Duration = Duration::from_secs(1);

/// When to try again when there is no room: half of it to twice.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(5);

/// `/ws` and `/ws/uwb`, and what is below `/ws/` and is not there.
pub(crate) async fn upgrade(State(server): State<Arc<Server>>, request: Request) -> Response {
    let (mut parts, _body) = request.into_parts();
    match open(&server, &mut parts) {
        Ok(response) => response,
        Err(Refused::Handshake(error)) => error.response().map(|()| Body::from(format!("{error}\n"))),
        Err(Refused::Problem(reason, problem)) => {
            server.refused(reason);
            problem.into_response()
        }
    }
}

enum Refused {
    Handshake(anita_ws::HandshakeError),
    Problem(Reason, Problem),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(Reason::Other, problem)
    }
}

fn open(server: &Arc<Server>, parts: &mut Parts) -> Result<Response, Refused> {
    let wire = wire_of(parts)?;
    let mut handshake = Handshake::from_parts(parts).map_err(Refused::Handshake)?;
    let origin = origin::judge(&parts.headers, wire.scheme(server), &server.settings.allowed_origins);
    if origin == Origin::Foreign {
        let message =
            "A page of this origin may not connect; the operator can add it to server.allowed_origins.";
        return Err(Refused::Problem(Reason::Origin, Problem::saying(ErrorCode::Forbidden, message)));
    }
    if server.draining.is_cancelled() {
        let spread = server.settings.drain.spread;
        let problem = Problem::busy(ErrorCode::Unavailable, "The server is stopping.", spread);
        return Err(Refused::Problem(Reason::Draining, problem));
    }
    if server.is_out_of_memory.load(Ordering::Relaxed) {
        let message = "The server has no memory for another connection just now.";
        let problem = Problem::busy(ErrorCode::Unavailable, message, SHED_RETRY_AFTER);
        return Err(Refused::Problem(Reason::Memory, problem));
    }
    let visit = visit_of(parts)?;
    let place = place(server, wire.counted_address(server, &parts.headers), &visit)?;
    let endpoint = match parts.uri.path() {
        "/ws" => Some(Endpoint::Plain),
        "/ws/uwb" => Some(Endpoint::Uwb),
        _ => None,
    };
    let page = cookie(&parts.headers).filter(|_cookie| origin == Origin::Allowed).map(str::to_owned);
    let (credentials, page) = match endpoint {
        Some(_) => credentials(server, parts, &handshake, page),
        None => (Credentials::NoSuchEndpoint, None),
    };
    let on_upgrade = parts.extensions.remove::<OnUpgrade>().ok_or_else(|| {
        tracing::error!("a WebSocket request came over a connection that cannot be upgraded");
        Problem::from(ErrorCode::Internal)
    })?;
    let speaks_v1 = handshake.subprotocols().any(|it| it == SUBPROTOCOL);
    let offered = if server.settings.compression { compression::OFFERED } else { Compression::Off };
    let subprotocol = speaks_v1.then_some(SUBPROTOCOL);
    let is_compressed = handshake.negotiate(offered).is_some();
    let opening = Opening {
        endpoint: endpoint.unwrap_or(Endpoint::Plain),
        credentials,
        page,
        address: wire.client_address(server, &parts.headers),
        shard: wire.shard,
        introduction: Introduction { subprotocol, user_agent: user_agent(&parts.headers), is_compressed },
    };
    let stay = Stay { place, _visit: visit };
    let running = connection::run(Arc::clone(server), on_upgrade, opening, stay);
    let server_here = Arc::clone(server);
    server.tasks.spawn(async move { server_here.contained("connection", running).await });
    Ok(handshake.response(subprotocol).map(|()| Body::empty()))
}

/// A place for one more WebSocket of this address.
fn place(server: &Server, address: IpAddr, visit: &Visit) -> Result<SocketPlace, Refused> {
    let counted = server.guests.count_handshake(address, server.clock.now().uptime);
    counted.map_err(|(reason, wait)| {
        let message = "Too many connections are being opened just now.";
        // Not all of those who are refused in one second come back in the next.
        let wait = wait.max(HANDSHAKE_RETRY_AFTER.mul_f64(rand::rng().random_range(0.5..2.0)));
        Refused::Problem(reason, Problem::busy(ErrorCode::RateLimited, message, wait))
    })?;
    let place = server.guests.enter_socket(address, visit.place()).map_err(|reason| {
        let wait = FULL_RETRY_AFTER.mul_f64(rand::rng().random_range(0.5..2.0));
        let is_of_address = matches!(reason, Reason::SocketsOfAddress | Reason::UnauthenticatedOfAddress);
        let (code, message) = if is_of_address {
            (ErrorCode::RateLimited, "This address has as many connections as one may have.")
        } else {
            (ErrorCode::Unavailable, "The server has no room for this connection.")
        };
        let problem = Problem::busy(code, message, wait);
        Refused::Problem(reason, problem)
    })?;
    server.context.hub.metrics().handshakes.inc();
    Ok(place)
}

/// What the client brought, in the order of what says most about its intent: header, subprotocol, query, session; and the
/// session of a page whose end ends the connection.
fn credentials(
    server: &Server,
    parts: &Parts,
    handshake: &Handshake,
    page: Option<String>,
) -> (Credentials, Option<String>) {
    if let Some(token) = bearer(&parts.headers) {
        return (Credentials::Token(token.to_owned()), None);
    }
    if let Some(token) = handshake.subprotocols().find_map(|it| it.strip_prefix(SUBPROTOCOL_BEARER_PREFIX)) {
        return (Credentials::Token(token.to_owned()), None);
    }
    if let Some(ticket) = handshake.subprotocols().find_map(|it| it.strip_prefix(SUBPROTOCOL_TICKET_PREFIX)) {
        return with_ticket(server, parts, ticket);
    }
    let query: Vec<(String, String)> =
        serde_urlencoded::from_str(parts.uri.query().unwrap_or_default()).unwrap_or_default();
    let in_query =
        |wanted: &str| query.iter().find(|(name, _value)| name == wanted).map(|(_name, value)| value);
    if let Some(token) = in_query("token") {
        return (Credentials::Token(token.clone()), None);
    }
    if let Some(ticket) = in_query("ticket") {
        return with_ticket(server, parts, ticket);
    }
    let now = server.clock.now();
    if let Some(id) = page {
        return match server.pages.principal(&id, now) {
            Some(principal) => (Credentials::Session(Box::new(principal)), Some(id)),
            None => (Credentials::None, None),
        };
    }
    let principal = certified(parts, server);
    (principal.map_or(Credentials::None, |principal| Credentials::Session(Box::new(principal))), None)
}

/// Uses a ticket up.
fn with_ticket(server: &Server, parts: &Parts, ticket: &str) -> (Credentials, Option<String>) {
    let taken = server.tickets.take(ticket, origin::text(&parts.headers), server.clock.now());
    let metrics = &server.context.hub.metrics().identity;
    metrics.count_ticket(if taken.is_some() { "used" } else { "refused" });
    match taken {
        Some(ticket) => (Credentials::Session(Box::new(ticket.principal)), ticket.page),
        None => (Credentials::BadTicket, None),
    }
}
