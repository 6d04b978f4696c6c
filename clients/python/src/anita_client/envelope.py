"""The envelope: `{"type": …, "payload": {…}}`, one message a text frame."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

P = TypeVar("P")


@dataclass(slots=True)
class Message(Generic[P]):
    """What the server said. The payload of a known type has its shape."""

    type: str
    payload: P
    id: str | int | float | None = None
    room: str | None = None
    """The room in which it is numbered, with `epoch` and `seq`."""
    epoch: str | None = None
    seq: int | None = None
    subscription: str | None = None
    """The view of which it is, by the name it has on this connection."""
    playback: str | None = None
    """The playback of which it is: it is not live then."""
    members: dict[str, Any] = field(default_factory=dict, repr=False)
    """The whole envelope, members that this client does not know included."""


class NotAMessage(ValueError):
    """A text that is no envelope."""


def decode(text: str | bytes) -> Message[Any]:
    """Reads an envelope; raises `NotAMessage`."""
    try:
        found = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise NotAMessage(f"not JSON: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        raise NotAMessage("no object with a type")
    payload = found.get("payload", {})
    if not isinstance(payload, dict):
        raise NotAMessage("the payload is no object")
    id, seq = found.get("id"), found.get("seq")
    if isinstance(id, bool) or not isinstance(id, str | int | float | None):
        raise NotAMessage("the id is neither a string nor a number")
    if isinstance(seq, bool) or not isinstance(seq, int | None):
        raise NotAMessage("seq is no integer")
    room, epoch, subscription, playback = (_text(found, name) for name in ("room", "epoch", "subscription", "playback"))
    return Message(found["type"], payload, id, room, epoch, seq, subscription, playback, found)


def _text(found: dict[str, Any], name: str) -> str | None:
    value = found.get(name)
    if not isinstance(value, str | None):
        raise NotAMessage(f"{name} is no string")
    return value


def encode(type: str, payload: Any, id: int) -> str:
    """Writes a request; raises `ValueError` or `TypeError` for what has no JSON."""
    envelope = {"type": type, "id": id, "payload": payload}
    return json.dumps(envelope, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")
