//! The REST interface as a table. The OpenAPI document, the page for people and the check of query parameters are made
//! from it.
//!
//! A new operation is one row in [`ROUTES`] and one `.route(…)` in `rest.rs`; a test compares the two lists.

mod access;
mod document;
mod model;
mod parameter;
mod query;
#[cfg(test)]
mod tests;

use anita_auth::Permission;
use anita_session::past::{AuditTrail, Density, Events, Snapshot, Track, Visits};
use anita_wire::ErrorCode;
use anita_wire::message::{Device, DeviceList, LocationHistory, LocationsReported};
use anita_wire::request::Authenticate;

pub(crate) use self::access::Access;
pub(crate) use self::document::document;
use self::model::{Model, locations_body, read, written};
use self::parameter::{self as is, Parameter};
pub(crate) use self::query::with_known_parameters;
use crate::administration::configuration::ShownConfiguration;
use crate::administration::connections::{ShownConnection, ShownConnections};
use crate::administration::front::FrontPage;
use crate::administration::rooms::ShownRooms;
use crate::administration::sources::ShownSources;
use crate::administration::tokens::{MintRequest, ShownTokens, TokenMade};
use crate::plans::{PlanRequest, ShownPlan, ShownPlans};
use crate::public::Readiness;
use crate::rest::ShownSession;
use crate::revocations::{RevocationMade, Revoke, ShownRevocations};
use crate::server::SiteMap;
use crate::tickets::IssuedTicket;

/// What a request's body is.
#[derive(Debug, Clone, Copy)]
struct Body {
    /// As `application/json`, where it can be that.
    json: Option<Model>,
    /// Other forms that are taken.
    media: &'static [&'static str],
    is_required: bool,
}

/// One operation of the REST interface.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// One or two sentences for people.
    pub(crate) summary: &'static str,
    pub(crate) access: Access,
    /// What can be in the query. What is not here is refused.
    pub(crate) query: &'static [Parameter],
    body: Option<Body>,
    /// The status of a success.
    status: u16,
    /// The body of the answer, as JSON.
    answer: Option<Model>,
    /// What the answer is beside, or instead of, JSON.
    media: &'static [&'static str],
    /// Refusals beside those that go with the access, the query, the body and the `{id}`.
    refusals: &'static [ErrorCode],
}

/// What pictures of floor plans are.
const PICTURES: &[&str] = &["image/png", "image/svg+xml", "image/jpeg", "image/webp"];

/// What exports are.
const EXPORTS: &[&str] = &["text/csv", "application/x-ndjson", "application/geo+json"];

const BASE: Route = Route {
    method: "get",
    path: "",
    summary: "",
    access: Access::Token,
    query: &[],
    body: None,
    status: 200,
    answer: None,
    media: &[],
    refusals: &[],
};

/// What questions of the past are refused with: the gate, the store, and limits of the question.
const PAST: &[ErrorCode] = &[ErrorCode::OutOfRange, ErrorCode::TooLarge, ErrorCode::Unavailable];

/// The same, where the question names a thing that may not be there.
const PAST_OF_ONE: &[ErrorCode] =
    &[ErrorCode::OutOfRange, ErrorCode::TooLarge, ErrorCode::NotFound, ErrorCode::Unavailable];

