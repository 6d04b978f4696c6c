//! The loop of one connection: what can wake it is a closed list, and every branch of it is cancel safe.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anita_hub::{Endpoint, Outlet};
use anita_model::SourceName;
use anita_session::{Credentials, Delivery, Session};
use anita_wire::ErrorCode;
use anita_wire::limits::MESSAGE_BYTES_BEFORE_AUTH_MAX;
use anita_ws::{Close, Event, Limits, Message, Reading, Socket, SocketError};
use bytes::Bytes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use rand::Rng;

use crate::line::Line;
use crate::server::Server;
use crate::stream::Stream;

/// What may wait to be written before the peer's messages are no longer read, bytes.
const QUEUE_BYTES_MAX: usize = 256 * 1024;

/// What a connection may have waiting when all of them together have too much, bytes.
const QUEUE_BYTES_OF_ALL: usize = 16 * 1024;

/// How long a server that ends waits for the answers of one conversation that are under way.
const ANSWERS_WAIT_MAX: Duration = Duration::from_secs(2);

/// How many fragments one message may have.
const FRAGMENT_COUNT_MAX: usize = 1_024;

/// What a client brought to the handshake.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) endpoint: Endpoint,
    pub(crate) credentials: Credentials,
    /// The page's session, whose end ends the connection.
    pub(crate) page: Option<String>,
    pub(crate) address: Option<IpAddr>,
    /// The shard whose thread it is on.
    pub(crate) shard: usize,
    /// Whether compression was agreed on.
    pub(crate) is_compressed: bool,
}

/// What woke the loop.
enum Wake {
    Socket(Result<Event, SocketError>),
    Bell,
    Due,
    Answered,
    Draining,
}

/// Waits for the upgrade and runs the conversation to its end.
pub(crate) async fn run(server: Arc<Server>, on_upgrade: OnUpgrade, opening: Opening) {
    let upgraded = match on_upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => {
            tracing::debug!(%error, address = ?opening.address, "the upgrade did not happen");
            return;
        }
    };
    let Some((stream, leftover)) = taken_apart(upgraded) else { return };
    let limits = Limits {
        message_bytes_max: MESSAGE_BYTES_BEFORE_AUTH_MAX,
        fragment_count_max: FRAGMENT_COUNT_MAX,
        queue_bytes_max: QUEUE_BYTES_MAX,
    };
    let mut socket = Socket::new(stream, leftover, limits);
    let is_compressed = opening.is_compressed;
    if is_compressed {
        socket.accept_compressed();
    }
    let Some(session) = begin(&server, opening) else { return };
    let line = Line::new(socket, Arc::clone(session.peer()));
    let line = Arc::new(if is_compressed { line.compressed() } else { line });
    let peer = Arc::clone(session.peer());
    peer.shard.attach(&peer, Arc::clone(&line) as Arc<dyn Outlet>);
    converse(&server, &line, session).await;
}

/// The connection's own stream, without what HTTP needed around it, and what was read beyond the request.
fn taken_apart(upgraded: Upgraded) -> Option<(Stream, Bytes)> {
    match upgraded.downcast::<TokioIo<Stream>>() {
        Ok(parts) => Some((parts.io.into_inner(), parts.read_buf)),
        Err(_other) => {
            tracing::error!("an upgraded connection is not one of ours");
            None
        }
    }
}

/// `None` when the page's session ended while the connection was being upgraded.
fn begin(server: &Arc<Server>, opening: Opening) -> Option<Box<Session>> {
    let now = server.clock.now();
    let shard = server.context.hub.shards().get(opening.shard)?;
    let registration = server.context.hub.connect(opening.endpoint, opening.address, shard, now);
    if let (Some(page), Credentials::Session(_)) = (&opening.page, &opening.credentials)
        && !server.pages.attach(page, registration.peer())
    {
        return None;
    }
    let context = Arc::clone(&server.context);
    Some(Box::new(Session::open(context, registration, opening.credentials, SourceName::websocket(), now)))
}

