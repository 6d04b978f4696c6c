//! The accept loop: one listener for TLS and, where it is allowed, plain text; HTTP/1.1 with limits and deadlines.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anita_session::Budget;
use axum::Router;
use http::StatusCode;
use http::header::{CONNECTION, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tower::ServiceExt;

use crate::caller::Wire;
use crate::client_certificate::{Presented, refused};
use crate::descriptors::{self, Relief, Reserve};
use crate::guests::{ConnectionPlace, Reason};
use crate::history::Cut;
use crate::proxied;
use crate::rest;
use crate::server::{Plaintext, ProxyProtocol, Server};
use crate::shards::{Seat, ShardThreads};
use crate::stream::{Stream, Tcp};
use crate::tls::{Certificates, TlsError};

/// How long to wait after an accept that failed for want of something that is not mended by asking again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The first byte of a TLS connection: a handshake record (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// What somebody hears who speaks plain HTTP where only TLS is spoken.
const PLAIN_REFUSED: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\nx-content-type-options: nosniff\r\n\
    content-security-policy: default-src 'none'; frame-ancestors 'none'\r\ncache-control: no-store\r\nconnection: close\r\n\r\n\
    This port speaks TLS: use https:// and wss://.\n";

/// What somebody hears who is not one of the proxies.
const STRANGER_REFUSED: &[u8] =
    b"HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain; charset=utf-8\r\nx-content-type-options: nosniff\r\n\
    content-security-policy: default-src 'none'; frame-ancestors 'none'\r\ncache-control: no-store\r\nconnection: close\r\n\r\n\
    This port is for this machine, or for the proxies of server.trusted_proxies, only.\n";

/// How much of what such a peer sends is read and thrown away, bytes.
const REFUSED_BYTES_MAX: u64 = 64 * 1024;

/// The largest head of a request, bytes: room for a token in the query and one in a header.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// How many answers a second a connection gets while it is not known whose it is, or what it asks is too much; as many at
/// once are enough for a page with all that belongs to it. A refusal costs next to nothing, but very many of them would cost
/// those who are served on the same thread their turn.
const UNKNOWN_ANSWERS_PER_SECOND: u32 = 50;

/// Why the server can't begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The certificate can't be used.
    #[error("the certificate cannot be used")]
    Tls(#[from] TlsError),
    /// The listener has no address.
    #[error("the listener has no address")]
    Listener(#[source] std::io::Error),
    /// A thread for connections can't be started.
    #[error("a thread for connections cannot be started")]
    Thread(#[source] std::io::Error),
    /// Neither TLS nor plain text is possible.
    #[error(
        "no certificate, and plaintext does not allow {listen} without one; the ways out: name cert_file and key_file \
         under [server.tls], or set self_signed = true there, or listen on loopback with plaintext = \"loopback\", or \
         put a proxy in front with plaintext = \"trusted_proxy\" and its address in trusted_proxies"
    )]
    NoWayIn {
        /// Where it would listen.
        listen: SocketAddr,
    },
}

/// A listener that somebody can come in through.
pub struct Door {
    server: Arc<Server>,
    listener: TcpListener,
    certificates: Option<Certificates>,
    shards: ShardThreads,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl Door {
    /// Checks that somebody can come in at all; nothing is accepted yet.
    ///
    /// # Errors
    /// [`ServeError`].
    pub fn new(
        server: Arc<Server>,
        listener: TcpListener,
        certificates: Option<Certificates>,
    ) -> Result<Self, ServeError> {
        let listen = listener.local_addr().map_err(ServeError::Listener)?;
        if certificates.is_none() && !server.settings.plaintext.allows(listen.ip()) {
            return Err(ServeError::NoWayIn { listen });
        }
        descriptors::prepare(server.settings.guests.connections_max);
        let shards = ShardThreads::start(&server).map_err(ServeError::Thread)?;
        Ok(Self { server, listener, certificates, shards })
    }

    /// Serves until the server drains.
    pub async fn serve(self) {
        let Self { server, listener, certificates, shards } = self;
        if let Some(certificates) = certificates.clone() {
            let server_here = Arc::clone(&server);
            server.tasks.spawn(async move {
                let (draining, server) = (&server_here.draining, &server_here);
                let heard = |read: Result<&str, &TlsError>| enter_reload(server, read);
                server_here
                    .restarted("certificates", || certificates.clone().keep_fresh(draining.clone(), heard))
                    .await;
            });
        }
        let router = rest::router(Arc::clone(&server));
        let mut reserve = Reserve::new();
        while let Some(accepted) = server.draining.run_until_cancelled(listener.accept()).await {
            let (stream, address) = match accepted {
                Ok((stream, address)) => (stream, address.ip().to_canonical()),
                Err(error) => {
                    after_failure(&server, &listener, &mut reserve, &error).await;
                    continue;
                }
            };
            let entered = enter(&server, address).inspect_err(|reason| server.refused(*reason));
            let Some((place, (shard, runtime, seat))) = entered.ok().zip(shards.take_seat()) else {
                continue;
            };
            let arrival = Arrival { stream, address, shard, place, seat };
            let task = connection(Arc::clone(&server), router.clone(), certificates.clone(), arrival);
            let server_here = Arc::clone(&server);
            server.tasks.spawn_on(async move { server_here.contained("connection", task).await }, runtime);
        }
        // Another server can listen here from now on, and whoever comes meanwhile hears at once that nobody does.
        drop(listener);
        // The threads go on until the last connection has ended, or nobody waits for it any more.
        tokio::select! {
            () = server.tasks.wait() => {}
            () = server.stopped.cancelled() => {}
        }
        drop(shards);
    }
}

/// Keeps in the audit trail that changed certificates are in force, or why they are not.
fn enter_reload(server: &Server, read: Result<&str, &TlsError>) {
    let read = read.map_err(|error| error as &dyn std::error::Error);
    server.context.hub.audit_reload(server.clock.now().wall, "reload certificates", read);
}

/// A place for a connection from this address. A proxy has as many as it likes: its clients are counted instead.
fn enter(server: &Server, address: IpAddr) -> Result<ConnectionPlace, Reason> {
    let proxies = &server.settings.proxies;
    let is_proxy = proxies.trusted.contains(address);
    if proxies.protocol == ProxyProtocol::Required && !is_proxy {
        return Err(Reason::Stranger);
    }
    server.guests.enter(Some(address).filter(|_address| !is_proxy))
}

/// An accept that failed: what there is to do so that the next one is not the same.
async fn after_failure(
    server: &Server,
    listener: &TcpListener,
    reserve: &mut Reserve,
    error: &std::io::Error,
) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
        // The peer was gone before it was accepted: nobody else's trouble.
        return;
    }
    if !descriptors::are_gone(error) {
        tracing::warn!(%error, "a connection could not be accepted");
        tokio::time::sleep(ACCEPT_PAUSE).await;
        return;
    }
    match reserve.refuse(listener, server.clock.now().uptime).await {
        Relief::Refused => server.refused(Reason::Descriptors),
        Relief::Nobody => {}
        Relief::Helpless => tokio::time::sleep(ACCEPT_PAUSE).await,
    }
}

