//! Any bytes as a token, and any header and claims with a valid signature.

use anita_auth::{Key, Roles, Verifier};
use anita_model::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};

const SECRET: &[u8] = b"a secret of the fuzz targets, 0123456789";

/// Verifies the bytes as they are; then, divided at the first newline, as header and claims that are signed here.
pub fn run(bytes: &[u8]) {
    let Ok(key) = Key::hs256(SECRET) else { return };
    let verifier = Verifier::new(key, "anita", "anita", Roles::default());
    let now = Timestamp::UNIX_EPOCH;
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(verifier.verify(text, now).is_err(), "nobody guesses a signature");
    }
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    let (header, claims) = bytes.split_at(end);
    let claims = claims.get(1..).unwrap_or_default();
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let key = EncodingKey::from_secret(SECRET);
    let Ok(signature) = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256) else { return };
    if let Ok(principal) = verifier.verify(&format!("{signed}.{signature}"), now) {
        let header = serde_json::from_slice::<serde_json::Value>(header).unwrap_or_default();
        assert_eq!(header["alg"], "HS256", "no other algorithm is taken");
        assert!(!format!("{principal:?}").is_empty());
    }
}
