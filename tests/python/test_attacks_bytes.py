"""Attacks by bytes: too many, too slowly, nested, compressed, and HTTP that means two things."""

import contextlib
import json
import re
import socket
import ssl
import struct
import time
import unittest
import zlib

from attacks import attack
from harness import PATIENCE, RawClient, Server, program, wait_for

POINT = {"x": 1, "y": 2, "z": 3}


class Plain:
    """A bare TCP connection."""

    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def rest(self, seconds=PATIENCE):
        """All that comes until the server ends the connection."""
        heard, ends_at = b"", time.monotonic() + seconds
        while time.monotonic() < ends_at:
            self.socket.settimeout(max(ends_at - time.monotonic(), 0.001))
            try:
                data = self.socket.recv(65_536)
            except TimeoutError:
                break
            except ConnectionResetError:
                return heard
            if not data:
                return heard
            heard += data
        raise AssertionError(f"not ended within {seconds} s; it heard {heard[:200]!r}")


def status(heard):
    return int(heard.split(b" ", 2)[1]) if heard.startswith(b"HTTP/1.1 ") else None


class BytesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        program()
        # Short, so that the tests need not wait for long; longer than any client that means well is held up.
        deadlines = "header_deadline_secs = 4\nrequest_deadline_secs = 4\nmessage_deadline_secs = 4"
        # No heartbeat helps: each deadline is kept by itself.
        cls.server = Server(heartbeat_secs=60, more=f"[delivery]\ncompression = true\n[limits]\n{deadlines}")
        cls.addClassCleanup(cls.server.close)

    def tearDown(self):
        # Whatever was tried: others are served as before.
        with self.server.hello() as client:
            client.ask("ping")

    def raw(self, role="publisher"):
        return RawClient(self.server, token=self.server.token(role))

    # --- messages

    @attack("a message that says it has 8 EiB, 1 GiB or one byte too many", "close 1009 from the frame's head, nothing of it is read")
    def test_a_message_over_the_limit_is_refused_by_its_head(self):
        for length in [2**63 - 1, 2**30, 262_145]:
            with self.raw() as raw:
                raw.socket.sendall(struct.pack("!BBQ", 0x81, 0xFF, length) + b"mask")
                self.assertEqual(raw.until_close()[0], 1009, length)

    @attack("a large message of somebody who has not said who it is", "close 1009")
    def test_strangers_send_small_messages(self):
        with RawClient(self.server) as raw:
            raw.socket.sendall(struct.pack("!BBQ", 0x81, 0xFF, 100_000) + b"mask")
            self.assertEqual(raw.until_close()[0], 1009)

    @attack("a message of very many fragments, empty or not", "close 1009 or 1008 after 1,024 of them")
    def test_fragments_are_counted(self):
        for part in [b"", b"x"]:
            with self.raw() as raw:
                raw.send_frame(1, part, is_last=False)
                try:
                    for _ in range(3_000):
                        raw.send_frame(0, part, is_last=False)
                except OSError:
                    pass
                self.assertIn(raw.until_close()[0], (1008, 1009))

    @attack("frames without a mask, with reserved bits, of reserved kinds, and control frames that are long or in parts", "close 1002")
    def test_frames_that_break_the_protocol_end_the_connection(self):
        frames = [
            b"\x81\x02hi",
            b"\xa1\x80mask",
            b"\x83\x80mask",
            b"\x8b\x80mask",
            b"\x89\xfe\x00\x7emask",
            b"\x09\x80mask",
            b"\x80\x80mask",
        ]
        for frame in frames:
            with self.raw() as raw:
                raw.socket.sendall(frame)
                self.assertEqual(raw.until_close()[0], 1002, frame)

    @attack("JSON nested a hundred thousand deep", "`invalid_json`; the socket goes on")
    def test_nesting_is_bounded(self):
        client = self.server.hello(role="publisher")
        self.addCleanup(client.close)
        for opening, closing in [("[", "]"), ('{"a":', "}")]:
            deep = opening * 20_000 + "1" + closing * 20_000
            client.send_text(f'{{"type":"ping","payload":{{"x":{deep}}}}}')
            self.assertEqual(client.expect("error")["payload"]["code"], "invalid_json")
            # The message and its payload are two levels of sixteen.
            for levels, kind in [(14, "system.pong"), (15, "error"), (100, "error")]:
                nested = json.loads(opening * levels + "1" + closing * levels)
                client.send("ping", {"x": nested})
                answer = client._first(lambda it: it["type"] in ("error", "system.pong"), "the answer", PATIENCE)
                self.assertEqual(answer["type"], kind, levels)
        client.ask("ping")

    @attack("numbers that are not finite or out of every range, in positions and times", "`invalid_json`, `invalid_payload` or `out_of_range`, item by item")
    def test_numbers_out_of_range_are_refused(self):
        client = self.server.hello(role="publisher")
        self.addCleanup(client.close)
        for number in ["1e999", "-1e999", "NaN", "Infinity", "1e308", "-1e300", "9" * 400, "0x10", "1_000"]:
            client.send_text(f'{{"type":"report_location","id":"n","payload":{{"device_id":"n","location":{{"x":{number},"y":0,"z":0}}}}}}')
            message = client._first(lambda it: it["type"] in ("error", "uwb.locations_reported"), number, PATIENCE)
            if message["type"] == "error":
                self.assertIn(message["payload"]["code"], ["invalid_json", "invalid_payload", "out_of_range"], number)
            else:
                self.assertEqual(message["payload"]["accepted"], 0, number)
        for when in ["9999-12-31T23:59:59Z", "99999-01-01T00:00:00Z", "2100-01-01T00:00:00Z", "1e99"]:
            answer = client.request("report_location", {"device_id": "n", "location": POINT, "timestamp": when})["payload"]
            self.assertEqual(answer.get("accepted", 0), 0, when)

    @attack("an object with a hundred thousand members, whose names collide or repeat", "`too_large` or `invalid_json` in a moment")
    def test_members_do_not_cost_more_than_their_bytes(self):
        client = self.server.hello(role="publisher")
        self.addCleanup(client.close)
        members = ",".join(f'"{number}":0' for number in range(20_000))
        began_at = time.monotonic()
        for _ in range(5):
            client.send_text(f'{{"type":"ping","payload":{{{members}}}}}')
        client.so_far()
        self.assertLess(time.monotonic() - began_at, PATIENCE)
        repeated = ",".join('"a":0' for _ in range(20_000))
        client.send_text(f'{{"type":"ping","payload":{{{repeated}}}}}')
        self.assertEqual(client.expect("error")["payload"]["code"], "invalid_json")

    @attack("a compressed message of 125 KB that unfolds to 128 MB", "close 1009 at the limit of what is unfolded")
    def test_a_compression_bomb_is_stopped_at_the_limit(self):
        squeezed = zlib.compressobj(9, zlib.DEFLATED, -15)
        bomb = squeezed.compress(b" " * 128_000_000) + squeezed.flush(zlib.Z_SYNC_FLUSH)
        before = self.memory_bytes()
        for _ in range(5):
            with RawClient(self.server, token=self.server.token("publisher"), extensions="permessage-deflate") as raw:
                self.assertIn("permessage-deflate", raw.head)
                mask, body = b"\0\0\0\0", bomb[:-4]
                raw.socket.sendall(struct.pack("!BBQ", 0xC1, 0xFF, len(body)) + mask + body)
                self.assertEqual(raw.until_close()[0], 1009)
        self.assertLess(self.memory_bytes() - before, 32_000_000)
        # The limit is the one of messages that are not compressed.
        for length, is_read in [(262_144, True), (262_145, False)]:
            squeezed = zlib.compressobj(9, zlib.DEFLATED, -15)
            body = squeezed.compress(b" " * length) + squeezed.flush(zlib.Z_SYNC_FLUSH)
            with RawClient(self.server, token=self.server.token("publisher"), extensions="permessage-deflate") as raw:
                raw.socket.sendall(struct.pack("!BBH", 0xC1, 0xFE, len(body) - 4) + b"\0\0\0\0" + body[:-4])
                if is_read:
                    raw.send_frame(8, struct.pack("!H", 1000))
                self.assertEqual(raw.until_close()[0], 1000 if is_read else 1009, length)

    def memory_bytes(self):
        """The most that the server had at once."""
        with open(f"/proc/{self.server.process.pid}/status") as file:
            return int(re.search(r"VmHWM:\s*(\d+) kB", file.read())[1]) * 1_024

    # --- too many

    @attack("more requests than a second allows, and on and on", "`rate_limited` with `retry_after_ms`, then close 4429")
    def test_a_flood_of_requests_ends_the_connection(self):
        with self.raw("viewer") as raw:
            ping = b'{"type":"ping"}'
            try:
                for _ in range(3_000):
                    raw.send_frame(1, ping)
            except OSError:
                pass
            code, reason, before = raw.until_close()
        self.assertEqual((code, reason["code"]), (4429, "rate_limited"))
        errors = [json.loads(body)["payload"] for kind, body in before if kind == 1 and b'"error"' in body]
        self.assertTrue(errors and all(it["code"] == "rate_limited" and it["retry_after_ms"] > 0 for it in errors))

    @attack("a flood of pings", "close 4429")
    def test_a_flood_of_pings_ends_the_connection(self):
        with self.raw("viewer") as raw:
            try:
                for _ in range(2_000):
                    raw.send_frame(9, b"x")
            except OSError:
                pass
            self.assertEqual(raw.until_close()[0], 4429)

    @attack("more rooms, subscriptions, tracked devices, corners and playbacks than a client may have", "`limit_reached`, `too_large` or `invalid_payload`; what is there stays")
    def test_what_a_client_may_hold_is_bounded(self):
        client = self.server.hello(role="operator")
        self.addCleanup(client.close)
        rooms = [client.request("join_room", {"room": f"r{number}"}) for number in range(70)]
        refused = [it["payload"]["code"] for it in rooms if it["type"] == "error"]
        self.assertEqual(refused, ["limit_reached"] * 6)
        views = [client.request("subscribe", {"devices": [f"d{number}"]}) for number in range(20)]
        refused = [it["payload"]["code"] for it in views if it["type"] == "error"]
        self.assertEqual(refused, ["limit_reached"] * 4)
        circle = [[number, number * number] for number in range(65)]
        for payload in [
            {"area": {"polygon": circle}},
            {"devices": [f"d{number}" for number in range(1_001)]},
            {"floors": list(range(101))},
            {"device_patterns": ["*" * 200]},
        ]:
            self.assertIn(client.refused("subscribe", payload)["code"], ["invalid_payload", "too_large", "limit_reached"])
        ids = [f"d{number}" for number in range(10_001)]
        error = client.refused("start_position_tracking", {"device_ids": ids, "update_frequency": 1})
        self.assertIn(error["code"], ["invalid_payload", "too_large", "limit_reached"])
        many = [{"device_id": "d", "location": POINT}] * 1_001
        self.assertEqual(client.refused("report_location", {"locations": many})["code"], "too_large")

    # --- slowly

    @attack("slow-loris on the head: a request that never ends, byte by byte, on 100 connections", "each is ended within the deadline (10 s by default); others are served meanwhile")
    def test_a_head_that_never_ends_is_not_waited_for(self):
        slow = [Plain(self.server) for _ in range(100)]
        for one in slow:
            self.addCleanup(one.socket.close)
            one.send("GET /ws HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        began_at = time.monotonic()
        alive = set(slow)
        with self.server.hello() as client:
            while alive and time.monotonic() - began_at < PATIENCE + 5:
                client.ask("ping")
                for one in list(alive):
                    try:
                        one.send("x")
                        one.socket.settimeout(0.001)
                        if one.socket.recv(1_000) == b"":
                            alive.discard(one)
                    except TimeoutError:
                        pass
                    except OSError:
                        alive.discard(one)
                time.sleep(0.05)
        self.assertEqual(len(alive), 0)

    @attack("slow-loris before the head: connections that say nothing", "ended within the deadline (10 s by default)")
    def test_who_says_nothing_at_all_is_not_waited_for(self):
        with Plain(self.server) as silent:
            self.assertEqual(silent.rest(PATIENCE), b"")

    @attack("slow-loris on the body: a report that comes byte by byte", "408 within the deadline (30 s by default)")
    def test_a_body_that_never_ends_is_not_waited_for(self):
        token = self.server.token("publisher")
        with Plain(self.server) as slow:
            slow.send(f"POST /api/v1/locations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 100000\r\n\r\n[")
            heard = slow.rest()
        self.assertEqual(status(heard), 408)

    @attack("a body of more than it may have, at once or in chunks without an end", "413 or the end; nothing of it is taken")
    def test_a_body_is_bounded(self):
        token = self.server.token("publisher")
        head = f"POST /api/v1/locations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        item = b'{"device_id":"big","location":{"x":1,"y":2,"z":3}}'
        for chunk in [None, b"%x\r\n" % 65_536 + b" " * 65_536 + b"\r\n"]:
            with Plain(self.server) as one:
                heard = b""
                try:
                    if chunk is None:
                        one.send(f"{head}Content-Length: {3_000_000 + len(item)}\r\n\r\n")
                        one.send(b" " * 3_000_000 + item)
                    else:
                        one.send(f"{head}Transfer-Encoding: chunked\r\n\r\n")
                        for _ in range(50):
                            one.send(chunk)
                        one.send(b"%x\r\n" % len(item) + item + b"\r\n0\r\n\r\n")
                    heard = one.rest()
                except OSError:
                    pass
                self.assertIn(status(heard), (413, None), heard[:100])
        self.assertEqual(self.server.http("GET", "/api/v1/devices/big", token=self.server.token()).status, 404)

    @attack("slow-loris on frames: a head without its body, a fragment without its end, byte by byte", "`timeout` and close 4410 after the deadline for a message (30 s); control frames do not help")
    def test_a_message_that_never_ends_is_not_waited_for(self):
        for begin in [b"\x81\xfe", b"\x81\xfe\x04\x00mask{", b"\x01\x81maskx"]:
            with self.raw() as raw:
                raw.socket.sendall(begin)
                code, reason, _before = raw.until_close()
            self.assertEqual((code, reason["code"]), (4410, "timeout"), begin)
        with self.raw() as raw:
            raw.send_frame(1, b"{", is_last=False)
            raw.socket.settimeout(0.1)
            began_at = time.monotonic()
            while b"\x11\x3a" not in raw.buffer:  # 4410, in the close frame
                self.assertLess(time.monotonic() - began_at, PATIENCE, "pings keep an unfinished message alive")
                with contextlib.suppress(TimeoutError):
                    raw._fill()
                with contextlib.suppress(OSError):
                    raw.send_frame(9, b"alive")
                time.sleep(0.02)  # fewer than are a flood

    # --- HTTP

    @attack("requests that two servers read differently: two lengths, length and chunks, folded and broken headers", "400, and the connection ends: nothing is smuggled")
    def test_requests_that_mean_two_things_are_refused(self):
        smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
        heads = [
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5, 6\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 0x5\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "X-Folded: a\r\n b\r\n",
            "X Space: a\r\n",
            ": empty\r\n",
            "X-Nul: a\x00b\r\n",
        ]
        for head in heads:
            with Plain(self.server) as one:
                one.send(f"POST /api/v1/locations HTTP/1.1\r\nHost: x\r\n{head}\r\n{smuggled}")
                heard = one.rest()
            self.assertEqual(heard.count(b"HTTP/1.1 "), 1, (head, heard[:500]))
            self.assertEqual(status(heard), 400, (head, heard[:200]))

    @attack("a length beside chunks: the old trick of smuggling", "one request, judged by its chunks, and then the end of the connection")
    def test_a_length_beside_chunks_smuggles_nothing(self):
        with Plain(self.server) as one:
            one.send(
                "POST /api/v1/locations HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
                "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
            )
            heard = one.rest()
        # What comes after the chunks is a request of its own to every server that follows RFC 9112 §6.1, or nothing.
        self.assertNotIn(b"smuggled", heard)
        self.assertIn(status(heard), (400, 401))

    @attack("a head of a megabyte, and one of ten thousand headers", "431 or 400, and the connection ends")
    def test_a_head_is_bounded(self):
        for head in ["X-Long: " + "x" * 1_000_000, "\r\n".join(f"X-{number}: 1" for number in range(10_000))]:
            with Plain(self.server) as one:
                try:
                    one.send(f"GET / HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n")
                    heard = one.rest()
                except OSError:
                    continue
                self.assertIn(status(heard), (400, 431, None), heard[:100])

    @attack("other protocols at the port: SSH, SMTP, HTTP/2, binary noise", "a refusal or the end, nothing else")
    def test_other_protocols_get_nowhere(self):
        for words in [
            b"SSH-2.0-OpenSSH_9.0\r\n",
            b"EHLO x\r\nMAIL FROM:<a>\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            bytes(range(256)) * 4,
            b"\x00" * 1_000,
            b"\r\n" * 2_000,
        ]:
            with Plain(self.server) as one:
                try:
                    one.send(words)
                    heard = one.rest()
                except OSError:
                    continue
                self.assertIn(status(heard), (400, 505, None), words[:20])

    @attack("methods that are not for this: TRACE, CONNECT, PUT, and a body where there is none", "405, 404 or 400")
    def test_methods_are_what_the_routes_know(self):
        for method in ["TRACE", "CONNECT", "PUT", "PATCH", "OPTIONS", "QUERY", "BREW"]:
            for path in ["/api/v1/devices", "/", "/ws", "/metrics"]:
                answer = self.server.http(method, path)
                self.assertIn(answer.status, (400, 404, 405), (method, path))
                self.assertNotIn("authorization", answer.body.lower(), "nothing is echoed")

    @attack("a WebSocket handshake that is wrong: version, key, method, upgrade, twice", "400, 405 or 426 with the version that is spoken")
    def test_a_wrong_handshake_is_no_handshake(self):
        good = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
        for changes, method, expected in [
            ({"Sec-WebSocket-Version": "8"}, "GET", 426),
            ({"Sec-WebSocket-Version": "13, 8"}, "GET", 426),
            ({"Sec-WebSocket-Key": "short"}, "GET", 400),
            ({"Sec-WebSocket-Key": "x" * 5_000}, "GET", 400),
            ({"Upgrade": "h2c"}, "GET", 426),
            ({"Connection": "close"}, "GET", 426),
            ({}, "POST", 405),
        ]:
            answer = self.server.http(method, "/ws", headers={**good, **changes})
            self.assertIn(answer.status, {expected, 400}, (changes, method))


class SlowTlsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        program()
        cls.server = Server(tls=True, more="[limits]\ntls_deadline_secs = 4\nheader_deadline_secs = 4")
        cls.addClassCleanup(cls.server.close)

    @attack("slow-loris on TLS: a handshake that stops after its first byte, or half-way", "ended within the deadline (10 s); others shake hands meanwhile")
    def test_a_tls_handshake_that_stops_is_not_waited_for(self):
        hello = ssl.create_default_context()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = hello.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with self.assertRaises(ssl.SSLWantReadError):
            tls.do_handshake()
        whole = outgoing.read()
        slow = []
        for part in [whole[:1], whole[: len(whole) // 2], whole]:
            one = Plain(self.server)
            self.addCleanup(one.socket.close)
            one.send(part)
            slow.append(one)
        with self.server.hello() as client:
            client.ask("ping")
        for one in slow:
            one.rest(PATIENCE)

    @attack("plain text at the TLS port", "one sentence that says so, and the end; a token in it is never answered")
    def test_plain_text_at_the_tls_port_is_told_so(self):
        token = self.server.token()
        with Plain(self.server) as one:
            one.send(f"GET /api/v1/devices HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n")
            heard = one.rest()
        self.assertEqual(status(heard), 400)
        self.assertIn(b"https://", heard)

    @attack("TLS 1.0 and 1.1, and renegotiation", "the handshake fails")
    def test_old_tls_is_not_spoken(self):
        for version in [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1]:
            old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
            old.set_ciphers("ALL:@SECLEVEL=0")
            old.minimum_version = old.maximum_version = version
            with socket.create_connection(("127.0.0.1", self.server.port), timeout=PATIENCE) as plain:
                with self.assertRaises((ssl.SSLError, ConnectionResetError)):
                    old.wrap_socket(plain)


class FloodTest(unittest.TestCase):
    """Too many from one place."""

    def flooded(self, limits):
        server = Server(more=f"[limits]\n{limits}")
        self.addCleanup(server.close)
        return server

    def upgrade(self, server, token):
        """A handshake: the status, `Retry-After`, the code of the problem, and the open connection if there is one."""
        plain = Plain(server)
        self.addCleanup(plain.socket.close)
        plain.send(
            f"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
        head = b""
        while b"\r\n\r\n" not in head:
            data = plain.socket.recv(65_536)
            if not data:
                return None, None, None
            head += data
        retry = [line for line in head.decode(errors="replace").lower().split("\r\n") if line.startswith("retry-after:")]
        return status(head), bool(retry), b"application/problem+json" in head

    @attack("more sockets than there may be, in all or from one address", "503 or 429 with `Retry-After` before the upgrade; those that are there stay")
    def test_sockets_are_counted_in_all_and_by_address(self):
        for limits, refused in [("sockets_max = 5", 503), ("sockets_per_address_max = 5", 429)]:
            server = self.flooded(limits)
            token = server.token()
            clients = [server.hello() for _ in range(5)]
            for client in clients:
                self.addCleanup(client.close)
            for _ in range(20):
                self.assertEqual(self.upgrade(server, token), (refused, True, True), limits)
            for client in clients:
                client.ask("ping")
            clients.pop().close()
            wait_for(lambda: self.upgrade(server, token)[0] == 101, "a place that is free is given again")

    @attack("more sockets of one user than one may have", "`limit_reached` and close 1013 with `retry_after_ms`; the older ones stay")
    def test_sockets_are_counted_by_user(self):
        server = self.flooded("sockets_per_user_max = 3")
        clients = [server.hello(subject="greedy") for _ in range(3)]
        for client in clients:
            self.addCleanup(client.close)
        with server.client("/ws", server.token("viewer", "greedy")) as one_more:
            closed = one_more.closed()
        self.assertEqual((closed.code, closed.error["code"]), (1013, "limit_reached"))
        self.assertGreater(closed.reason["retry_after_ms"], 0)
        for client in [*clients, server.hello(subject="modest")]:
            client.ask("ping")
            client.close()

    @attack("a flood of handshakes, in all or from one address", "429 with `Retry-After`; who is connected notices nothing")
    def test_handshakes_are_counted(self):
        for limits in ["handshakes_per_second = 2", "handshakes_per_second_per_address = 2"]:
            server = self.flooded(limits)
            token = server.token()
            with server.hello() as client:
                answers = [self.upgrade(server, token) for _ in range(80)]
                refused = [it for it in answers if it[0] != 101]
                self.assertGreater(len(refused), 20, limits)
                self.assertEqual(set(refused), {(429, True, True)}, limits)
                client.ask("ping")

    @attack("connections that open and never say who they are, until no place is left", "the end of further ones at once; who is connected notices nothing, and there is room again after the deadline")
    def test_the_unknown_do_not_take_every_place(self):
        server = self.flooded("unauthenticated_per_address_max = 10\nheader_deadline_secs = 8")
        with server.hello() as client:
            waiting = [Plain(server) for _ in range(30)]
            for plain in waiting:
                self.addCleanup(plain.socket.close)
            for plain in waiting[10:]:
                self.assertEqual(plain.rest(), b"")
            client.ask("ping")
            wait_for(lambda: self.can_come_in(server), "there is room again after the deadline for the others", 2 * PATIENCE)
            refused = server.metric("anita_connections_refused_total", reason="unauthenticated_of_address")
            self.assertGreaterEqual(refused, 20)

    @attack("sockets that open and never say who they are", "the end of further ones of that address; close 4408 of these after the deadline (10 s by default)")
    def test_sockets_of_nobody_end(self):
        with_deadline = lambda _folder, config: config.replace("[auth]", "[auth]\ndeadline_secs = 8")
        server = Server(more="[limits]\nunauthenticated_per_address_max = 10", prepare=with_deadline)
        self.addCleanup(server.close)
        with server.hello() as client:
            waiting, refused = [], 0
            for _ in range(15):
                try:
                    waiting.append(RawClient(server))
                    self.addCleanup(waiting[-1].socket.close)
                except (EOFError, OSError, AssertionError):
                    refused += 1
            self.assertEqual((len(waiting), refused), (10, 5))
            client.ask("ping")
            codes = {raw.until_close(2 * PATIENCE)[0] for raw in waiting}
            self.assertEqual(codes, {4408})
            client.ask("ping")

    def can_come_in(self, server):
        try:
            return server.http("GET", "/readyz").status == 200
        except OSError:
            return False


if __name__ == "__main__":
    unittest.main()
