//! Signing in at an issuer: a browser is sent there, comes back with a code, and gets the session of a page. The code is
//! exchanged here, so that no token of the issuer reaches a script ([decision 0011](../../../docs/decisions)).
//!
//! What keeps others out: the state is random, good once and for ten minutes, and only for the browser that began, which a
//! cookie tells; the code is good only with a verifier that never leaves the server; the answer of one issuer has another
//! address than that of another, and the issuer's name in it; and where the browser goes afterwards is a path of the page.

mod attempts;
mod landing;
mod renewal;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anita_auth::LEEWAY;
use anita_hub::random_token;
use anita_issuers::{Opening, PublicUrl, SignedIn, Way};
use anita_model::Now;
use anita_session::RequestClass;
use anita_wire::ErrorCode;
use axum::extract::{Path, RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::caller::{Wire, audit, cookie_of};
use crate::page_session::{RENEWED_SESSION_MAX, set_cookie};
use crate::problem::Problem;
use crate::rest::url_pairs;
use crate::server::Server;
pub(crate) use attempts::Attempts;
use attempts::{ATTEMPT_TTL, Attempt, hash};
use landing::{Failure, return_path, with_failure};

/// How long a state, a nonce, a verifier and what binds a browser are, random bytes.
const RANDOM_BYTES: usize = 32;

/// The longest code that is looked at, bytes.
const CODE_BYTES_MAX: usize = 8 * 1024;

/// What people can sign in by.
#[derive(Debug)]
pub struct SignInDesk {
    /// Where issuers send people back to.
    pub public_url: PublicUrl,
    /// The ways.
    pub ways: Vec<Way>,
}

impl SignInDesk {
    fn way(&self, id: &str) -> Option<&Way> {
        self.ways.iter().find(|way| way.settings().id == id)
    }

    /// The name of the cookie that binds a browser. With the prefix, nobody but this host can have set it.
    fn cookie(&self) -> &'static str {
        if self.public_url.is_secure() { "__Host-anita_sign_in" } else { "anita_sign_in" }
    }

    fn secure(&self) -> &'static str {
        if self.public_url.is_secure() { "; Secure" } else { "" }
    }
}

/// One request of a browser that signs in.
struct Visit<'a> {
    server: &'a Server,
    desk: &'a SignInDesk,
    way: &'a Way,
    headers: HeaderMap,
    address: Option<IpAddr>,
    /// That limits are counted by.
    counted: IpAddr,
    wire: Wire,
    now: Now,
}

impl<'a> Visit<'a> {
    /// `not_found` where there is no such way.
    fn of(server: &'a Server, id: &str, request: &Request) -> Result<Self, Problem> {
        let message = "There is no such way to sign in; /api/v1/page lists those there are.";
        let found = server.desk.sign_in.as_ref().and_then(|desk| Some((desk, desk.way(id)?)));
        let (desk, way) = found.ok_or_else(|| Problem::saying(ErrorCode::NotFound, message))?;
        let wire = request.extensions().get::<Wire>().copied().ok_or(ErrorCode::Internal)?;
        let headers = request.headers().clone();
        let address = wire.client_address(server, &headers);
        let counted = wire.counted_address(server, &headers);
        Ok(Self { server, desk, way, headers, address, counted, wire, now: server.clock.now() })
    }

    fn id(&self) -> &str {
        &self.way.settings().id
    }

    /// Counts it.
    fn count(&self) -> Result<(), Failure> {
        let counted = self.server.guests.count_sign_in(self.counted, self.now.uptime);
        counted.map_err(|()| Failure::RateLimited)
    }

    /// Sends the browser to the page, which says what happened and what to do.
    fn land(&self, return_to: &str, failure: Failure) -> Response {
        let metrics = &self.server.context.hub.metrics().identity;
        metrics.count_sign_in(&self.way.settings().issuer, failure.as_str());
        let object = format!("{}: {}", self.id(), failure.as_str());
        audit(self.server, self.address, None, ["sign in", &object, "refused"]);
        to(&with_failure(return_to, failure), &[])
    }

