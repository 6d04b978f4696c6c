//! What needs no token: health, metrics for those nearby, schemas and documentation.

use std::fmt::Write as _;
use std::sync::Arc;

use anita_auth::{IssuerReport, KeysState, Permission};
use anita_metrics::{IssuerLabels, MalformedLabels, SourceLabels};
use anita_store::State as StoreState;
use anita_wire::ErrorCode;
use axum::Json;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::caller::{Caller, wire_of};
use crate::openapi::{self, ROUTES};
use crate::problem::Problem;
use crate::server::{Server, SourceReport};

/// `/healthz`: the process answers, and all parts of it make progress. Whoever gets no answer at all in time knows enough.
pub(crate) async fn healthz(State(server): State<Arc<Server>>) -> Response {
    let stuck = server.watched.stuck();
    let wrong = match (server.vitals.missing(), stuck.is_empty()) {
        (None, true) => return "ok\n".into_response(),
        (Some(missing), _) => format!("gone: {missing}\n"),
        (None, false) => format!("stuck: {}\n", stuck.join(", ")),
    };
    (StatusCode::SERVICE_UNAVAILABLE, wrong).into_response()
}

/// What `/readyz` says.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Readiness {
    /// Whether new clients are welcome.
    ready: bool,
    /// `ok`, `degraded` while the store does not keep what it is given, `draining` while the server stops.
    status: &'static str,
    /// How the store is.
    store: ReadyStore,
    /// How each source is.
    sources: Vec<ReadySource>,
    /// How the keys of each issuer of tokens are.
    issuers: Vec<ReadyIssuer>,
}

/// How the store is.
#[derive(Debug, Serialize, JsonSchema)]
struct ReadyStore {
    /// `well`, `spooling`, `slow`, `full` or `away`.
    state: &'static str,
    /// Fixes that wait to be stored.
    waiting_fixes: usize,
    /// Events, entries of the audit trail and changes of the registry that wait.
    waiting_records: usize,
    /// Fixes in the spool.
    spooled_fixes: u64,
}

/// How the keys of an issuer are.
#[derive(Debug, Serialize, JsonSchema)]
struct ReadyIssuer {
    /// What `iss` is in its tokens.
    issuer: String,
    /// `given` by the operator, `fresh`, `kept` while the issuer does not answer, or `missing`.
    state: &'static str,
    /// How many there are.
    keys: usize,
    /// How long ago the issuer said so, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_secs: Option<u64>,
}

impl From<IssuerReport> for ReadyIssuer {
    fn from(report: IssuerReport) -> Self {
        let IssuerReport { issuer, state, keys, age } = report;
        Self { issuer, state: state.as_str(), keys, age_secs: age.map(|age| age.as_secs()) }
    }
}

/// How a source is.
#[derive(Debug, Serialize, JsonSchema)]
struct ReadySource {
    /// Its name.
    name: String,
    /// `starting`, `connected`, `waiting` or `stopped`.
    state: &'static str,
    /// How often it was started anew.
    restarts: u64,
}

/// `/readyz`: whether new clients are welcome, and how the sources and the store are. Live data flow whatever the store
/// does, so a store that is away makes the server degraded and not unready.
pub(crate) async fn readyz(State(server): State<Arc<Server>>) -> Response {
    let is_ready = server.is_ready();
    let sources = server.sources.reports().into_iter();
    let sources =
        sources.map(|SourceReport { name, state, restarts, .. }| ReadySource { name, state, restarts });
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let health = server.context.hub.store_health();
    let issuers: Vec<ReadyIssuer> =
        server.context.verifier.reports().into_iter().map(ReadyIssuer::from).collect();
    let lacks_keys = issuers.iter().any(|it| it.state == KeysState::Missing.as_str());
    let status_word = match (is_ready, health.state) {
        (false, _) => "draining",
        (true, StoreState::Well) if lacks_keys => "degraded",
        (true, StoreState::Well) => "ok",
        (true, StoreState::Spooling | StoreState::Slow | StoreState::Full | StoreState::Away) => "degraded",
    };
    let store = ReadyStore {
        state: health.state.as_str(),
        waiting_fixes: health.waiting_fixes,
        waiting_records: health.backlog,
        spooled_fixes: health.spooled_fixes,
    };
    let body = Readiness { ready: is_ready, status: status_word, store, sources: sources.collect(), issuers };
    (status, Json(body)).into_response()
}

