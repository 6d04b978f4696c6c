"""A certificate authority of the tests, and certificates of it: made with OpenSSL, as an operator would."""

import pathlib
import subprocess

LEAF = """
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


class Authority:
    """A root and what it signs, in a folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.certificate = self.folder / "ca.pem"
        self._key = self.folder / "ca.key"
        (self.folder / "leaf.ext").write_text(LEAF)
        self._make_key(self._key)
        extensions = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"]
        extensions = [word for extension in extensions for word in ("-addext", extension)]
        request = ["req", "-x509", "-new", "-key", self._key, "-days", "60", "-subj", "/CN=A root of tests"]
        self._openssl(*request, *extensions, "-out", self.certificate)

    def sign(self, certificate, key):
        """Writes a new key and its certificate, each in one step, so that nobody reads half a file."""
        fresh_key, fresh, request = (self.folder / name for name in ("fresh.key", "fresh.pem", "fresh.csr"))
        self._make_key(fresh_key)
        self._openssl("req", "-new", "-key", fresh_key, "-subj", "/CN=localhost", "-out", request)
        signed = ["x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial"]
        self._openssl(*signed, "-days", "30", "-extfile", self.folder / "leaf.ext", "-out", fresh)
        fresh_key.chmod(0o600)
        fresh_key.replace(key)
        fresh.replace(certificate)

    def _make_key(self, path):
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)

    @staticmethod
    def _openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
