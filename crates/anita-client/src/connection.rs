//! One connection: the hello, messages, requests, and the goodbye. It is driven by whoever waits on it, not by a task: pings are
//! answered, and silence is noticed, while [`Connection::next`] or [`Connection::request`] is awaited.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anita_wire::SUBPROTOCOL;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, Request, header};
use rustls::ClientConfig;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as CloseNumber;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::address::Address;
use crate::envelope::Envelope;
use crate::error::{Close, ConnectError, Lost, RequestError, ServerError, lost};
use crate::stream::Stream;
use crate::token::Token;
use crate::trust::Trust;

/// How many messages are kept for [`Connection::next`] while requests wait for their answers.
const KEPT_MAX: usize = 10_000;

/// After this many heartbeat intervals without a sign of life the server is gone.
const SILENT_INTERVALS: f64 = 2.5;

/// How long a socket gets to hand out what has arrived, before its silence counts: the owner may not have looked for long.
const SILENCE_GRACE: Duration = Duration::from_millis(250);

/// How long a goodbye may take.
const CLOSE_DEADLINE: Duration = Duration::from_secs(3);

/// What a read buffer holds at first, bytes. A load generator has thousands of connections.
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// Where to connect, as whom, and what to trust.
#[derive(Debug, Clone)]
pub struct Options {
    /// The URL of the WebSocket: `wss://host[:port]/ws/uwb`. It is not printed: its query may hold a token.
    pub url: Url,
    /// The token, sent in the `Authorization` header.
    pub token: Option<Token>,
    /// Which certificates are trusted.
    pub trust: Trust,
    /// Whether plain text may go to other machines than this one.
    pub allow_plain: bool,
    /// How long all may take from the first packet to the hello.
    pub connect_deadline: Duration,
    /// The largest message that is taken, bytes.
    pub message_bytes_max: usize,
}

/// A URL, whose query is not printed: it may hold a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(pub String);

impl std::fmt::Debug for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0.split(['?', '#']).next().unwrap_or_default())
    }
}

/// Makes connections.
#[derive(Debug)]
pub struct Client;

/// An authenticated connection.
#[derive(Debug)]
pub struct Connection {
    socket: WebSocketStream<Stream>,
    hello: Envelope,
    heartbeat_interval: Duration,
    heard_at: Instant,
    /// When silence counts, once the server has been silent for too long.
    grace_ends_at: Option<Instant>,
    /// Messages that came while a request waited.
    kept: VecDeque<Envelope>,
    next_id: u64,
    /// Whether its end was told.
    is_over: bool,
}

#[derive(Deserialize)]
struct Hello {
    heartbeat_interval_secs: f64,
}

#[derive(Serialize)]
struct Outgoing<'a, P> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    payload: &'a P,
}

// === impl Options ===

impl Options {
    /// To a URL, without a token, trusting what the system trusts.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: Url(url.into()),
            token: None,
            trust: Trust::System,
            allow_plain: false,
            connect_deadline: Duration::from_secs(10),
            message_bytes_max: 4 * 1024 * 1024,
        }
    }
}

// === impl Client ===

impl Client {
    /// Connects, and waits for the server's hello.
    ///
    /// # Errors
    /// [`ConnectError`], which says whether to come back.
    pub async fn connect(options: Options) -> Result<Connection, ConnectError> {
        let address = Address::parse(&options.url.0)?;
        if !options.allow_plain {
            address.check_secrecy()?;
        }
        let tls = if address.is_tls { Some(options.trust.client_config()?) } else { None };
        let deadline = options.connect_deadline;
        let opened = timeout(deadline, open(&address, tls.as_ref(), &options)).await;
        opened.map_err(|_elapsed| ConnectError::Deadline(deadline))?
    }
}

// === impl Connection ===

impl Connection {
    /// The `system.connection` that began it.
    pub fn hello(&self) -> &Envelope {
        &self.hello
    }

