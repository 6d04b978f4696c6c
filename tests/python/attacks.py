"""The attack table: each row is a test that attacks a real server, and docs/ATTACKS.md is made of the rows.

A row is a test method with `@attack(what, expected)`. `test_attacks_table.py` sees that the page names each of them; with
UPDATE=1 in the environment it writes the page.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import subprocess
import time

ROOT = pathlib.Path(__file__).parents[2]
PAGE = ROOT / "docs" / "ATTACKS.md"

HEAD = """# Attacks

Each row is tried against the real program by the test that it names: in tests/python, which `cargo xtask test python` runs,
or in the file beside it. The page is written from the tests, and a test sees that it is up to date.

"""

ROWS = []

# Attacks whose tests are in other suites: the group, the attack, what it meets, the file, the test.
ELSEWHERE = [
    (
        "certificates",
        "a publisher's certificate of an authority that has the right name, of an authority itself, one that is revoked, and none",
        "the TLS handshake fails; an entry in the audit trail with the remedy, and a count",
        "crates/anita/tests/door/certificates.rs",
        "whoever_has_to_show_a_certificate_does_not_come_in_without_a_good_one",
    ),
    (
        "certificates",
        "a page of another site that uses the certificate of a browser, and a bad token beside a good certificate",
        "no identity; a token that was given is judged alone",
        "crates/anita/tests/door/certificates.rs",
        "a_token_goes_over_a_certificate_and_pages_do_not_use_it_for_others",
    ),
    (
        "REST",
        "any request that the server's own OpenAPI document allows or forbids, by an independent fuzzer, as an admin",
        "no 5xx, and no status, content type or body that the document does not have",
        "tests/api/test_api.py",
        "test_as_an_admin",
    ),
    (
        "REST",
        "the same without any identity",
        "401 wherever the document asks for one",
        "tests/api/test_api.py",
        "test_as_nobody",
    ),
    (
        "TLS",
        "old versions, weak suites, Heartbleed, ROBOT, CRIME, renegotiation and the other attacks that have names",
        "nothing below TLS 1.2, and none of them works, says an independent scanner",
        "tests/tls/test_tls.py",
        "test_what_has_a_name_of_its_own_does_not_work",
    ),
]


def attack(what, expected):
    """Marks a test as a row of the table."""

    def mark(test):
        group = pathlib.Path(test.__code__.co_filename).stem.removeprefix("test_attacks_")
        ROWS.append((group, what, expected, test.__name__))
        return test

    return mark


def rows():
    """All rows: group, attack, what it meets, the test as the page names it."""
    here = [(group.replace("_", " ").capitalize(), what, met, f"`{test}`") for group, what, met, test in ROWS]
    beside = [
        (group[0].upper() + group[1:], what, met, f"`{test}` in [{pathlib.Path(file).name}](../{file})")
        for group, what, met, file, test in ELSEWHERE
    ]
    return here + beside


def page():
    """The text of docs/ATTACKS.md."""
    text = HEAD
    for group in dict.fromkeys(row[0] for row in rows()):
        text += f"## {group}\n\n| attack | what it meets | test |\n| --- | --- | --- |\n"
        for _group, what, expected, test in filter(lambda row: row[0] == group, rows()):
            text += f"| {what} | {expected} | {test} |\n"
        text += "\n"
    return text.rstrip() + "\n"


# --- tokens as an attacker makes them


def b64(data):
    if not isinstance(data, bytes):
        data = json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims(**changes):
    """Good claims, changed; `None` takes one away."""
    good = {"sub": "mallory", "iss": "anita", "aud": "anita", "exp": int(time.time()) + 600, "roles": ["admin"]}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def signed_hs256(key, payload, *, hash=hashlib.sha256, **header):
    """A token of HMAC with SHA-256 (RFC 7515 §A.1), or another hash; a `payload` of bytes is taken as it is."""
    signing = f"{b64({'alg': 'HS256', 'typ': 'JWT', **header})}.{b64(payload)}"
    return f"{signing}.{b64(hmac.new(key, signing.encode(), hash).digest())}"


def signed_rs256(key_file, payload, **header):
    """A token of RSA with SHA-256, signed by the `openssl` program."""
    signing = f"{b64({'alg': 'RS256', 'typ': 'JWT', **header})}.{b64(payload)}"
    command = ["openssl", "dgst", "-sha256", "-sign", str(key_file)]
    return f"{signing}.{b64(subprocess.run(command, input=signing.encode(), capture_output=True, check=True).stdout)}"


def rsa_key(folder, name):
    """A new RSA key in the folder: the files of its private and its public half."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    make = ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(private)]
    subprocess.run(make, check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", str(private), "-pubout", "-out", str(public)], check=True, capture_output=True)
    return private, public


def rsa_jwk(public, name):
    """The public half of an RSA key as a JWK (RFC 7518 §6.3.1)."""
    command = ["openssl", "rsa", "-pubin", "-in", str(public), "-noout", "-modulus"]
    modulus = subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip().removeprefix("Modulus=")
    return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": name, "n": b64(bytes.fromhex(modulus)), "e": "AQAB"}
