//! The WebSocket endpoints: what a client brought becomes its credentials, and the connection is upgraded.

use std::sync::Arc;

use anita_hub::Endpoint;
use anita_session::Credentials;
use anita_wire::{ErrorCode, SUBPROTOCOL, SUBPROTOCOL_BEARER_PREFIX};
use anita_ws::{Compression, Handshake};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use hyper::upgrade::OnUpgrade;

use crate::caller::{bearer, cookie, wire_of};
use crate::compression;
use crate::connection::{self, Opening};
use crate::origin::{self, Origin};
use crate::problem::Problem;
use crate::server::Server;

/// `/ws` and `/ws/uwb`, and what is below `/ws/` and is not there.
pub(crate) async fn upgrade(State(server): State<Arc<Server>>, request: Request) -> Response {
    let (mut parts, _body) = request.into_parts();
    match open(&server, &mut parts) {
        Ok(response) => response,
        Err(Refused::Handshake(error)) => error.response().map(|()| Body::from(format!("{error}\n"))),
        Err(Refused::Problem(problem)) => {
            server.context.hub.metrics().connections_refused.inc();
            problem.into_response()
        }
    }
}

enum Refused {
    Handshake(anita_ws::HandshakeError),
    Problem(Problem),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

fn open(server: &Arc<Server>, parts: &mut Parts) -> Result<Response, Refused> {
    let wire = wire_of(parts)?;
    let mut handshake = Handshake::from_parts(parts).map_err(Refused::Handshake)?;
    let origin = origin::judge(&parts.headers, wire.scheme(server), &server.settings.allowed_origins);
    if origin == Origin::Foreign {
        let message =
            "A page of this origin may not connect; the operator can add it to server.allowed_origins.";
        return Err(Problem::saying(ErrorCode::Forbidden, message).into());
    }
    if !server.is_ready() {
        let spread = server.settings.drain_spread;
        return Err(Problem::busy(ErrorCode::Unavailable, "The server is stopping.", spread).into());
    }
    server.count_handshake().map_err(|wait| {
        Problem::busy(ErrorCode::RateLimited, "Too many connections are being opened just now.", wait)
    })?;
    let endpoint = match parts.uri.path() {
        "/ws" => Some(Endpoint::Plain),
        "/ws/uwb" => Some(Endpoint::Uwb),
        _ => None,
    };
    let page = cookie(&parts.headers).filter(|_cookie| origin == Origin::Allowed).map(str::to_owned);
    let credentials = match endpoint {
        Some(_) => credentials(server, parts, &handshake, page.as_deref()),
        None => Credentials::NoSuchEndpoint,
    };
    let on_upgrade = parts.extensions.remove::<OnUpgrade>().ok_or_else(|| {
        tracing::error!("a WebSocket request came over a connection that cannot be upgraded");
        Problem::from(ErrorCode::Internal)
    })?;
    let speaks_v1 = handshake.subprotocols().any(|it| it == SUBPROTOCOL);
    let offered = if server.settings.compression { compression::OFFERED } else { Compression::Off };
    let opening = Opening {
        endpoint: endpoint.unwrap_or(Endpoint::Plain),
        credentials,
        page,
        address: wire.client_address(server, &parts.headers),
        shard: wire.shard,
        is_compressed: handshake.negotiate(offered).is_some(),
    };
    server.tasks.spawn(connection::run(Arc::clone(server), on_upgrade, opening));
    Ok(handshake.response(speaks_v1.then_some(SUBPROTOCOL)).map(|()| Body::empty()))
}

/// What the client brought, in the order of what says most about its intent: header, subprotocol, query, session.
fn credentials(server: &Server, parts: &Parts, handshake: &Handshake, page: Option<&str>) -> Credentials {
    if let Some(token) = bearer(&parts.headers) {
        return Credentials::Token(token.to_owned());
    }
    if let Some(token) = handshake.subprotocols().find_map(|it| it.strip_prefix(SUBPROTOCOL_BEARER_PREFIX)) {
        return Credentials::Token(token.to_owned());
    }
    let query: Vec<(String, String)> =
        serde_urlencoded::from_str(parts.uri.query().unwrap_or_default()).unwrap_or_default();
    if let Some((_name, token)) = query.into_iter().find(|(name, _value)| name == "token") {
        return Credentials::Token(token);
    }
    let now = server.clock.now().wall;
    match page.and_then(|id| server.pages.principal(id, now)) {
        Some(principal) => Credentials::Session(Box::new(principal)),
        None => Credentials::None,
    }
}
