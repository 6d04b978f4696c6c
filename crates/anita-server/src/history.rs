//! `/api/v1/history`, and what else is asked of the past by REST: exports, tracks, snapshots, visits, events, the audit
//! trail.
//!
//! None of it runs on the thread of a shard: reading and encoding happen on threads of their own, as many as there are
//! places for, and live delivery goes on beside it.

mod asked;
mod body;
mod format;
mod gate;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use anita_auth::Permission;
use anita_model::{DeviceId, Timestamp};
use anita_session::Refused;
use anita_session::past::{
    self, DensityQuestion, Range, Selection, SnapshotQuestion, TrackQuestion, TrailQuestion, VisitsQuestion,
    Walk,
};
use anita_wire::request::{GetLocationHistory, decode_payload};
use anita_wire::view::{Area, ViewFilter};
use anita_wire::{ErrorCode, Refusal};
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;
use serde_json::json;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use self::asked::Asked;
use self::body::{Export, Limits};
use self::format::{Coding, Format};
use self::gate::Gate;
use crate::caller::Caller;
use crate::coding;
use crate::problem::Problem;
use crate::rest::query_payload;
use crate::server::Server;

/// Exports at a time.
const EXPORTS_MAX: usize = 8;

/// Those of one subject.
const EXPORTS_OF_ONE_MAX: usize = 4;

/// Other questions at a time.
const QUESTIONS_MAX: usize = 16;

/// Those of one subject.
const QUESTIONS_OF_ONE_MAX: usize = 8;

/// When to come back when all places are taken.
const COME_BACK_AFTER: Duration = Duration::from_secs(5);

/// What ends the connection under a request, whatever it does: for a client that takes nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cut(pub(crate) CancellationToken);

/// How much is asked of the past at a time.
#[derive(Debug)]
pub(crate) struct Gates {
    exports: Arc<Gate>,
    questions: Arc<Gate>,
}

impl Default for Gates {
    fn default() -> Self {
        Self {
            exports: Gate::new(EXPORTS_MAX, EXPORTS_OF_ONE_MAX),
            questions: Gate::new(QUESTIONS_MAX, QUESTIONS_OF_ONE_MAX),
        }
    }
}

// --- the routes

/// `GET /api/v1/history/{id}`: the same as `get_location_history`, or with a format everything as a file.
pub(crate) async fn one(
    State(server): State<Arc<Server>>,
    caller: Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    axum::Extension(cut): axum::Extension<Cut>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.require(Permission::HistoryRead)?;
    let asked = Asked::new(query.as_deref());
    let Some(format) = format_of(&asked, &["json"])? else {
        if asked.text("every_secs")?.is_some() {
            return Err(asked::field("every_secs", "thins exports: say csv, ndjson or geojson as format"));
        }
        let payload: GetLocationHistory = query_payload(query.as_deref(), &[("device_id", &id)], &[])?;
        let page = anita_session::history_page(&server.context.hub, &caller.principal, &payload)?;
        return answer(&server, &caller, page).await;
    };
    let selection = Selection::one(&server.context.hub, &caller.principal, &id)?;
    export(&server, &caller, &asked, &headers, Wanted { format, selection, name: &id, cut }).await
}

/// `GET /api/v1/history`: everything of several devices, as a file.
pub(crate) async fn many(
    State(server): State<Arc<Server>>,
    caller: Caller,
    RawQuery(query): RawQuery,
    axum::Extension(cut): axum::Extension<Cut>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.require(Permission::HistoryRead)?;
    let asked = Asked::new(query.as_deref());
    let format = format_of(&asked, &[])?.ok_or_else(|| {
        asked::field("format", "say csv, ndjson or geojson; pages of one device are at /api/v1/history/{id}")
    })?;
    let selection = match asked.list("devices") {
        Some(texts) => Selection::parse(&server.context.hub, &caller.principal, &texts)?,
        None => Selection::all(),
    };
    export(&server, &caller, &asked, &headers, Wanted { format, selection, name: "history", cut }).await
}

