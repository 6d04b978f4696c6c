//! A. One fix, all subscribers, in lock step.

use clap::Args;
use serde_json::json;

use crate::cli::Bench;
use crate::clock::{self, now_us};
use crate::fault::{Fault, Outcome};
use crate::figures::{least, median, quantile, ratio};
use crate::fleet::{Fleet, Wish, Words};
use crate::kernel::{Cores, Pin};
use crate::report::{self, Table, digits};
use crate::server::{Anita, Setup};
use crate::tags::{Floor, Tags};
use crate::ws::{self, Kind};
use crate::yardstick::Yardstick;

use super::viewers;

/// The view: a pattern and a polygon that hold the tag.
const SUBSCRIBE: &str = r#"{"type":"subscribe","payload":{"mode":"single","snapshot":false,"view":{"devices":["tag-*"],"area":{"polygon":[[-10,-10],[120,-10],[130,60],[120,120],[-10,110]]}}}}"#;

/// How the server is asked for positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// `subscribe` with a filter
    Single,
    /// The room `uwb`
    Room,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Options {
    /// Subscribers (default 1000)
    #[arg(long)]
    subscribers: Option<usize>,
    /// Rounds of each server (default 15)
    #[arg(long)]
    rounds: Option<usize>,
    /// Fixes in a round (default 100)
    #[arg(long)]
    fixes: Option<usize>,
    /// How positions are asked for; `subscribe` where the server knows it
    #[arg(long, value_enum)]
    form: Option<Form>,
}

/// The server with its subscribers.
struct Board {
    anita: Anita,
    fleet: Fleet,
    publisher: usize,
    subscribers: u64,
    tags: Tags,
    text: Vec<u8>,
    frame: Vec<u8>,
    /// Whether the last fix did not reach all as a message of its own.
    is_missed: bool,
}

/// After this long without a fix it does not come any more, microseconds.
const MISSED_AFTER_US: i64 = 10_000_000;

/// Runs it.
pub(crate) fn run(bench: &mut Bench, options: &Options) -> Outcome {
    let subscribers = bench.pick(options.subscribers, 1_000, 50);
    let rounds = bench.pick(options.rounds, 15, 3);
    let fixes = bench.pick(options.fixes, 100, 20);
    bench.report.begin("a", &format!("one fix, {subscribers} subscribers, lock step"));
    let pin = Pin::begin(Cores::Apart)?;
    let (process, address) = Yardstick::start()?;
    let anita = Anita::start(&bench.program, Setup::default())?;
    pin.take_others()?;
    let mut yardstick = Yardstick::gather(process, address, subscribers)?;
    let (mut board, form) = Board::gather(anita, subscribers, options.form)?;
    bench.report.step(&format!("asked for by {form:?}"));
    // The first round of each warms up.
    yardstick.lock_step(fixes)?;
    board.lock_step(fixes)?;
    let ticks = (yardstick.user_and_kernel_ticks(), board.anita.process.user_and_kernel_ticks());
    let (mut yardstick_ns, mut anita_ns) = (Vec::new(), Vec::new());
    let (mut yardstick_wall, mut anita_wall) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let began_us = now_us();
        yardstick_ns.push(yardstick.lock_step(fixes)?);
        let turned_us = now_us();
        anita_ns.push(board.lock_step(fixes)?);
        let wall_ms = |from_us: i64, to_us: i64| (to_us - from_us) as f64 / 1e3 / fixes as f64;
        yardstick_wall.push(wall_ms(began_us, turned_us));
        anita_wall.push(wall_ms(turned_us, now_us()));
        bench.report.step(&format!("round {} of {rounds}", round + 1));
    }
    let kernel = |before: (u64, u64), after: (u64, u64)| {
        let (user, kernel) = ((after.0 - before.0) as f64, (after.1 - before.1) as f64);
        digits(100.0 * ratio(kernel, user + kernel), 0)
    };
    let mut table = Table::new(&[
        "CPU of a delivery",
        "median µs",
        "p10 µs",
        "p90 µs",
        "in the kernel %",
        "ms until all have it",
    ]);
    let mut row = |name: &str, ns: &[f64], share: String, wall_ms: &[f64]| {
        let us = |share: f64| digits(quantile(ns, share) / 1e3, 2);
        table.row(name, &[us(0.5), us(0.1), us(0.9), share, digits(median(wall_ms), 2)]);
    };
    row("yardstick", &yardstick_ns, kernel(ticks.0, yardstick.user_and_kernel_ticks()), &yardstick_wall);
    row("anita", &anita_ns, kernel(ticks.1, board.anita.process.user_and_kernel_ticks()), &anita_wall);
    table.print();
    let of_medians = ratio(median(&anita_ns), median(&yardstick_ns));
    let of_least = ratio(least(&anita_ns), least(&yardstick_ns));
    report::note(&format!("ratio of the medians {of_medians:.3}, of the best rounds {of_least:.3}"));
    bench.report.keep("form", json!(format!("{form:?}")));
    bench.report.keep("yardstick_ns", json!(yardstick_ns));
    bench.report.keep("anita_ns", json!(anita_ns));
    bench.report.keep("anita_ms_until_all_have_it", json!(anita_wall));
    bench.report.keep("ratio", json!(of_medians));
    bench.report.verdict("at most 1.10 of the yardstick's CPU", of_medians <= 1.10);
    Ok(())
}

