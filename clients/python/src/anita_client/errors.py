"""What can go wrong, with a remedy a person understands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .codes import CLOSES, ERRORS

# What to do about codes that only this client gives, and about closes that are no code of an `error`.
OWN_REMEDIES = {
    "disconnected": "Ask again: the connection was lost before the answer came, so the server may or may not have done it.",
    "timeout": "Ask again, or give it more time: no answer came.",
    "closed": "Start the client again: it was closed.",
    "queue_full": "Wait until the client is online: as many requests as it keeps are waiting already.",
    "token_unavailable": "See why the token function failed.",
    "untrusted": "Give the server's CA file, or the fingerprint that it prints.",
    "refused": "Check the address; the server, or what stands before it, refuses the upgrade.",
    "silence": "Check the network; the client comes back by itself.",
    "unreachable": "Check the address and the network; the client tries again by itself.",
    "logged_out": "Sign in again, or ask an administrator: the session was ended, or its user revoked.",
    "no_such_endpoint": "Use /ws or /ws/uwb at the end of the address.",
}


class AnitaError(Exception):
    """A request that was refused or lost, or the reason for which a client stays away.

    `code` is stable; `from_server` tells the server's codes from those of this client (`disconnected`, `timeout`, `closed`,
    `queue_full`, `invalid_payload`, …). `retryable` says whether the same can succeed later, `retry_after` (seconds) when.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: bool = False,
        retry_after: float | None = None,
        details: Any = None,
        from_server: bool = False,
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.retry_after = retry_after
        self.details = details
        self.from_server = from_server

    @property
    def remedy(self) -> str:
        """What to do."""
        if self.code in OWN_REMEDIES and not (self.from_server and self.code in ERRORS):
            return OWN_REMEDIES[self.code]
        return ERRORS.get(self.code, ("", "See the server's log."))[1]

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    def again(self) -> AnitaError:
        """The same, to be raised to somebody else: a traceback belongs to one."""
        return AnitaError(
            self.code,
            self.message,
            retryable=self.retryable,
            retry_after=self.retry_after,
            details=self.details,
            from_server=self.from_server,
        )


def of_payload(payload: Mapping[str, Any]) -> AnitaError:
    """The payload of an `error` message, whose shape was checked."""
    after = payload.get("retry_after_ms")
    return AnitaError(
        payload["code"],
        payload["message"],
        retryable=payload["retryable"],
        retry_after=None if after is None else after / 1000,
        details=payload.get("details"),
        from_server=True,
    )


def of_close(code: int, reason: str | None) -> AnitaError:
    """What a close code says."""
    name, _, meaning = CLOSES.get(code, (reason or f"closed_{code}", "", f"The connection was closed with {code}."))
    # The reasons of closes are not all codes of errors; one that is has the remedy of it.
    own = {"bad_token": "invalid_token"}.get(name, name)
    return AnitaError(own, meaning, from_server=True)