    /// The next message; `None` when the connection ended as it should (1000, or our own goodbye). Cancel safe.
    ///
    /// # Errors
    /// [`Lost`], once; after that `None`.
    pub async fn next(&mut self) -> Result<Option<Envelope>, Lost> {
        match self.kept.pop_front() {
            Some(message) => Ok(Some(message)),
            None => self.receive().await,
        }
    }

    /// Sends a message that carries no id. Cancelled midway, the message may or may not be sent.
    ///
    /// # Errors
    /// [`RequestError::Payload`] and [`RequestError::Lost`].
    pub async fn send<P: Serialize + ?Sized>(&mut self, kind: &str, payload: &P) -> Result<(), RequestError> {
        self.write(kind, None, &payload).await
    }

    /// Sends a text as it is: for trials of what a server does with it.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn send_text(&mut self, text: impl Into<String>) -> Result<(), Lost> {
        self.socket.send(Message::text(text.into())).await.map_err(lost)
    }

    /// Sends a request and waits for its answer. What else comes meanwhile is kept for [`Connection::next`], up to 10,000
    /// messages.
    ///
    /// # Errors
    /// [`RequestError`]; after [`RequestError::Refused`], [`RequestError::Deadline`] and [`RequestError::Payload`] the
    /// connection goes on.
    pub async fn request<P: Serialize + ?Sized>(
        &mut self,
        kind: &str,
        payload: &P,
        deadline: Duration,
    ) -> Result<Envelope, RequestError> {
        let ends_at = Instant::now() + deadline;
        let id = format!("r{}", self.next_id);
        self.next_id += 1;
        let id_json = json!(id).to_string();
        let answered = async {
            self.write(kind, Some(id), &payload).await?;
            self.answer_to(&id_json).await
        };
        let answer = timeout_at(ends_at, answered).await;
        let answer = answer.map_err(|_elapsed| RequestError::Deadline(deadline))??;
        if answer.kind == "error" { Err(server_error(&answer).into()) } else { Ok(answer) }
    }

    /// Says goodbye and waits a little for the answer. What still comes is dropped.
    pub async fn close(mut self) {
        let frame = CloseFrame { code: CloseNumber::Normal, reason: "".into() };
        let goodbye = async {
            self.socket.close(Some(frame)).await?;
            while self.socket.next().await.transpose()?.is_some() {}
            Ok::<(), tungstenite::Error>(())
        };
        match timeout(CLOSE_DEADLINE, goodbye).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the goodbye was not heard"),
            Err(_elapsed) => tracing::debug!("the goodbye was not answered"),
        }
    }

    /// Waits for the answer with an id, and keeps what else comes.
    async fn answer_to(&mut self, id: &str) -> Result<Envelope, RequestError> {
        loop {
            let message = self.receive().await?;
            let message = message.ok_or_else(|| Lost::Closed(Close::of(None)))?;
            match &message.id {
                Some(found) if found.get() == id => return Ok(message),
                // The answer to a request that was given up.
                Some(_) => {}
                None if self.kept.len() >= KEPT_MAX => return Err(Lost::Overrun(KEPT_MAX).into()),
                None => self.kept.push_back(message),
            }
        }
    }

    async fn write<P: Serialize>(
        &mut self,
        kind: &str,
        id: Option<String>,
        payload: &P,
    ) -> Result<(), RequestError> {
        let text = serde_json::to_string(&Outgoing { kind, id, payload }).map_err(RequestError::Payload)?;
        Ok(self.send_text(text).await?)
    }

    /// The next message from the socket. Cancel safe.
    async fn receive(&mut self) -> Result<Option<Envelope>, Lost> {
        if self.is_over {
            return Ok(None);
        }
        let received = self.receive_text().await;
        let received = received.and_then(|text| match text {
            Some(text) => Envelope::parse(text).map(Some).map_err(|error| Lost::Protocol(error.to_string())),
            None => Ok(None),
        });
        self.is_over = !matches!(received, Ok(Some(_)));
        received
    }

    async fn receive_text(&mut self) -> Result<Option<String>, Lost> {
        let silence_max = self.heartbeat_interval.mul_f64(SILENT_INTERVALS);
        // A grace that ended while nobody looked was none.
        self.grace_ends_at = self.grace_ends_at.filter(|ends_at| *ends_at > Instant::now());
        loop {
            let deadline = self.grace_ends_at.unwrap_or(self.heard_at + silence_max);
            let frame = match timeout_at(deadline, self.socket.next()).await {
                Ok(Some(frame)) => frame.map_err(lost)?,
                Ok(None) => return Err(Lost::Broken(std::io::ErrorKind::UnexpectedEof.into())),
                Err(_elapsed) if self.grace_ends_at.is_some() => return Err(Lost::Silent(silence_max)),
                Err(_elapsed) => {
                    // Kept here, not in this future: whoever stops waiting and begins anew gains no time by it.
                    self.grace_ends_at = Some(Instant::now() + SILENCE_GRACE);
                    continue;
                }
            };
            self.heard_at = Instant::now();
            self.grace_ends_at = None;
            match frame {
                Message::Text(text) => return Ok(Some(text.as_str().to_owned())),
                Message::Binary(_) => return Err(Lost::Protocol("a binary message".to_owned())),
                // A pong is queued by the layer below, and written by the next look at the socket.
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                Message::Close(close) => {
                    let close = Close::of(close.as_ref());
                    self.answer_close().await;
                    return if close.number == 1000 { Ok(None) } else { Err(Lost::Closed(close)) };
                }
            }
        }
    }

    /// Lets the layer below write its answer to a close, and waits for the end of the stream.
    async fn answer_close(&mut self) {
        let rest = async { while matches!(self.socket.next().await, Some(Ok(_))) {} };
        if timeout(CLOSE_DEADLINE, rest).await.is_err() {
            tracing::debug!("the server did not end the stream after its close");
        }
    }
}

