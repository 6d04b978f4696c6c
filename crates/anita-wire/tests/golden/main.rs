//! The golden messages of `conformance/wire`, which the server and every client are tested with.
//!
//! `valid/<type>.json` and `valid/<type>.<case>.json` hold one envelope each; those of the server are what it really
//! writes. `invalid/<case>.json` hold the text that is refused, the code, and the path where there is one; `item` is the
//! place in a report. `UPDATE=1 cargo test -p anita-wire --test golden` writes the server's anew.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that stops where something is missing"
)]

mod said;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anita_wire::request::Request;
use anita_wire::schema::{Schemas, asyncapi, document};
use anita_wire::{CloseCode, CloseReason, ErrorCode, Incoming, Refusal, message};
use jsonschema::Validator;
use serde_json::{Value, json};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/wire").join(name)
}

/// The files of a folder: name without `.json` → text.
fn files(name: &str) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder(name)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some());
    let named = |path: PathBuf| {
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
    };
    paths.map(named).collect()
}

/// Decodes a text as the server does: the envelope, then the payload, then the items of a report.
fn decode(text: &str) -> Result<Request, (Option<usize>, Refusal)> {
    let incoming = Incoming::decode(text).map_err(|refusal| (None, refusal))?;
    let decoded = Request::decode(&incoming.name, incoming.payload);
    let request =
        decoded.unwrap_or_else(|| Err(ErrorCode::UnknownType.into())).map_err(|refusal| (None, refusal))?;
    if let Request::ReportLocation(report) = &request
        && let Some((index, Err(refusal))) = report.items.iter().enumerate().find(|(_, item)| item.is_err())
    {
        return Err((Some(index), refusal.clone()));
    }
    Ok(request)
}

