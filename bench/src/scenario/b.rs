//! B. Many tags, many viewers of everything, in each form.

use clap::Args;
use serde_json::json;

use crate::cli::Bench;
use crate::fault::Outcome;
use crate::figures::{median, ratio};
use crate::kernel::Pin;
use crate::publisher::Plan;
use crate::report::{self, Table, digits};
use crate::server::{Anita, Setup};
use crate::ws::Compression;
use crate::yardstick::Yardstick;

use super::stream::{self, Audience, Stretch, View};

/// How many viewers read everything.
const SAMPLED: usize = 12;

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Options {
    /// Tags, each at 10 Hz (default 1000)
    #[arg(long)]
    tags: Option<usize>,
    /// Viewers (default 1000)
    #[arg(long)]
    viewers: Option<usize>,
    /// Rounds of the form `batch`; the other forms have a third of them (default 9)
    #[arg(long)]
    rounds: Option<usize>,
    /// How long a round is measured, seconds (default 4)
    #[arg(long)]
    secs: Option<f64>,
    /// Only the form `batch`
    #[arg(long)]
    batch_only: bool,
}

const COLUMNS: &str = r#"{"type":"subscribe","payload":{"mode":"columns"}}"#;
const COLUMNS_CM: &str = r#"{"type":"subscribe","payload":{"mode":"columns","unit":"cm"}}"#;
const ALL_FIELDS: &str = r#"{"type":"subscribe","payload":{"mode":"batch","fields":"all"}}"#;

/// The forms, and the name of each in the table.
const FORMS: [(&str, View); 6] = [
    ("batch", View::BATCH),
    ("columns, mm", View { request: COLUMNS, compression: Compression::Unasked }),
    ("columns, cm", View { request: COLUMNS_CM, compression: Compression::Unasked }),
    ("batch, all fields", View { request: ALL_FIELDS, compression: Compression::Unasked }),
    ("batch, deflated", View { request: View::BATCH.request, compression: Compression::Offered }),
    ("columns, mm, deflated", View { request: COLUMNS, compression: Compression::Offered }),
];

/// The rounds of one form.
#[derive(Debug)]
struct Rounds {
    name: &'static str,
    view: View,
    stretches: Vec<Stretch>,
    is_offered: bool,
}

impl Rounds {
    fn median(&self, value: impl Fn(&Stretch) -> f64) -> f64 {
        median(&self.stretches.iter().map(value).collect::<Vec<_>>())
    }
}

/// Runs it.
pub(crate) fn run(bench: &mut Bench, options: &Options) -> Outcome {
    let tags = bench.pick(options.tags, 1_000, 100);
    let viewers = bench.pick(options.viewers, 1_000, 50);
    let rounds = bench.pick(options.rounds, 9, 2);
    let secs = bench.pick(options.secs, 4.0, 0.7);
    bench.report.begin("b", &format!("{tags} tags at 10 Hz, {viewers} viewers of everything"));
    let pin = Pin::begin(bench.cores)?;
    let (process, address) = Yardstick::start()?;
    // Servers compress only where they are told to, and some can't.
    let compressing = Setup { more: "[delivery]\ncompression = true", ..Setup::default() };
    let anita = Anita::start(&bench.program, compressing)
        .or_else(|_unknown_key| Anita::start(&bench.program, Setup::default()))?;
    pin.take_others()?;
    let mut yardstick = Yardstick::gather(process, address, viewers)?;
    let token = anita.token("viewer", None)?;
    let has_views = stream::has_views(&anita, &token)?;
    let publisher = stream::publish(&anita, Plan::new(tags))?;
    yardstick.lock_step(20)?;
    let wanted: &[(&str, View)] = match (has_views, options.batch_only) {
        (false, _) => &[("position tracking, 50 Hz", View::TRACKING)],
        (true, true) => &[("batch", View::BATCH)],
        (true, false) => &FORMS,
    };
    let mut forms: Vec<Rounds> = wanted
        .iter()
        .map(|(name, view)| Rounds { name, view: *view, stretches: Vec::new(), is_offered: true })
        .collect();
    let mut yardstick_ns = Vec::new();
    for round in 0..rounds {
        yardstick_ns.push(yardstick.lock_step(if bench.is_quick { 10 } else { 100 })?);
        for (index, form) in forms.iter_mut().enumerate() {
            if !form.is_offered || (index > 0 && round % 3 != 0) {
                continue;
            }
            let mut audience = Audience::open(&anita, &token, viewers, SAMPLED, form.view)?;
            form.is_offered = audience.is_deflated == (form.view.compression == Compression::Offered);
            if form.is_offered {
                audience.warm_up(if bench.is_quick { 0.3 } else { 1.5 })?;
                form.stretches.push(audience.measure(&anita, &publisher, secs, |_| ())?);
            }
        }
        bench.report.step(&format!("round {} of {rounds}", round + 1));
    }
    let lateness = publisher.finish()?;
    show(bench, &forms, &yardstick_ns, viewers);
    report::note(&format!(
        "reports were sent {:.1} ms after their time at p99, {:.1} ms at most; the ages hold that",
        lateness.quantile_ms(0.99),
        lateness.max_ms()
    ));
    Ok(())
}

fn show(bench: &mut Bench, forms: &[Rounds], yardstick_ns: &[f64], viewers: usize) {
    let write_ns = median(yardstick_ns);
    report::note(&format!("the yardstick: {:.2} µs a write", write_ns / 1e3));
    let titles = [
        "form",
        "ns a position",
        "times cheaper",
        "bytes a position",
        "positions a frame",
        "of fixes x viewers %",
        "server cores",
        "age p50 ms",
        "p99 ms",
    ];
    let mut table = Table::new(&titles);
    let mut best = None;
    for form in forms {
        if !form.is_offered {
            table.row(form.name, &["the server does not offer it".to_owned()]);
            continue;
        }
        let ns = form.median(Stretch::ns_per_position);
        best.get_or_insert(ratio(write_ns, ns));
        let values = [
            digits(ns, 1),
            digits(ratio(write_ns, ns), 0),
            digits(form.median(Stretch::bytes_per_position), 1),
            digits(form.median(|it| ratio(it.positions, it.frames as f64)), 0),
            digits(form.median(|it| 100.0 * ratio(it.positions, it.fixes as f64 * viewers as f64)), 0),
            digits(form.median(Stretch::cores), 2),
            digits(form.median(|it| it.age_p50_ms), 1),
            digits(form.median(|it| it.age_p99_ms), 1),
        ];
        table.row(form.name, &values);
        let raw: Vec<_> = form.stretches.iter().map(Stretch::raw).collect();
        bench.report.keep(form.name, json!(raw));
    }
    table.print();
    bench.report.keep("yardstick_ns", json!(yardstick_ns));
    bench.report.verdict(
        "a position in a batch at least 100 times cheaper than a write of the yardstick",
        best.is_some_and(|times| times >= 100.0),
    );
}
