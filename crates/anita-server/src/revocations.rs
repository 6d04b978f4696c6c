//! `/api/v1/revocations`: tokens that are valid by themselves and are not accepted any more.

use std::collections::VecDeque;
use std::sync::Arc;

use anita_auth::{LEEWAY, Permission, SUBJECT_BYTES_MAX};
use anita_hub::random_token;
use anita_model::{Revocation, RevocationId, Revoked};
use anita_wire::{ErrorCode, Refusal, Time};
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, RawQuery, State};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::caller::Caller;
use crate::client_certificate::{CERTIFICATE_ISSUER, FINGERPRINT_BYTES};
use crate::problem::Problem;
use crate::rest::query_payload;
use crate::server::Server;

/// The most on a page, and how many there are when nobody says.
pub(crate) const REVOCATIONS_PER_PAGE: (usize, usize) = (1_000, 100);

/// The longest reason, bytes.
const REASON_BYTES_MAX: usize = 256;

/// How long the id of a revocation is, random bytes.
const ID_BYTES: usize = 12;

/// So many pairs of hex digits with colons between them are meant as a fingerprint, MD5's at the least, and as no other id.
const FINGERPRINT_LIKE_PAIRS_MIN: usize = 16;

/// Which tokens are not to be accepted any more: one by its id, those of a subject, or all that are old enough.
#[derive(Debug, Deserialize, JsonSchema)]
// A field that is mistyped would revoke more than was meant.
#[serde(deny_unknown_fields)]
pub(crate) struct Revoke {
    /// One token, by its id; a certificate, by its SHA-256 fingerprint as `AB:CD:…`.
    jti: Option<String>,
    /// The tokens of a subject: all of them, now and later, unless `issued_before` says which.
    subject: Option<String>,
    /// Only those of this issuer, as in `iss`, one whose tokens are taken here; of all when absent.
    issuer: Option<String>,
    /// Only those that were issued before this; without `jti` and `subject` those of everybody. A token that does not say
    /// when it was issued counts as old.
    issued_before: Option<Time>,
    /// When this can be forgotten, because the tokens have run out by then; never when absent.
    until: Option<Time>,
    /// Why, for people.
    reason: Option<String>,
}

/// What a revocation did.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RevocationMade {
    /// The revocation's own id, by which it can be taken back.
    id: String,
    /// How many connections ended by it.
    connections_closed: usize,
    /// Whether the token of this request is among those that are not accepted any more.
    concerns_you: bool,
}

/// The revocations that are in force.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ShownRevocations {
    /// How many there are in all.
    total: usize,
    /// This page of them, in the order of their ids.
    revocations: Vec<ShownRevocation>,
    /// The `after` of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A revocation.
#[derive(Debug, Serialize, JsonSchema)]
struct ShownRevocation {
    /// Its own id.
    id: String,
    /// The id of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    /// Whose tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// Of which issuer; of all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    /// Only those that were issued before this.
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_before: Option<Time>,
    /// When it is forgotten; never when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Time>,
    /// When it was made.
    made_at: Time,
    /// By whom.
    made_by: String,
    /// Why; may be empty.
    reason: String,
}

impl From<Revocation> for ShownRevocation {
    fn from(it: Revocation) -> Self {
        let (jti, subject, issued_before) = match it.revoked {
            Revoked::Token(id) => (Some(id), None, None),
            Revoked::Subject { subject, issued_before } => (None, Some(subject), issued_before),
            Revoked::IssuedBefore(moment) => (None, None, Some(moment)),
        };
        Self {
            id: it.id.to_string(),
            jti: jti.map(|it| it.to_string()),
            subject: subject.map(|it| it.to_string()),
            issuer: it.issuer.map(|it| it.to_string()),
            issued_before: issued_before.map(Time),
            until: it.until.map(Time),
            made_at: Time(it.made_at),
            made_by: it.made_by.to_string(),
            reason: it.reason.to_string(),
        }
    }
}

/// A refusal that names a field.
fn field(path: &str, message: &str) -> Problem {
    let refusal = Refusal::saying(ErrorCode::InvalidPayload, format!("{path}: {message}."));
    Problem(refusal.with_details(json!({ "path": path })))
}