async fn open(
    address: &Address,
    tls: Option<&Arc<ClientConfig>>,
    options: &Options,
) -> Result<Connection, ConnectError> {
    let request = upgrade_request(address, options.token.as_ref())?;
    let stream = Stream::connect(address, tls).await?;
    let limits = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(options.message_bytes_max))
        .max_frame_size(Some(options.message_bytes_max));
    let opened = tokio_tungstenite::client_async_with_config(request, stream, Some(limits)).await;
    let (mut socket, response) = opened.map_err(handshake_error)?;
    if response.headers().get(header::SEC_WEBSOCKET_PROTOCOL).is_none_or(|it| it != SUBPROTOCOL) {
        let reason = format!("it does not confirm the subprotocol {SUBPROTOCOL}");
        return Err(ConnectError::Protocol { reason });
    }
    let hello = hello(&mut socket).await?;
    let spoken = hello.payload_as::<Hello>();
    let interval = spoken.ok().and_then(|it| Duration::try_from_secs_f64(it.heartbeat_interval_secs).ok());
    let heartbeat_interval = interval.filter(|it| !it.is_zero()).ok_or_else(|| ConnectError::Protocol {
        reason: "its hello names no heartbeat interval".to_owned(),
    })?;
    let heard_at = Instant::now();
    let kept = VecDeque::new();
    let (grace_ends_at, next_id, is_over) = (None, 1, false);
    Ok(Connection { socket, hello, heartbeat_interval, heard_at, grace_ends_at, kept, next_id, is_over })
}

fn upgrade_request(address: &Address, token: Option<&Token>) -> Result<Request<()>, ConnectError> {
    let url = address.websocket_url();
    let mut request = url
        .into_client_request()
        .map_err(|_unusable| ConnectError::Protocol { reason: "the URL cannot be asked for".to_owned() })?;
    let headers = request.headers_mut();
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    if let Some(token) = token {
        headers.insert(header::AUTHORIZATION, authorization(token)?);
    }
    Ok(request)
}

