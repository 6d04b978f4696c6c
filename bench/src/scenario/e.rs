//! E. Ingest, over WebSocket and over MQTT.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::Bench;
use crate::clock::now_us;
use crate::fault::{Fault, Outcome};
use crate::figures::{median, most, ratio};
use crate::kernel::Pin;
use crate::mqtt::{self, Broker, Counter, Flow};
use crate::publisher::{Plan, Publisher};
use crate::report::{self, Table, digits};
use crate::server::{Anita, Setup, counter};
use crate::ws::{Compression, Kind};

use super::stream::{self, Audience, Stretch, View};

/// How many viewers read everything, and are asked how old it was by the server's word.
const SAMPLED: usize = 10;

const TWICE_A_SECOND: View = View {
    request: r#"{"type":"subscribe","payload":{"mode":"batch","max_rate_hz":2}}"#,
    compression: Compression::Unasked,
};
const TRACKING: View = View {
    request: r#"{"type":"start_position_tracking","payload":{"device_ids":[],"update_frequency":0.5}}"#,
    compression: Compression::Unasked,
};
/// A hundred tags or fewer, without a limit of the rate: how old fixes are that nothing holds back.
const PROBE: &str =
    r#"{"type":"subscribe","payload":{"mode":"batch","snapshot":false,"view":{"devices":["tag-000??"]}}}"#;
const ASK: &str = r#"{"type":"get_connection_stats","payload":{}}"#;

/// The rates at which the broker is tried, fixes a second.
const LADDER: [f64; 10] =
    [5_000.0, 10_000.0, 20_000.0, 30_000.0, 40_000.0, 50_000.0, 60_000.0, 70_000.0, 85_000.0, 100_000.0];

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Options {
    /// Tags, each at 10 Hz (default 10000)
    #[arg(long)]
    tags: Option<usize>,
    /// Viewers of everything at 2 Hz a device (default 100)
    #[arg(long)]
    viewers: Option<usize>,
    /// Rounds of each kind of ingest (default 7)
    #[arg(long)]
    rounds: Option<usize>,
    /// How long a round is, seconds (default 5)
    #[arg(long)]
    secs: Option<f64>,
    /// No MQTT
    #[arg(long)]
    no_mqtt: bool,
    /// Fixes a second over MQTT, instead of 0.8 of what the broker sustains
    #[arg(long)]
    mqtt_hz: Option<f64>,
}

/// What a round was like.
#[derive(Debug, Clone)]
pub(super) struct Round {
    pub(super) stretch: Stretch,
    /// Fixes that the server took, by its own count.
    pub(super) taken: f64,
    pub(super) probe_p50_ms: f64,
    pub(super) probe_p99_ms: f64,
    /// By the server's word, of each viewer that was asked: the p99 of the added age, milliseconds.
    pub(super) added_p99_ms: Vec<f64>,
}

impl Round {
    pub(super) fn raw(&self) -> Value {
        json!({"stretch": self.stretch.raw(), "taken": self.taken, "probe_p99_ms": self.probe_p99_ms, "added_p99_ms": self.added_p99_ms})
    }
}

/// Runs it.
pub(crate) fn run(bench: &mut Bench, options: &Options) -> Outcome {
    let tags = bench.pick(options.tags, 10_000, 500);
    let viewers = bench.pick(options.viewers, 100, 20);
    bench.report.begin("e", &format!("{tags} tags at 10 Hz in, {viewers} viewers of everything at 2 Hz out"));
    over_websocket(bench, options, tags, viewers)?;
    if options.no_mqtt {
        return Ok(());
    }
    over_mqtt(bench, options, tags, viewers)
}

pub(super) fn gather(anita: &Anita, viewers: usize) -> Outcome<Audience> {
    let token = anita.token("viewer", None)?;
    let has_views = stream::has_views(anita, &token)?;
    let view = if has_views { TWICE_A_SECOND } else { TRACKING };
    let mut audience = Audience::open(anita, &token, viewers, SAMPLED, view)?;
    if has_views {
        audience.add_probe(anita, &token, PROBE)?;
    }
    Ok(audience)
}

/// Rounds of so many seconds.
pub(super) fn rounds(
    bench: &Bench,
    count: usize,
    secs: f64,
    anita: &Anita,
    audience: &mut Audience,
    publisher: &Publisher,
) -> Outcome<Vec<Round>> {
    audience.warm_up(if bench.is_quick { 0.5 } else { 3.0 })?;
    let mut asker = Asker::default();
    asker.ask(audience)?;
    let mut rounds = Vec::new();
    for round in 0..count {
        let before = taken(anita)?;
        let stretch = audience.measure(anita, publisher, secs, |_| ())?;
        let taken = taken(anita)? - before;
        let probe = audience.probe.as_ref().map(|(_, sample)| &sample.ages);
        rounds.push(Round {
            taken,
            probe_p50_ms: probe.map_or(0.0, |ages| ages.quantile_ms(0.5)),
            probe_p99_ms: probe.map_or(0.0, |ages| ages.quantile_ms(0.99)),
            added_p99_ms: asker.ask(audience)?,
            stretch,
        });
        bench.report.step(&format!("round {} of {count}", round + 1));
    }
    Ok(rounds)
}

