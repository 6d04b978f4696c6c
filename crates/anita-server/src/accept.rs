//! The accept loop: one listener for TLS and, where it is allowed, plain text; HTTP/1.1 with limits and deadlines.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::caller::Wire;
use crate::history::Cut;
use crate::rest;
use crate::server::{Plaintext, Server, SocketPlace};
use crate::shards::{Seat, ShardThreads};
use crate::stream::Stream;
use crate::tls::{Certificates, TlsError};

/// How long to wait after an accept that failed: out of file descriptors, for example, which is not mended by asking
/// again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The first byte of a TLS connection: a handshake record (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// What somebody hears who speaks plain HTTP where only TLS is spoken.
const PLAIN_REFUSED: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n\
    This port speaks TLS: use https:// and wss://.\n";

/// What somebody hears who is not one of the proxies.
const STRANGER_REFUSED: &[u8] =
    b"HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n\
    This port is for this machine, or for the proxies of server.trusted_proxies, only.\n";

/// How much of what such a peer sends is read and thrown away, bytes.
const REFUSED_BYTES_MAX: u64 = 64 * 1024;

/// The largest head of a request, bytes: room for a token in the query and one in a header.
const HEAD_BYTES_MAX: usize = 32 * 1024;

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
    tls: Option<(TlsAcceptor, Certificates)>,
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
        let is_plain_possible = match server.settings.plaintext {
            Plaintext::Never => false,
            Plaintext::Loopback => listen.ip().is_loopback(),
            Plaintext::TrustedProxy(_) => true,
        };
        let tls = match certificates {
            Some(certificates) => Some((TlsAcceptor::from(certificates.server_config()?), certificates)),
            None if is_plain_possible => None,
            None => return Err(ServeError::NoWayIn { listen }),
        };
        let shards = ShardThreads::start(server.context.hub.shards(), server.clock, &server.settings)
            .map_err(ServeError::Thread)?;
        Ok(Self { server, listener, tls, shards })
    }

    /// Serves until the server drains.
    pub async fn serve(self) {
        let Self { server, listener, tls, shards } = self;
        let acceptor = tls.map(|(acceptor, certificates)| {
            server.tasks.spawn(certificates.keep_fresh(server.draining.clone()));
            acceptor
        });
        let router = rest::router(Arc::clone(&server));
        while let Some(accepted) = server.draining.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, address)) => {
                    let Some((place, (shard, runtime, seat))) = server.take_socket().zip(shards.take_seat())
                    else {
                        server.context.hub.metrics().connections_refused.inc();
                        continue;
                    };
                    let arrival = Arrival { stream, address, shard, place: (place, seat) };
                    let task = connection(Arc::clone(&server), router.clone(), acceptor.clone(), arrival);
                    server.tasks.spawn_on(task, runtime);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // The threads go on until the last connection has ended, or nobody waits for it any more.
        tokio::select! {
            () = server.tasks.wait() => {}
            () = server.stopped.cancelled() => {}
        }
        drop(shards);
    }
}

/// A connection that came in, and its places among all and on its thread.
struct Arrival {
    stream: TcpStream,
    address: SocketAddr,
    shard: usize,
    place: (SocketPlace, Seat),
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

async fn connection(server: Arc<Server>, router: Router, tls: Option<TlsAcceptor>, arrival: Arrival) {
    let Arrival { stream, address, shard, place } = arrival;
    let address = address.ip().to_canonical();
    let stream = match settle(stream, server.settings.send_buffer_bytes) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%error, %address, "a connection was gone before it began");
            return;
        }
    };
    let handshake = tokio::time::timeout(server.settings.tls_deadline, secure(&server, tls, stream, address));
    let Ok(Some(stream)) = handshake.await else {
        tracing::debug!(%address, "a connection did not get through its handshake");
        return;
    };
    let wire = Wire { address, is_tls: matches!(stream, Stream::Tls(_)), shard };
    // Held by the service, which the connection keeps alive until its end; an upgrade takes it along.
    let place = Arc::new(place);
    let cut = Cut::default();
    let cut_here = cut.clone();
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(wire);
        request.extensions_mut().insert(Arc::clone(&place));
        request.extensions_mut().insert(cut.clone());
        let router = router.clone();
        async move {
            Ok::<_, Infallible>(
                router.oneshot(request.map(axum::body::Body::new)).await.unwrap_or_else(no_error),
            )
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
        tracing::debug!(%error, %address, "an HTTP connection ended badly");
    }
}

fn no_error(never: Infallible) -> axum::response::Response {
    match never {}
}

/// Begins TLS where the peer speaks it, and lets plain text through where it is allowed.
async fn secure(
    server: &Server,
    tls: Option<TlsAcceptor>,
    stream: TcpStream,
    address: IpAddr,
) -> Option<Stream> {
    let has_tls = tls.is_some();
    let mut first = [0];
    let speaks_tls = stream.peek(&mut first).await.ok()? > 0 && first == [TLS_HANDSHAKE];
    if let Some(acceptor) = tls.filter(|_acceptor| speaks_tls) {
        return acceptor.accept(stream).await.ok().map(|stream| Stream::Tls(Box::new(stream)));
    }
    let is_allowed = match &server.settings.plaintext {
        Plaintext::Never => false,
        Plaintext::Loopback => address.is_loopback(),
        Plaintext::TrustedProxy(proxies) => proxies.contains(&address),
    };
    if is_allowed {
        return Some(Stream::Plain(stream));
    }
    // A courtesy: whether it is heard makes no difference. What the peer still sends is read to the end, so that it
    // sees the answer and not a reset.
    let mut stream = stream;
    stream.write_all(if has_tls { PLAIN_REFUSED } else { STRANGER_REFUSED }).await.ok()?;
    stream.shutdown().await.ok()?;
    tokio::io::copy(&mut stream.take(REFUSED_BYTES_MAX), &mut tokio::io::sink()).await.ok()?;
    None
}