    /// What binds this browser, if it was here lately.
    fn binding(&self) -> Option<&str> {
        cookie_of(&self.headers, self.desk.cookie())
    }

    /// Whether the page at the other end is where issuers send people back to: only there the cookie comes back.
    fn is_at_public_url(&self) -> bool {
        let host = self.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let public = &self.desk.public_url;
        host.eq_ignore_ascii_case(public.host())
            && public.is_secure() == (self.wire.scheme(self.server) == "https")
    }
}

/// An answer that sends a browser elsewhere, by GET.
fn to(address: &str, cookies: &[String]) -> Response {
    let Ok(location) = HeaderValue::from_str(address) else {
        return Problem::from(ErrorCode::Internal).into_response();
    };
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response();
    for cookie in cookies {
        if let Ok(line) = HeaderValue::from_str(cookie) {
            response.headers_mut().append(header::SET_COOKIE, line);
        }
    }
    response
}

/// A value of a query; `Err` when it is there twice, which none may be (RFC 6749 §3.1).
fn one<'a>(pairs: &'a [(String, String)], name: &str) -> Result<Option<&'a str>, Failure> {
    let mut values = pairs.iter().filter(|(it, _value)| it == name).map(|(_name, value)| value.as_str());
    let first = values.next();
    if values.next().is_some() { Err(Failure::InvalidAnswer) } else { Ok(first) }
}

