//! The loop of one connection: what can wake it is a closed list, and every branch of it is cancel safe.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anita_hub::{Endpoint, Introduction, Outlet};
use anita_model::SourceName;
use anita_session::{Closing, Credentials, Delivery, Session};
use anita_wire::ErrorCode;
use anita_ws::{Close, Event, Limits, Message, Reading, Socket, SocketError};
use bytes::Bytes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;

use crate::accept::Visit;
use crate::guests::SocketPlace;
use crate::line::Line;
use crate::server::Server;
use crate::stream::Stream;

/// What may wait to be written before the peer's messages are no longer read, bytes.
const QUEUE_BYTES_MAX: usize = 256 * 1024;

/// What a connection may have waiting when all of them together have too much, bytes.
const QUEUE_BYTES_OF_ALL: usize = 16 * 1024;

/// How long a server that ends waits for the answers of one conversation that are under way.
const ANSWERS_WAIT_MAX: Duration = Duration::from_secs(2);

/// When whoever has too many connections may try again.
const USER_FULL_RETRY_AFTER: Duration = Duration::from_secs(10);

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
    /// What its client says of itself.
    pub(crate) introduction: Introduction,
}

/// The places that it has; free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Stay {
    /// Among all `WebSockets`.
    pub(crate) place: SocketPlace,
    /// That of the TCP connection.
    pub(crate) _visit: Arc<Visit>,
}

/// What woke the loop.
enum Wake {
    Socket(Result<Event, SocketError>),
    /// A message has begun: from now on its deadline counts.
    Begun,
    Bell,
    Due,
    Answered,
    Draining,
}

/// Waits for the upgrade and runs the conversation to its end.
pub(crate) async fn run(server: Arc<Server>, on_upgrade: OnUpgrade, opening: Opening, mut stay: Stay) {
    let upgraded = match on_upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => {
            tracing::debug!(%error, address = ?opening.address, "the upgrade did not happen");
            return;
        }
    };
    let Some((stream, leftover)) = taken_apart(upgraded) else { return };
    let limits = Limits {
        message_bytes_max: server.context.settings.unauthenticated_message_bytes_max,
        fragment_count_max: server.settings.fragments_max,
        queue_bytes_max: QUEUE_BYTES_MAX,
    };
    let mut socket = Socket::new(stream, leftover, limits);
    let is_compressed = opening.introduction.is_compressed;
    if is_compressed {
        socket.accept_compressed();
    }
    let Some(session) = begin(&server, opening) else { return };
    let line = Line::new(socket, Arc::clone(session.peer()));
    let line = Arc::new(if is_compressed { line.compressed() } else { line });
    let peer = Arc::clone(session.peer());
    peer.shard.attach(&peer, Arc::clone(&line) as Arc<dyn Outlet>);
    converse(&server, &line, session, &mut stay.place).await;
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
    // It is a new one: nobody introduced it before.
    registration.peer().introduction.set(opening.introduction).ok();
    if let (Some(page), Credentials::Session(_)) = (&opening.page, &opening.credentials)
        && !server.pages.attach(page, registration.peer())
    {
        return None;
    }
    let context = Arc::clone(&server.context);
    Some(Box::new(Session::open(context, registration, opening.credentials, SourceName::websocket(), now)))
}

/// Since when a message is under way that is not complete.
#[derive(Debug, Default)]
struct Unfinished {
    /// By the uptime.
    since: Option<Duration>,
}

impl Unfinished {
    /// Takes note of whether there is one, and says when it is overdue, by the uptime. While nothing is read, nothing
    /// can be finished.
    fn due_at(&mut self, reading: Reading, server: &Server, line: &Line) -> Duration {
        let is_mid_message = line.with(|socket| socket.is_mid_message()).unwrap_or_default();
        if !is_mid_message || reading == Reading::Paused {
            self.since = None;
            return Duration::MAX;
        }
        let since = *self.since.get_or_insert_with(|| server.clock.now().uptime);
        since.saturating_add(server.settings.message_deadline)
    }

    /// Ends the conversation when it is overdue.
    fn judge(&self, due_at: Duration, server: &Server, session: &mut Session) {
        if self.since.is_some() && server.clock.now().uptime >= due_at {
            server.context.hub.metrics().count_deadline("message");
            session.on_message_deadline();
        }
    }
}

