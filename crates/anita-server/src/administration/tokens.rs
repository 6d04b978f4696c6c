//! `/api/v1/tokens`: tokens that this server makes for others, where it has a key of its own.
//!
//! Nobody gives more than he has: what a token allows is compared with what its maker may do, after it was judged as
//! whoever will show it is judged.

use std::sync::Arc;
use std::time::Duration;

use anita_auth::{Grant, Patterns, Permission, Permissions, Principal, SUBJECT_BYTES_MAX, TOKEN_BYTES_MAX};
use anita_hub::random_token;
use anita_wire::{ErrorCode, Refusal, Time};
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::minted::{MINTED_MAX, MINTED_PER_MAKER_MAX, MintedToken, NoRoom};
use super::paging::Page;
use super::{Desk, Mint};
use crate::caller::Caller;
use crate::problem::Problem;
use crate::rest::query_payload;
use crate::server::Server;

/// The most on a page, and how many there are when nobody says.
pub(crate) const TOKENS_PER_PAGE: (usize, usize) = (1_000, 100);

/// The most roles of a token.
const ROLES_MAX: usize = 32;

/// How long the id of a token is, random bytes.
const TOKEN_ID_BYTES: usize = 16;

/// When to come back when the key can't be used just now: files of keys are looked at every two seconds.
const KEY_RETRY_AFTER: Duration = Duration::from_secs(3);

/// The token that is wanted.
#[derive(Debug, Deserialize, JsonSchema)]
// A field that is mistyped would give a token that may more than was meant.
#[serde(deny_unknown_fields)]
pub(crate) struct MintRequest {
    /// Whom it is for.
    #[schemars(example = &"hall-display")]
    subject: String,
    /// What it may do: names of roles. Together they allow nothing that you may not do yourself.
    #[schemars(example = &["viewer"])]
    roles: Vec<String>,
    /// How long it is valid, seconds: at most `auth.minted_ttl_max_secs`.
    #[schemars(example = 3_600)]
    ttl_secs: u64,
    /// Globs of the devices that may be seen; those that you may see when absent.
    devices: Option<Vec<String>>,
    /// Globs of the rooms that may be joined; those that you may join when absent.
    rooms: Option<Vec<String>>,
}

/// A token, for whoever asked for it. It is nowhere else.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TokenMade {
    /// The token. It is not shown again.
    token: String,
    /// Its id (`jti`), by which it is revoked.
    token_id: String,
    /// When it runs out.
    expires_at: Time,
}

/// The tokens that were made here and have not run out.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ShownTokens {
    /// How many there are in all.
    total: usize,
    /// Tokens that were made before are not listed: the server started then. The audit trail has them.
    known_since: Time,
    /// What can be asked for; absent where the server has no key of its own to make tokens with.
    #[serde(skip_serializing_if = "Option::is_none")]
    offer: Option<Offer>,
    /// This page of them, in the order of their ids.
    tokens: Vec<ShownToken>,
    /// The `after` of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// What may be asked for in a token.
#[derive(Debug, Serialize, JsonSchema)]
struct Offer {
    /// How long it may be valid at most, seconds.
    ttl_secs_max: u64,
    /// The roles that allow nothing that you may not do yourself.
    roles: Vec<OfferedRole>,
}

/// A role, and what it allows.
#[derive(Debug, Serialize, JsonSchema)]
struct OfferedRole {
    /// Its name.
    name: String,
    /// The names of the permissions.
    permissions: Vec<&'static str>,
}

impl Offer {
    /// `None` where no token can be made.
    fn to(caller: &Principal, desk: &Desk) -> Option<Self> {
        desk.mint.as_ref()?;
        let roles = desk.roles.names().filter_map(|name| {
            let allowed = desk.roles.permissions_of([name]);
            let is_within = allowed.without(caller.permissions).iter().next().is_none();
            let permissions = || allowed.iter().map(Permission::as_str).collect();
            is_within.then(|| OfferedRole { name: name.to_owned(), permissions: permissions() })
        });
        Some(Self { ttl_secs_max: desk.minted_ttl_max.as_secs(), roles: roles.collect() })
    }
}

