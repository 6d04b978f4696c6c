"""The client: one task keeps one connection, and everything else asks it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import ssl as ssl_module
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from websockets.exceptions import ConnectionClosed

from . import wire
from .backoff import obeyed, pause
from .closing import Advice
from .envelope import Message, NotAMessage, decode, encode
from .errors import AnitaError, of_payload
from .machine import Closed, Event, Link, Lost, Opened, Rested, Started, State, Warned, Welcomed, step
from .payload_shapes import PAYLOADS
from .requests import Heard, Request, Requests
from .rooms import Gap, Room, Rooms
from .shapes import check
from .streams import Buffered, Filter, Policy, Stream
from .tokens import Token, TokenSource, logger
from .transport import Socket, abort, judge, open_socket
from .trust import address_of, context_of
from .typed import Typed
from .views import DeviceTable, View

T = TypeVar("T")
B = TypeVar("B", bound=Buffered[Any])

# So many heartbeats may be missing before the connection is given up.
SILENT_HEARTBEATS = 2.5

# A token is replaced so long before it runs out; one that lives shorter, after half its time; never at once again.
REFRESH_BEFORE_S = 30.0
REFRESH_LEAST_S = 1.0
REFRESH_STEP_S = 60.0

# States and gaps that wait to be read.
NEWS_MAX = 100

_CONNECTED = (State.CONNECTING, State.AUTHENTICATING, State.ONLINE)

_log = logger("anita_client")


@dataclass
class Stats:
    """What a client counted since it was made."""

    connections: int = 0
    """How often the server said hello."""
    received: int = 0
    sent: int = 0
    invalid: int = 0
    """Messages that were no message, or did not have the shape of their type: left out."""
    unknown: int = 0
    """Messages of types that this client does not know: from a newer server, or an application's own."""


