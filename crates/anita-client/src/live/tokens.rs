//! Where tokens come from.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::token::Token;

/// Why a token is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenReason {
    /// For a new connection.
    Connect,
    /// The token of the present connection runs out soon.
    Refresh,
    /// The last one had run out.
    Rejected,
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Asking again may help.
    #[error("there is no token just now: {0}")]
    Later(String),
    /// Asking again is no use: the client fails.
    #[error("there is no token: {0}")]
    Never(String),
}

type Asked = Pin<Box<dyn Future<Output = Result<Token, TokenError>> + Send>>;

/// A token, or who gives one.
#[derive(Clone)]
pub(super) enum TokenSource {
    /// One for all connections, or none at all.
    Text(Option<Token>),
    /// A fresh one each time.
    Function(Arc<dyn Fn(TokenReason) -> Asked + Send + Sync>),
}

// === impl TokenSource ===

impl TokenSource {
    pub(super) async fn ask(&self, reason: TokenReason) -> Result<Option<Token>, TokenError> {
        match self {
            Self::Text(token) => Ok(token.clone()),
            Self::Function(give) => give(reason).await.map(Some),
        }
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(token) => f.debug_tuple("Text").field(token).finish(),
            Self::Function(_) => f.write_str("Function(…)"),
        }
    }
}
