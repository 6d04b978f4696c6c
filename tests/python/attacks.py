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

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "ATTACKS.md"

HEAD = """# Attacks

Each row is tried against the real program by the test that it names (tests/python); `cargo xtask test python` runs them all.
The page is written from the tests, and a test sees that it is up to date.

"""

ROWS = []


def attack(what, expected):
    """Marks a test as a row of the table."""

    def mark(test):
        group = pathlib.Path(test.__code__.co_filename).stem.removeprefix("test_attacks_")
        ROWS.append((group, what, expected, test.__name__))
        return test

    return mark


def page():
    """The text of docs/ATTACKS.md."""
    text = HEAD
    for group in dict.fromkeys(row[0] for row in ROWS):
        text += f"## {group.replace('_', ' ').capitalize()}\n\n| attack | what it meets | test |\n| --- | --- | --- |\n"
        for _group, what, expected, test in filter(lambda row: row[0] == group, ROWS):
            text += f"| {what} | {expected} | `{test}` |\n"
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