class AnitaClient(Typed):
    """A connection to a hub that is kept: `async with AnitaClient("wss://hall.example/ws/uwb", token=token) as client`.

    `token` is a text, or a function (async or not) of the reason for which it is asked: `connect`, `refresh` (it runs out
    soon) or `rejected` (it has run out). With a text the client fails when it has run out.

    TLS trusts the certificates of the system, or what one of `ssl`, `ca_file` and `fingerprint` says. Plain `ws://` goes to
    this machine only, unless `allow_plain` says otherwise. `request_timeout` is for requests that name no other;
    `connect_timeout` for a token, the network, TLS and the hello together. With `check=False` payloads are not compared with
    the shapes of their types. `proxy` is as the `websockets` library takes it: `True` is what the environment says.

    A client belongs to the event loop in which it is started, and is not for several threads.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token,
        ssl: ssl_module.SSLContext | None = None,
        ca_file: str | os.PathLike[str] | None = None,
        fingerprint: str | None = None,
        allow_plain: bool = False,
        proxy: str | Literal[True] | None = True,
        request_timeout: float = 10.0,
        connect_timeout: float = 10.0,
        check: bool = True,
    ) -> None:
        self._address = address_of(url, allow_plain=allow_plain)
        context = context_of(context=ssl, ca_file=ca_file, fingerprint=fingerprint)
        self._context = context if self._address.is_tls else None
        self._proxy = proxy
        self._tokens = TokenSource(token)
        self._request_timeout = request_timeout
        self._connect_timeout = connect_timeout
        self._is_checked = check
        self._link = Link()
        self._hello: wire.Connection | None = None
        self._expires_at: float | None = None
        self._clock_ahead = 0.0
        self._token: str | None = None
        self._told: AnitaError | None = None
        self._outbox: deque[str] = deque()
        self._mail = asyncio.Event()
        self._hurry = asyncio.Event()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        self._requests = Requests()
        self._rooms = Rooms(self)
        self._views: set[View] = set()
        self._named: dict[str, View] = {}
        self._streams: dict[str, weakref.WeakSet[Stream[Any]]] = {}
        self._gaps: weakref.WeakSet[Buffered[Gap]] = weakref.WeakSet()
        self._states: weakref.WeakSet[Buffered[State]] = weakref.WeakSet()
        self._stats = Stats()

    def __repr__(self) -> str:
        parts = self._address.url.split("?")[0]
        return f"AnitaClient({parts!r}, {self.state.value})"

    # --- its life

    @property
    def state(self) -> State:
        """What it is doing."""
        return self._link.state

    @property
    def error(self) -> AnitaError | None:
        """Why it waits to come back, or has failed."""
        return self._link.error

    @property
    def hello(self) -> wire.Connection | None:
        """What the server said of this connection: rights, limits, who the client is."""
        return self._hello

    @property
    def stats(self) -> Stats:
        """What was counted."""
        return self._stats

    @property
    def rooms(self) -> tuple[str, ...]:
        """The rooms that are wanted; joined while the client is online."""
        return self._rooms.names

    def start(self) -> None:
        """Begins to connect, and does not wait; also after `failed` and `closed`."""
        if self.state not in (State.IDLE, State.CLOSED, State.FAILED):
            return
        if self._address.path.rstrip("/").endswith("/ws/uwb"):
            self._rooms.open_by_endpoint("uwb")
        self._step(Started())
        self._task = asyncio.get_running_loop().create_task(self._run(), name="anita-client")

    async def ready(self, timeout: float | None = None) -> None:
        """Waits until the client is online; raises `AnitaError` when it has failed or was closed, or after `timeout`."""

        async def online() -> None:
            while self.state is not State.ONLINE:
                self._raise_if_ended()
                await self._next_change()

        try:
            async with asyncio.timeout(timeout):
                await online()
        except TimeoutError:
            reason = f": {self.error}" if self.error else ""
            raise AnitaError("timeout", f"not online within {timeout} s{reason}", retryable=True) from None

    def try_now(self) -> None:
        """Ends a pause between two attempts."""
        self._hurry.set()

    async def close(self) -> None:
        """Ends the connection for good, and all that waits for it; `start` begins anew."""
        if self.state is State.CLOSED:
            return
        task, self._task = self._task, None
        error = AnitaError("closed", "the client was closed")
        self._step(Closed())
        self._requests.end(error)
        self._rooms.end(error)
        self._rooms.forget()
        for view in list(self._views):
            view._forget()
            view._end(error)
        for stream in self._all_streams():
            stream.end()
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def __aenter__(self) -> Self:
        self.start()
        try:
            await self.ready()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- what it offers

    def states(self) -> Buffered[State]:
        """Every state from now on: `async for state in client.states()`."""
        found = Buffered[State](NEWS_MAX)
        self._keep(found, self._states)
        return found

    def gaps(self) -> Buffered[Gap]:
        """What was lost to this client: read the present state anew then. `async for gap in client.gaps()`."""
        found = Buffered[Gap](NEWS_MAX)
        self._keep(found, self._gaps)
        return found

    def room(self, name: str) -> Room:
        """A room for `async with`: joined at its beginning, left at its end."""
        return Room(self, name)

    async def join(self, name: str, *, timeout: float | None = None) -> Room:
        """Joins a room, after each reconnect, too; as often as it is joined it has to be left."""
        await self._rooms.join(name, self._timeout(timeout))
        return Room(self, name)

    async def leave(self, name: str, *, timeout: float | None = None) -> None:
        """Leaves a room."""
        await self._rooms.leave(name, self._timeout(timeout))

    def subscribe(
        self,
        *,
        view: wire.ViewFilter | None = None,
        fields: wire.Fields | None = None,
        max_rate_hz: float | None = None,
        min_move_m: float | None = None,
        mode: wire.Mode | None = None,
        unit: wire.LengthUnit | None = None,
        lane: wire.Lane | None = None,
        snapshot: bool | None = None,
        since: wire.Since | None = None,
        timeout: float | None = None,
    ) -> View:
        """A view of devices, kept over reconnects: `async with client.subscribe(view={"kinds": ["tag"]}) as view`."""
        ask = {
            "view": view,
            "fields": fields,
            "max_rate_hz": max_rate_hz,
            "min_move_m": min_move_m,
            "mode": mode,
            "unit": unit,
            "lane": lane,
            "snapshot": snapshot,
        }
        found = View(self, ask, self._timeout(timeout))
        found._since = since
        return found

    def devices(self, *, max_rate_hz: float | None = None, timeout: float | None = None) -> DeviceTable:
        """A live mapping of all devices: `async with client.devices() as table`."""
        return DeviceTable(self, max_rate_hz, self._timeout(timeout))

    async def ping(self, *, timeout: float | None = None) -> float:
        """How long the server takes to answer, in seconds."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self.request("ping", timeout=timeout)
        return loop.time() - began

    def _messages(self, type: str, policy: Policy, limit: int, where: Filter | None) -> Stream[Any]:
        found = Stream[Any](type, policy, limit, where)
        self._keep(found, self._streams.setdefault(type, weakref.WeakSet()))
        return found

    def _keep(self, stream: B, among: weakref.WeakSet[B]) -> None:
        """Feeds a stream for as long as somebody has it."""
        if self.state is State.CLOSED:
            stream.end()
        elif self.state is State.FAILED:
            stream.end(self._ended())
        among.add(stream)

    def _all_streams(self) -> list[Buffered[Any]]:
        streams: list[Buffered[Any]] = [*self._gaps, *self._states]
        for each in self._streams.values():
            streams.extend(each)
        return streams

    # --- requests

    async def _request(self, type: str, payload: Any, timeout: float | None, heard: Heard | None = None) -> Any:
        request = self._make(type, {} if payload is None else payload, heard)
        self._raise_if_ended()
        if self._is_online:
            self._send(request)
        else:
            self._requests.wait(request)
        try:
            return await self._within(request.answer, self._timeout(timeout), type)
        finally:
            self._requests.forget(request)

    def _tell(self, type: str, payload: Any, heard: Heard | None = None) -> None:
        """A request of the client's own, on this connection."""
        try:
            self._send(self._make(type, payload, heard))
        except AnitaError as error:
            if heard:
                heard(error)

    def _make(self, type: str, payload: Any, heard: Heard | None) -> Request:
        if self._is_checked and (misfit := check(type, payload)):
            raise AnitaError("invalid_payload", f"{type}: {misfit}", details={"path": misfit.path})
        id = self._requests.next_id()
        try:
            text = encode(type, payload, id)
        except (TypeError, ValueError, RecursionError) as error:
            raise AnitaError("invalid_payload", f"{type}: no JSON: {error}") from None
        return Request(id, type, text, heard)

    def _send(self, request: Request) -> None:
        limit = self._hello["limits"]["message_bytes"] if self._hello else None
        if limit is not None and len(request.text) * 4 > limit and len(request.text.encode(errors="replace")) > limit:
            # The server would close the connection for good.
            raise AnitaError("too_large", f"{request.type} has more than the {limit} bytes that a message may have")
        self._requests.asked(request)
        self._outbox.append(request.text)
        self._mail.set()

    async def _within(self, future: asyncio.Future[T], timeout: float | None, what: str) -> T:
        try:
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError:
            raise AnitaError("timeout", f"{what}: no answer within {timeout} s", retryable=True) from None

    def _timeout(self, timeout: float | None) -> float:
        return self._request_timeout if timeout is None else timeout

    @property
    def _is_online(self) -> bool:
        return self.state is State.ONLINE

    def _ended(self) -> AnitaError:
        error = self._link.error if self.state is State.FAILED else None
        return (error or AnitaError("closed", "the client was closed")).again()

    def _raise_if_ended(self) -> None:
        if self.state in (State.CLOSED, State.FAILED):
            raise self._ended()

    # --- the one task

    async def _run(self) -> None:
        try:
            while True:
                await self._connection()
                if self.state is not State.WAITING:
                    return
                await self._rest()
                self._step(Rested())
        except Exception as error:
            _log.exception("a fault of the client itself")
            fault = AnitaError("internal", f"a fault of the client itself: {type(error).__name__}")
            self._step(Lost(asyncio.get_running_loop().time(), Advice.STAY_AWAY, fault))

    async def _connection(self) -> None:
        """One connection, from its token to its end."""
        loop = asyncio.get_running_loop()
        socket: Socket | None = None
        self._told = None
        try:
            async with asyncio.timeout(self._connect_timeout) as deadline:
                self._token = await self._tokens.get(self._link.reason)
                socket = await open_socket(self._address, self._token, self._context, self._proxy)
                self._step(Opened())
                await self._converse(socket, deadline)
        except Exception as error:
            self._step(judge(error, loop.time(), self._told, can_renew=self._tokens.can_renew))
        finally:
            self._token = None
            if socket is not None:
                with contextlib.suppress(Exception):
                    await socket.close()

    async def _converse(self, socket: Socket, deadline: asyncio.Timeout) -> None:
        """Reads until the connection ends, which raises."""
        beside = [asyncio.create_task(self._write(socket))]
        try:
            while not self._is_online:
                self._hear(await socket.recv())
            self._token = None
            deadline.reschedule(None)
            beside += [asyncio.create_task(self._watch(socket)), asyncio.create_task(self._refresh())]
            while True:
                self._hear(await socket.recv())
        finally:
            for each in beside:
                each.cancel()
            for result in await asyncio.gather(*beside, return_exceptions=True):
                if isinstance(result, Exception) and not isinstance(result, ConnectionClosed):
                    _log.error("a fault of the client itself", exc_info=result)

    async def _write(self, socket: Socket) -> None:
        while True:
            await self._mail.wait()
            self._mail.clear()
            while self._outbox:
                await socket.send(self._outbox.popleft())
                self._stats.sent += 1

    async def _watch(self, socket: Socket) -> None:
        """Gives the connection up when nothing was heard for two and a half heartbeats."""
        loop = asyncio.get_running_loop()
        assert self._hello is not None
        patience = SILENT_HEARTBEATS * self._hello["heartbeat_interval_secs"]
        while (rest := socket.heard_at + patience - loop.time()) > 0:
            await asyncio.sleep(rest)
        _log.warning("nothing was heard for %.1f s: the connection is given up", patience)
        abort(socket)

    async def _rest(self) -> None:
        """The pause before the next attempt."""
        link = self._link
        if link.retry_after is None:
            seconds = pause(link.attempt - 1, random.random)
        else:
            seconds = obeyed(link.retry_after, random.random)
        _log.warning("not connected (%s); again in %.1f s", link.error, seconds)
        self._hurry.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()

    def _leave_connection(self) -> None:
        """What belonged to the connection ends with it."""
        self._hello = self._expires_at = None
        self._outbox.clear()
        self._mail.clear()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._named.clear()
        self._rooms.lose()
        for view in self._views:
            view._lose()

    def _later(self, seconds: float, work: Callable[[], None]) -> None:
        """Does something after a while, if the connection lasts."""

        def now() -> None:
            self._timers.discard(handle)
            work()

        handle = asyncio.get_running_loop().call_later(seconds, now)
        self._timers.add(handle)

    def _step(self, event: Event) -> None:
        """Goes on to the next state, and does what belongs to having left the last."""
        before, self._link = self._link, step(self._link, event)
        state = self._link.state
        if state is before.state:
            return
        _log.info("%s -> %s", before.state, state)
        if before.state in _CONNECTED and state not in _CONNECTED:
            self._leave_connection()
        if state is State.WAITING:
            lost = "the connection was lost before the answer came"
            self._requests.lose(AnitaError("disconnected", lost, retryable=True))
        if state is State.FAILED:
            self._fail()
        for each in list(self._states):
            each.put(state)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _fail(self) -> None:
        error = self._ended()
        _log.error("the client stays away: %s What to do: %s", error, error.remedy)
        self._requests.end(error)
        self._rooms.end(error)
        for view in list(self._views):
            view._end(error)
        for stream in self._all_streams():
            stream.end(error)

    async def _next_change(self) -> None:
        await self._changed.wait()

    # --- what is heard

    def _hear(self, text: str | bytes) -> None:
        """Takes a message."""
        self._stats.received += 1
        try:
            message = decode(text)
        except NotAMessage as error:
            self._stats.invalid += 1
            _log.warning("what the server said is no message: %s", error)
            return
        misfit = check(message.type, message.payload) if self._is_checked else None
        if misfit is not None:
            self._misfit(message, f"{message.type}: {misfit}")
            return
        if message.type not in PAYLOADS:
            self._stats.unknown += 1
        if message.id is None or not self._answer(message):
            self._news_of(message)

    def _misfit(self, message: Message[Any], words: str) -> None:
        self._stats.invalid += 1
        _log.warning("left out, as it has not the shape of its type: %s", words)
        if request := self._requests.answered(message.id):
            request.settle(AnitaError("invalid_payload", f"the answer has not its shape: {words}"))

    def _answer(self, message: Message[Any]) -> bool:
        request = self._requests.answered(message.id)
        if request is None:
            # Its request was given up, and what is said to nobody is no news.
            return isinstance(message.id, int)
        if message.type == "error":
            request.settle(of_payload(message.payload))
        else:
            request.settle(message)
        if message.type == "device.updated":
            self._rename(message.payload)
        # That a token was replaced is the client's own affair, and of interest to others.
        if message.type == "system.token_refreshed":
            self._publish(message)
        return True

    def _news_of(self, message: Message[Any]) -> None:
        """A message that answers nothing."""
        payload = message.payload
        match message.type:
            case "system.connection":
                self._welcome(payload)
            case "system.auth_required":
                self._introduce()
            case "system.reconnect":
                self._step(Warned(payload["retry_after_ms"] / 1000))
            case "system.heartbeat":
                self._set_clock(payload["server_time"])
            case "error":
                self._told = of_payload(payload)
                _log.warning("the server says: %s", self._told)
        if not self._rooms.hears(message):
            return
        self._publish(message)
        if message.type == "device.updated":
            self._rename(payload)
        name = message.subscription or payload.get("subscription")
        view = self._named.get(name) if isinstance(name, str) else None
        if view is not None:
            view._hear(message)

    def _rename(self, payload: wire.DeviceUpdated) -> None:
        for view in self._views:
            view._renamed(payload["device"])

    def _publish(self, message: Message[Any]) -> None:
        for type in (message.type, "*"):
            for stream in self._streams.get(type, ()):
                stream.offer(message)

    def _welcome(self, hello: wire.Connection) -> None:
        self._hello = hello
        self._expires_at = _seconds(hello["expires_at"])
        if self.state is not State.AUTHENTICATING:
            return
        self._stats.connections += 1
        self._step(Welcomed(asyncio.get_running_loop().time()))
        _log.info("online as %s with %s", hello["user_id"], ", ".join(hello["roles"]))
        # Requests are handled in their order: what was there before comes before what is asked now.
        self._rooms.restore()
        for view in list(self._views):
            view._subscribe()
        for request in self._requests.take_waiting():
            try:
                self._send(request)
            except AnitaError as error:
                request.settle(error)

    def _introduce(self) -> None:
        """Something between has taken the header with the token away: says it in a message, to the same server."""

        def heard(found: Message[Any] | AnitaError) -> None:
            if isinstance(found, AnitaError):
                self._told = found
            else:
                self._welcome(found.payload)

        if self._token is not None:
            self._tell("authenticate", {"token": self._token}, heard)

    def _gap(self, gap: Gap) -> None:
        _log.warning("a gap (%s) in %s", gap.reason, gap.room or gap.subscription)
        for each in list(self._gaps):
            each.put(gap)

    # --- the token of a live connection

    def _set_clock(self, server_time: str) -> None:
        """Tokens run out by the server's clock, which may be another than this machine's."""
        found = _seconds(server_time)
        if found is not None:
            self._clock_ahead = found - time.time()

    async def _refresh(self) -> None:
        """Replaces the token in place, before it runs out."""
        if not self._tokens.can_renew or self._expires_at is None:
            return
        with contextlib.suppress(AnitaError):
            self._set_clock((await self.request("ping"))["server_time"])
        while True:
            seconds = self._refresh_in(self._expires_at - time.time() - self._clock_ahead)
            if seconds > REFRESH_STEP_S:
                # Small steps, for the clocks of two machines, or of one that slept, do not go alike.
                await asyncio.sleep(REFRESH_STEP_S)
                continue
            await asyncio.sleep(seconds)
            try:
                async with asyncio.timeout(self._connect_timeout):
                    token = await self._tokens.get("refresh")
                answer = await self._request("authenticate", {"token": token}, None)
            except (AnitaError, TimeoutError) as error:
                _log.warning("the token could not be replaced: %s", error)
                continue
            self._expires_at = _seconds(answer["expires_at"]) or self._expires_at
            if self._hello is not None:
                self._hello = {**self._hello, **_rights(answer)}

    @staticmethod
    def _refresh_in(left: float) -> float:
        """How long to wait with a token that has so long left."""
        soon = left - REFRESH_BEFORE_S if left > REFRESH_BEFORE_S else left / 2
        return max(soon, REFRESH_LEAST_S)


def _rights(answer: wire.TokenRefreshed) -> Any:
    return {name: answer[name] for name in ("expires_at", "roles", "permissions")}


def _seconds(time: str) -> float | None:
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return None
