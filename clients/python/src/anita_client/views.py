"""Views: what the server shows of its devices, kept as a live mapping and asked for again after each reconnect."""

from __future__ import annotations

import asyncio
import copy
import weakref
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import EllipsisType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from . import wire
from .envelope import Message
from .errors import AnitaError
from .rooms import Gap
from .streams import Policy, Stream

if TYPE_CHECKING:
    from .client import AnitaClient

# What columns are counted in, in metres.
_UNITS = {"mm": 1000, "cm": 100}

# What a view with all fields says of each position: what is absent is not known (any more).
_OPTIONAL = ("accuracy", "floor", "battery", "timestamp")


@dataclass(frozen=True)
class Change:
    """What happened to a view since the change before."""

    changed: frozenset[str]
    """Devices that came, moved, or are otherwise new: look them up in `view.devices`."""
    left: frozenset[str]
    """Devices that the view does not show any more."""
    is_snapshot: bool
    """Whether all was told anew: the first time, and after each reconnect."""


class Changes(AsyncIterator[Change]):
    """The changes of a view, gathered until they are read: there are never more than devices."""

    def __init__(self) -> None:
        self._changed: set[str] = set()
        self._left: set[str] = set()
        self._is_snapshot = False
        self._end: AnitaError | None = None
        self._is_over = False
        self._news = asyncio.Event()

    def _tell(self, changed: set[str], left: set[str], *, is_snapshot: bool = False) -> None:
        self._changed = (self._changed - left) | changed
        self._left = (self._left - changed) | left
        self._is_snapshot |= is_snapshot
        if self._changed or self._left or self._is_snapshot:
            self._news.set()

    def _over(self, error: AnitaError | None) -> None:
        self._end, self._is_over = error, True
        self._news.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        await self._news.wait()
        if self._changed or self._left or self._is_snapshot:
            change = Change(frozenset(self._changed), frozenset(self._left), self._is_snapshot)
            self._changed, self._left, self._is_snapshot = set(), set(), False
            if not self._is_over:
                self._news.clear()
            return change
        if self._end is not None:
            raise self._end.again()
        raise StopAsyncIteration


class Devices(Mapping[str, wire.Device]):
    """Devices by their ids, as they are now. A device is a new dictionary after each change: one that was read stays."""

    def __init__(self, devices: dict[str, wire.Device]) -> None:
        self._devices = devices

    def __getitem__(self, id: str) -> wire.Device:
        return self._devices[id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._devices)

    def __len__(self) -> int:
        return len(self._devices)

    def __repr__(self) -> str:
        return f"Devices({list(self._devices)!r})" if len(self) <= 10 else f"Devices({len(self)} devices)"


