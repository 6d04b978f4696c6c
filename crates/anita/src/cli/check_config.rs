//! `anita check-config`.

use anita::config::{Config, Written};
use anita_issuers::{IssuerSettings, KeySource};
use clap::Args;

use super::{ConfigFile, Failure, logging};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
}

/// An issuer and how its tokens are signed.
fn believed(issuer: &IssuerSettings) -> String {
    let keys = match &issuer.source {
        KeySource::Given(_files, keys) => keys.algorithms().join(" and "),
        KeySource::Published(_settings) => "the keys that it publishes".to_owned(),
    };
    format!("{:?} ({keys})", issuer.rules.issuer)
}

/// Prints every value and its origin; then says whether a server could start with the whole.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let written = Written::read(&arguments.file.config, std::env::vars())?;
    let explained = written.explained();
    let width = explained.iter().map(|(key, ..)| key.len()).max().unwrap_or_default();
    for (key, value, origin) in explained {
        println!("{key:width$} = {value}  # {origin}");
    }
    for warning in written.warnings() {
        eprintln!("warning: {warning}");
    }
    logging::filter_of(&written.raw.log.level)?;
    let config = Config::from_written(&written)?;
    config.check()?;
    let sources = config.sources.len();
    eprintln!(
        "{}: good; tokens of {} are believed, {sources} sources besides http and websocket",
        written.path.display(),
        config.issuers.iter().map(believed).collect::<Vec<_>>().join(", ")
    );
    for way in config.sign_in.iter().flat_map(|sign_in| &sign_in.ways) {
        eprintln!(
            "people sign in at {:?} as its client {:?}; register this redirect URI there: {}",
            way.issuer, way.client_id, way.redirect_uri
        );
        if let Some(back) = &way.post_logout_redirect_uri {
            eprintln!("they sign out there too; register this post-logout redirect URI as well: {back}");
        }
    }
    Ok(())
}
