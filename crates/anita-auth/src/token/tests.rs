use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::Permission;

const SECRET: &[u8] = b"an example secret of enough bytes\n";

fn now() -> Timestamp {
    Timestamp::parse("2026-03-01T12:00:00Z").unwrap()
}

fn verifier() -> Verifier {
    Verifier::new(Key::hs256(SECRET).unwrap(), "anita", "anita", Roles::default())
}

/// A token with these claims on top of good ones; `null` takes a claim away.
fn token(header: &Header, changes: &Value) -> String {
    let mut claims = json!({
        "sub": "alice", "iss": "anita", "aud": "anita", "exp": now().as_secs() + 60, "roles": ["viewer"],
    });
    for (claim, value) in changes.as_object().unwrap() {
        let claims = claims.as_object_mut().unwrap();
        if value.is_null() {
            claims.remove(claim);
        } else {
            claims.insert(claim.clone(), value.clone());
        }
    }
    let secret = SECRET.strip_suffix(b"\n").unwrap();
    jsonwebtoken::encode(header, &claims, &EncodingKey::from_secret(secret)).unwrap()
}

#[test]
fn a_good_token_becomes_a_principal() {
    let token = token(&Header::default(), &json!({ "devices": ["tag-*"], "aud": ["other", "anita"] }));
    let principal = verifier().verify(&token, now()).unwrap();
    assert_eq!(principal.subject, "alice");
    assert!(principal.may(Permission::DevicesRead) && !principal.may(Permission::DevicesWrite));
    assert!(principal.may_see("tag-7") && !principal.may_see("cart-7"));
    assert_eq!(principal.expires_at, now().plus(Duration::from_secs(60)));
}

#[test]
fn every_claim_is_checked() {
    let secs = now().as_secs();
    let cases = [
        (json!({ "iss": "mallory" }), TokenError::Issuer),
        (json!({ "iss": null }), TokenError::Malformed),
        (json!({ "aud": "other" }), TokenError::Audience),
        (json!({ "aud": ["other"] }), TokenError::Audience),
        (json!({ "aud": null }), TokenError::Malformed),
        (json!({ "sub": "" }), TokenError::Subject),
        (json!({ "sub": "a\nb" }), TokenError::Subject),
        (json!({ "sub": null }), TokenError::Malformed),
        (json!({ "sub": 7 }), TokenError::Malformed),
        (json!({ "exp": null }), TokenError::Malformed),
        (json!({ "exp": "soon" }), TokenError::Malformed),
        (json!({ "exp": 1e300 }), TokenError::Malformed),
        (json!({ "exp": secs - 5 }), TokenError::Expired),
        (json!({ "nbf": secs + 6 }), TokenError::NotYet),
        (json!({ "roles": "admin" }), TokenError::Malformed),
        (json!({ "devices": ["[a"] }), TokenError::Patterns),
    ];
    for (changes, error) in cases {
        assert_eq!(verifier().verify(&token(&Header::default(), &changes), now()), Err(error), "{changes}");
    }
    for changes in [json!({ "exp": secs - 4 }), json!({ "nbf": secs + 5 })] {
        assert!(
            verifier().verify(&token(&Header::default(), &changes), now()).is_ok(),
            "within the leeway: {changes}"
        );
    }
}

#[test]
fn only_the_algorithm_of_the_key_is_accepted() {
    let hs512 = token(&Header::new(Algorithm::HS512), &json!({}));
    assert_eq!(verifier().verify(&hs512, now()), Err(TokenError::Algorithm));

    let none = format!("{}.{}.", "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", hs512.split('.').nth(1).unwrap());
    assert!(verifier().verify(&none, now()).is_err());

    let mut forged = token(&Header::default(), &json!({}));
    let last = forged.pop().unwrap();
    forged.push(if last == 'A' { 'Q' } else { 'A' });
    assert_eq!(verifier().verify(&forged, now()), Err(TokenError::Signature));
}

#[test]
fn the_text_of_a_public_key_is_no_shared_secret() {
    // The classical confusion: sign with HS256, and the public key's PEM as the secret.
    let pem = b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    let verifier = Verifier::new(Key::public_pem(pem).unwrap(), "anita", "anita", Roles::default());
    assert_eq!(verifier.key.algorithm(), "EdDSA");
    let claims = json!({ "sub": "alice", "iss": "anita", "aud": "anita", "exp": now().as_secs() + 60 });
    let forged = jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(pem)).unwrap();
    assert_eq!(verifier.verify(&forged, now()), Err(TokenError::Algorithm));
}

#[test]
fn weak_or_wrong_keys_are_refused() {
    assert!(matches!(Key::hs256(b"short\n"), Err(InvalidKey::ShortSecret { len_bytes: 5 })));
    assert!(matches!(Key::public_pem(b"-----BEGIN PRIVATE KEY-----"), Err(InvalidKey::NotAPublicKey)));
    assert!(matches!(Key::public_pem(SECRET), Err(InvalidKey::NotAPublicKey)));
}

#[test]
fn what_is_minted_is_accepted() {
    let minter = Minter::hs256(SECRET, "anita", "anita").unwrap();
    let rooms = Some(vec!["uwb".to_owned()]);
    let token =
        minter.mint("bob", &["operator".to_owned()], None, rooms, now(), Duration::from_secs(900)).unwrap();
    let principal = verifier().verify(&token, now()).unwrap();
    assert!(principal.may(Permission::DevicesWrite));
    assert!(principal.may_join(&anita_model::RoomName::uwb()));
    assert!(!principal.may_join(&anita_model::RoomName::parse("kitchen").unwrap()));
    let later = now().plus(Duration::from_secs(906));
    assert_eq!(verifier().verify(&token, later), Err(TokenError::Expired));
}

#[test]
fn a_token_that_is_too_long_is_not_even_read() {
    assert_eq!(verifier().verify(&"x".repeat(TOKEN_BYTES_MAX + 1), now()), Err(TokenError::TooLong));
}

proptest! {
    #[test]
    fn no_text_is_a_token_or_a_panic(text in ".*") {
        prop_assert!(verifier().verify(&text, now()).is_err());
    }
}
