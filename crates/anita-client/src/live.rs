//! A client that stays connected: it comes back by itself, with its rooms and views, and with fresh tokens.
//!
//! A task does all that, owned by the [`Live`]. What the application asks goes to it by a bounded channel, what happens comes
//! back by another one; what is decided, is decided in parts that know no socket and no clock (`machine`, `rooms`, `views`,
//! `requests`).

mod error;
mod events;
mod machine;
mod online;
mod requests;
mod rooms;
mod task;
mod tokens;
mod view;
mod views;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anita_wire::Request;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use error::{AskError, Failure};
pub use events::{Event, Events, Gap, GapOf};
pub use machine::State;
pub use tokens::{TokenError, TokenReason};
pub use view::{Location, ViewContents, ViewDevice};

use self::requests::{Ask, Done};
use self::task::{Standing, Task};
use self::tokens::TokenSource;
use self::views::Kept;
use crate::connection::Options;
use crate::envelope::Envelope;
use crate::token::Token;

/// What may be on its way from the application to the task.
const COMMANDS_MAX: usize = 256;

/// How a client connects and what it keeps.
#[derive(Debug, Clone)]
pub struct LiveOptions {
    /// Where, and what to trust. Its token is the one for all connections, unless a function gives fresh ones.
    pub connection: Options,
    /// How long an answer may take, the wait for a connection included.
    pub request_deadline: Duration,
    /// How many events are kept for who reads them slowly. The oldest give way.
    pub events_max: usize,
    tokens: Option<TokenSource>,
}

/// A connection that comes back by itself, until it is closed or dropped.
///
/// ```no_run
/// # async fn example(token: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let mut options = anita_client::Options::new("wss://localhost:8443/ws");
/// options.token = Some(anita_client::Token::new(token));
/// let live = anita_client::Live::start(anita_client::LiveOptions::new(options));
/// let view = live.subscribe(&serde_json::json!({ "fields": "all" })).await?;
/// println!("{} devices", view.contents().devices.len());
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Live {
    commands: mpsc::Sender<Command>,
    events: broadcast::WeakSender<Event>,
    standing: watch::Receiver<Standing>,
    request_deadline: Duration,
    last_key: AtomicU64,
    stop: CancellationToken,
    _stop_when_dropped: DropGuard,
}

/// A subscription that is kept up to date over all connections; it ends when it is closed or dropped.
#[derive(Debug)]
pub struct View {
    key: u64,
    contents: watch::Receiver<ViewContents>,
    asking: Asking,
}

/// What the application asks of the task.
#[derive(Debug)]
enum Command {
    Ask(Ask),
    Join { room: String, done: Done },
    Leave { room: String, done: Done },
    Subscribe { key: u64, kept: Kept },
    Update { key: u64, change: Map<String, Value>, done: Done },
    EndView { key: u64, done: Option<Done> },
    Connect { done: Done },
}

/// The way to the task.
#[derive(Debug, Clone)]
struct Asking {
    commands: mpsc::Sender<Command>,
    standing: watch::Receiver<Standing>,
    deadline: Duration,
}

// === impl LiveOptions ===

impl LiveOptions {
    /// With an answer within ten seconds, and a thousand events for slow readers.
    pub fn new(connection: Options) -> Self {
        Self { connection, request_deadline: Duration::from_secs(10), events_max: 1_000, tokens: None }
    }

    /// Asks a function for a fresh token: before each connection, and 30 seconds before one runs out.
    #[must_use]
    pub fn with_tokens<F, R>(mut self, give: F) -> Self
    where
        F: Fn(TokenReason) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Token, TokenError>> + Send + 'static,
    {
        self.tokens = Some(TokenSource::Function(Arc::new(move |reason| Box::pin(give(reason)))));
        self
    }
}

// === impl Live ===

impl Live {
    /// Connects, and stays connected. Needs a runtime of tokio.
    pub fn start(options: LiveOptions) -> Self {
        Self::start_listening(options).0
    }

