//! D. Viewers of everything, of whom some read slowly and some stop for a while.

use std::ops::Range;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::Bench;
use crate::clock::{self, now_us};
use crate::fault::{Fault, Outcome};
use crate::figures::{median, most, quantile, ratio};
use crate::fleet::{Fleet, Wish, Words};
use crate::histogram::Histogram;
use crate::kernel::{Pin, bytes_in_kernel};
use crate::positions;
use crate::publisher::Plan;
use crate::reader::Listen;
use crate::report::{self, Table, digits};
use crate::server::{Anita, Setup};
use crate::ws::Kind;

use super::stream::{self, Audience, View};

/// How often slow viewers read, microseconds.
const SIP_US: i64 = 50_000;
/// A frame is old when its newest position was due so long before its reader went on, microseconds.
const OLD_US: i64 = 200_000;
/// How many of those who read well read everything.
const SAMPLED: usize = 40;

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Options {
    /// Tags, each at 10 Hz (default 1000)
    #[arg(long)]
    tags: Option<usize>,
    /// Viewers in all (default 1000)
    #[arg(long)]
    viewers: Option<usize>,
    /// Of them, how many read slowly, percent (default 10)
    #[arg(long)]
    slow: Option<usize>,
    /// Of them, how many stop, percent (default 5)
    #[arg(long)]
    stopping: Option<usize>,
    /// What slow viewers read in a second, bytes (default 20000)
    #[arg(long)]
    bytes_per_sec: Option<usize>,
    /// For how long the others stop, seconds (default 10)
    #[arg(long)]
    stop_secs: Option<f64>,
    /// `SO_RCVBUF` of those who read slowly or stop, bytes (default 16384)
    #[arg(long)]
    receive_buffer: Option<usize>,
    /// Phases of each kind (default 5)
    #[arg(long)]
    rounds: Option<usize>,
}

/// One of those who stop.
#[derive(Debug, Clone, Default)]
struct Stopper {
    resumed_us: Option<i64>,
    /// Bytes that the kernel held when it went on.
    kernel_bytes: u64,
    bytes: u64,
    first_bytes: u64,
    old_frames: u64,
    old_bytes: u64,
    /// Old frames that began after all that the kernel had held.
    old_beyond_kernel: u64,
    /// The age of the newest position in the first frame that was not old, and when it was there, microseconds.
    current: Option<(i64, i64)>,
    old_after_current: u64,
}

impl Stopper {
    fn hear(&mut self, body: &[u8], newest_us: i64) {
        let Some(resumed_us) = self.resumed_us else { return };
        let (now_us, frame_bytes) = (now_us(), body.len() as u64 + 4);
        let begins_at = self.bytes.saturating_sub(self.first_bytes);
        if self.bytes == 0 {
            self.first_bytes = frame_bytes;
        }
        self.bytes += frame_bytes;
        if newest_us <= now_us - resumed_us + OLD_US {
            self.current.get_or_insert((newest_us, now_us - resumed_us));
        } else if self.current.is_some() {
            self.old_after_current += 1;
        } else {
            self.old_frames += 1;
            self.old_bytes += frame_bytes;
            self.old_beyond_kernel += u64::from(begins_at > self.kernel_bytes);
        }
    }
}

/// What a phase was like.
#[derive(Debug, Clone, Default)]
struct Phase {
    p50_ms: f64,
    p99_ms: f64,
    rss_max_kib: u64,
    cpu_cores: f64,
    stoppers: Vec<Stopper>,
    /// Ages of the newest position of each frame that a slow viewer had read.
    slow_ages: Histogram,
    slow_frame_bytes_max: u64,
    slow_kernel_bytes_max: u64,
    paces: u64,
}

/// What stays the same over all phases.
struct Stage {
    anita: Anita,
    token: String,
    audience: Audience,
    request: String,
    slow: usize,
    stopping: usize,
    bytes_per_sec: usize,
    stop_secs: f64,
    receive_buffer: usize,
}