/// `/metrics`: open on loopback and for the configured addresses, else with a token.
pub(crate) async fn metrics(
    State(server): State<Arc<Server>>,
    request: Request,
) -> Result<Response, Problem> {
    let (mut parts, _body) = request.into_parts();
    let wire = wire_of(&parts)?;
    let address = wire.client_address(&server, &parts.headers);
    let is_near =
        address.is_some_and(|it| it.is_loopback() || server.settings.metrics_addresses.contains(&it));
    if !is_near {
        let caller = Caller::from_request_parts(&mut parts, &server).await?;
        caller.require(Permission::MetricsRead)?;
    }
    let metrics = server.context.hub.metrics();
    server.context.hub.refresh_gauges();
    refresh_identity(&server);
    server.guests.refresh_gauges(metrics);
    for source in server.sources.reports() {
        let labels = SourceLabels { source: source.name.clone() };
        metrics.source_connected.get_or_create(&labels).set(i64::from(source.state == "connected"));
        metrics
            .source_restarts
            .get_or_create(&labels)
            .set(i64::try_from(source.restarts).unwrap_or(i64::MAX));
        let dropped = i64::try_from(source.dropped).unwrap_or(i64::MAX);
        metrics.source_dropped.get_or_create(&labels).set(dropped);
        for (reason, count) in source.malformed {
            let labels = MalformedLabels { source: source.name.clone(), reason };
            metrics.source_malformed.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
    Ok(([(header::CONTENT_TYPE, anita_metrics::CONTENT_TYPE)], metrics.page()).into_response())
}

/// The gauges of who comes in.
fn refresh_identity(server: &Server) {
    let metrics = server.context.hub.metrics();
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    for report in server.context.verifier.reports() {
        let labels = IssuerLabels { issuer: report.issuer };
        metrics.identity.issuer_keys.get_or_create(&labels).set(number(report.keys));
        if let Some(age) = report.age {
            let age_secs = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
            metrics.identity.issuer_keys_age.get_or_create(&labels).set(age_secs);
        }
    }
    metrics.identity.page_sessions.set(number(server.pages.count()));
    metrics.identity.sign_ins.set(number(server.sign_in_attempts.count(server.clock.now().uptime)));
    server.tickets.refresh_gauge(metrics, server.clock.now().uptime);
}

/// `/schema/`: the names of everything below it.
pub(crate) async fn schema_index() -> Json<Value> {
    let schemas = anita_wire::schema::Schemas::all();
    Json(json!({
        "protocol": anita_wire::SUBPROTOCOL,
        "documents": ["/schema/asyncapi.json", "/schema/errors"],
        "requests": schemas.requests.iter().map(|(name, it)| json!({ "type": name, "schema": format!("/schema/{name}.json"), "answer": it.answer })).collect::<Vec<_>>(),
        "messages": schemas.messages.keys().map(|name| json!({ "type": name, "schema": format!("/schema/{name}.json") })).collect::<Vec<_>>(),
    }))
}

/// `/schema/{type}.json`: the schema of one payload; `/schema/errors`: the registry of codes.
pub(crate) async fn schema(Path(name): Path<String>) -> Result<Response, Problem> {
    if name == "errors" {
        return Ok(Json(registry()).into_response());
    }
    if name == "asyncapi.json" {
        return Ok(Json(anita_wire::schema::asyncapi()).into_response());
    }
    let schemas = anita_wire::schema::Schemas::all();
    let name = name.strip_suffix(".json").unwrap_or(&name);
    let request = schemas.requests.get(name).map(|request| &request.payload);
    let found = request.or_else(|| schemas.messages.get(name)).ok_or(ErrorCode::NotFound)?;
    Ok(([(header::CONTENT_TYPE, "application/schema+json")], Json(found)).into_response())
}

/// Every error code and close code.
fn registry() -> Value {
    let errors = anita_wire::ErrorCode::ALL.iter().map(|code| {
        json!({
            "code": code.as_str(), "retryable": code.is_retryable(), "http_status": code.http_status(),
            "message": code.message(), "remedy": code.remedy(),
        })
    });
    let closes = anita_wire::CloseCode::ALL.iter().map(|code| {
        json!({ "number": code.number(), "code": code.reason_code(), "advice": code.advice(), "meaning": code.meaning() })
    });
    json!({ "errors": errors.collect::<Vec<_>>(), "close_codes": closes.collect::<Vec<_>>() })
}

/// `/api/v1/openapi.json`.
pub(crate) async fn openapi() -> Json<Value> {
    Json(openapi::document())
}

/// `/api/v1`: the REST interface on one page, for people.
pub(crate) async fn api_page() -> Response {
    let mut page = String::from(
        "<!doctype html><html lang=en><meta charset=utf-8><title>ANITA: REST</title><h1>REST interface</h1>\
         <p>For programs: <a href=/api/v1/openapi.json>OpenAPI 3.1</a>. The socket is described by \
         <a href=/schema/asyncapi.json>AsyncAPI 3.0</a> and <a href=/schema/>JSON Schemas</a>.<dl>",
    );
    for route in ROUTES {
        let needs = route.access.words();
        let (method, path, summary) = (route.method.to_uppercase(), route.path, route.summary);
        // Writing to a String does not fail.
        write!(page, "<dt><code>{method} {path}</code><dd>{summary} Needs: {needs}.").ok();
    }
    page += "</dl></html>";
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}