/// A connection that came in, and its places among all and on its thread.
struct Arrival {
    stream: TcpStream,
    address: IpAddr,
    shard: usize,
    place: ConnectionPlace,
    seat: Seat,
}

/// A connection's places. Each request has it; a WebSocket takes it along, and everything else lets it go when the
/// connection ends.
#[derive(Debug)]
pub(crate) struct Visit {
    place: ConnectionPlace,
    _seat: Seat,
}

impl Visit {
    /// The connection's place.
    pub(crate) fn place(&self) -> &ConnectionPlace {
        &self.place
    }
}

/// Hands a socket over to the thread that this is called on, with small buffers in the kernel: what waits there can't
/// be replaced by what is newer.
fn settle(stream: TcpStream, send_buffer_bytes: usize) -> std::io::Result<TcpStream> {
    let socket = SockRef::from(&stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(send_buffer_bytes)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(u32::try_from(send_buffer_bytes / 2).unwrap_or(u32::MAX))?;
    TcpStream::from_std(stream.into_std()?)
}

async fn connection(
    server: Arc<Server>,
    router: Router,
    certificates: Option<Certificates>,
    arrival: Arrival,
) {
    let Arrival { stream, address, shard, mut place, seat } = arrival;
    let stream = match settle(stream, server.settings.send_buffer_bytes) {
        Ok(stream) => Tcp::new(stream, server.settings.write_deadline),
        Err(error) => {
            tracing::debug!(%error, %address, "a connection was gone before it began");
            return;
        }
    };
    let secured = secure(&server, certificates, stream, address, &mut place);
    let secured = tokio::time::timeout(server.settings.tls_deadline, secured);
    // Who has not said anything yet has nothing to be waited for.
    let Some(secured) = server.draining.run_until_cancelled(secured).await else { return };
    let (stream, address) = match secured {
        Ok(Ok(secured)) => secured,
        Ok(Err(reason)) => {
            if reason != Reason::Silent {
                server.refused(reason);
            }
            tracing::debug!(%address, reason = reason.as_str(), "a connection was refused");
            return;
        }
        Err(_elapsed) => {
            server.context.hub.metrics().count_deadline("tls");
            tracing::debug!(%address, "a connection did not get through its handshake in time");
            return;
        }
    };
    let wire = Wire { address, is_tls: matches!(stream, Stream::Tls(_)), shard };
    let presented = stream.client_certificate();
    let presented = presented.and_then(|der| Presented::read(der, &server.settings.certificate_rules));
    let visit = Arc::new(Visit { place, _seat: seat });
    speak_http(&server, router, stream, (wire, visit, presented)).await;
}

/// HTTP/1.1 until the connection ends, or becomes a WebSocket. Each request has what is known of the connection.
async fn speak_http(
    server: &Arc<Server>,
    router: Router,
    stream: Stream,
    (wire, visit, presented): (Wire, Arc<Visit>, Option<Presented>),
) {
    let address = wire.address;
    let cut = Cut::default();
    let cut_here = cut.clone();
    let kept = Arc::new(Kept::new(Arc::clone(server), Arc::clone(&visit), address));
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(wire);
        request.extensions_mut().insert(Arc::clone(&visit));
        if let Some(presented) = &presented {
            request.extensions_mut().insert(presented.clone());
        }
        request.extensions_mut().insert(cut.clone());
        let router = router.clone();
        let kept = Arc::clone(&kept);
        async move {
            let mut response =
                router.oneshot(request.map(axum::body::Body::new)).await.unwrap_or_else(no_error);
            kept.before(&mut response).await;
            Ok::<_, Infallible>(response)
        }
    });
    let http = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(server.settings.header_deadline)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(http);
    let finished = tokio::select! {
        ended = &mut http => ended,
        () = cut_here.0.cancelled() => return,
        () = server.draining.cancelled() => {
            http.as_mut().graceful_shutdown();
            tokio::select! {
                ended = http => ended,
                () = cut_here.0.cancelled() => return,
            }
        }
    };
    if let Err(error) = finished {
        count_http_deadline(server, &error);
        tracing::debug!(%error, %address, "an HTTP connection ended badly");
    }
}