/// `GET /api/v1/sign-in/{id}`: sends a browser to the issuer.
pub(crate) async fn begin(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, Problem> {
    let visit = Visit::of(&server, &id, &request)?;
    let query = query.unwrap_or_default();
    let pairs = url_pairs(&query);
    let public = &visit.desk.public_url;
    let wanted = one(&pairs, "return").ok().flatten();
    let return_to = return_path(public, wanted);
    if let Err(failure) = visit.count() {
        return Ok(visit.land(&return_to, failure));
    }
    // A foreign page signs nobody in; who was sent here by one finds the button.
    let site = visit.headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site == Some(b"cross-site") {
        return Ok(to(&return_to, &[]));
    }
    let has_moved = matches!(one(&pairs, "moved"), Ok(Some(_)));
    if !has_moved && !visit.is_at_public_url() {
        let query = serde_urlencoded::to_string([("return", return_to.as_str()), ("moved", "1")]);
        let path = format!("/api/v1/sign-in/{}?{}", visit.id(), query.unwrap_or_default());
        return Ok(to(&public.at(&path), &[]));
    }
    Ok(match opened(&visit, &return_to).await {
        Ok((address, cookie)) => to(&address, &[cookie]),
        Err(failure) => visit.land(&return_to, failure),
    })
}

/// Where the browser is sent, and the cookie that it gets.
async fn opened(visit: &Visit<'_>, return_to: &str) -> Result<(String, String), Failure> {
    let attempts = &visit.server.sign_in_attempts;
    let known = visit.binding().filter(|it| attempts.is_bound(&hash(it), visit.now.uptime));
    // A browser that signs in in two tabs stays one.
    let binding = known.map_or_else(|| random_token(RANDOM_BYTES), str::to_owned);
    let [state, nonce, verifier] = [(); 3].map(|()| random_token(RANDOM_BYTES));
    let code_challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
    let opening = Opening { state: &state, nonce: &nonce, code_challenge: &code_challenge };
    let (address, names_itself) = visit.way.open(&opening).await.map_err(|fault| {
        landing::log(visit.id(), &fault);
        Failure::from(&fault)
    })?;
    let attempt = Attempt {
        way: visit.id().to_owned(),
        binding: hash(&binding),
        nonce,
        verifier,
        return_to: return_to.to_owned(),
        names_itself,
        expires_at: visit.now.uptime.saturating_add(ATTEMPT_TTL),
    };
    attempts.insert(&state, attempt, visit.counted, visit.now.uptime).map_err(|()| Failure::Busy)?;
    let (name, secure) = (visit.desk.cookie(), visit.desk.secure());
    let max_age_secs = ATTEMPT_TTL.as_secs();
    // Lax: it has to come when the issuer sends the browser back.
    let cookie = format!("{name}={binding}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_secs}{secure}");
    Ok((address, cookie))
}

/// `GET /api/v1/sign-in/{id}/callback`: the browser comes back with a code, and gets its session.
pub(crate) async fn callback(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, Problem> {
    let visit = Visit::of(&server, &id, &request)?;
    let home = return_path(&visit.desk.public_url, None);
    if let Err(failure) = visit.count() {
        return Ok(visit.land(&home, failure));
    }
    let query = query.unwrap_or_default();
    let pairs = url_pairs(&query);
    // Whatever becomes of it, the state is used up.
    let attempt = match one(&pairs, "state") {
        Ok(Some(state)) => visit.server.sign_in_attempts.take(state, visit.now.uptime),
        Ok(None) | Err(_) => None,
    };
    let Some(attempt) = attempt else { return Ok(visit.land(&home, Failure::Expired)) };
    let came = came_back(&visit, &attempt, &pairs).await;
    Ok(match came {
        Ok((id, lasts)) => to(&attempt.return_to, &[set_cookie(&id, lasts, visit.desk.secure())]),
        Err(failure) => visit.land(&attempt.return_to, failure),
    })
}

/// Judges what the issuer sent the browser back with, and begins its session: its id, and how long it lasts.
async fn came_back(
    visit: &Visit<'_>,
    attempt: &Attempt,
    pairs: &[(String, String)],
) -> Result<(String, Duration), Failure> {
    if visit.binding().map(hash) != Some(attempt.binding) {
        return Err(Failure::OtherBrowser);
    }
    let issuer = one(pairs, "iss")?;
    let is_named = issuer == Some(visit.way.settings().issuer.as_str());
    // An issuer that says who it is always does, or somebody else answers in its place (RFC 9207 §2.4).
    if attempt.way != visit.id() || (!is_named && (issuer.is_some() || attempt.names_itself)) {
        return Err(Failure::OtherIssuer);
    }
    if let Some(error) = one(pairs, "error")? {
        return Err(Failure::of_issuer(visit.id(), error));
    }
    let code = one(pairs, "code")?.filter(|code| !code.is_empty() && code.len() <= CODE_BYTES_MAX);
    let code = code.ok_or(Failure::InvalidAnswer)?;
    let clock = &visit.server.clock;
    let exchanged = visit.way.exchange(code, &attempt.verifier, &attempt.nonce, || clock.now().wall).await;
    let signed_in = exchanged.map_err(|fault| {
        landing::log(visit.id(), &fault);
        Failure::from(&fault)
    })?;
    let sign_out_at = visit.way.sign_out_address().await;
    begun(visit, signed_in, sign_out_at)
}

fn begun(
    visit: &Visit<'_>,
    signed_in: SignedIn,
    sign_out_at: Option<String>,
) -> Result<(String, Duration), Failure> {
    let (server, now) = (visit.server, visit.server.clock.now());
    let principal = signed_in.principal.clone();
    if server.context.hub.is_revoked(&principal) {
        return Err(Failure::Revoked);
    }
    if principal.permissions.iter().next().is_none() {
        tracing::info!(way = visit.id(), "somebody signed in to whom the issuer gives no role");
        return Err(Failure::NoRights);
    }
    server.count_request(&principal, RequestClass::Auth).map_err(|_too_many| Failure::RateLimited)?;
    let lasts = match &signed_in.refresh_token {
        Some(_) => RENEWED_SESSION_MAX,
        None => principal.expires_at.plus(LEEWAY).since(now.wall),
    };
    let id = server.pages.begin_by(visit.id(), signed_in, sign_out_at, now).ok_or(Failure::Busy)?;
    let object = principal.identity.noted("page");
    audit(server, visit.address, Some(&principal), ["sign in", &object, "begun"]);
    server.context.hub.metrics().identity.count_sign_in(&visit.way.settings().issuer, "done");
    Ok((id, lasts))
}
