//! REST: the table of all routes, and the handlers of `/api/v1`.

use std::sync::Arc;

use anita_auth::{LEEWAY, Permission};
use anita_model::SourceName;
use anita_session::RequestClass;
use anita_wire::message::LocationsReported;
use anita_wire::request::{GetActiveDevices, ReportLocation, decode_payload};
use anita_wire::{ErrorCode, Refusal, Time};
use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, delete, get, post};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::administration::{configuration, connections, front, rooms, sources, tokens};
use crate::caller::{Caller, Wire, bearer, verified};
use crate::guests::Reason;
use crate::origin::{self, Origin};
use crate::page_session::{COOKIE, set_cookie};
use crate::problem::{self, Problem};
use crate::server::Server;
use crate::{assets, endpoint, history, openapi, plans, public, revocations, sign_in, tickets};

/// Every route.
pub(crate) fn router(server: Arc<Server>) -> Router {
    let body_bytes_max = server.settings.body_bytes_max;
    Router::new()
        .route("/ws", any(endpoint::upgrade))
        .route("/ws/{*path}", any(endpoint::upgrade))
        .route("/api/v1/session", post(begin_session).get(show_session).delete(end_session))
        .route("/api/v1/sign-in/{id}", get(sign_in::begin))
        .route("/api/v1/sign-in/{id}/callback", get(sign_in::callback))
        .route("/api/v1/tickets", post(tickets::issue))
        .route("/api/v1/revocations", get(revocations::list).post(revocations::make))
        .route("/api/v1/revocations/{id}", delete(revocations::take_back))
        .route("/api/v1/locations", post(report_locations))
        .route("/api/v1/devices", get(list_devices))
        .route("/api/v1/devices/{id}", get(show_device))
        .route("/api/v1/history/{id}", get(history::one))
        .route("/api/v1/history/{id}/track", get(history::track))
        .route("/api/v1/density", get(history::density))
        .route("/api/v1/history", get(history::many))
        .route("/api/v1/snapshot", get(history::snapshot))
        .route("/api/v1/visits", get(history::visits))
        .route("/api/v1/events", get(history::events))
        .route("/api/v1/audit", get(history::audit))
        .route("/api/v1/site", get(show_site))
        .route("/api/v1/plans", get(plans::list))
        .route("/api/v1/plans/{id}", get(plans::show).put(plans::save).delete(plans::remove))
        .route("/api/v1/plans/{id}/picture", get(plans::show_picture).put(plans::save_picture))
        .route("/api/v1/connections", get(connections::list))
        .route("/api/v1/connections/{id}", get(connections::show).delete(connections::close))
        .route("/api/v1/rooms", get(rooms::list))
        .route("/api/v1/sources", get(sources::list))
        .route("/api/v1/tokens", get(tokens::list).post(tokens::make))
        .route("/api/v1/configuration", get(configuration::show))
        .route("/api/v1/page", get(front::show))
        .route("/api/v1/openapi.json", get(public::openapi))
        .route("/api/v1", get(public::api_page))
        .route("/healthz", get(public::healthz))
        .route("/readyz", get(public::readyz))
        .route("/metrics", get(public::metrics))
        .route("/schema", get(public::schema_index))
        .route("/schema/", get(public::schema_index))
        .route("/schema/{name}", get(public::schema))
        .route("/sdk/anita.js", get(assets::sdk))
        .route("/api/{*path}", any(no_such_route))
        .route_layer(middleware::from_fn(openapi::with_known_parameters))
        .fallback(assets::dashboard)
        .layer(DefaultBodyLimit::max(body_bytes_max))
        .layer(middleware::from_fn_with_state(Arc::clone(&server), contained))
        .layer(middleware::from_fn_with_state(Arc::clone(&server), with_deadline))
        .layer(middleware::from_fn_with_state(Arc::clone(&server), with_known_host))
        .layer(middleware::from_fn_with_state(Arc::clone(&server), completed))
        .with_state(server)
}

/// Nothing takes longer than the deadline, least of all a body that comes byte by byte. What is left of an upgrade
/// happens after its answer.
async fn with_deadline(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    let answered = tokio::time::timeout(server.settings.request_deadline, next.run(request)).await;
    answered.unwrap_or_else(|_elapsed| {
        server.context.hub.metrics().count_deadline("request");
        Problem::from(ErrorCode::Timeout).into_response()
    })
}

/// Where the server's own names are known, requests for others are refused: a page whose name was made to point here
/// (DNS rebinding) is of the same origin as the server in every other respect. Probes ask by address.
async fn with_known_host(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    let hosts = &server.settings.hosts;
    let is_probe = matches!(request.uri().path(), "/healthz" | "/readyz");
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if hosts.is_empty() || is_probe || hosts.iter().any(|it| it.eq_ignore_ascii_case(host)) {
        return next.run(request).await;
    }
    server.refused(Reason::Host);
    let message = "This server is not reached by that name; the operator can add it to server.hosts.";
    Problem::saying(ErrorCode::Forbidden, message).into_response()
}

