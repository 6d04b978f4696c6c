//! A writer that lets nobody write lines of their own into the log, or into the terminal that shows it.

use std::io::{self, Write};

/// Whether lines are written with colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    /// Sequences that begin with ESC are ours; those of others were escaped where they were recorded.
    Shown,
    /// There are none.
    Absent,
}

/// Writes lines with their control characters escaped, the end of each apart. Expects one event a write, as
/// `tracing-subscriber` does it.
#[derive(Debug)]
pub(super) struct Escaped<W> {
    to: W,
    colours: Colours,
}

impl<W: Write> Escaped<W> {
    pub(super) fn new(to: W, colours: Colours) -> Self {
        Self { to, colours }
    }

    fn is_harmless(&self, character: char) -> bool {
        match character {
            '\u{1b}' => self.colours == Colours::Shown,
            // What turns the direction of text around, or is a line break to some.
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => false,
            other => !other.is_control(),
        }
    }
}

/// A character as JSON escapes it, since a line may be JSON; those of ASCII, which JSON has escaped before, as Rust does.
fn escaped(character: char) -> String {
    match u32::from(character) {
        code @ 0x7f..=0xffff => format!("\\u{code:04x}"),
        _ => character.escape_default().to_string(),
    }
}

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let (line, end) = text.strip_suffix('\n').map_or((&*text, ""), |line| (line, "\n"));
        if line.chars().all(|it| self.is_harmless(it)) {
            self.to.write_all(text.as_bytes())?;
            return Ok(bytes.len());
        }
        let mut safe = String::with_capacity(line.len() + 16);
        for character in line.chars() {
            if self.is_harmless(character) {
                safe.push(character);
            } else {
                safe.push_str(&escaped(character));
            }
        }
        safe.push_str(end);
        self.to.write_all(safe.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str, colours: Colours) -> String {
        let mut bytes = Vec::new();
        let count = Escaped::new(&mut bytes, colours).write(text.as_bytes()).unwrap();
        assert_eq!(count, text.len());
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_event_stays_one_line_and_turns_nothing_around() {
        assert_eq!(written("a device \"tag-1\" é 日本\n", Colours::Absent), "a device \"tag-1\" é 日本\n");
        assert_eq!(
            written("alice\n2026-03-01T12:00:00Z INFO signed in as=admin\n", Colours::Absent),
            "alice\\n2026-03-01T12:00:00Z INFO signed in as=admin\n"
        );
        assert_eq!(written("a\r\0\u{7f}\u{85}b\n", Colours::Absent), "a\\r\\u{0}\\u007f\\u0085b\n");
        assert_eq!(written("\u{202e}gpj.exe\u{2028}x\n", Colours::Absent), "\\u202egpj.exe\\u2028x\n");
        assert_eq!(written("\u{1b}[2J\n", Colours::Absent), "\\u{1b}[2J\n");
        assert_eq!(written("\u{1b}[32m INFO\u{1b}[0m\n", Colours::Shown), "\u{1b}[32m INFO\u{1b}[0m\n");
    }
}
