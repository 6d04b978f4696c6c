"""TLS, judged by sslyze, a scanner that knows nothing of us; and a certificate that is changed under load."""

import hashlib
import itertools
import pathlib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))

import sslyze
from certificates import Authority
from harness import PATIENCE, Server, trusting, wait_for
from rating import from_scan, rate
from sslyze.mozilla_tls_profile.tls_config_checker import (
    MozillaTlsConfiguration,
    TlsConfigurationEnum,
    check_server_against_tls_configuration,
)

# So many clients hold a socket while the certificate changes, and so many others shake hands all the time.
CLIENTS = 100
SHAKERS = 4


class TlsServer(Server):
    """A real server whose certificate an authority of the test has signed."""

    def __init__(self):
        self._authority_folder = tempfile.TemporaryDirectory(prefix="anita-tls-")
        self.authority = Authority(self._authority_folder.name)
        self.cert_file = self.authority.folder / "server.pem"
        self.key_file = self.authority.folder / "server.key"
        self.authority.sign(self.cert_file, self.key_file)
        super().__init__(tls=True, heartbeat_secs=30, more='[log]\nlevel = "info,anita_server=debug"')

    def start(self):
        # In place of the self-signed certificate.
        text = pathlib.Path(self.config).read_text()
        files = f'cert_file = "{self.cert_file}"\nkey_file = "{self.key_file}"'
        pathlib.Path(self.config).write_text(text.replace("self_signed = true", files))
        super().start()

    def pin(self):
        self.tls = trusting(cafile=self.authority.certificate)

    def close(self):
        super().close()
        self._authority_folder.cleanup()


def scan(server):
    """All that the scanner finds out."""
    location = sslyze.ServerNetworkLocation("localhost", server.port, ip_address="127.0.0.1")
    trusted = sslyze.CertificateInfoExtraArgument(custom_ca_file=server.authority.certificate)
    arguments = sslyze.ScanCommandsExtraArguments(certificate_info=trusted)
    # A machine may be busy for a while; the scanner would call a server slow that is not.
    patient = sslyze.ServerNetworkConfiguration(
        tls_server_name_indication="localhost", network_timeout=int(PATIENCE), network_max_retries=6
    )
    request = sslyze.ServerScanRequest(
        location,
        network_configuration=patient,
        scan_commands=set(sslyze.ScanCommand),
        scan_commands_extra_arguments=arguments,
    )
    scanner = sslyze.Scanner()
    scanner.queue_scans([request])
    (result,) = scanner.get_results()
    return result


class TheScan(unittest.TestCase):
    """One scan, judged in parts."""

    @classmethod
    def setUpClass(cls):
        cls.server = TlsServer()
        cls.addClassCleanup(cls.server.close)
        cls.whole = scan(cls.server)
        cls.found = cls.whole.scan_result

    def test_every_part_of_the_scan_was_done(self):
        self.assertEqual(self.whole.scan_status, sslyze.ServerScanStatusEnum.COMPLETED)
        for command in sslyze.ScanCommand:
            attempt = getattr(self.found, command.value)
            self.assertEqual(attempt.status, sslyze.ScanCommandAttemptStatusEnum.COMPLETED, command)

    def test_its_grade_is_a_or_better(self):
        # By the guide of SSL Labs. Whether anybody trusts the certificate is another question: the authority is the test's own.
        rating = rate(from_scan(self.found))
        self.assertIn(rating.letter, ("A+", "A"), rating)

    def test_it_is_what_mozilla_recommends(self):
        # "Intermediate": TLS 1.2 and 1.3 with forward secrecy and authenticated encryption, for all but very old clients.
        # It raises, naming all that is otherwise.
        recommended = MozillaTlsConfiguration.get(TlsConfigurationEnum.MOZILLA_INTERMEDIATE)
        check_server_against_tls_configuration(self.whole, recommended)

    def test_nothing_below_tls_1_2_is_spoken(self):
        for version in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"):
            result = getattr(self.found, f"{version}_cipher_suites").result
            self.assertEqual(result.accepted_cipher_suites, [], version)
        for version in ("tls_1_2", "tls_1_3"):
            result = getattr(self.found, f"{version}_cipher_suites").result
            self.assertTrue(result.accepted_cipher_suites, version)

    def test_every_suite_is_authenticated_encryption_with_forward_secrecy(self):
        names = [
            accepted.cipher_suite.name
            for version in ("tls_1_2", "tls_1_3")
            for accepted in getattr(self.found, f"{version}_cipher_suites").result.accepted_cipher_suites
        ]
        for name in names:
            self.assertRegex(name, r"_(GCM|POLY1305)_", name)
            self.assertRegex(name, r"^TLS_(ECDHE_|AES_|CHACHA20_)", name)

    def test_what_has_a_name_of_its_own_does_not_work(self):
        self.assertFalse(self.found.heartbleed.result.is_vulnerable_to_heartbleed)
        self.assertFalse(self.found.openssl_ccs_injection.result.is_vulnerable_to_ccs_injection)
        self.assertFalse(self.found.tls_compression.result.supports_compression)
        self.assertFalse(self.found.tls_1_3_early_data.result.supports_early_data, "what is sent early can be replayed")
        renegotiation = self.found.session_renegotiation.result
        self.assertTrue(renegotiation.supports_secure_renegotiation)
        self.assertFalse(renegotiation.is_vulnerable_to_client_renegotiation_dos)
        robot = self.found.robot.result.robot_result
        self.assertIn(robot.name, ("NOT_VULNERABLE_NO_ORACLE", "NOT_VULNERABLE_RSA_NOT_SUPPORTED"))
        self.assertTrue(self.found.tls_fallback_scsv.result.supports_fallback_scsv)
        self.assertTrue(self.found.tls_extended_master_secret.result.supports_ems_extension)

    def test_the_curves_are_strong(self):
        curves = {curve.name for curve in self.found.elliptic_curves.result.supported_curves}
        self.assertLessEqual(curves, {"X25519", "X448", "prime256v1", "secp256r1", "secp384r1", "secp521r1"})

    def test_browsers_are_told_to_stay_with_tls(self):
        header = self.found.http_headers.result.strict_transport_security_header
        self.assertIsNotNone(header)
        # Half a year is what scanners want for their best grade.
        self.assertGreaterEqual(header.max_age, 180 * 86_400)


