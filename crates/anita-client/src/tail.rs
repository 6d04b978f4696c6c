//! `tail`: messages as they come, one a line, over as many connections as it takes.

use std::io;
use std::time::Duration;

use anita_wire::Advice;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::connection::{Client, Connection, Options};
use crate::envelope::Envelope;
use crate::error::{ConnectError, Lost};

/// What to show, and for how long.
#[derive(Debug, Clone)]
pub struct TailSettings {
    /// Only these types; `uwb.*` stands for all that begin with `uwb.`. Everything when empty.
    pub types: Vec<String>,
    /// The end after so many lines.
    pub count: Option<u64>,
    /// Whether to come back where the server's advice is to.
    pub reconnect: bool,
    /// Cancelled at Ctrl-C.
    pub stop: CancellationToken,
}

impl Default for TailSettings {
    /// Everything, until stopped, coming back.
    fn default() -> Self {
        Self { types: Vec::new(), count: None, reconnect: true, stop: CancellationToken::new() }
    }
}

/// What happens beside the messages, for people.
#[derive(Debug)]
pub enum TailEvent<'a> {
    /// There is a connection; the hello is among the lines.
    Connected {
        /// The id the server gave it.
        client_id: &'a str,
    },
    /// No connection came about; the next attempt follows after the wait.
    NotConnected {
        /// Why.
        error: &'a ConnectError,
        /// How long until the next attempt.
        wait: Duration,
    },
    /// A connection ended; the next attempt follows after the wait.
    Lost {
        /// Why; `None` when the server said goodbye.
        error: Option<&'a Lost>,
        /// How long until the next attempt.
        wait: Duration,
    },
}

/// How a tail ended that was to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TailReport {
    /// Lines that were written.
    pub lines: u64,
    /// Connections that came about.
    pub connections: u64,
}

/// Why a tail ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// No connection, and coming back is no use or not wanted.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The token ran out.
    #[error("the token ran out; start again with a fresh one")]
    TokenExpired,
    /// The connection ended, and coming back is no use or not wanted.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The server said goodbye, and coming back is not wanted.
    #[error("the server ended the connection")]
    Ended,
    /// The output does not take more.
    #[error("cannot write the output")]
    Output(#[source] io::Error),
}

/// How the use of one connection ended.
enum Over {
    Stopped,
    Counted,
    Lost(Option<Lost>),
}

struct Tail<'a, W> {
    out: W,
    settings: &'a TailSettings,
    report: TailReport,
}

/// Writes what a server says, one JSON message a line as received, until `stop` or `count`, or until the server says to stay away.
/// Nothing else is written there: `on_event` hears the rest.
///
/// # Errors
/// [`TailError`].
pub async fn tail<W: AsyncWrite + Unpin>(
    options: Options,
    out: W,
    settings: TailSettings,
    mut on_event: impl FnMut(TailEvent<'_>),
) -> Result<TailReport, TailError> {
    let mut tail = Tail { out, settings: &settings, report: TailReport { lines: 0, connections: 0 } };
    let mut backoff = Backoff::default();
    loop {
        let connecting = Client::connect(options.clone());
        let Some(connected) = settings.stop.run_until_cancelled(connecting).await else { break };
        let wait = match connected {
            Err(error) => {
                let (error, wait) = tail.wait_after_refusal(&mut backoff, error)?;
                on_event(TailEvent::NotConnected { error: &error, wait });
                wait
            }
            Ok(connection) => {
                on_event(TailEvent::Connected { client_id: &client_id(connection.hello()) });
                let began_at = Instant::now();
                let lost = match tail.follow(connection).await.map_err(TailError::Output)? {
                    Over::Stopped | Over::Counted => break,
                    Over::Lost(lost) => lost,
                };
                if began_at.elapsed() >= Backoff::STABLE_AFTER {
                    backoff.reset();
                }
                let (lost, wait) = tail.wait_after_loss(&mut backoff, lost)?;
                on_event(TailEvent::Lost { error: lost.as_ref(), wait });
                wait
            }
        };
        if settings.stop.run_until_cancelled(sleep(wait)).await.is_none() {
            break;
        }
    }
    Ok(tail.report)
}

// === impl Tail ===

impl<W: AsyncWrite + Unpin> Tail<'_, W> {
    fn wait_after_refusal(
        &self,
        backoff: &mut Backoff,
        error: ConnectError,
    ) -> Result<(ConnectError, Duration), TailError> {
        match error.advice() {
            Advice::ComeBack if self.settings.reconnect => {
                let wait = backoff.next_wait(error.retry_after());
                Ok((error, wait))
            }
            Advice::ComeBackWithFreshToken => Err(TailError::TokenExpired),
            Advice::ComeBack | Advice::StayAway => Err(error.into()),
        }
    }

    fn wait_after_loss(
        &self,
        backoff: &mut Backoff,
        lost: Option<Lost>,
    ) -> Result<(Option<Lost>, Duration), TailError> {
        let advice = lost.as_ref().map_or(Advice::ComeBack, Lost::advice);
        match advice {
            Advice::ComeBack if self.settings.reconnect => {
                let wait = backoff.next_wait(lost.as_ref().and_then(Lost::retry_after));
                Ok((lost, wait))
            }
            Advice::ComeBackWithFreshToken => Err(TailError::TokenExpired),
            Advice::ComeBack | Advice::StayAway => Err(lost.map_or(TailError::Ended, TailError::Lost)),
        }
    }

    async fn follow(&mut self, mut connection: Connection) -> io::Result<Over> {
        self.report.connections += 1;
        let hello = connection.hello().clone();
        let mut message = Some(hello);
        loop {
            if let Some(message) = message.take() {
                self.write(&message).await?;
            }
            if self.settings.count.is_some_and(|count| self.report.lines >= count) {
                connection.close().await;
                return Ok(Over::Counted);
            }
            match self.settings.stop.run_until_cancelled(connection.next()).await {
                Some(Ok(Some(next))) => message = Some(next),
                Some(Ok(None)) => return Ok(Over::Lost(None)),
                Some(Err(lost)) => return Ok(Over::Lost(Some(lost))),
                None => {
                    connection.close().await;
                    return Ok(Over::Stopped);
                }
            }
        }
    }

    async fn write(&mut self, message: &Envelope) -> io::Result<()> {
        if !is_wanted(&self.settings.types, &message.kind) {
            return Ok(());
        }
        // In JSON a newline can only stand between tokens, where a blank means the same.
        let mut line = message.text.replace(['\n', '\r'], " ");
        line.push('\n');
        self.out.write_all(line.as_bytes()).await?;
        self.report.lines += 1;
        // Whoever reads a pipe wants each line when it comes.
        self.out.flush().await
    }
}

fn is_wanted(types: &[String], kind: &str) -> bool {
    types.is_empty()
        || types.iter().any(|wanted| match wanted.strip_suffix('*') {
            Some(prefix) => kind.starts_with(prefix),
            None => wanted == kind,
        })
}

fn client_id(hello: &Envelope) -> String {
    let payload = hello.payload_as::<serde_json::Value>().unwrap_or_default();
    payload.get("client_id").and_then(|it| it.as_str()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