/// A panic costs its request.
async fn contained(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    let answered = server.contained("rest", next.run(request)).await;
    answered.unwrap_or_else(|| Problem::from(ErrorCode::Internal).into_response())
}

/// What is under `/api` and is not there.
async fn no_such_route() -> Problem {
    Problem::saying(ErrorCode::NotFound, "There is nothing at this address; /api/v1 lists what there is.")
}

/// What every answer gets, whoever made it: its place among the counted problems if it is one, and the headers that all
/// have. Pages get their CSP here as well.
async fn completed(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    const HEADERS: [(&str, &str); 6] = [
        ("content-security-policy", assets::CSP),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    let is_tls = request.extensions().get::<Wire>().is_some_and(|wire| wire.is_tls);
    let mut response = next.run(request).await;
    problem::count(&response, server.context.hub.metrics());
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    if is_tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

// --- the page's session

/// `POST /api/v1/session`: a token becomes a session cookie.
async fn begin_session(State(server): State<Arc<Server>>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let wire = crate::caller::wire_of(&parts)?;
    let origin = origin::judge(&parts.headers, wire.scheme(&server), &server.settings.allowed_origins);
    if origin == Origin::Foreign {
        return Err(Problem::saying(ErrorCode::Forbidden, "A page of this origin may not sign in here."));
    }
    let body = axum::body::to_bytes(body, anita_auth::TOKEN_BYTES_MAX + 1_024);
    let body = body.await.map_err(|_too_long| Problem::from(ErrorCode::TooLarge))?;
    let token = if let Some(token) = bearer(&parts.headers) {
        token.to_owned()
    } else {
        server.read_json::<anita_wire::request::Authenticate>(&body)?.token
    };
    let now = server.clock.now();
    let principal = verified(&token, &parts, &server).await?;
    server.count_request(&principal, RequestClass::Auth).map_err(Problem::from)?;
    let max_age = principal.expires_at.plus(LEEWAY).since(now.wall);
    let shown = ShownSession::from(&principal);
    let begun = server.pages.begin(principal.clone(), now);
    let id = begun.ok_or_else(|| Problem::from(ErrorCode::Unavailable))?;
    let address = wire.client_address(&server, &parts.headers);
    let object = principal.identity.noted("page");
    crate::caller::audit(&server, address, Some(&principal), ["sign in", &object, "begun"]);
    let secure = if wire.is_secure(&server) { "; Secure" } else { "" };
    Ok(([(header::SET_COOKIE, set_cookie(&id, max_age, secure))], Json(shown)).into_response())
}

/// Who is signed in.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ShownSession {
    /// The token's subject.
    user_id: String,
    /// The token's roles.
    roles: Vec<String>,
    /// What they allow.
    permissions: Vec<&'static str>,
    /// When the token runs out.
    expires_at: Time,
    /// Where the browser goes after signing out here, to sign out at the issuer as well: `sign_out_at_issuer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    sign_out_at: Option<String>,
}

impl From<&anita_auth::Principal> for ShownSession {
    fn from(principal: &anita_auth::Principal) -> Self {
        Self {
            user_id: principal.subject().to_owned(),
            roles: principal.roles.clone(),
            permissions: principal.permissions.iter().map(Permission::as_str).collect(),
            expires_at: Time(principal.expires_at),
            sign_out_at: None,
        }
    }
}

/// `GET /api/v1/session`: who is signed in.
async fn show_session(State(server): State<Arc<Server>>, caller: Caller) -> Json<ShownSession> {
    let sign_out_at = caller.page.as_ref().and_then(|id| server.pages.sign_out_at(id));
    Json(ShownSession { sign_out_at, ..ShownSession::from(&caller.principal) })
}

/// What a logout ends.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LogoutScope {
    /// Everything of the user: all sockets, sessions of pages and tickets.
    #[default]
    User,
    /// The session of this page, and what was opened with it.
    Session,
}

#[derive(Debug, Deserialize)]
struct Logout {
    #[serde(default)]
    scope: LogoutScope,
}

/// `DELETE /api/v1/session`: the user's sockets, sessions of pages and tickets end, or only those of this page.
async fn end_session(
    State(server): State<Arc<Server>>,
    caller: Caller,
    axum::extract::RawQuery(query): axum::extract::RawQuery,
) -> Result<Response, Problem> {
    let Logout { scope } = query_payload(query.as_deref(), &[], &[])?;
    match scope {
        LogoutScope::Session => {
            let message = "This request came with a token and not with the session of a page.";
            let id = caller.page.as_ref();
            let id = id.ok_or_else(|| Problem::saying(ErrorCode::NotFound, message))?;
            server.tickets.drop_where(|ticket| ticket.page.as_ref() == Some(id));
            server.pages.end(id);
            caller.audit("sign out", "page", "done");
        }
        LogoutScope::User => {
            let user = &caller.principal.identity.user;
            server.tickets.drop_where(|ticket| ticket.principal.identity.user == *user);
            server.pages.end_where(|principal| principal.identity.user == *user);
            server.context.hub.log_out(user);
            caller.audit("sign out", "everywhere", "done");
        }
    }
    let gone = format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, gone)]).into_response())
}

