//! The conversations of all clients, `conformance/client`, played by the Rust client against the real program. Their README
//! says what the lines mean.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the code of a test"
)]

mod actor;
#[path = "../survival/http.rs"]
mod http;
mod server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use actor::Actor;
use serde_json::Value;
use server::{PATIENCE, Server};

/// A server, and the clients of a script.
struct Conversation {
    server: Server,
    actors: BTreeMap<String, Actor>,
}

impl Conversation {
    async fn play(text: &str) {
        let mut conversation = Self { server: Server::new(), actors: BTreeMap::new() };
        conversation.server.start().await;
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let played = tokio::time::timeout(2 * PATIENCE, conversation.line(line)).await;
            let result = played.unwrap_or_else(|_elapsed| Err("it waits".to_owned()));
            if let Err(error) = result {
                let states: Vec<String> = conversation.actors.values().map(Actor::describe).collect();
                panic!("line {number}: {line}\n{error}\n{states:?}");
            }
        }
    }

    async fn line(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match *words.as_slice() {
            ["server", "stops"] => self.server.stop().await,
            ["server", "starts"] => self.server.start().await,
            ["server", "is", "killed"] => self.server.kill().await,
            ["report", ..] => self.server.report(rest(line, 1)).await,
            ["revoke", name] => self.server.revoke(name).await,
            [name, "connects", path, role, ref options @ ..] if path.starts_with('/') => {
                let actor = Actor::connect(&self.server, name, path, role, options);
                self.actors.insert(name.to_owned(), actor);
            }
            [name, ..] => {
                let actor = self.actors.get_mut(name).ok_or("nobody of this name")?;
                return actor_line(actor, line, &words).await;
            }
            [] => {}
        }
        Ok(())
    }
}

/// A line about a client.
async fn actor_line(actor: &mut Actor, line: &str, words: &[&str]) -> Result<(), String> {
    match words.get(1..).unwrap_or_default() {
        ["connects", "again"] => actor.live.connect().await.map_err(|error| error.to_string()),
        ["is", "not", "answered", code] => actor.is_not_answered(code).await,
        ["is", "refused", code] => actor.is_refused(code, &Value::from("…")).await,
        ["is", "refused", code, ..] => actor.is_refused(code, &json(rest(line, 4))?).await,
        ["is", state] => actor.is(state).await,
        ["was", "online", times, "times"] => actor.was_online(number(times)?).await,
        ["gave", tokens, "tokens"] => actor.gave(number(tokens)?).await,
        ["asks", kind, ..] => {
            actor.asks(kind, json(rest(line, 3))?).await;
            Ok(())
        }
        ["gets", ..] => actor.gets(&json(rest(line, 2))?).await,
        ["joins", room] => actor.live.join(room).await.map_err(|error| error.to_string()),
        ["leaves", room] => actor.live.leave(room).await.map_err(|error| error.to_string()),
        ["hears", "no", kind] => actor.hears_no(kind).await,
        ["hears", kind, ..] => actor.hears(kind, &json(rest(line, 3))?).await,
        ["misses", ..] => actor.misses(&json(rest(line, 2))?).await,
        ["opens", view, ..] => actor.opens(view, &json(rest(line, 3))?).await,
        ["sees", view, id, "at", ..] => actor.sees_at(view, id, &json(rest(line, 5))?).await,
        ["sees", view, ..] => actor.sees(view, &json(rest(line, 3))?).await,
        ["ends", view] => actor.ends(view).await,
        ["fails", "with", code] => actor.fails_with(code).await,
        ["closes"] => {
            actor.live.close().await;
            Ok(())
        }
        _ => Err("no such line".to_owned()),
    }
}

/// A line without its first words.
fn rest(line: &str, words: usize) -> &str {
    (0..words).fold(line, |rest, _| rest.trim_start().split_once(' ').map_or("", |(_word, rest)| rest)).trim()
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{text}: {error}"))
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|error| format!("{text}: {error}"))
}

/// Whether a value has all that a pattern names.
fn fits(pattern: &Value, value: &Value) -> bool {
    match (pattern, value) {
        (Value::String(any), _) if any == "…" => true,
        (Value::Object(pattern), Value::Object(value)) => {
            pattern.iter().all(|(name, pattern)| value.get(name).is_some_and(|value| fits(pattern, value)))
        }
        (Value::Array(pattern), Value::Array(value)) => {
            pattern.len() == value.len() && pattern.iter().zip(value).all(|(one, other)| fits(one, other))
        }
        // 1 and 1.0 are the same.
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (one, other) => one == other,
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/client")
}

macro_rules! conversations {
    ($($name:ident)+) => {
        const NAMES: &[&str] = &[$(stringify!($name),)+];

        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let path = folder().join(concat!(stringify!($name), ".script"));
                Conversation::play(&std::fs::read_to_string(path).unwrap()).await;
            }
        )+
    };
}

conversations! {
    broken closed columns drained endpoint expired hello killed narrowed refreshed refusals revoked rooms views
}

#[test]
fn every_script_is_played() {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let scripts = files.filter(|path| path.extension().is_some_and(|it| it == "script"));
    let mut found: Vec<String> =
        scripts.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    found.sort();
    assert_eq!(found, NAMES);
}

#[test]
fn patterns_fit_what_has_all_that_they_name() {
    let table = [
        (r#"{"a":1}"#, r#"{"a":1.0,"b":2}"#, true),
        (r#"{"a":1,"b":"…"}"#, r#"{"a":1}"#, false),
        (r#"{"a":"…"}"#, r#"{"a":null}"#, true),
        (r#"[{"a":1}]"#, r#"[{"a":1,"b":1}]"#, true),
        ("[]", "[1]", false),
        (r#""x""#, r#""y""#, false),
    ];
    for (pattern, value, is_fit) in table {
        assert_eq!(fits(&json(pattern).unwrap(), &json(value).unwrap()), is_fit, "{pattern} {value}");
    }
}
