//! `anita tail` and `anita replay`.

use std::path::PathBuf;
use std::time::Duration;

use anita_client::{
    Options, Progress, ReplayEvent, ReplayOptions, ReplayReport, TailEvent, TailSettings, Token, Trust,
};
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{Failure, block_on};

/// Where the server is, and how it is known.
#[derive(Debug, Args)]
pub(super) struct ServerArguments {
    /// The token. Without this option, the variable `ANITA_TOKEN` of the environment.
    #[arg(long, value_name = "JWT", env = "ANITA_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Trust the certificates of this file, PEM.
    #[arg(long, value_name = "FILE", conflicts_with = "fingerprint")]
    ca_file: Option<PathBuf>,
    /// Trust the one certificate with this SHA-256 fingerprint, as the server prints it.
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<String>,
    /// Allow ws:// and http:// to other machines: the token can be read on the way.
    #[arg(long)]
    pub(super) allow_plain: bool,
}

impl ServerArguments {
    pub(super) fn trust(&self) -> Trust {
        match (&self.ca_file, &self.fingerprint) {
            (Some(file), _) => Trust::CaFile(file.clone()),
            (None, Some(fingerprint)) => Trust::Fingerprint(fingerprint.clone()),
            (None, None) => Trust::System,
        }
    }

    pub(super) fn token(&self) -> Option<Token> {
        self.token.as_deref().map(Token::new)
    }
}

#[derive(Debug, Args)]
pub(crate) struct TailArguments {
    /// The endpoint: wss://host:port/ws/uwb
    #[arg(long, value_name = "URL")]
    url: String,
    #[command(flatten)]
    server: ServerArguments,
    /// Only these types; `uwb.*` is a whole family. Can be repeated.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// End after so many messages.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End when the connection does, instead of coming back.
    #[arg(long)]
    once: bool,
}

/// Prints messages until Ctrl-C; what happens to the connection goes to standard error.
pub(crate) fn tail(arguments: &TailArguments) -> Result<(), Failure> {
    let mut options = Options::new(arguments.url.clone());
    options.token = arguments.server.token();
    options.trust = arguments.server.trust();
    options.allow_plain = arguments.server.allow_plain;
    block_on(async {
        let settings = TailSettings {
            types: arguments.types.clone(),
            count: arguments.count,
            reconnect: !arguments.once,
            stop: stop_at_ctrl_c(),
        };
        anita_client::tail(options, tokio::io::stdout(), settings, say_tail_event).await?;
        Ok(())
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of the client's callback")]
fn say_tail_event(event: TailEvent<'_>) {
    let seconds = |wait: Duration| wait.as_secs_f64();
    match event {
        TailEvent::Connected { client_id } => eprintln!("connected as {client_id}"),
        TailEvent::NotConnected { error, wait } => {
            eprintln!("not connected: {}; again in {:.1} s", anita_sources::chain(error), seconds(wait));
        }
        TailEvent::Lost { error: Some(error), wait } => {
            eprintln!("connection lost: {}; again in {:.1} s", anita_sources::chain(error), seconds(wait));
        }
        TailEvent::Lost { error: None, wait } => {
            eprintln!("the server said goodbye; again in {:.1} s", seconds(wait));
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArguments {
    /// The server: https://host:port
    #[arg(long, value_name = "URL")]
    url: String,
    #[command(flatten)]
    server: ServerArguments,
    /// The recording: CSV with `t_s,tag_id,x_m,y_m,z_m`, or NDJSON; `anita tail` writes the latter.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// How many times faster than recorded.
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    speed: f64,
    /// Begin again at the end.
    #[arg(long = "loop")]
    is_loop: bool,
    /// Send the recorded times instead of moving the recording to now: then a live location moves only where the
    /// recording is newer than it.
    #[arg(long)]
    keep_time: bool,
}

/// Sends a recording; how far it is goes to standard error.
pub(crate) fn replay(arguments: &ReplayArguments) -> Result<(), Failure> {
    let mut options = ReplayOptions::new(arguments.url.clone(), arguments.file.clone());
    options.token = arguments.server.token();
    options.trust = arguments.server.trust();
    options.allow_plain = arguments.server.allow_plain;
    options.speed = arguments.speed;
    options.is_loop = arguments.is_loop;
    options.keep_time = arguments.keep_time;
    let report = block_on(async {
        options.stop = stop_at_ctrl_c();
        Ok(anita_client::replay(options, say_replay_event).await?)
    })?;
    print_report(&report);
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of the client's callback")]
fn say_replay_event(event: ReplayEvent<'_>) {
    match event {
        ReplayEvent::Progress(Progress { sent, position, per_second, pass }) => {
            eprintln!(
                "{sent} sent, at {:.1} s of pass {pass}, {per_second:.0} a second",
                position.as_secs_f64()
            );
        }
        ReplayEvent::BadLine { error } => eprintln!("skipped: {}", anita_sources::chain(error)),
        ReplayEvent::Refused { line, code, message } => eprintln!("line {line} refused: {code}: {message}"),
        ReplayEvent::Retry { error, wait } => {
            eprintln!("not taken: {}; again in {:.1} s", anita_sources::chain(error), wait.as_secs_f64());
        }
    }
}

fn print_report(report: &ReplayReport) {
    println!(
        "{} sent: {} accepted, {} refused; {} lines without a position, {} bad lines; {} reports sent again; {:.1} s",
        report.sent,
        report.accepted,
        report.refused,
        report.without_position,
        report.bad_lines,
        report.retried,
        report.elapsed.as_secs_f64()
    );
}

/// A token that Ctrl-C cancels. A second Ctrl-C ends the process as usual.
pub(super) fn stop_at_ctrl_c() -> CancellationToken {
    let stop = CancellationToken::new();
    let cancelled_here = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            cancelled_here.cancel();
            tokio::signal::ctrl_c().await.ok();
            std::process::exit(130);
        }
    });
    stop
}
