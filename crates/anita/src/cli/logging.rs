//! Logs to standard error: what is printed on standard output is a command's result. Bounded under attack, and each event
//! one line, whatever somebody sent.

mod escaped;
mod throttle;

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use anita::config::LogFormat;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt, registry};

use super::Failure;
use escaped::{Colours, Escaped};
pub(super) use throttle::Throttle;

/// Begins to log. `lines_per_second` is of each place in the program; 0 for no limit.
pub(super) fn begin(format: LogFormat, level: &str, lines_per_second: u32) -> Result<Throttle, Failure> {
    let filter =
        EnvFilter::try_new(level).map_err(|error| format!("log.level: {level:?} is no filter: {error}"))?;
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

/// One line a panic, with its place. What becomes of it is said where it is caught.
fn say_panic(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&'static str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("nothing");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    tracing::error!(place, thread = thread.name().unwrap_or_default(), "panicked: {text}");
}