/// `GET /api/v1/history/{id}/track`: a device's way, simplified.
pub(crate) async fn track(
    State(server): State<Arc<Server>>,
    caller: Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    caller.require(Permission::HistoryRead)?;
    let asked = Asked::new(query.as_deref());
    let device = DeviceId::parse(&id)
        .map_err(|invalid| Problem::saying(ErrorCode::NotFound, format!("{invalid}.")))?;
    let question =
        TrackQuestion { device, range: range_of(&asked)?, tolerance_m: asked.number("tolerance")? };
    let (hub, principal) = (Arc::clone(&server.context.hub), caller.principal.clone());
    answer(&server, &caller, async move { past::track(&hub, &principal, question).await }).await
}

/// `GET /api/v1/density`: how many fixes there are in each part of a time.
pub(crate) async fn density(
    State(server): State<Arc<Server>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    caller.require(Permission::HistoryRead)?;
    let asked = Asked::new(query.as_deref());
    let device = asked.text("device_id")?.map(DeviceId::parse).transpose();
    let device = device.map_err(|invalid| Problem::saying(ErrorCode::NotFound, format!("{invalid}.")))?;
    let question = DensityQuestion {
        range: range_of(&asked)?,
        buckets: asked.count("buckets")?,
        device,
        devices: asked.list("devices"),
    };
    let (hub, principal) = (Arc::clone(&server.context.hub), caller.principal.clone());
    answer(&server, &caller, async move { past::density(&hub, &principal, question).await }).await
}

/// `GET /api/v1/snapshot`: where everything was at a moment.
pub(crate) async fn snapshot(
    State(server): State<Arc<Server>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    caller.require(Permission::HistoryRead)?;
    let asked = Asked::new(query.as_deref());
    let at = asked.time("at")?.ok_or_else(|| asked::field("at", "say at which moment"))?;
    let question = SnapshotQuestion {
        at,
        max_age: asked.duration("max_age_secs")?,
        limit: asked.count("limit")?,
        after: asked.text("after")?.map(str::to_owned),
    };
    let (hub, principal) = (Arc::clone(&server.context.hub), caller.principal.clone());
    answer(&server, &caller, async move { past::snapshot(&hub, &principal, question).await }).await
}

/// `GET /api/v1/visits`: who was in an area between two times.
pub(crate) async fn visits(
    State(server): State<Arc<Server>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    caller.require(Permission::HistoryRead)?;
    let asked = Asked::new(query.as_deref());
    let question = VisitsQuestion {
        range: range_of(&asked)?,
        place: place_of(&asked, &server)?,
        gap_secs: asked.number("gap_secs")?,
        limit: asked.count("limit")?,
        after: asked.text("after")?.map(str::to_owned),
    };
    let (hub, principal) = (Arc::clone(&server.context.hub), caller.principal.clone());
    answer(&server, &caller, async move { past::visits(&hub, &principal, question).await }).await
}

/// `GET /api/v1/events`: what was told in rooms.
pub(crate) async fn events(
    State(server): State<Arc<Server>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    caller.require(Permission::HistoryRead)?;
    let question = trail_of(&Asked::new(query.as_deref()), "room")?;
    let (hub, principal) = (Arc::clone(&server.context.hub), caller.principal.clone());
    answer(&server, &caller, async move { past::events(&hub, &principal, question).await }).await
}

/// `GET /api/v1/audit`: who did or tried what.
pub(crate) async fn audit(
    State(server): State<Arc<Server>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    caller.require(Permission::AuditRead)?;
    caller.require_all("read audit trail", "The audit trail names every device and room")?;
    let asked = Asked::new(query.as_deref());
    let question = trail_of(&asked, "subject")?;
    let only = |name: &str| Ok::<_, Problem>(asked.text(name)?.map(str::to_owned));
    let (action, outcome) = (only("action")?, only("outcome")?);
    if question.after.is_none() {
        caller.audit("read audit trail", question.of.as_deref().unwrap_or_default(), "done");
    }
    let hub = Arc::clone(&server.context.hub);
    let wanted = |wanted: Option<&str>, is: &str| wanted.is_none_or(|wanted| wanted == is);
    answer(&server, &caller, async move {
        let mut trail = past::audit(&hub, question).await?;
        // After reading: `limit` bounds what is looked at, however few are found.
        trail
            .entries
            .retain(|it| wanted(action.as_deref(), &it.action) && wanted(outcome.as_deref(), &it.outcome));
        Ok(trail)
    })
    .await
}

