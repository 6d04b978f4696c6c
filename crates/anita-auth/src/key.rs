//! Keys that verify tokens: each is bound to one algorithm, whatever a token says (RFC 8725 §3.1, §3.2).

mod set;

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};

pub use set::{InvalidKeySet, JWKS_KEYS_MAX, KeySet};

/// The shortest HS256 secret: as long as the hash (RFC 7518 §3.2), bytes.
pub const HS256_SECRET_BYTES_MIN: usize = 32;

/// The sizes of RSA keys that are accepted (RFC 7518 §3.3; beyond the other end one check costs too much), bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

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
    #[error(
        "this is no public key in PEM; RSA (RS256), P-256 (ES256), P-384 (ES384) and Ed25519 (`EdDSA`) are understood"
    )]
    NotAPublicKey,
    /// An RSA key that is too short to be safe, or too long to be checked often.
    #[error("this RSA key does not have 2048 to 8192 bits")]
    RsaSize,
}

/// A key that verifies tokens, bound to one algorithm.
#[derive(Clone)]
pub struct Key {
    pub(crate) algorithm: Algorithm,
    pub(crate) decoding: DecodingKey,
    /// Its name among the keys of its issuer, if it has one.
    pub(crate) id: Option<String>,
}

impl fmt::Debug for Key {
    /// Never prints the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("algorithm", &self.algorithm)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Key {
    /// A shared secret for HS256: a file's bytes, without a trailing newline.
    ///
    /// # Errors
    /// [`InvalidKey::ShortSecret`] below [`HS256_SECRET_BYTES_MIN`].
    pub fn hs256(file: &[u8]) -> Result<Self, InvalidKey> {
        let decoding = DecodingKey::from_secret(trimmed(file)?);
        Ok(Self { algorithm: Algorithm::HS256, decoding, id: None })
    }

    /// A public key in PEM; its kind decides the algorithm: RSA → `RS256`, P-256 → `ES256`, P-384 → `ES384`,
    /// Ed25519 → `EdDSA`.
    ///
    /// # Errors
    /// [`InvalidKey`] for anything else.
    pub fn public_pem(pem: &[u8]) -> Result<Self, InvalidKey> {
        let is_private = String::from_utf8_lossy(pem).contains("PRIVATE KEY");
        if is_private {
            return Err(InvalidKey::NotAPublicKey);
        }
        let candidates =
            [DecodingKey::from_rsa_pem(pem), DecodingKey::from_ec_pem(pem), DecodingKey::from_ed_pem(pem)];
        let decoding = candidates.into_iter().find_map(Result::ok).ok_or(InvalidKey::NotAPublicKey)?;
        let algorithm = natural_algorithm(&decoding)?;
        Ok(Self { algorithm, decoding, id: None })
    }

    /// The name of the one algorithm, as in a token's header.
    pub fn algorithm(&self) -> String {
        format!("{:?}", self.algorithm)
    }
}

/// The algorithm of a public key that names none, by its kind and size.
fn natural_algorithm(key: &DecodingKey) -> Result<Algorithm, InvalidKey> {
    use jsonwebtoken::AlgorithmFamily::{Ec, Ed, Hmac, Rsa};
    /// An uncompressed point: its mark, x and y (SEC 1 §2.3.3), bytes.
    const P256_POINT_BYTES: usize = 65;
    const P384_POINT_BYTES: usize = 97;
    const ED25519_BYTES: usize = 32;
    match (key.family(), size_bytes(key)) {
        (Rsa, _) if RSA_BITS.contains(&rsa_bits(key)) => Ok(Algorithm::RS256),
        (Rsa, _) => Err(InvalidKey::RsaSize),
        (Ec, P256_POINT_BYTES) => Ok(Algorithm::ES256),
        (Ec, P384_POINT_BYTES) => Ok(Algorithm::ES384),
        (Ed, ED25519_BYTES) => Ok(Algorithm::EdDSA),
        (Ec | Ed | Hmac, _) => Err(InvalidKey::NotAPublicKey),
    }
}

fn size_bytes(key: &DecodingKey) -> usize {
    match key.kind() {
        DecodingKeyKind::SecretOrDer(bytes) => bytes.len(),
        DecodingKeyKind::RsaModulusExponent { n, .. } => n.len(),
    }
}

/// The size of an RSA key's modulus.
fn rsa_bits(key: &DecodingKey) -> usize {
    match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, .. } => bits(n),
        DecodingKeyKind::SecretOrDer(der) => der_modulus(der).map(bits).unwrap_or_default(),
    }
}

fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    let first = number.get(zeros).copied().unwrap_or(u8::MAX);
    (number.len() - zeros) * 8 - usize::try_from(first.leading_zeros()).unwrap_or_default()
}

/// The modulus of an `RSAPublicKey` in DER (RFC 8017 §A.1.1): the first number of the sequence.
fn der_modulus(der: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    der_value(der_value(der, SEQUENCE)?, INTEGER)
}

/// The value of the element of this kind that the bytes begin with.
fn der_value(der: &[u8], kind: u8) -> Option<&[u8]> {
    let (found, rest) = der.split_first()?;
    let (short, rest) = rest.split_first().filter(|_| *found == kind)?;
    if *short < 0x80 {
        return rest.get(..usize::from(*short));
    }
    let (length, rest) = rest.split_at_checked(usize::from(short & 0x7f)).filter(|(it, _)| it.len() <= 4)?;
    let length = length.iter().fold(0_usize, |length, &byte| length << 8 | usize::from(byte));
    rest.get(..length)
}

/// A secret without the newline that editors and `echo` leave.
pub(crate) fn trimmed(file: &[u8]) -> Result<&[u8], InvalidKey> {
    let secret = file.strip_suffix(b"\n").unwrap_or(file);
    let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
    if secret.len() < HS256_SECRET_BYTES_MIN {
        return Err(InvalidKey::ShortSecret { len_bytes: secret.len() });
    }
    Ok(secret)
}

#[cfg(test)]
mod tests;
