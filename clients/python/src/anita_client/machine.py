"""The states of a client and what leads from one to the next: a function without clock, socket or randomness.

`step` takes where a link is and what happened, and says where it is then; the client does what the new state means. What
does not concern a state (a hello when the client was closed) changes nothing.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from .closing import Advice
from .errors import AnitaError

# So long a connection has to last before the pauses begin anew at the shortest: one that is accepted and then closed must
# not bring a client back at once, again and again.
STABLE_S = 5.0

TokenReason = Literal["connect", "refresh", "rejected"]


class State(enum.StrEnum):
    """What a client is doing."""

    IDLE = "idle"
    """Not started."""
    CONNECTING = "connecting"
    """Gets a token and opens a socket."""
    AUTHENTICATING = "authenticating"
    """The socket is open; the server has not said hello."""
    ONLINE = "online"
    WAITING = "waiting"
    """Comes back after a pause."""
    CLOSED = "closed"
    """Closed by the application, for good."""
    FAILED = "failed"
    """Stays away; `client.error` says why."""


@dataclass(frozen=True)
class Link:
    """Where a client is."""

    state: State = State.IDLE
    attempt: int = 0
    """Connections that were lost since the last that lasted."""
    reason: TokenReason = "connect"
    """What the next token is asked for with."""
    online_since: float | None = None
    retry_after: float | None = None
    """When the server wants the client back, in seconds; `None` leaves it to the client."""
    error: AnitaError | None = None
    """Why it waits or has failed."""


@dataclass(frozen=True)
class Started:
    """The application wants a connection."""


@dataclass(frozen=True)
class Opened:
    """The upgrade is done."""


@dataclass(frozen=True)
class Welcomed:
    """The server said hello."""

    at: float


@dataclass(frozen=True)
class Warned:
    """`system.reconnect`: the server is about to close."""

    retry_after: float


@dataclass(frozen=True)
class Lost:
    """The connection ended, or none was made."""

    at: float
    advice: Advice
    error: AnitaError
    retry_after: float | None = None
    can_renew: bool = True
    """Whether there is a function that gives another token."""


@dataclass(frozen=True)
class Rested:
    """The pause is over."""


@dataclass(frozen=True)
class Closed:
    """The application has enough."""


Event: TypeAlias = Started | Opened | Welcomed | Warned | Lost | Rested | Closed

_CONNECTED = (State.CONNECTING, State.AUTHENTICATING, State.ONLINE)


def step(link: Link, event: Event) -> Link:
    """Where a link is after an event."""
    match event:
        case Started() if link.state in (State.IDLE, State.CLOSED, State.FAILED):
            return Link(State.CONNECTING)
        case Opened() if link.state is State.CONNECTING:
            return replace(link, state=State.AUTHENTICATING)
        case Welcomed(at) if link.state is State.AUTHENTICATING:
            return replace(link, state=State.ONLINE, online_since=at, retry_after=None, error=None)
        case Warned(retry_after) if link.state in _CONNECTED:
            return replace(link, retry_after=retry_after)
        case Lost() if link.state in _CONNECTED:
            return _lost(link, event)
        case Rested() if link.state is State.WAITING:
            return replace(link, state=State.CONNECTING, retry_after=None)
        case Closed():
            return Link(State.CLOSED)
    return link


def _lost(link: Link, lost: Lost) -> Link:
    lasted = link.online_since is not None and lost.at - link.online_since >= STABLE_S
    # The last token was asked for because the one before had run out, and fares no better.
    was_renewed = link.reason == "rejected" and not lasted
    wants_token = lost.advice is Advice.FRESH_TOKEN
    if lost.advice is Advice.STAY_AWAY or (wants_token and (was_renewed or not lost.can_renew)):
        return Link(State.FAILED, error=lost.error)
    reason: TokenReason = "rejected" if wants_token or was_renewed else "connect"
    return Link(
        State.WAITING,
        attempt=1 if lasted else link.attempt + 1,
        reason=reason,
        # What the close says is newer than what was announced.
        retry_after=lost.retry_after if lost.retry_after is not None else link.retry_after,
        error=lost.error,
    )
