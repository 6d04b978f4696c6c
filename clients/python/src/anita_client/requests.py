"""Requests that wait for their answers, or for a connection."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .envelope import Message
from .errors import AnitaError

# How many requests wait for a connection, and how many for their answers.
WAITING_MAX = 100
ASKED_MAX = 1000

# Told of the answer while it is heard, before anything that comes after it: an answer may name what the next message is of.
Heard = Callable[[Message[Any] | AnitaError], None]


@dataclass(eq=False)
class Request:
    """One request."""

    id: int
    type: str
    text: str
    heard: Heard | None = None
    answer: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def settle(self, found: Message[Any] | AnitaError) -> None:
        """Gives the answer to whoever waits."""
        if self.heard:
            self.heard(found)
        if self.answer.done():
            return
        if isinstance(found, AnitaError):
            self.answer.set_exception(found)
            # Nobody has to look: a request may have been given up.
            self.answer.exception()
        else:
            self.answer.set_result(found.payload)


class Requests:
    """All requests of a client, by the id that their answers repeat."""

    def __init__(self) -> None:
        self._ids = 0
        self._waiting: deque[Request] = deque()
        self._asked: dict[int, Request] = {}

    def next_id(self) -> int:
        self._ids += 1
        return self._ids

    @property
    def waiting(self) -> int:
        """How many wait for a connection."""
        return len(self._waiting)

    def wait(self, request: Request) -> None:
        """Keeps a request for the next connection; raises `AnitaError` where as many wait already."""
        if len(self._waiting) >= WAITING_MAX:
            message = f"{WAITING_MAX} requests wait for a connection already"
            raise AnitaError("queue_full", message, retryable=True)
        self._waiting.append(request)

    def asked(self, request: Request) -> None:
        """The request is on its way."""
        if len(self._asked) >= ASKED_MAX:
            raise AnitaError("queue_full", f"{ASKED_MAX} requests wait for their answers already", retryable=True)
        self._asked[request.id] = request

    def take_waiting(self) -> list[Request]:
        """Those that waited for a connection."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken

    def answered(self, id: Any) -> Request | None:
        """Takes the request that has this id."""
        return self._asked.pop(id, None) if isinstance(id, int) else None

    def forget(self, request: Request) -> None:
        """Nobody waits any more."""
        self._asked.pop(request.id, None)
        if request in self._waiting:
            self._waiting.remove(request)

    def lose(self, error: AnitaError) -> None:
        """The connection is gone: what was asked has no answer."""
        lost, self._asked = list(self._asked.values()), {}
        for request in lost:
            request.settle(error.again())

    def end(self, error: AnitaError) -> None:
        """No connection comes: neither has what waits."""
        self.lose(error)
        for request in self.take_waiting():
            request.settle(error.again())