/// How many rounds there are, and how long each is, seconds.
fn lengths(bench: &Bench, options: &Options) -> (usize, f64) {
    (bench.pick(options.rounds, 7, 2), bench.pick(options.secs, 5.0, 0.7))
}

/// Fixes that became the newest of their tag, by the server's own count.
fn taken(anita: &Anita) -> Outcome<f64> {
    Ok(counter(&anita.metrics()?, "anita_fixes_total", "outcome=\"newest\""))
}

/// What became of the fixes of all sources, by the server's own count.
fn outcomes(anita: &Anita) -> Outcome<String> {
    let page = anita.metrics()?;
    let lines = page.lines().filter(|line| line.starts_with("anita_fixes_total{"));
    let told = lines.filter_map(|line| {
        let outcome = line.split("outcome=\"").nth(1)?.split('"').next()?;
        Some(format!("{outcome} {}", line.rsplit(' ').next()?))
    });
    Ok(told.collect::<Vec<_>>().join(", "))
}

/// Asks viewers how they are served.
#[derive(Debug, Default)]
struct Asker {
    is_unknown: bool,
}

impl Asker {
    /// The p99 of the added age since the last question, of each reader; empty where the server does not say.
    fn ask(&mut self, audience: &mut Audience) -> Outcome<Vec<f64>> {
        if self.is_unknown || audience.probe.is_none() {
            return Ok(Vec::new());
        }
        let asked = audience.readers.clone();
        for index in asked.clone() {
            audience.fleet.say(index, ASK);
        }
        let mut answers = Vec::new();
        let until_us = now_us() + 5_000_000;
        while answers.len() < asked.len() && now_us() < until_us && !self.is_unknown {
            let (sample, probe) = (&mut audience.sample, &mut audience.probe);
            let mut heard = |index: usize, kind: Kind, body: &[u8]| match (kind, &mut *probe) {
                (Kind::Stats, _) => answers.push(added_p99_ms(body)),
                (Kind::Refused, _) => self.is_unknown = true,
                (_, Some((probe, sample))) if *probe == index => sample.hear(kind, body),
                _ => sample.hear(kind, body),
            };
            audience.fleet.turn(5, &mut heard)?;
        }
        Ok(answers.into_iter().flatten().collect())
    }
}

fn added_p99_ms(body: &[u8]) -> Option<f64> {
    let message: Value = serde_json::from_slice(body).ok()?;
    message.pointer("/payload/added_age_ms/p99")?.as_f64()
}

fn over_websocket(bench: &mut Bench, options: &Options, tags: usize, viewers: usize) -> Outcome {
    let pin = Pin::begin(bench.cores)?;
    let anita = Anita::start(&bench.program, Setup::default())?;
    pin.take_others()?;
    let publisher = stream::publish(&anita, Plan::new(tags))?;
    let mut audience = gather(&anita, viewers)?;
    let (count, secs) = lengths(bench, options);
    let rounds = rounds(bench, count, secs, &anita, &mut audience, &publisher)?;
    let counters = Arc::clone(&publisher.counters);
    let accepted_late = publisher.accepted();
    let lateness = publisher.finish()?;
    let sent = counters.sent.load(Ordering::Relaxed);
    let accepted = counters.accepted.load(Ordering::Relaxed);
    show(bench, "websocket", &rounds, tags as f64 * 10.0, viewers);
    report::note(&format!(
        "{sent} fixes sent, {accepted} accepted ({} of them after the end); sent {:.1} ms late at p99, {:.1} ms at most",
        accepted - accepted_late,
        lateness.quantile_ms(0.99),
        lateness.max_ms()
    ));
    bench.report.verdict("WebSocket: everything taken", sent == accepted);
    Ok(())
}

fn show(bench: &mut Bench, name: &str, rounds: &[Round], due_hz: f64, viewers: usize) {
    let of = |value: &dyn Fn(&Round) -> f64| median(&rounds.iter().map(value).collect::<Vec<_>>());
    let mut table = Table::new(&[name, "median"]);
    let mut row = |name: &str, value: String| table.row(name, &[value]);
    row("fixes a second, due", digits(due_hz, 0));
    row("sent", digits(of(&|it| it.stretch.fixes as f64 / it.stretch.secs), 0));
    row("taken as the newest of their tag", digits(of(&|it| it.taken / it.stretch.secs), 0));
    row("CPU a fix, µs, deliveries included", digits(of(&|it| it.stretch.us_per_fix()), 2));
    row("server cores", digits(of(&|it| it.stretch.cores()), 2));
    row(
        "positions of a viewer in a second",
        digits(of(&|it| it.stretch.positions / it.stretch.secs / viewers as f64), 0),
    );
    row("bytes a position", digits(of(&|it| it.stretch.bytes_per_position()), 1));
    row(
        "age at a viewer at 2 Hz, p50, p99, ms",
        format!("{:.1}, {:.1}", of(&|it| it.stretch.age_p50_ms), of(&|it| it.stretch.age_p99_ms)),
    );
    row(
        "age at a viewer without a limit, p50, p99, ms",
        format!("{:.1}, {:.1}", of(&|it| it.probe_p50_ms), of(&|it| it.probe_p99_ms)),
    );
    let added: Vec<f64> = rounds.iter().flat_map(|it| it.added_p99_ms.iter().copied()).collect();
    let added_text = if added.is_empty() {
        "the server does not say".to_owned()
    } else {
        format!("{:.0}, {:.0}", median(&added), most(&added))
    };
    row("p99 of the added age by the server's word, median, worst, ms", added_text);
    table.print();
    let raw: Vec<_> = rounds.iter().map(Round::raw).collect();
    bench.report.keep(name, json!(raw));
    if !added.is_empty() {
        bench.report.verdict(&format!("{name}: p99 of the added age at most 20 ms"), median(&added) <= 20.0);
    }
    let sustained = ratio(of(&|it| it.taken), of(&|it| it.stretch.fixes as f64));
    bench.report.verdict(&format!("{name}: the server keeps up"), sustained >= 0.99);
}

