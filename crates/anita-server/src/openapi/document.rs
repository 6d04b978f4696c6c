//! The OpenAPI 3.1 document, from the table.

use std::collections::BTreeMap;

use anita_wire::ErrorCode;
use serde_json::{Map, Value, json};

use super::{Access, Body, ROUTES, Route};
use crate::problem::ProblemBody;

/// The OpenAPI 3.1 document.
pub(crate) fn document() -> Value {
    let mut components = Map::new();
    let problem = super::written::<ProblemBody>().reference(&mut components);
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(operations) = path.as_object_mut() {
            operations.insert(route.method.to_owned(), operation(route, &problem, &mut components));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "ANITA",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The REST side of the hub for real-time location. What moves is pushed over WebSockets: see /schema/asyncapi.json. \
                A query parameter that an operation does not know is refused.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A token for this server." },
                "session": {
                    "type": "apiKey", "in": "cookie", "name": crate::page_session::COOKIE,
                    "description": "The cookie of `POST /api/v1/session`; only from pages of allowed origins.",
                },
            },
        },
    })
}

fn operation(route: &Route, problem: &Value, components: &mut Map<String, Value>) -> Value {
    let in_path = route.path.contains("{id}").then(|| {
        json!({
            "name": "id", "in": "path", "required": true, "description": "Which one.",
            "example": "tag-7", "schema": { "type": "string", "minLength": 1 },
        })
    });
    let in_query = route.query.iter().filter(|it| it.is_documented()).map(super::Parameter::document);
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "parameters": in_path.into_iter().chain(in_query).collect::<Vec<_>>(),
        "responses": responses(route, problem, components),
        "security": security(route.access),
    });
    if let (Some(body), Some(fields)) = (route.body, operation.as_object_mut()) {
        fields.insert("requestBody".to_owned(), request_body(body, components));
    }
    operation
}

/// `GET /api/v1/history/{id}/track` → `get_history_id_track`.
fn operation_id(route: &Route) -> String {
    let path = route.path.trim_start_matches("/api/v1").replace(['{', '}'], "");
    format!("{}{}", route.method, path.replace('/', "_"))
}

fn security(access: Access) -> Value {
    match access {
        Access::Public => json!([]),
        Access::Token | Access::Needs(_) => json!([{ "token": [] }, { "session": [] }]),
        Access::NearbyOr(_) => json!([{}, { "token": [] }, { "session": [] }]),
    }
}

fn request_body(body: Body, components: &mut Map<String, Value>) -> Value {
    let mut content = Map::new();
    if let Some(json) = body.json {
        let schema = json.reference(components);
        content.insert("application/json".to_owned(), json!({ "schema": schema }));
    }
    for media in body.media {
        content.insert((*media).to_owned(), json!({ "schema": media_schema(media) }));
    }
    json!({ "required": body.is_required, "content": content })
}

/// What is known of a body that is not plain JSON.
fn media_schema(media: &str) -> Value {
    if media == "application/geo+json" {
        json!({ "type": "object", "required": ["type", "features"] })
    } else if media.starts_with("image/") {
        // Bytes: OpenAPI 3.1 says nothing of them.
        json!({ "contentMediaType": media })
    } else {
        json!({ "type": "string" })
    }
}

fn responses(route: &Route, problem: &Value, components: &mut Map<String, Value>) -> Value {
    let mut responses = Map::new();
    responses.insert(route.status.to_string(), success(route, components));
    let mut refusals: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in refusals_of(route) {
        let codes = refusals.entry(code.http_status()).or_default();
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    for (status, codes) in refusals {
        responses.insert(status.to_string(), refusal(&codes, problem));
    }
    // These are answered below us, without a body.
    let other_method =
        json!({ "description": "There is no such method here; the header Allow names those there are." });
    responses.insert("405".to_owned(), other_method);
    let head =
        json!({ "description": "The head of the request, its address included, is larger than 32 KiB." });
    responses.insert("431".to_owned(), head);
    if route.path == "/readyz" {
        let mut draining = success(route, components);
        if let Some(fields) = draining.as_object_mut() {
            fields.insert("description".to_owned(), json!("The server is stopping."));
        }
        responses.insert("503".to_owned(), draining);
    }
    Value::Object(responses)
}

/// What an answer looks like that is no refusal.
fn success(route: &Route, components: &mut Map<String, Value>) -> Value {
    let mut content = Map::new();
    if let Some(model) = route.answer {
        content.insert("application/json".to_owned(), json!({ "schema": model.reference(components) }));
    }
    for media in route.media {
        content.insert((*media).to_owned(), json!({ "schema": media_schema(media) }));
    }
    if content.is_empty() {
        return json!({ "description": "Done." });
    }
    json!({ "description": "Done.", "content": content })
}

fn refusal(codes: &[ErrorCode], problem: &Value) -> Value {
    let words: Vec<String> =
        codes.iter().map(|code| format!("`{}`: {}", code.as_str(), code.message())).collect();
    let mut refusal = json!({
        "description": words.join(" "),
        "content": { "application/problem+json": { "schema": problem } },
    });
    if codes.iter().any(|code| matches!(code, ErrorCode::RateLimited | ErrorCode::Unavailable))
        && let Some(fields) = refusal.as_object_mut()
    {
        let seconds = json!({ "description": "When to try again, seconds.", "schema": { "type": "integer", "minimum": 0 } });
        fields.insert("headers".to_owned(), json!({ "Retry-After": seconds }));
    }
    refusal
}

/// The refusals of an operation: those of its row, and those that come with what it has.
fn refusals_of(route: &Route) -> Vec<ErrorCode> {
    let mut codes = vec![ErrorCode::Timeout, ErrorCode::Internal];
    if route.path.starts_with("/api/") {
        // A parameter that is not known, or wrong.
        codes.push(ErrorCode::InvalidPayload);
    }
    if !matches!(route.access, Access::Public) {
        codes.extend([
            ErrorCode::Unauthenticated,
            ErrorCode::InvalidToken,
            ErrorCode::TokenExpired,
            ErrorCode::Forbidden,
            ErrorCode::RateLimited,
            // The keys of a token's issuer are not to be had.
            ErrorCode::Unavailable,
        ]);
    }
    if route.body.is_some() {
        codes.extend([ErrorCode::InvalidJson, ErrorCode::InvalidPayload, ErrorCode::TooLarge]);
    }
    if route.path.contains("{id}") {
        codes.push(ErrorCode::NotFound);
    }
    codes.extend(route.refusals);
    codes
}
