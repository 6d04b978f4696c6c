//! The ways a connection does not come about, ends, or refuses a request, and whether to come back.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::time::Duration;

use anita_wire::{Advice, CloseCode, ErrorCode};
use serde::Deserialize;
use tokio_tungstenite::tungstenite;

use crate::address::AddressError;
use crate::trust::{OtherFingerprint, TrustError};

/// An `error` of the server.
#[derive(Debug, Clone, PartialEq, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ServerError {
    /// The stable code. Newer servers may have codes that this client does not know.
    pub code: String,
    /// What is wrong, for people.
    #[serde(default)]
    pub message: String,
    /// Whether the same request can succeed later.
    #[serde(default)]
    pub retryable: bool,
    /// When to try again, milliseconds.
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
    /// What a program may want to know.
    #[serde(default)]
    pub details: Option<serde_json::Value>,
}

impl ServerError {
    /// What to do about it, of the codes that this client knows.
    pub fn remedy(&self) -> Option<&'static str> {
        ErrorCode::ALL.iter().find(|code| code.as_str() == self.code).map(|code| code.remedy())
    }
}

/// How the server closed a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// The number; 1005 where the server gave none.
    pub number: u16,
    /// The word in the reason, or the whole reason where it is not of our form.
    pub code: String,
    /// When to come back at the earliest.
    pub retry_after: Option<Duration>,
}

#[derive(Deserialize)]
struct Reason {
    code: String,
    #[serde(default)]
    retry_after_ms: Option<u64>,
}

impl Close {
    pub(crate) fn of(frame: Option<&tungstenite::protocol::CloseFrame>) -> Self {
        let Some(frame) = frame else { return Self { number: 1005, code: String::new(), retry_after: None } };
        let number = u16::from(frame.code);
        match serde_json::from_str::<Reason>(&frame.reason) {
            Ok(reason) => {
                let retry_after = reason.retry_after_ms.map(Duration::from_millis);
                Self { number, code: reason.code, retry_after }
            }
            Err(_not_ours) => Self { number, code: frame.reason.to_string(), retry_after: None },
        }
    }

