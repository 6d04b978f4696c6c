"""What the tests share: a real server in a folder of its own, a client that knows only the protocol page, and a raw one.

Every wait has a deadline and waits for something to be so; nothing sleeps and hopes.
"""

import base64
import contextlib
import http.client
import inspect
import itertools
import json
import os
import pathlib
import re
import secrets
import select
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
import unittest

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import connect

# From version 17 on, the library wants to hear that its connections are used one by one.
ONE_BY_ONE = {"legacy": True} if "legacy" in inspect.signature(connect).parameters else {}

# Longer than anything takes on a busy machine.
PATIENCE = 15.0


def program():
    """The `anita` program, or a skip that says what is missing."""
    path = os.environ.get("ANITA_BIN")
    if not path:
        raise unittest.SkipTest("ANITA_BIN is not set: the path of the `anita` program")
    return str(pathlib.Path(path).resolve())


def need(what, reason):
    """Skips, unless ANITA_TEST_REQUIRE_SERVICES=1 forbids to."""
    if what:
        return
    if os.environ.get("ANITA_TEST_REQUIRE_SERVICES") == "1":
        raise AssertionError(f"{reason}, and ANITA_TEST_REQUIRE_SERVICES=1 wants it")
    raise unittest.SkipTest(reason)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for(predicate, what, seconds=PATIENCE, every=0.02):
    """The first true value of the predicate; fails with the last value when the time is over."""
    ends_at = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= ends_at:
            raise AssertionError(f"{what}: not within {seconds} s; last: {value!r}")
        time.sleep(every)


