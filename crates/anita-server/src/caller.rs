//! Who makes an HTTP request: from which address, over what, and with which token or session.

use std::net::IpAddr;
use std::sync::Arc;

use anita_auth::{Judgement, Permission, Principal, TokenError};
use anita_store::AuditRecord;
use anita_wire::ErrorCode;
use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, header};

use crate::accept::Visit;
use crate::attempt::Attempt;
use crate::budgets;
use crate::client_certificate::Presented;
use crate::origin::{self, Origin};
use crate::page_session::COOKIE;
use crate::problem::Problem;
use crate::server::{Plaintext, ProxyProtocol, Server};

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
        let proxies = &server.settings.proxies;
        if proxies.protocol == ProxyProtocol::Required {
            // Such a proxy does not touch what passes through it: a header would be the client's own words.
            return (!proxies.trusted.contains(self.address.to_canonical())).then_some(self.address);
        }
        let lines = proxies.forwarded.header().map(|name| headers.get_all(name));
        let lines = lines.iter().flatten().map(HeaderValue::as_bytes);
        anita_forwarded::client_of(self.address, &proxies.trusted, proxies.forwarded, lines)
    }

    /// The address that limits are counted by: a proxy that does not say whom it speaks for counts for itself.
    pub(crate) fn counted_address(self, server: &Server, headers: &HeaderMap) -> IpAddr {
        self.client_address(server, headers).unwrap_or(self.address)
    }

    /// Whether the page at the other end speaks TLS: with us, or with the proxy in front of us.
    pub(crate) fn is_secure(self, server: &Server) -> bool {
        self.is_tls || server.settings.plaintext == Plaintext::TrustedProxy
    }

    /// The scheme that a page of our own origin has.
    pub(crate) fn scheme(self, server: &Server) -> &'static str {
        if self.is_secure(server) { "https" } else { "http" }
    }
}

/// The session of the page, if the request has one.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<&str> {
    cookie_of(headers, COOKIE)
}

/// The value of a cookie, if the request has it.
pub(crate) fn cookie_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
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
    /// The session of the page, where it was that.
    pub(crate) page: Option<String>,
    /// From where.
    address: Option<IpAddr>,
    /// What it asks for.
    attempt: Attempt,
    server: Arc<Server>,
}

impl Caller {
    /// Refuses who lacks a permission.
    pub(crate) fn require(&self, permission: Permission) -> Result<(), Problem> {
        if self.principal.may(permission) {
            return Ok(());
        }
        self.audit(&self.attempt.action(), &self.attempt.object(permission), "forbidden");
        let message = format!("This needs the permission {}.", permission.as_str());
        let details = serde_json::json!({ "permission": permission.as_str() });
        Err(Problem(anita_wire::Refusal::saying(ErrorCode::Forbidden, message).with_details(details)))
    }

    /// Refuses a token that narrows what is seen, where all is shown or nothing.
    ///
    /// # Errors
    /// `forbidden`, with what is shown and why.
    pub(crate) fn require_all(&self, action: &str, why: &str) -> Result<(), Problem> {
        if self.principal.devices.allow_all() && self.principal.rooms.allow_all() {
            return Ok(());
        }
        self.audit(action, "", "forbidden");
        Err(Problem::saying(ErrorCode::Forbidden, format!("{why}; it needs a token without patterns.")))
    }

    /// Leaves an entry in the audit trail: what was done or tried, with what, and how it ended.
    pub(crate) fn audit(&self, action: &str, object: &str, outcome: &str) {
        audit(&self.server, self.address, Some(&self.principal), [action, object, outcome]);
    }
}

/// Leaves an entry in the audit trail: who did or tried it, if that is known, and what, with what, and how it ended.
pub(crate) fn audit(
    server: &Server,
    address: Option<IpAddr>,
    principal: Option<&Principal>,
    [action, object, outcome]: [&str; 3],
) {
    let user = principal.map(|principal| &principal.identity.user);
    server.context.hub.audit(AuditRecord {
        at: server.clock.now().wall,
        subject: user.map(|user| user.subject.to_string()).unwrap_or_default(),
        issuer: user.map(|user| user.issuer.to_string()),
        action: action.to_owned(),
        object: object.to_owned(),
        outcome: outcome.to_owned(),
        address: address.map(|address| address.to_string()),
    });
}

