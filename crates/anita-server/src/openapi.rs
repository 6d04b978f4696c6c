//! The REST interface as a table, and the OpenAPI document made from it.

use anita_auth::Permission;
use anita_wire::schema::Schemas;
use serde_json::{Map, Value, json};

/// One operation of the REST interface.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) permission: Option<Permission>,
    pub(crate) is_public: bool,
    /// The message whose payload is the body of the answer.
    answer: Option<&'static str>,
    /// The request whose payload is the body.
    body: Option<&'static str>,
    query: &'static [&'static str],
    /// What the answer is beside, or instead of, JSON.
    media: &'static [&'static str],
}

/// What exports are.
const EXPORTS: &[&str] = &["text/csv", "application/x-ndjson", "application/geo+json"];

const BASE: Route = Route {
    method: "get",
    path: "",
    summary: "",
    permission: None,
    is_public: false,
    answer: None,
    body: None,
    query: &[],
    media: &[],
};

/// Every operation.
pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: "post",
        path: "/api/v1/session",
        summary: "Turns a token (Authorization header, or {\"token\": …}) into a session cookie for a page of this origin.",
        is_public: true,
        body: Some("authenticate"),
        ..BASE
    },
    Route { path: "/api/v1/session", summary: "Who is signed in.", ..BASE },
    Route { method: "delete", path: "/api/v1/session", summary: "Ends the session and its sockets.", ..BASE },
    Route {
        method: "post",
        path: "/api/v1/locations",
        summary: "Reports locations: one item, a list, or NDJSON. Each item is accepted or refused by itself.",
        permission: Some(Permission::LocationsReport),
        body: Some("report_location"),
        answer: Some("uwb.locations_reported"),
        ..BASE
    },
    Route {
        path: "/api/v1/devices",
        summary: "Lists devices: connected and stale ones unless `status` says otherwise.",
        permission: Some(Permission::DevicesRead),
        answer: Some("uwb.device_list"),
        query: &["kinds", "status", "limit", "after"],
        ..BASE
    },
    Route {
        path: "/api/v1/devices/{id}",
        summary: "One device.",
        permission: Some(Permission::DevicesRead),
        ..BASE
    },
    Route {
        path: "/api/v1/history/{id}",
        summary: "Where a device was, newest first, in pages; with `format` (csv, ndjson, geojson) all of it, oldest first.",
        permission: Some(Permission::HistoryRead),
        answer: Some("uwb.location_history"),
        query: &["start_time", "end_time", "limit", "after", "format"],
        media: EXPORTS,
        ..BASE
    },
    Route {
        path: "/api/v1/history",
        summary: "Where all devices, or those of `devices` (ids and patterns, by comma), were: device by device, oldest first, as csv, ndjson or geojson.",
        permission: Some(Permission::HistoryRead),
        query: &["format", "devices", "start_time", "end_time"],
        media: EXPORTS,
        ..BASE
    },
    Route {
        path: "/api/v1/history/{id}/track",
        summary: "The way of a device as a line that no fix is farther from than `tolerance`, metres: {device_id, start_time, end_time, tolerance, fixes, points: [{timestamp, location, floor?, site?}]}.",
        permission: Some(Permission::HistoryRead),
        query: &["start_time", "end_time", "tolerance"],
        ..BASE
    },
    Route {
        path: "/api/v1/snapshot",
        summary: "Where everything was at a moment: {at, devices: [{device_id, timestamp, location, …}], next?}.",
        permission: Some(Permission::HistoryRead),
        query: &["at", "max_age_secs", "limit", "after"],
        ..BASE
    },
    Route {
        path: "/api/v1/visits",
        summary: "Who was in an area (JSON, as in `subscribe`) or a zone of the site between two times: {visits: [{device_id, first, last, fixes}], next?}.",
        permission: Some(Permission::HistoryRead),
        query: &["start_time", "end_time", "area", "zone", "floor", "site", "gap_secs", "limit", "after"],
        ..BASE
    },
    Route {
        path: "/api/v1/events",
        summary: "What was told in rooms, newest first: {events: [{room, epoch, seq, at, devices, message}], next?}.",
        permission: Some(Permission::HistoryRead),
        query: &["room", "start_time", "end_time", "limit", "after"],
        ..BASE
    },
    Route {
        path: "/api/v1/audit",
        summary: "Who did or tried what, newest first: {entries: [{at, subject, action, object, outcome, address?}], next?}.",
        permission: Some(Permission::AuditRead),
        query: &["subject", "start_time", "end_time", "limit", "after"],
        ..BASE
    },
    Route {
        path: "/api/v1/site",
        summary: "The floor plan: bounds and zones, metres.",
        permission: Some(Permission::DevicesRead),
        ..BASE
    },
    Route {
        path: "/api/v1/connections",
        summary: "Who is connected.",
        permission: Some(Permission::ConnectionsManage),
        ..BASE
    },
    Route {
        method: "delete",
        path: "/api/v1/connections/{id}",
        summary: "Ends a connection; its client is told to stay away.",
        permission: Some(Permission::ConnectionsManage),
        ..BASE
    },
    Route { path: "/healthz", summary: "The process answers.", is_public: true, ..BASE },
    Route {
        path: "/readyz",
        summary: "Whether new clients are welcome; the sources.",
        is_public: true,
        ..BASE
    },
    Route {
        path: "/metrics",
        summary: "Metrics; without a token on loopback and from configured addresses.",
        permission: Some(Permission::MetricsRead),
        ..BASE
    },
];

