"""Rooms: joined once however many want them, joined again after each reconnect from where they were, gaps told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from . import wire
from .envelope import Message
from .errors import AnitaError
from .streams import Stream

if TYPE_CHECKING:
    from .client import AnitaClient


@dataclass(frozen=True)
class Gap:
    """Numbered messages that are lost to this client: the present state has to be read anew.

    `reason`: `lost` (the server says which), `not_recovered` (it can't say what was missed while the client was away),
    `refused` (the room or view may not be had any more).
    """

    reason: Literal["lost", "not_recovered", "refused"]
    room: str | None = None
    subscription: Any = None
    """The `View`, where it is one that has a gap."""
    epoch: str | None = None
    from_seq: int | None = None
    to_seq: int | None = None


@dataclass(eq=False)
class Membership:
    """What is known of a room that somebody wants."""

    name: str
    holders: int = 0
    is_joined: bool = False
    is_asked: bool = False
    epoch: str | None = None
    seq: int = -1
    """The last number that was heard, or was there when the room was joined."""
    heard_seq: int = -1
    """The last number that was heard: what is not above it comes twice."""
    waiters: list[asyncio.Future[None]] = field(default_factory=list)

    def settle(self, error: AnitaError | None = None) -> None:
        """Tells those who wait to be in it."""
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error.again())


class Rooms:
    """The rooms of a client."""

    def __init__(self, client: AnitaClient) -> None:
        self._client = client
        self._rooms: dict[str, Membership] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are wanted."""
        return tuple(self._rooms)

    def open_by_endpoint(self, name: str) -> None:
        """The endpoint joins this room by itself, each time."""
        self._rooms[name] = Membership(name, holders=1)

    async def join(self, name: str, timeout: float | None) -> None:
        client = self._client
        client._raise_if_ended()
        room = self._rooms.setdefault(name, Membership(name))
        room.holders += 1
        try:
            if room.is_joined:
                return
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            room.waiters.append(waiter)
            if client._is_online and not room.is_asked:
                self._ask(room)
            await client._within(waiter, timeout, f"joining {name}")
        except BaseException:
            room.holders -= 1
            if room.holders <= 0 and self._rooms.get(name) is room:
                del self._rooms[name]
                if client._is_online and (room.is_asked or room.is_joined):
                    client._tell("leave_room", {"room": name})
            raise

    async def leave(self, name: str, timeout: float | None) -> None:
        room = self._rooms.get(name)
        if room is None:
            raise AnitaError("not_found", f"the room {name} was not joined")
        room.holders -= 1
        if room.holders > 0:
            return
        del self._rooms[name]
        room.settle(AnitaError("closed", f"the room {name} was left"))
        if self._client._is_online:
            try:
                await self._client._request("leave_room", {"room": name}, timeout)
            except AnitaError as error:
                # A connection that is lost has left all its rooms.
                if error.code not in ("disconnected", "not_found"):
                    raise

    def restore(self) -> None:
        """Joins all rooms again: the connection is new."""
        for room in self._rooms.values():
            self._ask(room)

    def lose(self) -> None:
        """The connection is gone, and its places in rooms with it."""
        for room in self._rooms.values():
            room.is_joined = room.is_asked = False

    def end(self, error: AnitaError) -> None:
        """No connection comes."""
        for room in self._rooms.values():
            room.settle(error)

    def forget(self) -> None:
        """The client is closed: nothing is joined again."""
        self._rooms.clear()

    def _ask(self, room: Membership) -> None:
        payload: dict[str, Any] = {"room": room.name}
        since = (room.epoch, room.seq) if room.epoch is not None else None
        if room.epoch is not None:
            payload["since"] = {"epoch": room.epoch, "seq": room.seq}
        room.is_asked = True
        self._client._tell("join_room", payload, lambda found: self._joined(room, since, found))

    def _joined(self, room: Membership, since: Any, found: Message[Any] | AnitaError) -> None:
        if self._rooms.get(room.name) is not room:
            return
        room.is_asked = False
        if isinstance(found, AnitaError):
            self._refused(room, since, found)
            return
        answer: wire.RoomJoined = found.payload
        room.is_joined = True
        if since is None or not answer.get("recovered"):
            # What waits at this moment may have numbers up to this one, and has not been heard.
            room.epoch, room.seq = answer["epoch"], answer["seq"]
            room.heard_seq = -1
        if since is not None and not answer.get("recovered"):
            self._client._gap(Gap("not_recovered", room.name, epoch=answer["epoch"], to_seq=answer["seq"]))
        room.settle()

    def _refused(self, room: Membership, since: Any, error: AnitaError) -> None:
        if error.code == "disconnected":
            return
        if error.retryable:
            after = 1.0 if error.retry_after is None else error.retry_after
            self._client._later(after, lambda: self._ask_again(room))
            return
        del self._rooms[room.name]
        room.settle(error)
        if since is not None:
            self._client._gap(Gap("refused", room.name))

    def _ask_again(self, room: Membership) -> None:
        if self._rooms.get(room.name) is room and not room.is_joined and not room.is_asked:
            self._ask(room)

    def hears(self, message: Message[Any]) -> bool:
        """Whether the application is told: each number once. Keeps what is needed to come back."""
        if message.type == "room.gap" or message.type == "room.advanced":
            self._skipped(message)
            return True
        name, epoch, seq = message.room, message.epoch, message.seq
        room = self._rooms.get(name) if name is not None else None
        if room is None or seq is None or epoch is None:
            return True
        if epoch != room.epoch:
            room.epoch, room.seq, room.heard_seq = epoch, seq, seq
            return True
        if seq <= room.heard_seq:
            return False
        if room.is_asked and seq > room.seq + 1:
            # It was said before the server knew from where to go on; it comes again in its place.
            return False
        room.seq = max(room.seq, seq)
        room.heard_seq = seq
        return True

    def _skipped(self, message: Message[Any]) -> None:
        payload = message.payload
        to_seq = payload["to_seq"] if message.type == "room.gap" else payload["seq"]
        room = self._rooms.get(payload["room"])
        if room and not (room.is_asked and room.epoch == payload["epoch"] and to_seq > room.seq + 1):
            room.seq = max(room.seq, to_seq) if room.epoch == payload["epoch"] else to_seq
            room.epoch = payload["epoch"]
        if message.type == "room.gap":
            self._client._gap(Gap("lost", payload["room"], None, payload["epoch"], payload["from_seq"], to_seq))


class Room:
    """A room that is joined: `async with client.room("hall") as room`, or `room = await client.join("hall")`."""

    def __init__(self, client: AnitaClient, name: str) -> None:
        self._client = client
        self.name = name

    def __repr__(self) -> str:
        return f"Room({self.name!r})"

    async def send(self, name: str, data: Any, *, timeout: float | None = None) -> wire.RoomSent:
        """Says something to the others in the room."""
        return await self._client.request(
            "send_to_room", {"room": self.name, "name": name, "data": data}, timeout=timeout
        )

    async def members(self, *, timeout: float | None = None) -> list[wire.Member]:
        """Who is in it."""
        return (await self._client.request("get_room_members", {"room": self.name}, timeout=timeout))["members"]

    def messages(self, *, limit: int = 1000) -> Stream[wire.RoomMessage]:
        """What the others say in it, from this call on."""
        return self._client.messages("room.message", limit=limit, where=lambda message: message.room == self.name)

    async def leave(self, *, timeout: float | None = None) -> None:
        """Leaves it, unless others of this client want it."""
        await self._client.leave(self.name, timeout=timeout)

    async def __aenter__(self) -> Self:
        await self._client.join(self.name)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.name in self._client.rooms:
            await self.leave()