/// Runs it.
pub(crate) fn run(bench: &mut Bench, options: &Options) -> Outcome {
    let tags = bench.pick(options.tags, 1_000, 200);
    let viewers = bench.pick(options.viewers, 1_000, 60);
    let rounds = bench.pick(options.rounds, 5, 1);
    let slow = viewers * options.slow.unwrap_or(10) / 100;
    let stopping = viewers * options.stopping.unwrap_or(5) / 100;
    bench.report.begin("d", &format!("{viewers} viewers, {slow} slow, {stopping} stopping"));
    let pin = Pin::begin(bench.cores)?;
    let anita = Anita::start(&bench.program, Setup::default())?;
    pin.take_others()?;
    let token = anita.token("viewer", None)?;
    let view = if stream::has_views(&anita, &token)? { View::BATCH } else { View::TRACKING };
    let publisher = stream::publish(&anita, Plan::new(tags))?;
    let audience = Audience::open(&anita, &token, viewers - slow - stopping, SAMPLED, view)?;
    let mut stage = Stage {
        anita,
        token,
        audience,
        // A snapshot alone would keep a slow viewer busy for a while.
        request: view.request.replace("\"mode\"", "\"snapshot\":false,\"mode\""),
        slow,
        stopping,
        bytes_per_sec: options.bytes_per_sec.unwrap_or(20_000),
        stop_secs: bench.pick(options.stop_secs, 10.0, 2.0),
        receive_buffer: options.receive_buffer.unwrap_or(16_384),
    };
    let rss_first_kib = stage.anita.process.memory().rss_kib;
    let (mut calm, mut rough) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        calm.push(stage.calm()?);
        bench.report.step(&format!("round {} of {rounds}: all read well", round + 1));
        rough.push(stage.rough()?);
        bench.report.step(&format!("round {} of {rounds}: some did not", round + 1));
    }
    if publisher.has_ended() {
        return Err(Fault::new("the publisher gave up: the server refused a report or took none for 8 s"));
    }
    publisher.finish()?;
    show_others(bench, &calm, &rough, rss_first_kib);
    show_slow(bench, &stage, &rough);
    show_stoppers(bench, &rough);
    Ok(())
}

impl Stage {
    /// Everybody reads.
    fn calm(&mut self) -> Outcome<Phase> {
        let mut wish = Wish::new(self.anita.address, "/ws", &self.token);
        wish.first_words = Words::Same(&self.request);
        let guests = self.audience.fleet.open(self.slow + self.stopping, &wish, &mut |_, _, _| ())?;
        let phase = self.go(guests.end..guests.end, guests.end..guests.end)?;
        self.audience.fleet.drop_clients(guests);
        Ok(phase)
    }

    /// Some read slowly, some stop.
    fn rough(&mut self) -> Outcome<Phase> {
        let mut wish = Wish::new(self.anita.address, "/ws", &self.token);
        wish.first_words = Words::Same(&self.request);
        wish.receive_buffer = Some(self.receive_buffer);
        wish.listen = Listen::All;
        let slow = self.audience.fleet.open(self.slow, &wish, &mut |_, _, _| ())?;
        for index in slow.clone() {
            self.audience.fleet.mute(index);
        }
        let stopping = self.audience.fleet.open(self.stopping, &wish, &mut |_, _, _| ())?;
        let phase = self.go(slow.clone(), stopping.clone())?;
        self.audience.fleet.drop_clients(slow);
        self.audience.fleet.drop_clients(stopping);
        Ok(phase)
    }

    /// Settles, measures while some have stopped, and a little longer.
    fn go(&mut self, slow: Range<usize>, stopping: Range<usize>) -> Outcome<Phase> {
        let mut phase = Phase { stoppers: vec![Stopper::default(); stopping.len()], ..Phase::default() };
        self.hear((self.stop_secs * 0.2).min(1.5), &slow, &stopping, &mut phase)?;
        self.audience.sample.ages = Histogram::default();
        phase.slow_ages = Histogram::default();
        let (cpu, from_us) = (self.anita.process.cpu(), now_us());
        for index in stopping.clone() {
            self.audience.fleet.mute(index);
        }
        self.hear(self.stop_secs, &slow, &stopping, &mut phase)?;
        let held = bytes_in_kernel(self.anita.address.port());
        let held_for = |fleet: &Fleet, index: usize| {
            fleet.port(index).and_then(|port| held.get(&port).copied()).unwrap_or(0)
        };
        for (index, stopper) in stopping.clone().zip(&mut phase.stoppers) {
            stopper.kernel_bytes = held_for(&self.audience.fleet, index);
            stopper.resumed_us = Some(now_us());
            self.audience.fleet.unmute(index);
        }
        for index in slow.clone() {
            let held = held_for(&self.audience.fleet, index);
            phase.slow_kernel_bytes_max = phase.slow_kernel_bytes_max.max(held);
        }
        self.hear((self.stop_secs * 0.4).max(1.0), &slow, &stopping, &mut phase)?;
        let cpu_ns = self.anita.process.cpu_ns_since(&cpu);
        phase.cpu_cores = cpu_ns / 1e3 / (now_us() - from_us) as f64;
        phase.p50_ms = self.audience.sample.ages.quantile_ms(0.5);
        phase.p99_ms = self.audience.sample.ages.quantile_ms(0.99);
        self.audience.check()?;
        Ok(phase)
    }

