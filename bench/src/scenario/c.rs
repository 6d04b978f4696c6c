//! C. Each viewer its own area; and what viewers cost that see nothing of what moves.

use clap::Args;
use serde_json::json;

use crate::cli::Bench;
use crate::clock::{self, now_us};
use crate::fault::Outcome;
use crate::figures::{median, ratio};
use crate::fleet::{Fleet, Words};
use crate::kernel::Pin;
use crate::publisher::{Plan, Publisher};
use crate::report::{self, Table, digits};
use crate::server::{Anita, Setup};
use crate::tags::{Dice, Floor};
use crate::ws::{Compression, Kind};
use crate::yardstick::Yardstick;

use super::stream::{self, Audience, Stretch};

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Options {
    /// Tags, each at 10 Hz (default 1000)
    #[arg(long)]
    tags: Option<usize>,
    /// Viewers (default 1000)
    #[arg(long)]
    viewers: Option<usize>,
    /// Tags in the area of a viewer (default 50)
    #[arg(long)]
    seen: Option<usize>,
    /// Each viewer moves its area once in so many seconds (default 5)
    #[arg(long)]
    pan_secs: Option<f64>,
    /// Rounds of each part (default 9)
    #[arg(long)]
    rounds: Option<usize>,
    /// How long a round is, seconds (default 4)
    #[arg(long)]
    secs: Option<f64>,
    /// Viewers that see nothing, in the second part (default 10000)
    #[arg(long)]
    blind: Option<usize>,
}

/// How far a viewer pans at most on each axis, in widths of its area.
const PAN: f64 = 0.25;
/// The site, metres.
const SITE_M: f64 = 100.0;

/// Runs it.
pub(crate) fn run(bench: &mut Bench, options: &Options) -> Outcome {
    let tags = bench.pick(options.tags, 1_000, 100);
    let viewers = bench.pick(options.viewers, 1_000, 50);
    let seen = bench.pick(options.seen, 50, 20);
    bench.report.begin("c", &format!("{tags} tags at 10 Hz, {viewers} viewers, an area of {seen} tags each"));
    areas(bench, options, Plan::new(tags), viewers, seen)?;
    let blind = bench.pick(options.blind, 10_000, 500);
    growth(bench, options, Plan::new(tags), blind)
}

/// The south-west corner of a box somewhere on a floor, metres.
fn somewhere(dice: &mut Dice, floor: Floor, side_m: f64) -> (f64, f64) {
    (floor.x_m + dice.below(floor.width_m - side_m), floor.y_m + dice.below(floor.depth_m - side_m))
}

/// A box, as JSON.
fn box_at((min_x, min_y): (f64, f64), side_m: f64) -> String {
    let (max_x, max_y) = (min_x + side_m, min_y + side_m);
    format!(
        r#"{{"area":{{"box":{{"min_x":{min_x:.3},"min_y":{min_y:.3},"max_x":{max_x:.3},"max_y":{max_y:.3}}}}}}}"#
    )
}

