//! F. Idle connections.

use std::thread;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::cli::Bench;
use crate::clock::{self, now_us};
use crate::fault::{Fault, Outcome};
use crate::figures::ratio;
use crate::fleet::{Fleet, Wish, Words};
use crate::process::Server;
use crate::publisher::{Plan, Publisher};
use crate::report::{self, Table, digits};
use crate::server::{Anita, Setup};
use crate::yardstick::Yardstick;
use crate::{tls, ws};

use super::viewers;

/// Open files that are not connections.
const OTHER_FILES: u64 = 150;

const SUBSCRIBE: &str = r#"{"type":"subscribe","payload":{"mode":"batch","max_rate_hz":1}}"#;

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Options {
    /// Plain connections, at most as many as the limit of open files allows (default 19000)
    #[arg(long)]
    connections: Option<usize>,
    /// Connections with TLS; 0 for none (default 4000)
    #[arg(long)]
    tls: Option<usize>,
    /// For how long CPU is measured, seconds (default 10)
    #[arg(long)]
    secs: Option<f64>,
}

/// One row of the table.
#[derive(Debug, Clone)]
struct Row {
    name: String,
    connections: usize,
    kib_each: f64,
    rss_kib: u64,
    /// CPU time a second, milliseconds.
    cpu_ms: f64,
}

/// Runs it.
pub(crate) fn run(bench: &mut Bench, options: &Options) -> Outcome {
    let asked = bench.pick(options.connections, 19_000, 500);
    let connections = asked.min(bench.open_files.saturating_sub(OTHER_FILES) as usize);
    let over_tls = bench.pick(options.tls, 4_000, 50).min(connections);
    let secs = bench.pick(options.secs, 10.0, 1.0);
    bench.report.begin("f", &format!("{connections} idle connections"));
    let mut rows = vec![yardstick(connections, secs)?];
    bench.report.step("the yardstick is done");
    rows.extend(plain(bench, connections, secs)?);
    if over_tls > 0 {
        rows.push(encrypted(bench, over_tls, secs)?);
    }
    let mut table = Table::new(&["server", "connections", "KiB each", "RSS MiB", "CPU ms/s"]);
    for row in &rows {
        let rss_mib = digits(row.rss_kib as f64 / 1024.0, 1);
        table.row(
            &row.name,
            &[row.connections.to_string(), digits(row.kib_each, 2), rss_mib, digits(row.cpu_ms, 2)],
        );
    }
    table.print();
    report::note(&format!("a process may open {} files", bench.open_files));
    let raw: Vec<_> = rows.iter().map(|row| json!({"server": row.name, "connections": row.connections, "kib_each": row.kib_each, "cpu_ms_per_s": row.cpu_ms})).collect();
    bench.report.keep("rows", json!(raw));
    let worst = |name: &str| {
        let of_name = rows.iter().filter(|row| row.name.starts_with(name));
        of_name.map(|row| row.kib_each).fold(0.0, f64::max)
    };
    bench.report.verdict("at most 4 KiB each, plain", worst("anita, plain") <= 4.0);
    if over_tls > 0 {
        bench.report.verdict("at most 16 KiB each, with TLS", worst("anita, TLS") <= 16.0);
    }
    Ok(())
}

/// What the connections of a server cost, once it has come to rest.
fn weigh(name: &str, server: &Server, rss_before_kib: u64, connections: usize, secs: f64) -> Row {
    thread::sleep(Duration::from_secs_f64(secs.min(2.0)));
    let before = server.cpu();
    let from_us = now_us();
    thread::sleep(Duration::from_secs_f64(secs));
    let cpu_ms = server.cpu_ns_since(&before) / 1e6 / ((now_us() - from_us) as f64 / 1e6);
    let rss_kib = server.memory().rss_kib;
    let kib_each = ratio(rss_kib as f64 - rss_before_kib as f64, connections as f64);
    Row { name: name.to_owned(), connections, kib_each, rss_kib, cpu_ms }
}