    /// The same, with the events from the very first on.
    pub fn start_listening(options: LiveOptions) -> (Self, Events) {
        let (commands, asked) = mpsc::channel(COMMANDS_MAX);
        let (events, receiver) = broadcast::channel(options.events_max.max(1));
        let stop = CancellationToken::new();
        let tokens = options.tokens.unwrap_or_else(|| TokenSource::Text(options.connection.token.clone()));
        let weak = events.downgrade();
        let (task, standing) = Task::new(options.connection, tokens, asked, events, stop.clone());
        tokio::spawn(task.run());
        let live = Self {
            commands,
            events: weak,
            standing,
            request_deadline: options.request_deadline,
            last_key: AtomicU64::new(0),
            _stop_when_dropped: stop.clone().drop_guard(),
            stop,
        };
        (live, Events { receiver, missed_count: 0 })
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.standing.borrow().state
    }

    /// How often the server said hello.
    pub fn connection_count(&self) -> u64 {
        self.standing.borrow().connection_count
    }

    /// Why it is not online, or was not before the present connection came about.
    pub fn failure(&self) -> Option<Failure> {
        self.standing.borrow().failure.clone()
    }

    /// The `system.connection` of the present connection, or of the last one.
    pub fn hello(&self) -> Option<Arc<Envelope>> {
        self.standing.borrow().hello.clone()
    }

    /// What happens from now on; nothing after the end.
    pub fn events(&self) -> Events {
        let receiver = match self.events.upgrade() {
            Some(events) => events.subscribe(),
            // A channel whose sender is gone already.
            None => broadcast::channel(1).1,
        };
        Events { receiver, missed_count: 0 }
    }

    /// Waits until it stands somewhere, for as long as that takes.
    ///
    /// # Errors
    /// [`AskError::Closed`] where the end came first, [`AskError::Failed`] where only [`Self::connect`] could help.
    pub async fn until(&self, state: State) -> Result<(), AskError> {
        let mut standing = self.standing.clone();
        let is_settled = |it: &Standing| it.state == state || it.end().is_some();
        let found = standing.wait_for(is_settled).await.map_err(|_task_is_gone| AskError::Closed)?;
        if found.state == state { Ok(()) } else { Err(found.end().unwrap_or(AskError::Closed)) }
    }

    /// Asks the server, and gives its answer. Asked while not online, it waits; as soon as this future is polled first, it is on
    /// its way.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn request<P: Serialize + ?Sized>(
        &self,
        kind: &str,
        payload: &P,
    ) -> Result<Envelope, AskError> {
        let payload = raw(payload)?;
        check(kind, &payload)?;
        let kind = kind.to_owned();
        self.asking().ask(|reply| Command::Ask(Ask { kind, payload, reply })).await
    }

    /// Joins a room, and joins it again on each connection from where it was left. Two joins need two leaves; one that is
    /// refused needs none.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn join(&self, room: &str) -> Result<(), AskError> {
        check("join_room", &raw(&json!({ "room": room }))?)?;
        let room = room.to_owned();
        self.asking().ask(|done| Command::Join { room, done }).await
    }

    /// Leaves a room, once everybody who joined it has.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn leave(&self, room: &str) -> Result<(), AskError> {
        let room = room.to_owned();
        self.asking().ask(|done| Command::Leave { room, done }).await
    }

    /// Asks for a view with the payload of `subscribe`, and waits until it shows its devices.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn subscribe<P: Serialize + ?Sized>(&self, wanted: &P) -> Result<View, AskError> {
        let wanted = object("subscribe", wanted)?;
        let key = self.last_key.fetch_add(1, Ordering::Relaxed);
        let (contents, shown) = watch::channel(ViewContents::default());
        // Dropped with this future, if nobody waits for it any more: then the task ends what it began.
        let view = View { key, contents: shown, asking: self.asking() };
        let kept = |done| Kept {
            wanted,
            contents,
            opened: Some(done),
            is_asked: false,
            is_changed: false,
            place: None,
        };
        self.asking().ask(|done| Command::Subscribe { key, kept: kept(done) }).await?;
        Ok(view)
    }

    /// Tries anew after [`State::Failed`], or at once while it waits.
    ///
    /// # Errors
    /// [`AskError::Closed`].
    pub async fn connect(&self) -> Result<(), AskError> {
        self.asking().ask(|done| Command::Connect { done }).await
    }

    /// Says goodbye; there is no way back. What is not answered yet is given up.
    pub async fn close(&self) {
        self.stop.cancel();
        let mut standing = self.standing.clone();
        // An error says that the task is gone: that is the end as well.
        drop(standing.wait_for(|it| it.state == State::Closed).await);
    }

    fn asking(&self) -> Asking {
        Asking {
            commands: self.commands.clone(),
            standing: self.standing.clone(),
            deadline: self.request_deadline,
        }
    }
}

