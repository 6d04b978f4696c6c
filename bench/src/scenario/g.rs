//! G. Clients that are dropped and come back at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::cli::Bench;
use crate::clock::{self, now_us};
use crate::fault::{Fault, Outcome, While as _};
use crate::fleet::{Fleet, Wish, Words};
use crate::histogram::Histogram;
use crate::positions::{number, string};
use crate::reader::Listen;
use crate::report::{Table, digits};
use crate::server::{Anita, Setup};
use crate::ws::Kind;

/// How long all of them may take to come back, microseconds.
const RETURN_MAX_US: i64 = 120_000_000;

/// How long what was said last may be on its way, microseconds.
const LAST_MAX_US: i64 = 60_000_000;

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Options {
    /// Clients (default 10000)
    #[arg(long)]
    clients: Option<usize>,
    /// Numbered messages in a second, all the time (default 50)
    #[arg(long)]
    events_hz: Option<f64>,
    /// How long they are away, seconds (default 2)
    #[arg(long)]
    away_secs: Option<f64>,
    /// Connects this many at once; all when absent
    #[arg(long)]
    at_once: Option<usize>,
}

/// What one client has heard.
#[derive(Debug, Clone, Default)]
struct Client {
    epoch: String,
    /// The last number.
    seq: u64,
    /// What the number of the room was when it joined.
    joined_seq: Option<u64>,
    caught_up_us: Option<i64>,
}

/// What all clients were told.
#[derive(Debug, Default)]
struct Story {
    clients: Vec<Client>,
    joined: usize,
    recovered: usize,
    not_recovered: usize,
    gaps: u64,
    /// Numbers that were not the next one.
    wrong: u64,
    /// Numbered messages.
    heard: u64,
    caught_up: usize,
    refusal: Option<String>,
}

impl Story {
    fn hear(&mut self, index: usize, kind: Kind, body: &[u8]) {
        let Some(client) = self.clients.get_mut(index) else { return };
        let seq = number(body, "\"seq\":");
        match kind {
            Kind::Joined => {
                self.joined += 1;
                client.epoch = string(body, "\"epoch\":").unwrap_or_default();
                client.joined_seq = seq;
                if memchr::memmem::find(body, b"\"recovered\":true").is_some() {
                    self.recovered += 1;
                } else {
                    self.not_recovered += 1;
                    client.seq = seq.unwrap_or(0);
                }
            }
            Kind::Numbered => {
                self.heard += 1;
                self.wrong += u64::from(seq != Some(client.seq + 1));
                client.seq = seq.unwrap_or(0);
            }
            Kind::Advanced => client.seq = seq.unwrap_or(0),
            Kind::Gap => self.gaps += 1,
            Kind::Refused => {
                self.refusal.get_or_insert_with(|| String::from_utf8_lossy(body).into_owned());
            }
            _ => return,
        }
        if client.caught_up_us.is_none() && client.joined_seq.is_some_and(|joined| client.seq >= joined) {
            client.caught_up_us = Some(now_us());
            self.caught_up += 1;
        }
    }

    fn check(&self) -> Outcome {
        match &self.refusal {
            Some(text) => Err(Fault::new(format!("the server refused something: {text}"))),
            None => Ok(()),
        }
    }
}

/// A thread that says numbered messages in the room until it is stopped.
#[derive(Debug)]
struct Speaker {
    stop: Arc<AtomicBool>,
    last_seq: Arc<AtomicU64>,
    thread: JoinHandle<Outcome>,
}

