//! What the task does while there is a connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::Command;
use super::error::{AskError, Failure};
use super::events::Event;
use super::machine::Input;
use super::requests::{Ask, Done, Purpose};
use super::rooms::Todo;
use super::task::{Over, REFRESH_PAUSE, Task, Timers, ask_token, at};
use super::tokens::{TokenError, TokenReason};
use super::views::ViewHeard;
use crate::connection::{Connection, server_error};
use crate::envelope::Envelope;
use crate::error::{Lost, ServerError};
use crate::token::Token;

/// How long a message may take to leave: a server that does not read is gone.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);

/// After how long rooms and views that were refused for the moment are asked for again, at the earliest.
const RESTORE_PAUSE: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Away {
    retry_after_ms: Option<u64>,
}

// === impl Task ===

impl Task {
    /// Until the connection is over, or the application is done.
    pub(super) async fn converse(
        &mut self,
        connection: &mut Connection,
        timers: &mut Timers,
    ) -> Result<Over, Lost> {
        self.restore(connection).await?;
        while let Some(Ask { kind, payload, reply }) = self.requests.next_waiting() {
            self.say_raw(connection, &kind, &payload, Purpose::App(reply)).await?;
        }
        let stop = self.stop.clone();
        let mut refreshing = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(Over::Stopped),
                () = at(timers.stable) => {
                    timers.stable = None;
                    self.step(Input::Stable);
                }
                () = at(timers.restore) => {
                    timers.restore = None;
                    self.restore(connection).await?;
                }
                () = at(timers.refresh) => {
                    timers.refresh = None;
                    let deadline = self.options.connect_deadline;
                    refreshing = Some(Box::pin(ask_token(self.tokens.clone(), deadline, TokenReason::Refresh)));
                }
                token = asked(&mut refreshing) => {
                    refreshing = None;
                    self.refresh(connection, timers, token).await?;
                }
                Some(command) = self.commands.recv() => self.obey(connection, command).await?,
                message = connection.next() => match message? {
                    Some(message) => self.hear(connection, timers, message).await?,
                    None => return Ok(Over::Lost(None)),
                },
            }
        }
    }

    /// Asks for the rooms and views that this connection does not have yet.
    async fn restore(&mut self, connection: &mut Connection) -> Result<(), Lost> {
        for room in self.rooms.missing() {
            self.ask_room(connection, room).await?;
        }
        for key in self.views.missing() {
            self.ask_view(connection, key).await?;
        }
        Ok(())
    }

    async fn ask_room(&mut self, connection: &mut Connection, room: String) -> Result<(), Lost> {
        let payload = self.rooms.ask(&room);
        self.say(connection, "join_room", &payload, Purpose::Join(room)).await
    }

    async fn ask_view(&mut self, connection: &mut Connection, key: u64) -> Result<(), Lost> {
        let Some(payload) = self.views.ask(key) else { return Ok(()) };
        self.say(connection, "subscribe", &payload, Purpose::Subscribe(key)).await
    }

    async fn refresh(
        &mut self,
        connection: &mut Connection,
        timers: &mut Timers,
        token: Result<Option<Token>, TokenError>,
    ) -> Result<(), Lost> {
        match token {
            Ok(Some(token)) => {
                let payload = json!({ "token": token.reveal() });
                self.say(connection, "authenticate", &payload, Purpose::Refresh).await
            }
            Ok(None) => Ok(()),
            // When the token runs out, the server closes, and a fresh one is asked for again: that decides.
            Err(error) => {
                timers.refresh = Some(Instant::now() + REFRESH_PAUSE);
                self.tell(Event::Trouble(Failure::new("token_failed", error.to_string())));
                Ok(())
            }
        }
    }

    // --- what goes out

    async fn say(
        &mut self,
        connection: &mut Connection,
        kind: &str,
        payload: &Value,
        purpose: Purpose,
    ) -> Result<(), Lost> {
        match to_raw_value(payload) {
            Ok(payload) => self.say_raw(connection, kind, &payload, purpose).await,
            Err(error) => {
                purpose.fail(AskError::Invalid(Failure::new("invalid_payload", error.to_string())));
                Ok(())
            }
        }
    }

    async fn say_raw(
        &mut self,
        connection: &mut Connection,
        kind: &str,
        payload: &RawValue,
        purpose: Purpose,
    ) -> Result<(), Lost> {
        let Some(text) = self.requests.number(kind, payload, purpose) else { return Ok(()) };
        let sent = timeout(WRITE_DEADLINE, connection.send_text(text));
        match self.stop.run_until_cancelled(sent).await {
            // The application is done, and so is this connection.
            None => Ok(()),
            Some(Ok(sent)) => sent,
            Some(Err(_elapsed)) => Err(Lost::Broken(io::ErrorKind::TimedOut.into())),
        }
    }

    async fn obey(&mut self, connection: &mut Connection, command: Command) -> Result<(), Lost> {
        match command {
            Command::Ask(Ask { kind, payload, reply }) => {
                self.say_raw(connection, &kind, &payload, Purpose::App(reply)).await
            }
            Command::Join { room, done } => match self.rooms.join(&room, done) {
                Todo::Join => self.ask_room(connection, room).await,
                Todo::Leave => self.leave(connection, &room, Purpose::Quiet).await,
                Todo::Nothing => Ok(()),
            },
            Command::Leave { room, done } => match self.rooms.let_go(&room) {
                Todo::Leave => self.leave(connection, &room, Purpose::Done(done)).await,
                Todo::Join | Todo::Nothing => {
                    drop(done.send(Ok(())));
                    Ok(())
                }
            },
            Command::Subscribe { key, kept } => {
                self.views.add(key, kept);
                self.ask_view(connection, key).await
            }
            Command::Update { key, mut change, done } => {
                let Some(subscription) = self.views.subscription(key) else {
                    self.views.change(key, change);
                    drop(done.send(Ok(())));
                    return Ok(());
                };
                let purpose = Purpose::Update { key, change: change.clone(), done };
                change.insert("subscription".to_owned(), subscription.into());
                self.say(connection, "update_subscription", &Value::Object(change), purpose).await
            }
            Command::EndView { key, done } => {
                if let Some(subscription) = self.views.remove(key) {
                    return self.unsubscribe(connection, &subscription, done).await;
                }
                if let Some(done) = done {
                    drop(done.send(Ok(())));
                }
                Ok(())
            }
            Command::Connect { done } => {
                drop(done.send(Ok(())));
                Ok(())
            }
        }
    }

    async fn leave(&mut self, connection: &mut Connection, room: &str, purpose: Purpose) -> Result<(), Lost> {
        self.say(connection, "leave_room", &json!({ "room": room }), purpose).await
    }

    async fn unsubscribe(
        &mut self,
        connection: &mut Connection,
        subscription: &str,
        done: Option<Done>,
    ) -> Result<(), Lost> {
        let purpose = done.map_or(Purpose::Quiet, Purpose::Done);
        self.say(connection, "unsubscribe", &json!({ "subscription": subscription }), purpose).await
    }

    // --- what comes in

    async fn hear(
        &mut self,
        connection: &mut Connection,
        timers: &mut Timers,
        message: Envelope,
    ) -> Result<(), Lost> {
        if let Some(id) = &message.id {
            // The answer to a request that was given up is nobody's.
            return match self.requests.answered(id) {
                Some(purpose) => self.answered(connection, timers, purpose, message).await,
                None => Ok(()),
            };
        }
        if matches!(message.kind.as_str(), "system.reconnect" | "error") {
            let asked = message.payload_as::<Away>().ok().and_then(|away| away.retry_after_ms);
            let until = asked.map(|ms| Instant::now() + Duration::from_millis(ms));
            self.away_until = self.away_until.max(until);
        }
        let heard = self.rooms.hear(&message);
        self.tell_gap(heard.gap);
        if heard.is_repeat {
            return Ok(());
        }
        let heard = self.views.hear(&message);
        self.heard_of_view(connection, heard).await?;
        self.tell(Event::Message(Arc::new(message)));
        Ok(())
    }

    async fn heard_of_view(&mut self, connection: &mut Connection, heard: ViewHeard) -> Result<(), Lost> {
        self.tell_gap(heard.gap);
        if let Some(trouble) = heard.trouble {
            self.tell(Event::Trouble(trouble));
        }
        if let Some(update) = heard.update {
            self.say(connection, "update_subscription", &update, Purpose::Quiet).await?;
        }
        match heard.unwanted {
            Some(subscription) => self.unsubscribe(connection, &subscription, None).await,
            None => Ok(()),
        }
    }

    async fn answered(
        &mut self,
        connection: &mut Connection,
        timers: &mut Timers,
        purpose: Purpose,
        message: Envelope,
    ) -> Result<(), Lost> {
        if message.kind == "error" {
            self.refused(timers, purpose, server_error(&message));
            return Ok(());
        }
        match purpose {
            Purpose::App(reply) => drop(reply.send(Ok(message))),
            Purpose::Done(done) => drop(done.send(Ok(()))),
            Purpose::Update { key, change, done } => {
                self.views.change(key, change);
                drop(done.send(Ok(())));
            }
            Purpose::Join(room) => {
                let (todo, gap) = self.rooms.joined(&room, &message);
                self.tell_gap(gap);
                if todo == Todo::Leave {
                    self.leave(connection, &room, Purpose::Quiet).await?;
                }
            }
            Purpose::Subscribe(key) => {
                let heard = self.views.subscribed(key, &message);
                self.heard_of_view(connection, heard).await?;
            }
            Purpose::Refresh => {
                timers.refresh = self.refresh_at(&message);
                self.tell(Event::Message(Arc::new(message)));
            }
            Purpose::Quiet => {}
        }
        Ok(())
    }

    fn refused(&mut self, timers: &mut Timers, purpose: Purpose, error: ServerError) {
        let retry_after = error.retry_after_ms.map(Duration::from_millis).unwrap_or_default();
        let trouble = Failure::from(&error);
        let error = AskError::Refused(error);
        let is_asked_again = match purpose {
            Purpose::Join(room) => self.rooms.refused(&room, &error),
            Purpose::Subscribe(key) => self.views.refused(key, &error),
            Purpose::Refresh => {
                timers.refresh = Some(Instant::now() + retry_after.max(REFRESH_PAUSE));
                false
            }
            Purpose::Quiet => false,
            other @ (Purpose::App(_) | Purpose::Done(_) | Purpose::Update { .. }) => {
                return other.fail(error);
            }
        };
        if is_asked_again {
            timers.restore = Some(Instant::now() + retry_after.max(RESTORE_PAUSE));
        }
        self.tell(Event::Trouble(trouble));
    }
}

/// The token that was asked for; never, where none was.
async fn asked<F: Future<Output = T> + Unpin, T>(asking: &mut Option<F>) -> T {
    match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    }
}
