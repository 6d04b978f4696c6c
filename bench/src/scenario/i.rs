//! I. A server that is restarted, and one that is killed: how its clients come back.

mod accepts;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::cli::Bench;
use crate::clock::now_us;
use crate::fault::{Fault, Outcome, While as _};
use crate::fleet::{Fleet, Wish};
use crate::positions::number;
use crate::reader::Listen;
use crate::report::{Table, digits};
use crate::server::{Anita, Setup};
use crate::ws::Kind;
use accepts::{Accepts, Watch};

/// How long all of them may take to come back, microseconds.
const RETURN_MAX_US: i64 = 120_000_000;

/// How long that is to take, from when the next server listens, seconds.
const BACK_MAX_SECS: f64 = 10.0;

/// The bound of the first random wait, microseconds; it doubles with each attempt, up to the other one.
const JITTER_FIRST_US: u64 = 500_000;
const JITTER_MAX_US: u64 = 20_000_000;

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Options {
    /// Clients (default 10000)
    #[arg(long)]
    clients: Option<usize>,
    /// The time over which the server sends them back, seconds (default 5)
    #[arg(long)]
    spread_secs: Option<f64>,
    /// WebSocket handshakes a second that the server accepts (default 2000)
    #[arg(long)]
    handshakes: Option<u32>,
}

/// One client, as far as coming back goes.
#[derive(Debug, Clone, Copy, Default)]
struct Client {
    attempts: u32,
    back_us: Option<i64>,
    closed_us: Option<i64>,
    asked_ms: Option<u64>,
}

/// How they came back.
#[derive(Debug, Default)]
struct Return {
    /// From the signal until the process was gone, seconds.
    gone_secs: f64,
    /// From the signal until all were back, seconds.
    back_secs: f64,
    /// The same from when the next server listened.
    back_after_start_secs: f64,
    /// When the server let them in, by its own count.
    accepts: Accepts,
    /// How many heard their hello in the fullest second; the machine's business as much as the server's.
    heard_peak: usize,
    /// In the fullest tenth of a second.
    heard_peak_tenth: usize,
    /// Attempts that were in vain.
    in_vain: u64,
    /// Those that were closed and told when to come back.
    told: usize,
    /// Those that came back before they were asked to.
    early: usize,
}

/// How the server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Stopped,
    Killed,
}

/// Numbers that look random; nobody has to be surprised by them.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }
}

/// Runs it.
pub(crate) fn run(bench: &mut Bench, options: &Options) -> Outcome {
    let clients = bench.pick(options.clients, 10_000, 300);
    let spread_secs = bench.pick(options.spread_secs, 5.0, 1.0);
    let handshakes = options.handshakes.unwrap_or(2_000);
    bench.report.begin("i", &format!("{clients} clients of a server that is restarted"));
    let more = format!("[drain]\nspread_secs = {spread_secs}\nwait_secs = 30\n");
    let setup = Setup { more: &more, ..Setup::default() };
    let mut table = Table::new(&["what", "stopped", "killed"]);
    let mut found = Vec::new();
    for end in [End::Stopped, End::Killed] {
        let anita = Anita::start(&bench.program, setup)?;
        anita.limit_handshakes(handshakes)?;
        let anita = anita.start_again()?;
        found.push(restart(anita, end, clients, handshakes)?);
    }
    let row = |table: &mut Table, name: &str, of: &dyn Fn(&Return) -> String| {
        table.row(name, &found.iter().map(of).collect::<Vec<_>>());
    };
    row(&mut table, "closed, and told when to come back", &|it| it.told.to_string());
    row(&mut table, "came back before that", &|it| it.early.to_string());
    row(&mut table, "from the signal until the process was gone, s", &|it| digits(it.gone_secs, 2));
    row(&mut table, "from the signal until all were back, s", &|it| digits(it.back_secs, 2));
    row(&mut table, "from the next start until all were back, s", &|it| digits(it.back_after_start_secs, 2));
    row(&mut table, "let in by the server in its fullest second", &|it| {
        digits(it.accepts.fullest_second(), 0)
    });
    row(&mut table, "above its limit, in any stretch", &|it| digits(it.accepts.above(handshakes), 0));
    row(&mut table, "heard hello in the fullest second", &|it| it.heard_peak.to_string());
    row(&mut table, "in the fullest tenth of a second", &|it| it.heard_peak_tenth.to_string());
    row(&mut table, "attempts in vain", &|it| it.in_vain.to_string());
    table.print();
    judge(bench, &found, clients, spread_secs, handshakes);
    Ok(())
}

