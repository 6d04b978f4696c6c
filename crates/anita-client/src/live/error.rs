//! What a client that stays connected says when it can't do what was asked.

use std::fmt;
use std::time::Duration;

use anita_wire::Refusal;

use crate::error::{ConnectError, Lost, ServerError};

/// Why there is no connection, or why something was given up: a stable word for programs, a sentence and a remedy for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The stable word: the server's, or `unreachable`, `connection_lost`, `token_failed`, …
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it, where that is known.
    pub remedy: Option<String>,
}

/// Why a request, a room or a view of a [`super::Live`] did not come about.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AskError {
    /// The server refused it.
    #[error(transparent)]
    Refused(#[from] ServerError),
    /// The payload does not fit its type, and was not sent.
    #[error("{0}")]
    Invalid(Failure),
    /// The connection was lost before the answer came; whether the server did it is not known.
    #[error("the connection was lost before the answer came")]
    Disconnected,
    /// No answer came in time.
    #[error("no answer within {} s", .0.as_secs_f64())]
    Deadline(Duration),
    /// As much waits already as may.
    #[error("too much waits for an answer or for a connection already")]
    QueueFull,
    /// There is no connection, and coming back is no use.
    #[error("{0}")]
    Failed(Failure),
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

// === impl Failure ===

impl Failure {
    pub(crate) fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), remedy: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        match &self.remedy {
            Some(remedy) => write!(f, " {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

impl From<&ServerError> for Failure {
    fn from(error: &ServerError) -> Self {
        let remedy = error.remedy().map(ToOwned::to_owned);
        Self { code: error.code.clone(), message: error.message.clone(), remedy }
    }
}

impl From<&ConnectError> for Failure {
    fn from(error: &ConnectError) -> Self {
        let remedy = error.remedy().map(ToOwned::to_owned);
        Self { code: error.code().into_owned(), message: error.to_string(), remedy }
    }
}

impl From<&Lost> for Failure {
    fn from(lost: &Lost) -> Self {
        let known = |code: &str| anita_wire::ErrorCode::ALL.iter().find(|it| it.as_str() == code);
        let remedy = match lost {
            Lost::Closed(close) => known(&close.code).map(|code| code.remedy().to_owned()),
            Lost::Broken(_) | Lost::Silent(_) | Lost::Protocol(_) | Lost::Overrun(_) => None,
        };
        Self { code: lost.code().to_owned(), message: lost.to_string(), remedy }
    }
}

impl From<&Refusal> for Failure {
    fn from(refusal: &Refusal) -> Self {
        let remedy = Some(refusal.code.remedy().to_owned());
        Self { code: refusal.code.as_str().to_owned(), message: refusal.message.clone(), remedy }
    }
}

// === impl AskError ===

impl AskError {
    /// The stable word: the server's where it refused.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused(error) => &error.code,
            Self::Invalid(failure) | Self::Failed(failure) => &failure.code,
            Self::Disconnected => "disconnected",
            Self::Deadline(_) => "timeout",
            Self::QueueFull => "queue_full",
            Self::Closed => "closed",
        }
    }

    /// Whether the same can succeed later without something being changed first.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Refused(error) => error.retryable,
            Self::Disconnected | Self::Deadline(_) | Self::QueueFull => true,
            Self::Invalid(_) | Self::Failed(_) | Self::Closed => false,
        }
    }
}