/// The highest rate at which a plain subscriber hears everything. Each is tried three times, as the machine may be busy.
fn broker_hz(bench: &mut Bench, tags: usize) -> Outcome<f64> {
    let steps = if bench.is_quick { 2 } else { LADDER.len() };
    let mut sustained = 0.0;
    for fixes_hz in LADDER.into_iter().take(steps) {
        let mut is_sustained = false;
        for _ in 0..3 {
            is_sustained = is_sustained || try_broker(bench, Flow { tags, fixes_hz })?;
        }
        if !is_sustained {
            break;
        }
        sustained = fixes_hz;
    }
    Ok(sustained)
}

fn try_broker(bench: &Bench, flow: Flow) -> Outcome<bool> {
    let secs = if bench.is_quick { 0.7 } else { 3.0 };
    let broker = Broker::start()?.ok_or_else(|| Fault::new("there is no mosquitto"))?;
    let counter = Counter::start(broker.address)?;
    thread::sleep(Duration::from_millis(200));
    let cpu = broker.process.cpu();
    let publisher = mqtt::publish(broker.address, flow)?;
    thread::sleep(Duration::from_secs_f64(secs));
    publisher.stop();
    let counters = Arc::clone(&publisher.counters);
    let lateness = publisher.finish()?;
    let sent = counters.sent.load(Ordering::Relaxed);
    thread::sleep(Duration::from_millis(300));
    let (heard, late_ms) = (counter.count(), lateness.quantile_ms(0.99));
    let cores = broker.process.cpu_ns_since(&cpu) / 1e9 / secs;
    let hz = flow.fixes_hz;
    bench.report.step(&format!(
        "broker at {hz} a second: {heard} of {sent} heard, sent {late_ms:.0} ms late, {cores:.2} cores"
    ));
    Ok(heard == sent && late_ms < 100.0)
}

fn over_mqtt(bench: &mut Bench, options: &Options, tags: usize, viewers: usize) -> Outcome {
    if Broker::start()?.is_none() {
        report::note("MQTT is skipped: there is no mosquitto");
        return Ok(());
    }
    let sustained = broker_hz(bench, tags)?;
    let hz = options.mqtt_hz.unwrap_or(sustained * 0.8);
    // How fast it is just now is a figure, and no fault.
    let hz = if hz > 0.0 { hz } else { LADDER.first().copied().unwrap_or(1_000.0) * 0.8 };
    report::note(&format!(
        "the broker sustains {sustained} fixes a second to a plain subscriber; the server gets {hz}"
    ));
    let Some(broker) = Broker::start()? else { return Ok(()) };
    let pin = Pin::begin(bench.cores)?;
    let source = format!(
        "[[sources]]\nname = \"bench\"\ntype = \"mqtt\"\nurl = \"mqtt://{}\"\nformat = \"pozyx\"\n",
        broker.address
    );
    let anita = Anita::start(&bench.program, Setup { more: &source, ..Setup::default() })?;
    pin.take_others()?;
    let until_us = now_us() + 60_000_000;
    while counter(&anita.metrics()?, "anita_source_connected", "") < 1.0 {
        if now_us() > until_us {
            return Err(Fault::new("the server does not reach the broker"));
        }
        thread::sleep(Duration::from_millis(50));
    }
    let publisher = mqtt::publish(broker.address, Flow { tags, fixes_hz: hz })?;
    thread::sleep(Duration::from_secs_f64(if bench.is_quick { 0.3 } else { 2.0 }));
    let mut audience = gather(&anita, viewers)?;
    let (count, secs) = lengths(bench, options);
    let rounds = rounds(bench, count, secs, &anita, &mut audience, &publisher)?;
    let counters = Arc::clone(&publisher.counters);
    let lateness = publisher.finish()?;
    show(bench, "mqtt", &rounds, hz, viewers);
    let (sent, became) = (counters.sent.load(Ordering::Relaxed), outcomes(&anita)?);
    report::note(&format!("{sent} fixes sent; what became of them: {became}"));
    report::note(&format!("sent {:.1} ms late at p99", lateness.quantile_ms(0.99)));
    Ok(())
}
