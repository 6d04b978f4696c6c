//! The registry of error codes: what each one means, whether trying again helps, and what to do.

use serde::{Deserialize, Serialize};

use crate::close::CloseCode;

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, http $http:literal, $retry:ident, $message:literal, $remedy:literal $(, closes $close:ident)?;)+) => {
        /// Every code of an `error` message, and of a refused item or REST request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
        pub enum ErrorCode { $($(#[$doc])* #[serde(rename = $code)] $name,)+ }

        impl ErrorCode {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The stable word on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The HTTP status that goes with it in REST answers.
            pub fn http_status(self) -> u16 {
                match self { $(Self::$name => $http,)+ }
            }

            /// Whether the same request can succeed later.
            pub fn is_retryable(self) -> bool {
                match self { $(Self::$name => error_codes!(@retry $retry),)+ }
            }

            /// What it means, for people; a refusal may say it more exactly.
            pub fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)+ }
            }

            /// What to do about it.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)+ }
            }

            /// The close code that follows at once, where the socket does not go on.
            pub fn closes(self) -> Option<CloseCode> {
                match self { $(Self::$name => error_codes!(@close $($close)?),)+ }
            }
        }
    };
    (@retry retryable) => { true };
    (@retry final) => { false };
    (@close) => { None };
    (@close $close:ident) => { Some(CloseCode::$close) };
}

error_codes! {
    /// The text is not JSON.
    InvalidJson = "invalid_json", http 400, final,
        "The message is not valid JSON.", "Send one JSON object a message: {\"type\": …, \"payload\": {…}}.";
    /// The JSON is no envelope.
    InvalidMessage = "invalid_message", http 400, final,
        "The message is not an envelope.", "Send {\"type\": \"…\", \"payload\": {…}}, with an optional id.";
    /// No handler has this type.
    UnknownType = "unknown_type", http 404, final,
        "There is no message of this type.", "See the list of messages in the protocol page or under /schema/.";
    /// The payload does not fit its type.
    InvalidPayload = "invalid_payload", http 400, final,
        "The payload does not fit its type.", "Mend the field that `details.path` names; /schema/ has the shape.";
    /// A value is of the right shape and cannot be.
    OutOfRange = "out_of_range", http 422, final,
        "A value is outside what is accepted.", "Use a value within the limit that the message names; for a location, check its units (metres, UTC) and the device's clock.";
    /// Nobody is signed in yet.
    Unauthenticated = "unauthenticated", http 401, final,
        "A valid token is needed first.", "Send `authenticate` with a token, or connect with one.";
    /// The token is not accepted.
    InvalidToken = "invalid_token", http 401, final,
        "The token was not accepted.", "Get a new token for this server; check issuer, audience and key.", closes BadToken;
    /// The token has run out.
    TokenExpired = "token_expired", http 401, retryable,
        "The token has run out.", "Get a fresh token and come back.", closes TokenExpired;
    /// The role does not allow the action.
    Forbidden = "forbidden", http 403, final,
        "This token does not allow that.", "Ask for a token with a role that has the permission in `details`.";
    /// Not there, or not to be seen with this token.
    NotFound = "not_found", http 404, final,
        "There is no such thing, or this token may not see it.", "Check the id; check the token's patterns.";
    /// It is there already, or in another state.
    Conflict = "conflict", http 409, final,
        "That is in conflict with what is there.", "Read the present state and decide again.";
    /// Too many requests.
    RateLimited = "rate_limited", http 429, retryable,
        "Too many requests.", "Wait `retry_after_ms`, then ask less often; a report holds up to 1,000 locations, and a subscription saves asking again.";
    /// Too much in one message, or too much asked.
    TooLarge = "too_large", http 413, final,
        "That is more than one message may hold.", "Send less at a time; the limits are in `system.connection`.";
    /// A limit on what one client may hold.
    LimitReached = "limit_reached", http 409, final,
        "This client holds as many of these as it may.", "Leave a room or end a view first; the limits are in `system.connection`.";
    /// The request did not come in time.
    Timeout = "timeout", http 408, retryable,
        "The request took too long.", "Send it again, in one go.";
    /// The server can't just now.
    Unavailable = "unavailable", http 503, retryable,
        "The server cannot do that just now.", "Try again after `retry_after_ms`.";
    /// A fault of the server.
    Internal = "internal", http 500, retryable,
        "The server met a fault of its own.", "Try again; if it stays, the operator finds the cause in the log.";
}

/// One refusal: what an `error` message or a refused item says.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The code.
    pub code: ErrorCode,
    /// The sentence for people. External: it names what the client did, never what is inside.
    pub message: String,
    /// When trying again may help, milliseconds.
    pub retry_after_ms: Option<u64>,
    /// What a program may want to know: `path`, `permission`, `limit`, …
    pub details: Option<serde_json::Value>,
}

impl Refusal {
    /// A refusal with the registry's own sentence.
    pub fn new(code: ErrorCode) -> Self {
        Self { code, message: code.message().to_owned(), retry_after_ms: None, details: None }
    }

    /// A refusal that says exactly what is wrong.
    pub fn saying(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::new(code) }
    }

    /// The same with details for programs.
    #[must_use]
    pub fn with_details(self, details: serde_json::Value) -> Self {
        Self { details: Some(details), ..self }
    }

    /// The same with the time after which to try again.
    #[must_use]
    pub fn with_retry_after_ms(self, retry_after_ms: u64) -> Self {
        Self { retry_after_ms: Some(retry_after_ms), ..self }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}