class View:
    """A subscription: `async with client.subscribe(…) as view`, or `view = await client.subscribe(…)`."""

    def __init__(self, client: AnitaClient, ask: dict[str, Any], timeout: float | None) -> None:
        self._client = client
        self._ask = copy.deepcopy({name: value for name, value in ask.items() if value is not None})
        self._timeout = timeout
        self._devices: dict[str, wire.Device] = {}
        self._refs: dict[int, str] = {}
        self._since: wire.Since | None = None
        self._changes: weakref.WeakSet[Changes] = weakref.WeakSet()
        self._opened: asyncio.Future[None] | None = None
        self._is_wanted = False
        self.name: str | None = None
        """The name that the server gave it on this connection."""
        self.is_live = False
        """Whether `devices` is as the server has it: not before the snapshot, and not between two connections."""
        self.devices = Devices(self._devices)
        """The devices that it shows (empty in the lane `every`, and after `snapshot=False` until they come)."""

    def __repr__(self) -> str:
        return f"View({self._ask!r}, {len(self._devices)} devices, {'live' if self.is_live else 'not live'})"

    # --- its life

    async def open(self) -> Self:
        """Asks for it, and waits until `devices` is filled."""
        if self._is_wanted:
            return self
        self._client._raise_if_ended()
        self._is_wanted = True
        self._opened = asyncio.get_running_loop().create_future()
        self._client._views.add(self)
        if self._client._is_online:
            self._subscribe()
        try:
            await self._client._within(self._opened, self._timeout, "a view")
        except BaseException:
            await self._drop()
            raise
        return self

    async def close(self) -> None:
        """Ends it, for good."""
        if not self._is_wanted:
            return
        await self._drop()
        self._end(None)

    async def _drop(self) -> None:
        name = self.name
        self._forget()
        if name is not None and self._client._is_online:
            try:
                await self._client._request("unsubscribe", {"subscription": name}, self._timeout)
            except AnitaError as error:
                if error.code not in ("disconnected", "not_found"):
                    raise

    def _forget(self) -> None:
        self._is_wanted = self.is_live = False
        self._client._views.discard(self)
        if self.name is not None:
            self._client._named.pop(self.name, None)
            self.name = None

    def _end(self, error: AnitaError | None) -> None:
        if self._opened is not None and not self._opened.done() and error is not None:
            self._opened.set_exception(error.again())
        for changes in list(self._changes):
            changes._over(error)

    async def update(
        self,
        *,
        view: wire.ViewFilter | None = None,
        fields: wire.Fields | None = None,
        max_rate_hz: float | EllipsisType | None = ...,
        min_move_m: float | None = None,
        mode: wire.Mode | None = None,
        unit: wire.LengthUnit | None = None,
    ) -> None:
        """Changes it: what is not given stays, `max_rate_hz=None` lifts the limit, `max_rate_hz=0` pauses.

        While the client is not online the change is kept, and asked for with the next connection.
        """
        changed = {"view": view, "fields": fields, "min_move_m": min_move_m, "mode": mode, "unit": unit}
        change: dict[str, Any] = {name: copy.deepcopy(value) for name, value in changed.items() if value is not None}
        if max_rate_hz is not ...:
            change["max_rate_hz"] = max_rate_hz
        if self.name is None or not self._client._is_online:
            self._remember(change)
            return
        heard = self._remember_if(change)
        await self._client._request("update_subscription", {"subscription": self.name, **change}, self._timeout, heard)

    def _remember_if(self, change: dict[str, Any]) -> Callable[[Message[Any] | AnitaError], None]:
        def heard(found: Message[Any] | AnitaError) -> None:
            if not isinstance(found, AnitaError):
                self._remember(change)

        return heard

    def _remember(self, change: dict[str, Any]) -> None:
        self._ask.update(change)
        if self._ask.get("max_rate_hz", ...) is None:
            del self._ask["max_rate_hz"]

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __await__(self) -> Generator[Any, None, Self]:
        return self.open().__await__()

    # --- what it tells

    def changes(self) -> Changes:
        """What changes from now on, gathered until it is read: `async for change in view.changes()`."""
        found = Changes()
        self._changes.add(found)
        if not self._is_wanted:
            found._over(None)
        return found

    def __aiter__(self) -> Changes:
        return self.changes()

    def locations(self, *, policy: Policy = "drop-oldest", limit: int = 1000) -> Stream[wire.Location]:
        """Its fixes, from now on, in the lane `every` or the mode `single`."""
        wanted = weakref.ref(self)

        def is_mine(message: Message[Any]) -> bool:
            view = wanted()
            return view is not None and message.subscription is not None and message.subscription == view.name

        return self._client.messages("uwb.location", policy=policy, limit=limit, where=is_mine)

    # --- what the client tells it

    def _subscribe(self) -> None:
        """Asks for it on a new connection."""
        ask = dict(self._ask)
        if self._since is not None and ask.get("lane") == "every":
            ask["since"] = self._since
        self._client._tell("subscribe", ask, lambda found: self._subscribed(ask, found))

    def _subscribed(self, ask: dict[str, Any], found: Message[Any] | AnitaError) -> None:
        if isinstance(found, AnitaError):
            self._refused(found)
            return
        answer: wire.Subscribed = found.payload
        if not self._is_wanted:
            # It was closed meanwhile.
            self._client._tell("unsubscribe", {"subscription": answer["subscription"]})
            return
        self.name = answer["subscription"]
        self._client._named[self.name] = self
        if self._ask.get("lane") == "every":
            self._resumed(ask, answer)
        if not self._has_snapshot:
            self.is_live = True
            self._is_open()

    @property
    def _has_snapshot(self) -> bool:
        ask = self._ask
        return ask.get("lane") != "every" and ask.get("snapshot", True) and ask.get("max_rate_hz") != 0

    def _resumed(self, ask: dict[str, Any], answer: wire.Subscribed) -> None:
        since: wire.Since | None = ask.get("since")
        is_same = since is not None and since["epoch"] == answer["epoch"]
        if not is_same:
            self._since = {"epoch": answer["epoch"], "seq": answer["seq"]}
        if since is not None and not is_same and not answer.get("recovered"):
            # Within one epoch a `view.gap` follows, and says which.
            self._client._gap(Gap("not_recovered", subscription=self, epoch=answer["epoch"], to_seq=answer["seq"]))

    def _refused(self, error: AnitaError) -> None:
        if error.code == "disconnected" or not self._is_wanted:
            return
        if error.retryable:
            after = 1.0 if error.retry_after is None else error.retry_after
            self._client._later(after, lambda: self._subscribe() if self._is_wanted and self.name is None else None)
            return
        had_been = self._opened is not None and self._opened.done()
        self._forget()
        self._end(error)
        if had_been:
            self._client._gap(Gap("refused", subscription=self))

    def _lose(self) -> None:
        """The connection is gone; what it showed stays, but is not live."""
        self.name = None
        self.is_live = False

    def _is_open(self) -> None:
        if self._opened is not None and not self._opened.done():
            self._opened.set_result(None)

    def _hear(self, message: Message[Any]) -> None:
        payload = message.payload
        match message.type:
            case "view.snapshot":
                self._snapshot(payload)
            case "view.entered":
                self._tell(self._enter(payload), set())
            case "view.left":
                self._left(payload["device_ids"])
            case "view.gap":
                self._gap(payload)
            case "uwb.position_update":
                self._tell(self._moved(payload["positions"].items()), set())
            case "uwb.position_columns":
                self._tell(self._moved(self._columns(payload)), set())
            case "uwb.location":
                self._location(message)

    def _snapshot(self, payload: wire.ViewSnapshot) -> None:
        gone: set[str] = set()
        if payload["page"] == 1:
            gone = set(self._devices)
            self._devices.clear()
            self._refs.clear()
        came = self._enter(payload)
        self.is_live = self.is_live or payload["complete"]
        self._tell(came, gone - came, is_snapshot=payload["page"] == 1)
        if payload["complete"]:
            self._is_open()

    def _enter(self, payload: wire.ViewSnapshot | wire.ViewEntered) -> set[str]:
        for device in payload["devices"]:
            self._devices[device["id"]] = device
        for ref, device in zip(payload.get("refs", ()), payload["devices"], strict=False):
            self._refs[ref] = device["id"]
        return {device["id"] for device in payload["devices"]}

    def _left(self, ids: list[str]) -> None:
        gone = {id for id in ids if self._devices.pop(id, None) is not None}
        for ref in [ref for ref, id in self._refs.items() if id in gone]:
            del self._refs[ref]
        self._tell(set(), gone)

    def _gap(self, payload: wire.ViewGap) -> None:
        self._since = {"epoch": payload["epoch"], "seq": payload["to_seq"]}
        self._client._gap(Gap("lost", None, self, payload["epoch"], payload["from_seq"], payload["to_seq"]))

    def _location(self, message: Message[Any]) -> None:
        payload: wire.Location = message.payload
        if message.epoch is not None and message.seq is not None:
            self._since = {"epoch": message.epoch, "seq": message.seq}
        if self._ask.get("lane") == "every":
            # Late fixes are told as well, so that it keeps no map.
            return
        said: dict[str, Any] = {**payload["location"]}
        said.update((name, payload[name]) for name in _OPTIONAL if name in payload)  # type: ignore[literal-required]
        self._tell(self._moved([(payload["device_id"], said)]), set())

    def _moved(self, positions: Any) -> set[str]:
        says_all = self._ask.get("fields") == "all"
        moved = set()
        for id, said in positions:
            known: Any = self._devices.get(id)
            if known is None:
                if self._ask.get("snapshot", True):
                    # It was told of before it moves, or has left.
                    continue
                known = {"id": id, "kind": "tag", "status": "connected", "last_seen": None}
            device = {name: value for name, value in known.items() if name not in _OPTIONAL} if says_all else {**known}
            device.update((name, said[name]) for name in _OPTIONAL if said.get(name) is not None)
            device["location"] = {axis: said[axis] for axis in ("x", "y", "z")}
            self._devices[id] = device  # type: ignore[assignment]
            moved.add(id)
        return moved

    def _renamed(self, device: wire.Device) -> None:
        """The registry says something else of a device: what a view does not tell by itself."""
        known = self._devices.get(device["id"])
        if known is None:
            return
        renamed: Any = {name: value for name, value in known.items() if name != "name"}
        renamed.update((name, value) for name, value in device.items() if name in ("name", "kind"))
        self._devices[device["id"]] = renamed
        self._tell({device["id"]}, set())

    def _columns(self, payload: wire.PositionColumns) -> Iterator[tuple[str, dict[str, Any]]]:
        scale = _UNITS[payload["unit"]]
        columns: Any = payload
        length = len(payload["refs"])
        names = [
            name for name in ("accuracy", "floor", "battery", "taken_ms_ago") if len(columns.get(name, ())) == length
        ]
        if not len(columns["x"]) == len(columns["y"]) == len(columns["z"]) == length:
            return
        at = _time(payload["timestamp"]) if "taken_ms_ago" in names else None
        for index, ref in enumerate(payload["refs"]):
            id = self._refs.get(ref)
            if id is None:
                continue
            said = {axis: columns[axis][index] / scale for axis in ("x", "y", "z")}
            for name in names:
                value = columns[name][index]
                if value is None:
                    continue
                if name == "accuracy":
                    said[name] = value / scale
                elif name != "taken_ms_ago":
                    said[name] = value
                elif at is not None:
                    said["timestamp"] = _written(at - timedelta(milliseconds=value))
            yield id, said

    def _tell(self, changed: set[str], left: set[str], *, is_snapshot: bool = False) -> None:
        for changes in self._changes:
            changes._tell(changed, left, is_snapshot=is_snapshot)


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None


