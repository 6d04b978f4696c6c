//! Makes tokens of our own.

use std::fmt;
use std::time::Duration;

use anita_model::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use crate::key::{InvalidKey, trimmed};

/// The claims of a token of ours: whole seconds, as every library reads them.
#[derive(Serialize)]
struct Minted<'a> {
    sub: &'a str,
    iss: &'a str,
    aud: &'a str,
    exp: i64,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a str>,
    roles: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    devices: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rooms: Option<&'a [String]>,
}

/// Whom a token is for, and what it allows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Grant<'a> {
    /// Who.
    pub subject: &'a str,
    /// The roles.
    pub roles: &'a [String],
    /// Globs of the devices that may be seen; all when absent.
    pub devices: Option<&'a [String]>,
    /// Globs of the rooms that may be joined; all when absent.
    pub rooms: Option<&'a [String]>,
    /// The token's own id, by which it can be revoked.
    pub token_id: Option<&'a str>,
}

/// Why no token could be made.
#[derive(Debug, thiserror::Error)]
#[error("the token could not be signed")]
pub struct MintError(#[from] jsonwebtoken::errors::Error);

/// Makes tokens with a shared secret: for `anita token` and the demo.
#[derive(Clone)]
pub struct Minter {
    encoding: EncodingKey,
    issuer: String,
    audience: String,
}

impl fmt::Debug for Minter {
    /// Never prints the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minter").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Minter {
    /// A minter for one secret (see [`Key::hs256`](crate::Key::hs256)), issuer and audience.
    ///
    /// # Errors
    /// [`InvalidKey::ShortSecret`] below [`HS256_SECRET_BYTES_MIN`](crate::HS256_SECRET_BYTES_MIN).
    pub fn hs256(
        file: &[u8],
        issuer: impl Into<String>,
        audience: impl Into<String>,
    ) -> Result<Self, InvalidKey> {
        let encoding = EncodingKey::from_secret(trimmed(file)?);
        Ok(Self { encoding, issuer: issuer.into(), audience: audience.into() })
    }

    /// A token for somebody, valid from now for a while.
    ///
    /// # Errors
    /// [`MintError`] when the signing fails.
    pub fn mint(&self, grant: &Grant<'_>, now: Timestamp, ttl: Duration) -> Result<String, MintError> {
        let claims = Minted {
            sub: grant.subject,
            iss: &self.issuer,
            aud: &self.audience,
            exp: now.plus(ttl).as_secs(),
            iat: now.as_secs(),
            jti: grant.token_id,
            roles: grant.roles,
            devices: grant.devices,
            rooms: grant.rooms,
        };
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)?)
    }
}
