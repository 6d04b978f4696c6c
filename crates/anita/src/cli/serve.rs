//! `anita serve`.

use anita::config::{Config, Written};
use anita::{App, Running, Signals};
use clap::Args;

use super::{ConfigFile, Failure, block_on, logging};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
}

/// Runs the server until a signal.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let written = Written::read(&arguments.file.config, std::env::vars())?;
    let log = &written.raw.log;
    let throttle = logging::begin(log.format, &log.level, log.lines_per_second)?;
    for warning in written.warnings() {
        tracing::warn!("{warning}");
    }
    let config = Config::from_written(&written)?;
    config.check()?;
    block_on(async {
        let mut signals = Signals::listen()?;
        let running = tokio::select! {
            started = App::new(config).start() => started?,
            () = signals.next() => return Ok(()),
        };
        throttle.count_in(running.metrics());
        say_where(&running);
        Ok(running.until(signals).await?)
    })
}

/// One line an operator, and a script, can find the server by.
fn say_where(running: &Running) {
    let address = running.address();
    match running.certificates() {
        Some(certificates) => {
            println!("listening on https://{address} (wss://{address}/ws/uwb)");
            println!("certificate SHA-256 fingerprint {}", certificates.fingerprint());
        }
        None => println!(
            "listening on http://{address} (ws://{address}/ws/uwb), plain text as the configuration allows"
        ),
    }
}
