//! The task behind a [`super::Live`]: it dials, follows a connection, waits, and does what the application asks.

use std::sync::Arc;
use std::time::Duration;

use anita_model::Timestamp;
use anita_wire::{Advice, Time};
use serde::Deserialize;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Command;
use super::error::{AskError, Failure};
use super::events::{Event, Gap};
use super::machine::{Effect, Input, Machine, State};
use super::requests::{Purpose, Requests};
use super::rooms::Rooms;
use super::tokens::{TokenError, TokenReason, TokenSource};
use super::views::Views;
use crate::backoff::Backoff;
use crate::connection::{Client, Connection, Options};
use crate::envelope::Envelope;
use crate::error::{ConnectError, Lost};
use crate::token::Token;

/// How long before its end a token is replaced.
const REFRESH_BEFORE: Duration = Duration::from_secs(30);

/// The least time between two attempts to replace it.
pub(super) const REFRESH_PAUSE: Duration = Duration::from_secs(5);

/// The longest time that a timer is set to; then it is looked at again.
const REFRESH_WAIT_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Where the client stands, for all who ask.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) state: State,
    pub(super) connection_count: u64,
    pub(super) failure: Option<Failure>,
    pub(super) hello: Option<Arc<Envelope>>,
}

/// Why a dial brought no connection.
enum NotDialed {
    Token(TokenError),
    Connect(ConnectError),
}

/// What to do next.
enum Then {
    Dial(TokenReason),
    Follow(Box<Connection>),
    Wait(Duration),
    Rest,
    End,
}

/// How the use of a connection ended.
pub(super) enum Over {
    Stopped,
    Lost(Option<Lost>),
}

/// When something is to be done on this connection.
pub(super) struct Timers {
    /// When it has lived for a while.
    pub(super) stable: Option<Instant>,
    /// When a fresh token is asked for.
    pub(super) refresh: Option<Instant>,
    /// When rooms and views that were refused for the moment are asked for again.
    pub(super) restore: Option<Instant>,
}

#[derive(Deserialize)]
struct Expiry {
    expires_at: Time,
}

/// The task.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) options: Options,
    pub(super) tokens: TokenSource,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) standing: watch::Sender<Standing>,
    pub(super) stop: CancellationToken,
    pub(super) machine: Machine,
    pub(super) requests: Requests,
    pub(super) rooms: Rooms,
    pub(super) views: Views,
    /// Until when the server asked to stay away.
    pub(super) away_until: Option<Instant>,
}

// === impl Standing ===

impl Standing {
    /// What is said to whoever asks after the end.
    pub(super) fn end(&self) -> Option<AskError> {
        match self.state {
            State::Failed => self.failure.clone().map(AskError::Failed),
            State::Closed => Some(AskError::Closed),
            State::Connecting | State::Online | State::Waiting => None,
        }
    }
}

// === impl Task ===

impl Task {
    pub(super) fn new(
        options: Options,
        tokens: TokenSource,
        commands: mpsc::Receiver<Command>,
        events: broadcast::Sender<Event>,
        stop: CancellationToken,
    ) -> (Self, watch::Receiver<Standing>) {
        let machine = match &tokens {
            TokenSource::Function(_) => Machine::renewing(),
            TokenSource::Text(_) => Machine::not_renewing(),
        };
        let path = options.url.0.split(['?', '#']).next().unwrap_or_default();
        let rooms = if path.ends_with("/ws/uwb") { Rooms::by_endpoint("uwb") } else { Rooms::default() };
        let standing = Standing { state: machine.state(), connection_count: 0, failure: None, hello: None };
        let (standing, seen) = watch::channel(standing);
        let (requests, views) = (Requests::default(), Views::default());
        let task = Self {
            options,
            tokens,
            commands,
            events,
            standing,
            stop,
            machine,
            requests,
            rooms,
            views,
            away_until: None,
        };
        (task, seen)
    }

