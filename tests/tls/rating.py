"""The letter of a TLS server, by the "SSL Server Rating Guide" of SSL Labs, version 2009r
(https://github.com/ssllabs/research/wiki/SSL-Server-Rating-Guide), from what a scanner has found out.

Three scores make a number, the number a letter, and what no number says caps it. The guide asks what browsers would negotiate;
a scanner knows what is accepted, so a weak suite counts as one that is negotiated: the letter is rather too low than too high.

Two letters of the guide say nothing of the protocol, and are left aside: `T` for a certificate that nobody trusts (but for its
signature, which is judged) and `M` for another name. Faults of single products and what needs a network of scanners (DROWN over
another host's SSL 2, Ticketbleed, revocation) are not looked for.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec, rsa

LETTERS = ("A+", "A", "A-", "B", "C", "D", "E", "F", "T")

# A score of each protocol, the oldest first.
PROTOCOLS = {"SSL 2.0": 0, "SSL 3.0": 80, "TLS 1.0": 90, "TLS 1.1": 95, "TLS 1.2": 100, "TLS 1.3": 100}

# The weakest key has the first score whose length, in bits of RSA, it does not reach.
KEY_SCORES = ((512, 20), (1_024, 40), (2_048, 80), (4_096, 90))

# What a length on a curve is worth in bits of RSA, by NIST SP 800-57; that of X25519 is called 253.
CURVES = ((384, 7_680), (250, 3_072), (224, 2_048), (160, 1_024))

LONG_SECS = 180 * 86_400


@dataclass(frozen=True)
class Key:
    """A public key, of a certificate or of one handshake."""

    kind: str  # "RSA", "DH" or "EC"
    bits: int

    @property
    def rsa_bits(self):
        """The length of an RSA key that is as strong."""
        if self.kind != "EC":
            return self.bits
        return next((worth for bits, worth in CURVES if self.bits >= bits), 0)


@dataclass(frozen=True)
class Suite:
    """A cipher suite that was accepted, and the key of the handshake if it had one of its own."""

    protocol: str
    name: str
    bits: int
    ephemeral: Key | None = None

    @property
    def is_modern(self):
        """From TLS 1.1 on: without the excuse that old clients know nothing better."""
        return self.protocol in ("TLS 1.1", "TLS 1.2", "TLS 1.3")

    @property
    def is_forward_secret(self):
        return self.protocol == "TLS 1.3" or "_ECDHE_" in self.name or "_DHE_" in self.name

    @property
    def is_authenticated_encryption(self):
        return any(mode in self.name for mode in ("_GCM", "_CCM", "_POLY1305"))

    @property
    def has_small_blocks(self):
        return any(cipher in self.name for cipher in ("_3DES_", "_DES_", "_DES40_", "_IDEA_", "_RC2_"))

    @property
    def is_export(self):
        return "EXPORT" in self.name

    @property
    def is_anonymous(self):
        return "_anon_" in self.name


@dataclass(frozen=True)
class Findings:
    """What a scanner has found out."""

    suites: tuple[Suite, ...]
    certificate_keys: tuple[Key, ...]
    signature_hashes: tuple[str, ...]
    hsts_max_age_secs: int = 0
    refuses_downgrades: bool = True
    renegotiates_securely: bool = True
    renegotiates_for_clients: bool = False
    compresses: bool = False
    has_heartbleed: bool = False
    has_ccs_injection: bool = False
    has_robot: bool = False

    @property
    def protocols(self):
        """The oldest first."""
        spoken = {suite.protocol for suite in self.suites}
        return [protocol for protocol in PROTOCOLS if protocol in spoken]


@dataclass(frozen=True)
class Rating:
    """The letter, the scores that it is made of, and what lowered it."""

    letter: str
    total: float
    protocol: float
    key_exchange: float
    cipher: float
    reasons: tuple[str, ...]


def rate(found):
    """Pure: the same findings have the same letter."""
    if not found.suites or not found.certificate_keys:
        return Rating("F", 0, 0, 0, 0, ("nothing was found that could be judged",))
    spoken = [PROTOCOLS[protocol] for protocol in found.protocols]
    lengths = [suite.bits for suite in found.suites]
    protocol = (max(spoken) + min(spoken)) / 2
    cipher = (cipher_score(max(lengths)) + cipher_score(min(lengths))) / 2
    key_exchange = key_exchange_score(found)
    scores = (protocol, key_exchange, cipher)
    total = 0 if 0 in scores else round(0.3 * protocol + 0.3 * key_exchange + 0.4 * cipher, 2)
    caps = [(cap, reason) for cap, reason, is_so in rules(found, key_exchange) if is_so]
    letter = max([letter_of(total), *(cap for cap, _ in caps)], key=LETTERS.index)
    if letter == "A" and not caps and found.hsts_max_age_secs >= LONG_SECS and found.refuses_downgrades:
        letter = "A+"
    return Rating(letter, total, *scores, tuple(f"{cap}: {reason}" for cap, reason in caps))


def letter_of(total):
    return next((letter for least, letter in ((80, "A"), (65, "B"), (50, "C"), (35, "D"), (20, "E")) if total >= least), "F")


def cipher_score(bits):
    return 100 if bits >= 256 else 80 if bits >= 128 else 20 if bits > 0 else 0


def key_exchange_score(found):
    """That of the weakest key; who signs nothing, or with a key that was made weak on purpose, has less."""
    if any(suite.is_anonymous for suite in found.suites):
        return 0
    keys = [*found.certificate_keys, *(suite.ephemeral for suite in found.suites if suite.ephemeral)]
    weakest = min(key.rsa_bits for key in keys)
    score = next((score for bits, score in KEY_SCORES if weakest < bits), 100)
    return min(score, 40) if any(suite.is_export for suite in found.suites) else score


def rules(found, key_exchange):
    """What the scores do not say: the best letter there can be, why, and whether it is so."""
    suites, spoken = found.suites, found.protocols
    modern = [suite for suite in suites if suite.is_modern]
    return [
        ("F", "SSL 2.0 is spoken", "SSL 2.0" in spoken),
        ("F", "SSL 3.0 is the best that is spoken", spoken[-1] == "SSL 3.0"),
        ("C", "SSL 3.0 with blocks that are chained (POODLE)", any(it.protocol == "SSL 3.0" and "_CBC_" in it.name for it in suites)),
        ("B", "SSL 3.0 is spoken", "SSL 3.0" in spoken),
        ("B", "TLS 1.0 is spoken", "TLS 1.0" in spoken),
        ("B", "TLS 1.1 is spoken", "TLS 1.1" in spoken),
        ("C", "neither TLS 1.2 nor 1.3 is spoken", not {"TLS 1.2", "TLS 1.3"} & set(spoken)),
        ("A-", "TLS 1.3 is not spoken", "TLS 1.3" not in spoken),
        ("F", "a suite nobody signs for", any(suite.is_anonymous for suite in suites)),
        ("F", "a suite that was made weak for export", any(suite.is_export for suite in suites)),
        ("F", "a suite of less than 112 bits", any(suite.bits < 112 for suite in suites)),
        ("C", "small blocks from TLS 1.1 on (Sweet32)", any(suite.has_small_blocks for suite in modern)),
        ("C", "RC4 from TLS 1.1 on", any("_RC4_" in suite.name for suite in modern)),
        ("B", "RC4", any("_RC4_" in suite.name for suite in suites)),
        ("B", "a suite without forward secrecy", not all(suite.is_forward_secret for suite in suites)),
        ("B", "a suite without authenticated encryption", not all(suite.is_authenticated_encryption for suite in suites)),
        ("F", "key exchange weaker than RSA of 1,024 bits", key_exchange <= 40),
        ("B", "key exchange weaker than RSA of 2,048 bits", key_exchange <= 80),
        ("F", "a certificate signed with MD2 or MD5", bool({"md2", "md5"} & set(found.signature_hashes))),
        ("T", "a certificate signed with SHA-1", "sha1" in found.signature_hashes),
        ("F", "Heartbleed", found.has_heartbleed),
        ("F", "an injected ChangeCipherSpec is taken", found.has_ccs_injection),
        ("F", "ROBOT", found.has_robot),
        ("C", "compression (CRIME)", found.compresses),
        ("F", "insecure renegotiation", found.renegotiates_for_clients and not found.renegotiates_securely),
        ("A-", "no secure renegotiation", not found.renegotiates_securely),
    ]


def from_scan(result):
    """The findings of sslyze, whose every scan has to be complete."""
    leaves = [it.received_certificate_chain[0] for it in result.certificate_info.result.certificate_deployments]
    chains = [each for it in result.certificate_info.result.certificate_deployments for each in it.received_certificate_chain]
    hsts = result.http_headers.result.strict_transport_security_header
    renegotiation = result.session_renegotiation.result
    return Findings(
        suites=tuple(
            suite(protocol, accepted)
            for protocol in PROTOCOLS
            for accepted in attempt(result, protocol).result.accepted_cipher_suites
        ),
        certificate_keys=tuple(public_key(leaf.public_key()) for leaf in leaves),
        # A root signs itself, and nobody asks how; the schemes of Edwards curves have no hash to choose.
        signature_hashes=tuple(
            each.signature_hash_algorithm.name
            for each in chains
            if each.issuer != each.subject and each.signature_hash_algorithm
        ),
        hsts_max_age_secs=(hsts.max_age or 0) if hsts else 0,
        refuses_downgrades=result.tls_fallback_scsv.result.supports_fallback_scsv,
        renegotiates_securely=renegotiation.supports_secure_renegotiation,
        renegotiates_for_clients=renegotiation.is_vulnerable_to_client_renegotiation_dos,
        compresses=result.tls_compression.result.supports_compression,
        has_heartbleed=result.heartbleed.result.is_vulnerable_to_heartbleed,
        has_ccs_injection=result.openssl_ccs_injection.result.is_vulnerable_to_ccs_injection,
        has_robot=result.robot.result.robot_result.name.startswith("VULNERABLE"),
    )


def attempt(result, protocol):
    return getattr(result, f"{protocol.lower().replace(' ', '_').replace('.', '_')}_cipher_suites")


def suite(protocol, accepted):
    """What is called 3DES of 168 bits is worth 112."""
    it, key = accepted.cipher_suite, accepted.ephemeral_key
    bits = min(it.key_size, 112) if "_3DES_" in it.name else it.key_size
    return Suite(protocol, it.name, bits, key and Key("EC" if key.type_name == "ECDH" else "DH", key.size))


def public_key(key):
    """DSA is as strong as RSA; the Edwards curves are of 256 bits or more."""
    is_of_curve = isinstance(key, ec.EllipticCurvePublicKey) or not hasattr(key, "key_size")
    return Key("EC" if is_of_curve else "RSA" if isinstance(key, rsa.RSAPublicKey) else "DH", getattr(key, "key_size", 256))
