//! Close codes (RFC 6455 section 7.4) and the payload of a close frame (section 5.5.1).
//!
//! The codes of an application, 4000 to 4999, are not here: they are its own business.

use bytes::{Buf, Bytes};

use crate::{Text, Violation};

/// The purpose is fulfilled.
pub const NORMAL: u16 = 1000;
/// The endpoint goes away.
pub const GOING_AWAY: u16 = 1001;
/// The peer violated the protocol.
pub const PROTOCOL_ERROR: u16 = 1002;
/// A kind of data that is not accepted here.
pub const UNSUPPORTED_DATA: u16 = 1003;
/// Data that is not what its message says, such as text that is not UTF-8.
pub const INVALID_DATA: u16 = 1007;
/// A policy was violated.
pub const POLICY_VIOLATION: u16 = 1008;
/// A message is too big.
pub const TOO_BIG: u16 = 1009;
/// The server met an unexpected condition.
pub const INTERNAL_ERROR: u16 = 1011;
/// The server restarts.
pub const SERVICE_RESTART: u16 = 1012;
/// The server is overloaded.
pub const TRY_AGAIN_LATER: u16 = 1013;

/// The most bytes that a close reason can have: a control frame's 125 without the code.
pub const REASON_BYTES_MAX: usize = 123;

/// What a close frame said: a code that may be sent, see [`is_sendable`], and a reason of at most
/// [`REASON_BYTES_MAX`] bytes, often empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseFrame {
    /// The close code.
    pub code: u16,
    /// The reason, for humans.
    pub reason: Text,
}

/// Whether a code may stand in a close frame: 1000 to 1003 and 1007 to 1014 as registered, and 3000 to 4999
/// (section 7.4.2). 1005, 1006 and 1015 exist only inside an endpoint.
pub const fn is_sendable(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Reads the payload of a close frame. An empty one is `None`: the peer gave no code.
pub(crate) fn parse(mut payload: Bytes) -> Result<Option<CloseFrame>, Violation> {
    if payload.is_empty() {
        return Ok(None);
    }
    let Ok(code) = payload.try_get_u16() else { return Err(Violation::ClosePayload) };
    if !is_sendable(code) {
        return Err(Violation::CloseCode(code));
    }
    let Ok(reason) = Text::try_from(payload) else { return Err(Violation::NotUtf8) };
    Ok(Some(CloseFrame { code, reason }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_follow_the_registry() {
        for code in
            [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
        {
            assert!(is_sendable(code), "{code}");
        }
        for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, u16::MAX] {
            assert!(!is_sendable(code), "{code}");
        }
    }

    #[test]
    fn a_payload_is_nothing_or_a_code_and_a_reason() {
        let frame = |code, reason| Ok(Some(CloseFrame { code, reason: Text::from(reason) }));
        let cases = [
            (&b""[..], Ok(None)),
            (b"\x03", Err(Violation::ClosePayload)),
            (b"\x03\xe8", frame(1000, "")),
            (b"\x11\x94\xc3\xa4", frame(4500, "ä")),
            (b"\x03\xed", Err(Violation::CloseCode(1005))),
            (b"\x03\xe8\xff", Err(Violation::NotUtf8)),
            (b"\x03\xe8\xc3", Err(Violation::NotUtf8)),
        ];
        for (payload, expected) in cases {
            assert_eq!(parse(Bytes::from_static(payload)), expected, "{payload:?}");
        }
    }
}
