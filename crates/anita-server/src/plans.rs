//! `/api/v1/plans`: floor plans, each a picture and where in the site it lies.
//!
//! Whoever may read devices sees them; the permission `plans.write` changes them. What a picture is, is read from its
//! bytes and never from what the client says of them; see [`picture`](self::picture) and [`svg`](self::svg) for what is
//! taken.

mod picture;
mod raster;
mod shelf;
mod shown;
mod svg;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use anita_auth::Permission;
use anita_model::{PlanId, Timestamp};
use anita_session::Refused;
use anita_store::{Calibration, Picture, PictureChange, PictureKind, Plan};
use anita_wire::ErrorCode;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequestParts, Path, RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::caller::Caller;
use crate::plans::picture::Measured;
use crate::plans::shown::Limits;
use crate::problem::Problem;
use crate::rest::url_pairs;
use crate::server::Server;

pub(crate) use self::shelf::Shelf;
pub(crate) use self::shown::{PlanRequest, ShownPlan, ShownPlans};

/// What the picture of a floor plan is, and its width and height in pixels; `None` for bytes that are refused. Here for
/// those who feed it any bytes.
#[doc(hidden)]
pub fn measured_plan(bytes: &[u8]) -> Option<(PictureKind, f64, f64)> {
    picture::measure(bytes).ok().map(|it| (it.kind, it.width_px, it.height_px))
}

/// The most floor plans.
pub(crate) const PLANS_MAX: usize = 64;

/// The largest picture unless the configuration says otherwise, bytes.
pub const PLAN_BYTES_MAX: usize = 4 * 1_024 * 1_024;

/// How far from equal two proportions may be that count as those of the same drawing.
const PROPORTION_TOLERANCE: f64 = 0.005;

/// What a picture may do that somebody opens by itself: be seen. It is another one than that of pages: an SVG may bring
/// its own styles, and nothing else.
const PICTURE_CSP: &str =
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'";

/// How a picture is kept by a browser that asked for it by its revision, which never changes.
const FOR_EVER: &str = "private, max-age=31536000, immutable";

/// How all else is kept: asked again each time, by its tag.
const ASKED_AGAIN: &str = "private, no-cache";

/// The id in the path; what can be none is not there.
fn id_of(text: &str) -> Result<PlanId, Problem> {
    PlanId::parse(text).map_err(|_reason| no_plan())
}

fn no_plan() -> Problem {
    let remedy = "GET /api/v1/plans lists the plans; PUT /api/v1/plans/{id} makes one.";
    Problem::saying(ErrorCode::NotFound, "There is no floor plan of this id.").with_remedy(remedy)
}

/// Whether the client has what carries this tag (RFC 9110 §13.1.2).
fn has_already(headers: &HeaderMap, tag: &str) -> bool {
    let lines = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    let mut tags = lines.flat_map(|line| line.split(',')).map(str::trim);
    tags.any(|it| it == "*" || it.strip_prefix("W/").unwrap_or(it) == tag)
}

