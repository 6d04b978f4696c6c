//! Why a token is not accepted, and what is read of one before anything of it is believed.

use std::time::Duration;

use anita_model::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Header, Validation};
use serde::Deserialize;
use serde_json::Value;

use crate::claims::Claims;
use crate::key::Key;

/// The longest token that is looked at, bytes.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// How far clocks may differ.
pub const LEEWAY: Duration = Duration::from_secs(5);

/// The longest subject and the longest id of a token, bytes.
pub const SUBJECT_BYTES_MAX: usize = 256;

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than [`TOKEN_BYTES_MAX`].
    #[error("the token is longer than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    /// Not a JWT, or its claims have other types than they should.
    #[error("the token is not a JWT with the claims that are needed")]
    Malformed,
    /// Its header demands something (`crit`, RFC 7515 §4.1.11) that is not understood.
    #[error("the token's header demands what is not understood here")]
    Critical,
    /// Signed with another algorithm than the key's.
    #[error("the token is signed with an algorithm that is not allowed here")]
    Algorithm,
    /// Signed with a key that its issuer does not publish.
    #[error("the token is signed with a key that its issuer does not publish")]
    UnknownKey,
    /// It names no key, and its issuer has several.
    #[error("the token does not say with which of its issuer's keys it is signed")]
    NoKeyNamed,
    /// The issuer's keys could not be asked for in time: later, the token may be accepted.
    #[error("the keys of the token's issuer are not to be had just now")]
    KeysUnavailable {
        /// When to try again.
        retry_after: Duration,
    },
    /// The signature does not fit the key.
    #[error("the token's signature is not valid")]
    Signature,
    /// `typ` is another (RFC 8725 §3.11).
    #[error("the token is of another type than those that are taken here")]
    Type,
    /// `iss` is another.
    #[error("the token was issued by somebody else")]
    Issuer,
    /// `aud` names others.
    #[error("the token is for another audience")]
    Audience,
    /// `nonce` is not that of the sign-in (`OpenID` Connect Core §3.1.3.7): the token was made for another one.
    #[error("the token was made for another sign-in")]
    Nonce,
    /// It is for several audiences, or for one, by somebody else's wish (`azp`, `OpenID` Connect Core §3.1.3.7).
    #[error("the token was made for another client")]
    AuthorizedParty,
    /// `sub` is missing, empty or too long.
    #[error("the token has no usable subject")]
    Subject,
    /// `jti` is empty or too long.
    #[error("the token has no usable id")]
    TokenId,
    /// `nbf` is ahead.
    #[error("the token is not valid yet")]
    NotYet,
    /// `exp` is past.
    #[error("the token has run out")]
    Expired,
    /// It, its subject's tokens, or all of its time were revoked.
    #[error("the token was revoked")]
    Revoked,
    /// A pattern in `devices` or `rooms` is no glob.
    #[error("the token's device or room patterns are not globs")]
    Patterns,
}

/// A fault of the library as one of ours.
#[expect(clippy::wildcard_enum_match_arm, reason = "the library's list of faults is open")]
fn token_error(kind: &ErrorKind) -> TokenError {
    match kind {
        ErrorKind::InvalidSignature => TokenError::Signature,
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => TokenError::Algorithm,
        _ => TokenError::Malformed,
    }
}

/// What a token says of how it is to be checked. Nothing of it is believed: it only selects among what is configured.
pub(crate) struct Unchecked {
    pub(crate) header: Header,
    pub(crate) issuer: String,
    /// `iat`, in seconds.
    issued_at: Option<f64>,
}

impl Unchecked {
    pub(crate) fn read(token: &str) -> Result<Self, TokenError> {
        #[derive(Deserialize)]
        struct Issued {
            iss: String,
            #[serde(default)]
            iat: Option<Value>,
        }
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|error| token_error(error.kind()))?;
        if header.crit.is_some() {
            return Err(TokenError::Critical);
        }
        let issued = jsonwebtoken::dangerous::insecure_decode_claims::<Issued>(token);
        let Issued { iss, iat } = issued.map_err(|_reason| TokenError::Malformed)?;
        Ok(Self { header, issuer: iss, issued_at: iat.and_then(|iat| iat.as_f64()) })
    }

    pub(crate) fn issued_at(&self) -> Option<Timestamp> {
        Timestamp::from_secs_f64(self.issued_at?).ok()
    }
}

/// The claims of a token, if the key signed it.
pub(crate) fn signed_claims(token: &str, key: &Key) -> Result<Claims, TokenError> {
    // The library would ask the system's clock; the checks of the claims are our own and take `now`.
    let mut validation = Validation::new(key.algorithm);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let decoded = jsonwebtoken::decode::<Claims>(token, &key.decoding, &validation);
    decoded.map(|data| data.claims).map_err(|error| token_error(error.kind()))
}