    /// Until the application is done.
    pub(super) async fn run(mut self) {
        let mut then = Then::Dial(TokenReason::Connect);
        loop {
            then = match then {
                Then::Dial(reason) => self.dial(reason).await,
                Then::Follow(connection) => self.follow(connection).await,
                Then::Wait(wait) => self.wait(Some(Instant::now() + wait)).await,
                Then::Rest => self.wait(None).await,
                Then::End => break,
            };
        }
        self.step(Input::Close);
        let closed = AskError::Closed;
        self.requests.end(&closed);
        self.rooms.end(&closed);
        self.views.end(&closed);
        // What is on its way to this task finds nobody, and its reply is dropped with the channel.
    }

    /// One step of the machine; whoever listens hears of a new state.
    pub(super) fn step(&mut self, input: Input) -> Effect {
        let was = self.machine.state();
        let effect = self.machine.step(input, rand::random());
        let state = self.machine.state();
        if state != was {
            self.standing.send_modify(|standing| standing.state = state);
            self.tell(Event::State(state));
        }
        effect
    }

    fn next(&mut self, input: Input) -> Then {
        match self.step(input) {
            Effect::Dial(reason) => Then::Dial(reason),
            Effect::Wait(wait) => Then::Wait(wait),
            Effect::End => Then::End,
            Effect::Rest | Effect::GoOn => Then::Rest,
        }
    }

    pub(super) fn tell(&self, event: Event) {
        // Nobody needs to listen.
        drop(self.events.send(event));
    }

    pub(super) fn tell_gap(&self, gap: Option<Gap>) {
        if let Some(gap) = gap {
            self.tell(Event::Gap(gap));
        }
    }

    // --- without a connection

    async fn dial(&mut self, reason: TokenReason) -> Then {
        let dialing = dial(self.tokens.clone(), self.options.clone(), reason);
        tokio::pin!(dialing);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Then::End,
                dialed = &mut dialing => return match dialed {
                    Ok(connection) => Then::Follow(Box::new(connection)),
                    Err(failed) => self.not_dialed(&failed),
                },
                Some(command) = self.commands.recv() => { self.obey_offline(command); }
            }
        }
    }

    fn not_dialed(&mut self, failed: &NotDialed) -> Then {
        let (failure, advice, retry_after) = match failed {
            NotDialed::Token(error @ TokenError::Later(_)) => {
                (Failure::new("token_failed", error.to_string()), Advice::ComeBack, None)
            }
            NotDialed::Token(error @ TokenError::Never(_)) => {
                (Failure::new("token_failed", error.to_string()), Advice::StayAway, None)
            }
            NotDialed::Connect(error) => (Failure::from(error), error.advice(), error.retry_after()),
        };
        self.lose(failure, advice, retry_after)
    }

    /// There is no connection any more, or none came about.
    fn lose(&mut self, failure: Failure, advice: Advice, retry_after: Option<Duration>) -> Then {
        let away = self.away_until.take().map(|until| until.saturating_duration_since(Instant::now()));
        self.requests.lose();
        self.rooms.lose();
        self.views.lose();
        self.standing.send_modify(|standing| standing.failure = Some(failure.clone()));
        let then = self.next(Input::Lost { advice, retry_after: retry_after.max(away) });
        let wait = if let Then::Wait(wait) = then { Some(wait) } else { None };
        tracing::debug!(%failure, ?wait, "no connection");
        if self.machine.state() == State::Failed {
            let failed = AskError::Failed(failure.clone());
            self.requests.end(&failed);
            self.rooms.end(&failed);
            self.views.end(&failed);
        }
        self.tell(Event::Lost { failure, wait });
        then
    }

    /// Until a moment, or until the application wants something else.
    async fn wait(&mut self, until: Option<Instant>) -> Then {
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Then::End,
                () = at(until) => return self.next(Input::WaitOver),
                Some(command) = self.commands.recv() => if let Some(then) = self.obey_offline(command) {
                    return then;
                },
            }
        }
    }

    /// Does what can be done without a connection; something else to do, where the application wants that.
    fn obey_offline(&mut self, command: Command) -> Option<Then> {
        let end = self.standing.borrow().end();
        match (command, end) {
            (Command::Connect { done }, _) => {
                let effect = self.step(Input::Connect);
                drop(done.send(Ok(())));
                return match effect {
                    Effect::Dial(reason) => Some(Then::Dial(reason)),
                    Effect::GoOn | Effect::Wait(_) | Effect::Rest | Effect::End => None,
                };
            }
            (Command::Leave { room, done }, _) => {
                self.rooms.let_go(&room);
                drop(done.send(Ok(())));
            }
            (Command::EndView { key, done }, _) => {
                self.views.remove(key);
                if let Some(done) = done {
                    drop(done.send(Ok(())));
                }
            }
            (Command::Ask(ask), Some(end)) => Purpose::App(ask.reply).fail(end),
            (Command::Join { done, .. } | Command::Update { done, .. }, Some(end)) => {
                drop(done.send(Err(end)));
            }
            (Command::Subscribe { mut kept, .. }, Some(end)) => {
                if let Some(done) = kept.opened.take() {
                    drop(done.send(Err(end)));
                }
            }
            (Command::Ask(ask), None) => self.requests.wait(ask),
            (Command::Join { room, done }, None) => drop(self.rooms.join(&room, done)),
            (Command::Subscribe { key, kept }, None) => self.views.add(key, kept),
            (Command::Update { key, change, done }, None) => {
                self.views.change(key, change);
                drop(done.send(Ok(())));
            }
        }
        None
    }

    // --- with one

    async fn follow(&mut self, mut connection: Box<Connection>) -> Then {
        let mut timers = self.welcome(connection.hello().clone());
        let lost = match self.converse(&mut connection, &mut timers).await {
            Ok(Over::Stopped) => {
                connection.close().await;
                return Then::End;
            }
            Ok(Over::Lost(lost)) => lost,
            Err(lost) => Some(lost),
        };
        let advice = lost.as_ref().map_or(Advice::ComeBack, Lost::advice);
        let retry_after = lost.as_ref().and_then(Lost::retry_after);
        let goodbye = || Failure::new("normal", "The server ended the connection.");
        self.lose(lost.as_ref().map_or_else(goodbye, Failure::from), advice, retry_after)
    }

    fn welcome(&mut self, hello: Envelope) -> Timers {
        let refresh = self.refresh_at(&hello);
        let hello = Arc::new(hello);
        self.away_until = None;
        self.step(Input::Welcomed);
        self.standing.send_modify(|standing| {
            standing.connection_count += 1;
            standing.hello = Some(Arc::clone(&hello));
        });
        self.tell(Event::Online(hello));
        let stable = Some(Instant::now() + Backoff::STABLE_AFTER);
        Timers { stable, refresh, restore: None }
    }

    /// When to replace a token, of the message that says when it runs out.
    pub(super) fn refresh_at(&self, message: &Envelope) -> Option<Instant> {
        if matches!(self.tokens, TokenSource::Text(_)) {
            return None;
        }
        let Expiry { expires_at: Time(expires_at) } = message.payload_as().ok()?;
        Some(Instant::now() + refresh_wait(expires_at.since(Timestamp::now())))
    }
}