// --- what they ask

fn range_of(asked: &Asked) -> Result<Range, Problem> {
    Ok(Range::new(asked.time("start_time")?, asked.time("end_time")?)?)
}

fn trail_of(asked: &Asked, of: &str) -> Result<TrailQuestion, Problem> {
    Ok(TrailQuestion {
        of: asked.text(of)?.map(str::to_owned),
        range: range_of(asked)?,
        limit: asked.count("limit")?,
        after: asked.text("after")?.map(str::to_owned),
    })
}

/// The format of an export; `None` for pages of JSON, by no format or one of these words.
fn format_of(asked: &Asked, pages: &[&str]) -> Result<Option<Format>, Problem> {
    let Some(text) = asked.text("format")?.filter(|text| !pages.contains(text)) else { return Ok(None) };
    let format = Format::ALL.into_iter().find(|format| format.as_str() == text);
    let words = pages.iter().copied().chain(Format::ALL.map(Format::as_str)).collect::<Vec<_>>().join(", ");
    format.map(Some).ok_or_else(|| asked::field("format", format!("has to be one of {words}")))
}

/// An area or a zone, and a floor.
fn place_of(asked: &Asked, server: &Server) -> Result<ViewFilter, Problem> {
    let mut place = match (asked.text("area")?, asked.text("zone")?) {
        (Some(_area), Some(_zone)) => {
            return Err(asked::field("area", "give an area or a zone, not both"));
        }
        (Some(area), None) => {
            // Checked by itself, so that nothing can be put beside it.
            server
                .check_json(area)
                .map_err(|_refusal| asked::field("area", "is not JSON; see the area of `subscribe`"))?;
            let place = decode_payload::<ViewFilter>(&format!("{{\"area\":{area}}}")).map_err(Problem)?;
            let fault = server.context.settings.area_fault(&place);
            fault.map_or(Ok(place), |fault| Err(asked::field("area", fault)))?
        }
        (None, zone) => {
            let zones = &server.site.zones;
            let names = || zones.iter().map(|zone| zone.name.as_str()).collect::<Vec<_>>().join(", ");
            let name = zone.ok_or_else(|| {
                asked::field("area", format!("say where: an area as JSON, or a zone ({})", names()))
            })?;
            let found = zones.iter().find(|zone| zone.name == name).ok_or_else(|| {
                let refusal = format!("There is no zone {name:?} on this site; there are: {}.", names());
                Problem::saying(ErrorCode::NotFound, refusal)
            })?;
            ViewFilter { area: Some(Area::Polygon(found.polygon.clone())), ..ViewFilter::default() }
        }
    };
    place.floors = asked.number("floor")?.map(|floor| vec![floor]);
    let site = asked.text("site")?.map(anita_model::SiteName::parse).transpose();
    place.site = site.map_err(|invalid| asked::field("site", invalid))?;
    Ok(place)
}

// --- answers

