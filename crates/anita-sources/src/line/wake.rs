//! Bringing a DWM1001 to print positions, without disturbing one that does.
//!
//! The shell begins after two carriage returns, and `lec` *toggles* its output, as does an empty line that repeats it. So first one
//! listens; only a device that prints nothing is knocked at, and only one that shows its prompt, and still prints nothing, is
//! told `lec`.

use std::time::Duration;

use tokio::time::Instant;

/// How long a device that prints is given to show it. A tag at rest may be slower; then it is woken although it is awake.
const LISTEN: Duration = Duration::from_secs(2);
/// Between the two carriage returns.
const KNOCK_GAP: Duration = Duration::from_millis(100);
/// How long the shell may take to start.
const PROMPT_MAX: Duration = Duration::from_secs(3);
/// How long to see whether the prompt was all there is.
const SETTLE: Duration = Duration::from_millis(700);

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// Positions, or measurements without one.
    Positions,
    /// The prompt of the shell.
    Prompt,
    /// Something else.
    Other,
    /// Nothing, until the time was up.
    Nothing,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Send(&'static [u8]),
    GiveUp,
}

/// Where the wake-up is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waker {
    stage: Stage,
    due_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Listening,
    Knocking,
    AwaitingPrompt,
    Settling,
    Done,
}

// === impl Waker ===

impl Waker {
    pub(super) fn new(now: Instant) -> Self {
        Self { stage: Stage::Listening, due_at: Some(now + LISTEN) }
    }

    pub(super) fn done() -> Self {
        Self { stage: Stage::Done, due_at: None }
    }

    /// When [`Heard::Nothing`] is due; `None` when nothing is.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.due_at
    }

    pub(super) fn step(&mut self, heard: Heard, now: Instant) -> Option<Act> {
        let (stage, due_in, act) = match (self.stage, heard) {
            (_, Heard::Positions) => (Stage::Done, None, None),
            (Stage::Listening, Heard::Nothing) => (Stage::Knocking, Some(KNOCK_GAP), Some(Act::Send(b"\r"))),
            (Stage::Knocking, Heard::Nothing) => {
                (Stage::AwaitingPrompt, Some(PROMPT_MAX), Some(Act::Send(b"\r")))
            }
            (Stage::Knocking | Stage::AwaitingPrompt, Heard::Prompt) => (Stage::Settling, Some(SETTLE), None),
            (Stage::AwaitingPrompt, Heard::Nothing) => (Stage::Done, None, Some(Act::GiveUp)),
            (Stage::Settling, Heard::Nothing) => (Stage::Done, None, Some(Act::Send(b"lec\r"))),
            (Stage::Listening | Stage::Settling | Stage::Done, Heard::Prompt)
            | (_, Heard::Other)
            | (Stage::Done, Heard::Nothing) => return None,
        };
        self.stage = stage;
        self.due_at = due_in.map(|due_in| now + due_in);
        act
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is sent while the device does what the script says; `!` is giving up.
    fn conversation(script: &[Heard]) -> String {
        let now = Instant::now();
        let mut waker = Waker::new(now);
        let acts = script.iter().map(|&heard| match waker.step(heard, now) {
            None => ".".to_owned(),
            Some(Act::GiveUp) => "!".to_owned(),
            Some(Act::Send(bytes)) => String::from_utf8(bytes.to_vec()).unwrap().escape_debug().to_string(),
        });
        acts.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_device_is_told_lec_only_when_it_is_awake_and_silent() {
        use Heard::{Nothing, Other, Positions, Prompt};
        let cases: [(&[Heard], &str); 6] = [
            (&[Positions, Nothing, Prompt, Other], ". . . ."),
            (&[Nothing, Nothing, Other, Prompt, Nothing, Positions], "\\r \\r . . lec\\r ."),
            (&[Nothing, Nothing, Prompt, Positions, Nothing], "\\r \\r . . ."),
            (&[Nothing, Positions, Nothing], "\\r . ."),
            (&[Nothing, Prompt, Nothing], "\\r . lec\\r"),
            (&[Other, Nothing, Nothing, Nothing], ". \\r \\r !"),
        ];
        for (script, expected) in cases {
            assert_eq!(conversation(script), expected, "{script:?}");
        }
    }
}