/// The OpenAPI 3.1 document.
pub(crate) fn document() -> Value {
    let schemas = Schemas::all();
    let mut components = Map::new();
    for (name, request) in &schemas.requests {
        components.insert((*name).to_owned(), request.payload.clone().to_value());
    }
    for (name, message) in &schemas.messages {
        components.insert((*name).to_owned(), message.clone().to_value());
    }
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(operations) = path.as_object_mut() {
            operations.insert(route.method.to_owned(), operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "ANITA",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The REST side of the hub for real-time location. What moves is pushed over WebSockets: see /schema/asyncapi.json.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
                "session": { "type": "apiKey", "in": "cookie", "name": crate::page_session::COOKIE },
            },
        },
    })
}

fn operation(route: &Route) -> Value {
    let schema = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let problem = json!({ "description": "A problem (RFC 9457) with the code of the refusal.", "content": { "application/problem+json": {} } });
    let mut done = json!({ "description": "Done." });
    if let Some(name) = route.answer {
        done =
            json!({ "description": "Done.", "content": { "application/json": { "schema": schema(name) } } });
    }
    if let (false, Some(fields)) = (route.media.is_empty(), done.as_object_mut()) {
        let content = fields.entry("content").or_insert_with(|| json!({}));
        for media in route.media {
            if let Some(content) = content.as_object_mut() {
                content.insert((*media).to_owned(), json!({}));
            }
        }
    }
    let in_path = route
        .path
        .contains("{id}")
        .then(|| json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }));
    let in_query =
        route.query.iter().map(|name| json!({ "name": name, "in": "query", "schema": { "type": "string" } }));
    let mut operation = json!({
        "summary": route.summary,
        "parameters": in_path.into_iter().chain(in_query).collect::<Vec<_>>(),
        "responses": { "2XX": done, "4XX": problem, "5XX": problem },
    });
    if let (Some(name), Some(fields)) = (route.body, operation.as_object_mut()) {
        fields.insert(
            "requestBody".to_owned(),
            json!({ "content": { "application/json": { "schema": schema(name) } } }),
        );
    }
    if let (false, Some(fields)) = (route.is_public, operation.as_object_mut()) {
        fields.insert("security".to_owned(), json!([{ "token": [] }, { "session": [] }]));
    }
    operation
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The router and the table are two lists; a path in one and not in the other is a fault of the document.
    #[test]
    fn the_document_has_every_route_of_the_router() {
        let source = include_str!("rest.rs");
        let routed: std::collections::BTreeSet<&str> = source
            .lines()
            .filter_map(|line| line.trim().strip_prefix(".route(\"")?.split('"').next())
            .filter(|path| {
                !path.starts_with("/ws") && !path.starts_with("/schema") && !path.starts_with("/sdk")
            })
            .filter(|path| !["/api/v1", "/api/v1/openapi.json", "/api/{*path}"].contains(path))
            .collect();
        let documented: std::collections::BTreeSet<&str> = ROUTES.iter().map(|route| route.path).collect();
        assert_eq!(routed, documented);
    }
}
