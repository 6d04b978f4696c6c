"""Streams, tokens, trust, requests: each alone."""

from __future__ import annotations

import asyncio
import logging
import unittest
from typing import Any

from . import harness  # noqa: F401  (finds the package of this tree)

from anita_client.envelope import Message  # isort: skip
from anita_client.errors import AnitaError
from anita_client.machine import TokenReason
from anita_client.requests import ASKED_MAX, WAITING_MAX, Request, Requests
from anita_client.streams import Buffered, Policy, Stream
from anita_client.tokens import Redacting, TokenSource, redact
from anita_client.trust import address_of, context_of, parse_fingerprint

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2VjcmV0LXNpZ25hdHVyZQ"


def fix(device: str, x: float = 0.0, **members: Any) -> Message[Any]:
    return Message("uwb.location", {"device_id": device, "x": x}, **members)


class Streams(unittest.IsolatedAsyncioTestCase):
    def read(self, stream: Stream[Any]) -> list[tuple[str, float]]:
        found = []
        while (message := stream.take()) is not None:
            found.append((message.payload["device_id"], message.payload["x"]))
        return found

    async def test_what_is_too_much_is_left_out_by_the_policy(self) -> None:
        offered = [("a", 1.0), ("b", 2.0), ("a", 3.0), ("c", 4.0)]
        policies: list[tuple[Policy, int, list[tuple[str, float]], int]] = [
            ("drop-oldest", 10, offered, 0),
            ("drop-oldest", 2, offered[2:], 2),
            ("latest", 10, [("b", 2.0), ("a", 3.0), ("c", 4.0)], 1),
            ("latest", 2, [("a", 3.0), ("c", 4.0)], 2),
        ]
        for policy, limit, expected, dropped in policies:
            with self.subTest(policy=policy, limit=limit):
                stream = Stream[Any]("uwb.location", policy, limit, None)
                for device, x in offered:
                    stream.offer(fix(device, x))
                self.assertEqual(self.read(stream), expected)
                self.assertEqual(stream.dropped, dropped)

    async def test_latest_keeps_the_past_and_views_apart(self) -> None:
        stream = Stream[Any]("uwb.location", "latest", 10, None)
        for message in (fix("a"), fix("a", playback="p1"), fix("a", subscription="s1"), fix("a", subscription="s2")):
            stream.offer(message)
        self.assertEqual(len(stream), 4)

    async def test_a_filter_leaves_out(self) -> None:
        stream = Stream[Any]("uwb.location", "drop-oldest", 10, lambda message: message.payload["x"] > 1)
        stream.offer(fix("a", 1.0))
        stream.offer(fix("b", 2.0))
        self.assertEqual(self.read(stream), [("b", 2.0)])

    async def test_it_ends_after_what_waits(self) -> None:
        stream = Buffered[int](5)
        stream.put(1)
        stream.put(2)
        stream.end()
        stream.put(3)
        self.assertEqual([each async for each in stream], [1, 2])

    async def test_a_failure_is_raised_once_and_what_comes_after_is_read(self) -> None:
        stream = Buffered[int](5)
        stream.end(AnitaError("token_expired", "over"))
        with self.assertRaises(AnitaError):
            await anext(stream)
        stream.put(1)
        self.assertEqual(await anext(stream), 1)

    async def test_who_waits_hears_of_the_next_item_and_of_the_end(self) -> None:
        stream = Buffered[int](5)
        waiting = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        stream.put(7)
        self.assertEqual(await waiting, 7)
        reading = asyncio.create_task(self.all_of(stream))
        await asyncio.sleep(0)
        stream.close()
        self.assertEqual(await reading, [])

    async def all_of(self, stream: Buffered[int]) -> list[int]:
        return [each async for each in stream]

    async def test_nonsense_is_refused(self) -> None:
        with self.assertRaises(ValueError):
            Buffered[int](0)
        with self.assertRaises(ValueError):
            Stream[Any]("a", "newest", 1, None)  # type: ignore[arg-type]


class Tokens(unittest.IsolatedAsyncioTestCase):
    async def test_a_token_is_a_text_or_comes_from_any_function(self) -> None:
        reasons: list[str] = []

        def plain(reason: TokenReason) -> str:
            reasons.append(reason)
            return f" {JWT}\n"

        async def later(reason: TokenReason) -> str:
            return plain(reason)

        class Callable:
            async def __call__(self, reason: TokenReason) -> str:
                return plain(reason)

        for source in (
            TokenSource(plain),
            TokenSource(later),
            TokenSource(Callable()),
            TokenSource(lambda it: later(it)),
        ):
            self.assertEqual(await source.get("refresh"), JWT)
            self.assertTrue(source.can_renew)
        self.assertEqual(reasons, ["refresh"] * 4)
        self.assertEqual(await TokenSource(JWT).get("connect"), JWT)
        self.assertFalse(TokenSource(JWT).can_renew)

    async def test_what_is_no_token_does_not_go_into_a_header(self) -> None:
        for token in ("", "two words", "a\r\nX-Header: 1", "ä"):
            with self.subTest(token=token), self.assertRaises(AnitaError) as caught:
                await TokenSource(token).get("connect")
            self.assertEqual(caught.exception.code, "invalid_token")
            self.assertFalse(caught.exception.retryable)
        with self.assertRaises(AnitaError):
            await TokenSource(lambda reason: 7).get("connect")  # type: ignore[arg-type,return-value]
        with self.assertRaises(TypeError):
            TokenSource(None)  # type: ignore[arg-type]

    async def test_a_function_that_fails_is_asked_again_and_prints_no_token(self) -> None:
        def failing(reason: TokenReason) -> str:
            raise ValueError(f"{JWT} is not what I wanted")

        def final(reason: TokenReason) -> str:
            raise AnitaError("signed_out", "nobody is signed in")

        with self.assertRaises(AnitaError) as caught:
            await TokenSource(failing).get("connect")
        self.assertTrue(caught.exception.retryable)
        self.assertNotIn("eyJ", repr(caught.exception))
        self.assertIsNone(caught.exception.__cause__)
        with self.assertRaises(AnitaError) as caught:
            await TokenSource(final).get("connect")
        self.assertEqual(caught.exception.code, "signed_out")

    async def test_nothing_that_is_printed_holds_a_token(self) -> None:
        self.assertNotIn("eyJ", repr(TokenSource(JWT)))
        for text in [
            f"> Authorization: Bearer {JWT}",
            f'> TEXT \'{{"type":"authenticate","id":4,"payload":{{"token":"{JWT}"}}}}\' [120 bytes]',
            f'> TEXT \'{{"type":"authenticate","id":4,"payload":{{"token":"abc...{JWT[-20:]}"}}}}\'',
            f"GET /ws?token={JWT}",
            f"anita.v1, anita.bearer.{JWT}",
            f"what {JWT[:30]}… is this",
        ]:
            with self.subTest(text=text[:30]):
                for part in (JWT, JWT.split(".")[0], JWT.split(".")[1], JWT[-20:]):
                    self.assertNotIn(part, redact(text))
        self.assertEqual(redact("online as alice"), "online as alice")
        record = logging.LogRecord("a", 10, "f", 1, "> %s: %s", ("Authorization", f"Bearer {JWT}"), None)
        Redacting().filter(record)
        self.assertNotIn("eyJ", record.getMessage())


