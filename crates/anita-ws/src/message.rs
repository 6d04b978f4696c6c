//! What a client says: messages, and text that is known to be text.

use std::fmt;
use std::ops::Deref;
use std::str::Utf8Error;

use bytes::Bytes;
use bytestring::ByteString;

use crate::CloseFrame;

/// One complete message or control frame of a client.
///
/// Payloads share the memory they were received in: keep a small one for long only as a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A text message (section 5.6).
    Text(Text),
    /// A binary message (section 5.6).
    Binary(Bytes),
    /// A ping, at most 125 bytes (section 5.5.2). A [`Socket`](crate::Socket) has answered it already.
    Ping(Bytes),
    /// A pong, at most 125 bytes, asked for or not (section 5.5.3).
    Pong(Bytes),
    /// The client wants to end. `None`: it gave no code (section 5.5.1). Nothing comes after it.
    Close(Option<CloseFrame>),
}

/// Text in shared memory: it was checked to be UTF-8 once, and cloning it copies no text.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(ByteString);

// === impl Text ===

impl Text {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same memory as bytes.
    pub fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), formatter)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), formatter)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(ByteString::from(text))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(ByteString::from(text))
    }
}

impl From<Text> for Bytes {
    fn from(text: Text) -> Self {
        text.into_bytes()
    }
}

impl TryFrom<Bytes> for Text {
    type Error = Utf8Error;

    /// Checks the bytes, which are not copied.
    fn try_from(bytes: Bytes) -> Result<Self, Utf8Error> {
        ByteString::try_from(bytes).map(Self)
    }
}