impl Speaker {
    fn start(anita: &Anita, hz: f64) -> Outcome<Self> {
        let token = anita.token("operator", None)?;
        let (stop, last_seq) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (theirs, their_seq, address) = (Arc::clone(&stop), Arc::clone(&last_seq), anita.address);
        let speak = move || -> Outcome {
            let mut fleet = Fleet::new()?;
            let mut wish = Wish::new(address, "/ws", &token);
            wish.listen = Listen::Words;
            wish.first_words = Words::Same(r#"{"type":"join_room","payload":{"room":"uwb"}}"#);
            let mut refused = None;
            let mut heard = |_: usize, kind: Kind, body: &[u8]| match kind {
                Kind::Sent => their_seq.store(number(body, "\"seq\":").unwrap_or(0), Ordering::Relaxed),
                Kind::Refused => refused = Some(String::from_utf8_lossy(body).into_owned()),
                _ => {}
            };
            fleet.open(1, &wish, &mut heard)?;
            let (mut due_us, mut said) = (now_us(), 0);
            while !theirs.load(Ordering::Relaxed) {
                fleet.hear_until(due_us, &mut heard, |_| false)?;
                let data = format!(r#"{{"text":"what was said as number {said}"}}"#);
                fleet.say(
                    0,
                    &format!(
                        r#"{{"type":"send_to_room","payload":{{"room":"uwb","name":"bench","data":{data}}}}}"#
                    ),
                );
                said += 1;
                // What it did not say in time it does not say all at once.
                due_us = (due_us + clock::secs(1.0 / hz)).max(now_us());
            }
            fleet.hear_until(now_us() + LAST_MAX_US, &mut heard, |fleet| {
                fleet.total.frames(Kind::Sent) >= said
            })?;
            match refused {
                Some(text) => Err(Fault::new(format!("a message to the room was refused: {text}"))),
                None => Ok(()),
            }
        };
        let thread = thread::Builder::new().name("speaker".to_owned()).spawn(speak).to("start a thread")?;
        Ok(Self { stop, last_seq, thread })
    }

    /// Stops; returns the last number.
    fn finish(self) -> Outcome<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_panic| Fault::new("the speaker broke"))??;
        Ok(self.last_seq.load(Ordering::Relaxed))
    }
}

/// Runs it.
pub(crate) fn run(bench: &mut Bench, options: &Options) -> Outcome {
    let clients = bench.pick(options.clients, 10_000, 300);
    let hz = bench.pick(options.events_hz, 50.0, 50.0);
    let away_secs = bench.pick(options.away_secs, 2.0, 0.5);
    bench.report.begin("g", &format!("{clients} clients come back at once"));
    let anita = Anita::start(&bench.program, Setup::default())?;
    let viewer = anita.token("viewer", None)?;
    let speaker = Speaker::start(&anita, hz)?;
    let story = arrive(&anita, &viewer, clients)?;
    bench.report.step(&format!("{} clients were in the room, and are dropped", story.joined));
    thread::sleep(Duration::from_secs_f64(away_secs));
    let rss_before_kib = anita.process.memory().rss_kib;
    anita.process.forget_peak();
    let (cpu, from_us) = (anita.process.cpu(), now_us());
    let at_once = options.at_once.unwrap_or(clients);
    let (mut fleet, mut story) = come_back(&anita, &viewer, &story.clients, at_once)?;
    let returned_us = now_us();
    let (cpu_ms, memory) = (anita.process.cpu_ns_since(&cpu) / 1e6, anita.process.memory());
    let last = speaker.finish()?;
    let until_us = now_us() + LAST_MAX_US;
    while story.clients.iter().any(|client| client.seq != last) && now_us() < until_us {
        fleet.turn(20, &mut |index, kind, body| story.hear(index, kind, body))?;
    }
    // And nothing comes after it.
    let mut heard = |index: usize, kind: Kind, body: &[u8]| story.hear(index, kind, body);
    fleet.hear_until(now_us() + 1_000_000, &mut heard, |_| false)?;
    let behind = story.clients.iter().filter(|client| client.seq != last).count();
    let mut times = Histogram::default();
    for client in &story.clients {
        times.record(client.caught_up_us.unwrap_or(i64::MAX) - from_us);
    }
    let mut table = Table::new(&["what", "value"]);
    let mut row = |name: &str, value: String| table.row(name, &[value]);
    row("recovered", format!("{} of {clients}", story.recovered));
    row("told that they can't be, or of a gap", format!("{}, {}", story.not_recovered, story.gaps));
    row("numbers heard", story.heard.to_string());
    row("numbers that were not the next one", story.wrong.to_string());
    row("not at the last number in the end", behind.to_string());
    row(
        "all were back and had heard what they missed after, s",
        digits((returned_us - from_us) as f64 / 1e6, 2),
    );
    row(
        "of one client p50, p99, s",
        format!("{:.2}, {:.2}", times.quantile_ms(0.5) / 1e3, times.quantile_ms(0.99) / 1e3),
    );
    row("CPU of the server, ms", digits(cpu_ms, 0));
    row(
        "RSS before, peak, MiB",
        format!("{:.1}, {:.1}", rss_before_kib as f64 / 1024.0, memory.peak_kib as f64 / 1024.0),
    );
    table.print();
    bench.report.keep("recovered", json!(story.recovered));
    bench.report.keep("secs", json!((returned_us - from_us) as f64 / 1e6));
    bench.report.keep("peak_kib", json!(memory.peak_kib));
    bench.report.keep("cpu_ms", json!(cpu_ms));
    let is_whole = story.recovered == clients && story.gaps == 0 && story.wrong == 0 && behind == 0;
    bench.report.verdict("all recovered, each number once and in order, no gap", is_whole);
    Ok(())
}

