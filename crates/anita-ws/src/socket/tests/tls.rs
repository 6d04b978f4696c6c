//! The socket over TLS, where what was written leaves only when it is flushed, and each write is a record.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::offering::{connected_by_tcp, speak_and_hear};
use super::*;

/// Counts the writes that reach the stream below TLS.
struct Counted {
    stream: DuplexStream,
    write_count: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write_count.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

struct Connected {
    socket: Socket<server::TlsStream<Counted>>,
    client: client::TlsStream<DuplexStream>,
    write_count: Arc<AtomicUsize>,
}

/// TLS over TCP, as a server has it.
struct OverTcp(server::TlsStream<TcpStream>);

impl Transport for OverTcp {
    fn poll_writable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.get_ref().0.poll_write_ready(context)
    }
}

impl AsyncRead for OverTcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for OverTcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// What both ends need to trust each other.
fn configurations() -> (TlsAcceptor, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let key = made.signing_key.serialize_der().try_into().unwrap();
    let server_config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let client_config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (TlsAcceptor::from(Arc::new(server_config)), TlsConnector::from(Arc::new(client_config)))
}

async fn connected_by_tls(buffer_bytes: usize) -> Connected {
    let (acceptor, connector) = configurations();
    let (server, client) = duplex(buffer_bytes);
    let write_count = Arc::new(AtomicUsize::new(0));
    let server = Counted { stream: server, write_count: Arc::clone(&write_count) };
    let name = ServerName::try_from("localhost").unwrap();
    let (server, client) = tokio::join!(acceptor.accept(server), connector.connect(name, client),);
    Connected {
        socket: Socket::new(server.unwrap(), Bytes::new(), LIMITS),
        client: client.unwrap(),
        write_count,
    }
}

#[tokio::test]
async fn many_small_frames_leave_in_one_write() {
    let Connected { mut socket, mut client, write_count } = connected_by_tls(100_000).await;
    // The tickets of the handshake are out of the way after this.
    client.write_all(&whole(Opcode::Text, b"hello")).await.unwrap();
    next_message(&mut socket).await;
    let before = write_count.load(Ordering::Relaxed);
    let mut expected = Vec::new();
    for number in 0..50 {
        let frame = frame::text(&format!("frame {number}"));
        expected.extend_from_slice(&frame);
        socket.queue(frame);
    }
    assert_eq!(socket.next(Reading::Active).await.unwrap(), Event::Flushed);
    assert_eq!(write_count.load(Ordering::Relaxed) - before, 1);
    let mut heard = vec![0; expected.len()];
    client.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, expected);
}

#[tokio::test]
async fn a_slow_client_gets_everything_and_then_the_close_frame() {
    let Connected { mut socket, mut client, .. } = connected_by_tls(600).await;
    let frames: Vec<_> = (0..300).map(|number| frame::binary(&vec![7; number])).collect();
    let expected = frames.concat();
    let server = async {
        for frame in frames {
            socket.queue(frame);
        }
        assert_eq!(socket.next(Reading::Active).await.unwrap(), Event::Flushed);
        socket.close(1000, "", Close::Now, Duration::from_secs(9)).await
    };
    let hears = async {
        let mut heard = vec![0; expected.len()];
        client.read_exact(&mut heard).await.unwrap();
        assert!(heard == expected);
        let mut close = [0; 4];
        client.read_exact(&mut close).await.unwrap();
        assert_eq!(close[..], frame::close(1000, ""));
        client.write_all(&whole(Opcode::Close, b"\x03\xe8")).await.unwrap();
        // The end is announced by TLS too, else this is an error.
        assert_eq!(client.read(&mut close).await.unwrap(), 0);
        client.shutdown().await.unwrap();
    };
    let (closed, ()) = tokio::join!(server, hears);
    assert_eq!(closed, Closed::Clean);
}

#[tokio::test]
async fn what_is_offered_to_a_slow_client_arrives_once() {
    let (acceptor, connector) = configurations();
    let (server, client) = connected_by_tcp().await;
    let name = ServerName::try_from("localhost").unwrap();
    let (server, client) = tokio::join!(acceptor.accept(server), connector.connect(name, client));
    speak_and_hear(OverTcp(server.unwrap()), client.unwrap()).await;
}