    /// Hears for a while: the slow ones a sip at a time.
    fn hear(
        &mut self,
        secs: f64,
        slow: &Range<usize>,
        stopping: &Range<usize>,
        phase: &mut Phase,
    ) -> Outcome {
        let sip_bytes = (self.bytes_per_sec as i64 * SIP_US / 1_000_000).max(1) as usize;
        let until_us = now_us() + clock::secs(secs);
        let (mut sip_due_us, mut look_due_us) = (now_us(), now_us());
        while now_us() < until_us {
            let readers = self.audience.readers.clone();
            let sample = &mut self.audience.sample;
            let fleet = &mut self.audience.fleet;
            let heard = &mut |index: usize, kind: Kind, body: &[u8]| {
                phase.paces += u64::from(kind == Kind::Pace);
                if readers.contains(&index) || kind == Kind::Refused {
                    sample.hear(kind, body);
                } else if kind.has_positions() {
                    let read = positions::read(kind, body, now_us(), &mut Histogram::default());
                    if stopping.contains(&index) {
                        if let Some(stopper) = phase.stoppers.get_mut(index - stopping.start) {
                            stopper.hear(body, read.newest_us);
                        }
                    } else if slow.contains(&index) && read.positions > 0 {
                        phase.slow_ages.record(read.newest_us);
                        phase.slow_frame_bytes_max = phase.slow_frame_bytes_max.max(body.len() as u64);
                    }
                }
            };
            fleet.turn(5, heard)?;
            if sip_due_us <= now_us() {
                sip_due_us += SIP_US;
                for index in slow.clone() {
                    fleet.read(index, sip_bytes, heard);
                }
            }
            if look_due_us <= now_us() {
                look_due_us += 500_000;
                phase.rss_max_kib = phase.rss_max_kib.max(self.anita.process.memory().rss_kib);
            }
        }
        Ok(())
    }
}

fn of(phases: &[Phase], value: impl Fn(&Phase) -> f64) -> Vec<f64> {
    phases.iter().map(value).collect()
}

fn show_others(bench: &mut Bench, calm: &[Phase], rough: &[Phase], rss_first_kib: u64) {
    let mut table = Table::new(&["phases", "age p50 ms", "p99 ms", "RSS max MiB", "server cores"]);
    for (name, phases) in [("all read well", calm), ("some don't", rough)] {
        let rss_mib = most(&of(phases, |it| it.rss_max_kib as f64)) / 1024.0;
        let values = [
            digits(median(&of(phases, |it| it.p50_ms)), 1),
            digits(median(&of(phases, |it| it.p99_ms)), 1),
            digits(rss_mib, 1),
            digits(median(&of(phases, |it| it.cpu_cores)), 2),
        ];
        table.row(name, &values);
    }
    table.print();
    let mib = |phases: &[Phase]| of(phases, |it| it.rss_max_kib as f64 / 1024.0);
    let list = |values: &[f64]| values.iter().map(|it| digits(*it, 1)).collect::<Vec<_>>().join(" ");
    report::note(&format!(
        "RSS MiB: {:.1} at first; phase by phase {} / {}",
        rss_first_kib as f64 / 1024.0,
        list(&mib(calm)),
        list(&mib(rough))
    ));
    let growth = ratio(median(&of(rough, |it| it.p99_ms)), median(&of(calm, |it| it.p99_ms)));
    let raw = |phases: &[Phase]| -> Vec<Value> {
        phases.iter().map(|it| json!({"p50_ms": it.p50_ms, "p99_ms": it.p99_ms, "rss_max_kib": it.rss_max_kib, "cores": it.cpu_cores})).collect()
    };
    bench.report.keep("calm", json!(raw(calm)));
    bench.report.keep("rough", json!(raw(rough)));
    report::note(&format!("p99 of the others with slow ones, against without: {growth:.3}"));
    bench.report.verdict("p99 of the others within 10 %", growth <= 1.1);
}

