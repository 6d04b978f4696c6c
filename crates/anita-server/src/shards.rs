//! One thread for each shard: its connections live and die there, and its loop writes positions to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anita_hub::{NextTurn, SendMany, Shard};
use anita_uring::Sender;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::clock::Clock;
use crate::server::Server;
use crate::watchdog::Pulse;

/// How long a thread may take to end its last blocking work.
const END_WAIT: Duration = Duration::from_secs(1);

/// The thread of one shard.
#[derive(Debug)]
pub(crate) struct ShardThread {
    handle: Handle,
    /// How many sockets are on it.
    load: Arc<AtomicUsize>,
}

/// A socket's place on a thread; free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The threads of all shards. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct ShardThreads {
    threads: Vec<ShardThread>,
    _stop: DropGuard,
}

impl ShardThreads {
    /// Starts a thread for each shard.
    pub(crate) fn start(server: &Arc<Server>) -> std::io::Result<Self> {
        let stop = CancellationToken::new();
        let (uses_ring, every) = (server.settings.uses_ring, server.settings.watchdog.every());
        let start = |(index, shard): (usize, &Arc<Shard>)| {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let handle = runtime.handle().clone();
            let (shard, stop, server) = (Arc::clone(shard), stop.clone(), Arc::clone(server));
            let name = format!("shard-{index}");
            let pulse = server.watched.add(name.clone());
            std::thread::Builder::new().name(name.clone()).spawn(move || {
                server.vital_thread("shard", &name, || {
                    let ring = if uses_ring { Ring::new() } else { None };
                    runtime.spawn(beat(pulse, every));
                    runtime.block_on(stop.run_until_cancelled(run(&shard, server.clock.clone(), ring)));
                });
                runtime.shutdown_timeout(END_WAIT);
            })?;
            Ok(ShardThread { handle, load: Arc::default() })
        };
        let shards = server.context.hub.shards().iter();
        let threads = shards.enumerate().map(start).collect::<std::io::Result<_>>()?;
        Ok(Self { threads, _stop: stop.drop_guard() })
    }

    /// Takes a place on the thread with the fewest sockets: which shard, its runtime, and the place.
    pub(crate) fn take_seat(&self) -> Option<(usize, &Handle, Seat)> {
        let load = |thread: &ShardThread| thread.load.load(Ordering::Relaxed);
        let (index, thread) = self.threads.iter().enumerate().min_by_key(|(_index, thread)| load(thread))?;
        thread.load.fetch_add(1, Ordering::Relaxed);
        Some((index, &thread.handle, Seat(Arc::clone(&thread.load))))
    }
}

/// Writes to many sockets in one system call.
#[derive(Debug)]
struct Ring(Sender);

impl Ring {
    /// `None` where the system has no such thing, or forbids it: then each socket is written to by itself.
    fn new() -> Option<Self> {
        match Sender::new() {
            Ok(sender) => Some(Self(sender)),
            Err(error) => {
                tracing::debug!(%error, "no io_uring here; each socket is written to by itself");
                None
            }
        }
    }
}

impl SendMany for Ring {
    fn send_all(&mut self, sends: &[(i32, &[u8])], results: &mut Vec<std::io::Result<usize>>) {
        self.0.send_all(sends, results);
    }
}

/// Shows that the thread makes progress.
pub(crate) async fn beat(pulse: Pulse, every: Duration) {
    loop {
        pulse.beat();
        tokio::time::sleep(every).await;
    }
}

/// Turns the shard whenever there is something to do. Without tokio's budget for one go: a tick writes to as many
/// sockets as there are.
async fn run(shard: &Shard, clock: Clock, mut ring: Option<Ring>) {
    let turning = async {
        let uptime = || clock.now().uptime;
        loop {
            let many = ring.as_mut().map(|ring| ring as &mut dyn SendMany);
            let next = shard.turn(clock.now(), &uptime, many);
            // The tasks of the connections have their turn.
            tokio::task::yield_now().await;
            match next {
                NextTurn::At(at) => tokio::time::sleep_until(clock.instant_of(at)).await,
                NextTurn::OnBell(None) => shard.happened().await,
                NextTurn::OnBell(Some(at)) => {
                    tokio::time::timeout_at(clock.instant_of(at), shard.happened()).await.ok();
                }
            }
        }
    };
    tokio::task::coop::unconstrained(turning).await;
}
