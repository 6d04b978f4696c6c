//! Why a measurement could not be taken.

use std::fmt::Display;

/// Why a measurement could not be taken: a sentence for whoever runs it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Fault(String);

/// What comes of most steps.
pub(crate) type Outcome<T = ()> = Result<T, Fault>;

impl Fault {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// Says what was tried when something failed.
pub(crate) trait While<T> {
    /// `what`: "cannot `what`: `error`".
    fn to(self, what: impl Display) -> Outcome<T>;
}

impl<T, E: Display> While<T> for Result<T, E> {
    fn to(self, what: impl Display) -> Outcome<T> {
        self.map_err(|error| Fault(format!("cannot {what}: {error}")))
    }
}