// === impl View ===

impl View {
    /// What [`GapOf::View`] calls it.
    pub fn key(&self) -> u64 {
        self.key
    }

    /// What it shows now. Not to be held over an await: its task waits for it.
    pub fn contents(&self) -> watch::Ref<'_, ViewContents> {
        self.contents.borrow()
    }

    /// Waits until it shows something else than when this was asked last; false when it is over. Cancel safe.
    pub async fn changed(&mut self) -> bool {
        self.contents.changed().await.is_ok()
    }

    /// Changes it: what is absent stays, `max_rate_hz: null` lifts the limit. While there is no connection the change is kept
    /// for the next one.
    ///
    /// # Errors
    /// [`AskError`]; the view is as it was then.
    pub async fn update<P: Serialize + ?Sized>(&self, change: &P) -> Result<(), AskError> {
        let mut change = object("subscribe", change)?;
        change.retain(|name, _value| !matches!(name.as_str(), "lane" | "snapshot" | "since"));
        self.asking.ask(|done| Command::Update { key: self.key, change, done }).await
    }

    /// Ends it, and waits until the server has.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn close(self) -> Result<(), AskError> {
        self.asking.ask(|done| Command::EndView { key: self.key, done: Some(done) }).await
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // Where there is no room for the word now, the next message for it shows that nobody holds it.
        self.asking.commands.try_send(Command::EndView { key: self.key, done: None }).ok();
    }
}

// === impl Asking ===

impl Asking {
    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, AskError>>) -> Command,
    ) -> Result<T, AskError> {
        let (reply, answer) = oneshot::channel();
        let answered = async {
            self.commands.send(command(reply)).await.ok()?;
            answer.await.ok()
        };
        match timeout(self.deadline, answered).await {
            Ok(Some(result)) => result,
            // The task let go of it without a word: it is at its end.
            Ok(None) => Err(self.standing.borrow().end().unwrap_or(AskError::Closed)),
            Err(_elapsed) => Err(AskError::Deadline(self.deadline)),
        }
    }
}

/// Refuses a payload that does not have the shape of its type. Types that only a newer server knows pass.
fn check(kind: &str, payload: &RawValue) -> Result<(), AskError> {
    match Request::decode(kind, payload.get()) {
        Some(Err(refusal)) => Err(AskError::Invalid(Failure::from(&refusal))),
        Some(Ok(_)) | None => Ok(()),
    }
}

fn raw<P: Serialize + ?Sized>(payload: &P) -> Result<Box<RawValue>, AskError> {
    to_raw_value(payload)
        .map_err(|error| AskError::Invalid(Failure::new("invalid_payload", error.to_string())))
}

/// A payload as an object that has the shape of its type.
fn object<P: Serialize + ?Sized>(kind: &str, payload: &P) -> Result<Map<String, Value>, AskError> {
    let payload = raw(payload)?;
    check(kind, &payload)?;
    serde_json::from_str(payload.get())
        .map_err(|error| AskError::Invalid(Failure::new("invalid_payload", error.to_string())))
}

#[cfg(test)]
mod tests;