/// A token that was made here; never the token itself.
#[derive(Debug, Serialize, JsonSchema)]
struct ShownToken {
    /// Its id (`jti`).
    token_id: String,
    /// Whom it is for.
    subject: String,
    /// Its roles.
    roles: Vec<String>,
    /// Globs of the devices that may be seen; all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    devices: Option<Vec<String>>,
    /// Globs of the rooms that may be joined; all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    rooms: Option<Vec<String>>,
    /// Who made it.
    made_by: String,
    /// When.
    made_at: Time,
    /// When it runs out.
    expires_at: Time,
    /// Whether it is not accepted any more.
    is_revoked: bool,
}

/// A refusal that names a field.
fn field(code: ErrorCode, path: &str, message: &str) -> Problem {
    let refusal = Refusal::saying(code, format!("{path}: {message}."));
    Problem(refusal.with_details(json!({ "path": path })))
}

/// What is to be made, checked against what there is and what its maker may do.
#[derive(Debug)]
struct Wanted {
    subject: String,
    roles: Vec<String>,
    ttl: Duration,
    devices: Patterns,
    rooms: Patterns,
}

impl Wanted {
    fn new(request: MintRequest, caller: &Principal, desk: &Desk) -> Result<Self, Problem> {
        let MintRequest { subject, roles, ttl_secs, devices, rooms } = request;
        let invalid = |path: &str, message: &str| field(ErrorCode::InvalidPayload, path, message);
        if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX || subject.contains(char::is_control) {
            let message = format!("has to be 1 to {SUBJECT_BYTES_MAX} bytes without control characters");
            return Err(invalid("subject", &message));
        }
        if roles.is_empty() || roles.len() > ROLES_MAX {
            return Err(invalid("roles", &format!("has to name 1 to {ROLES_MAX} roles")));
        }
        if let Some(unknown) = roles.iter().find(|role| !desk.roles.has(role)) {
            let known = desk.roles.names().collect::<Vec<_>>().join(", ");
            let unknown: String = unknown.chars().take(64).collect();
            let message = format!("there is no role {unknown:?}; the roles are {known}");
            return Err(invalid("roles", &message));
        }
        let most = desk.minted_ttl_max.as_secs();
        if !(1..=most).contains(&ttl_secs) {
            let message = format!("has to be 1 to {most} seconds (auth.minted_ttl_max_secs)");
            return Err(field(ErrorCode::OutOfRange, "ttl_secs", &message));
        }
        Ok(Self {
            subject,
            roles,
            ttl: Duration::from_secs(ttl_secs),
            devices: narrowed("devices", devices, &caller.devices)?,
            rooms: narrowed("rooms", rooms, &caller.rooms)?,
        })
    }

    /// What is said of it in the audit trail.
    fn object(&self, token_id: &str, expires_at: Time) -> String {
        let patterns = |name: &str, patterns: &Patterns| {
            patterns.texts().map(|texts| format!(", {name} {}", texts.join(" "))).unwrap_or_default()
        };
        format!(
            "jti {token_id} until {} for {}: {}{}{}",
            expires_at.0,
            self.subject,
            self.roles.join(", "),
            patterns("devices", &self.devices),
            patterns("rooms", &self.rooms),
        )
    }
}

/// Patterns that are asked for, within those of whoever asks; these when none are asked for.
fn narrowed(path: &str, asked: Option<Vec<String>>, own: &Patterns) -> Result<Patterns, Problem> {
    let Some(asked) = asked else { return Ok(own.clone()) };
    let patterns = Patterns::parse(&asked)
        .map_err(|invalid| field(ErrorCode::InvalidPayload, path, &invalid.to_string()))?;
    if own.cover(&patterns) {
        return Ok(patterns);
    }
    let own = own.texts().unwrap_or_default().join(" ");
    let message = format!(
        "are not certainly within your own, which are {own}; name these, single names that they allow, or leave it out"
    );
    Err(field(ErrorCode::Forbidden, path, &message))
}

