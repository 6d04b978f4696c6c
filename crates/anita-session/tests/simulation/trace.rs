//! What happened, line by line, for people; the same seed gives the same bytes.

use std::collections::HashMap;
use std::fmt::Write;

use crate::link::Millis;

/// What is wanted of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// What became of it.
    Outcome,
    /// Everything that happened, too.
    Trace,
}

/// The trace of a run. What is random in the server, ids and epochs, is told by the order of its first appearance.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    is_on: bool,
    pub(crate) text: String,
    names: HashMap<String, String>,
}

impl Trace {
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self { is_on: wanted == Wanted::Trace, ..Self::default() }
    }

    /// Adds a line, which is made only if somebody wants it.
    pub(crate) fn line(&mut self, now_ms: Millis, make: impl FnOnce() -> String) {
        if !self.is_on {
            return;
        }
        let line = self.named(&make());
        let (secs, millis) = (now_ms / 1_000, now_ms % 1_000);
        writeln!(self.text, "{secs:>4}.{millis:03} {line}").unwrap();
    }

    /// Replaces random tokens: quoted, of 12 or 24 hexadecimal digits.
    fn named(&mut self, line: &str) -> String {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let (mut told, mut rest) = (String::with_capacity(line.len()), line);
        while let Some(quote) = rest.find('"') {
            let (before, after) = rest.split_at(quote + 1);
            told.push_str(before);
            let digits = after.bytes().take_while(|&byte| is_hex(byte)).count();
            let is_token = matches!(digits, 12 | 24) && after.as_bytes().get(digits) == Some(&b'"');
            let (token, after) = after.split_at(if is_token { digits } else { 0 });
            if is_token {
                let count = self.names.len() + 1;
                told.push_str(self.names.entry(token.to_owned()).or_insert_with(|| format!("#{count}")));
                // Its closing quote opens nothing.
                told.push('"');
                rest = &after[1..];
            } else {
                rest = after;
            }
        }
        told.push_str(rest);
        told
    }
}
