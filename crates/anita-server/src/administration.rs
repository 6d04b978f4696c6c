//! What the server offers those who look after it: how its sources, rooms and connections are, which tokens it made, how
//! it is configured; and what a page needs before anybody has signed in.

pub(crate) mod configuration;
pub(crate) mod connections;
pub(crate) mod front;
pub(crate) mod minted;
pub(crate) mod paging;
pub(crate) mod rooms;
pub(crate) mod sources;
pub(crate) mod tokens;

use std::time::Duration;

use anita_auth::{Grant, Roles};
use anita_model::Timestamp;

use crate::sign_in::SignInDesk;

/// How long a token that was made here is valid at most, unless the configuration says otherwise: 30 days.
pub const MINTED_TTL_MAX: Duration = Duration::from_secs(30 * 86_400);

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum MintFault {
    /// The secret can't be read or used any more.
    #[error("the secret can't be used")]
    Secret(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It could not be signed.
    #[error("the token could not be signed")]
    Signing(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Makes tokens with a key that the server itself has.
pub trait Mint: Send + Sync + std::fmt::Debug {
    /// A token, valid from now for a while. Signed with the key as it is at this moment: secrets are rotated.
    ///
    /// # Errors
    /// [`MintFault`].
    fn mint(&self, grant: &Grant<'_>, now: Timestamp, ttl: Duration) -> Result<String, MintFault>;
}

/// A value of the configuration, as it was loaded; nothing of it is secret.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfiguredValue {
    /// The key with its section.
    pub key: String,
    /// The value.
    pub value: serde_json::Value,
    /// `default`, `file`, or `environment` with the variable.
    pub origin: String,
}

/// What those who look after the server are shown and may do, as far as the edge can't know it by itself.
#[derive(Debug)]
pub struct Desk {
    /// The roles that a token can have.
    pub roles: Roles,
    /// Makes tokens; `None` where the server has no key of its own to sign with.
    pub mint: Option<Box<dyn Mint>>,
    /// How people sign in at issuers; `None` where they can't.
    pub sign_in: Option<SignInDesk>,
    /// How long such a token is valid at most.
    pub minted_ttl_max: Duration,
    /// The configuration.
    pub configuration: Vec<ConfiguredValue>,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            roles: Roles::default(),
            mint: None,
            sign_in: None,
            minted_ttl_max: MINTED_TTL_MAX,
            configuration: Vec::new(),
        }
    }
}
