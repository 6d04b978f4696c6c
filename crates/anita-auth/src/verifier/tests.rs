use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{ClaimPath, Grant, InvalidKey, Minter, Permission, TOKEN_BYTES_MAX};

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
    assert_eq!(principal.subject(), "alice");
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
        (json!({ "roles": 7 }), TokenError::Malformed),
        (json!({ "roles": ["viewer", 7] }), TokenError::Malformed),
        (json!({ "devices": { "tag": true } }), TokenError::Malformed),
        (json!({ "jti": "" }), TokenError::TokenId),
        (json!({ "jti": "x".repeat(257) }), TokenError::TokenId),
        (json!({ "jti": 7 }), TokenError::Malformed),
        (json!({ "iat": "yesterday" }), TokenError::Malformed),
        (json!({ "aud": ["anita", 7] }), TokenError::Malformed),
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
fn a_time_of_issue_that_is_ahead_is_no_time_so_that_every_revocation_by_age_reaches_the_token() {
    let secs = now().as_secs();
    let issued_at = |iat: Value| {
        verifier()
            .verify(&token(&Header::default(), &json!({ "iat": iat })), now())
            .unwrap()
            .identity
            .issued_at
    };
    assert_eq!(issued_at(json!(secs + 5)), Some(now().plus(Duration::from_secs(5))));
    assert_eq!((issued_at(json!(secs + 6)), issued_at(json!(1e11))), (None, None));
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
    assert_eq!(verifier.keys_of("anita").unwrap().algorithms(), ["EdDSA"]);
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
    let grant = Grant {
        subject: "bob",
        roles: &["operator".to_owned()],
        devices: None,
        rooms: Some(&["uwb".to_owned()]),
        token_id: Some("t1"),
    };
    let token = minter.mint(&grant, now(), Duration::from_secs(900)).unwrap();
    let principal = verifier().verify(&token, now()).unwrap();
    let user = UserId { issuer: "anita".into(), subject: "bob".into() };
    let identity = Identity { user, token_id: Some("t1".into()), issued_at: Some(now()) };
    assert_eq!(*principal.identity, identity);
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

/// Keys of the tests: private ones in PEM, and the public ones as an issuer would publish them.
mod keys;

fn signed(algorithm: Algorithm, kid: Option<&str>, private_pem: &str, claims: &Value) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    let pem = private_pem.as_bytes();
    let make = if algorithm == Algorithm::ES256 {
        EncodingKey::from_ec_pem
    } else if algorithm == Algorithm::EdDSA {
        EncodingKey::from_ed_pem
    } else {
        EncodingKey::from_rsa_pem
    };
    let key = make(pem);
    jsonwebtoken::encode(&header, claims, &key.unwrap()).unwrap()
}

fn claims(issuer: &str) -> Value {
    json!({ "sub": "alice", "iss": issuer, "aud": "anita", "exp": now().as_secs() + 60, "roles": ["viewer"] })
}

