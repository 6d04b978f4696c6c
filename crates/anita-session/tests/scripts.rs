//! Runs the conversations of `conformance/session/*.script`: what clients send, and what they must hear.
//!
//! A script is read line by line. `alice` is any name; JSON on the right of `<` is a pattern: objects need only the
//! fields that are written, and `"*"` stands for any value.
//!
//! ```text
//! alice connect /ws/uwb role=viewer devices=tag-*     a connection with a token made from these words
//! alice connect /ws                                   one without a token
//! alice > {"type":"ping"}                             what she sends
//! alice < {"type":"system.pong"}                      what she must hear next
//! alice ping                                          the WebSocket ping she must hear next
//! alice quiet                                         she must have heard everything
//! alice closed 4401                                   and must be closed with this code
//! alice vanish                                        her socket is gone without a word
//! alice stops reading | alice reads                   what is new waits, replaced by what is newer | goes on
//! alice sleeps                                        its session has nothing to do at this moment
//! alice ignores uwb.location                          from here on, these are not looked at
//! near 0.5                                            as the first line: tags closer than half a metre are told
//! source tag-1 1.0 2.0 [taken -3s]                    a source reports a fix
//! wait 10s                                            time passes
//! ```

#![allow(
    clippy::map_err_ignore,
    clippy::manual_assert,
    clippy::unchecked_time_subtraction,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the code of a test"
)]

mod stage;

use stage::Stage;

fn play(name: &str, text: &str) {
    let mut stage = Stage::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Err(fault) = stage.play(line) {
            panic!("{name}:{number}: {line}\n  {fault}");
        }
    }
    if let Err(fault) = stage.end() {
        panic!("{name}: at the end: {fault}");
    }
}

#[test]
fn every_conversation_goes_as_written() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/session");
    let mut count = 0;
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|it| it == "script")) {
        play(&path.file_name().unwrap().to_string_lossy(), &std::fs::read_to_string(path).unwrap());
        count += 1;
    }
    assert!(count >= 10, "only {count} scripts in {folder}");
}

#[test]
#[should_panic(expected = "heard")]
fn a_conversation_that_goes_otherwise_is_noticed() {
    play("wrong", "alice connect /ws role=viewer\nalice < {\"type\":\"system.auth_required\"}");
}