class Server:
    """A real `anita serve` in a temporary folder."""

    # Two of its intervals of silence are twenty seconds: a client that is held up is not taken for one that is gone.
    def __init__(self, *, tls=False, heartbeat_secs=10, more="", prepare=lambda folder, config: config):
        """`more` goes at the end of the configuration; `prepare` may change all of it."""
        self.program = program()
        self.scheme = "https" if tls else "http"
        self.port = free_port()
        self._temporary = tempfile.TemporaryDirectory(prefix="anita-python-")
        self.folder = pathlib.Path(self._temporary.name)
        (self.folder / "jwt.secret").write_text(secrets.token_hex(32) + "\n")
        way_in = "[server.tls]\nself_signed = true" if tls else 'plaintext = "loopback"'
        (self.folder / "anita.toml").write_text(
            prepare(
                self.folder,
                f"""
[server]
listen = "127.0.0.1:{self.port}"
{way_in}
[auth]
issuer = "anita"
audience = "anita"
secret_file = "jwt.secret"
[heartbeat]
interval_secs = {heartbeat_secs}
[storage]
url = "sqlite:anita.db"
{more}
""",
            )
        )
        self.config = str(self.folder / "anita.toml")
        self.process = None
        self.tls = None
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self):
        self._log = open(self.folder / "server.log", "ab")
        command = [self.program, "serve", "--config", self.config]
        self.process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT)
        if self.scheme == "https":
            wait_for(self.printed_fingerprint, "the server prints its fingerprint")
            self.pin()
        wait_for(self.is_ready, "the server is ready")

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log()}")
        try:
            return self.http("GET", "/readyz").status == 200
        except OSError:
            return False

    def log(self):
        return (self.folder / "server.log").read_text(errors="replace")

    def printed_fingerprint(self):
        found = re.search(r"fingerprint ((?:[0-9A-F]{2}:){31}[0-9A-F]{2})", self.log())
        return found and found[1]

    def pin(self):
        """From now on only the certificate that the server shows is trusted."""
        self.certificate = wait_for(self._certificate, "the server shows its certificate")
        self.tls = trusting(cadata=self.certificate)

    def _certificate(self):
        try:
            return ssl.get_server_certificate(("127.0.0.1", self.port))
        except OSError:
            return None

    def stop(self, sent=signal.SIGTERM):
        """Stops the server; its exit code."""
        self.process.send_signal(sent)
        code = self.process.wait(timeout=30)
        self._log.close()
        return code

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        with contextlib.suppress(AttributeError):
            self._log.close()
        self._temporary.cleanup()

    # --- tokens and HTTP

    def token(self, role="viewer", subject=None, *, ttl="1h", devices=(), rooms=()):
        command = [self.program, "token", "--config", self.config, "--subject", subject or f"{role}-1", "--role", role]
        command += ["--ttl", ttl]
        command += itertools.chain.from_iterable(("--devices", glob) for glob in devices)
        command += itertools.chain.from_iterable(("--rooms", glob) for glob in rooms)
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        lines = printed.splitlines()
        if len(lines) != 1 or lines[0].count(".") != 2:
            raise AssertionError(f"`anita token` prints the token alone, and not {printed!r}")
        return lines[0]

    def http(self, method, path, *, token=None, body=None, headers=()):
        """One HTTP request; the response with `.body` and, where it is JSON, `.json`."""
        if self.scheme == "https":
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=PATIENCE, context=self.tls)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        headers = dict(headers)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            response.body = response.read().decode()
            kind = response.headers.get("Content-Type", "")
            response.json = json.loads(response.body) if "json" in kind and "ndjson" not in kind and response.body else None
            return response
        finally:
            connection.close()

    def metrics(self):
        """The samples of /metrics: `{(name, frozenset(labels)): value}`."""
        samples = {}
        for line in self.http("GET", "/metrics").body.splitlines():
            found = re.fullmatch(r"([a-z_0-9]+)(?:\{(.*)\})? ([^ ]+)", line)
            if found and not line.startswith("#"):
                labels = frozenset(re.findall(r'(\w+)="([^"]*)"', found[2] or ""))
                samples[found[1], labels] = float(found[3])
        return samples

    def metric(self, name, **labels):
        """The sum of the samples with these labels."""
        wanted = set(labels.items())
        return sum(value for (it, has), value in self.metrics().items() if it == name and wanted <= has)

    # --- clients

    def url(self, path):
        return f"{'wss' if self.scheme == 'https' else 'ws'}://127.0.0.1:{self.port}{path}"

    def client(self, path="/ws", token=None, **options):
        """A client; a token goes into the `Authorization` header."""
        headers = dict(options.pop("headers", {}))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        options = {
            "additional_headers": headers,
            "proxy": None,
            "ssl": self.tls,
            # The tests read late; flow control would leave the server's pings unanswered.
            "max_queue": None,
            "open_timeout": PATIENCE,
            **ONE_BY_ONE,
            **options,
        }
        try:
            return Client(connect(self.url(path), **options))
        except (OSError, EOFError, WebSocketException) as fault:
            # What the server has to say of it, for whoever reads why a test failed.
            fault.add_note("the server's last lines:\n" + "\n".join(self.log().splitlines()[-40:]))
            raise

    def hello(self, path="/ws", role="viewer", subject=None, **token_options):
        """A client that is authenticated: its hello is in `.hello`."""
        client = self.client(path, self.token(role, subject, **token_options))
        client.hello = client.expect("system.connection")["payload"]
        return client


def trusting(**authorities):
    """What trusts these authorities alone, for clients that read in one thread and write in another."""
    context = ssl.create_default_context(**authorities)
    context.sslsocket_class = OneCallAtATime
    return context


