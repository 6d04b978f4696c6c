use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use serde_json::Value;

use super::*;

/// The methods of each path, as the router has them.
fn routed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let source = include_str!("../rest.rs");
    let rows = source.lines().filter_map(|line| line.trim().strip_prefix(".route(\""));
    let mut routed = BTreeMap::new();
    for row in rows {
        let (path, handlers) = row.split_once('"').unwrap();
        let methods = ["get", "post", "put", "patch", "delete", "any"];
        let has =
            |method: &&str| [" ", "."].iter().any(|before| handlers.contains(&format!("{before}{method}(")));
        routed.insert(path, methods.into_iter().filter(has).collect());
    }
    routed
}

/// What is no operation of the REST interface: sockets, pages, schemas, and the documents themselves.
fn is_beside(path: &str) -> bool {
    ["/ws", "/schema", "/sdk"].iter().any(|start| path.starts_with(start))
        || ["/api/v1", "/api/v1/openapi.json", "/api/{*path}"].contains(&path)
}

#[test]
fn the_document_has_every_route_of_the_router_with_its_methods() {
    let mut documented: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for route in ROUTES {
        assert!(
            documented.entry(route.path).or_default().insert(route.method),
            "{} is there twice",
            route.path
        );
    }
    let mut routed = routed();
    routed.retain(|path, _methods| !is_beside(path));
    assert_eq!(routed, documented);
}

#[test]
fn every_parameter_has_a_sentence_and_a_form() {
    let document = document();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            assert!(operation["summary"].as_str().unwrap().ends_with('.'), "{method} {path}");
            for parameter in operation["parameters"].as_array().unwrap() {
                let name = &parameter["name"];
                assert!(parameter["description"].as_str().unwrap().ends_with('.'), "{method} {path} {name}");
                let form = &parameter["schema"]["type"];
                let is_json = parameter["content"]["application/json"]["schema"].is_object();
                assert!(form.is_string() || is_json, "{method} {path} {name}");
            }
        }
    }
}

#[test]
fn every_answer_says_what_it_is_and_every_refusal_is_a_problem() {
    let document = document();
    for route in ROUTES {
        let responses = &document["paths"][route.path][route.method]["responses"];
        for (status, response) in responses.as_object().unwrap() {
            let place = format!("{} {} {status}", route.method, route.path);
            assert!(response["description"].as_str().unwrap().ends_with('.'), "{place}");
            let content = response["content"].as_object();
            match status.as_str() {
                "204" | "303" | "405" | "431" => assert!(content.is_none(), "{place}"),
                "200" | "201" => {
                    assert!(content.unwrap().values().all(|it| it["schema"].is_object()), "{place}");
                }
                "503" if route.path == "/readyz" => {}
                _ => {
                    let problem = &content.unwrap()["application/problem+json"]["schema"]["$ref"];
                    assert_eq!(problem, "#/components/schemas/Problem", "{place}");
                }
            }
        }
    }
}

#[test]
fn references_lead_somewhere_and_every_component_is_used() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    found.insert(reference.clone());
                }
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    let components = document["components"]["schemas"].as_object().unwrap();
    let components = components.keys().map(|name| format!("#/components/schemas/{name}")).collect();
    assert_eq!(found, components);
}

#[test]
fn what_is_public_needs_nothing_and_all_else_a_token_or_a_session() {
    let document = document();
    let security = |path: &str, method: &str| document["paths"][path][method]["security"].clone();
    assert_eq!(security("/healthz", "get"), serde_json::json!([]));
    assert_eq!(security("/api/v1/devices", "get"), serde_json::json!([{ "token": [] }, { "session": [] }]));
    assert_eq!(security("/metrics", "get").as_array().unwrap().len(), 3);
}

fn refusal_of(path: &str, query: &str) -> Option<String> {
    let route = route_of(&Method::GET, path).unwrap();
    query::check(route, query).err().map(|problem| problem.0.message)
}

#[test]
fn a_parameter_that_is_mistyped_is_named_with_those_there_are() {
    assert_eq!(
        refusal_of("/api/v1/history/{id}", "start_tme=2026-03-01T00:00:00Z").unwrap(),
        "start_tme: is not known here; there are: start_time, end_time, limit, after, format, every_secs."
    );
    assert_eq!(refusal_of("/api/v1/site", "x").unwrap(), "x: is not known here: this has no parameters.");
    let long = refusal_of("/api/v1/site", &"ä".repeat(10_000)).unwrap();
    assert!(long.chars().count() < 200, "{long}");
}

#[test]
fn a_parameter_that_can_be_there_once_is_refused_the_second_time() {
    assert_eq!(refusal_of("/api/v1/devices", "limit=1&limit=2").unwrap(), "limit: is there twice.");
    assert_eq!(refusal_of("/api/v1/devices", "kinds=tag&kinds=anchor&limit=2"), None);
    // It has a refusal of its own, which says what to do.
    assert_eq!(refusal_of("/api/v1/history", "format=csv&limit=2"), None);
}
