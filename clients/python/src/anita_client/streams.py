"""Bounded streams between the connection, which always reads, and an application that may be slow."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar

from .envelope import Message
from .errors import AnitaError

T = TypeVar("T")
P = TypeVar("P")

Policy = Literal["latest", "drop-oldest"]
Filter = Callable[[Message[Any]], bool]


class Buffered(Generic[T], AsyncIterator[T]):
    """Items that wait to be read, at most `limit`; the oldest goes when another comes.

    With a `key`, a newer item takes the place of the one with the same key. The iteration ends when the client is closed,
    and raises `AnitaError` when it has failed.
    """

    def __init__(self, limit: int, key: Callable[[T], Hashable] | None = None) -> None:
        if limit < 1:
            raise ValueError("a stream keeps one item at least")
        self.limit = limit
        self.dropped = 0
        """Items that newer ones have replaced before they were read."""
        self._key = key
        self._items: OrderedDict[Hashable, T] = OrderedDict()
        self._count = 0
        self._end: AnitaError | Literal["ended"] | None = None
        self._news = asyncio.Event()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        """Gives an item to whoever reads."""
        if self._end == "ended":
            return
        self._count += 1
        key = self._count if self._key is None else self._key(item)
        if self._items.pop(key, None) is not None:
            self.dropped += 1
        elif len(self._items) >= self.limit:
            self._items.popitem(last=False)
            self.dropped += 1
        self._items[key] = item
        self._news.set()

    def take(self) -> T | None:
        """The oldest item that waits, if one does."""
        return self._items.popitem(last=False)[1] if self._items else None

    def end(self, error: AnitaError | None = None) -> None:
        """No more comes; what waits may still be read."""
        self._end = error or "ended"
        self._news.set()

    def close(self) -> None:
        """The reader has enough."""
        self._items.clear()
        self.end()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while True:
            item = self.take()
            if item is not None:
                return item
            if isinstance(self._end, AnitaError):
                # Told once: a client that was started again goes on with the streams it had.
                error, self._end = self._end, None
                raise error.again()
            if self._end:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Stream(Buffered[Message[P]]):
    """Messages of a type."""

    def __init__(self, type: str, policy: Policy, limit: int, where: Filter | None) -> None:
        if policy not in ("latest", "drop-oldest"):
            raise ValueError(f"a policy is 'latest' or 'drop-oldest', not {policy!r}")
        super().__init__(limit, _device_of if policy == "latest" else None)
        self.type = type
        self._where = where

    def offer(self, message: Message[Any]) -> None:
        """Takes the message, if it is one of those wanted."""
        if self._where is None or self._where(message):
            self.put(message)


def _device_of(message: Message[Any]) -> Hashable:
    """What `latest` keeps one of: the device, else the type; live and played back apart."""
    device = message.payload.get("device_id")
    return (message.type, message.playback, message.subscription, device if isinstance(device, str) else None)
