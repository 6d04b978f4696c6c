//! Servers that follow a script, for the tests of this crate: a WebSocket one on tokio-tungstenite and an HTTP one on hyper,
//! both on port 0.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// A byte stream of either kind.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// The server's end of one connection.
pub(crate) struct Peer {
    /// The `Authorization` header of the handshake.
    pub(crate) authorization: Option<String>,
    pub(crate) socket: WebSocketStream<Box<dyn Io>>,
}

impl Peer {
    pub(crate) async fn say(&mut self, message: Value) {
        self.socket_text(&message.to_string()).await;
    }

    pub(crate) async fn socket_text(&mut self, text: &str) {
        // A client that is gone already is a test's own affair.
        self.socket.send(Message::text(text)).await.ok();
    }

    /// The usual beginning.
    pub(crate) async fn hello(&mut self, heartbeat_secs: f64) {
        let payload = json!({ "client_id": "c1", "status": "authenticated", "heartbeat_interval_secs": heartbeat_secs });
        self.say(json!({ "type": "system.connection", "payload": payload })).await;
    }

    /// The next message of the client; `Null` at its end.
    pub(crate) async fn hear(&mut self) -> Value {
        while let Some(Ok(message)) = self.socket.next().await {
            if let Message::Text(text) = message {
                return serde_json::from_str(&text).unwrap();
            }
        }
        Value::Null
    }

    pub(crate) async fn close(&mut self, number: u16, reason: &str) {
        let frame = CloseFrame { code: number.into(), reason: reason.into() };
        self.socket.close(Some(frame)).await.ok();
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}

/// A certificate for `localhost` and 127.0.0.1.
pub(crate) struct Certificate {
    pub(crate) pem: String,
    pub(crate) fingerprint: String,
    acceptor: TlsAcceptor,
}

impl Certificate {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".into(), "127.0.0.1".into()]).unwrap();
        let der = made.cert.der().clone();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![der.clone()], key).unwrap();
        let fingerprint: Vec<String> =
            Sha256::digest(&der).iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            pem: made.cert.pem(),
            fingerprint: fingerprint.concat(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }
}

/// Plays a script for each connection: its number from 0, and the peer. The address is returned.
pub(crate) async fn websocket<F, R>(certificate: Option<&Certificate>, script: F) -> SocketAddr
where
    F: Fn(usize, Peer) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = certificate.map(|it| it.acceptor.clone());
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let stream: Box<dyn Io> = match &acceptor {
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => Box::new(stream),
                    Err(_refused) => continue,
                },
                None => Box::new(stream),
            };
            let mut authorization = None;
            #[expect(clippy::result_large_err, reason = "the callback's type is tungstenite's")]
            let answer = |request: &server::Request, mut response: server::Response| {
                let found = request.headers().get(header::AUTHORIZATION);
                authorization = found.map(|it| it.to_str().unwrap().to_owned());
                let asked = request.headers().get(header::SEC_WEBSOCKET_PROTOCOL).cloned();
                response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, asked.unwrap());
                Ok(response)
            };
            let socket = tokio_tungstenite::accept_hdr_async(stream, answer).await;
            if let Ok(socket) = socket {
                tokio::spawn(script(number, Peer { authorization, socket }));
            }
        }
    });
    address
}

/// What an HTTP request brought.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) authorization: Option<String>,
    pub(crate) path: String,
    pub(crate) body: Value,
    /// The number of its connection, from 0.
    pub(crate) connection: usize,
}

/// What an HTTP request gets: a status, headers, a body; or nothing at all, when the connection just ends.
pub(crate) type Answered = Option<(u16, Vec<(&'static str, &'static str)>, Value)>;

/// Answers each request by its number from 0; all requests are kept.
pub(crate) async fn http(
    certificate: Option<&Certificate>,
    answer: impl Fn(usize, &Asked) -> Answered + Send + Sync + 'static,
) -> (SocketAddr, Arc<Mutex<Vec<Asked>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = certificate.map(|it| it.acceptor.clone());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (kept, answer) = (Arc::clone(&asked), Arc::new(answer));
    tokio::spawn(async move {
        for connection in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let stream: Box<dyn Io> = match &acceptor {
                Some(acceptor) => Box::new(acceptor.accept(stream).await.unwrap()),
                None => Box::new(stream),
            };
            let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
            let service = service_fn(move |request| {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                async move { respond(connection, request, &kept, &*answer).await }
            });
            let serving =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(serving);
        }
    });
    (address, asked)
}

async fn respond(
    connection: usize,
    request: Request<Incoming>,
    kept: &Mutex<Vec<Asked>>,
    answer: &(impl Fn(usize, &Asked) -> Answered + ?Sized),
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let authorization = parts.headers.get(header::AUTHORIZATION).map(|it| it.to_str().unwrap().to_owned());
    let body = serde_json::from_slice(&body).unwrap();
    let asked = Asked { authorization, path: parts.uri.path().to_owned(), body, connection };
    let number = {
        let mut kept = kept.lock();
        kept.push(asked.clone());
        kept.len() - 1
    };
    let Some((status, headers, body)) = answer(number, &asked) else {
        return Err(std::io::ErrorKind::ConnectionReset.into());
    };
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status.try_into().unwrap();
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// Fails a test that hangs.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it hangs")
}
