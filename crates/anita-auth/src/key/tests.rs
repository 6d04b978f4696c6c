use super::*;

#[test]
fn weak_or_wrong_keys_are_refused() {
    assert!(matches!(Key::hs256(b"short\n"), Err(InvalidKey::ShortSecret { len_bytes: 5 })));
    assert!(matches!(Key::public_pem(b"-----BEGIN PRIVATE KEY-----"), Err(InvalidKey::NotAPublicKey)));
    assert!(matches!(Key::public_pem(b"nothing"), Err(InvalidKey::NotAPublicKey)));
    let weak = include_bytes!("../verifier/tests/rsa1024.pub.pem");
    assert!(matches!(Key::public_pem(weak), Err(InvalidKey::RsaSize)));
    let table = [
        (include_str!("../verifier/tests/rsa2048.pub.pem"), "RS256"),
        (include_str!("../verifier/tests/p256.pub.pem"), "ES256"),
        (include_str!("../verifier/tests/p384.pub.pem"), "ES384"),
        (include_str!("../verifier/tests/ed25519.pub.pem"), "EdDSA"),
    ];
    for (pem, algorithm) in table {
        assert_eq!(Key::public_pem(pem.as_bytes()).unwrap().algorithm(), algorithm);
    }
}

#[test]
fn the_size_of_a_number_is_counted_in_bits() {
    for (number, expected) in
        [(&[][..], 0), (&[0, 0], 0), (&[1], 1), (&[0, 0x80], 8), (&[1, 0], 9), (&[0xff; 256], 2_048)]
    {
        assert_eq!(bits(number), expected);
    }
}

#[test]
fn der_that_lies_about_its_length_is_no_key() {
    for der in [
        &[][..],
        &[0x30],
        &[0x30, 0x82, 0xff, 0xff, 0x02],
        &[0x30, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1],
        &[0x30, 2, 2, 9],
    ] {
        assert_eq!(der_modulus(der), None, "{der:?}");
    }
}
