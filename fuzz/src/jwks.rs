//! Any bytes as the keys that an issuer publishes, and as a key file.

use anita_auth::{JWKS_KEYS_MAX, Key, KeySet};

/// Reads the document.
pub fn run(bytes: &[u8]) {
    if let Ok(keys) = KeySet::from_jwks(bytes) {
        assert!((1..=JWKS_KEYS_MAX).contains(&keys.len()));
        for algorithm in keys.algorithms() {
            assert!(!algorithm.starts_with("HS"), "a secret is not published: {algorithm}");
            assert_ne!(algorithm, "none");
        }
    }
    drop(Key::public_pem(bytes));
    drop(Key::hs256(bytes));
}
