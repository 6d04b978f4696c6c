"""A real server for the tests of the client, in a folder of its own. Every wait has a deadline."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import os
import pathlib
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import IO, Any

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]

# The package of this tree, whatever is installed.
sys.path.insert(0, str(HERE.parent / "src"))

# Longer than anything takes on a busy machine.
PATIENCE_S = 60.0


# What a client logs is looked at where it is tested.
logging.getLogger("anita_client").propagate = False
logging.getLogger("anita_client").addHandler(logging.NullHandler())
# Its debug mode warns of everything that takes a tenth of a second.
logging.getLogger("asyncio").setLevel(logging.ERROR)


def program() -> str:
    """The `anita` program, or a skip that says what is missing."""
    path = os.environ.get("ANITA_BIN")
    if not path:
        raise unittest.SkipTest("ANITA_BIN is not set: the path of the `anita` program")
    return str(pathlib.Path(path).resolve())


async def until(predicate: Callable[[], Any], what: Callable[[], str] | str, patience_s: float = PATIENCE_S) -> Any:
    """The first true value of the predicate."""
    ends_at = time.monotonic() + patience_s
    while not (value := predicate()):
        if time.monotonic() >= ends_at:
            raise AssertionError(f"not within {patience_s:.0f} s: {what if isinstance(what, str) else what()}")
        await asyncio.sleep(0.01)
    return value


def in_time(cases: type[unittest.IsolatedAsyncioTestCase]) -> type[unittest.IsolatedAsyncioTestCase]:
    """Each test of these ends within the time of some of its longest waits, and fails where it would hang."""

    def limited(test: Any) -> Any:
        @functools.wraps(test)
        async def within(self: Any) -> None:
            async with asyncio.timeout(6 * PATIENCE_S):
                await test(self)

        return within

    for name, test in list(vars(cases).items()):
        if name.startswith("test_") and asyncio.iscoroutinefunction(test):
            setattr(cases, name, limited(test))
    return cases


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Server:
    """`anita serve` on loopback, with its store in a file."""

    def __init__(self, *, tls: bool = False, more: str = "") -> None:
        self.program = program()
        self.port = free_port()
        self.is_tls = tls
        self._temporary = tempfile.TemporaryDirectory(prefix="anita-client-")
        self.folder = pathlib.Path(self._temporary.name)
        secret = self.folder / "jwt.secret"
        secret.write_text(secrets.token_hex(32) + "\n")
        secret.chmod(0o600)
        way_in = "[server.tls]\nself_signed = true" if tls else 'plaintext = "loopback"'
        self.config = self.folder / "anita.toml"
        self.config.write_text(
            f'[server]\nlisten = "127.0.0.1:{self.port}"\n{way_in}\n'
            '[auth]\nissuer = "anita"\naudience = "anita"\nsecret_file = "jwt.secret"\n'
            '[heartbeat]\ninterval_secs = 10\n[storage]\nurl = "sqlite:anita.db"\n'
            f"{more}"
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._publisher = ""

    def url(self, path: str) -> str:
        return f"{'wss' if self.is_tls else 'ws'}://127.0.0.1:{self.port}{path}"

    async def start(self) -> None:
        self._log = (self.folder / "server.log").open("ab")
        command = [self.program, "serve", "--config", str(self.config)]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT)
        await until(self._is_ready, lambda: f"the server is ready:\n{self.log()}")

    def _is_ready(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise AssertionError(f"the server ended:\n{self.log()}")
        if self.is_tls:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0 and self.fingerprint() is not None
        try:
            return self.http("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def log(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")

    def fingerprint(self) -> str | None:
        found = re.search(r"fingerprint ((?:[0-9A-F]{2}:){31}[0-9A-F]{2})", self.log())
        return found[1] if found else None

    async def end(self, sent: signal.Signals) -> None:
        """Sends a signal, and waits for the end."""
        assert self._process is not None
        self._process.send_signal(sent)
        await asyncio.to_thread(self._process.wait, PATIENCE_S)
        self._close_log()

    def _close_log(self) -> None:
        if self._log is not None:
            self._log.close()

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._close_log()
        self._temporary.cleanup()

    def token(self, role: str, subject: str, *, ttl: str = "1h", devices: str = "", rooms: str = "") -> str:
        command = [self.program, "token", "--config", str(self.config), "--subject", subject]
        command += ["--role", role, "--ttl", ttl]
        command += ["--devices", devices] if devices else []
        command += ["--rooms", rooms] if rooms else []
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def http(self, method: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, Any]:
        """A request over REST: the status, and what came."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers, method=method)
        # No proxy of the environment stands between the tests and this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=PATIENCE_S) as response:
                status, text = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    async def report(self, item: Any) -> None:
        """A publisher reports one location."""
        # A token costs a process: one does for all reports.
        self._publisher = self._publisher or await asyncio.to_thread(self.token, "publisher", "gateway")
        status, answer = await asyncio.to_thread(self.http, "POST", "/api/v1/locations", item, self._publisher)
        if status != 200 or answer["accepted"] != 1:
            raise AssertionError(f"the report was not accepted: {status} {answer}")

    async def revoke(self, subject: str) -> None:
        """An admin bans a subject."""
        token = await asyncio.to_thread(self.token, "admin", "root")
        status, answer = await asyncio.to_thread(self.http, "POST", "/api/v1/revocations", {"subject": subject}, token)
        if status not in (200, 201):
            raise AssertionError(f"the revocation was not accepted: {status} {answer}")