/// All join while messages are said, note where they are, and are dropped.
fn arrive(anita: &Anita, token: &str, clients: usize) -> Outcome<Story> {
    let mut story = Story { clients: vec![Client::default(); clients], ..Story::default() };
    let mut fleet = Fleet::new()?;
    let mut wish = Wish::new(anita.address, "/ws", token);
    wish.listen = Listen::Words;
    wish.first_words = Words::Same(r#"{"type":"join_room","payload":{"room":"uwb"}}"#);
    fleet.open(clients, &wish, &mut |index, kind, body| story.hear(index, kind, body))?;
    let until_us = now_us() + RETURN_MAX_US;
    let mut heard = |index: usize, kind: Kind, body: &[u8]| story.hear(index, kind, body);
    fleet.hear_until(until_us, &mut heard, |fleet| fleet.total.frames(Kind::Joined) >= clients as u64)?;
    story.check()?;
    if story.joined < clients || story.wrong + story.gaps > 0 {
        let (joined, wrong) = (story.joined, story.wrong + story.gaps);
        return Err(Fault::new(format!("{joined} of {clients} joined; {wrong} numbers were wrong")));
    }
    Ok(story)
}

/// All come back, each with its number, and hear until they have caught up.
fn come_back(anita: &Anita, token: &str, before: &[Client], at_once: usize) -> Outcome<(Fleet, Story)> {
    let words: Vec<String> = before
        .iter()
        .map(|Client { epoch, seq, .. }| {
            format!(r#"{{"type":"join_room","payload":{{"room":"uwb","since":{{"epoch":"{epoch}","seq":{seq}}}}}}}"#)
        })
        .collect();
    let clients = before.iter().map(|client| Client { seq: client.seq, ..Client::default() }).collect();
    let mut story = Story { clients, ..Story::default() };
    let mut fleet = Fleet::new()?;
    let mut wish = Wish::new(anita.address, "/ws", token);
    wish.listen = Listen::Words;
    wish.first_words = Words::Each(&words);
    wish.at_once = at_once;
    fleet.open(before.len(), &wish, &mut |index, kind, body| story.hear(index, kind, body))?;
    let until_us = now_us() + RETURN_MAX_US;
    while story.caught_up < before.len() && now_us() < until_us && story.refusal.is_none() {
        fleet.turn(20, &mut |index, kind, body| story.hear(index, kind, body))?;
    }
    story.check()?;
    Ok((fleet, story))
}
