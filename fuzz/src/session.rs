//! Any text as what several clients of one hub do: whole conversations, held against what must be true of them all.
//!
//! A line is one thing that happens: a letter for what, a digit for whose, and the rest as that thing needs it.
//!
//! ```text
//! c0uv              client 0 connects to /ws/uwb with the token of a viewer (`p` /ws; the letters of tokens: `GRANTS`)
//! >0ping {}         sends a request with an id of its own; $n in it is the token that `n` stands for
//! >0{"type":"ping"} sends this text
//! *0 50 ping {}     sends a request so many times
//! b0 k0 d0 v0       sends binary, a ping; is told to go; vanishes
//! h0 r0             stops reading; reads again
//! s tag-1 1.5 2     a source reports a fix
//! t 500             so many milliseconds pass
//! j -60             the wall clock jumps so many seconds
//! ```

mod ear;
mod stage;

use stage::Stage;

/// A conversation does not get longer than that.
const LINES_MAX: usize = 128;

/// Plays the text, as far as it is one.
pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut stage = Stage::new();
    for line in text.lines().take(LINES_MAX) {
        play(&mut stage, line);
        stage.settle();
    }
    stage.end();
}

fn play(stage: &mut Stage, line: &str) {
    let mut letters = line.chars();
    let Some(what) = letters.next() else { return };
    let rest = letters.as_str();
    let (who, argument) = match rest.chars().next() {
        Some(digit @ '0'..='9') => (digit as usize - '0' as usize, rest.get(1..).unwrap_or_default()),
        _ => (0, rest),
    };
    match what {
        'c' => stage.connect(who, argument),
        '>' => stage.say(who, argument),
        '*' => {
            let (count, request) = argument.trim_start().split_once(' ').unwrap_or(("2", argument));
            for _ in 0..count.parse::<usize>().unwrap_or(2).min(1_200) {
                stage.say(who, request);
            }
        }
        'b' => stage.with(who, |session, _now| session.on_binary()),
        'k' => stage.with(who, |session, now| session.on_control(now)),
        'd' => stage.with(who, |session, _now| session.on_drain(std::time::Duration::from_secs(1))),
        'v' => stage.vanish(who),
        'h' => stage.reads(who, anita_session::Delivery::Held),
        'r' => stage.reads(who, anita_session::Delivery::Open),
        's' => stage.report(rest),
        't' => stage.wait(argument.trim().parse().unwrap_or(50)),
        'j' => stage.jump(argument.trim().parse().unwrap_or(-1)),
        _ => {}
    }
}