impl FromRequestParts<Arc<Server>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, Problem> {
        let (principal, page) = principal_of(parts, server).await?;
        visit_of(parts)?.place().authenticated();
        let class = budgets::class_of(&parts.method, parts.uri.path());
        server.count_request(&principal, class)?;
        let address = wire_of(parts)?.client_address(server, &parts.headers);
        Ok(Self { principal, page, address, attempt: Attempt::of(parts), server: Arc::clone(server) })
    }
}

/// Who asks, by token or by session, and by which.
async fn principal_of(parts: &Parts, server: &Server) -> Result<(Principal, Option<String>), Problem> {
    let now = server.clock.now();
    if let Some(token) = bearer(&parts.headers) {
        return Ok((verified(token, parts, server).await?, None));
    }
    let wire = wire_of(parts)?;
    let Some(id) = cookie(&parts.headers) else {
        let principal = certified(parts, server);
        let principal = principal.filter(|principal| !server.context.hub.is_revoked(principal));
        return principal.map(|principal| (principal, None)).ok_or_else(|| ErrorCode::Unauthenticated.into());
    };
    // Browsers leave the Origin away only where nothing is changed.
    let is_safe = parts.method == Method::GET || parts.method == Method::HEAD;
    let origin = origin::judge(&parts.headers, wire.scheme(server), &server.settings.allowed_origins);
    let is_ours = origin == Origin::Allowed || (origin == Origin::Absent && is_safe);
    if !is_ours {
        return Err(Problem::saying(ErrorCode::Forbidden, "A page of this origin may not use the session."));
    }
    let principal = server.pages.principal(id, now);
    let principal = principal.filter(|principal| !server.context.hub.is_revoked(principal));
    let principal = principal.ok_or(ErrorCode::Unauthenticated)?;
    Ok((principal, Some(id.to_owned())))
}

/// Whom the connection's certificate stands for, where the request brings nothing else. Browsers show certificates by
/// themselves, whichever page asks: so it counts for a page of an allowed origin only, and for none that is signed in.
pub(crate) fn certified(parts: &Parts, server: &Server) -> Option<Principal> {
    let presented: &Presented = parts.extensions.get()?;
    let scheme = wire_of(parts).ok()?.scheme(server);
    let origin = origin::judge(&parts.headers, scheme, &server.settings.allowed_origins);
    let is_signed_in = cookie(&parts.headers).is_some();
    presented
        .principal(server.clock.now().wall)
        .filter(|_principal| origin != Origin::Foreign && !is_signed_in)
}

/// The places that the connection has.
pub(crate) fn visit_of(parts: &Parts) -> Result<Arc<Visit>, Problem> {
    parts.extensions.get().cloned().ok_or_else(|| {
        tracing::error!("a request came without its connection");
        ErrorCode::Internal.into()
    })
}

/// Whose token it is.
pub(crate) async fn verified(token: &str, parts: &Parts, server: &Server) -> Result<Principal, Problem> {
    let verifier = &server.context.verifier;
    let judged = match verifier.judge(token, server.clock.now().wall) {
        Judgement::Given(given) => given,
        Judgement::Awaited(keys) => keys.await.and_then(|()| verifier.verify(token, server.clock.now().wall)),
    };
    let principal = judged.map_err(|error| token_problem(error, &error.to_string(), parts, server))?;
    if server.context.hub.is_revoked(&principal) {
        let object = principal.identity.noted(&TokenError::Revoked.to_string());
        return Err(token_problem(TokenError::Revoked, &object, parts, server));
    }
    Ok(principal)
}

/// What the accept loop said of the connection.
pub(crate) fn wire_of(parts: &Parts) -> Result<Wire, Problem> {
    parts.extensions.get().copied().ok_or_else(|| {
        tracing::error!("a request came without its connection");
        ErrorCode::Internal.into()
    })
}

/// A token that is not accepted, as a problem; it leaves an entry in the audit trail.
fn token_problem(error: TokenError, object: &str, parts: &Parts, server: &Server) -> Problem {
    let address = wire_of(parts).ok().and_then(|wire| wire.client_address(server, &parts.headers));
    audit(server, address, None, ["authenticate", object, "refused"]);
    Problem(anita_session::token_refusal(error))
}