    /// What the code asks of a client; of codes it never heard of, by their range.
    pub fn advice(&self) -> Advice {
        CloseCode::advice_of(self.number)
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.code)?;
        match CloseCode::ALL.iter().find(|code| code.number() == self.number) {
            Some(code) => write!(f, ": {}", code.meaning()),
            None => Ok(()),
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL can't be used.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No certificate can be trusted as was asked.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The token holds characters that no token has.
    #[error("the token is not a JWT: it holds characters that a header can't carry")]
    TokenCharacters,
    /// The host is no name that a certificate can be for.
    #[error("{host:?} is not a name that a certificate can be for")]
    HostName {
        /// The host of the URL.
        host: String,
    },
    /// Nobody answers there.
    #[error("cannot reach {address}")]
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The server's certificate is not trusted.
    #[error(
        "the server's certificate is not trusted ({reason}); give its CA file, or the fingerprint that the server \
         printed at its start"
    )]
    Certificate {
        /// What is wrong with it.
        reason: String,
    },
    /// TLS did not come about.
    #[error("TLS did not come about; does the server speak TLS on this port?")]
    Tls(#[source] io::Error),
    /// The server answered with HTTP instead of opening a WebSocket.
    #[error("the server refused the connection with HTTP {status}{}", saying(.error.as_deref()))]
    Http {
        /// The status.
        status: u16,
        /// The problem, where the server told it.
        error: Option<Box<ServerError>>,
        /// When to come back at the earliest.
        retry_after: Option<Duration>,
    },
    /// What answers there is no WebSocket server, or not ours.
    #[error("what answers there does not speak this protocol: {reason}")]
    Protocol {
        /// What it did.
        reason: String,
    },
    /// The server wants a token, and there is none.
    #[error("the server wants a token; mint one with `anita token`")]
    TokenNeeded,
    /// The server accepted the socket, said why it won't have it, and closed it.
    #[error("the server closed the connection ({close}){}", saying(.error.as_deref()))]
    Refused {
        /// The `error` before the close.
        error: Option<Box<ServerError>>,
        /// The close.
        close: Close,
    },
    /// The connection broke before the server said hello.
    #[error("the connection broke before the server said hello")]
    Broken(#[source] io::Error),
    /// It took too long.
    #[error("no hello of the server within {} s", .0.as_secs_f64())]
    Deadline(Duration),
}

fn saying(error: Option<&ServerError>) -> String {
    error.map(|error| format!(": {} ({})", error.message, error.code)).unwrap_or_default()
}

impl ConnectError {
    /// Whether another attempt can succeed without something being changed first.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Unreachable { .. } | Self::Tls(_) | Self::Broken(_) | Self::Deadline(_) => Advice::ComeBack,
            Self::Refused { close, .. } => close.advice(),
            Self::Http { status, .. } => match status {
                408 | 425 | 429 | 500..=599 => Advice::ComeBack,
                _ => Advice::StayAway,
            },
            Self::Address(_)
            | Self::Trust(_)
            | Self::TokenCharacters
            | Self::HostName { .. }
            | Self::Certificate { .. }
            | Self::Protocol { .. }
            | Self::TokenNeeded => Advice::StayAway,
        }
    }

    /// When to come back at the earliest, where the server said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Http { retry_after, .. } => *retry_after,
            Self::Refused { close, error } => {
                let of_error =
                    error.as_ref().and_then(|error| error.retry_after_ms).map(Duration::from_millis);
                close.retry_after.max(of_error)
            }
            Self::Address(_)
            | Self::Trust(_)
            | Self::TokenCharacters
            | Self::HostName { .. }
            | Self::Unreachable { .. }
            | Self::Certificate { .. }
            | Self::Tls(_)
            | Self::Protocol { .. }
            | Self::TokenNeeded
            | Self::Broken(_)
            | Self::Deadline(_) => None,
        }
    }

    /// The stable word: the server's where it said one, or what kind of failure it is.
    pub fn code(&self) -> Cow<'_, str> {
        match self {
            Self::Refused { error: Some(error), .. } | Self::Http { error: Some(error), .. } => {
                error.code.as_str().into()
            }
            Self::Refused { error: None, close } => close.code.as_str().into(),
            Self::Http { error: None, status, .. } => format!("http_{status}").into(),
            Self::Address(_) | Self::HostName { .. } => "bad_address".into(),
            Self::Trust(_) => "nothing_to_trust".into(),
            Self::TokenCharacters => "invalid_token".into(),
            Self::Unreachable { .. } => "unreachable".into(),
            Self::Certificate { .. } => "certificate".into(),
            Self::Tls(_) => "tls".into(),
            Self::Protocol { .. } => "protocol".into(),
            Self::TokenNeeded => "unauthenticated".into(),
            Self::Broken(_) => "connection_lost".into(),
            Self::Deadline(_) => "timeout".into(),
        }
    }

    /// What to do about it, where the server's answer or the kind of failure says so.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Http { error, .. } | Self::Refused { error, .. } => {
                error.as_deref().and_then(ServerError::remedy)
            }
            Self::Address(_)
            | Self::Trust(_)
            | Self::TokenCharacters
            | Self::HostName { .. }
            | Self::Unreachable { .. }
            | Self::Certificate { .. }
            | Self::Tls(_)
            | Self::Protocol { .. }
            | Self::TokenNeeded
            | Self::Broken(_)
            | Self::Deadline(_) => None,
        }
    }

    /// Tells a certificate that is not trusted, which stays so, from all else that can go wrong with TLS.
    #[expect(clippy::wildcard_enum_match_arm, reason = "rustls has many faults, and may get more")]
    pub(crate) fn tls(error: io::Error) -> Self {
        let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let Some(rustls::Error::InvalidCertificate(fault)) = cause else { return Self::Tls(error) };
        let other = match fault {
            rustls::CertificateError::Other(other) => other.0.downcast_ref::<OtherFingerprint>(),
            _ => None,
        };
        let reason = other.map_or_else(|| fault.to_string(), OtherFingerprint::to_string);
        Self::Certificate { reason }
    }
}