class OneCallAtATime(ssl.SSLSocket):
    """OpenSSL wants one call at a time for a connection, and Python before 3.13 does not see to it: a request that was
    written while another thread read the session tickets of TLS 1.3 was never sent, once in some hundred connections."""

    def do_handshake(self, block=False):
        super().do_handshake(block)
        self._turn = threading.Lock()
        self._patience = self.gettimeout()
        super().settimeout(0)

    def settimeout(self, seconds):
        if hasattr(self, "_turn"):
            self._patience = seconds
        else:
            super().settimeout(seconds)

    def recv(self, *arguments):
        return self._in_turn(super().recv, *arguments)

    def recv_into(self, *arguments):
        return self._in_turn(super().recv_into, *arguments)

    def sendall(self, data, *arguments):
        left = memoryview(data)
        while left:
            left = left[self._in_turn(super().send, left, *arguments) :]

    def _in_turn(self, call, *arguments):
        while True:
            readers, writers = [], []
            try:
                with self._turn:
                    return call(*arguments)
            except ssl.SSLWantReadError:
                readers = [self]
            except ssl.SSLWantWriteError:
                writers = [self]
            if not any(select.select(readers, writers, [], self._patience)):
                raise TimeoutError("the server was silent for too long")


class Broker:
    """A Mosquitto in memory; skips where there is none."""

    def __init__(self):
        need(shutil.which("mosquitto") and shutil.which("mosquitto_pub"), "mosquitto and mosquitto_pub are not installed")
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="anita-mosquitto-")
        folder = pathlib.Path(self._folder.name)
        self.config = folder / "mosquitto.conf"
        # More may be on its way than Mosquitto keeps by default.
        limits = "max_inflight_messages 0\nmax_queued_messages 0\n"
        self.config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n{limits}")
        self.start()

    def start(self):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(["mosquitto", "-c", str(self.config)], **quiet)
        wait_for(self.answers, "mosquitto listens")

    def answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.process.send_signal(signal.SIGCONT)
        self.kill()
        self._folder.cleanup()


class Client:
    """A client of Python's `websockets` library that knows only the protocol page."""

    _ids = itertools.count(1)

    def __init__(self, socket):
        self.socket = socket
        self.kept = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, type, payload=None, **members):
        self.send_text(json.dumps({"type": type, "payload": payload or {}, **members}))

    def send_text(self, text):
        self.socket.send(text)

    def receive(self, seconds=PATIENCE):
        text = self.socket.recv(timeout=seconds)
        if not isinstance(text, str):
            raise AssertionError(f"the server sent a binary message: {text[:50]!r}")
        message = json.loads(text)
        if not isinstance(message.get("type"), str) or not isinstance(message.get("payload"), dict):
            raise AssertionError(f"this is no envelope: {text[:200]}")
        message["text"] = text
        return message

    def keep(self):
        """Takes the next message and keeps it."""
        self.kept.append(self.receive())

    def expect(self, type, where=lambda payload: True, seconds=PATIENCE):
        """The next message of a type with such a payload; what else comes is kept."""
        matches = lambda message: message["type"] == type and where(message["payload"])
        return self._first(matches, type, seconds)

    def request(self, type, payload=None, seconds=PATIENCE):
        """The answer to a request, an `error` included."""
        id = f"q{next(self._ids)}"
        self.send(type, payload, id=id)
        return self._first(lambda message: message.get("id") == id, f"the answer to {type}", seconds)

    def ask(self, type, payload=None):
        """The payload of an answer that is no `error`."""
        answer = self.request(type, payload)
        if answer["type"] == "error":
            raise AssertionError(f"{type} {payload} was refused: {answer['payload']}")
        return answer["payload"]

    def refused(self, type, payload=None):
        """The payload of the `error` that refuses a request."""
        answer = self.request(type, payload)
        if answer["type"] != "error":
            raise AssertionError(f"{type} {payload} was not refused: {answer['text'][:300]}")
        return answer["payload"]

    def so_far(self):
        """All that came until now: what is sent before a `ping` is there before its answer."""
        self.ask("ping")
        kept, self.kept = self.kept, []
        return kept

    def closed(self, seconds=PATIENCE):
        """Waits for the close: its code, its reason (as JSON where it is), and the messages before it."""
        before, self.kept = self.kept, []
        ends_at = time.monotonic() + seconds
        try:
            while True:
                before.append(self.receive(max(ends_at - time.monotonic(), 0.001)))
        except TimeoutError:
            raise AssertionError(f"not closed within {seconds} s; it heard {[it['type'] for it in before]}") from None
        except ConnectionClosed as closed:
            frame = closed.rcvd
            if frame is None:
                raise AssertionError(f"closed without a close frame: {closed}") from None
            return Closed(frame.code, reason(frame.reason), before)

    def _first(self, matches, what, seconds):
        for index, message in enumerate(self.kept):
            if matches(message):
                return self.kept.pop(index)
        ends_at = time.monotonic() + seconds
        while True:
            try:
                message = self.receive(max(ends_at - time.monotonic(), 0.001))
            except TimeoutError:
                heard = [it["text"][:200] for it in self.kept[-10:]]
                raise AssertionError(f"{what} did not come within {seconds} s; it heard {heard}") from None
            if matches(message):
                return message
            self.kept.append(message)