fn subscribe(view: &str) -> String {
    format!(r#"{{"type":"subscribe","payload":{{"mode":"batch","view":{view}}}}}"#)
}

/// Viewers that pan, each in its turn.
struct Panning {
    dice: Dice,
    side_m: f64,
    corners: Vec<(f64, f64)>,
    next: usize,
    due_us: i64,
    every_us: i64,
}

impl Panning {
    fn go_on(&mut self, fleet: &mut Fleet) {
        while self.due_us <= now_us() {
            let end_m = SITE_M - self.side_m;
            let reach_m = self.side_m * PAN;
            let mut shift =
                |from_m: f64| (from_m + self.dice.below(2.0 * reach_m) - reach_m).clamp(0.0, end_m);
            let corner = self.corners.get_mut(self.next);
            let moved = corner.map(|(x, y)| {
                (*x, *y) = (shift(*x), shift(*y));
                (*x, *y)
            });
            let view = box_at(moved.unwrap_or_default(), self.side_m);
            let payload = format!(r#"{{"subscription":"s1","view":{view}}}"#);
            fleet.say(self.next, &format!(r#"{{"type":"update_subscription","payload":{payload}}}"#));
            self.next = (self.next + 1) % self.corners.len().max(1);
            self.due_us += self.every_us;
        }
    }
}

fn areas(bench: &mut Bench, options: &Options, plan: Plan, viewers: usize, seen: usize) -> Outcome {
    let rounds = bench.pick(options.rounds, 9, 2);
    let secs = bench.pick(options.secs, 4.0, 0.7);
    let pan_secs = bench.pick(options.pan_secs, 5.0, 5.0);
    let pin = Pin::begin(bench.cores)?;
    let (process, address) = Yardstick::start()?;
    let anita = Anita::start(&bench.program, Setup::default())?;
    pin.take_others()?;
    let mut yardstick = Yardstick::gather(process, address, viewers)?;
    let token = anita.token("viewer", None)?;
    stream::require_views(&anita, &token)?;
    let publisher = stream::publish(&anita, plan)?;
    let side_m = (SITE_M * SITE_M * ratio(seen as f64, plan.tags as f64)).sqrt();
    let mut dice = Dice::new(3);
    let floor = Floor::new(0.0, 0.0, SITE_M, SITE_M);
    let corners: Vec<_> = (0..viewers).map(|_| somewhere(&mut dice, floor, side_m)).collect();
    let words: Vec<String> = corners.iter().map(|corner| subscribe(&box_at(*corner, side_m))).collect();
    // All read everything: their frames are small, and differ.
    let mut audience =
        Audience::open_each(&anita, &token, viewers, viewers, Compression::Unasked, Words::Each(&words))?;
    let every_us = clock::secs(pan_secs / viewers as f64).max(1);
    let mut panning = Panning { dice, side_m, corners, next: 0, due_us: now_us(), every_us };
    audience.warm_up(if bench.is_quick { 0.3 } else { 1.5 })?;
    yardstick.lock_step(20)?;
    let (mut yardstick_ns, mut still, mut panned) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        yardstick_ns.push(yardstick.lock_step(if bench.is_quick { 10 } else { 100 })?);
        // What waited meanwhile is read first.
        audience.warm_up(0.3)?;
        still.push(audience.measure(&anita, &publisher, secs, |_| ())?);
        panning.due_us = now_us();
        panned.push(audience.measure(&anita, &publisher, secs, |fleet| panning.go_on(fleet))?);
        bench.report.step(&format!("round {} of {rounds}", round + 1));
    }
    publisher.finish()?;
    show_areas(bench, &yardstick_ns, &still, &panned, viewers);
    let entered = audience.fleet.total.frames(Kind::Entered);
    report::note(&format!("messages of devices that entered an area: {entered}"));
    Ok(())
}

fn show_areas(
    bench: &mut Bench,
    yardstick_ns: &[f64],
    still: &[Stretch],
    panned: &[Stretch],
    viewers: usize,
) {
    let write_ns = median(yardstick_ns);
    report::note(&format!("the yardstick: {:.2} µs a write", write_ns / 1e3));
    let titles = [
        "areas",
        "ns a position",
        "times cheaper",
        "positions a frame",
        "of a viewer a second",
        "server cores",
        "age p50 ms",
        "p99 ms",
    ];
    let mut table = Table::new(&titles);
    let mut times_cheaper = 0.0;
    for (name, stretches) in [("at rest", still), ("each pans now and then", panned)] {
        let of = |value: &dyn Fn(&Stretch) -> f64| median(&stretches.iter().map(value).collect::<Vec<_>>());
        let position_ns = of(&Stretch::ns_per_position);
        times_cheaper = ratio(write_ns, position_ns);
        let values = [
            digits(position_ns, 0),
            digits(times_cheaper, 1),
            digits(of(&|it| ratio(it.positions, it.frames as f64)), 1),
            digits(of(&|it| it.positions / it.secs / viewers as f64), 0),
            digits(of(&Stretch::cores), 2),
            digits(of(&|it| it.age_p50_ms), 1),
            digits(of(&|it| it.age_p99_ms), 1),
        ];
        table.row(name, &values);
        bench.report.keep(name, json!(stretches.iter().map(Stretch::raw).collect::<Vec<_>>()));
    }
    table.print();
    bench.report.keep("yardstick_ns", json!(yardstick_ns));
    bench.report.verdict("a position at least 20 times cheaper, with panning", times_cheaper >= 20.0);
}

/// A server with viewers who look where nothing moves.
struct Blind {
    anita: Anita,
    audience: Audience,
    publisher_token: String,
}

impl Blind {
    fn gather(bench: &Bench, count: usize) -> Outcome<Self> {
        let anita = Anita::start(&bench.program, Setup::default())?;
        let token = anita.token("viewer", None)?;
        let mut dice = Dice::new(5);
        let elsewhere = Floor::new(1_000.0, 0.0, SITE_M, SITE_M);
        let words: Vec<String> =
            (0..count).map(|_| subscribe(&box_at(somewhere(&mut dice, elsewhere, 20.0), 20.0))).collect();
        let audience =
            Audience::open_each(&anita, &token, count, 1, Compression::Unasked, Words::Each(&words))?;
        let publisher_token = anita.token("publisher", None)?;
        Ok(Self { anita, audience, publisher_token })
    }

    /// CPU of a fix, microseconds, and the same without what the server uses when nothing is published.
    fn round(&mut self, plan: Plan, secs: f64) -> Outcome<(f64, f64)> {
        let (idle, from_us) = (self.anita.process.cpu(), now_us());
        self.audience.warm_up(secs / 4.0)?;
        let idle_ns_a_sec = self.anita.process.cpu_ns_since(&idle) / ((now_us() - from_us) as f64 / 1e6);
        let publisher = Publisher::start(self.anita.address, &self.publisher_token, plan)?;
        self.audience.warm_up(0.3)?;
        let stretch = self.audience.measure(&self.anita, &publisher, secs, |_| ())?;
        publisher.finish()?;
        let net_us = ratio((stretch.cpu_ns - idle_ns_a_sec * stretch.secs) / 1e3, stretch.fixes as f64);
        Ok((stretch.us_per_fix(), net_us))
    }
}

fn growth(bench: &mut Bench, options: &Options, plan: Plan, blind: usize) -> Outcome {
    let rounds = bench.pick(options.rounds, 9, 2);
    let secs = bench.pick(options.secs, 4.0, 0.7);
    let few = 100.min(blind);
    let pin = Pin::begin(bench.cores)?;
    let mut servers = [Blind::gather(bench, few)?, Blind::gather(bench, blind)?];
    pin.take_others()?;
    let mut found: [Vec<(f64, f64)>; 2] = [Vec::new(), Vec::new()];
    for server in &mut servers {
        server.round(plan, 0.3)?;
    }
    for round in 0..rounds {
        for (server, found) in servers.iter_mut().zip(&mut found) {
            found.push(server.round(plan, secs)?);
        }
        bench.report.step(&format!("growth, round {} of {rounds}", round + 1));
    }
    let of = |rounds: &[(f64, f64)], value: &dyn Fn(&(f64, f64)) -> f64| {
        median(&rounds.iter().map(value).collect::<Vec<_>>())
    };
    let mut table = Table::new(&["viewers that see nothing", "µs a fix", "less the idle server's"]);
    let [with_few, with_many] = &found;
    for (count, rounds) in [(few, with_few), (blind, with_many)] {
        table
            .row(&count.to_string(), &[digits(of(rounds, &|it| it.0), 2), digits(of(rounds, &|it| it.1), 2)]);
    }
    table.print();
    let growth = ratio(of(with_many, &|it| it.0), of(with_few, &|it| it.0));
    report::note(&format!("CPU of a fix grows {growth:.2} times"));
    bench.report.keep("growth_us_a_fix", json!({ "few": with_few, "many": with_many }));
    bench.report.verdict("less than 1.2 times", growth < 1.2);
    Ok(())
}
