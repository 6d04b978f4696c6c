"""What a close code asks for."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass

from .codes import CLOSES


class Advice(enum.Enum):
    """What the client should do."""

    COME_BACK = "come back"
    FRESH_TOKEN = "come back with a fresh token"
    STAY_AWAY = "stay away"


def advice_of(code: int | None) -> Advice:
    """By the table, else by the range: 4500-4999 stay away. `None` is a connection that broke without a word."""
    if code in CLOSES:
        return Advice(CLOSES[code][1])
    is_final = code is not None and 4500 <= code <= 4999
    return Advice.STAY_AWAY if is_final else Advice.COME_BACK


@dataclass(frozen=True)
class Reason:
    """The reason of a close frame: `{"code": …, "retry_after_ms"?: …}`."""

    code: str | None = None
    retry_after: float | None = None


def reason_of(text: str) -> Reason:
    """Reads a reason; what is none (a proxy has its own words) says nothing."""
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return Reason()
    if not isinstance(found, dict):
        return Reason()
    code, after = found.get("code"), found.get("retry_after_ms")
    if isinstance(after, bool) or not isinstance(after, int | float) or not 0 <= after < float("inf"):
        after = None
    return Reason(code if isinstance(code, str) else None, None if after is None else after / 1000)