/// Asks for a token, and connects with it.
async fn dial(
    tokens: TokenSource,
    mut options: Options,
    reason: TokenReason,
) -> Result<Connection, NotDialed> {
    options.token = ask_token(tokens, options.connect_deadline, reason).await.map_err(NotDialed::Token)?;
    Client::connect(options).await.map_err(NotDialed::Connect)
}

/// Asks for a token; whoever gives it has as long as a connection may take.
pub(super) async fn ask_token(
    tokens: TokenSource,
    deadline: Duration,
    reason: TokenReason,
) -> Result<Option<Token>, TokenError> {
    match timeout(deadline, tokens.ask(reason)).await {
        Ok(token) => token,
        Err(_elapsed) => Err(TokenError::Later(format!("none came within {} s", deadline.as_secs_f64()))),
    }
}

/// How long a token that is good for so long stays as it is.
fn refresh_wait(left: Duration) -> Duration {
    left.saturating_sub(REFRESH_BEFORE).clamp(REFRESH_PAUSE, REFRESH_WAIT_MAX)
}

/// That moment; never, where there is none.
pub(super) async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_replaced_half_a_minute_before_its_end_or_soon() {
        for (left, wait) in [(3_600, 3_570), (36, 6), (35, 5), (32, 5), (0, 5), (1_000_000, 86_400)] {
            assert_eq!(refresh_wait(Duration::from_secs(left)), Duration::from_secs(wait), "{left} s");
        }
    }
}
