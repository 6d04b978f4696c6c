//! Where everything meets: a configuration becomes a running server.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anita_auth::Permission;
use anita_hub::{Hub, HubFault, WebSocketManager};
use anita_issuers::{Issuers, TrustFault};
use anita_metrics::Metrics;
use anita_model::Timestamp;
use anita_server::{Certificates, Clock, Door, ServeError, Server, TlsError, Watchdog};
use anita_session::{Caller, Context, ExtensionError, Extensions};
use anita_sources::{Health, Intake, Source, supervise};
use anita_store::audit::STOP_SERVER;
use anita_store::{OpenError, Retention};
use anita_wire::Refusal;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::Signals;
use crate::config::{Config, OwnCertificate, Tls};
use crate::desk::desk;
use crate::intake::{Healths, HubIntake};
use crate::store;
use crate::supervisor;

/// How often silence is looked at.
const SWEEP_EVERY: Duration = Duration::from_millis(250);

/// How long a server that ends by a fault waits for the store.
const LAST_WORDS_MAX: Duration = Duration::from_secs(5);

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or not ours.
    #[error("cannot listen on {listen}; is another server running there? (server.listen)")]
    Listen {
        /// Which address.
        listen: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The store can't be opened.
    #[error("cannot open the store (storage.url)")]
    Store(#[from] OpenError),
    /// The store can't be read.
    #[error("cannot read the store (storage.url)")]
    Hub(#[from] HubFault),
    /// Certificates of issuers can't be checked.
    #[error("cannot ask an issuer for its keys (auth)")]
    Issuers(#[from] TrustFault),
    /// The certificate can't be used.
    #[error("cannot use the certificate (server.tls)")]
    Tls(#[from] TlsError),
    /// Nobody could come in.
    #[error("nobody could connect")]
    Serve(#[from] ServeError),
    /// A source can't be made.
    #[error("cannot start a source")]
    Source(#[from] anita_sources::ConfigError),
    /// A part of the server is gone.
    #[error("{part} is gone, without which the server is none; the log says why")]
    Gone {
        /// Which part.
        part: String,
    },
    /// A thread can't be started.
    #[error("cannot start the watchdog")]
    Watchdog(#[source] std::io::Error),
    /// The server's task panicked.
    #[error("the server ended by a fault of its own")]
    Panicked(#[from] tokio::task::JoinError),
    /// Signals of the operating system can't be heard.
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
}

impl StartError {
    /// Whether the configuration has to be changed, or what it names: another start would not help.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Issuers(_)
            | Self::Tls(_)
            | Self::Source(_)
            | Self::Serve(ServeError::Tls(_) | ServeError::NoWayIn { .. }) => true,
            Self::Serve(ServeError::Listener(_) | ServeError::Thread(_))
            | Self::Listen { .. }
            | Self::Store(_)
            | Self::Hub(_)
            | Self::Gone { .. }
            | Self::Watchdog(_)
            | Self::Panicked(_)
            | Self::Signals(_) => false,
        }
    }
}

/// A server that is not started yet.
#[derive(Debug)]
pub struct App {
    config: Config,
    extensions: Extensions,
    sources: Vec<SourceSlot>,
}

/// A source that is not started yet.
struct SourceSlot(Box<dyn Source>);

impl std::fmt::Debug for SourceSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "source {}", self.0.name())
    }
}

impl App {
    /// From a configuration.
    pub fn new(config: Config) -> Self {
        Self { config, extensions: Extensions::default(), sources: Vec::new() }
    }

    /// Adds a message type of the application's own: a request `name` with a payload `P`, answered by a message
    /// `answer_type`. Both names begin with `domain.`.
    ///
    /// # Errors
    /// [`ExtensionError`] when a name is not the application's to give, or taken.
    pub fn on<P, A, F, R>(
        &mut self,
        name: &'static str,
        permission: Option<Permission>,
        answer_type: &'static str,
        handler: F,
    ) -> Result<(), ExtensionError>
    where
        P: DeserializeOwned,
        A: Serialize,
        F: Fn(Caller, P) -> R + Send + Sync + 'static,
        R: Future<Output = Result<A, Refusal>> + Send + 'static,
    {
        self.extensions.add(name, permission, answer_type, handler)
    }

    /// Adds a source besides those of the configuration.
    pub fn add_source(&mut self, source: Box<dyn Source>) {
        self.sources.push(SourceSlot(source));
    }

    /// Opens the store, listens, and starts the sources.
    ///
    /// # Errors
    /// [`StartError`]; then nothing runs.
    pub async fn start(self) -> Result<Running, StartError> {
        let Self { mut config, extensions, mut sources } = self;
        for source in std::mem::take(&mut config.sources) {
            sources.push(SourceSlot(source.build()?));
        }
        let clock = Clock::start();
        let now = clock.now();
        let retention = config.storage.retention.clone();
        tracing::info!(storage = ?config.storage.backend, "opening the store");
        let keeping = store::open(&config.storage, config.audit_file.as_ref()).await?;
        let metrics = Arc::new(Metrics::default());
        let issuers = Issuers::new(config.issuers.clone(), config.roles.clone(), Arc::clone(&metrics))?;
        let desk = desk(&mut config, &issuers)?;
        let hub = Hub::open(config.hub, keeping, metrics, now).await?;
        // Whoever was silent for too long while no server ran is so from the first question on.
        hub.sweep(now);
        let context = Context {
            hub: Arc::clone(&hub),
            verifier: Arc::clone(&issuers) as Arc<dyn anita_auth::Authority>,
            settings: config.session,
            extensions,
            playbacks: Arc::default(),
        };
        let certificates = certificates(&config.tls, config.listen)?;
        let listener = listen(config.listen).await?;
        let address =
            listener.local_addr().map_err(|source| StartError::Listen { listen: config.listen, source })?;
        let healths: Vec<Arc<Health>> =
            sources.iter().map(|slot| Health::new(slot.0.name().clone(), now.wall)).collect();
        let described = sources.iter().map(|slot| slot.0.description());
        let reports = Box::new(Healths(described.zip(healths.iter().cloned()).collect()));
        let server = Server::new(Arc::new(context), config.server, clock.clone(), config.site, reports, desk);
        let door = Door::new(Arc::clone(&server), listener, certificates.clone())?;
        let stop = CancellationToken::new();
        let intake: Arc<dyn Intake> = Arc::new(HubIntake { hub: Arc::clone(&hub), clock: clock.clone() });
        let mut tasks: Vec<JoinHandle<()>> = sources
            .into_iter()
            .zip(healths)
            .map(|(slot, health)| tokio::spawn(supervise(slot.0, Arc::clone(&intake), health, stop.clone())))
            .collect();
        enter_changed_keys(&issuers, &hub, &clock);
        tasks.push(tokio::spawn(issuers.keep_fresh(stop.clone())));
        tasks.extend(helpers(&server, &hub, &clock, &retention, &stop));
        let watchdog = server.start_watchdog(Box::new(supervisor::is_well)).map_err(StartError::Watchdog)?;
        hub.audit_start(now.wall, env!("CARGO_PKG_VERSION"));
        let serving = tokio::spawn(door.serve());
        supervisor::is_ready();
        Ok(Running { address, certificates, hub, server, serving, tasks, stop, _watchdog: watchdog })
    }
}

/// The certificate, if there is to be one, and who signs those of clients.
fn certificates(tls: &Tls, listen: SocketAddr) -> Result<Option<Certificates>, TlsError> {
    let own = match &tls.own {
        OwnCertificate::None => return Ok(None),
        OwnCertificate::SelfSigned => Certificates::self_signed(listen.ip())?,
        OwnCertificate::Files { cert_file, key_file } => Certificates::from_files(cert_file, key_file)?,
    };
    match &tls.clients {
        Some(authority) => own.with_clients(authority.clone()).map(Some),
        None => Ok(Some(own)),
    }
}

/// Keeps in the audit trail that changed secrets and keys of files are in force, or why they are not.
fn enter_changed_keys(issuers: &Issuers, hub: &Arc<Hub>, clock: &Clock) {
    let (hub, clock) = (Arc::clone(hub), clock.clone());
    issuers.on_changed_files(move |issuer, read| {
        let read = read.map(|()| issuer).map_err(|fault| fault as &dyn std::error::Error);
        hub.audit_reload(clock.now().wall, "reload keys", read);
    });
}

async fn listen(listen: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(listen).await.map_err(|source| StartError::Listen { listen, source })
}

/// Starts what has to be done now and then.
fn helpers(
    server: &Arc<Server>,
    hub: &Arc<Hub>,
    clock: &Clock,
    retention: &Retention,
    stop: &CancellationToken,
) -> [JoinHandle<()>; 4] {
    let sweeping = {
        let (server, work) = (Arc::clone(server), sweep(Arc::clone(hub), clock.clone(), stop.clone()));
        tokio::spawn(async move { server.vital("sweep", work).await })
    };
    let tending = {
        let (server, stop) = (Arc::clone(server), stop.clone());
        tokio::spawn(async move {
            let work = stop.run_until_cancelled(Arc::clone(&server).tend());
            server.vital("tend", async { work.await.unwrap_or_default() }).await;
        })
    };
    let tidying = {
        let (server, hub, clock) = (Arc::clone(server), Arc::clone(hub), clock.clone());
        let (retention, stop) = (retention.clone(), stop.clone());
        tokio::spawn(async move {
            let work = || store::tidy(Arc::clone(&hub), retention.clone(), clock.clone(), stop.clone());
            stop.run_until_cancelled(server.restarted("tidy", work)).await;
        })
    };
    let saving = {
        let (server, hub, stop) = (Arc::clone(server), Arc::clone(hub), stop.clone());
        tokio::spawn(async move {
            let work = || store::save_states(Arc::clone(&hub), stop.clone());
            stop.run_until_cancelled(server.restarted("save_states", work)).await;
        })
    };
    [sweeping, tending, tidying, saving]
}

/// Lets silence take its effect.
async fn sweep(hub: Arc<Hub>, clock: Clock, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(SWEEP_EVERY)).await.is_some() {
        hub.sweep(clock.now());
    }
}

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    certificates: Option<Certificates>,
    hub: Arc<Hub>,
    server: Arc<Server>,
    serving: JoinHandle<()>,
    tasks: Vec<JoinHandle<()>>,
    stop: CancellationToken,
    _watchdog: Watchdog,
}

impl Running {
    /// Where it listens; the port is the real one, if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its certificate, if it has one.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// Its metrics.
    pub fn metrics(&self) -> &Arc<Metrics> {
        self.hub.metrics()
    }

    /// Its connections and rooms.
    pub fn manager(&self) -> WebSocketManager {
        WebSocketManager::new(Arc::clone(&self.hub))
    }

    /// Runs until SIGTERM or Ctrl-C, then drains. A second signal ends it at once.
    ///
    /// # Errors
    /// [`StartError`] when the server can't serve, or ends by a fault.
    pub async fn until_signal(self) -> Result<(), StartError> {
        let signals = Signals::listen().map_err(StartError::Signals)?;
        self.until(signals).await
    }

    /// The same with signals that were listened for before it was started: one that came meanwhile is not lost.
    ///
    /// # Errors
    /// [`StartError`] when the server can't serve, or ends by a fault.
    pub async fn until(mut self, mut signals: Signals) -> Result<(), StartError> {
        tokio::select! {
            ended = &mut self.serving => {
                self.stop.cancel();
                self.hub.audit_own(Timestamp::now(), STOP_SERVER, "it ended by a fault of its own");
                self.hub.close().await;
                return Ok(ended?);
            }
            part = self.server.failed() => {
                self.stop.cancel();
                // What hangs is not waited for.
                drop(tokio::time::timeout(LAST_WORDS_MAX, self.hub.close()).await);
                return Err(StartError::Gone { part });
            }
            () = signals.next() => {}
        }
        supervisor::is_stopping();
        tracing::info!("draining: clients are told when to come back; a second signal ends at once");
        tokio::select! {
            drained = self.stop() => drained,
            () = signals.next() => Ok(()),
        }
    }

    /// Drains: not ready any more, clients told when to come back, sockets closed, sources stopped.
    ///
    /// # Errors
    /// [`StartError`] when the server had ended by a fault.
    pub async fn stop(self) -> Result<(), StartError> {
        let is_empty = self.server.drain().await;
        if !is_empty {
            tracing::warn!("some connections did not end in time");
        }
        self.stop.cancel();
        let mut ended = Ok(());
        for task in self.tasks {
            ended = ended.and(task.await);
        }
        ended = ended.and(self.serving.await);
        // Last of all, and whatever became of the tasks: what was said until now is kept.
        self.hub.audit_own(Timestamp::now(), STOP_SERVER, "");
        self.hub.close().await;
        Ok(ended?)
    }
}