/// What was to be reached: by the server's own count, as a client hears late what a busy machine wakes it for.
fn judge(bench: &mut Bench, found: &[Return], clients: usize, spread_secs: f64, handshakes: u32) {
    for (name, it) in ["stopped", "killed"].into_iter().zip(found) {
        bench.report.keep(&format!("{name}_accepts_peak"), json!(it.accepts.fullest_second()));
        bench.report.keep(&format!("{name}_heard_peak"), json!(it.heard_peak));
        bench.report.keep(&format!("{name}_back_secs"), json!(it.back_secs));
        bench.report.keep(&format!("{name}_back_after_start_secs"), json!(it.back_after_start_secs));
        bench.report.keep(&format!("{name}_gone_secs"), json!(it.gone_secs));
        bench.report.keep(&format!("{name}_in_vain"), json!(it.in_vain));
    }
    bench.report.verdict("nobody came back before being asked to", found.iter().all(|it| it.early == 0));
    let is_kept = found.iter().all(|it| it.accepts.above(handshakes) < 1.0);
    bench.report.verdict("the server let in no more than its limit and one second's worth at once", is_kept);
    let evenly = clients as f64 / spread_secs * 1.1;
    let is_even = |it: &Return| clients < 1_000 || it.accepts.fullest_second() <= evenly;
    bench.report.verdict("after a stop they came back evenly", found.first().is_some_and(is_even));
    let are_back = found.iter().all(|it| it.back_after_start_secs <= BACK_MAX_SECS);
    bench.report.verdict("all were back within 10 s of the next start", are_back);
}