impl Board {
    fn gather(anita: Anita, subscribers: usize, form: Option<Form>) -> Outcome<(Self, Form)> {
        let viewer = anita.token("viewer", Some("tag-*"))?;
        let form = match form {
            Some(form) => form,
            None if viewers::knows(&anita, &viewer, SUBSCRIBE)? => Form::Single,
            None => Form::Room,
        };
        let mut fleet = Fleet::new()?;
        let (mut wish, answer) = match form {
            Form::Single => (Wish::new(anita.address, "/ws", &viewer), Kind::Subscribed),
            Form::Room => (Wish::new(anita.address, "/ws/uwb", &viewer), Kind::Hello),
        };
        if form == Form::Single {
            wish.first_words = Words::Same(SUBSCRIBE);
        }
        fleet.open(subscribers, &wish, &mut |_, _, _| ())?;
        viewers::wait_for(&mut fleet, answer, subscribers as u64, &mut viewers::Sample::default())?;
        let publisher = anita.token("publisher", None)?;
        let wish = Wish::new(anita.address, "/ws", &publisher);
        let publisher = fleet.open(1, &wish, &mut |_, _, _| ())?.start;
        let tags = Tags::new(0..1, Floor::new(0.0, 0.0, 100.0, 100.0), 1);
        let (subscribers, text, frame) = (subscribers as u64, Vec::new(), Vec::new());
        let mut board = Self { anita, fleet, publisher, subscribers, tags, text, frame, is_missed: false };
        board.enter()?;
        Ok((board, form))
    }

    /// The first fix of a tag makes it enter each view, which is another message: it is waited for here.
    fn enter(&mut self) -> Outcome {
        for _ in 0..3 {
            self.report();
            self.fleet.hear_until(now_us() + 300_000, &mut |_, _, _| (), |_| false)?;
        }
        Ok(())
    }

    /// So many fixes in lock step; returns the CPU time of one delivery, nanoseconds.
    fn lock_step(&mut self, fixes: usize) -> Outcome<f64> {
        let before = self.anita.process.cpu();
        let mut due = self.fleet.total.position_frames;
        for _ in 0..fixes {
            due += self.subscribers;
            self.report();
            let until_us = now_us() + MISSED_AFTER_US;
            if self.fleet.spin_until(until_us, |fleet| fleet.total.position_frames >= due)? {
                self.is_missed = false;
                continue;
            }
            let missing = due - self.fleet.total.position_frames;
            let (lost, why) = (self.fleet.failed(), self.fleet.why());
            if self.is_missed || lost > 0 {
                return Err(Fault::new(format!("{missing} subscribers miss a fix; {lost} were lost: {why}")));
            }
            // Whoever was held up when the first fixes came got one of them with the next. By now all is still.
            report::note(&format!("{missing} subscribers heard a fix with the one before it"));
            (self.is_missed, due) = (true, self.fleet.total.position_frames);
        }
        Ok(self.anita.process.cpu_ns_since(&before) / (fixes as f64 * self.subscribers as f64))
    }

    fn report(&mut self) {
        let now_us = now_us();
        self.text.clear();
        self.text.extend_from_slice(br#"{"type":"report_location","payload":{"locations":["#);
        self.tags.push_item(0, now_us, &clock::text(now_us), &mut self.text);
        self.text.extend_from_slice(b"]}}");
        self.frame.clear();
        ws::push_text(&mut self.frame, &self.text);
        self.fleet.send(self.publisher, &self.frame);
    }
}