def _written(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class _Part(View):
    """The devices of one status, which tells its table what changes."""

    def __init__(self, table: DeviceTable, status: wire.Status, max_rate_hz: float | None) -> None:
        # Columns are the fewest bytes.
        ask = {"view": {"status": [status]}, "fields": "all", "mode": "columns", "max_rate_hz": max_rate_hz}
        super().__init__(table._client, ask, table._timeout)
        self._table = weakref.ref(table)

    def _tell(self, changed: set[str], left: set[str], *, is_snapshot: bool = False) -> None:
        table = self._table()
        if table is not None:
            table._merge(self, changed, left, is_snapshot=is_snapshot)

    def _end(self, error: AnitaError | None) -> None:
        super()._end(error)
        table = self._table()
        if table is not None:
            for changes in list(table._changes):
                changes._over(error)


class DeviceTable(Mapping[str, wire.Device]):
    """All devices that the token may see, whatever their status, as a live mapping: `async with client.devices() as table`.

    It is three views, one for each status: a view says where a device is, and not that its status has changed, but a device
    whose status changes leaves one and enters another. A device that was given another name is told of at once to who is in
    the room `uwb` (or did it), to others when its status changes or with the next connection.
    """

    def __init__(self, client: AnitaClient, max_rate_hz: float | None, timeout: float | None) -> None:
        self._client = client
        self._timeout = timeout
        self._devices: dict[str, wire.Device] = {}
        self._owners: dict[str, _Part] = {}
        self._changes: weakref.WeakSet[Changes] = weakref.WeakSet()
        statuses: list[wire.Status] = ["connected", "stale", "disconnected"]
        self._parts = [_Part(self, status, max_rate_hz) for status in statuses]

    def __getitem__(self, id: str) -> wire.Device:
        return self._devices[id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._devices)

    def __len__(self) -> int:
        return len(self._devices)

    def __repr__(self) -> str:
        return f"DeviceTable({len(self)} devices, {'live' if self.is_live else 'not live'})"

    # Two tables are not the same for having the same devices.
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    @property
    def is_live(self) -> bool:
        """Whether it is as the server has it: not between two connections."""
        return all(part.is_live for part in self._parts)

    async def open(self) -> Self:
        """Asks for all devices, and waits until they are there."""
        try:
            async with asyncio.TaskGroup() as group:
                for part in self._parts:
                    group.create_task(part.open())
        except ExceptionGroup as errors:
            await self.close()
            raise errors.exceptions[0] from None
        return self

    async def close(self) -> None:
        """Ends it, for good."""
        for part in self._parts:
            await part.close()

    def changes(self) -> Changes:
        """What changes from now on, gathered until it is read: `async for change in table.changes()`."""
        found = Changes()
        self._changes.add(found)
        if not all(part._is_wanted for part in self._parts):
            found._over(None)
        return found

    def _merge(self, part: _Part, changed: set[str], left: set[str], *, is_snapshot: bool) -> None:
        for id in changed:
            self._devices[id] = part._devices[id]
            self._owners[id] = part
        # Between two views there is no order: a device may have entered the next before it leaves the last.
        gone = {id for id in left if self._owners.get(id) is part}
        for id in gone:
            del self._devices[id], self._owners[id]
        for changes in self._changes:
            changes._tell(changed, gone, is_snapshot=is_snapshot)

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __await__(self) -> Generator[Any, None, Self]:
        return self.open().__await__()
