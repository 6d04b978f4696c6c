//! Who makes an HTTP request: from which address, over what, and with which token or session.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anita_auth::{Permission, Principal};
use anita_store::AuditRecord;
use anita_wire::ErrorCode;
use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, Method, header};

use crate::origin::{self, Origin};
use crate::page_session::COOKIE;
use crate::problem::Problem;
use crate::server::{Plaintext, Server};

/// What is known of the connection under a request; the accept loop adds it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wire {
    /// The address of the other end.
    pub(crate) address: IpAddr,
    /// Whether it speaks TLS with us.
    pub(crate) is_tls: bool,
    /// The shard whose thread it is on.
    pub(crate) shard: usize,
}

impl Wire {
    /// The address of the client: what a trusted proxy says, else that of the other end. `None` when a proxy does not
    /// say it: then it is nobody nearby.
    pub(crate) fn client_address(self, server: &Server, headers: &HeaderMap) -> Option<IpAddr> {
        match &server.settings.plaintext {
            Plaintext::TrustedProxy(proxies) if proxies.contains(&self.address) => {
                // The last entry is the proxy's own; those before it are the client's words.
                let forwarded = headers.get_all("x-forwarded-for").iter().next_back()?;
                address_of(forwarded.to_str().ok()?.rsplit(',').next()?.trim())
            }
            Plaintext::TrustedProxy(_) | Plaintext::Never | Plaintext::Loopback => Some(self.address),
        }
    }

    /// Whether the page at the other end speaks TLS: with us, or with the proxy in front of us.
    pub(crate) fn is_secure(self, server: &Server) -> bool {
        self.is_tls || matches!(server.settings.plaintext, Plaintext::TrustedProxy(_))
    }

    /// The scheme that a page of our own origin has.
    pub(crate) fn scheme(self, server: &Server) -> &'static str {
        if self.is_secure(server) { "https" } else { "http" }
    }
}

/// An address with or without a port: proxies write both.
fn address_of(text: &str) -> Option<IpAddr> {
    let plain = text.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    plain.or_else(with_port)
}

/// The value of our cookie, if the request has it.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// The token of an `Authorization: Bearer` header.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Somebody with a valid token or session.
#[derive(Debug)]
pub(crate) struct Caller {
    /// Who.
    pub(crate) principal: Principal,
    /// From where.
    address: Option<IpAddr>,
    server: Arc<Server>,
}

impl Caller {
    /// Refuses who lacks a permission.
    pub(crate) fn require(&self, permission: Permission) -> Result<(), Problem> {
        if self.principal.may(permission) {
            return Ok(());
        }
        self.audit("request", permission.as_str(), "forbidden");
        let message = format!("This needs the permission {}.", permission.as_str());
        let details = serde_json::json!({ "permission": permission.as_str() });
        Err(Problem(anita_wire::Refusal::saying(ErrorCode::Forbidden, message).with_details(details)))
    }

    /// Leaves an entry in the audit trail: what was done or tried, with what, and how it ended.
    pub(crate) fn audit(&self, action: &str, object: &str, outcome: &str) {
        audit(&self.server, self.address, &self.principal.subject, [action, object, outcome]);
    }
}

fn audit(server: &Server, address: Option<IpAddr>, subject: &str, [action, object, outcome]: [&str; 3]) {
    server.context.hub.audit(AuditRecord {
        at: server.clock.now().wall,
        subject: subject.to_owned(),
        action: action.to_owned(),
        object: object.to_owned(),
        outcome: outcome.to_owned(),
        address: address.map(|address| address.to_string()),
    });
}

impl FromRequestParts<Arc<Server>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, Problem> {
        let principal = principal_of(parts, server)?;
        server.count_request(&principal).map_err(|wait| {
            Problem::busy(ErrorCode::RateLimited, "Too many requests; send several locations in one.", wait)
        })?;
        let address = wire_of(parts)?.client_address(server, &parts.headers);
        Ok(Self { principal, address, server: Arc::clone(server) })
    }
}

/// Who asks, by token or by session.
fn principal_of(parts: &Parts, server: &Server) -> Result<Principal, Problem> {
    let now = server.clock.now().wall;
    if let Some(token) = bearer(&parts.headers) {
        return server
            .context
            .verifier
            .verify(token, now)
            .map_err(|error| token_problem(error, parts, server));
    }
    let wire = wire_of(parts)?;
    let id = cookie(&parts.headers).ok_or(ErrorCode::Unauthenticated)?;
    let origin = origin::judge(&parts.headers, wire.scheme(server), &server.settings.allowed_origins);
    // Browsers leave the Origin away only where nothing is changed.
    let is_safe = parts.method == Method::GET || parts.method == Method::HEAD;
    let is_ours = origin == Origin::Allowed || (origin == Origin::Absent && is_safe);
    if !is_ours {
        return Err(Problem::saying(ErrorCode::Forbidden, "A page of this origin may not use the session."));
    }
    server.pages.principal(id, now).ok_or_else(|| ErrorCode::Unauthenticated.into())
}

/// What the accept loop said of the connection.
pub(crate) fn wire_of(parts: &Parts) -> Result<Wire, Problem> {
    parts.extensions.get().copied().ok_or_else(|| {
        tracing::error!("a request came without its connection");
        ErrorCode::Internal.into()
    })
}

/// A token that is not accepted, as a problem; it leaves an entry in the audit trail.
pub(crate) fn token_problem(error: anita_auth::TokenError, parts: &Parts, server: &Server) -> Problem {
    let address = wire_of(parts).ok().and_then(|wire| wire.client_address(server, &parts.headers));
    audit(server, address, "", ["authenticate", &error.to_string(), "refused"]);
    Problem(anita_session::token_refusal(error))
}
