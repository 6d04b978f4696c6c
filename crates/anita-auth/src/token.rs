//! JWT as RFC 7519 and RFC 8725 want it: one key, one algorithm, every claim checked, the time an argument.

use std::fmt;
use std::time::Duration;

use anita_model::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::{Patterns, Principal, Roles};

/// The longest token that is looked at, bytes.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// How far clocks may differ.
pub const LEEWAY: Duration = Duration::from_secs(5);

/// The shortest HS256 secret: as long as the hash (RFC 7518 §3.2), bytes.
pub const HS256_SECRET_BYTES_MIN: usize = 32;

/// The longest subject, bytes.
const SUBJECT_BYTES_MAX: usize = 256;

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than [`TOKEN_BYTES_MAX`].
    #[error("the token is longer than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    /// Not a JWT, or its claims have other types than they should.
    #[error("the token is not a JWT with the claims that are needed")]
    Malformed,
    /// Signed with another algorithm than the key's.
    #[error("the token is signed with an algorithm that is not allowed here")]
    Algorithm,
    /// The signature does not fit the key.
    #[error("the token's signature is not valid")]
    Signature,
    /// `iss` is another.
    #[error("the token was issued by somebody else")]
    Issuer,
    /// `aud` names others.
    #[error("the token is for another audience")]
    Audience,
    /// `sub` is missing, empty or too long.
    #[error("the token has no usable subject")]
    Subject,
    /// `nbf` is ahead.
    #[error("the token is not valid yet")]
    NotYet,
    /// `exp` is past.
    #[error("the token has run out")]
    Expired,
    /// A pattern in `devices` or `rooms` is no glob.
    #[error("the token's device or room patterns are not globs")]
    Patterns,
}

/// Why a key is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKey {
    /// The secret is too short to be safe.
    #[error(
        "the secret has {len_bytes} bytes; HS256 needs {HS256_SECRET_BYTES_MIN} or more, random ones (try: openssl rand -hex 32)"
    )]
    ShortSecret {
        /// How long it is.
        len_bytes: usize,
    },
    /// No public key of a kind that is known.
    #[error("this is no public key in PEM; RSA (RS256), P-256 (ES256) and Ed25519 (`EdDSA`) are understood")]
    NotAPublicKey,
}

/// A key that verifies tokens, bound to one algorithm.
#[derive(Clone)]
pub struct Key {
    algorithm: Algorithm,
    decoding: DecodingKey,
}

impl fmt::Debug for Key {
    /// Never prints the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl Key {
    /// A shared secret for HS256: a file's bytes, without a trailing newline.
    ///
    /// # Errors
    /// [`InvalidKey::ShortSecret`] below [`HS256_SECRET_BYTES_MIN`].
    pub fn hs256(file: &[u8]) -> Result<Self, InvalidKey> {
        let secret = trimmed(file)?;
        Ok(Self { algorithm: Algorithm::HS256, decoding: DecodingKey::from_secret(secret) })
    }

    /// A public key in PEM; its kind decides the algorithm: RSA → `RS256`, P-256 → `ES256`, Ed25519 → `EdDSA`.
    ///
    /// # Errors
    /// [`InvalidKey::NotAPublicKey`] for anything else.
    pub fn public_pem(pem: &[u8]) -> Result<Self, InvalidKey> {
        let is_private = String::from_utf8_lossy(pem).contains("PRIVATE KEY");
        if is_private {
            return Err(InvalidKey::NotAPublicKey);
        }
        let kinds = [
            (Algorithm::RS256, DecodingKey::from_rsa_pem(pem)),
            (Algorithm::ES256, DecodingKey::from_ec_pem(pem)),
            (Algorithm::EdDSA, DecodingKey::from_ed_pem(pem)),
        ];
        kinds
            .into_iter()
            .find_map(|(algorithm, key)| key.ok().map(|decoding| Self { algorithm, decoding }))
            .ok_or(InvalidKey::NotAPublicKey)
    }

    /// The name of the one algorithm, as in a token's header.
    pub fn algorithm(&self) -> String {
        format!("{:?}", self.algorithm)
    }
}

fn trimmed(file: &[u8]) -> Result<&[u8], InvalidKey> {
    let secret = file.strip_suffix(b"\n").unwrap_or(file);
    let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
    if secret.len() < HS256_SECRET_BYTES_MIN {
        return Err(InvalidKey::ShortSecret { len_bytes: secret.len() });
    }
    Ok(secret)
}

