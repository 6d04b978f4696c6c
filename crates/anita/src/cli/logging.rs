//! Logs to standard error: what is printed on standard output is a command's result. Bounded under attack, and each event
//! one line, whatever somebody sent.

mod escaped;
mod throttle;

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use anita::config::{ConfigError, LogFormat};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt, registry};

use super::Failure;
use escaped::{Colours, Escaped};
pub(super) use throttle::Throttle;

/// The levels, from nothing to everything.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Begins to log. `lines_per_second` is of each place in the program; 0 for no limit.
pub(super) fn begin(format: LogFormat, level: &str, lines_per_second: u32) -> Result<Throttle, Failure> {
    let filter = filter_of(level)?;
    let throttle = Throttle::new(lines_per_second);
    let has_colours = std::io::stderr().is_terminal();
    let colours = if has_colours { Colours::Shown } else { Colours::Absent };
    let writer = move || Escaped::new(std::io::stderr(), colours);
    let lines = match format {
        LogFormat::Text => fmt::layer().with_writer(writer).with_ansi(has_colours).boxed(),
        LogFormat::Json => fmt::layer().json().with_writer(writer).boxed(),
    };
    registry().with(filter).with(throttle.clone()).with(lines).try_init()?;
    throttle.tell_now_and_then()?;
    std::panic::set_hook(Box::new(say_panic));
    Ok(throttle)
}

/// Which lines are told.
///
/// # Errors
/// [`ConfigError`] with what can be written.
pub(super) fn filter_of(level: &str) -> Result<EnvFilter, ConfigError> {
    let wrong = |message: String| ConfigError::Value { key: "log.level".to_owned(), message };
    // A word that is no level would be taken for the name of a part of the program, and all else would be silent.
    let is_level = |word: &str| LEVELS.contains(&word.to_ascii_lowercase().as_str());
    let bare = level.split(',').map(str::trim).find(|word| !word.contains(['=', '[']) && !is_level(word));
    if let Some(word) = bare {
        let levels = LEVELS.join(", ");
        return Err(wrong(format!("{word:?} is no level; write one of {levels}, or PART=LEVEL")));
    }
    EnvFilter::try_new(level).map_err(|error| wrong(format!("{level:?} is no filter: {error}")))
}

/// One line a panic, with its place. What becomes of it is said where it is caught.
fn say_panic(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&'static str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("nothing");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    tracing::error!(place, thread = thread.name().unwrap_or_default(), "panicked: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Once, a word that is no level silenced the log.
    #[test]
    fn a_level_is_one_of_six_words_or_of_a_part_of_the_program() {
        for good in ["info", "WARN", "off", "warn,anita_server=debug", "anita_hub=trace, error"] {
            assert!(filter_of(good).is_ok(), "{good}");
        }
        for bad in ["lots", "", "info,verbose", "anita_server"] {
            let said = filter_of(bad).unwrap_err().to_string();
            assert!(said.contains("write one of off, error, warn, info, debug, trace"), "{said}");
        }
        assert!(filter_of("anita=loud").unwrap_err().to_string().contains("is no filter"));
    }
}
