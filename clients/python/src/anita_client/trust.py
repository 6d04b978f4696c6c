"""Whom a client trusts: the certificates of the system, those of a file, or one certificate by its fingerprint."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Address:
    """Where a server is."""

    url: str
    host: str
    path: str
    is_tls: bool

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        try:
            found = ipaddress.ip_address(self.host)
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None)
        return bool((mapped or found).is_loopback)


def address_of(url: str, *, allow_plain: bool) -> Address:
    """Reads an address; raises `ValueError` for what is none, holds a token, or would send one in plain text."""
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError("the address of a server is ws://host:port/ws or wss://host:port/ws")
    if parts.username is not None or "token=" in parts.query or "ticket=" in parts.query:
        raise ValueError("a token does not belong in the address, which ends up in logs: use token=")
    if parts.fragment:
        raise ValueError("the address of a WebSocket has no fragment")
    found = Address(url, parts.hostname, parts.path, parts.scheme == "wss")
    if not (found.is_tls or found.is_loopback or allow_plain):
        raise ValueError(f"plain text to {found.host}, another machine: use wss://, or allow_plain=True")
    return found


def parse_fingerprint(text: str) -> bytes:
    """Reads 64 hexadecimal digits, with or without colons and blanks: the SHA-256 of a certificate."""
    digits = text.replace(":", "").replace(" ", "")
    # bytes.fromhex would skip other blanks, too.
    if len(digits) != 64 or not all(each in "0123456789abcdefABCDEF" for each in digits):
        raise ValueError(
            "a fingerprint is 64 hexadecimal digits, with or without colons: the SHA-256 of the certificate"
        )
    return bytes.fromhex(digits)


def context_of(
    *, context: ssl.SSLContext | None, ca_file: str | os.PathLike[str] | None, fingerprint: str | None
) -> ssl.SSLContext:
    """What TLS is made with; at most one of the three says whom to trust."""
    if sum(each is not None for each in (context, ca_file, fingerprint)) > 1:
        raise ValueError("one of ssl, ca_file and fingerprint says whom to trust")
    if context is not None:
        return context
    if fingerprint is not None:
        return _pinned(parse_fingerprint(fingerprint))
    return ssl.create_default_context(cafile=ca_file)


def _pinned(fingerprint: bytes) -> ssl.SSLContext:
    """Accepts the one certificate; that the server has its key is verified by the handshake as always.

    The certificate is compared where the handshake ends, before anything is sent: a token must not reach another server.
    """

    class Pinned(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            found = hashlib.sha256(self.getpeercert(binary_form=True) or b"").digest()
            if found != fingerprint:
                shown = found.hex(":").upper()
                raise ssl.SSLCertVerificationError(f"the certificate has the fingerprint {shown}, not the one given")

    context: Any = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Names and dates are not looked at: the fingerprint says more.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslobject_class = Pinned
    found: ssl.SSLContext = context
    return found
