//! The command line: what was typed, and what each command does with it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line prints")]

mod audit;
mod backup;
mod check_config;
mod client;
mod demo;
mod export;
mod logging;
mod restore;
mod serve;
mod token;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use anita::StartError;
use anita::config::ConfigError;
use clap::{Parser, Subcommand};

/// A configuration that can't be used (`EX_CONFIG` of sysexits.h).
const EXIT_CONFIG: u8 = 78;

/// How long the id of a token is that gets none, bytes of randomness.
const TOKEN_ID_BYTES: usize = 12;

/// How long work that blocks may take to end, when all else has.
const LAST_WORK_MAX: std::time::Duration = std::time::Duration::from_secs(1);

/// What a command fails with.
type Failure = Box<dyn Error + Send + Sync>;

/// The open hub for real-time location: UWB tags and gateways report where things are; browsers and services hear
/// it the moment it happens.
#[derive(Debug, Parser)]
#[command(version, after_help = "Try it: anita demo\nRun it: anita serve --config anita.toml")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything in one command: a simulated site with walking tags, the dashboard, and a token for each role.
    ///
    /// Its store is in a folder of its own among the temporary files, and gone when it ends.
    Demo(demo::Arguments),
    /// Runs the server of a configuration.
    ///
    /// SIGTERM and Ctrl-C drain: clients are told when to come back, then it ends. A second one ends at once.
    Serve(serve::Arguments),
    /// Makes a token with the secret of a configuration, and prints nothing else.
    Token(token::Arguments),
    /// Checks a configuration, and prints every value and where it came from.
    ///
    /// It looks at what `serve` would refuse: certificates, keys, folders, secrets. Run it as the user of the server. What it
    /// can't know is whether the address is taken, and whether a database, a broker or an issuer answers.
    CheckConfig(check_config::Arguments),
    /// Prints messages as they come, one JSON a line.
    Tail(client::TailArguments),
    /// Sends a recording (CSV or NDJSON) to a server, in its own time or faster.
    Replay(client::ReplayArguments),
    /// Writes where devices were into a file: CSV, NDJSON or GeoJSON.
    Export(export::Arguments),
    /// Copies the embedded store while the server runs.
    Backup(backup::Arguments),
    /// Puts a copy in the place of the embedded store, while no server runs.
    Restore(restore::Arguments),
    /// Verifies or prints the audit trail: who did or tried what.
    #[command(subcommand)]
    Audit(audit::Command),
}

/// `--config FILE`.
#[derive(Debug, Clone, clap::Args)]
struct ConfigFile {
    /// The configuration. `ANITA__SECTION__KEY` in the environment goes over its values.
    #[arg(long, value_name = "FILE", default_value = "anita.toml")]
    config: PathBuf,
}

/// Does what was typed.
pub(crate) fn run() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Token(arguments) => token::run(&arguments),
        Command::CheckConfig(arguments) => check_config::run(&arguments),
        Command::Tail(arguments) => client::tail(&arguments),
        Command::Replay(arguments) => client::replay(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Backup(arguments) => backup::run(&arguments),
        Command::Restore(arguments) => restore::run(&arguments),
        Command::Audit(command) => audit::run(&command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("anita: {}", anita_sources::chain(failure.as_ref()));
            let is_configuration = failure.is::<ConfigError>()
                || failure.downcast_ref::<StartError>().is_some_and(StartError::is_configuration);
            if is_configuration { ExitCode::from(EXIT_CONFIG) } else { ExitCode::FAILURE }
        }
    }
}

/// Runs a future to its end on a runtime of its own.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(work);
    // An export that hangs does not keep the program.
    runtime.shutdown_timeout(LAST_WORK_MAX);
    done
}
