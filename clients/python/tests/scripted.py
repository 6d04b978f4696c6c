"""A server in this process that says what a test wants: faults that the real one has only on a bad day."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from . import harness  # noqa: F401  (finds the package of this tree)

HELLO = {
    "client_id": "c1",
    "status": "authenticated",
    "user_id": "alice",
    "roles": ["viewer"],
    "permissions": ["devices.read"],
    "expires_at": "2099-01-01T00:00:00.000000Z",
    "heartbeat_interval_secs": 25,
    "protocol": "anita.v1",
    "limits": {
        "message_bytes": 2000,
        "requests_per_second": 50,
        "rooms": 64,
        "locations_per_report": 1000,
        "devices_per_page": 1000,
        "history_per_page": 1000,
    },
}


class Peer:
    """The server's side of one connection."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection

    @property
    def token(self) -> str:
        """What stands in the header of the upgrade."""
        assert self.connection.request is not None
        return self.connection.request.headers.get("Authorization", "").removeprefix("Bearer ")

    async def say(self, type: str, payload: Any = None, **members: Any) -> None:
        await self.connection.send(json.dumps({"type": type, "payload": payload or {}, **members}))

    async def hello(self, **changed: Any) -> None:
        await self.say("system.connection", {**HELLO, **changed})

    async def hear(self, type: str | None = None) -> dict[str, Any]:
        """The next request, of this type if one is named; pings of the client's own are answered."""
        while True:
            heard: dict[str, Any] = json.loads(await self.connection.recv())
            if heard["type"] == "ping" and type != "ping":
                await self.answer(heard, "system.pong", {"server_time": "2026-01-01T00:00:00.000000Z"})
                continue
            if type is not None and heard["type"] != type:
                raise AssertionError(f"not {type}: {heard}")
            return heard

    async def answer(self, request: dict[str, Any], type: str, payload: Any = None, **members: Any) -> None:
        await self.say(type, payload, id=request["id"], **members)

    async def refuse(self, request: dict[str, Any], code: str, after_ms: int | None = None) -> None:
        after = {} if after_ms is None else {"retry_after_ms": after_ms}
        payload = {"code": code, "message": "No.", "retryable": after_ms is not None, **after}
        await self.answer(request, "error", payload)

    async def close(self, code: int, reason: str = "") -> None:
        await self.connection.close(code, reason)

    async def end(self) -> None:
        """Until the client has gone."""
        with contextlib.suppress(Exception):
            while True:
                await self.connection.recv()


Play = Callable[[Peer], Awaitable[None]]
Upgrade = Callable[[ServerConnection, Request], Response | None]


class Scripted:
    """Each connection is played by the next of the plays; the last plays all that follow."""

    def __init__(self, *plays: Play) -> None:
        self.plays = list(plays)
        self.peers: list[Peer] = []
        self.faults: list[BaseException] = []
        self.url = ""

    async def play(self, connection: ServerConnection) -> None:
        peer = Peer(connection)
        self.peers.append(peer)
        play = self.plays[min(len(self.peers), len(self.plays)) - 1]
        try:
            await play(peer)
        except Exception as error:
            self.faults.append(error)


@contextlib.asynccontextmanager
async def server(*plays: Play, upgrade: Upgrade | None = None) -> AsyncIterator[Scripted]:
    """A server on loopback; what a play finds wrong is raised at the end."""
    scripted = Scripted(*plays)
    async with serve(scripted.play, "127.0.0.1", 0, process_request=upgrade, ping_interval=None) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        scripted.url = f"ws://127.0.0.1:{port}"
        yield scripted
        # Plays that wait are not waited for.
        listening.close(close_connections=True)
        await asyncio.sleep(0)
    for fault in scripted.faults:
        if not isinstance(fault, ConnectionClosed):
            raise fault


async def greets(peer: Peer) -> None:
    """Says hello, and waits."""
    await peer.hello()
    await peer.end()