// --- locations and devices

/// `POST /api/v1/locations`: one item, a list of them, `{"locations": […]}`, or one a line (NDJSON).
async fn report_locations(
    State(server): State<Arc<Server>>,
    caller: Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<LocationsReported>, Problem> {
    caller.require(Permission::LocationsReport)?;
    let body = body.map_err(|_too_large| Problem::from(ErrorCode::TooLarge))?;
    let text = std::str::from_utf8(&body)
        .map_err(|_not_text| Problem::saying(ErrorCode::InvalidJson, "The body is not UTF-8."))?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let report = if content_type.starts_with("application/x-ndjson")
        || content_type.starts_with("application/ndjson")
    {
        ndjson(&server, text)?
    } else {
        items(&server, text)?
    };
    let (hub, now) = (&server.context.hub, server.clock.now());
    let (reported, kept) =
        anita_session::report(hub, &caller.principal, &SourceName::http(), report.items, now);
    kept.await.map_err(anita_session::Refused::from)?;
    Ok(Json(reported))
}

fn items(server: &Server, text: &str) -> Result<ReportLocation, Problem> {
    server.check_json(text)?;
    if text.trim_start().starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| {
            Problem::saying(ErrorCode::InvalidJson, format!("The body is not valid JSON: {error}."))
        })?;
        return ReportLocation::from_items(&items).map_err(Problem);
    }
    ReportLocation::decode(text).map_err(Problem)
}

fn ndjson(server: &Server, text: &str) -> Result<ReportLocation, Problem> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let limit = anita_wire::limits::LOCATIONS_PER_REPORT_MAX;
    if lines.len() > limit {
        let message = format!("{} locations in one report, at most {limit} are allowed.", lines.len());
        return Err(Problem::saying(ErrorCode::TooLarge, message));
    }
    let item = |line: &&str| -> Result<_, Refusal> {
        anita_wire::check_json(line, server.context.settings.json_nesting_max)?;
        decode_payload(line)
    };
    Ok(ReportLocation { items: lines.iter().map(item).collect() })
}

/// Reads a query string as the payload of a request: numbers and lists as the socket would have them.
pub(crate) fn query_payload<T: serde::de::DeserializeOwned>(
    query: Option<&str>,
    more: &[(&str, &str)],
    lists: &[&str],
) -> Result<T, Problem> {
    let mut payload = serde_json::Map::new();
    for (name, value) in url_pairs(query.unwrap_or_default()) {
        let value = if lists.contains(&name.as_str()) {
            // By commas, by repeating, or both.
            let mut words =
                payload.remove(&name).and_then(|value| value.as_array().cloned()).unwrap_or_default();
            words.extend(value.split(',').map(Value::from));
            Value::from(words)
        } else if name == "limit" {
            value.parse::<u32>().map_or_else(|_not_a_number| Value::from(value), Value::from)
        } else {
            Value::from(value)
        };
        payload.insert(name, value);
    }
    // What the path says goes over what the query says.
    for (name, value) in more {
        payload.insert((*name).to_owned(), Value::from(*value));
    }
    decode_payload(&Value::Object(payload).to_string()).map_err(Problem)
}

/// The pairs of a query string, unescaped.
pub(crate) fn url_pairs(query: &str) -> Vec<(String, String)> {
    serde_urlencoded::from_str(query).unwrap_or_default()
}

/// `GET /api/v1/devices`: the same as `get_active_devices`.
async fn list_devices(
    State(server): State<Arc<Server>>,
    caller: Caller,
    axum::extract::RawQuery(query): axum::extract::RawQuery,
) -> Result<Json<anita_wire::message::DeviceList>, Problem> {
    caller.require(Permission::DevicesRead)?;
    let payload: GetActiveDevices = query_payload(query.as_deref(), &[], &["kinds", "status"])?;
    Ok(Json(anita_session::device_list(&server.context.hub, &caller.principal, &payload)?))
}

/// `GET /api/v1/devices/{id}`: one device.
async fn show_device(
    State(server): State<Arc<Server>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<anita_wire::message::Device>, Problem> {
    caller.require(Permission::DevicesRead)?;
    let id = anita_model::DeviceId::parse(&id)
        .map_err(|invalid| Problem::saying(ErrorCode::NotFound, format!("{invalid}.")))?;
    let device = server.context.hub.device(&caller.principal, &id);
    device.map(|device| Json(anita_views::device(&device))).ok_or_else(|| ErrorCode::NotFound.into())
}

/// `GET /api/v1/site`: the floor plan.
async fn show_site(State(server): State<Arc<Server>>, caller: Caller) -> Result<Response, Problem> {
    caller.require(Permission::DevicesRead)?;
    Ok(Json(&server.site).into_response())
}