fn jwks(keys: &[Value]) -> KeySet {
    KeySet::from_jwks(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn two_issuers() -> Verifier {
    let rules = |issuer| IssuerRules::new(issuer, "anita");
    Verifier::with_issuers(
        [
            (rules("https://one"), jwks(&[keys::rsa("r1"), keys::ec("e1")])),
            (rules("https://two"), jwks(&[keys::ed("d1")])),
            (rules("ours"), KeySet::Given(vec![Key::hs256(SECRET).unwrap()])),
        ],
        Roles::default(),
    )
}

#[test]
fn each_issuer_has_its_own_keys_and_algorithms() {
    use Algorithm::{ES256, EdDSA, PS256, RS256, RS512};
    let table = [
        ("https://one", RS256, Some("r1"), keys::RSA, Ok(())),
        ("https://one", RS256, None, keys::RSA, Ok(())),
        ("https://one", ES256, Some("e1"), keys::EC, Ok(())),
        ("https://two", EdDSA, Some("d1"), keys::ED, Ok(())),
        // The right key of another issuer, and its name.
        ("https://two", RS256, Some("r1"), keys::RSA, Err(TokenError::UnknownKey)),
        ("https://one", EdDSA, Some("d1"), keys::ED, Err(TokenError::UnknownKey)),
        ("https://one", EdDSA, None, keys::ED, Err(TokenError::Algorithm)),
        ("ours", RS256, Some("r1"), keys::RSA, Err(TokenError::Algorithm)),
        ("https://three", RS256, Some("r1"), keys::RSA, Err(TokenError::Issuer)),
        // The name of a key of another kind, or of none.
        ("https://one", RS256, Some("e1"), keys::RSA, Err(TokenError::Algorithm)),
        ("https://one", RS256, Some("r2"), keys::RSA, Err(TokenError::UnknownKey)),
        // Another algorithm of the same kind of key.
        ("https://one", RS512, Some("r1"), keys::RSA, Err(TokenError::Algorithm)),
        ("https://one", PS256, Some("r1"), keys::RSA, Err(TokenError::Algorithm)),
    ];
    let verifier = two_issuers();
    for (issuer, algorithm, kid, key, expected) in table {
        let token = signed(algorithm, kid, key, &claims(issuer));
        let found = verifier.verify(&token, now()).map(|principal| {
            assert_eq!(&*principal.identity.user.issuer, issuer);
        });
        assert_eq!(found, expected, "{issuer} {algorithm:?} {kid:?}");
    }
}

#[test]
fn a_shared_secret_is_never_taken_from_what_an_issuer_publishes() {
    let oct = json!({ "kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY", "kid": "s", "alg": "HS256" });
    let keys = jwks(&[oct, keys::rsa("r1")]);
    assert_eq!(keys.algorithms(), ["RS256"]);
    let verifier = two_issuers();
    for secret in [SECRET, keys::RSA.as_bytes(), keys::rsa("r1").to_string().as_bytes()] {
        let header = Header { kid: Some("r1".to_owned()), ..Header::default() };
        let key = EncodingKey::from_secret(secret);
        let forged = jsonwebtoken::encode(&header, &claims("https://one"), &key).unwrap();
        assert_eq!(verifier.verify(&forged, now()), Err(TokenError::Algorithm));
    }
}

#[test]
fn what_a_header_says_of_keys_elsewhere_is_not_looked_at_and_what_it_demands_is_refused() {
    // The attacker's own key, in the header and by an address.
    let jwk = serde_json::from_value(keys::other_rsa("r1")).unwrap();
    let header = Header {
        kid: Some("r1".to_owned()),
        jku: Some("https://evil.example/jwks".to_owned()),
        x5u: Some("https://evil.example/x5u".to_owned()),
        jwk: Some(jwk),
        ..Header::new(Algorithm::RS256)
    };
    let key = EncodingKey::from_rsa_pem(keys::OTHER_RSA.as_bytes()).unwrap();
    let forged = jsonwebtoken::encode(&header, &claims("https://one"), &key).unwrap();
    assert_eq!(two_issuers().verify(&forged, now()), Err(TokenError::Signature));

    let header = Header { crit: Some(vec!["b64".to_owned()]), ..Header::default() };
    assert_eq!(verifier().verify(&token(&header, &json!({})), now()), Err(TokenError::Critical));
}

#[test]
fn a_key_says_its_own_algorithm_and_is_for_signatures() {
    let with = |key: Value, field: &str, value: Value| {
        let mut key = key;
        key[field] = value;
        key
    };
    let table = [
        (with(keys::rsa("a"), "alg", json!("PS384")), Some("PS384")),
        (with(keys::rsa("a"), "alg", json!("HS256")), None),
        (with(keys::rsa("a"), "alg", json!("ES256")), None),
        (with(keys::rsa("a"), "alg", json!("RSA-OAEP")), None),
        (with(keys::ec("a"), "alg", json!("ES384")), None),
        (with(keys::ec("a"), "crv", json!("P-384")), None),
        (with(keys::rsa("a"), "use", json!("enc")), None),
        (with(keys::rsa("a"), "use", json!("sig")), Some("RS256")),
        (with(keys::rsa("a"), "key_ops", json!(["encrypt"])), None),
        (with(keys::rsa("a"), "key_ops", json!(["verify"])), Some("RS256")),
        (
            with(
                keys::rsa("a"),
                "n",
                json!(
                    "sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1WlUzewbgBHod5pcM9H95GQRV3JDXboIRROSBigeC5yjU1hGzHHyXss8UDprecbAYxknTcQkhslANGRUZmdTOQ5qTRsLAt6BTYuyvVRdhS8exSZEy_c4gs_7svlJJQ4H9_NxsiIoLwAEk7-Q3UXERGYw_75IDrGA84"
                ),
            ),
            None,
        ),
        (with(keys::rsa("a"), "d", json!("private")), None),
        (keys::ed("a"), Some("EdDSA")),
    ];
    for (key, expected) in table {
        let set = KeySet::from_jwks(json!({ "keys": [key] }).to_string().as_bytes());
        let found = set.ok().map(|set| set.algorithms().concat());
        assert_eq!(found.as_deref(), expected, "{key}");
    }
    let many: Vec<Value> = (0..65).map(|number| keys::ed(&number.to_string())).collect();
    assert!(KeySet::from_jwks(json!({ "keys": many }).to_string().as_bytes()).is_err());
    assert!(KeySet::from_jwks(b"{}").is_err() && KeySet::from_jwks(b"{\"keys\":[]}").is_err());
}

#[test]
fn of_several_keys_without_a_name_none_is_guessed() {
    let verifier = Verifier::with_issuers(
        [(IssuerRules::new("https://one", "anita"), jwks(&[keys::rsa("r1"), keys::other_rsa("r2")]))],
        Roles::default(),
    );
    let token = signed(Algorithm::RS256, None, keys::RSA, &claims("https://one"));
    assert_eq!(verifier.verify(&token, now()), Err(TokenError::NoKeyNamed));
    assert_eq!(verifier.misses_key_of(&token), None, "another look at the issuer would not help");
}

#[test]
fn a_secret_takes_the_place_of_another_while_tokens_of_both_are_believed() {
    let old = token(&Header::default(), &json!({}));
    let new = Key::hs256(b"another secret of more than enough bytes").unwrap();
    let both = KeySet::Given(vec![new.clone(), Key::hs256(SECRET).unwrap()]);
    let rules = IssuerRules::new("anita", "anita");
    let verifier = Verifier::with_issuers([(rules, both)], Roles::default());
    assert!(verifier.verify(&old, now()).is_ok());
    let only_new = verifier.with_keys("anita", KeySet::Given(vec![new]));
    assert_eq!(only_new.verify(&old, now()), Err(TokenError::Signature));
}

#[test]
fn the_type_of_a_token_can_be_demanded() {
    let rules = IssuerRules { token_type: Some("at+jwt".to_owned()), ..IssuerRules::new("anita", "anita") };
    let keys = KeySet::Given(vec![Key::hs256(SECRET).unwrap()]);
    let verifier = Verifier::with_issuers([(rules, keys)], Roles::default());
    let of_type = |typ: Option<&str>| {
        let header = Header { typ: typ.map(str::to_owned), ..Header::default() };
        verifier.verify(&token(&header, &json!({})), now()).map(|_principal| ())
    };
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        assert_eq!(of_type(Some(typ)), Ok(()), "{typ}");
    }
    for typ in [Some("JWT"), Some("logout+jwt"), None] {
        assert_eq!(of_type(typ), Err(TokenError::Type), "{typ:?}");
    }
}

#[test]
fn keys_that_are_not_known_yet_are_missed_and_nothing_else_is() {
    let rules = IssuerRules::new("https://one", "anita");
    let not_yet = Verifier::with_issuers([(rules, KeySet::not_yet())], Roles::default());
    let rotated = two_issuers();
    let named = signed(Algorithm::RS256, Some("r2"), keys::OTHER_RSA, &claims("https://one"));
    let unnamed = signed(Algorithm::RS256, None, keys::RSA, &claims("https://one"));
    assert_eq!(not_yet.misses_key_of(&named), Some("https://one"));
    assert_eq!(not_yet.misses_key_of(&unnamed), Some("https://one"));
    assert_eq!(rotated.misses_key_of(&named), Some("https://one"));
    assert_eq!(rotated.misses_key_of(&unnamed), None);
    let known = rotated.with_keys("https://one", jwks(&[keys::other_rsa("r2")]));
    assert!(known.verify(&named, now()).is_ok(), "the new key is in force");
    assert!(known.verify(&unnamed, now()).is_err(), "and the old one is not");
    let secret =
        token(&Header { kid: Some("x".to_owned()), ..Header::default() }, &json!({ "iss": "https://one" }));
    assert_eq!(not_yet.misses_key_of(&secret), None, "nobody publishes secrets");
    let foreign = signed(Algorithm::RS256, Some("r9"), keys::RSA, &claims("https://evil"));
    assert_eq!(rotated.misses_key_of(&foreign), None, "only configured issuers are ever asked");
}

#[test]
fn an_issuer_gives_no_more_than_it_may() {
    let mut rules = IssuerRules::new("anita", "anita");
    rules.roles_allowed = Some(["viewer".to_owned()].into());
    rules.claims.permissions = vec![ClaimPath::new("permissions")];
    let keys = KeySet::Given(vec![Key::hs256(SECRET).unwrap()]);
    let verifier = Verifier::with_issuers([(rules, keys)], Roles::default());
    let asked = json!({ "roles": ["admin", "viewer"], "permissions": ["devices.read", "tokens.revoke"] });
    let principal = verifier.verify(&token(&Header::default(), &asked), now()).unwrap();
    assert_eq!(principal.roles, ["viewer"]);
    assert!(principal.may(Permission::DevicesRead));
    assert!(!principal.may(Permission::TokensRevoke) && !principal.may(Permission::DevicesWrite));
}

proptest! {
    #[test]
    fn no_text_is_a_token_or_a_panic(text in ".*") {
        prop_assert!(verifier().verify(&text, now()).is_err());
    }
}

#[test]
fn an_id_token_is_for_its_client_and_its_sign_in_and_for_nothing_else() {
    let demanded = IdTokenRules { issuer: "anita", client_id: "board", nonce: Some("n1") };
    let good = json!({ "aud": "board", "nonce": "n1" });
    let judged = |changes: &Value, demanded: &IdTokenRules<'_>| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        verifier().verify_id_token(&token(&Header::default(), &claims), demanded, now())
    };
    let principal = judged(&json!({}), &demanded).unwrap();
    assert!(principal.subject() == "alice" && principal.may(Permission::DevicesRead));
    let secs = now().as_secs();
    let table = [
        (json!({ "nonce": "n2" }), Some(TokenError::Nonce)),
        (json!({ "nonce": null }), Some(TokenError::Nonce)),
        (json!({ "nonce": 7 }), Some(TokenError::Malformed)),
        (json!({ "aud": "anita" }), Some(TokenError::Audience)),
        (json!({ "aud": ["board", "other"] }), Some(TokenError::AuthorizedParty)),
        (json!({ "aud": ["board", "other"], "azp": "other" }), Some(TokenError::AuthorizedParty)),
        (json!({ "aud": ["board", "other"], "azp": "board" }), None),
        (json!({ "azp": "other" }), Some(TokenError::AuthorizedParty)),
        (json!({ "exp": secs - 5 }), Some(TokenError::Expired)),
        (json!({ "iss": "mallory" }), Some(TokenError::Issuer)),
    ];
    for (changes, error) in table {
        assert_eq!(judged(&changes, &demanded).err(), error, "{changes}");
    }
    let renewed = IdTokenRules { nonce: None, ..demanded };
    assert!(judged(&json!({ "nonce": null }), &renewed).is_ok());
    let of_another = IdTokenRules { issuer: "other", ..demanded };
    assert_eq!(judged(&json!({}), &of_another), Err(TokenError::Issuer));
    let id_token = token(&Header::default(), &good);
    assert_eq!(verifier().verify(&id_token, now()), Err(TokenError::Audience), "it opens nothing by itself");
}
