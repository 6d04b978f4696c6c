//! H. The store: what live delivery pays for it, how fast it takes fixes, what a fix takes on the disk, and what a page of
//! history costs.

mod embedded;
mod postgres;
mod traffic;

use std::sync::atomic::Ordering;

use clap::Args;
use serde_json::json;

use crate::cli::Bench;
use crate::fault::Outcome;
use crate::figures::{median, most, ratio};
use crate::kernel::Pin;
use crate::publisher::Plan;
use crate::report::{self, Table, digits};
use crate::server::{Anita, Setup, counter};

use super::e::{self, Round};
use super::stream;

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Options {
    /// Tags of the live part, each at 10 Hz (default 10000)
    #[arg(long)]
    tags: Option<usize>,
    /// Viewers of the live part, of everything at 2 Hz a device (default 100)
    #[arg(long)]
    viewers: Option<usize>,
    /// Times that each server of the live part has its turn (default 3)
    #[arg(long)]
    turns: Option<usize>,
    /// Rounds of a turn, and of the store by itself against the bare driver (default 5)
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds of a round of the live part (default 5)
    #[arg(long)]
    secs: Option<f64>,
    /// How many million fixes the history grows to; pages are measured at 1, 10, 100 … million (default 10)
    #[arg(long)]
    millions: Option<usize>,
    /// The embedded store by itself only: no servers
    #[arg(long)]
    no_live: bool,
    /// A database for PostgreSQL's part, `postgres://…`; it is skipped without one
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
}

/// Runs it.
pub(crate) fn run(bench: &mut Bench, options: &Options) -> Outcome {
    bench.report.begin("h", "the store: live delivery with it and without, commits, room on the disk, pages");
    if !options.no_live {
        live(bench, options)?;
    }
    embedded::run(bench, options)?;
    if let Some(url) = &options.postgres {
        return postgres::run(bench, options, url);
    }
    report::note("PostgreSQL is skipped: no --postgres URL");
    Ok(())
}

/// The server with its store in memory and with it in SQLite, in turns.
fn live(bench: &mut Bench, options: &Options) -> Outcome {
    let turns = bench.pick(options.turns, 3, 1);
    let mut memory: Vec<Round> = Vec::new();
    let mut sqlite: Vec<Round> = Vec::new();
    let mut is_all_taken = true;
    for turn in 0..turns {
        bench.report.step(&format!("turn {} of {turns}, in memory", turn + 1));
        is_all_taken &= serve(bench, options, "memory", &mut memory)?;
        bench.report.step(&format!("turn {} of {turns}, in SQLite", turn + 1));
        is_all_taken &= serve(bench, options, "sqlite:anita.db", &mut sqlite)?;
    }
    show(bench, options, [&memory, &sqlite]);
    bench.report.verdict("everything that was sent is acknowledged", is_all_taken);
    Ok(())
}

/// One turn of one server. Says whether all that was sent was acknowledged.
fn serve(bench: &Bench, options: &Options, storage: &str, rounds: &mut Vec<Round>) -> Outcome<bool> {
    let (tags, viewers) = (tags(bench, options), bench.pick(options.viewers, 100, 20));
    let pin = Pin::begin(bench.cores)?;
    let anita = Anita::start(&bench.program, Setup { storage: Some(storage), ..Setup::default() })?;
    pin.take_others()?;
    let publisher = stream::publish(&anita, Plan::new(tags))?;
    let mut audience = e::gather(&anita, viewers)?;
    let (count, secs) = (bench.pick(options.rounds, 5, 1), bench.pick(options.secs, 5.0, 0.7));
    rounds.extend(e::rounds(bench, count, secs, &anita, &mut audience, &publisher)?);
    let counters = std::sync::Arc::clone(&publisher.counters);
    publisher.finish()?;
    let (sent, accepted) = (counters.sent.load(Ordering::Relaxed), counters.accepted.load(Ordering::Relaxed));
    let stored = counter(&anita.metrics()?, "anita_store_fixes_total", "");
    report::note(&format!("{storage}: {sent} fixes sent, {accepted} acknowledged, {stored} stored"));
    Ok(sent == accepted)
}

fn tags(bench: &Bench, options: &Options) -> usize {
    bench.pick(options.tags, 10_000, 500)
}

fn show(bench: &mut Bench, options: &Options, [memory, sqlite]: [&[Round]; 2]) {
    let due_hz = tags(bench, options) as f64 * 10.0;
    let of = |rounds: &[Round], value: &dyn Fn(&Round) -> f64| {
        median(&rounds.iter().map(value).collect::<Vec<_>>())
    };
    let mut table = Table::new(&["live", "in memory", "in SQLite"]);
    let mut row = |name: &str, decimals: usize, value: &dyn Fn(&Round) -> f64| {
        table.row(name, &[digits(of(memory, value), decimals), digits(of(sqlite, value), decimals)]);
    };
    row("fixes a second taken", 0, &|it| it.taken / it.stretch.secs);
    row("CPU a fix, µs, deliveries and storing included", 2, &|it| it.stretch.us_per_fix());
    row("server cores", 2, &|it| it.stretch.cores());
    row("age at a viewer without a limit, p50, ms", 1, &|it| it.probe_p50_ms);
    row("age at a viewer without a limit, p99, ms", 1, &|it| it.probe_p99_ms);
    row("p99 of the added age by the server's word, median, ms", 0, &|it| median(&it.added_p99_ms));
    row("p99 of the added age by the server's word, worst, ms", 0, &|it| most(&it.added_p99_ms));
    table.print();
    let raw = |rounds: &[Round]| json!(rounds.iter().map(Round::raw).collect::<Vec<_>>());
    bench.report.keep("memory", raw(memory));
    bench.report.keep("sqlite", raw(sqlite));
    let taken = of(sqlite, &|it| it.taken / it.stretch.secs);
    bench
        .report
        .verdict("SQLite: the server keeps up with live delivery going on", ratio(taken, due_hz) >= 0.99);
}
