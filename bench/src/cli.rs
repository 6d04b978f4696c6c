//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::fault::{Fault, Outcome};
use crate::kernel::Cores;
use crate::report::Report;
use crate::scenario::{self, a, b, c, d, e, f, g, h, i};
use crate::{kernel, process, yardstick};

/// What a delivery, a fix and a connection cost the server, and how fresh what it delivers is.
///
/// Each scenario starts the servers it needs as child processes on loopback, drives them, and prints medians and ratios.
/// CPU is the CPU time of the server process, so a machine that others use too still gives usable figures; ages are wall
/// time and need a quiet one. Build everything first: cargo build --release -p anita -p anita-bench
#[derive(Debug, Parser)]
#[command(
    name = "anita-bench",
    version,
    after_help = "Try it: anita-bench all --quick\nRead it: bench/README.md"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One fix to 1,000 subscribers in lock step, one message each: CPU of a delivery against the yardstick's
    ///
    /// Rounds of the yardstick and of the server alternate. Nothing can be gathered: the next fix is sent when the one
    /// before has reached everybody. Filters (a device pattern and a polygon) and rights (a token with a pattern) are on.
    A(Run<a::Options>),
    /// 1,000 tags at 10 Hz to 1,000 viewers of everything: CPU of a delivered position against the yardstick's write
    ///
    /// In each form: batch, columns of millimetres and centimetres, and compressed where the server offers it, with the
    /// bytes that one position takes.
    B(Run<b::Options>),
    /// The same with an area of about 50 tags for each viewer that moves now and then; and what viewers cost that see nothing
    ///
    /// The second part publishes into a corner that nobody looks at, once with 100 and once with 10,000 viewers elsewhere,
    /// in turns, and compares the CPU of a fix.
    C(Run<c::Options>),
    /// B with viewers that read at 20 KB/s and others that stop reading for 10 s
    ///
    /// Phases with and without them alternate: the p99 age of the others, the server's memory, and what a stopped viewer
    /// reads first when it goes on: bytes that were in the kernel already, then something current.
    D(Run<d::Options>),
    /// Ingest: 10,000 tags at 10 Hz over WebSocket, then over MQTT at 0.8 of what the broker sustains
    ///
    /// 100 viewers of everything at 2 Hz a device. The added age (due by the view's rate until written) is the server's
    /// own word, asked from each viewer with `get_connection_stats`. MQTT needs `mosquitto` on the path.
    E(Run<e::Options>),
    /// 19,000 idle connections: memory of each, CPU of all; then with TLS
    F(Run<f::Options>),
    /// 10,000 clients are dropped and come back at once: all hear exactly what they missed
    G(Run<g::Options>),
    /// The store: live delivery with it and without; commits against the bare driver's; room on the disk; pages
    ///
    /// The live part is E over WebSocket, with the server's store in memory and in SQLite in turns. The other parts use the
    /// store by itself, without a server.
    H(Run<h::Options>),
    /// 10,000 clients of a server that is restarted, and of one that is killed: how they come back
    ///
    /// They obey what the server says as the JavaScript client does: `retry_after_ms` of the close, `Retry-After` of a
    /// refusal, and a random wait on top that doubles from half a second.
    I(Run<i::Options>),
    /// All of them, one after the other, as they are without options
    All(Shared),
    /// The yardstick itself, a child of the others: prints its address, serves until standard input ends
    #[command(hide = true)]
    YardstickServer,
    /// Becomes a server that ends with this program
    #[command(hide = true)]
    Child {
        program: PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// What every scenario takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Shared {
    /// The server's program; beside this one when absent
    #[arg(long, value_name = "PATH")]
    anita: Option<PathBuf>,
    /// Writes the raw rounds there
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Everything small, in a few seconds: shows that it works, and no figures to rely on
    #[arg(long)]
    pub(crate) quick: bool,
    /// Puts the servers on one core and this program on the others; without it scenario a alone does
    #[arg(long)]
    pub(crate) pin: bool,
}

#[derive(Debug, Args)]
struct Run<O: Args> {
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    options: O,
}

/// What a scenario works with.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) program: PathBuf,
    pub(crate) is_quick: bool,
    pub(crate) cores: Cores,
    /// Open files of a process.
    pub(crate) open_files: u64,
    pub(crate) report: Report,
}

impl Bench {
    fn new(shared: &Shared) -> Outcome<Self> {
        let beside = || {
            let own = std::env::current_exe().unwrap_or_default();
            own.with_file_name("anita")
        };
        let program = shared.anita.clone().unwrap_or_else(beside);
        if !program.is_file() {
            return Err(Fault::new(format!(
                "there is no server at {}: build it (cargo build --release -p anita) or name it with --anita",
                program.display()
            )));
        }
        Ok(Self {
            program,
            is_quick: shared.quick,
            cores: if shared.pin { Cores::Apart } else { Cores::Shared },
            open_files: kernel::raise_open_files()?,
            report: Report::default(),
        })
    }

    /// What was asked for; else the small number when it has to be quick, else the full one.
    pub(crate) fn pick<T>(&self, asked: Option<T>, full: T, quick: T) -> T {
        asked.unwrap_or(if self.is_quick { quick } else { full })
    }
}

/// Runs the program.
pub(crate) fn run() -> ExitCode {
    match run_command(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::FAILURE
        }
    }
}

fn run_command(command: Command) -> Outcome {
    match command {
        Command::A(it) => alone(&it.shared, |bench| a::run(bench, &it.options)),
        Command::B(it) => alone(&it.shared, |bench| b::run(bench, &it.options)),
        Command::C(it) => alone(&it.shared, |bench| c::run(bench, &it.options)),
        Command::D(it) => alone(&it.shared, |bench| d::run(bench, &it.options)),
        Command::E(it) => alone(&it.shared, |bench| e::run(bench, &it.options)),
        Command::F(it) => alone(&it.shared, |bench| f::run(bench, &it.options)),
        Command::G(it) => alone(&it.shared, |bench| g::run(bench, &it.options)),
        Command::H(it) => alone(&it.shared, |bench| h::run(bench, &it.options)),
        Command::I(it) => alone(&it.shared, |bench| i::run(bench, &it.options)),
        Command::All(shared) => alone(&shared, scenario::all),
        Command::YardstickServer => yardstick::serve(),
        Command::Child { program, arguments } => process::become_child(&program, &arguments),
    }
}

fn alone(shared: &Shared, scenario: impl FnOnce(&mut Bench) -> Outcome) -> Outcome {
    let mut bench = Bench::new(shared)?;
    let outcome = scenario(&mut bench);
    if let Some(path) = &shared.json {
        bench.report.write(path)?;
    }
    outcome
}