/// All connect, the server ends and is started again, and all come back.
fn restart(anita: Anita, end: End, count: usize, handshakes: u32) -> Outcome<Return> {
    let address = anita.address;
    wait_until_it_listens(address)?;
    let token = anita.token("viewer", None)?;
    let mut wish = Wish::new(address, "/ws", &token);
    wish.listen = Listen::All;
    let mut clients = vec![Client::default(); count];
    let mut fleet = Fleet::new()?;
    open_gently(&mut fleet, count, handshakes, &wish)?;
    let began_us = now_us();
    let (news, _hold) = begin_again(anita, end)?;
    let mut found = Return::default();
    let (mut due, mut dice) = (BinaryHeap::new(), Dice(0x5eed));
    let (mut next_server, mut listening_us, mut watch) = (None, None, None);
    while clients.iter().any(|client| client.back_us.is_none()) || next_server.is_none() {
        if now_us() - began_us > RETURN_MAX_US {
            let back = clients.iter().filter(|client| client.back_us.is_some()).count();
            return Err(Fault::new(format!("{back} of {count} came back: {}", fleet.why())));
        }
        match news.try_recv() {
            Ok(News::Gone) => found.gone_secs = secs(now_us() - began_us),
            Ok(News::Listening(anita, looking)) => {
                listening_us = Some(now_us());
                (next_server, watch) = (Some(anita), Some(looking));
            }
            Ok(News::Failed(fault)) => return Err(fault),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
        let mut closed = Vec::new();
        fleet.turn(1, &mut |index, kind, body| {
            let Some(client) = clients.get_mut(index) else { return };
            match kind {
                Kind::Hello => client.back_us = Some(now_us()),
                Kind::Closing => {
                    client.asked_ms = number(body, "\"retry_after_ms\":");
                    closed.push(index);
                }
                _ => {}
            }
        })?;
        for index in closed {
            fleet.drop_clients(index..index + 1);
            let Some(client) = clients.get_mut(index) else { continue };
            (client.closed_us, client.back_us) = (Some(now_us()), None);
            found.told += usize::from(client.asked_ms.is_some());
            due.push(Reverse((now_us() + wait_us(client, client.asked_ms, &mut dice), index)));
        }
        for (index, asked_ms) in fleet.take_losses() {
            let Some(client) = clients.get_mut(index) else { continue };
            // A hello that was heard before was another server's.
            client.back_us = None;
            found.in_vain += u64::from(client.attempts > 0);
            due.push(Reverse((now_us() + wait_us(client, asked_ms, &mut dice), index)));
        }
        while due.peek().is_some_and(|Reverse((at_us, _))| *at_us <= now_us()) {
            let Some(Reverse((_, index))) = due.pop() else { break };
            if let (Some(closed_us), Some(asked_ms)) =
                clients.get(index).map_or((None, None), |client| (client.closed_us, client.asked_ms))
            {
                found.early += usize::from(now_us() - closed_us < asked_ms as i64 * 1_000);
            }
            fleet.begin_again(index, &wish)?;
        }
    }
    let watch = watch.ok_or_else(|| Fault::new("nobody looked at the next server"))?;
    found.accepts = watch.finish(count)?;
    found.came_back(&clients, began_us, listening_us.unwrap_or(began_us));
    Ok(found)
}

impl Return {
    fn came_back(&mut self, clients: &[Client], began_us: i64, listening_us: i64) {
        let mut back: Vec<i64> = clients.iter().filter_map(|client| client.back_us).collect();
        back.sort_unstable();
        let last_us = back.last().copied().unwrap_or_default();
        self.back_secs = secs(last_us - began_us);
        self.back_after_start_secs = secs(last_us - listening_us);
        self.heard_peak = fullest(&back, 1_000_000);
        self.heard_peak_tenth = fullest(&back, 100_000);
    }
}

/// How long a client waits: as the server asked, and a random time on top.
fn wait_us(client: &mut Client, asked_ms: Option<u64>, dice: &mut Dice) -> i64 {
    let bound_us = JITTER_FIRST_US.saturating_mul(1 << client.attempts.min(10)).min(JITTER_MAX_US);
    client.attempts += 1;
    (asked_ms.unwrap_or(0) * 1_000 + dice.below(bound_us)) as i64
}

fn secs(us: i64) -> f64 {
    us as f64 / 1e6
}

/// How many of the moments, which are in order, are in the fullest window of this length.
fn fullest(moments: &[i64], window_us: i64) -> usize {
    let (mut from, mut most) = (0, 0);
    for (index, at_us) in moments.iter().enumerate() {
        while moments.get(from).is_some_and(|first| at_us - first >= window_us) {
            from += 1;
        }
        most = most.max(index + 1 - from);
    }
    most
}

/// Connects all without being refused: fewer in a second than the server lets in.
fn open_gently(fleet: &mut Fleet, count: usize, handshakes: u32, wish: &Wish<'_>) -> Outcome {
    let at_once = (handshakes as usize / 4).max(1);
    let mut opened = 0;
    while opened < count {
        let batch = at_once.min(count - opened);
        fleet.open(batch, wish, &mut |_, _, _| ())?;
        opened += batch;
        thread::sleep(Duration::from_millis(400));
    }
    Ok(())
}

fn wait_until_it_listens(address: std::net::SocketAddr) -> Outcome {
    for _ in 0..1_000 {
        if std::net::TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Err(Fault::new("the server does not listen"))
}

/// What the thread that restarts the server says.
enum News {
    Gone,
    Listening(Anita, Watch),
    Failed(Fault),
}

/// Ends the server and starts it again, beside the clients. The next server lives as long as the second part of what is
/// returned: it ends with the thread that started it.
fn begin_again(mut anita: Anita, end: End) -> Outcome<(Receiver<News>, Sender<()>)> {
    let (sender, news) = mpsc::channel();
    let (keeper, let_go) = mpsc::channel();
    match end {
        End::Stopped => anita.process.terminate()?,
        End::Killed => anita.process.end(),
    }
    let restart = move || {
        while anita.process.is_alive() {
            thread::sleep(Duration::from_millis(5));
        }
        sender.send(News::Gone).ok();
        let address = anita.address;
        let started = Watch::begin(address).and_then(|watch| {
            let anita = anita.start_again()?;
            wait_until_it_listens(address).map(|()| (anita, watch))
        });
        let listening = |(anita, watch)| News::Listening(anita, watch);
        sender.send(started.map_or_else(News::Failed, listening)).ok();
        let_go.recv().ok();
    };
    thread::Builder::new().name("restart".to_owned()).spawn(restart).to("start a thread")?;
    Ok((news, keeper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fullest_window_is_found_wherever_it_begins() {
        assert_eq!(fullest(&[0, 900, 1_000, 1_100, 1_899, 5_000], 1_000), 4);
        assert_eq!(fullest(&[], 1_000), 0);
    }

    #[test]
    fn a_client_waits_as_asked_and_longer_with_each_attempt() {
        let (mut client, mut dice) = (Client::default(), Dice(1));
        let first = wait_us(&mut client, Some(2_000), &mut dice);
        assert!((2_000_000..2_500_000).contains(&first));
        let waits: Vec<i64> = (0..9).map(|_| wait_us(&mut client, None, &mut dice)).collect();
        assert!(waits.iter().all(|wait| *wait < JITTER_MAX_US as i64));
    }
}
