//! What all connections and requests share.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anita_auth::Principal;
use anita_forwarded::{Forwarded, Networks};
use anita_model::Timestamp;
use anita_session::{Context, RequestClass};
use parking_lot::Mutex;
use rand::Rng;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::administration::Desk;
use crate::administration::minted::Minted;
use crate::budgets::{RequestBudgets, TooMany};
use crate::client_certificate::{CertificateRule, refused};
use crate::clock::Clock;
use crate::drain::{DrainSettings, Turn, Turns};
use crate::guard::Vitals;
use crate::guests::{GuestLimits, Guests, Reason};
use crate::history::Gates;
use crate::page_session::PageSessions;
use crate::plans::{PLAN_BYTES_MAX, Shelf};
use crate::seldom::Seldom;
use crate::sign_in::Attempts;
use crate::tickets::Tickets;
use crate::watchdog::{OnWell, Watchdog, WatchdogSettings, Watched};

/// How often it is said how far the stop is.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Who may come without TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plaintext {
    /// Nobody.
    Never,
    /// Programs of this machine.
    Loopback,
    /// The proxies of [`Proxies::trusted`], which speak TLS with the clients.
    TrustedProxy,
}

impl Plaintext {
    /// Whether somebody can come without TLS to a listener at this address.
    pub fn allows(&self, listen: IpAddr) -> bool {
        match self {
            Self::Never => false,
            Self::Loopback => listen.is_loopback(),
            Self::TrustedProxy => true,
        }
    }
}

/// Who speaks for clients, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// From where they come; nobody else is believed.
    pub trusted: Networks,
    /// In which header they name the client.
    pub forwarded: Forwarded,
    /// Whether they send the header of the PROXY protocol first; then nobody but them may come.
    pub protocol: ProxyProtocol,
}

/// Whether connections begin with a header of the PROXY protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// None does.
    #[default]
    Off,
    /// Each does, and comes from a trusted proxy.
    Required,
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
    /// The names by which the server is reached, as in `Host`; any when there are none.
    pub hosts: Vec<String>,
    /// Who speaks for clients, and how.
    pub proxies: Proxies,
    /// How many may be inside, and how many may come in a second.
    pub guests: GuestLimits,
    /// Whose certificates stand for whom.
    pub certificate_rules: Vec<CertificateRule>,
    /// How long a ticket can be used.
    pub ticket_ttl: Duration,
    /// How many fragments one message may have.
    pub fragments_max: usize,
    /// The largest body of a request, bytes.
    pub body_bytes_max: usize,
    /// The largest picture of a floor plan, bytes.
    pub plan_bytes_max: usize,
    /// Whether many sockets are written to in one system call, where the system can (`io_uring`).
    pub uses_ring: bool,
    /// Whether messages are compressed for clients that ask for it (RFC 7692).
    pub compression: bool,
    /// What may wait in all connections together for their peers to read, bytes. Beyond it, those that wait with more
    /// than their part are closed.
    pub queued_bytes_max: usize,
    /// What the kernel may hold of a connection's positions, bytes; it takes twice as much for its own needs.
    pub send_buffer_bytes: usize,
    /// How long a TLS handshake may take, with what a proxy says before it.
    pub tls_deadline: Duration,
    /// How long the head of a request may take, and how long a connection may wait for the next request.
    pub header_deadline: Duration,
    /// How long a connection is kept for further HTTP requests: the first answer after that is its last.
    pub keep_alive: Duration,
    /// How long a request may take, its body included.
    pub request_deadline: Duration,
    /// How long a WebSocket message may take from its first byte to its last.
    pub message_deadline: Duration,
    /// How long a peer may take no byte at all of what is to be written to it.
    pub write_deadline: Duration,
    /// How long the peer may take to answer a close.
    pub close_deadline: Duration,
    /// How the server stops.
    pub drain: DrainSettings,
    /// When a part counts as stuck.
    pub watchdog: WatchdogSettings,
    /// The memory above which nobody new is let in and the newest connections are closed, bytes; 0 for none, and `None`
    /// for a part of what the process may have.
    pub memory_bytes_max: Option<u64>,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            plaintext: Plaintext::Never,
            allowed_origins: Vec::new(),
            metrics_addresses: Vec::new(),
            hosts: Vec::new(),
            proxies: Proxies::default(),
            guests: GuestLimits::default(),
            certificate_rules: Vec::new(),
            ticket_ttl: Duration::from_secs(30),
            fragments_max: 1_024,
            body_bytes_max: 1024 * 1024,
            plan_bytes_max: PLAN_BYTES_MAX,
            uses_ring: true,
            compression: false,
            queued_bytes_max: 512 * 1024 * 1024,
            send_buffer_bytes: 128 * 1024,
            tls_deadline: Duration::from_secs(10),
            header_deadline: Duration::from_secs(10),
            keep_alive: Duration::from_secs(3_600),
            request_deadline: Duration::from_secs(30),
            message_deadline: Duration::from_secs(30),
            write_deadline: Duration::from_secs(60),
            close_deadline: Duration::from_secs(3),
            drain: DrainSettings::default(),
            watchdog: WatchdogSettings::default(),
            memory_bytes_max: None,
        }
    }
}