fn yardstick(connections: usize, secs: f64) -> Outcome<Row> {
    let (process, address) = Yardstick::start()?;
    let before = process.memory().rss_kib;
    let yardstick = Yardstick::gather(process, address, connections)?;
    Ok(weigh("yardstick", yardstick.process(), before, connections, secs.min(2.0)))
}

fn plain(bench: &mut Bench, connections: usize, secs: f64) -> Outcome<Vec<Row>> {
    let anita = Anita::start(&bench.program, Setup::default())?;
    let viewer = anita.token("viewer", None)?;
    // A first few connections, so that what the server makes once is not counted.
    open(&anita, &viewer, 50, "/ws", None)?;
    thread::sleep(Duration::from_millis(300));
    let before = anita.process.memory().rss_kib;
    let fleet = open(&anita, &viewer, connections, "/ws", None)?;
    bench.report.step(&format!("{} plain connections are open", fleet.opened()));
    let mut rows = vec![weigh("anita, plain, silent", &anita.process, before, connections, secs)];
    drop(fleet);
    drop(anita);
    let anita = Anita::start(&bench.program, Setup::default())?;
    let viewer = anita.token("viewer", None)?;
    let knows_views = viewers::knows(&anita, &viewer, SUBSCRIBE)?;
    let (path, words) = if knows_views { ("/ws", Some(SUBSCRIBE)) } else { ("/ws/uwb", None) };
    open(&anita, &viewer, 50, path, words)?;
    thread::sleep(Duration::from_millis(300));
    let before = anita.process.memory().rss_kib;
    let mut fleet = open(&anita, &viewer, connections, path, words)?;
    publish(&anita, &mut fleet)?;
    bench.report.step(&format!("{} viewers have heard some fixes", fleet.opened()));
    rows.push(weigh("anita, plain, viewers at rest", &anita.process, before, connections, secs));
    Ok(rows)
}

fn open(anita: &Anita, token: &str, connections: usize, path: &str, words: Option<&str>) -> Outcome<Fleet> {
    let mut fleet = Fleet::new()?;
    let mut wish = Wish::new(anita.address, path, token);
    wish.first_words = words.map_or(Words::Nothing, Words::Same);
    fleet.open(connections, &wish, &mut |_, _, _| ())?;
    viewers::wait_for(&mut fleet, ws::Kind::Hello, connections as u64, &mut viewers::Sample::default())?;
    Ok(fleet)
}

/// All hear ten fixes, and the clients read them.
fn publish(anita: &Anita, fleet: &mut Fleet) -> Outcome {
    let plan = Plan { rate_hz: 2.5, tick_ms: 400, ..Plan::new(1) };
    let publisher = Publisher::start(anita.address, &anita.token("publisher", None)?, plan)?;
    fleet.hear_until(now_us() + clock::secs(30.0), &mut |_, _, _| (), |_| publisher.sent() >= 10)?;
    publisher.finish()?;
    // Most have heard most of them by now.
    let clients = fleet.len() as u64;
    fleet.hear_until(now_us() + clock::secs(30.0), &mut |_, _, _| (), |fleet| {
        fleet.total.position_frames >= clients
    })?;
    if fleet.total.position_frames < fleet.len() as u64 {
        let (frames, clients) = (fleet.total.position_frames, fleet.len());
        return Err(Fault::new(format!("{clients} clients heard {frames} fixes")));
    }
    Ok(())
}

fn encrypted(bench: &mut Bench, connections: usize, secs: f64) -> Outcome<Row> {
    let anita = Anita::start(&bench.program, Setup { has_tls: true, ..Setup::default() })?;
    let viewer = anita.token("viewer", None)?;
    let config = tls::config()?;
    let open = |count: usize| -> Outcome<Vec<tls::Idle>> {
        (0..count).map(|_| tls::open(anita.address, &viewer, &config)).collect()
    };
    drop(open(20)?);
    thread::sleep(Duration::from_millis(300));
    let before = anita.process.memory().rss_kib;
    let idle = open(connections)?;
    bench.report.step(&format!("{} connections with TLS are open", idle.len()));
    Ok(weigh("anita, TLS, silent", &anita.process, before, connections, secs))
}
