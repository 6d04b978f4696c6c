use serde_json::Value;

pub(super) const RSA: &str = include_str!("rsa2048.pem");
pub(super) const OTHER_RSA: &str = include_str!("other_rsa.pem");
pub(super) const EC: &str = include_str!("p256.pem");
pub(super) const ED: &str = include_str!("ed25519.pem");

fn named(jwk: &str, kid: &str) -> Value {
    let mut jwk: Value = serde_json::from_str(jwk).unwrap();
    jwk["kid"] = kid.into();
    jwk
}

pub(super) fn rsa(kid: &str) -> Value {
    named(include_str!("rsa2048.jwk.json"), kid)
}

pub(super) fn other_rsa(kid: &str) -> Value {
    named(include_str!("other_rsa.jwk.json"), kid)
}

pub(super) fn ec(kid: &str) -> Value {
    named(include_str!("p256.jwk.json"), kid)
}

pub(super) fn ed(kid: &str) -> Value {
    named(include_str!("ed25519.jwk.json"), kid)
}