fn show_slow(bench: &mut Bench, stage: &Stage, rough: &[Phase]) {
    let mut ages = Histogram::default();
    for phase in rough {
        ages.merge(&phase.slow_ages);
    }
    let frame_bytes = most(&of(rough, |it| it.slow_frame_bytes_max as f64));
    let kernel_bytes = most(&of(rough, |it| it.slow_kernel_bytes_max as f64));
    // A frame is made when the kernel takes bytes again: what it holds by then comes first.
    let allowed_ms = (kernel_bytes + frame_bytes) / stage.bytes_per_sec as f64 * 1e3;
    let mut table = Table::new(&["slow viewers", "value"]);
    let mut row = |name: &str, value: String| table.row(name, &[value]);
    row("frames read", ages.total().to_string());
    row("largest frame, KiB", digits(frame_bytes / 1024.0, 1));
    row("held by the kernel at most, KiB", digits(kernel_bytes / 1024.0, 1));
    row("newest position of a frame, when it was read, p50 ms", digits(ages.quantile_ms(0.5), 0));
    row("p99 ms", digits(ages.quantile_ms(0.99), 0));
    row("what the link allows, ms", digits(allowed_ms, 0));
    row("told of their pace", rough.iter().map(|it| it.paces).sum::<u64>().to_string());
    table.print();
    bench.report.keep(
        "slow",
        json!({"p50_ms": ages.quantile_ms(0.5), "p99_ms": ages.quantile_ms(0.99), "allowed_ms": allowed_ms}),
    );
    let is_fresh = ages.total() > 0 && ages.quantile_ms(0.99) <= allowed_ms + 200.0;
    bench.report.verdict("slow viewers at most a tick behind what their link allows", is_fresh);
}

fn show_stoppers(bench: &mut Bench, rough: &[Phase]) {
    let all: Vec<&Stopper> = rough.iter().flat_map(|phase| &phase.stoppers).collect();
    let of = |value: &dyn Fn(&Stopper) -> f64| all.iter().map(|it| value(it)).collect::<Vec<f64>>();
    let currents: Vec<(i64, i64)> = all.iter().filter_map(|it| it.current).collect();
    let ages: Vec<f64> = currents.iter().map(|(age_us, _)| *age_us as f64 / 1e3).collect();
    let waits: Vec<f64> = currents.iter().map(|(_, wait_us)| *wait_us as f64 / 1e3).collect();
    let mut table = Table::new(&["stopped viewers, when they go on", "median", "at most"]);
    let mut row = |name: &str, values: &[f64], digits_shown: usize| {
        table.row(name, &[digits(median(values), digits_shown), digits(most(values), digits_shown)]);
    };
    row("held by the kernel, KiB", &of(&|it| it.kernel_bytes as f64 / 1024.0), 1);
    row("old frames", &of(&|it| it.old_frames as f64), 0);
    row("old bytes, KiB", &of(&|it| it.old_bytes as f64 / 1024.0), 1);
    row("old frames that began after what the kernel held", &of(&|it| it.old_beyond_kernel as f64), 0);
    row("age of the newest in the first current frame, ms", &ages, 1);
    row("until it was there, ms", &waits, 1);
    row("old frames after it", &of(&|it| it.old_after_current as f64), 0);
    table.print();
    bench.report.keep(
        "stopped",
        json!({
            "kernel_bytes": of(&|it| it.kernel_bytes as f64), "old_bytes": of(&|it| it.old_bytes as f64),
            "old_frames": of(&|it| it.old_frames as f64), "current_age_ms": ages, "current_after_ms": waits,
        }),
    );
    let is_current = currents.len() == all.len()
        && most(&of(&|it| it.old_beyond_kernel as f64)) == 0.0
        && most(&of(&|it| it.old_after_current as f64)) == 0.0;
    report::note(&format!(
        "{} of {} became current, p90 after {:.1} ms",
        currents.len(),
        all.len(),
        quantile(&waits, 0.9)
    ));
    bench.report.verdict("current within one frame after what the kernel held", is_current);
}