/// What bounds a connection that asks again and again.
struct Kept {
    server: Arc<Server>,
    visit: Arc<Visit>,
    until: Instant,
    answers: Mutex<Budget>,
    /// Whether the other end is a trusted proxy.
    is_proxy: bool,
}

impl Kept {
    fn new(server: Arc<Server>, visit: Arc<Visit>, address: IpAddr) -> Self {
        let until = Instant::now() + server.settings.keep_alive;
        let answers = Mutex::new(Budget::new(UNKNOWN_ANSWERS_PER_SECOND, server.clock.now().uptime));
        let is_proxy = server.settings.proxies.trusted.contains(address);
        Self { server, visit, until, answers, is_proxy }
    }

    /// Holds an answer back where it comes too fast, and says that it is the last where it is.
    async fn before(&self, response: &mut axum::response::Response) {
        let status = response.status();
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return;
        }
        let is_too_much = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        // Many share the connection of a proxy, and one of them is no measure for the others.
        let is_unknown = !self.is_proxy && !self.visit.place().is_known();
        if is_too_much || is_unknown {
            let take = || self.answers.lock().take(self.server.clock.now().uptime).err();
            let mut wait = take();
            if wait.is_some() {
                self.server.context.hub.metrics().count_rate_limited("connection");
            }
            while let Some(again) = wait {
                tokio::time::sleep(again).await;
                wait = take();
            }
        }
        if Instant::now() >= self.until {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

fn no_error(never: Infallible) -> axum::response::Response {
    match never {}
}

/// Counts an HTTP connection that ended because its peer was too slow.
fn count_http_deadline(server: &Server, error: &hyper::Error) {
    let metrics = server.context.hub.metrics();
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
    if error.is_timeout() {
        metrics.count_deadline("header");
    } else if cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::TimedOut) {
        metrics.count_deadline("write");
    }
}

/// Hears what a proxy says first, begins TLS where the peer speaks it, and lets plain text through where it is allowed.
/// Returns the address of the client as well.
async fn secure(
    server: &Server,
    certificates: Option<Certificates>,
    mut stream: Tcp,
    peer: IpAddr,
    place: &mut ConnectionPlace,
) -> Result<(Stream, IpAddr), Reason> {
    let mut address = peer;
    if server.settings.proxies.protocol == ProxyProtocol::Required {
        let said = proxied::read_header(&mut stream).await.map_err(|error| {
            tracing::debug!(%error, %peer, "a proxy did not say whom it speaks for");
            Reason::ProxyHeader
        })?;
        if let Some(client) = said {
            place.name(client)?;
            address = client;
        }
    }
    let mut first = [0];
    let peeked = stream.tcp().peek(&mut first).await.map_err(|_gone| Reason::Silent)?;
    if peeked == 0 {
        // Gone without a word, as health checks of balancers are: nobody was refused anything.
        return Err(Reason::Silent);
    }
    let has_tls = certificates.is_some();
    let speaks_tls = first == [TLS_HANDSHAKE];
    if let Some(certificates) = certificates.filter(|_certificates| speaks_tls) {
        let counted = Some(address).filter(|address| !server.settings.proxies.trusted.contains(*address));
        server.guests.count_tls_handshake(counted, server.clock.now().uptime)?;
        let secured = certificates.acceptor().accept(stream).await.map_err(|error| {
            tracing::debug!(%error, %address, "a TLS handshake failed");
            let Some(why) = refused::reason(&error) else { return Reason::Tls };
            server.refused_certificate(address, &why);
            Reason::ClientCertificate
        })?;
        return Ok((Stream::Tls(Box::new(secured)), address));
    }
    let is_allowed = match &server.settings.plaintext {
        Plaintext::Never => false,
        Plaintext::Loopback => address.is_loopback(),
        Plaintext::TrustedProxy => server.settings.proxies.trusted.contains(peer),
    };
    if is_allowed {
        return Ok((Stream::Plain(stream), address));
    }
    refuse_plain(stream, if has_tls { PLAIN_REFUSED } else { STRANGER_REFUSED }).await.ok();
    Err(Reason::Stranger)
}

/// A courtesy: whether it is heard makes no difference. What the peer still sends is read to the end, so that it sees the
/// answer and not a reset.
async fn refuse_plain(mut stream: Tcp, answer: &[u8]) -> std::io::Result<()> {
    stream.write_all(answer).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(REFUSED_BYTES_MAX), &mut tokio::io::sink()).await?;
    Ok(())
}
