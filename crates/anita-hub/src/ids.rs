//! Ids that nobody can guess.

use std::fmt;
use std::sync::Arc;

/// The id of one connection, unique for the life of the process and beyond guessing.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(Arc<str>);

impl ConnectionId {
    /// A new one.
    pub fn random() -> Self {
        Self(random_token(12).into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for ConnectionId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// So many random bytes of the operating system, as lower-case hexadecimal text.
pub fn random_token(bytes: usize) -> String {
    use std::fmt::Write as _;
    let mut random = vec![0_u8; bytes];
    if let Err(error) = getrandom::fill(&mut random) {
        // Linux, macOS and Windows give random bytes from the first moment of a process on. Without them no secret
        // is safe, and going on would be the larger fault.
        tracing::error!(%error, "the operating system gives no random bytes");
        std::process::abort();
    }
    random.iter().fold(String::with_capacity(bytes * 2), |mut text, byte| {
        // Writing to a String does not fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}