/// A zone of the site's floor plan.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct ZoneShape {
    /// What people call it.
    pub name: String,
    /// Its corners, metres in the frame of the site.
    pub polygon: Vec<[f64; 2]>,
}

/// The floor plan that the dashboard draws.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Serialize, schemars::JsonSchema)]
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

/// How a source is, for `/readyz`, the metrics and whoever looks after it.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceReport {
    /// Its name.
    pub name: String,
    /// What kind of source.
    pub kind: &'static str,
    /// What is understood there, if there is a choice.
    pub format: Option<&'static str>,
    /// Where it connects, without user names and passwords.
    pub address: Option<String>,
    /// `starting`, `connected`, `waiting` or `stopped`.
    pub state: &'static str,
    /// Since when.
    pub since: Timestamp,
    /// Messages or lines that arrived.
    pub messages: u64,
    /// Messages that were not understood, by reason.
    pub malformed: Vec<(&'static str, u64)>,
    /// Reports that were dropped because nothing took them in time.
    pub dropped: u64,
    /// How often it was started anew.
    pub restarts: u64,
    /// Its last fault, if it ever had one.
    pub last_fault: Option<SourceFault>,
}

/// A fault of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceFault {
    /// What happened, with its causes.
    pub message: String,
    /// When.
    pub at: Timestamp,
    /// What to do about it.
    pub remedy: &'static str,
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
    /// Who was sent to an issuer, and has not come back yet.
    pub(crate) sign_in_attempts: Attempts,
    /// What opens a socket once.
    pub(crate) tickets: Tickets,
    /// How much is asked of the past at a time.
    pub(crate) past: Gates,
    pub(crate) site: SiteMap,
    /// What is needed to tell and to change floor plans.
    pub(crate) plans: Shelf,
    pub(crate) sources: Box<dyn SourceReports>,
    /// What those who look after the server are shown and may do.
    pub(crate) desk: Desk,
    /// The tokens that were made here.
    pub(crate) minted: Minted,
    /// Whether everything is there without which the server is none.
    pub(crate) vitals: Vitals,
    /// What the watchdog watches.
    pub(crate) watched: Arc<Watched>,
    /// Who is closed when, when the server stops.
    turns: Turns,
    /// Whether the process has too much memory to let anybody in.
    pub(crate) is_out_of_memory: AtomicBool,
    /// Cancelled when the server stops: connections say goodbye.
    pub(crate) draining: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// Cancelled when nothing is waited for any more.
    pub(crate) stopped: CancellationToken,
    is_ready: AtomicBool,
    /// Who is inside, and who came lately.
    pub(crate) guests: Guests,
    /// What each subject may still ask by REST.
    budgets: RequestBudgets,
    pub(crate) certificates_refused: Mutex<Seldom>,
}

