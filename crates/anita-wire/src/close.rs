//! Why a connection ends, and whether to come back.
//!
//! The range of a code says what to do, so that a client obeys codes it has never heard of: 4000–4499 come back,
//! 4500–4999 stay away. Codes below 3000 mean what RFC 6455 §7.4.1 and its registry say.

use serde::Serialize;

use crate::error::ErrorCode;

/// What a close code asks of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Advice {
    /// Connect again, after a pause.
    ComeBack,
    /// Connect again with a fresh token.
    ComeBackWithFreshToken,
    /// Don't connect again before something has changed.
    StayAway,
}

macro_rules! close_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $reason:literal, $advice:ident, $meaning:literal;)+) => {
        /// Every close code that the server sends.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum CloseCode { $($(#[$doc])* $name = $code,)+ }

        impl CloseCode {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The stable word in the reason.
            pub fn reason_code(self) -> &'static str {
                match self { $(Self::$name => $reason,)+ }
            }

            /// What the client should do.
            pub fn advice(self) -> Advice {
                match self { $(Self::$name => Advice::$advice,)+ }
            }

            /// One sentence for people.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)+ }
            }
        }
    };
}

close_codes! {
    /// The client said goodbye, and is answered.
    Normal = 1000, "normal", ComeBack, "The connection ended as it should.";
    /// The server stops.
    GoingAway = 1001, "going_away", ComeBack, "The server is going away.";
    /// A frame breaks RFC 6455.
    Protocol = 1002, "protocol", StayAway, "A frame broke the WebSocket protocol.";
    /// A binary message.
    Unsupported = 1003, "unsupported", StayAway, "Binary messages are not understood; send JSON as text.";
    /// Text that is not UTF-8.
    InvalidUtf8 = 1007, "invalid_utf8", StayAway, "A text message was not UTF-8.";
    /// A message over the limit.
    TooBig = 1009, "too_large", StayAway, "A message was larger than the limit in `system.connection`.";
    /// A fault of the server.
    Internal = 1011, "internal", ComeBack, "The server met a fault of its own.";
    /// A planned restart.
    Restart = 1012, "restart", ComeBack, "The server restarts.";
    /// No room just now.
    TryLater = 1013, "try_later", ComeBack, "The server has no room for this connection just now.";
    /// The token ran out.
    TokenExpired = 4401, "token_expired", ComeBackWithFreshToken, "The token ran out; come back with a fresh one.";
    /// No token came in time.
    AuthenticationDeadline = 4408, "auth_deadline", ComeBack, "No `authenticate` came within the deadline.";
    /// The client was silent.
    Silence = 4410, "silence", ComeBack, "Nothing was heard for more than two heartbeat intervals.";
    /// The client fell behind what the server may keep for it.
    OutOfMemory = 4413, "memory_limit", ComeBack, "The client read too slowly for what it asked.";
    /// Too many requests.
    RateLimited = 4429, "rate_limited", ComeBack, "Too many requests; wait `retry_after_ms`.";
    /// The client doesn't speak the protocol.
    Misuse = 4500, "misuse", StayAway, "The first message was not `authenticate`.";
    /// The token is not accepted.
    BadToken = 4501, "bad_token", StayAway, "The token was not accepted.";
    /// The endpoint or the origin is not allowed.
    Forbidden = 4503, "forbidden", StayAway, "This token or page may not open this endpoint.";
    /// There is no such endpoint.
    NoSuchEndpoint = 4504, "no_such_endpoint", StayAway, "There is no WebSocket here; use `/ws` or `/ws/uwb`.";
    /// The session was ended.
    LoggedOut = 4509, "logged_out", StayAway, "The session was ended by a logout, a revocation or an administrator.";
}

impl CloseCode {
    /// The number on the wire.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// What an unknown code asks of the client, by its range.
    pub fn advice_of(number: u16) -> Advice {
        match Self::ALL.iter().find(|known| known.number() == number) {
            Some(known) => known.advice(),
            // RFC 6455 §7.4.1: the faults of a client. 1005 and 1006 stand for "no code", and are never sent.
            None if matches!(number, 4500..=4999 | 1008 | 1010) => Advice::StayAway,
            None => Advice::ComeBack,
        }
    }
}

/// The reason of a close: JSON of at most 123 bytes, `{"code","retry_after_ms"?}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CloseReason {
    /// The stable word of the close code, or the error code that led to it.
    pub code: &'static str,
    /// When to come back at the earliest, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl CloseReason {
    /// The reason that goes with a code.
    pub fn of(code: CloseCode) -> Self {
        Self { code: code.reason_code(), retry_after_ms: None }
    }

    /// The reason after an `error` was said.
    pub fn after(error: ErrorCode) -> Self {
        Self { code: error.as_str(), retry_after_ms: None }
    }

    /// The JSON text.
    pub fn to_text(&self) -> String {
        match self.retry_after_ms {
            Some(ms) => format!(r#"{{"code":"{}","retry_after_ms":{ms}}}"#, self.code),
            None => format!(r#"{{"code":"{}"}}"#, self.code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_a_code_is_its_advice() {
        for code in CloseCode::ALL.iter().copied().filter(|code| code.number() >= 4000) {
            let stays_away = code.advice() == Advice::StayAway;
            assert_eq!(stays_away, code.number() >= 4500, "{code:?}");
        }
        assert_eq!(CloseCode::advice_of(4499), Advice::ComeBack);
        assert_eq!(CloseCode::advice_of(4999), Advice::StayAway);
        for (number, advice) in [(1014, Advice::ComeBack), (1006, Advice::ComeBack), (1008, Advice::StayAway)]
        {
            assert_eq!(CloseCode::advice_of(number), advice, "{number}");
        }
    }

    #[test]
    fn every_reason_fits_into_a_close_frame_and_is_json() {
        for code in CloseCode::ALL {
            let reason = CloseReason { retry_after_ms: Some(u64::MAX), ..CloseReason::of(*code) }.to_text();
            assert!(reason.len() <= 123, "{reason}");
            assert!(serde_json::from_str::<serde_json::Value>(&reason).is_ok());
        }
    }
}
