//! The opening handshake (RFC 6455 section 4.2): which request may become a WebSocket, and the answer to it.
//!
//! Origins, tokens and which of the subprotocols to take are not judged here.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use sha1::{Digest, Sha1};

use crate::{Agreed, Compression};

/// What is appended to the key before it is hashed (section 1.3).
const ACCEPT_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The version of the protocol.
const PROTOCOL_VERSION: &str = "13";

/// The bytes of a key.
const KEY_BYTES: usize = 16;

/// A valid request to become a WebSocket.
#[derive(Clone)]
pub struct Handshake {
    accept: HeaderValue,
    /// The values of `Sec-WebSocket-Protocol`.
    offered: Vec<HeaderValue>,
    /// The values of `Sec-WebSocket-Extensions`.
    extensions: Vec<HeaderValue>,
    agreed: Option<Agreed>,
}

/// Why a request cannot become a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The method is not GET.
    #[error("a WebSocket begins with the method GET")]
    Method,
    /// The request is not HTTP/1.1. HTTP/2 has another way (RFC 8441), which is not spoken here.
    #[error("a WebSocket begins with HTTP/1.1")]
    HttpVersion,
    /// `Host` is missing or repeated (section 4.2.1; RFC 9112 section 3.2): two parties could read it differently.
    #[error("the header Host does not stand exactly once")]
    Host,
    /// `Connection` does not contain `upgrade`.
    #[error("the header Connection does not say upgrade")]
    Connection,
    /// `Upgrade` does not contain `websocket`.
    #[error("the header Upgrade does not say websocket")]
    Upgrade,
    /// `Sec-WebSocket-Version` is not 13.
    #[error("the header Sec-WebSocket-Version does not say 13")]
    ProtocolVersion,
    /// `Sec-WebSocket-Key` is missing, repeated, or not 16 bytes in base64.
    #[error("the header Sec-WebSocket-Key is not 16 bytes in base64")]
    Key,
    /// The request has a body, which would be taken for the first frames.
    #[error("a WebSocket begins without a body")]
    Body,
}

// === impl Handshake ===

impl Handshake {
    /// Judges a request.
    ///
    /// # Errors
    ///
    /// The first [`HandshakeError`] that applies, in the order in which they are declared.
    pub fn from_request<B>(request: &Request<B>) -> Result<Self, HandshakeError> {
        Self::judge(request.method(), request.version(), request.headers())
    }

    /// Judges the head of a request, like [`Self::from_request`].
    ///
    /// # Errors
    ///
    /// The first [`HandshakeError`] that applies, in the order in which they are declared.
    pub fn from_parts(parts: &Parts) -> Result<Self, HandshakeError> {
        Self::judge(&parts.method, parts.version, &parts.headers)
    }

    fn judge(method: &Method, version: Version, headers: &HeaderMap) -> Result<Self, HandshakeError> {
        if method != Method::GET {
            return Err(HandshakeError::Method);
        }
        if version != Version::HTTP_11 {
            return Err(HandshakeError::HttpVersion);
        }
        if headers.get_all(HOST).iter().count() != 1 {
            return Err(HandshakeError::Host);
        }
        if !has_token(headers, &CONNECTION, "upgrade") {
            return Err(HandshakeError::Connection);
        }
        if !has_token(headers, &UPGRADE, "websocket") {
            return Err(HandshakeError::Upgrade);
        }
        if only_value(headers, &SEC_WEBSOCKET_VERSION) != Some(PROTOCOL_VERSION) {
            return Err(HandshakeError::ProtocolVersion);
        }
        let key = only_value(headers, &SEC_WEBSOCKET_KEY).ok_or(HandshakeError::Key)?;
        if STANDARD.decode(key).map(|bytes| bytes.len()) != Ok(KEY_BYTES) {
            return Err(HandshakeError::Key);
        }
        if has_body(headers) {
            return Err(HandshakeError::Body);
        }
        let accept = accept_of(key).ok_or(HandshakeError::Key)?;
        let all = |name| headers.get_all(name).iter().cloned().collect();
        let (offered, extensions) = (all(SEC_WEBSOCKET_PROTOCOL), all(SEC_WEBSOCKET_EXTENSIONS));
        Ok(Self { accept, offered, extensions, agreed: None })
    }