/// How a connection ended, where nobody said goodbye as it should be.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// The server closed it.
    #[error("the server closed the connection ({0})")]
    Closed(Close),
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    /// Nothing was heard of the server for two and a half heartbeat intervals.
    #[error("nothing was heard of the server for {} s", .0.as_secs_f64())]
    Silent(Duration),
    /// The server sent what is not of the protocol.
    #[error("the server sent what is not of the protocol: {0}")]
    Protocol(String),
    /// Messages that nobody took from [`crate::Connection::next`] filled the memory for them.
    #[error("more than {0} messages came during requests and were not taken")]
    Overrun(usize),
}

impl Lost {
    /// The stable word: that of the close, or what kind of loss it is.
    pub fn code(&self) -> &str {
        match self {
            Self::Closed(close) if !close.code.is_empty() => &close.code,
            Self::Closed(_) | Self::Broken(_) => "connection_lost",
            Self::Silent(_) => "silence",
            Self::Protocol(_) => "protocol",
            Self::Overrun(_) => "overrun",
        }
    }

    /// Whether to come back.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Closed(close) => close.advice(),
            Self::Broken(_) | Self::Silent(_) => Advice::ComeBack,
            Self::Protocol(_) | Self::Overrun(_) => Advice::StayAway,
        }
    }

    /// When to come back at the earliest, where the server said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Closed(close) => close.retry_after,
            Self::Broken(_) | Self::Silent(_) | Self::Protocol(_) | Self::Overrun(_) => None,
        }
    }
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The server refused it. The connection goes on.
    #[error(transparent)]
    Refused(#[from] ServerError),
    /// No answer came in time. It may still come, and is then dropped.
    #[error("no answer within {} s", .0.as_secs_f64())]
    Deadline(Duration),
    /// The payload can't be written as JSON.
    #[error("the payload cannot be written as JSON")]
    Payload(#[source] serde_json::Error),
    /// The connection ended.
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// What tungstenite met on an open connection.
#[expect(clippy::wildcard_enum_match_arm, reason = "all else is a breach of the protocol, whatever it is")]
pub(crate) fn lost(error: tungstenite::Error) -> Lost {
    match error {
        tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => {
            Lost::Closed(Close::of(None))
        }
        tungstenite::Error::Io(error) => Lost::Broken(error),
        // The server vanished without a close frame: that is a loss, not a breach of the protocol.
        tungstenite::Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
            Lost::Broken(io::ErrorKind::ConnectionReset.into())
        }
        other => Lost::Protocol(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_says_whether_to_come_back() {
        let http = |status| ConnectError::Http { status, error: None, retry_after: None };
        let refused = |number| {
            let close = Close { number, code: String::new(), retry_after: None };
            ConnectError::Refused { error: None, close }
        };
        let table = [
            (http(403), Advice::StayAway),
            (http(503), Advice::ComeBack),
            (http(429), Advice::ComeBack),
            (refused(4501), Advice::StayAway),
            (refused(4401), Advice::ComeBackWithFreshToken),
            (refused(4408), Advice::ComeBack),
            (refused(4999), Advice::StayAway),
            (refused(4001), Advice::ComeBack),
            (ConnectError::TokenNeeded, Advice::StayAway),
            (ConnectError::Deadline(Duration::ZERO), Advice::ComeBack),
        ];
        for (error, advice) in table {
            assert_eq!(error.advice(), advice, "{error}");
        }
    }
}