/// A text that can be told, compared and logged.
fn checked(path: &str, text: Option<String>, bytes_max: usize) -> Result<Option<Arc<str>>, Problem> {
    match text {
        Some(text) if text.is_empty() => Err(field(path, "is empty")),
        Some(text) if text.len() > bytes_max => Err(field(path, &format!("has more than {bytes_max} bytes"))),
        Some(text) if text.contains(char::is_control) => Err(field(path, "holds control characters")),
        text => Ok(text.map(Into::into)),
    }
}

/// Refuses an issuer whose tokens nobody could show here: a name that is mistyped would revoke nothing, and look as if it had.
fn check_issuer(issuer: Option<&str>, server: &Server) -> Result<(), Problem> {
    let Some(issuer) = issuer else { return Ok(()) };
    let mut known: Vec<String> =
        server.context.verifier.reports().into_iter().map(|report| report.issuer).collect();
    if known.is_empty() {
        // A verifier of an application's own does not say whom it believes.
        return Ok(());
    }
    if !server.settings.certificate_rules.is_empty() {
        known.push(CERTIFICATE_ISSUER.to_owned());
    }
    if known.iter().any(|it| it == issuer) {
        return Ok(());
    }
    let known = known.iter().map(|it| format!("{it:?}")).collect::<Vec<_>>().join(", ");
    let message =
        format!("no tokens of this issuer are taken here; write it as `iss` of the token has it: {known}");
    Err(field("issuer", &message))
}

/// Refuses what is meant as the fingerprint of a certificate, and is written otherwise: it would be nobody's.
fn check_fingerprint(jti: Option<&str>, issuer: Option<&str>) -> Result<(), Problem> {
    let Some(jti) = jti else { return Ok(()) };
    let pairs: Vec<&str> = jti.split(':').collect();
    let is_hex = |pair: &&str| pair.len() == 2 && pair.bytes().all(|it| it.is_ascii_hexdigit());
    let looks_like_one = pairs.len() >= FINGERPRINT_LIKE_PAIRS_MIN && pairs.iter().all(is_hex);
    let is_one =
        pairs.len() == FINGERPRINT_BYTES && pairs.iter().all(is_hex) && jti == jti.to_ascii_uppercase();
    if is_one || !(looks_like_one || issuer == Some(CERTIFICATE_ISSUER)) {
        return Ok(());
    }
    let message = "is no fingerprint of a certificate; write its SHA-256 as AB:CD:…, 32 pairs in capitals, as \
                   `openssl x509 -noout -fingerprint -sha256 -in FILE` prints it";
    Err(field("jti", message))
}

impl Revoke {
    fn revocation(self, caller: &Caller, server: &Server) -> Result<Revocation, Problem> {
        let now = server.clock.now().wall;
        let issued_before = self.issued_before.map(|time| time.0);
        if issued_before.is_some_and(|moment| moment > now.plus(LEEWAY)) {
            // Nobody could come in until then.
            return Err(field("issued_before", "is ahead"));
        }
        let until = self.until.map(|time| time.0);
        if until.is_some_and(|until| until <= now) {
            return Err(field("until", "is past"));
        }
        let jti = checked("jti", self.jti, SUBJECT_BYTES_MAX)?;
        let subject = checked("subject", self.subject, SUBJECT_BYTES_MAX)?;
        let issuer = checked("issuer", self.issuer, SUBJECT_BYTES_MAX)?;
        check_issuer(issuer.as_deref(), server)?;
        check_fingerprint(jti.as_deref(), issuer.as_deref())?;
        let reason = checked("reason", self.reason.filter(|it| !it.is_empty()), REASON_BYTES_MAX)?;
        let revoked = match (jti, subject, issued_before) {
            (Some(_), Some(_), _) => return Err(field("jti", "goes without subject")),
            (Some(_), None, Some(_)) => return Err(field("issued_before", "means nothing beside jti")),
            (Some(jti), None, None) => Revoked::Token(jti),
            (None, Some(subject), issued_before) => Revoked::Subject { subject, issued_before },
            (None, None, Some(moment)) => Revoked::IssuedBefore(moment),
            (None, None, None) => {
                return Err(field("jti", "or subject, or issued_before, says which tokens"));
            }
        };
        let id = RevocationId::parse(&random_token(ID_BYTES)).map_err(|error| {
            tracing::error!(%error, "a random text is no id of a revocation");
            Problem::from(ErrorCode::Internal)
        })?;
        let made_by = caller.principal.subject().into();
        Ok(Revocation {
            id,
            revoked,
            issuer,
            made_at: now,
            until,
            made_by,
            reason: reason.unwrap_or_default(),
        })
    }
}

