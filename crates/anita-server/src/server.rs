//! What all connections and requests share.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anita_auth::Principal;
use anita_session::{Budget, Context};
use parking_lot::Mutex;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::history::Gates;
use crate::page_session::PageSessions;

/// The most subjects whose REST requests are counted at once.
const BUDGETS_MAX: usize = 10_000;

/// Who may come without TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plaintext {
    /// Nobody.
    Never,
    /// Programs of this machine.
    Loopback,
    /// These addresses: proxies that speak TLS with the clients. Their `X-Forwarded-For` is believed.
    TrustedProxy(Vec<IpAddr>),
}

/// The settings of the edge.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerSettings {
    /// Who may come without TLS.
    pub plaintext: Plaintext,
    /// Origins of pages that may connect besides the server's own: `https://host[:port]`, exactly.
    pub allowed_origins: Vec<String>,
    /// Addresses that may read the metrics without a token, besides loopback.
    pub metrics_addresses: Vec<IpAddr>,
    /// The most sockets at once.
    pub sockets_max: usize,
    /// The most WebSocket handshakes a second.
    pub handshakes_per_second: u32,
    /// The largest body of a request, bytes.
    pub body_bytes_max: usize,
    /// Whether many sockets are written to in one system call, where the system can (`io_uring`).
    pub uses_ring: bool,
    /// Whether messages are compressed for clients that ask for it (RFC 7692).
    pub compression: bool,
    /// What may wait in all connections together for their peers to read, bytes. Beyond it, those that wait with more
    /// than their part are closed.
    pub queued_bytes_max: usize,
    /// What the kernel may hold of a connection's positions, bytes; it takes twice as much for its own needs.
    pub send_buffer_bytes: usize,
    /// How long a TLS handshake may take.
    pub tls_deadline: Duration,
    /// How long the head of a request may take.
    pub header_deadline: Duration,
    /// How long the peer may take to answer a close.
    pub close_deadline: Duration,
    /// When the server stops: the time over which clients are told to come back.
    pub drain_spread: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            plaintext: Plaintext::Never,
            allowed_origins: Vec::new(),
            metrics_addresses: Vec::new(),
            sockets_max: 20_000,
            handshakes_per_second: 2_000,
            body_bytes_max: 1024 * 1024,
            uses_ring: true,
            compression: false,
            queued_bytes_max: 512 * 1024 * 1024,
            send_buffer_bytes: 128 * 1024,
            tls_deadline: Duration::from_secs(10),
            header_deadline: Duration::from_secs(10),
            close_deadline: Duration::from_secs(3),
            drain_spread: Duration::from_secs(5),
        }
    }
}

/// A zone of the site's floor plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ZoneShape {
    /// What people call it.
    pub name: String,
    /// Its corners, metres in the frame of the site.
    pub polygon: Vec<[f64; 2]>,
}

/// The floor plan that the dashboard draws.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SiteMap {
    /// The site's name.
    pub name: String,
    /// West, south, east and north end, metres; absent where only the devices say where the site is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Bounds>,
    /// Its zones.
    pub zones: Vec<ZoneShape>,
}

/// The ends of a site, metres in its frame.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bounds {
    /// The west end.
    pub min_x: f64,
    /// The south end.
    pub min_y: f64,
    /// The east end.
    pub max_x: f64,
    /// The north end.
    pub max_y: f64,
}

/// How a source is, for `/readyz` and the metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceReport {
    /// Its name.
    pub name: String,
    /// `starting`, `connected`, `waiting` or `stopped`.
    pub state: &'static str,
    /// Messages that were not understood, by reason.
    pub malformed: Vec<(&'static str, u64)>,
    /// Reports that were dropped because nothing took them in time.
    pub dropped: u64,
    /// How often it was started anew.
    pub restarts: u64,
}

/// Says how the sources are; the edge knows nothing else of them.
pub trait SourceReports: Send + Sync + std::fmt::Debug {
    /// One report for each source.
    fn reports(&self) -> Vec<SourceReport>;
}