/// An answer with its tag; without a body for who has it already.
fn tagged(headers: &HeaderMap, tag: &str, cache: &'static str, make: impl FnOnce() -> Response) -> Response {
    let mut response =
        if has_already(headers, tag) { StatusCode::NOT_MODIFIED.into_response() } else { make() };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    // Another user of the same browser has to ask for it again.
    headers.insert(header::VARY, HeaderValue::from_static("authorization, cookie"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// The plans as they are now.
async fn plans(server: &Server) -> Result<Vec<Plan>, Problem> {
    Ok(server.context.hub.plans().await.map_err(Refused::from)?)
}

/// `GET /api/v1/plans`: all of them.
pub(crate) async fn list(
    State(server): State<Arc<Server>>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.require(Permission::DevicesRead)?;
    let plans = plans(&server).await?;
    let shown = ShownPlans {
        plans: plans.iter().map(|plan| ShownPlan::of(plan, &caller)).collect(),
        limits: Limits::new(server.settings.plan_bytes_max),
    };
    let body = serde_json::to_vec(&shown).map_err(|error| {
        tracing::error!(%error, "the floor plans could not be written");
        Problem::from(ErrorCode::Internal)
    })?;
    let hash = Sha256::digest(&body);
    let tag = hash.iter().take(16).fold(String::from("\""), |text, byte| format!("{text}{byte:02x}")) + "\"";
    let make = || ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    Ok(tagged(&headers, &tag, ASKED_AGAIN, make))
}

/// `GET /api/v1/plans/{id}`: one of them.
pub(crate) async fn show(
    State(server): State<Arc<Server>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<ShownPlan>, Problem> {
    caller.require(Permission::DevicesRead)?;
    let id = id_of(&id)?;
    let plans = plans(&server).await?;
    let found = plans.iter().find(|plan| plan.id == id).ok_or_else(no_plan)?;
    Ok(Json(ShownPlan::of(found, &caller)))
}

/// `GET /api/v1/plans/{id}/picture`: its bytes.
pub(crate) async fn show_picture(
    State(server): State<Arc<Server>>,
    caller: Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.require(Permission::DevicesRead)?;
    let id = id_of(&id)?;
    let plans = plans(&server).await?;
    let plan = plans.iter().find(|plan| plan.id == id).ok_or_else(no_plan)?;
    let no_picture = || {
        let remedy = "PUT the bytes of a picture to this address.";
        Problem::saying(ErrorCode::NotFound, "This floor plan has no picture yet.").with_remedy(remedy)
    };
    let listed = plan.picture.ok_or_else(no_picture)?;
    let (picture, bytes) =
        server.plans.bytes(&server.context.hub, &id, &listed).await?.ok_or_else(no_picture)?;
    let revision = picture.revision.to_string();
    let asked = url_pairs(query.as_deref().unwrap_or_default());
    let is_asked = asked.iter().any(|(name, value)| name == "revision" && *value == revision);
    let cache = if is_asked { FOR_EVER } else { ASKED_AGAIN };
    let make = || {
        let kinds = [
            (header::CONTENT_TYPE, picture.kind.media_type()),
            (header::CONTENT_SECURITY_POLICY, PICTURE_CSP),
            (header::CONTENT_DISPOSITION, "inline"),
        ];
        (kinds, Body::from(Bytes::from_owner(bytes))).into_response()
    };
    Ok(tagged(&headers, &format!("\"{revision}\""), cache, make))
}

/// The number of a change: the time, or one more than any before.
fn next_revision(plans: &[Plan], now: Timestamp) -> u64 {
    let newest = plans.iter().map(|plan| plan.revision).max().unwrap_or(0);
    u64::try_from(now.as_micros()).unwrap_or(0).max(newest + 1)
}

/// `PUT /api/v1/plans/{id}`: makes a plan, or changes all of it but the picture.
pub(crate) async fn save(
    State(server): State<Arc<Server>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<ShownPlan>, Problem> {
    caller.require(Permission::PlansWrite)?;
    let id = PlanId::parse(&id)
        .map_err(|invalid| Problem::saying(ErrorCode::OutOfRange, format!("The id: {invalid}.")))?;
    let body = body.map_err(|_too_large| Problem::from(ErrorCode::TooLarge))?;
    let wanted = PlanRequest::read(&server, &body)?;
    let _turn = server.plans.turn().await;
    let plans = plans(&server).await?;
    let before = plans.iter().find(|plan| plan.id == id);
    if before.is_none() && plans.len() >= PLANS_MAX {
        let message = format!("There are {PLANS_MAX} floor plans, and no more are kept.");
        let details = json!({ "limit": PLANS_MAX });
        let problem =
            Problem(anita_wire::Refusal::saying(ErrorCode::LimitReached, message).with_details(details));
        return Err(problem.with_remedy("Remove a floor plan first, or change one that is there."));
    }
    let now = server.clock.now().wall;
    let plan = Plan {
        id,
        name: wanted.name,
        site: wanted.site,
        floor: wanted.floor,
        opacity: wanted.opacity,
        calibration: wanted.calibration,
        picture: before.and_then(|plan| plan.picture),
        revision: next_revision(&plans, now),
        updated_at: now,
        updated_by: caller.principal.subject().to_owned(),
    };
    keep(&server, &plan, PictureChange::Stays).await?;
    let action = if before.is_some() { "change floor plan" } else { "make floor plan" };
    caller.audit(action, plan.id.as_str(), "done");
    Ok(Json(ShownPlan::of(&plan, &caller)))
}

async fn keep(server: &Server, plan: &Plan, picture: PictureChange) -> Result<(), Problem> {
    Ok(server.context.hub.save_plan(plan.clone(), picture).await.map_err(Refused::from)?)
}

/// Where another picture lies: as the one before, if it is the same drawing by its proportions; else nobody knows.
fn carried(
    calibration: Option<Calibration>,
    before: Option<&Picture>,
    after: &Measured,
) -> Option<Calibration> {
    let (calibration, Some(before)) = (calibration?, before) else { return calibration };
    let (wider, higher) = (after.width_px / before.width_px, after.height_px / before.height_px);
    if (wider / higher - 1.0).abs() > PROPORTION_TOLERANCE {
        return None;
    }
    calibration.scaled(wider).ok()
}

/// The body of a picture. Nothing of it is read before it is known that it may come.
async fn picture_body(server: &Server, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let bytes_max = server.settings.plan_bytes_max;
    let too_large = || {
        let message = format!("A picture may have {bytes_max} bytes, and this one has more.");
        let details = json!({ "limit": bytes_max });
        let refusal = anita_wire::Refusal::saying(ErrorCode::TooLarge, message).with_details(details);
        Problem(refusal).with_remedy(
            "Save it with fewer pixels, or as SVG or WebP; the operator can raise limits.plan_bytes_max.",
        )
    };
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max) {
        return Err(too_large());
    }
    axum::body::to_bytes(body, bytes_max).await.map_err(|_too_long_or_cut| too_large())
}

/// What a picture is. A large SVG takes its time, and the threads that serve connections have none.
async fn measured(bytes: Bytes) -> Result<Measured, Problem> {
    let task = tokio::task::spawn_blocking(move || picture::measure(&bytes));
    let measured = task.await.map_err(|error| {
        tracing::error!(%error, "looking at a picture of a floor plan ended by a fault");
        Problem::from(ErrorCode::Internal)
    })?;
    measured.map_err(|reason| reason.problem())
}

/// `PUT /api/v1/plans/{id}/picture`: its picture, from now on.
pub(crate) async fn save_picture(
    State(server): State<Arc<Server>>,
    request: Request,
) -> Result<Json<ShownPlan>, Problem> {
    let (mut parts, body) = request.into_parts();
    let caller = Caller::from_request_parts(&mut parts, &server).await?;
    caller.require(Permission::PlansWrite)?;
    let Path(id) =
        Path::<String>::from_request_parts(&mut parts, &server).await.map_err(|_no_text| no_plan())?;
    let id = id_of(&id)?;
    let _place = server.plans.upload().ok_or_else(|| {
        let message = "Others bring pictures of floor plans just now.";
        Problem::busy(ErrorCode::Unavailable, message, Duration::from_secs(1))
    })?;
    let bytes = picture_body(&server, &parts.headers, body).await?;
    let measured = measured(bytes.clone()).await?;
    let _turn = server.plans.turn().await;
    let plans = plans(&server).await?;
    let before = plans.iter().find(|plan| plan.id == id).ok_or_else(no_plan)?;
    let now = server.clock.now().wall;
    let revision = next_revision(&plans, now);
    let picture = Picture {
        kind: measured.kind,
        width_px: measured.width_px,
        height_px: measured.height_px,
        bytes: bytes.len() as u64,
        revision,
    };
    let plan = Plan {
        calibration: carried(before.calibration, before.picture.as_ref(), &measured),
        picture: Some(picture),
        revision,
        updated_at: now,
        updated_by: caller.principal.subject().to_owned(),
        ..before.clone()
    };
    keep(&server, &plan, PictureChange::Replaced(Arc::from(&*bytes))).await?;
    let object = format!("{}: {}, {} bytes", plan.id, picture.kind.media_type(), picture.bytes);
    caller.audit("change floor plan picture", &object, "done");
    Ok(Json(ShownPlan::of(&plan, &caller)))
}

/// `DELETE /api/v1/plans/{id}`: the plan with its picture.
pub(crate) async fn remove(
    State(server): State<Arc<Server>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    caller.require(Permission::PlansWrite)?;
    let id = id_of(&id)?;
    let _turn = server.plans.turn().await;
    if !plans(&server).await?.iter().any(|plan| plan.id == id) {
        return Err(no_plan());
    }
    server.context.hub.remove_plan(id.clone()).await.map_err(Refused::from)?;
    caller.audit("remove floor plan", id.as_str(), "done");
    Ok(StatusCode::NO_CONTENT)
}
