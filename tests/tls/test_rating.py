"""The rating of TLS, tried on findings that were made up: what no server should have lowers the letter."""

import unittest
from dataclasses import replace

from rating import LONG_SECS, Findings, Key, Suite, letter_of, rate

X25519, P256, P384 = Key("EC", 253), Key("EC", 256), Key("EC", 384)

TLS_1_3 = Suite("TLS 1.3", "TLS_AES_256_GCM_SHA384", 256, X25519)
TLS_1_2 = Suite("TLS 1.2", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", 128, P256)
MODERN = Findings((TLS_1_2, TLS_1_3), (P256,), ("sha256",), hsts_max_age_secs=LONG_SECS)


def suite(protocol, name, bits=128, ephemeral=None):
    return Suite(protocol, name, bits, ephemeral)


def also(*suites):
    return replace(MODERN, suites=(*MODERN.suites, *suites))


def only(*suites, **more):
    return replace(MODERN, suites=suites, **more)


CBC = "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"

RATED = [
    ("nothing old", MODERN, "A+"),
    ("the longest of all", only(replace(TLS_1_3, ephemeral=P384), certificate_keys=(P384,)), "A+"),
    ("TLS 1.3 alone", only(TLS_1_3), "A+"),
    ("RSA of 2,048 bits", replace(MODERN, certificate_keys=(Key("RSA", 2_048),)), "A+"),
    ("no HSTS", replace(MODERN, hsts_max_age_secs=0), "A"),
    ("HSTS for a day", replace(MODERN, hsts_max_age_secs=86_400), "A"),
    ("downgrades", replace(MODERN, refuses_downgrades=False), "A"),
    ("no TLS 1.3", only(TLS_1_2), "A-"),
    ("no secure renegotiation", replace(MODERN, renegotiates_securely=False), "A-"),
    ("insecure renegotiation", replace(MODERN, renegotiates_securely=False, renegotiates_for_clients=True), "F"),
    ("TLS 1.1", also(suite("TLS 1.1", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", 256, P256)), "B"),
    ("TLS 1.0", also(suite("TLS 1.0", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", 256, P256)), "B"),
    ("TLS 1.1 at best", only(suite("TLS 1.1", CBC, ephemeral=P256)), "C"),
    ("SSL 3.0", also(suite("SSL 3.0", "TLS_ECDHE_RSA_WITH_RC4_128_SHA", ephemeral=P256)), "B"),
    ("POODLE", also(suite("SSL 3.0", CBC, ephemeral=P256)), "C"),
    ("SSL 3.0 at best", only(suite("SSL 3.0", CBC, ephemeral=P256)), "F"),
    ("SSL 2.0", also(suite("SSL 2.0", "SSL_CK_RC4_128_WITH_MD5")), "F"),
    ("3DES", also(suite("TLS 1.2", "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", 112, P256)), "C"),
    ("3DES for the old", also(suite("TLS 1.0", "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", 112, P256)), "B"),
    ("DES", also(suite("TLS 1.0", "TLS_DHE_RSA_WITH_DES_CBC_SHA", 56, Key("DH", 2_048))), "F"),
    ("RC4", also(suite("TLS 1.2", "TLS_ECDHE_RSA_WITH_RC4_128_SHA", ephemeral=P256)), "C"),
    ("RC4 for the old", also(suite("TLS 1.0", "TLS_ECDHE_RSA_WITH_RC4_128_SHA", ephemeral=P256)), "B"),
    ("no encryption", also(suite("TLS 1.2", "TLS_ECDHE_RSA_WITH_NULL_SHA", 0, P256)), "F"),
    ("export", also(suite("TLS 1.0", "TLS_RSA_EXPORT_WITH_RC4_40_MD5", 40)), "F"),
    ("anonymous", also(suite("TLS 1.2", "TLS_DH_anon_WITH_AES_128_GCM_SHA256", 128, Key("DH", 2_048))), "F"),
    ("no forward secrecy", also(suite("TLS 1.2", "TLS_RSA_WITH_AES_128_GCM_SHA256")), "B"),
    ("no authenticated encryption", also(suite("TLS 1.2", CBC, ephemeral=P256)), "B"),
    ("RSA of 1,024 bits", replace(MODERN, certificate_keys=(Key("RSA", 1_024),)), "B"),
    ("RSA of 768 bits", replace(MODERN, certificate_keys=(P256, Key("RSA", 768))), "F"),
    ("DH of 1,024 bits", also(suite("TLS 1.2", "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", 128, Key("DH", 1_024))), "B"),
    ("a curve of 112 bits", also(replace(TLS_1_2, ephemeral=Key("EC", 112))), "F"),
    ("MD5", replace(MODERN, signature_hashes=("sha256", "md5")), "F"),
    ("SHA-1", replace(MODERN, signature_hashes=("sha1",)), "T"),
    ("Heartbleed", replace(MODERN, has_heartbleed=True), "F"),
    ("CCS injection", replace(MODERN, has_ccs_injection=True), "F"),
    ("ROBOT", replace(MODERN, has_robot=True), "F"),
    ("CRIME", replace(MODERN, compresses=True), "C"),
    ("nothing", only(), "F"),
]


class TheRating(unittest.TestCase):
    def test_what_is_found_has_its_letter(self):
        for name, found, letter in RATED:
            with self.subTest(name):
                rating = rate(found)
                self.assertEqual(rating.letter, letter, rating)

    def test_what_lowers_a_letter_is_told(self):
        for name, found, letter in RATED:
            with self.subTest(name):
                self.assertEqual(bool(rate(found).reasons), letter not in ("A+", "A"))
        self.assertEqual(rate(replace(MODERN, has_robot=True)).reasons, ("F: ROBOT",))

    def test_the_scores_are_those_of_the_guide(self):
        old = suite("TLS 1.0", CBC, ephemeral=P256)
        short = replace(MODERN, certificate_keys=(Key("RSA", 1_024),))
        cases = [
            # The protocol, the key exchange, the cipher, and all together by their weights of 30, 30 and 40.
            (MODERN, (100, 90, 90, 93)),
            (only(replace(TLS_1_3, ephemeral=P384), certificate_keys=(Key("RSA", 4_096),)), (100, 100, 100, 100)),
            (also(old), (95, 90, 90, 91.5)),
            (short, (100, 80, 90, 90)),
            (only(suite("TLS 1.2", "TLS_RSA_WITH_DES_CBC_SHA", 56), certificate_keys=(Key("RSA", 768),)), (100, 40, 20, 50)),
            (also(suite("TLS 1.2", "TLS_ECDHE_RSA_WITH_NULL_SHA", 0, P256)), (100, 90, 50, 77)),
            (only(suite("TLS 1.2", "TLS_ECDHE_RSA_WITH_NULL_SHA", 0, P256)), (100, 90, 0, 0)),
            (also(suite("TLS 1.2", "TLS_DH_anon_WITH_AES_128_GCM_SHA256", 128, Key("DH", 2_048))), (100, 0, 90, 0)),
            (also(suite("TLS 1.0", "TLS_RSA_EXPORT_WITH_RC4_40_MD5", 40)), (95, 40, 60, 64.5)),
        ]
        for found, expected in cases:
            with self.subTest(suites=found.suites):
                rating = rate(found)
                self.assertEqual((rating.protocol, rating.key_exchange, rating.cipher, rating.total), expected)

    def test_a_number_has_its_letter(self):
        for least, letter in [(80, "A"), (65, "B"), (50, "C"), (35, "D"), (20, "E"), (0, "F")]:
            self.assertEqual(letter_of(least), letter)
        for below, letter in [(79.99, "B"), (64.99, "C"), (49.99, "D"), (34.99, "E"), (19.99, "F")]:
            self.assertEqual(letter_of(below), letter)


if __name__ == "__main__":
    unittest.main()