/// It is known whose the connection is: larger messages are read, and it counts as that user's, or ends where these are
/// too many.
fn become_live(server: &Server, line: &Line, session: &mut Session, place: &mut SocketPlace) {
    let message_bytes_max = server.context.settings.message_bytes_max;
    line.with(|socket| socket.set_message_bytes_max(message_bytes_max));
    let Some(identity) = session.peer().identity() else { return };
    if let Err(reason) = server.guests.authenticated(place, &identity.user) {
        server.refused(reason);
        session.on_too_many_sockets(USER_FULL_RETRY_AFTER);
    }
}

/// The server stops: says so, and returns when the connection is closed, by the uptime, and when its client is to come
/// back.
fn announce_goodbye(server: &Server, session: &mut Session) -> (Duration, Duration) {
    let turn = server.next_turn();
    session.on_drain_notice(turn.retry_after);
    (server.clock.now().uptime.saturating_add(turn.close_after), turn.retry_after)
}

/// Closes as the session has ended.
async fn close(server: &Server, line: &Line, closing: &Closing) {
    count_close(server, closing.code.reason_code());
    if let Some(socket) = line.take() {
        let (reason, wait_max) = (closing.reason.to_text(), server.settings.close_deadline);
        socket.close(closing.code.number(), &reason, Close::AfterFlush, wait_max).await;
    }
}

async fn converse(server: &Server, line: &Line, mut session: Box<Session>, place: &mut SocketPlace) {
    let peer = Arc::clone(session.peer());
    let mut queued = Queued { server, bytes: 0 };
    let mut is_live = false;
    let mut unfinished = Unfinished::default();
    // When it is closed, by the uptime, and when its client is to come back, once the server stops.
    let mut goodbye: Option<(Duration, Duration)> = None;
    loop {
        if session.is_live() != is_live {
            is_live = session.is_live();
            become_live(server, line, &mut session, place);
        }
        line.queue(session.take_frames());
        if let Some(closing) = session.closing().cloned() {
            // Out of every room before the close handshake, which may take a while.
            drop(session);
            close(server, line, &closing).await;
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
        let close_at = goodbye.map_or(Duration::MAX, |(at, _retry_after)| at);
        let message_due_at = unfinished.due_at(reading, server, line);
        let due_at = session.wake_at().min(close_at).min(message_due_at);
        let due = tokio::time::sleep_until(server.clock.instant_of(due_at));
        let wake = tokio::select! {
            event = line.next(reading, unfinished.since) => event.map_or(Wake::Begun, Wake::Socket),
            () = peer.bell.notified() => Wake::Bell,
            () = due => Wake::Due,
            () = session.answered() => Wake::Answered,
            () = server.draining.cancelled(), if goodbye.is_none() => Wake::Draining,
        };
        match wake {
            Wake::Socket(Ok(Event::Message(message))) => match heard(server, &mut session, message) {
                Heard::Request => unfinished = Unfinished::default(),
                // A sign of life brings nothing new for the peer.
                Heard::Control if server.clock.now().uptime < message_due_at => continue,
                Heard::Control => {}
                Heard::Goodbye(code) => {
                    drop(session);
                    answer_close(server, line, code).await;
                    return;
                }
            },
            // The next round counts from now on.
            Wake::Begun => continue,
            Wake::Socket(Ok(Event::Flushed)) | Wake::Bell | Wake::Due | Wake::Answered => {}
            Wake::Socket(Err(error)) => {
                drop(session);
                gone(server, line, &error).await;
                return;
            }
            Wake::Draining => goodbye = Some(announce_goodbye(server, &mut session)),
        }
        if let Some((close_at, retry_after)) = goodbye
            && server.clock.now().uptime >= close_at
        {
            // Whoever waits for the store is answered before the goodbye.
            drop(tokio::time::timeout(ANSWERS_WAIT_MAX, session.all_answered()).await);
            session.on_drain(retry_after);
        }
        unfinished.judge(message_due_at, server, &mut session);
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
            let bytes = u64::try_from(text.as_str().len()).unwrap_or(u64::MAX);
            session.peer().received_bytes.fetch_add(bytes, Ordering::Relaxed);
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
            if matches!(error, SocketError::Io(error) if error.kind() == std::io::ErrorKind::TimedOut) {
                server.context.hub.metrics().count_deadline("write");
            }
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