/// Every operation.
pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: "post",
        path: "/api/v1/session",
        summary: "Turns a token (Authorization header, or {\"token\": …}) into a session cookie for a page of this origin.",
        access: Access::Public,
        body: Some(Body { json: Some(read::<Authenticate>()), media: &[], is_required: false }),
        answer: Some(written::<ShownSession>()),
        refusals: &[
            ErrorCode::InvalidToken,
            ErrorCode::TokenExpired,
            ErrorCode::Forbidden,
            ErrorCode::RateLimited,
            ErrorCode::Unavailable,
        ],
        ..BASE
    },
    Route {
        path: "/api/v1/session",
        summary: "Who is signed in.",
        answer: Some(written::<ShownSession>()),
        ..BASE
    },
    Route {
        method: "delete",
        path: "/api/v1/session",
        summary: "Signs out: ends all sockets, sessions of pages and unused tickets of the user, or only those of this page's session.",
        query: &[is::LOGOUT_SCOPE],
        refusals: &[ErrorCode::NotFound],
        status: 204,
        ..BASE
    },
    Route {
        path: "/api/v1/sign-in/{id}",
        summary: "Sends a browser to an issuer to sign in there; /api/v1/page lists the ways. It comes back to the page: signed in, or with sign_in_error in its address.",
        access: Access::Public,
        query: &[is::RETURN, is::MOVED],
        status: 303,
        ..BASE
    },
    Route {
        path: "/api/v1/sign-in/{id}/callback",
        summary: "Where an issuer sends a browser back to: state, code, iss and error as the issuer says them. Answers with the page, whatever happened.",
        access: Access::Public,
        query: &[is::OF_ISSUER],
        status: 303,
        ..BASE
    },
    Route {
        method: "post",
        path: "/api/v1/tickets",
        summary: "A ticket that opens one socket, once, within seconds, from the same origin: ?ticket=… or the subprotocol anita.ticket.….",
        status: 201,
        answer: Some(written::<IssuedTicket>()),
        ..BASE
    },
    Route {
        path: "/api/v1/revocations",
        summary: "The revocations that are in force, in pages.",
        access: Access::Needs(Permission::TokensRevoke),
        query: &[is::REVOCATIONS_LIMIT, is::AFTER],
        answer: Some(written::<ShownRevocations>()),
        refusals: &[ErrorCode::OutOfRange],
        ..BASE
    },
    Route {
        method: "post",
        path: "/api/v1/revocations",
        summary: "Tokens that are not accepted any more: one by its id, those of a subject, or all that are old enough. What came in with them ends at once.",
        access: Access::Needs(Permission::TokensRevoke),
        body: Some(Body { json: Some(read::<Revoke>()), media: &[], is_required: true }),
        status: 201,
        answer: Some(written::<RevocationMade>()),
        refusals: &[ErrorCode::LimitReached, ErrorCode::Unavailable],
        ..BASE
    },
    Route {
        method: "delete",
        path: "/api/v1/revocations/{id}",
        summary: "Takes a revocation back: what it was about is accepted again.",
        access: Access::Needs(Permission::TokensRevoke),
        status: 204,
        refusals: &[ErrorCode::Unavailable],
        ..BASE
    },
    Route {
        method: "post",
        path: "/api/v1/locations",
        summary: "Reports locations: one item, a list, or NDJSON. Each item is accepted or refused by itself.",
        access: Access::Needs(Permission::LocationsReport),
        body: Some(Body {
            json: Some(locations_body()),
            media: &["application/x-ndjson"],
            is_required: true,
        }),
        answer: Some(written::<LocationsReported>()),
        refusals: &[ErrorCode::Unavailable],
        ..BASE
    },
    Route {
        path: "/api/v1/devices",
        summary: "Lists devices: connected and stale ones unless `status` says otherwise.",
        access: Access::Needs(Permission::DevicesRead),
        query: &[is::KINDS, is::STATUS, is::DEVICES_LIMIT, is::AFTER],
        answer: Some(written::<DeviceList>()),
        refusals: &[ErrorCode::OutOfRange],
        ..BASE
    },
    Route {
        path: "/api/v1/devices/{id}",
        summary: "One device.",
        access: Access::Needs(Permission::DevicesRead),
        answer: Some(written::<Device>()),
        ..BASE
    },
    Route {
        path: "/api/v1/history/{id}",
        summary: "Where a device was, newest first, in pages; with `format` (csv, ndjson, geojson) all of it, oldest first.",
        access: Access::Needs(Permission::HistoryRead),
        query: &[
            is::START_TIME,
            is::END_TIME,
            is::HISTORY_LIMIT,
            is::AFTER,
            is::PAGES_OR_FORMAT,
            is::EVERY_SECS,
        ],
        answer: Some(written::<LocationHistory>()),
        media: EXPORTS,
        refusals: PAST,
        ..BASE
    },
    Route {
        path: "/api/v1/history",
        summary: "Where all devices, or those of `devices` (ids and patterns, by comma), were: device by device, oldest first, as csv, ndjson or geojson.",
        access: Access::Needs(Permission::HistoryRead),
        query: &[
            is::FORMAT,
            is::DEVICES,
            is::START_TIME,
            is::END_TIME,
            is::EVERY_SECS,
            is::NO_LIMIT,
            is::NO_AFTER,
        ],
        media: EXPORTS,
        refusals: PAST_OF_ONE,
        ..BASE
    },
    Route {
        path: "/api/v1/history/{id}/track",
        summary: "The way of a device as a line that no fix is farther from than `tolerance`, metres.",
        access: Access::Needs(Permission::HistoryRead),
        query: &[is::START_TIME, is::END_TIME, is::TOLERANCE],
        answer: Some(written::<Track>()),
        refusals: PAST,
        ..BASE
    },
    Route {
        path: "/api/v1/density",
        summary: "How many fixes there are in each part of a time; estimated from a sample, and `is_estimate`, where there are too many to count.",
        access: Access::Needs(Permission::HistoryRead),
        query: &[is::DENSITY_START_TIME, is::DENSITY_END_TIME, is::BUCKETS, is::DEVICE_ID, is::DEVICES],
        answer: Some(written::<Density>()),
        refusals: PAST_OF_ONE,
        ..BASE
    },
    Route {
        path: "/api/v1/snapshot",
        summary: "Where everything was at a moment.",
        access: Access::Needs(Permission::HistoryRead),
        query: &[is::AT, is::MAX_AGE_SECS, is::SNAPSHOT_LIMIT, is::AFTER],
        answer: Some(written::<Snapshot>()),
        refusals: PAST,
        ..BASE
    },
    Route {
        path: "/api/v1/visits",
        summary: "Who was in an area (JSON, as in `subscribe`) or a zone of the site between two times.",
        access: Access::Needs(Permission::HistoryRead),
        query: &[
            is::VISITS_START_TIME,
            is::VISITS_END_TIME,
            is::AREA,
            is::ZONE,
            is::FLOOR,
            is::SITE,
            is::GAP_SECS,
            is::VISITS_LIMIT,
            is::AFTER,
        ],
        answer: Some(written::<Visits>()),
        refusals: PAST_OF_ONE,
        ..BASE
    },
    Route {
        path: "/api/v1/events",
        summary: "What was told in rooms, newest first.",
        access: Access::Needs(Permission::HistoryRead),
        query: &[is::ROOM, is::START_TIME, is::END_TIME, is::TRAIL_LIMIT, is::AFTER],
        answer: Some(written::<Events>()),
        refusals: PAST,
        ..BASE
    },
    Route {
        path: "/api/v1/audit",
        summary: "Who did or tried what, newest first.",
        access: Access::Needs(Permission::AuditRead),
        query: &[
            is::SUBJECT,
            is::ACTION,
            is::OUTCOME,
            is::START_TIME,
            is::END_TIME,
            is::TRAIL_LIMIT,
            is::AFTER,
        ],
        answer: Some(written::<AuditTrail>()),
        refusals: PAST,
        ..BASE
    },
    Route {
        path: "/api/v1/site",
        summary: "The floor plan: bounds and zones, metres.",
        access: Access::Needs(Permission::DevicesRead),
        answer: Some(written::<SiteMap>()),
        ..BASE
    },
    Route {
        path: "/api/v1/plans",
        summary: "The floor plans: of each its picture, and where in the site it lies. With an ETag.",
        access: Access::Needs(Permission::DevicesRead),
        answer: Some(written::<ShownPlans>()),
        refusals: &[ErrorCode::Unavailable],
        ..BASE
    },
    Route {
        path: "/api/v1/plans/{id}",
        summary: "One floor plan.",
        access: Access::Needs(Permission::DevicesRead),
        answer: Some(written::<ShownPlan>()),
        refusals: &[ErrorCode::Unavailable],
        ..BASE
    },
    Route {
        method: "put",
        path: "/api/v1/plans/{id}",
        summary: "Makes a floor plan, or changes all of it but its picture: what is absent is so afterwards.",
        access: Access::Needs(Permission::PlansWrite),
        body: Some(Body { json: Some(read::<PlanRequest>()), media: &[], is_required: true }),
        answer: Some(written::<ShownPlan>()),
        refusals: &[ErrorCode::OutOfRange, ErrorCode::LimitReached, ErrorCode::Unavailable],
        ..BASE
    },
    Route {
        method: "delete",
        path: "/api/v1/plans/{id}",
        summary: "Removes a floor plan with its picture.",
        access: Access::Needs(Permission::PlansWrite),
        status: 204,
        refusals: &[ErrorCode::Unavailable],
        ..BASE
    },
    Route {
        path: "/api/v1/plans/{id}/picture",
        summary: "The picture of a floor plan. What is asked for by its `revision` may be kept for ever.",
        access: Access::Needs(Permission::DevicesRead),
        query: &[is::REVISION],
        media: PICTURES,
        refusals: &[ErrorCode::Unavailable],
        ..BASE
    },
    Route {
        method: "put",
        path: "/api/v1/plans/{id}/picture",
        summary: "The picture of a floor plan from now on, judged by its content; where it lies stays if its proportions do.",
        access: Access::Needs(Permission::PlansWrite),
        body: Some(Body { json: None, media: PICTURES, is_required: true }),
        answer: Some(written::<ShownPlan>()),
        refusals: &[ErrorCode::Unavailable],
        ..BASE
    },
    Route {
        path: "/api/v1/connections",
        summary: "Who is connected, and how each connection is served, in pages. Two answers give rates.",
        access: Access::Needs(Permission::ConnectionsManage),
        query: &[is::CONNECTIONS_LIMIT, is::AFTER],
        answer: Some(written::<ShownConnections>()),
        refusals: &[ErrorCode::OutOfRange],
        ..BASE
    },
    Route {
        path: "/api/v1/connections/{id}",
        summary: "One connection; from the first such question on, the ages of its positions are measured.",
        access: Access::Needs(Permission::ConnectionsManage),
        answer: Some(written::<ShownConnection>()),
        ..BASE
    },
    Route {
        method: "delete",
        path: "/api/v1/connections/{id}",
        summary: "Ends a connection; its client is told to stay away.",
        access: Access::Needs(Permission::ConnectionsManage),
        query: &[is::CLOSE_REASON],
        status: 204,
        ..BASE
    },
    Route {
        path: "/api/v1/rooms",
        summary: "The rooms that you may see, with who is in them and what they keep, in pages.",
        access: Access::Needs(Permission::RoomsMembers),
        query: &[is::ROOMS_LIMIT, is::AFTER],
        answer: Some(written::<ShownRooms>()),
        refusals: &[ErrorCode::OutOfRange],
        ..BASE
    },
    Route {
        path: "/api/v1/sources",
        summary: "How the sources are: state, counts, and the last fault with its remedy. Two answers give rates.",
        access: Access::Needs(Permission::SourcesRead),
        answer: Some(written::<ShownSources>()),
        ..BASE
    },
    Route {
        path: "/api/v1/tokens",
        summary: "The tokens that this server made since it started and that have not run out, never the tokens themselves, in pages: yours, or all if you may revoke them.",
        access: Access::Needs(Permission::TokensMint),
        query: &[is::TOKENS_LIMIT, is::AFTER],
        answer: Some(written::<ShownTokens>()),
        refusals: &[ErrorCode::OutOfRange],
        ..BASE
    },
    Route {
        method: "post",
        path: "/api/v1/tokens",
        summary: "Makes a token for somebody, where the server has a secret of its own. It never allows more than you may do yourself.",
        access: Access::Needs(Permission::TokensMint),
        body: Some(Body { json: Some(read::<MintRequest>()), media: &[], is_required: true }),
        status: 201,
        answer: Some(written::<TokenMade>()),
        refusals: &[
            ErrorCode::Conflict,
            ErrorCode::LimitReached,
            ErrorCode::OutOfRange,
            ErrorCode::Unavailable,
        ],
        ..BASE
    },
    Route {
        path: "/api/v1/configuration",
        summary: "Every value of the configuration as it was loaded, with its origin; secrets never.",
        access: Access::Needs(Permission::ConfigurationRead),
        answer: Some(written::<ShownConfiguration>()),
        ..BASE
    },
    Route {
        path: "/api/v1/page",
        summary: "What a first page needs: the version, the site, the ways to sign in; with a token or session also who you are.",
        access: Access::Public,
        answer: Some(written::<FrontPage>()),
        refusals: &[ErrorCode::RateLimited, ErrorCode::Unavailable],
        ..BASE
    },
    Route {
        path: "/healthz",
        summary: "The process answers.",
        access: Access::Public,
        media: &["text/plain"],
        ..BASE
    },
    Route {
        path: "/readyz",
        summary: "Whether new clients are welcome (503 while the server stops); the sources.",
        access: Access::Public,
        answer: Some(written::<Readiness>()),
        ..BASE
    },
    Route {
        path: "/metrics",
        summary: "Metrics, OpenMetrics; without a token on loopback and from configured addresses.",
        access: Access::NearbyOr(Permission::MetricsRead),
        media: &["application/openmetrics-text"],
        ..BASE
    },
];

/// The row of an operation, by its method and the path of the router.
fn route_of(method: &http::Method, path: &str) -> Option<&'static Route> {
    // A HEAD is a GET without its body.
    let method = if method == http::Method::HEAD { "GET" } else { method.as_str() };
    ROUTES.iter().find(|route| route.path == path && route.method.eq_ignore_ascii_case(method))
}