class Trust(unittest.TestCase):
    def test_fingerprints_are_read_as_the_command_line_reads_them(self) -> None:
        plain = "00ff10a0" * 8
        pairs = [plain[index : index + 2] for index in range(0, 64, 2)]
        for text in (plain, plain.upper(), ":".join(pairs), ":".join(pairs).upper(), " ".join(pairs)):
            self.assertEqual(parse_fingerprint(text), bytes.fromhex(plain))
        for text in ("", "00", plain[1:], plain + "0", plain.replace("a", "g"), "é", plain[:-1] + "\n0"):
            with self.subTest(text=text), self.assertRaises(ValueError):
                parse_fingerprint(text)

    def test_plain_text_stays_on_this_machine_unless_it_is_allowed(self) -> None:
        for url in (
            "ws://127.0.0.1:8080/ws",
            "ws://localhost/ws",
            "ws://[::1]/ws",
            "ws://[::ffff:127.0.0.1]/ws",
            "wss://hall.example/ws",
        ):
            self.assertTrue(address_of(url, allow_plain=False).host)
        with self.assertRaises(ValueError):
            address_of("ws://hall.example/ws", allow_plain=False)
        with self.assertRaises(ValueError):
            address_of("ws://127.0.0.1.example/ws", allow_plain=False)
        self.assertFalse(address_of("ws://hall.example/ws", allow_plain=True).is_tls)

    def test_an_address_is_one_without_secrets(self) -> None:
        for url in (
            "https://hall.example/ws",
            "hall.example",
            "wss:///ws",
            "wss://alice:secret@hall.example/ws",
            f"wss://hall.example/ws?token={JWT}",
            "wss://hall.example/ws?ticket=1",
            "wss://hall.example/ws#part",
        ):
            with self.subTest(url=url[:30]), self.assertRaises(ValueError) as caught:
                address_of(url, allow_plain=False)
            self.assertNotIn("eyJ", str(caught.exception))
            self.assertNotIn("secret", str(caught.exception))

    def test_one_thing_says_whom_to_trust(self) -> None:
        with self.assertRaises(ValueError):
            context_of(context=None, ca_file="a.pem", fingerprint="00" * 32)
        with self.assertRaises(OSError):
            context_of(context=None, ca_file="there/is/none.pem", fingerprint=None)


class Asking(unittest.IsolatedAsyncioTestCase):
    def request(self, requests: Requests) -> Request:
        return Request(requests.next_id(), "ping", "{}")

    async def test_only_so_many_wait(self) -> None:
        requests = Requests()
        for _ in range(WAITING_MAX):
            requests.wait(self.request(requests))
        with self.assertRaises(AnitaError) as caught:
            requests.wait(self.request(requests))
        self.assertEqual(caught.exception.code, "queue_full")
        self.assertEqual(len(requests.take_waiting()), WAITING_MAX)
        for _ in range(ASKED_MAX):
            requests.asked(self.request(requests))
        with self.assertRaises(AnitaError):
            requests.asked(self.request(requests))

    async def test_a_lost_connection_loses_what_was_asked_and_not_what_waits(self) -> None:
        requests = Requests()
        asked, waiting = self.request(requests), self.request(requests)
        requests.asked(asked)
        requests.wait(waiting)
        requests.lose(AnitaError("disconnected", "", retryable=True))
        with self.assertRaises(AnitaError):
            await asked.answer
        self.assertFalse(waiting.answer.done())
        requests.end(AnitaError("closed", ""))
        with self.assertRaises(AnitaError):
            await waiting.answer

    async def test_an_answer_is_given_once_and_to_whom_it_belongs(self) -> None:
        requests = Requests()
        first, second = self.request(requests), self.request(requests)
        requests.asked(first)
        requests.asked(second)
        for id in ("1", 1.5, None, 99):
            self.assertIsNone(requests.answered(id))
        self.assertIs(requests.answered(second.id), second)
        self.assertIsNone(requests.answered(second.id))
        requests.forget(first)
        self.assertIsNone(requests.answered(first.id))
