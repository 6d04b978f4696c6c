//! Who is asked whose token it is, where keys may still be on their way.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use anita_model::Timestamp;

use crate::{Principal, TokenError, Verifier};

/// Done when the keys that a token needs have been asked for: then the token can be judged.
///
/// # Errors
/// [`TokenError::KeysUnavailable`] when they could not be had in time.
pub type KeysAwaited = Pin<Box<dyn Future<Output = Result<(), TokenError>> + Send>>;

/// What is to be said of a token.
pub enum Judgement {
    /// Whose it is, or why it is not accepted.
    Given(Result<Principal, TokenError>),
    /// It may be signed with a key that its issuer published a moment ago: ask again when that is known.
    Awaited(KeysAwaited),
}

impl fmt::Debug for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(given) => f.debug_tuple("Given").field(given).finish(),
            Self::Awaited(_) => f.write_str("Awaited"),
        }
    }
}

/// How the keys of an issuer are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeysState {
    /// Named by the operator.
    Given,
    /// As the issuer publishes them.
    Fresh,
    /// The issuer does not answer; those that are known go on.
    Kept,
    /// The issuer does not answer, and none is known: its tokens are refused until it does.
    Missing,
}

impl KeysState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Fresh => "fresh",
            Self::Kept => "kept",
            Self::Missing => "missing",
        }
    }
}

/// How an issuer is, for `/readyz` and the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerReport {
    /// What `iss` is in its tokens.
    pub issuer: String,
    /// How its keys are.
    pub state: KeysState,
    /// How many there are.
    pub keys: usize,
    /// How long ago the issuer said so; `None` for keys that the operator names, or that nobody has said yet.
    pub age: Option<Duration>,
}

/// Who is asked whose token it is.
pub trait Authority: fmt::Debug + Send + Sync {
    /// Judges by the keys that are known now.
    ///
    /// # Errors
    /// Why the token is not accepted.
    fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, TokenError>;

    /// Judges, or asks the issuer for keys that are not known yet.
    fn judge(&self, token: &str, now: Timestamp) -> Judgement {
        Judgement::Given(self.verify(token, now))
    }

    /// How each issuer is.
    fn reports(&self) -> Vec<IssuerReport> {
        Vec::new()
    }
}

/// With keys that never change.
impl Authority for Verifier {
    fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, TokenError> {
        Verifier::verify(self, token, now)
    }
}