/// What all connections and requests share.
#[derive(Debug)]
pub struct Server {
    pub(crate) context: Arc<Context>,
    pub(crate) settings: ServerSettings,
    pub(crate) clock: Clock,
    pub(crate) pages: PageSessions,
    /// How much is asked of the past at a time.
    pub(crate) past: Gates,
    pub(crate) site: SiteMap,
    pub(crate) sources: Box<dyn SourceReports>,
    /// Cancelled when the server stops: connections say goodbye.
    pub(crate) draining: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// Cancelled when nothing is waited for any more.
    pub(crate) stopped: CancellationToken,
    is_ready: AtomicBool,
    sockets: AtomicUsize,
    handshakes: Mutex<Handshakes>,
    /// What each subject may still ask by REST.
    budgets: Mutex<HashMap<String, Budget>>,
}

/// How many handshakes there were in the present second.
#[derive(Debug, Default)]
struct Handshakes {
    second: u64,
    count: u32,
}

impl Server {
    /// A server that is ready.
    pub fn new(
        context: Arc<Context>,
        settings: ServerSettings,
        clock: Clock,
        site: SiteMap,
        sources: Box<dyn SourceReports>,
    ) -> Arc<Self> {
        Arc::new(Self {
            context,
            settings,
            clock,
            pages: PageSessions::default(),
            past: Gates::default(),
            site,
            sources,
            draining: CancellationToken::new(),
            tasks: TaskTracker::new(),
            stopped: CancellationToken::new(),
            is_ready: AtomicBool::new(true),
            sockets: AtomicUsize::new(0),
            handshakes: Mutex::default(),
            budgets: Mutex::default(),
        })
    }

    /// Whether new clients are welcome.
    pub fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Relaxed)
    }

    /// Stops in stages: not ready any more; clients are told when to come back and closed; then waits until all are
    /// gone, at most so long. Says whether all were gone.
    pub async fn drain(&self, wait_max: Duration) -> bool {
        self.is_ready.store(false, Ordering::Relaxed);
        self.draining.cancel();
        self.tasks.close();
        let are_all_gone = tokio::time::timeout(wait_max, self.tasks.wait()).await.is_ok();
        self.stopped.cancel();
        are_all_gone
    }

    /// Takes the place of a socket; it is free again when the guard is dropped. `None` when all are taken.
    pub(crate) fn take_socket(self: &Arc<Self>) -> Option<SocketPlace> {
        let taken = self.sockets.fetch_add(1, Ordering::Relaxed);
        let place = SocketPlace(Arc::clone(self));
        (taken < self.settings.sockets_max).then_some(place)
    }

    /// Whether more waits in all connections than may.
    pub(crate) fn queues_are_full(&self) -> bool {
        let queued = usize::try_from(self.context.hub.metrics().queued_bytes.get()).unwrap_or_default();
        queued > self.settings.queued_bytes_max
    }

    /// Counts a handshake.
    ///
    /// # Errors
    /// When there were too many in this second: how long until the next.
    pub(crate) fn count_handshake(&self) -> Result<(), Duration> {
        let uptime = self.clock.now().uptime;
        let mut handshakes = self.handshakes.lock();
        if handshakes.second != uptime.as_secs() {
            *handshakes = Handshakes { second: uptime.as_secs(), count: 0 };
        }
        if handshakes.count >= self.settings.handshakes_per_second {
            return Err(Duration::from_secs(1));
        }
        handshakes.count += 1;
        Ok(())
    }
}

impl Server {
    /// Counts a REST request of a principal; the rates are those of sockets.
    ///
    /// # Errors
    /// When there were too many: how long until the next.
    pub(crate) fn count_request(&self, principal: &Principal) -> Result<(), Duration> {
        let uptime = self.clock.now().uptime;
        let mut budgets = self.budgets.lock();
        if budgets.len() >= BUDGETS_MAX && !budgets.contains_key(&principal.subject) {
            // Whoever asks again begins with a full second: that is all that is forgotten.
            budgets.clear();
        }
        let per_second = self.context.settings.requests_per_second(principal);
        let new = || Budget::new(per_second, uptime);
        budgets.entry(principal.subject.clone()).or_insert_with(new).take(uptime)
    }
}

/// The place of one socket among those that are allowed.
#[derive(Debug)]
pub(crate) struct SocketPlace(Arc<Server>);

impl Drop for SocketPlace {
    fn drop(&mut self) {
        self.0.sockets.fetch_sub(1, Ordering::Relaxed);
    }
}