    /// Takes the first offer of compression that the server can take (RFC 7692 section 5.1), and confirms it in
    /// [`response`](Self::response). Without it there is none.
    ///
    /// When something was agreed on, the client may send compressed messages, see [`Socket::accept_compressed`], and
    /// the server may, see [`frame::deflated`].
    ///
    /// [`Socket::accept_compressed`]: crate::Socket::accept_compressed
    /// [`frame::deflated`]: crate::frame::deflated
    pub fn negotiate(&mut self, wanted: Compression) -> Option<Agreed> {
        self.agreed = wanted.agree(self.extensions.iter().filter_map(|value| value.to_str().ok()));
        self.agreed
    }

    /// The subprotocols that the client offers, in its order of preference (section 11.3.4). Some applications carry a
    /// token among them, so they do not belong into a log.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        self.offered.iter().filter_map(|value| value.to_str().ok()).flat_map(tokens)
    }

    /// The answer 101 (section 4.2.2). The subprotocol is confirmed if the client offered exactly it; another one
    /// would make the client fail the connection, so it is left out. Compression is confirmed if
    /// [`negotiate`](Self::negotiate) has agreed on it.
    pub fn response(&self, subprotocol: Option<&str>) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept.clone());
        let confirmed = self.subprotocols().find(|&offered| Some(offered) == subprotocol);
        if let Some(Ok(value)) = confirmed.map(HeaderValue::from_str) {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
        }
        let extension = self.agreed.map(|agreed| HeaderValue::try_from(agreed.to_string()));
        if let Some(Ok(value)) = extension {
            headers.insert(SEC_WEBSOCKET_EXTENSIONS, value);
        }
        response
    }
}

impl fmt::Debug for Handshake {
    /// Without the subprotocols, because there may be a token among them.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Handshake").finish_non_exhaustive()
    }
}

// === impl HandshakeError ===

impl HandshakeError {
    /// The HTTP status that tells the client: 405, 505, 426 or 400.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::HttpVersion => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::Connection | Self::Upgrade | Self::ProtocolVersion => StatusCode::UPGRADE_REQUIRED,
            Self::Host | Self::Key | Self::Body => StatusCode::BAD_REQUEST,
        }
    }

    /// The refusal: the status, and the headers that go with it (`Allow` for 405; `Upgrade`, `Connection` and
    /// `Sec-WebSocket-Version: 13` for 426, sections 4.2.2 and 4.4).
    pub fn response(self) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        match self {
            Self::Method => {
                headers.insert(http::header::ALLOW, HeaderValue::from_static("GET"));
            }
            Self::Connection | Self::Upgrade | Self::ProtocolVersion => {
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
                headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(PROTOCOL_VERSION));
            }
            Self::HttpVersion | Self::Host | Self::Key | Self::Body => {}
        }
        response
    }
}

/// The value of a header that comes exactly once, without the white space around it.
fn only_value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    value.to_str().ok().map(str::trim)
}

/// Whether a body follows the head (RFC 9112 section 6).
fn has_body(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    headers.contains_key(TRANSFER_ENCODING) || lengths.any(|length| length.as_bytes() != b"0")
}

/// Whether a header that is a list, over all of its lines, contains the token in any case.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let mut values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.any(|value| tokens(value).any(|found| found.eq_ignore_ascii_case(token)))
}

fn tokens(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|token| !token.is_empty())
}

/// `Sec-WebSocket-Accept` for a key (section 4.2.2).
fn accept_of(key: &str) -> Option<HeaderValue> {
    let digest = Sha1::new().chain_update(key).chain_update(ACCEPT_SUFFIX).finalize();
    HeaderValue::from_str(&STANDARD.encode(digest)).ok()
}

#[cfg(test)]
mod tests;