def reason(text):
    if len(text.encode()) > 123:
        raise AssertionError(f"the reason has more than 123 bytes: {text}")
    return json.loads(text) if text else None


class Closed:
    """How a connection was closed."""

    def __init__(self, code, reason, before):
        self.code, self.reason, self.before = code, reason, before

    @property
    def error(self):
        """The payload of the last `error` before the close."""
        errors = [message["payload"] for message in self.before if message["type"] == "error"]
        return errors[-1] if errors else None


class RawClient:
    """A WebSocket client of sockets alone: it answers nothing by itself, and sends whatever it is told to."""

    def __init__(self, server, path="/ws", token=None, extensions=None):
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
        self.buffer = b""
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        head += f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        if token:
            head += f"Authorization: Bearer {token}\r\n"
        if extensions:
            head += f"Sec-WebSocket-Extensions: {extensions}\r\n"
        self.socket.sendall(f"{head}\r\n".encode())
        while b"\r\n\r\n" not in self.buffer:
            self._fill()
        answer, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        if not answer.startswith(b"HTTP/1.1 101 "):
            raise AssertionError(f"no upgrade: {answer.decode(errors='replace')}")
        self.head = answer.decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send_frame(self, opcode, payload=b"", *, is_last=True):
        mask = secrets.token_bytes(4)
        length = len(payload)
        if length < 126:
            head = struct.pack("!BB", (is_last << 7) | opcode, 0x80 | length)
        elif length < 65_536:
            head = struct.pack("!BBH", (is_last << 7) | opcode, 0x80 | 126, length)
        else:
            head = struct.pack("!BBQ", (is_last << 7) | opcode, 0x80 | 127, length)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        self.socket.sendall(head + mask + masked)

    def receive_frame(self):
        """The next frame, `(opcode, payload)`; `None` at the end of the stream."""
        try:
            first, second = self._take(2)
            length = second & 0x7F
            if length == 126:
                (length,) = struct.unpack("!H", self._take(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", self._take(8))
            return first & 0x0F, self._take(length)
        except (EOFError, ConnectionResetError):
            return None

    def until_close(self, seconds=PATIENCE):
        """All frames up to the close: its code and reason, and the frames before it."""
        ends_at, before = time.monotonic() + seconds, []
        while time.monotonic() < ends_at:
            self.socket.settimeout(max(ends_at - time.monotonic(), 0.001))
            try:
                frame = self.receive_frame()
            except TimeoutError:
                break
            if frame is None:
                raise AssertionError(f"the stream ended without a close frame, after {before[-3:]}")
            opcode, payload = frame
            if opcode == 8:
                return struct.unpack("!H", payload[:2])[0], reason(payload[2:].decode()), before
            before.append(frame)
        raise AssertionError(f"not closed within {seconds} s; it heard {len(before)} frames")

    def vanish(self):
        """Ends without a word: the other side hears a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _fill(self):
        data = self.socket.recv(65_536)
        if not data:
            raise EOFError
        self.buffer += data

    def _take(self, length):
        while len(self.buffer) < length:
            self._fill()
        taken, self.buffer = self.buffer[:length], self.buffer[length:]
        return taken