/// A validator for one entry of the published document.
fn validator(entry: &str) -> Validator {
    let mut schema = document();
    schema["oneOf"] = json!([{ "$ref": format!("#/$defs/{entry}") }]);
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

#[test]
fn every_valid_request_decodes_and_fits_the_published_schema() {
    let client = validator("ClientMessage");
    let mut seen = BTreeSet::new();
    for (name, text) in files("valid").into_iter().filter(|(name, _)| is_request(name)) {
        decode(&text).unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
        let envelope: Value = serde_json::from_str(&text).unwrap();
        client.validate(&envelope).unwrap_or_else(|error| panic!("{name}: {error}"));
        let kind = envelope["type"].as_str().unwrap().to_owned();
        assert!(name == kind || name.starts_with(&format!("{kind}.")), "{name} is a {kind}");
        seen.insert(kind);
    }
    let missing: Vec<_> = Request::TYPES.iter().filter(|name| !seen.contains(**name)).collect();
    assert!(missing.is_empty(), "no golden file of {missing:?}");
}

fn is_request(file: &str) -> bool {
    file.split('.').next().is_some_and(|first| Request::TYPES.contains(&first))
}

#[test]
fn the_server_writes_its_golden_messages_to_the_letter() {
    let said = said::all();
    let files = files("valid");
    for (name, text) in &said {
        check_or_update(&format!("valid/{name}.json"), text);
    }
    let theirs: Vec<_> = files.keys().filter(|name| !is_request(name) && !said.contains_key(*name)).collect();
    assert!(theirs.is_empty(), "nobody writes {theirs:?}");
    let missing: Vec<_> = message::TYPES.iter().filter(|name| !said.contains_key(**name)).collect();
    assert!(missing.is_empty(), "no golden file of {missing:?}");
}

#[test]
fn what_the_server_writes_fits_its_own_schemas() {
    let schemas = Schemas::all();
    let server = validator("ServerMessage");
    for (name, text) in said::all() {
        let envelope: Value = serde_json::from_str(&text).unwrap();
        let kind = envelope["type"].as_str().unwrap();
        assert!(name == kind || name.starts_with(&format!("{kind}.")), "{name} is a {kind}");
        server.validate(&envelope).unwrap_or_else(|error| panic!("{name}: {error}"));
        let payload = jsonschema::validator_for(schemas.messages[kind].as_value()).unwrap();
        payload.validate(&envelope["payload"]).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn invalid_messages_are_refused_with_exactly_the_code_and_the_path() {
    let wrong: Vec<String> =
        files("invalid").iter().filter_map(|(name, text)| difference(name, text)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// How the refusal of a case differs from what its file says.
fn difference(name: &str, text: &str) -> Option<String> {
    let case: Value = serde_json::from_str(text).unwrap();
    let (item, refusal) = match decode(case["text"].as_str().unwrap()) {
        Ok(request) => return Some(format!("{name}: taken as {request:?}")),
        Err(refused) => refused,
    };
    let path = refusal.details.as_ref().and_then(|details| details["path"].as_str());
    let item = item.map(|index| u64::try_from(index).unwrap());
    let found = (refusal.code.as_str(), path, item);
    let expected = (case["error"].as_str().unwrap(), case["path"].as_str(), case["item"].as_u64());
    (found != expected).then(|| format!("{name}: {found:?}, {}", refusal.message))
}

/// What only the server can see in a text: these are fine by the published schema.
const NOT_IN_THE_SCHEMA: [&str; 4] = ["id_too_long", "too_many_locations", "name", "out_of_range"];

#[test]
fn the_published_schema_refuses_the_wrong_shapes_too() {
    let client = validator("ClientMessage");
    for (name, text) in files("invalid") {
        let case: Value = serde_json::from_str(&text).unwrap();
        let Ok(envelope) = serde_json::from_str::<Value>(case["text"].as_str().unwrap()) else { continue };
        let is_shape = match case["error"].as_str().unwrap() {
            "invalid_message" | "unknown_type" => true,
            "invalid_payload" => {
                ["missing", "_is_a_", "_is_an_", "without_"].iter().any(|it| name.contains(it))
            }
            _ => false,
        };
        if is_shape && !NOT_IN_THE_SCHEMA.iter().any(|it| name.contains(it)) {
            assert!(!client.is_valid(&envelope), "{name} is valid by the schema");
        }
    }
}

#[test]
fn close_codes_are_golden() {
    let codes = CloseCode::ALL.iter().map(|code| {
        let reason = CloseReason::of(*code).to_text();
        json!({ "code": code.number(), "reason": reason, "advice": code.advice(), "meaning": code.meaning() })
    });
    check_or_update("close_codes.json", &format!("{:#}", codes.collect::<Value>()));
}

#[test]
fn documents_are_valid_schemas() {
    assert!(jsonschema::meta::is_valid(&document()));
    for (name, schema) in asyncapi()["components"]["schemas"].as_object().unwrap() {
        assert!(jsonschema::meta::is_valid(schema), "{name}");
    }
}

/// The pages whose examples are messages: blocks of `json`, one value after the other, `"…"` for any time.
const DOCUMENTS: [&str; 2] = ["PROTOCOL.md", "DELIVERY.md"];

#[test]
fn every_example_of_the_documents_is_a_message() {
    let (client, server) = (validator("ClientMessage"), validator("ServerMessage"));
    for page in DOCUMENTS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
        let text = fs::read_to_string(path).unwrap();
        let blocks = text.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        for block in blocks {
            let block = block.replace("\"…\"", "\"2026-03-01T12:00:00.000000Z\"");
            for value in serde_json::Deserializer::from_str(&block).into_iter::<Value>() {
                let message = value.unwrap_or_else(|error| panic!("{page}: {error} in\n{block}"));
                let text = message.to_string();
                let name = message["type"].as_str().unwrap();
                if Request::TYPES.contains(&name) {
                    client.validate(&message).unwrap_or_else(|error| panic!("{page}: {text}: {error}"));
                    decode(&text).unwrap_or_else(|refusal| panic!("{page}: {text}: {refusal:?}"));
                } else {
                    server.validate(&message).unwrap_or_else(|error| panic!("{page}: {text}: {error}"));
                }
            }
        }
    }
}

/// Compares a golden file with what it should be, or writes it with `UPDATE=1`.
#[expect(clippy::disallowed_methods, reason = "a test that reads its switch")]
fn check_or_update(name: &str, text: &str) {
    let path = folder(name);
    let text = format!("{text}\n");
    if std::env::var("UPDATE").is_ok_and(|value| value == "1") {
        fs::write(&path, &text).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(golden, text, "{name}; UPDATE=1 writes it anew");
}