impl Server {
    /// A server that is ready.
    pub fn new(
        context: Arc<Context>,
        settings: ServerSettings,
        clock: Clock,
        site: SiteMap,
        sources: Box<dyn SourceReports>,
        desk: Desk,
    ) -> Arc<Self> {
        let guests = Guests::new(settings.guests);
        Arc::new(Self {
            guests,
            context,
            settings,
            clock,
            pages: PageSessions::default(),
            sign_in_attempts: Attempts::default(),
            tickets: Tickets::default(),
            past: Gates::default(),
            site,
            plans: Shelf::default(),
            sources,
            desk,
            minted: Minted::default(),
            vitals: Vitals::default(),
            watched: Arc::default(),
            turns: Turns::default(),
            is_out_of_memory: AtomicBool::new(false),
            draining: CancellationToken::new(),
            tasks: TaskTracker::new(),
            stopped: CancellationToken::new(),
            is_ready: AtomicBool::new(true),
            budgets: RequestBudgets::default(),
            certificates_refused: refused::seldom(),
        })
    }

    /// Whether new clients are welcome.
    pub fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Relaxed)
    }

    /// Stops in stages: not ready any more, but serving; then nobody new is let in, and clients are told when to come
    /// back and closed in batches; then waits until all are gone, as long as the settings say. Says whether all were.
    pub async fn drain(&self) -> bool {
        let settings = self.settings.drain;
        self.is_ready.store(false, Ordering::Relaxed);
        tokio::time::sleep(settings.ready_wait).await;
        let connections = self.context.hub.connections();
        let total = connections.count();
        self.turns.begin(total);
        self.draining.cancel();
        self.tasks.close();
        let gone = tokio::time::timeout(settings.wait, self.tasks.wait());
        tokio::pin!(gone);
        let are_all_gone = loop {
            tokio::select! {
                gone = &mut gone => break gone.is_ok(),
                () = tokio::time::sleep(PROGRESS_EVERY) => {
                    tracing::info!("draining: {} of {total} connections left", connections.count());
                }
            }
        };
        self.stopped.cancel();
        are_all_gone
    }

    /// The turn of a connection, when the server stops.
    pub(crate) fn next_turn(&self) -> Turn {
        self.turns.next(&self.settings.drain, rand::rng().random())
    }

    /// Starts the watchdog; it ends when what this gives is dropped. `on_well` is called after each look at which
    /// everything made progress. Call it when there is a [`Door`](crate::Door), and run [`Server::tend`] as well.
    ///
    /// # Errors
    /// When there can't be another thread.
    pub fn start_watchdog(&self, on_well: OnWell) -> std::io::Result<Watchdog> {
        let metrics = Arc::clone(self.context.hub.metrics());
        let watched = Arc::clone(&self.watched);
        Watchdog::start(watched, self.settings.watchdog, self.clock.clone(), metrics, on_well)
    }

    /// Whether more waits in all connections than may.
    pub(crate) fn queues_are_full(&self) -> bool {
        let queued = usize::try_from(self.context.hub.metrics().queued_bytes.get()).unwrap_or_default();
        queued > self.settings.queued_bytes_max
    }

    /// Counts somebody who was not let in.
    pub(crate) fn refused(&self, reason: Reason) {
        self.context.hub.metrics().count_refused(reason.as_str());
    }
}

impl Server {
    /// Counts a REST request of a principal; the rates are those of sockets.
    ///
    /// # Errors
    /// When there were too many, and of what.
    pub(crate) fn count_request(&self, principal: &Principal, class: RequestClass) -> Result<(), TooMany> {
        let uptime = self.clock.now().uptime;
        self.budgets.take(principal, class, &self.context.settings, uptime).inspect_err(|too_many| {
            let class = too_many.class.map_or("all", RequestClass::as_str);
            self.context.hub.metrics().count_rate_limited(class);
        })
    }
}
