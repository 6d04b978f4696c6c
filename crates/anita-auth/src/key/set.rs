//! The keys of one issuer.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Header};
use serde::Deserialize;
use serde_json::Value;

use super::{Key, natural_algorithm};
use crate::token::TokenError;

/// The most keys of a JWKS.
pub const JWKS_KEYS_MAX: usize = 64;

/// Why a text is no key set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeySet {
    /// No JSON, or not `{"keys": […]}` (RFC 7517 §5).
    #[error("this is no JWKS: a JSON object with a list `keys`")]
    NotAKeySet,
    /// Too many.
    #[error("the JWKS has {count} keys, at most {JWKS_KEYS_MAX} are read")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// None of them can verify a token here.
    #[error(
        "none of the {count} keys of the JWKS is usable: RSA of 2048 bits or more, P-256, P-384 and Ed25519 for signatures are"
    )]
    NoneUsable {
        /// How many there are.
        count: usize,
    },
}

/// The keys of one issuer, at one moment.
#[derive(Debug, Clone)]
pub enum KeySet {
    /// Named by the operator: a token's `kid` means nothing to them. Each that fits the algorithm is tried; several
    /// are there while one takes the place of another.
    Given(Vec<Key>),
    /// Published by the issuer: `kid` says which, and only which of these.
    Published(Vec<Key>),
}

#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

impl KeySet {
    /// Published keys of which none is known yet.
    pub fn not_yet() -> Self {
        Self::Published(Vec::new())
    }

    /// Reads a JWKS (RFC 7517 §5). Keys that are not for signatures, of unknown kinds, weak, symmetric or private are
    /// left out, as if they were not there.
    ///
    /// # Errors
    /// [`InvalidKeySet`].
    pub fn from_jwks(text: &[u8]) -> Result<Self, InvalidKeySet> {
        let Published { keys } = serde_json::from_slice(text).map_err(|_reason| InvalidKeySet::NotAKeySet)?;
        let count = keys.len();
        if count > JWKS_KEYS_MAX {
            return Err(InvalidKeySet::TooMany { count });
        }
        let usable: Vec<Key> = keys.into_iter().filter_map(published_key).collect();
        if usable.is_empty() {
            return Err(InvalidKeySet::NoneUsable { count });
        }
        Ok(Self::Published(usable))
    }

    fn keys(&self) -> &[Key] {
        let (Self::Given(keys) | Self::Published(keys)) = self;
        keys
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.keys().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys().is_empty()
    }

    /// The names of their algorithms, each once.
    pub fn algorithms(&self) -> Vec<String> {
        let mut names: Vec<String> = self.keys().iter().map(Key::algorithm).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The keys that may have signed a token with this header.
    ///
    /// # Errors
    /// [`TokenError::Algorithm`] when no key of ours has the algorithm, [`TokenError::UnknownKey`] when the issuer may
    /// have published another key since.
    pub(crate) fn candidates(&self, header: &Header) -> Result<Vec<&Key>, TokenError> {
        let fits = |key: &&Key| key.algorithm == header.alg;
        match self {
            Self::Given(keys) => {
                let fitting: Vec<&Key> = keys.iter().filter(fits).collect();
                if fitting.is_empty() { Err(TokenError::Algorithm) } else { Ok(fitting) }
            }
            // Nobody publishes a shared secret.
            Self::Published(_) if header.alg.family() == AlgorithmFamily::Hmac => Err(TokenError::Algorithm),
            Self::Published(keys) => match &header.kid {
                Some(kid) => {
                    let named: Vec<&Key> = keys.iter().filter(|key| key.id.as_ref() == Some(kid)).collect();
                    if named.is_empty() {
                        return Err(TokenError::UnknownKey);
                    }
                    only(named.into_iter().filter(fits)).ok_or(TokenError::Algorithm)
                }
                None if keys.is_empty() => Err(TokenError::UnknownKey),
                None if !keys.iter().any(|key| fits(&key)) => Err(TokenError::Algorithm),
                None => only(keys.iter().filter(fits)).ok_or(TokenError::NoKeyNamed),
            },
        }
    }
}

/// The one key, if it is the only one.
fn only<'a>(mut keys: impl Iterator<Item = &'a Key>) -> Option<Vec<&'a Key>> {
    let first = keys.next()?;
    keys.next().is_none().then(|| vec![first])
}

/// A key of a JWKS, if it can verify tokens.
#[expect(clippy::wildcard_enum_match_arm, reason = "the library's lists of kinds and curves are open")]
fn published_key(written: Value) -> Option<Key> {
    // A published private key is nobody's secret any more, and a shared secret must not be published.
    if written.get("d").is_some() || written.get("k").is_some() {
        return None;
    }
    let jwk: Jwk = serde_json::from_value(written).ok()?;
    let is_for_signatures =
        jwk.common.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature)
            && jwk.common.key_operations.as_ref().is_none_or(|it| it.contains(&KeyOperations::Verify));
    if !is_for_signatures {
        return None;
    }
    let decoding = DecodingKey::from_jwk(&jwk).ok()?;
    let natural = natural_algorithm(&decoding).ok()?;
    let is_of_curve = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => natural == Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => natural == Algorithm::ES256,
            EllipticCurve::P384 => natural == Algorithm::ES384,
            _ => false,
        },
        AlgorithmParameters::OctetKeyPair(key) => {
            key.curve == EllipticCurve::Ed25519 && natural == Algorithm::EdDSA
        }
        _ => false,
    };
    let algorithm = match jwk.common.key_algorithm {
        None => natural,
        Some(named) => {
            let named = Algorithm::try_from(named).ok()?;
            // Only RSA has several algorithms for one key; a curve has its own.
            let is_fitting =
                named == natural || (natural == Algorithm::RS256 && named.family() == AlgorithmFamily::Rsa);
            is_fitting.then_some(named)?
        }
    };
    is_of_curve.then_some(Key { algorithm, decoding, id: jwk.common.key_id })
}