/// The header that carries a token; logs of the layers below do not show it.
pub(crate) fn authorization(token: &Token) -> Result<HeaderValue, ConnectError> {
    let value = HeaderValue::from_str(&format!("Bearer {}", token.reveal()));
    let mut value = value.map_err(|_not_a_token| ConnectError::TokenCharacters)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Waits for `system.connection`, or for what comes instead.
async fn hello(socket: &mut WebSocketStream<Stream>) -> Result<Envelope, ConnectError> {
    let mut error = None;
    loop {
        let frame = match socket.next().await {
            Some(Ok(frame)) => frame,
            Some(Err(tungstenite::Error::Io(source))) => return Err(ConnectError::Broken(source)),
            Some(Err(fault)) => match lost(fault) {
                Lost::Broken(source) => return Err(ConnectError::Broken(source)),
                other @ (Lost::Closed(_) | Lost::Silent(_) | Lost::Protocol(_) | Lost::Overrun(_)) => {
                    return Err(ConnectError::Protocol { reason: other.to_string() });
                }
            },
            None => return Err(ConnectError::Broken(std::io::ErrorKind::UnexpectedEof.into())),
        };
        match frame {
            Message::Text(text) => {
                let message = Envelope::parse(text.as_str())
                    .map_err(|fault| ConnectError::Protocol { reason: fault.to_string() })?;
                match message.kind.as_str() {
                    "system.connection" => return Ok(message),
                    "system.auth_required" => return Err(ConnectError::TokenNeeded),
                    "error" => error = Some(Box::new(server_error(&message))),
                    _ => {}
                }
            }
            Message::Close(close) => {
                let close = Close::of(close.as_ref());
                return Err(ConnectError::Refused { error, close });
            }
            Message::Binary(_) => {
                return Err(ConnectError::Protocol { reason: "a binary message".to_owned() });
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}

/// The `error` of a message; a broken one is still an error.
pub(crate) fn server_error(message: &Envelope) -> ServerError {
    message.payload_as().unwrap_or_else(|_broken| ServerError {
        code: "internal".to_owned(),
        message: message.payload.get().chars().take(200).collect(),
        retryable: true,
        retry_after_ms: None,
        details: None,
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all else is a breach of the protocol, whatever it is")]
fn handshake_error(error: tungstenite::Error) -> ConnectError {
    match error {
        tungstenite::Error::Http(response) => {
            let body = response.body().as_deref().unwrap_or_default();
            http_error(response.status().as_u16(), response.headers(), body)
        }
        tungstenite::Error::Io(source) => ConnectError::Broken(source),
        tungstenite::Error::Protocol(tungstenite::error::ProtocolError::HandshakeIncomplete) => {
            ConnectError::Broken(std::io::ErrorKind::UnexpectedEof.into())
        }
        other => ConnectError::Protocol { reason: other.to_string() },
    }
}

#[derive(Deserialize)]
struct Problem {
    code: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    retryable: bool,
    #[serde(default)]
    retry_after_ms: Option<u64>,
    #[serde(default)]
    details: Option<serde_json::Value>,
}

/// An HTTP answer that is a refusal, with its problem where it is one of ours.
pub(crate) fn http_error(status: u16, headers: &http::HeaderMap, body: &[u8]) -> ConnectError {
    let problem = serde_json::from_slice::<Problem>(body).ok();
    let of_header = headers
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    let of_problem = problem.as_ref().and_then(|it| it.retry_after_ms).map(Duration::from_millis);
    let error = problem.map(|it| {
        Box::new(ServerError {
            code: it.code,
            message: it.detail,
            retryable: it.retryable,
            retry_after_ms: it.retry_after_ms,
            details: it.details,
        })
    });
    // The problem is exact; the header is its whole seconds.
    ConnectError::Http { status, error, retry_after: of_problem.or(of_header) }
}

#[cfg(test)]
mod tests;