/// Refuses to give what the giver has not.
fn check_permissions(wanted: Permissions, own: Permissions) -> Result<(), Problem> {
    let beyond = wanted.without(own);
    let Some(first) = beyond.iter().next() else { return Ok(()) };
    let names = beyond.iter().map(Permission::as_str).collect::<Vec<_>>().join(", ");
    let message = format!("roles: they allow what your own token does not: {names}.");
    let details = json!({ "path": "roles", "permission": first.as_str() });
    Err(Problem(Refusal::saying(ErrorCode::Forbidden, message).with_details(details)))
}

/// What can make tokens ends no later than what it was made with: else whoever has one for a minute has one for ever.
fn check_end(made: &Principal, maker: &Principal) -> Result<(), Problem> {
    if !made.may(Permission::TokensMint) || made.expires_at <= maker.expires_at {
        return Ok(());
    }
    let until = Time(maker.expires_at);
    let message = format!(
        "ttl_secs: a token with the permission {} ends no later than the one that it is made with, which is at {}.",
        Permission::TokensMint.as_str(),
        until.0,
    );
    Err(Problem(Refusal::saying(ErrorCode::OutOfRange, message).with_details(json!({ "path": "ttl_secs" }))))
}

/// The key of the server, or what to do without one.
fn mint_of(server: &Server) -> Result<&dyn Mint, Problem> {
    server.desk.mint.as_deref().ok_or_else(|| {
        let message = "This server makes no tokens: it has no secret of its own, only keys to check the tokens of others. \
             Let their issuer make them, or configure auth.secret_file or auth.secret_env.";
        let details = json!({ "key": "auth.secret_file" });
        Problem(Refusal::saying(ErrorCode::Conflict, message).with_details(details))
    })
}

/// A token, and as whom it lets in whoever shows it.
fn minted(server: &Server, wanted: &Wanted, token_id: &str) -> Result<(String, Principal), Problem> {
    let now = server.clock.now().wall;
    let grant = Grant {
        subject: &wanted.subject,
        roles: &wanted.roles,
        devices: wanted.devices.texts(),
        rooms: wanted.rooms.texts(),
        token_id: Some(token_id),
    };
    let token = mint_of(server)?.mint(&grant, now, wanted.ttl).map_err(|fault| {
        tracing::error!(error = &fault as &dyn std::error::Error, "no token could be made");
        let message = "The server's key can't be used just now; the operator finds the cause in the log.";
        Problem::busy(ErrorCode::Unavailable, message, KEY_RETRY_AFTER)
    })?;
    if token.len() > TOKEN_BYTES_MAX {
        let message = "The token would be longer than a token may be: ask with fewer or shorter patterns.";
        return Err(Problem::saying(ErrorCode::TooLarge, message));
    }
    let principal = server.context.verifier.verify(&token, now).map_err(|error| {
        tracing::warn!(%error, "a token of our own is not accepted, and nobody gets it");
        let message = "The server does not accept its own token: its key was changed a moment ago, or auth.token_type \
             asks for another type than JWT.";
        Problem::busy(ErrorCode::Unavailable, message, KEY_RETRY_AFTER)
    })?;
    let is_as_wanted = principal.subject() == wanted.subject
        && principal.identity.token_id.as_deref() == Some(token_id)
        && principal.roles == wanted.roles
        && principal.devices == wanted.devices
        && principal.rooms == wanted.rooms;
    if !is_as_wanted {
        let message = "The server's own tokens do not say what was asked for as this issuer is configured: it may not give \
             these roles (auth.roles_allowed), or reads roles, devices or rooms from other claims than roles, \
             devices and rooms.";
        return Err(Problem::saying(ErrorCode::Conflict, message));
    }
    Ok((token, principal))
}