/// The claims of a token.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Claims {
    /// Who.
    pub sub: String,
    /// Who issued it.
    pub iss: String,
    /// For whom.
    pub aud: Audience,
    /// When it runs out, seconds since the Unix epoch; RFC 7519 allows a fraction.
    pub exp: f64,
    /// From when it is valid.
    #[serde(default)]
    pub nbf: Option<f64>,
    /// When it was issued.
    #[serde(default)]
    pub iat: Option<f64>,
    /// Its roles.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Which devices it may see; all when absent.
    #[serde(default)]
    pub devices: Option<Vec<String>>,
    /// Which rooms it may join; all when absent.
    #[serde(default)]
    pub rooms: Option<Vec<String>>,
}

/// `aud`: one text or a list of them (RFC 7519 §4.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Audience {
    fn names(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Many(many) => many.iter().any(|one| one == audience),
        }
    }
}

/// Turns tokens into principals.
#[derive(Debug, Clone)]
pub struct Verifier {
    key: Key,
    issuer: String,
    audience: String,
    roles: Roles,
}

impl Verifier {
    /// A verifier for one key, issuer and audience.
    pub fn new(key: Key, issuer: impl Into<String>, audience: impl Into<String>, roles: Roles) -> Self {
        Self { key, issuer: issuer.into(), audience: audience.into(), roles }
    }

    /// Checks a token: size, algorithm, signature, `iss`, `aud`, `sub`, `nbf`, `exp`, patterns — in this order.
    ///
    /// # Errors
    /// The [`TokenError`] of the first check that fails.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, TokenError> {
        let claims = self.claims(token)?;
        if claims.iss != self.issuer {
            return Err(TokenError::Issuer);
        }
        if !claims.aud.names(&self.audience) {
            return Err(TokenError::Audience);
        }
        if claims.sub.is_empty()
            || claims.sub.len() > SUBJECT_BYTES_MAX
            || claims.sub.contains(char::is_control)
        {
            return Err(TokenError::Subject);
        }
        let moment = |secs| Timestamp::from_secs_f64(secs).map_err(|_not_a_time| TokenError::Malformed);
        if claims.nbf.map(moment).transpose()?.is_some_and(|not_before| not_before > now.plus(LEEWAY)) {
            return Err(TokenError::NotYet);
        }
        let expires_at = moment(claims.exp)?;
        if expires_at.plus(LEEWAY) <= now {
            return Err(TokenError::Expired);
        }
        let patterns = |list: Option<Vec<String>>| match list {
            None => Ok(Patterns::all()),
            Some(list) => Patterns::parse(&list).map_err(|_not_globs| TokenError::Patterns),
        };
        Ok(Principal {
            permissions: self.roles.permissions_of(claims.roles.iter().map(String::as_str)),
            subject: claims.sub,
            roles: claims.roles,
            devices: patterns(claims.devices)?,
            rooms: patterns(claims.rooms)?,
            expires_at,
        })
    }

    fn claims(&self, token: &str) -> Result<Claims, TokenError> {
        use jsonwebtoken::errors::ErrorKind;
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        // The library would ask the system's clock; the checks of the claims are our own and take `now`.
        let mut validation = Validation::new(self.key.algorithm);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        match jsonwebtoken::decode::<Claims>(token, &self.key.decoding, &validation) {
            Ok(data) => Ok(data.claims),
            #[expect(clippy::wildcard_enum_match_arm, reason = "the library's list of faults is open")]
            Err(error) => Err(match error.kind() {
                ErrorKind::InvalidSignature => TokenError::Signature,
                ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => TokenError::Algorithm,
                _ => TokenError::Malformed,
            }),
        }
    }
}

/// The claims of a token of ours: whole seconds, as every library reads them.
#[derive(Serialize)]
struct Minted<'a> {
    sub: &'a str,
    iss: &'a str,
    aud: &'a str,
    exp: i64,
    iat: i64,
    roles: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    devices: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rooms: Option<Vec<String>>,
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
    /// A minter for one secret (see [`Key::hs256`]), issuer and audience.
    ///
    /// # Errors
    /// [`InvalidKey::ShortSecret`] below [`HS256_SECRET_BYTES_MIN`].
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
    pub fn mint(
        &self,
        subject: &str,
        roles: &[String],
        devices: Option<Vec<String>>,
        rooms: Option<Vec<String>>,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<String, MintError> {
        let claims = Minted {
            sub: subject,
            iss: &self.issuer,
            aud: &self.audience,
            exp: now.plus(ttl).as_secs(),
            iat: now.as_secs(),
            roles,
            devices,
            rooms,
        };
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)?)
    }
}

#[cfg(test)]
mod tests;