/// What the audit trail says of it.
fn object(revocation: &Revocation) -> String {
    let what = match &revocation.revoked {
        Revoked::Token(id) => format!("jti {id}"),
        Revoked::Subject { subject, issued_before: None } => format!("subject {subject}"),
        Revoked::Subject { subject, issued_before: Some(moment) } => {
            format!("subject {subject} issued before {moment}")
        }
        Revoked::IssuedBefore(moment) => format!("issued before {moment}"),
    };
    match &revocation.issuer {
        Some(issuer) => format!("{}: {what} of {issuer}", revocation.id),
        None => format!("{}: {what}", revocation.id),
    }
}

/// `POST /api/v1/revocations`: from now on some tokens are not accepted, and what came in with them ends.
pub(crate) async fn make(
    State(server): State<Arc<Server>>,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<RevocationMade>), Problem> {
    caller.require(Permission::TokensRevoke)?;
    let body = body.map_err(|_too_large| Problem::from(ErrorCode::TooLarge))?;
    let revocation = server.read_json::<Revoke>(&body)?.revocation(&caller, &server)?;
    let concerns_you = revocation.concerns(&caller.principal.identity);
    let (connections_closed, kept) = server.context.hub.revoke(&revocation).map_err(Problem)?;
    server.pages.end_where(|principal| revocation.concerns(&principal.identity));
    server.tickets.drop_where(|ticket| revocation.concerns(&ticket.principal.identity));
    caller.audit("revoke tokens", &object(&revocation), "done");
    kept.await.map_err(anita_session::Refused::from)?;
    let made = RevocationMade { id: revocation.id.to_string(), connections_closed, concerns_you };
    Ok((StatusCode::CREATED, Json(made)))
}

#[derive(Debug, Deserialize)]
struct Page {
    limit: Option<usize>,
    after: Option<String>,
}

/// `GET /api/v1/revocations`: those that are in force, page by page.
pub(crate) async fn list(
    State(server): State<Arc<Server>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<ShownRevocations>, Problem> {
    caller.require(Permission::TokensRevoke)?;
    let Page { limit, after } = query_payload(query.as_deref(), &[], &[])?;
    let (limit_max, default) = REVOCATIONS_PER_PAGE;
    let limit = limit.unwrap_or(default);
    if !(1..=limit_max).contains(&limit) {
        let refusal = Refusal::saying(ErrorCode::OutOfRange, format!("limit: has to be 1 to {limit_max}."));
        return Err(Problem(refusal.with_details(json!({ "path": "limit", "limit": limit_max }))));
    }
    let all = server.context.hub.revocations();
    let total = all.len();
    let is_next = |it: &Revocation| after.as_deref().is_none_or(|after| it.id.as_str() > after);
    let mut rest: VecDeque<Revocation> = all.into_iter().filter(is_next).take(limit + 1).collect();
    let next =
        if rest.len() > limit { rest.pop_back().and(rest.back()).map(|it| it.id.to_string()) } else { None };
    Ok(Json(ShownRevocations { total, revocations: rest.into_iter().map(Into::into).collect(), next }))
}

/// `DELETE /api/v1/revocations/{id}`: what it was about is accepted again.
pub(crate) async fn take_back(
    State(server): State<Arc<Server>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    caller.require(Permission::TokensRevoke)?;
    let not_there = || Problem::saying(ErrorCode::NotFound, "There is no revocation of this id.");
    let id = RevocationId::parse(&id).map_err(|_reason| not_there())?;
    let (revocation, kept) = server.context.hub.unrevoke(&id).ok_or_else(not_there)?;
    caller.audit("take back revocation", &object(&revocation), "done");
    kept.await.map_err(anita_session::Refused::from)?;
    Ok(StatusCode::NO_CONTENT)
}
