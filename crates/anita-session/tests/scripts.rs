//! Runs the conversations of `conformance/session/*.script`: what clients send, and what they must hear.
//!
//! A script is read line by line. `alice` is any name; JSON on the right of `<` is a pattern: objects need only the
//! fields that are written, `"*"` stands for any value, and `"ABSENT"` for a field that may not be there. `EPOCH` on the right of `>` is the epoch that was heard last.
//!
//! ```text
//! alice connect /ws/uwb role=viewer devices=tag-*     a connection with a token made from these words
//! alice connect /ws                                   one without a token
//! alice > {"type":"ping"}                             what she sends
//! alice < {"type":"system.pong"}                      what she must hear next
//! alice ping                                          the WebSocket ping she must hear next
//! alice quiet                                         she must have heard everything
//! alice closed 4401                                   and must be closed with this code
//! alice warned                                        the server says that it will stop
//! alice vanish                                        her socket is gone without a word
//! alice stops reading | alice reads                   what is new waits, replaced by what is newer | goes on
//! alice sleeps                                        its session has nothing to do at this moment
//! alice ignores uwb.location                          from here on, these are not looked at
//! near 0.5                                            as the first line: tags closer than half a metre are told
//! tail 4                                              as the first line: so many fixes are kept one by one
//! source tag-1 1.0 2.0 [taken -3s | floor 1]          a source reports a fix
//! keys wait | keys come | keys fail                   from here on, tokens wait for keys of their issuer | they came | not
//! revoke jti=t1 | revoke sub=alice [before] | revoke before    tokens are revoked: issued before this moment
//! slow comes                                          what `domain.slow` is asked is answered from here on
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

/// What went otherwise than written, if anything.
fn play(name: &str, text: &str) -> Result<(), String> {
    let mut stage = Stage::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        stage.play(line).map_err(|fault| format!("{name}:{number}: {line}\n  {fault}"))?;
    }
    stage.end().map_err(|fault| format!("{name}: at the end: {fault}"))
}

#[test]
fn every_conversation_goes_as_written() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/session");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "script"));
    paths.sort();
    assert!(paths.len() >= 10, "only {} scripts in {folder}", paths.len());
    let played = paths.iter().map(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        play(&name, &std::fs::read_to_string(path).unwrap())
    });
    let faults: Vec<String> = played.filter_map(Result::err).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_conversation_that_goes_otherwise_is_noticed() {
    let text = "alice connect /ws role=viewer\nalice < {\"type\":\"system.auth_required\"}";
    let fault = play("wrong", text).unwrap_err();
    assert!(fault.starts_with("wrong:2: ") && fault.contains("heard"), "{fault}");
}
