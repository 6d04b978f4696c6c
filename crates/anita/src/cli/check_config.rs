//! `anita check-config`.

use anita::config::{Config, Written};
use clap::Args;

use super::{ConfigFile, Failure};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
}

/// Prints every value and its origin; then says whether the whole makes sense.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let written = Written::read(&arguments.file.config, std::env::vars())?;
    let explained = written.explained();
    let width = explained.iter().map(|(key, ..)| key.len()).max().unwrap_or_default();
    for (key, value, origin) in explained {
        println!("{key:width$} = {value}  # {origin}");
    }
    let config = Config::from_written(&written)?;
    let sources = config.sources.len();
    eprintln!(
        "{}: good; tokens are verified with {}, {sources} sources besides http and websocket",
        written.path.display(),
        config.key.algorithm()
    );
    Ok(())
}