class Shaker(threading.Thread):
    """Shakes hands again and again, each time from the beginning, and asks for something."""

    def __init__(self, server, stop):
        super().__init__(daemon=True)
        self.server, self.stop = server, stop
        self.seen, self.faults = [], []

    def run(self):
        while not self.stop.is_set():
            try:
                self.seen.append(shake_hands(self.server))
            except OSError as fault:
                self.faults.append(repr(fault))


def shake_hands(server):
    """The fingerprint of the certificate that a new connection sees, which has to be good for a request too."""
    context = ssl.create_default_context(cafile=server.authority.certificate)
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        fingerprint = hashlib.sha256(secure.getpeercert(binary_form=True)).hexdigest()
        secure.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: secure.recv(4096), b""))
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise OSError(f"no answer: {answer[:80]!r}")
        return fingerprint


class AChangedCertificate(unittest.TestCase):
    def setUp(self):
        self.server = TlsServer()
        self.addCleanup(self.server.close)

    def fingerprint_on_disk(self):
        certificate = ssl.PEM_cert_to_DER_cert(self.server.cert_file.read_text())
        return hashlib.sha256(certificate).hexdigest()

    def test_it_is_taken_under_load_and_nobody_notices(self):
        token = self.server.token("viewer")
        clients = [self.server.client("/ws/uwb", token) for _ in range(CLIENTS)]
        for client in clients:
            self.addCleanup(client.close)
            client.expect("system.connection")
        stop = threading.Event()
        shakers = [Shaker(self.server, stop) for _ in range(SHAKERS)]
        for shaker in shakers:
            shaker.start()
        self.addCleanup(stop.set)
        before = self.fingerprint_on_disk()
        wait_for(lambda: all(shaker.seen for shaker in shakers), "everybody shook hands once")
        for _ in range(2):
            self.server.authority.sign(self.server.cert_file, self.server.key_file)
            after = self.fingerprint_on_disk()
            is_seen = lambda: all(shaker.seen[-1] == after for shaker in shakers)
            wait_for(is_seen, "all see the new certificate", 2 * PATIENCE)
        stop.set()
        for shaker in shakers:
            shaker.join(PATIENCE)
            self.assertEqual(shaker.faults, [])
            self.assertEqual(shaker.seen[0], before)
            # A certificate that is gone never comes back.
            self.assertLessEqual(len([*itertools.groupby(shaker.seen)]), 3)
        for client in clients:
            self.assertIn("server_time", client.ask("ping"))
        self.assertEqual(self.server.metric("anita_connections"), CLIENTS)

    def test_one_that_cannot_be_used_leaves_the_old_one_in_force(self):
        before = self.fingerprint_on_disk()
        self.server.cert_file.write_text("this is no certificate\n")
        wait_for(lambda: "cannot be used" in self.server.log(), "the log says it")
        self.assertEqual(shake_hands(self.server), before)


if __name__ == "__main__":
    unittest.main()
