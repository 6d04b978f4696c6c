"""One socket: opened with a token, read, written, and judged when it ends."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from .closing import Advice, advice_of, reason_of
from .errors import AnitaError, of_close
from .machine import Lost
from .tokens import logger, redact
from .trust import Address

# Pages of a snapshot hold 1,000 devices, and updates as many positions as there are devices: 100,000 fit.
MESSAGE_BYTES_MAX = 16 * 1024 * 1024

# How long the other side may take to answer a close.
CLOSE_TIMEOUT_S = 2.0

# Answers to an upgrade that mean it was not refused for good.
_TRY_AGAIN = {408, 421, 425, 429}

_log = logger("anita_client.socket")


class Socket(ClientConnection):
    """A connection that knows when it last heard anything, a part of a message or a ping included."""

    heard_at: float = 0.0

    def data_received(self, data: bytes) -> None:
        self.heard_at = self.loop.time()
        super().data_received(data)


class _Connect(connect):
    """Follows no redirect: the address says where a token may go."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def open_socket(address: Address, token: str, context: ssl.SSLContext | None, proxy: Any) -> Socket:
    """Upgrades; the token goes with it in a header, so that the hello is the first thing heard."""
    options: dict[str, Any] = {"ssl": context} if address.is_tls else {}
    connection = await _Connect(
        address.url,
        subprotocols=[Subprotocol("anita.v1")],
        additional_headers={"Authorization": f"Bearer {token}"},
        user_agent_header="anita-client-python",
        # Nobody wants this machine's own server through a proxy.
        proxy=None if address.is_loopback else proxy,
        # The client has a deadline for all of it, and judges silence by what it hears: the server sends the heartbeats.
        open_timeout=None,
        ping_interval=None,
        close_timeout=CLOSE_TIMEOUT_S,
        max_size=MESSAGE_BYTES_MAX,
        logger=_log,
        create_connection=Socket,
        **options,
    )
    assert isinstance(connection, Socket)
    connection.heard_at = asyncio.get_running_loop().time()
    return connection


def abort(socket: Socket) -> None:
    """Ends it without a word: nobody is there to hear one."""
    socket.transport.abort()


def judge(error: Exception, at: float, told: AnitaError | None, *, can_renew: bool) -> Lost:
    """What the end of a connection means; `told` is the `error` that the server said before."""
    if isinstance(error, ConnectionClosed):
        return _closed(error, at, told, can_renew)
    if isinstance(error, InvalidStatus):
        return _refused(error, at)
    if isinstance(error, AnitaError):
        advice = Advice.COME_BACK if error.retryable else Advice.STAY_AWAY
        return Lost(at, advice, error, error.retry_after, can_renew)
    if isinstance(error, ssl.SSLCertVerificationError):
        message = f"the server's certificate is not trusted: {error.verify_message if _has_words(error) else error}"
        return Lost(at, Advice.STAY_AWAY, AnitaError("untrusted", message), can_renew=can_renew)
    if isinstance(error, TimeoutError):
        timeout = AnitaError("timeout", "the server did not answer in time", retryable=True)
        return Lost(at, Advice.COME_BACK, timeout, can_renew=can_renew)
    if isinstance(error, InvalidURI):
        return Lost(at, Advice.STAY_AWAY, AnitaError("refused", redact(str(error))))
    if isinstance(error, OSError | InvalidHandshake | EOFError):
        words = redact(str(error)) or type(error).__name__
        return Lost(at, Advice.COME_BACK, AnitaError("unreachable", words, retryable=True), can_renew=can_renew)
    raise error


def _has_words(error: ssl.SSLCertVerificationError) -> bool:
    return bool(getattr(error, "verify_message", None))


def _closed(error: ConnectionClosed, at: float, told: AnitaError | None, can_renew: bool) -> Lost:
    frame = error.rcvd
    if frame is None:
        # Where this side closed first, it found fault with what it heard: with a message that is too large, above all.
        own = f"this side closed with {error.sent.code} {error.sent.reason}" if error.sent else "without a word"
        lost = AnitaError("disconnected", f"the connection broke, {own}", retryable=True)
        return Lost(at, Advice.COME_BACK, lost, can_renew=can_renew)
    advice, reason = advice_of(frame.code), reason_of(frame.reason)
    # The `error` before the close says more than its code.
    found = told if told is not None and advice is not Advice.COME_BACK else of_close(frame.code, reason.code)
    after = reason.retry_after
    if after is None and told is not None:
        after = told.retry_after
    return Lost(at, advice, found, after, can_renew)


def _refused(error: InvalidStatus, at: float) -> Lost:
    status = error.response.status_code
    after = error.response.headers.get("Retry-After", "")
    seconds = float(after) if after.isascii() and after.isdigit() else None
    is_final = 300 <= status < 500 and status not in _TRY_AGAIN
    words = "moved elsewhere; redirects are not followed" if status < 400 else "refused"
    fault = AnitaError(
        "refused", f"the upgrade was {words}: HTTP {status}", retryable=not is_final, retry_after=seconds
    )
    return Lost(at, Advice.STAY_AWAY if is_final else Advice.COME_BACK, fault, seconds)