async fn converse(server: &Server, line: &Line, mut session: Box<Session>) {
    let peer = Arc::clone(session.peer());
    let mut queued = Queued { server, bytes: 0 };
    let mut is_live = false;
    loop {
        if session.is_live() != is_live {
            is_live = session.is_live();
            let message_bytes_max = server.context.settings.message_bytes_max;
            line.with(|socket| socket.set_message_bytes_max(message_bytes_max));
        }
        let frames = session.take_frames();
        if !frames.is_empty() {
            line.queue(frames);
        }
        if let Some(closing) = session.closing() {
            let (code, reason) = (closing.code, closing.reason.to_text());
            count_close(server, code.reason_code());
            // Out of every room before the close handshake, which may take a while.
            drop(session);
            if let Some(socket) = line.take() {
                let wait_max = server.settings.close_deadline;
                socket.close(code.number(), &reason, Close::AfterFlush, wait_max).await;
            }
            return;
        }
        let (queued_bytes, has_room) =
            line.with(|socket| (socket.queued_bytes(), socket.has_room())).unwrap_or_default();
        queued.set(queued_bytes);
        line.count_sent();
        peer.queued_bytes.store(queued_bytes, Ordering::Relaxed);
        if queued_bytes > QUEUE_BYTES_OF_ALL && server.queues_are_full() {
            session.on_memory();
            continue;
        }
        let reading = if has_room && !session.is_full() { Reading::Active } else { Reading::Paused };
        let due = tokio::time::sleep_until(server.clock.instant_of(session.wake_at()));
        let wake = tokio::select! {
            event = line.next(reading) => Wake::Socket(event),
            () = peer.bell.notified() => Wake::Bell,
            () = due => Wake::Due,
            () = session.answered() => Wake::Answered,
            () = server.draining.cancelled() => Wake::Draining,
        };
        match wake {
            Wake::Socket(Ok(Event::Message(message))) => match heard(server, &mut session, message) {
                Heard::Request => {}
                // A sign of life brings nothing new for the peer.
                Heard::Control => continue,
                Heard::Goodbye(code) => {
                    drop(session);
                    answer_close(server, line, code).await;
                    return;
                }
            },
            Wake::Socket(Ok(Event::Flushed)) | Wake::Bell | Wake::Due | Wake::Answered => {}
            Wake::Socket(Err(error)) => {
                drop(session);
                gone(server, line, &error).await;
                return;
            }
            Wake::Draining => {
                // Whoever waits for the store is answered before the goodbye.
                drop(tokio::time::timeout(ANSWERS_WAIT_MAX, session.all_answered()).await);
                session.on_drain(drain_delay(server));
            }
        }
        // What the socket can't take now is taken when it can: by then it may be newer.
        let is_busy = line.with(|socket| socket.is_busy()).unwrap_or(true);
        let delivery = if is_busy { Delivery::Held } else { Delivery::Open };
        session.on_wake(server.clock.now(), delivery);
    }
}

/// A connection's part of what waits in all of them; nothing of it stays when the connection is gone.
struct Queued<'a> {
    server: &'a Server,
    bytes: usize,
}

impl Queued<'_> {
    fn set(&mut self, bytes: usize) {
        if bytes != self.bytes {
            let change =
                i64::try_from(bytes).unwrap_or(i64::MAX) - i64::try_from(self.bytes).unwrap_or(i64::MAX);
            self.server.context.hub.metrics().queued_bytes.inc_by(change);
            self.bytes = bytes;
        }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// What a message was.
enum Heard {
    Request,
    Control,
    Goodbye(Option<u16>),
}

/// Hands a message to the session.
fn heard(server: &Server, session: &mut Session, message: Message) -> Heard {
    let now = server.clock.now();
    match message {
        Message::Text(text) => {
            session.on_text(text.as_str(), now);
            Heard::Request
        }
        Message::Binary(_bytes) => {
            session.on_binary();
            Heard::Request
        }
        Message::Ping(_) | Message::Pong(_) => {
            session.on_control(now);
            Heard::Control
        }
        Message::Close(close) => Heard::Goodbye(close.map(|close| close.code)),
    }
}

/// The peer said goodbye: it hears the same code.
async fn answer_close(server: &Server, line: &Line, code: Option<u16>) {
    count_close(server, "by_peer");
    let Some(socket) = line.take() else { return };
    let code = code.unwrap_or(anita_ws::close::NORMAL);
    socket.close(code, "", Close::Now, server.settings.close_deadline).await;
}

/// The peer vanished, or broke the protocol.
async fn gone(server: &Server, line: &Line, error: &SocketError) {
    let Some(mut socket) = line.take() else { return };
    match error {
        SocketError::Gone | SocketError::Io(_) => {
            count_close(server, "gone");
            tracing::debug!(%error, "a connection is gone");
        }
        SocketError::Violation(violation) => {
            count_close(server, "violation");
            tracing::debug!(%violation, "a peer broke the protocol");
            let code = violation.close_code();
            let known = anita_wire::CloseCode::ALL.iter().find(|it| it.number() == code).copied();
            if let Some(error) = error_of(code) {
                server.context.hub.metrics().count_error(error.as_str());
                socket.queue(anita_session::refusal_frame(&error.into(), None));
            }
            let reason = known.map(|it| anita_wire::CloseReason::of(it).to_text()).unwrap_or_default();
            socket.close(code, &reason, Close::AfterFlush, server.settings.close_deadline).await;
        }
    }
}

/// What a peer is told before it is closed for a frame: what it can understand and mend.
fn error_of(close_code: u16) -> Option<ErrorCode> {
    match close_code {
        anita_ws::close::TOO_BIG => Some(ErrorCode::TooLarge),
        anita_ws::close::INVALID_DATA => Some(ErrorCode::InvalidJson),
        _ => None,
    }
}

fn count_close(server: &Server, code: &'static str) {
    server.context.hub.metrics().closes.get_or_create(&anita_metrics::CodeLabels { code }).inc();
}

/// Each client comes back at another moment, so that the next server is not overrun.
fn drain_delay(server: &Server) -> Duration {
    let spread_ms = u64::try_from(server.settings.drain_spread.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(rand::rng().random_range(0..spread_ms))
}
