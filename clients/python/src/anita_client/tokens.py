"""Where tokens come from, and how they are kept out of everything that is printed."""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from .errors import AnitaError
from .machine import TokenReason

TokenFunction: TypeAlias = Callable[[TokenReason], str | Awaitable[str]]
Token: TypeAlias = str | TokenFunction

# What may stand in an `Authorization` header (RFC 6750).
_SPELLING = re.compile(r"[A-Za-z0-9\-._~+/]+=*")

# A JWT, whole or cut off: its head begins with `{"`.
_JWT = re.compile(r"eyJ[A-Za-z0-9_\-.=+/…]*")
_AFTER = re.compile(r"(?i)(authorization\s*:\s*|bearer[ .]|[?&](?:token|ticket)=|\"token\"\s*:\s*\"?).*", re.DOTALL)


def redact(text: str) -> str:
    """The text without tokens; what follows a word that announces one goes as well, for it may be cut in pieces."""
    return _JWT.sub("[token]", _AFTER.sub(lambda found: f"{found[1]}[redacted]", text))


class Redacting(logging.Filter):
    """Takes tokens out of what is logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), ()
        return True


def logger(name: str) -> logging.Logger:
    """A logger that prints no token."""
    found = logging.getLogger(name)
    # Filters are asked by the logger itself and not by its children, so that each has its own.
    if not any(isinstance(each, Redacting) for each in found.filters):
        found.addFilter(Redacting())
    return found


class TokenSource:
    """A token that is given, or a function that gives one."""

    def __init__(self, token: Token) -> None:
        if not isinstance(token, str) and not callable(token):
            raise TypeError("a token is a text, or a function of the reason for which it is asked")
        self._token = token
        self.given = 0
        """How often a token was given."""

    def __repr__(self) -> str:
        return f"TokenSource({'a text' if isinstance(self._token, str) else 'a function'})"

    @property
    def can_renew(self) -> bool:
        """Whether it may give another one."""
        return not isinstance(self._token, str)

    async def get(self, reason: TokenReason) -> str:
        """A token; raises `AnitaError`. A function that is not async runs in a thread, so that it may wait."""
        token: object = self._token
        if not isinstance(self._token, str):
            try:
                token = await _call(self._token, reason)
            except AnitaError:
                raise
            except Exception as error:
                # What it says may hold the token.
                message = f"the token function failed: {redact(f'{type(error).__name__}: {error}')}"
                raise AnitaError("token_unavailable", message, retryable=True) from None
        if not isinstance(token, str):
            raise AnitaError("token_unavailable", f"the token function gave {type(token).__name__}, not a text")
        token = token.strip()
        if not _SPELLING.fullmatch(token):
            raise AnitaError("invalid_token", "this is no token: it has signs that none has")
        self.given += 1
        return token


async def _call(function: TokenFunction, reason: TokenReason) -> Any:
    is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
    found: Any = function(reason) if is_async else await asyncio.to_thread(function, reason)
    return await found if inspect.isawaitable(found) else found
