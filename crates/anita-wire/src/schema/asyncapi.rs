//! The AsyncAPI 3.0 document: the endpoints, every message, and which one answers which.

use serde_json::{Map, Value, json};

use super::catalogue::{Catalogue, DEFINITIONS};
use super::document::messages;
use crate::SUBPROTOCOL;

/// The endpoints: the name of the channel, its path, and what is special about it.
const CHANNELS: [(&str, &str, &str); 2] = [
    ("ws", "/ws", "Joins no room by itself."),
    ("ws_uwb", "/ws/uwb", "Joins the room `uwb` once the client is authenticated: every newest location."),
];

/// The AsyncAPI document of the protocol, seen from the server: it receives requests and sends the rest.
pub fn asyncapi() -> Value {
    let catalogue = Catalogue::all();
    let document = json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "ANITA",
            "version": "1.0.0",
            "description": "The open hub for real-time location: the WebSocket protocol `anita.v1`. One JSON object \
                            `{\"type\", \"payload\"}` a text frame. Within v1 messages and fields are only added.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": {
            "hub": {
                "host": "{host}",
                "protocol": "wss",
                "description": "The address of your server.",
                "variables": { "host": { "default": "127.0.0.1:8080" } },
                "security": [
                    { "$ref": "#/components/securitySchemes/bearer" },
                    { "$ref": "#/components/securitySchemes/query" },
                ],
            },
        },
        "channels": channels(&catalogue),
        "operations": operations(&catalogue),
        "components": {
            "messages": component_messages(&catalogue),
            "schemas": component_schemas(&catalogue),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": format!(
                        "Beside the header: the subprotocols `{SUBPROTOCOL}, anita.bearer.<jwt>`, or a first \
                         message `authenticate`."
                    ),
                },
                "query": { "type": "httpApiKey", "in": "query", "name": "token" },
            },
        },
    });
    moved(document)
}

fn channels(catalogue: &Catalogue) -> Value {
    let names = || {
        let requests = catalogue.requests.iter().map(|it| it.name);
        requests.chain(catalogue.messages.iter().map(|it| it.name))
    };
    let channel = |path: &str, description: &str| {
        let messages: Map<String, Value> = names()
            .map(|name| (name.to_owned(), json!({ "$ref": format!("#/components/messages/{name}") })))
            .collect();
        json!({ "address": path, "description": description, "messages": messages })
    };
    CHANNELS
        .iter()
        .map(|(name, path, description)| ((*name).to_owned(), channel(path, description)))
        .collect()
}

/// One operation for each request with its answers, and one for all that the server sends.
fn operations(catalogue: &Catalogue) -> Map<String, Value> {
    let mut operations = Map::new();
    for (channel, ..) in CHANNELS {
        let here = json!({ "$ref": format!("#/channels/{channel}") });
        let on_channel = |name: &str| json!({ "$ref": format!("#/channels/{channel}/messages/{name}") });
        for request in &catalogue.requests {
            let answers: Vec<Value> =
                request.answers.iter().copied().chain(["error"]).map(on_channel).collect();
            let operation = json!({
                "action": "receive",
                "channel": here,
                "summary": catalogue.description(&request.payload),
                "messages": [on_channel(request.name)],
                "reply": { "channel": here, "messages": answers },
            });
            operations.insert(format!("{channel}.{}", request.name), operation);
        }
        let said: Vec<Value> = catalogue.messages.iter().map(|it| on_channel(it.name)).collect();
        let operation = json!({
            "action": "send",
            "channel": here,
            "summary": "What the server says, asked or not.",
            "messages": said,
        });
        operations.insert(format!("{channel}.hear"), operation);
    }
    operations
}

fn component_messages(catalogue: &Catalogue) -> Map<String, Value> {
    let requests = catalogue.requests.iter().map(|it| (it.name, &it.payload));
    let all = requests.chain(catalogue.messages.iter().map(|it| (it.name, &it.payload)));
    let describe = |name: &str, payload: &str| {
        json!({
            "name": name,
            "title": name,
            "summary": catalogue.description(payload),
            "payload": { "$ref": format!("#/components/schemas/{name}") },
        })
    };
    all.map(|(name, payload)| (name.to_owned(), describe(name, payload))).collect()
}

fn component_schemas(catalogue: &Catalogue) -> Map<String, Value> {
    let mut schemas = messages(catalogue);
    schemas.extend(catalogue.definitions.clone());
    schemas
}

/// The same document with every reference to a definition led to where AsyncAPI keeps its schemas.
fn moved(value: Value) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix(DEFINITIONS) {
            Some(name) => Value::String(format!("#/components/schemas/{name}")),
            None => Value::String(text),
        },
        Value::Array(items) => items.into_iter().map(moved).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, field)| (name, moved(field))).collect(),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere() {
        let document = asyncapi();
        let text = document.to_string();
        for target in text.split("\"$ref\":\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let pointer = target.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{target}");
        }
    }

    #[test]
    fn every_request_has_its_answer_on_both_endpoints() {
        let document = asyncapi();
        for (channel, ..) in CHANNELS {
            let reply = &document["operations"][format!("{channel}.get_active_devices")]["reply"];
            let answers = reply["messages"].to_string();
            assert!(answers.contains("uwb.device_list") && answers.contains("error"), "{answers}");
        }
    }
}