/// Asks on a thread of its own; whoever asks no longer is not answered.
async fn answer<T: Serialize + Send + 'static>(
    server: &Server,
    caller: &Caller,
    question: impl Future<Output = Result<T, Refused>> + Send + 'static,
) -> Result<Response, Problem> {
    let place = server
        .past
        .questions
        .enter(&caller.principal.identity.user)
        .map_err(|full| full.problem("questions"))?;
    let stop = CancellationToken::new();
    let _asking = stop.clone().drop_guard();
    let runtime = Handle::current();
    let task = tokio::task::spawn_blocking(move || -> Result<Vec<u8>, Refused> {
        let answered = runtime.block_on(stop.run_until_cancelled(question));
        drop(place);
        let answer = answered.ok_or(ErrorCode::Timeout)??;
        serde_json::to_vec(&answer).map_err(|error| {
            tracing::error!(%error, "an answer could not be written");
            ErrorCode::Internal.into()
        })
    });
    let answered = task.await.map_err(|error| {
        tracing::error!(%error, "a question of the past ended by a fault");
        Problem::from(ErrorCode::Internal)
    })?;
    Ok(([(header::CONTENT_TYPE, "application/json")], answered?).into_response())
}

/// What is to be exported.
struct Wanted<'a> {
    format: Format,
    selection: Selection,
    /// What the file is named after.
    name: &'a str,
    cut: Cut,
}

/// Begins an export: the answer is there as soon as the store has answered for the first time.
async fn export(
    server: &Server,
    caller: &Caller,
    asked: &Asked,
    headers: &HeaderMap,
    wanted: Wanted<'_>,
) -> Result<Response, Problem> {
    let Wanted { format, selection, name, cut } = wanted;
    for paged in ["limit", "after"] {
        if asked.text(paged)?.is_some() {
            let message = "an export has no pages: narrow it by start_time, end_time and devices";
            return Err(asked::field(paged, message));
        }
    }
    let range = range_of(asked)?;
    let spacing = asked.duration("every_secs")?.unwrap_or_default();
    let place =
        server.past.exports.enter(&caller.principal.identity.user).map_err(|full| full.problem("exports"))?;
    let walk = Walk::new(Arc::clone(&server.context.hub), caller.principal.clone(), selection, range);
    let walk = walk.thinned(spacing);
    let coding = if coding::is_accepted("gzip", headers) { Coding::Gzip } else { Coding::Plain };
    let draining = server.draining.clone();
    let export = Export { walk, format, coding, limits: Limits::default(), cut, draining };
    let body = export.begin(place).await?;
    caller.audit("export history", name, "begun");
    let mut response = body.into_response();
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    answer.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    let disposition = format!("attachment; filename=\"{}\"", file_name(name, range, format));
    // A file name is letters, digits and a few signs.
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        answer.insert(header::CONTENT_DISPOSITION, disposition);
    }
    if coding == Coding::Gzip {
        answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

/// A name that every file system takes: `anita-tag-7-from-20260301T120000Z.csv`.
fn file_name(name: &str, range: Range, format: Format) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '-' | '_');
    let plain: String = name.chars().take(64).map(|it| if is_plain(it) { it } else { '_' }).collect();
    let compact = |word: &str, time: Option<Timestamp>| {
        let text = time.map(|time| time.to_string()).unwrap_or_default();
        let (whole, _fraction) = text.split_once('.').unwrap_or_default();
        let digits: String = whole.chars().filter(|it| !matches!(it, '-' | ':')).collect();
        if digits.is_empty() { String::new() } else { format!("-{word}-{digits}Z") }
    };
    let (from, to) = (compact("from", range.start), compact("to", range.end));
    format!("anita-{plain}{from}{to}.{}", format.as_str())
}

impl gate::Full {
    /// What somebody hears for whom there is no place.
    fn problem(&self, what: &str) -> Problem {
        let (code, message, limit) = match *self {
            Self::All(limit) => (
                ErrorCode::Unavailable,
                format!("{limit} {what} are under way, as many as there may be."),
                limit,
            ),
            Self::OfSubject(limit) => {
                let message =
                    format!("{limit} {what} of this subject are under way, as many as there may be.");
                (ErrorCode::RateLimited, message, limit)
            }
        };
        let wait_ms = u64::try_from(COME_BACK_AFTER.as_millis()).unwrap_or(u64::MAX);
        let refusal = Refusal::saying(code, message).with_retry_after_ms(wait_ms);
        Problem(refusal.with_details(json!({ "limit": limit })))
    }
}