/// `POST /api/v1/tokens`: a token for somebody.
pub(crate) async fn make(
    State(server): State<Arc<Server>>,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<TokenMade>), Problem> {
    caller.require(Permission::TokensMint)?;
    let body = body.map_err(|_too_large| Problem::from(ErrorCode::TooLarge))?;
    let request = server.read_json::<MintRequest>(&body)?;
    mint_of(&server)?;
    let subject = request.subject.clone();
    let made = checked(&server, &caller.principal, request);
    let (wanted, token_id, token, principal) = made.inspect_err(|problem| {
        if problem.0.code == ErrorCode::Forbidden {
            caller.audit("mint token", &format!("for {subject}: {}", problem.0.message), "forbidden");
        }
    })?;
    let expires_at = Time(principal.expires_at);
    let hub = &server.context.hub;
    let noted = MintedToken {
        principal: Principal { devices: Patterns::all(), rooms: Patterns::all(), ..principal },
        devices: wanted.devices.texts().map(<[String]>::to_vec),
        rooms: wanted.rooms.texts().map(<[String]>::to_vec),
        made_by: caller.principal.identity.user.clone(),
        made_at: server.clock.now().wall,
    };
    let now = noted.made_at;
    server.minted.add(token_id.as_str().into(), noted, now, |it| hub.is_revoked(it)).map_err(full)?;
    caller.audit("mint token", &wanted.object(&token_id, expires_at), "done");
    Ok((StatusCode::CREATED, Json(TokenMade { token, token_id, expires_at })))
}

/// That there are as many tokens as there may be.
fn full(none: NoRoom) -> Problem {
    let (whose, limit) = match none {
        NoRoom::Full => ("of this server", MINTED_MAX),
        NoRoom::FullOfMaker => ("that you made", MINTED_PER_MAKER_MAX),
    };
    let message = format!(
        "There are {limit} tokens {whose} that have not run out, as many as there may be: revoke some."
    );
    Problem(Refusal::saying(ErrorCode::LimitReached, message).with_details(json!({ "limit": limit })))
}

/// A token within what its maker may do.
fn checked(
    server: &Server,
    caller: &Principal,
    request: MintRequest,
) -> Result<(Wanted, String, String, Principal), Problem> {
    let wanted = Wanted::new(request, caller, &server.desk)?;
    let allowed = server.desk.roles.permissions_of(wanted.roles.iter().map(String::as_str));
    check_permissions(allowed, caller.permissions)?;
    let token_id = random_token(TOKEN_ID_BYTES);
    let (token, principal) = minted(server, &wanted, &token_id)?;
    // What counts is what the token allows, and not what was asked for.
    check_permissions(principal.permissions, caller.permissions)?;
    check_end(&principal, caller)?;
    if server.context.hub.is_revoked(&principal) {
        let message = "subject: it is revoked, and so the token would never be accepted; take the revocation back first.";
        return Err(Problem(
            Refusal::saying(ErrorCode::Conflict, message).with_details(json!({ "path": "subject" })),
        ));
    }
    Ok((wanted, token_id, token, principal))
}

/// `GET /api/v1/tokens`: those of the caller; all for whoever may revoke them.
pub(crate) async fn list(
    State(server): State<Arc<Server>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<ShownTokens>, Problem> {
    caller.require(Permission::TokensMint)?;
    let page: Page = query_payload(query.as_deref(), &[], &[])?;
    let limit = page.limit(TOKENS_PER_PAGE)?;
    let (hub, now) = (&server.context.hub, server.clock.now());
    let sees_all = caller.principal.may(Permission::TokensRevoke);
    let is_shown = |it: &MintedToken| sees_all || it.made_by == caller.principal.identity.user;
    let found = server.minted.page((page.after.as_deref(), limit), now.wall, is_shown);
    let shown = found.tokens.into_iter().map(|(id, it)| ShownToken {
        token_id: id.to_string(),
        subject: it.principal.subject().to_owned(),
        is_revoked: hub.is_revoked(&it.principal),
        expires_at: Time(it.principal.expires_at),
        roles: it.principal.roles,
        devices: it.devices,
        rooms: it.rooms,
        made_by: it.made_by.subject.to_string(),
        made_at: Time(it.made_at),
    });
    let tokens: Vec<ShownToken> = shown.collect();
    let next = tokens.last().filter(|_last| found.has_more).map(|last| last.token_id.clone());
    let known_since = Time(now.wall.minus(now.uptime));
    let offer = Offer::to(&caller.principal, &server.desk);
    Ok(Json(ShownTokens { total: found.total, known_since, offer, tokens, next }))
}
