//! The project's own commands: `cargo xtask --help`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to a terminal")]

mod codegen;
mod demo;
mod fault;
mod layers;
mod nightly;
mod process;
mod release;
mod sbom;
mod test;
mod tidy;
mod tools;
mod workspace;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use fault::Outcome;

/// The project's own commands. A Rust toolchain, Node 20 and a C compiler have to be there; the rest is installed.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Builds everything and runs a simulated site with 50 walking tags: open the printed address
    ///
    /// What follows is passed on to `anita demo`: cargo xtask demo -- --listen 127.0.0.1:9000 --devices 200
    Demo {
        /// Passed on to `anita demo`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Runs the tests: every suite, or those that are named
    ///
    /// Installs what is missing (Debian packages where it is root, npm packages), starts the services it needs on free
    /// ports, and ends with one line: "N passed, N failed, N skipped". Logs are in build/test/logs.
    Test(test::Options),
    /// Runs what takes too long for the test command: fuzzing, simulations of many seeds, the whole of Autobahn
    ///
    /// Ends with one line: "N passed, N failed, N skipped". Logs are in build/nightly/logs; what fuzzing finds is kept in
    /// build/fuzz/corpus and used again the next time.
    Nightly(nightly::Options),
    /// Builds the program as it is given away, with its bill of materials, into build/release
    Release,
    /// Builds the committed sources twice, in two folders, and compares the two programs
    Reproduce {
        /// Without optimisation: less time, to try out whether anything differs
        #[arg(long)]
        cheap: bool,
    },
    /// Writes the software bill of materials of the program (`CycloneDX` 1.6)
    Sbom {
        /// The file to write
        #[arg(long, default_value = "build/anita.cdx.json")]
        output: PathBuf,
    },
    /// Writes what is generated from the message types: sdk/src/wire.gen.ts, schema/*.json, tables in docs/
    Codegen {
        /// Writes nothing; names the files that are not up to date, and fails if there are any
        #[arg(long)]
        check: bool,
    },
    /// Checks which crate uses which, and that every dependency has its reason
    Layers,
    /// Checks the rules of the house that no compiler knows
    Tidy,
}

fn main() -> ExitCode {
    match run(&workspace::root(), Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            if !fault.is_silent() {
                eprintln!("{fault}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(root: &Path, command: Command) -> Outcome {
    match command {
        Command::Demo { arguments } => demo::run(root, &arguments),
        Command::Test(options) => test::run(root, &options),
        Command::Nightly(options) => nightly::run(root, &options),
        Command::Release => release::run(root),
        Command::Reproduce { cheap: true } => release::reproduce(root, release::Effort::Cheap),
        Command::Reproduce { cheap: false } => release::reproduce(root, release::Effort::Whole),
        Command::Sbom { output } => sbom::write(root, &root.join(output)),
        Command::Codegen { check: true } => codegen::check(root),
        Command::Codegen { check: false } => codegen::write(root),
        Command::Layers => layers::check(root),
        Command::Tidy => tidy::check(root),
    }
}
