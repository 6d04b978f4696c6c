"""The connection and what hangs on it, against a server that says what it should not, or when it should not."""

from __future__ import annotations

import asyncio
import gc
import logging
import unittest
from typing import Any
from unittest import mock

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from .harness import PATIENCE_S, in_time, until
from .scripted import HELLO, Peer, greets, server

from anita_client import AnitaClient, AnitaError, Gap, State, TokenReason  # isort: skip
from anita_client import client as client_module
from anita_client.views import View

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2VjcmV0LXNpZ25hdHVyZQ"


def at_once(test: Any) -> Any:
    """Without pauses between attempts, but for those that the server asks for."""
    return mock.patch.object(client_module, "pause", lambda attempt, random: 0.0)(test)


@in_time
class Link(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.reasons: list[TokenReason] = []
        self.clients: list[AnitaClient] = []

    async def asyncTearDown(self) -> None:
        for each in self.clients:
            await each.close()

    def renewing(self, reason: TokenReason) -> str:
        self.reasons.append(reason)
        return f"token-{len(self.reasons)}"

    def client(self, url: str, **options: Any) -> AnitaClient:
        made = AnitaClient(url, **{"token": self.renewing, "request_timeout": PATIENCE_S, **options})
        self.clients.append(made)
        return made

    async def state(self, client: AnitaClient, state: State) -> None:
        await until(lambda: client.state is state, lambda: f"{state}, and not {client.state}: {client.error}")

    # --- coming and coming back

    async def test_states_are_told_in_their_order(self) -> None:
        async with server(greets) as hub:
            client = self.client(f"{hub.url}/ws")
            states = client.states()
            self.assertIs(client.state, State.IDLE)
            async with client:
                self.assertIs(client.state, State.ONLINE)
                self.assertEqual(client.hello and client.hello["user_id"], "alice")
            self.assertEqual([each async for each in states], ["connecting", "authenticating", "online", "closed"])
            self.assertIsNone(client.hello)
            self.assertEqual(hub.peers[0].token, "token-1")
            self.assertEqual(self.reasons, ["connect"])

    @at_once
    async def test_an_expired_token_is_replaced_once(self) -> None:
        async def expires(peer: Peer) -> None:
            await peer.say("error", {"code": "token_expired", "message": "It has run out.", "retryable": False})
            await peer.close(4401, '{"code":"token_expired"}')

        async with server(expires, greets) as hub:
            async with self.client(f"{hub.url}/ws"):
                self.assertEqual(self.reasons, ["connect", "rejected"])
        async with server(expires) as hub:
            self.reasons.clear()
            with self.assertRaises(AnitaError) as caught:
                await self.client(f"{hub.url}/ws").__aenter__()
            self.assertEqual(caught.exception.code, "token_expired")
            self.assertEqual(self.reasons, ["connect", "rejected"])
        async with server(expires) as hub:
            with self.assertRaises(AnitaError):
                await self.client(f"{hub.url}/ws", token=TOKEN).__aenter__()
            self.assertEqual(len(hub.peers), 1)

    @at_once
    async def test_final_closes_stop_it_with_a_reason(self) -> None:
        for code, expected in [
            (4501, "invalid_token"),
            (4503, "forbidden"),
            (4509, "logged_out"),
            (4777, "closed_4777"),
        ]:

            async def closes(peer: Peer, code: int = code) -> None:
                await peer.hello()
                await peer.close(code)

            with self.subTest(code=code):
                async with server(closes) as hub:
                    client = self.client(f"{hub.url}/ws")
                    client.start()
                    await self.state(client, State.FAILED)
                    assert client.error is not None
                    self.assertEqual(client.error.code, expected)
                    self.assertTrue(client.error.remedy)
                    with self.assertRaises(AnitaError) as caught:
                        await client.request("ping")
                    self.assertEqual(caught.exception.code, expected)
                    with self.assertRaises(AnitaError):
                        await anext(client.messages("uwb.location"))
                    self.assertEqual(len(hub.peers), 1)

    async def test_the_time_that_the_server_names_is_obeyed(self) -> None:
        loop = asyncio.get_running_loop()
        moments: list[float] = []

        async def leaves(peer: Peer) -> None:
            await peer.hello()
            moments.append(loop.time())
            await peer.close(1013, '{"code":"try_later","retry_after_ms":300}')

        async def announces(peer: Peer) -> None:
            await peer.hello()
            moments.append(loop.time())
            await peer.say("system.reconnect", {"retry_after_ms": 300, "message": "Soon."})
            await peer.close(1012)

        async def is_back(peer: Peer) -> None:
            moments.append(loop.time())
            await greets(peer)

        coming = ["connecting", "authenticating", "online"]
        for play in (leaves, announces):
            # Without that time, the pause would be another: none.
            with (
                self.subTest(play=play.__name__),
                mock.patch.object(client_module, "pause", lambda attempt, random: 0.0),
            ):
                moments.clear()
                async with server(play, is_back) as hub:
                    client = self.client(f"{hub.url}/ws")
                    states = client.states()
                    client.start()
                    told = [await anext(states) for _ in range(7)]
                    self.assertEqual(told, [*coming, "waiting", *coming])
                    self.assertGreaterEqual(moments[1] - moments[0], 0.3)

    async def test_a_pause_can_be_ended(self) -> None:
        async def leaves(peer: Peer) -> None:
            await peer.close(1013, '{"code":"try_later","retry_after_ms":60000}')

        async with server(leaves, greets) as hub:
            client = self.client(f"{hub.url}/ws")
            client.start()
            await self.state(client, State.WAITING)
            await asyncio.sleep(0)
            client.try_now()
            await self.state(client, State.ONLINE)

    @at_once
    async def test_refusals_of_the_upgrade_are_final_or_not(self) -> None:
        for status, is_final in [
            (400, True),
            (401, True),
            (403, True),
            (404, True),
            (429, False),
            (500, False),
            (502, False),
            (503, False),
        ]:
            asked: list[int] = []

            def refuse(
                connection: ServerConnection, request: Request, status: int = status, asked: list[int] = asked
            ) -> Response | None:
                asked.append(status)
                return Response(status, "No", Headers()) if len(asked) == 1 else None

            with self.subTest(status=status):
                async with server(greets, upgrade=refuse) as hub:
                    client = self.client(f"{hub.url}/ws")
                    client.start()
                    await self.state(client, State.FAILED if is_final else State.ONLINE)
                    if is_final:
                        self.assertEqual(client.error and client.error.code, "refused")

    async def test_retry_after_of_a_refusal_is_obeyed(self) -> None:
        def refuse(connection: ServerConnection, request: Request) -> Response | None:
            return Response(503, "No", Headers({"Retry-After": "7"}))

        async with server(greets, upgrade=refuse) as hub:
            client = self.client(f"{hub.url}/ws")
            client.start()
            await self.state(client, State.WAITING)
            self.assertEqual(client._link.retry_after, 7.0)

    async def test_a_redirect_takes_the_token_nowhere(self) -> None:
        async with server(greets) as elsewhere:

            def away(connection: ServerConnection, request: Request) -> Response:
                return Response(307, "There", Headers({"Location": f"{elsewhere.url}/ws"}))

            async with server(greets, upgrade=away) as hub:
                client = self.client(f"{hub.url}/ws")
                client.start()
                await self.state(client, State.FAILED)
                self.assertEqual(elsewhere.peers, [])

    async def test_a_server_that_says_nothing_is_given_up(self) -> None:
        async def silent(peer: Peer) -> None:
            await peer.end()

        async with server(silent) as hub:
            client = self.client(f"{hub.url}/ws", connect_timeout=1.0)
            states = client.states()
            client.start()
            for awaited in (State.AUTHENTICATING, State.WAITING):
                while await anext(states) is not awaited:
                    pass
            self.assertEqual(client.error and client.error.code, "timeout")

    @at_once
    async def test_silence_after_the_hello_is_noticed(self) -> None:
        pings = 0

        async def falls_silent(peer: Peer) -> None:
            nonlocal pings
            await peer.hello(heartbeat_interval_secs=3)
            # A ping of WebSocket is a sign of life as well: in all they take longer than a silence may.
            for _ in range(6):
                await asyncio.sleep(1.5)
                await peer.connection.ping()
                pings += 1
            await peer.end()

        async with server(falls_silent, greets) as hub:
            client = self.client(f"{hub.url}/ws", token=TOKEN)
            states = client.states()
            async with client:
                while await anext(states) is not State.WAITING:
                    pass
                self.assertEqual(pings, 6)
                await self.state(client, State.ONLINE)
                self.assertEqual(len(hub.peers), 2)

    async def test_a_token_function_that_hangs_or_fails_does_not_stop_it(self) -> None:
        calls: list[str] = []

        async def stubborn(reason: TokenReason) -> str:
            calls.append(reason)
            if len(calls) == 1:
                await asyncio.sleep(PATIENCE_S)
            if len(calls) == 2:
                raise OSError("no network")
            return TOKEN

        with mock.patch.object(client_module, "pause", lambda attempt, random: 0.0):
            async with server(greets) as hub:
                client = self.client(f"{hub.url}/ws", token=stubborn, connect_timeout=1.0)
                client.start()
                await self.state(client, State.ONLINE)
                # On a busy machine a good token may be too late as well.
                self.assertGreaterEqual(len(calls), 3)
                self.assertEqual(set(calls), {"connect"})

    async def test_a_header_that_was_taken_away_is_made_good_by_a_message(self) -> None:
        async def asks(peer: Peer) -> None:
            await peer.say("system.auth_required", {"auth_methods": ["message"], "message": "Who are you?"})
            heard = await peer.hear("authenticate")
            self.assertEqual(heard["payload"]["token"], "token-1")
            await peer.answer(heard, "system.connection", HELLO)
            await peer.end()

        async with server(asks) as hub:
            await self.client(f"{hub.url}/ws").__aenter__()

    async def test_a_token_is_refreshed_in_place(self) -> None:
        refreshed = asyncio.Event()

        async def short(peer: Peer) -> None:
            # By the clock of the server, which is another: 31 s are left, so that it is time in one.
            await peer.hello(expires_at="2026-01-01T00:00:31.000000Z")
            heard = await peer.hear("authenticate")
            await peer.refuse(heard, "unavailable", 10)
            heard = await peer.hear("authenticate")
            self.assertEqual(heard["payload"]["token"], "token-3")
            fresh = {"expires_at": "2027-01-01T00:00:00.000000Z", "roles": ["operator"], "permissions": ["rooms.send"]}
            await peer.answer(heard, "system.token_refreshed", fresh)
            refreshed.set()
            await peer.end()

        # After a refusal half of what is left would be 15 s.
        with mock.patch.object(
            AnitaClient, "_refresh_in", staticmethod(lambda left: 0.05 if 0 < left < 60 else 1000.0)
        ):
            async with server(short) as hub:
                client = self.client(f"{hub.url}/ws")
                heard = client.messages("system.token_refreshed")
                async with client:
                    async with asyncio.timeout(PATIENCE_S):
                        await refreshed.wait()
                        self.assertEqual((await anext(heard)).payload["roles"], ["operator"])
                    await until(lambda: client.hello and client.hello["roles"] == ["operator"], "the new rights")
                    self.assertEqual(self.reasons, ["connect", "refresh", "refresh"])
                    self.assertEqual(len(hub.peers), 1)

    def test_when_a_token_is_replaced(self) -> None:
        for left, expected in [
            (3600.0, 3570.0),
            (32.0, 2.0),
            (30.5, 1.0),
            (30.0, 15.0),
            (10.0, 5.0),
            (1.0, 1.0),
            (-5.0, 1.0),
        ]:
            with self.subTest(left=left):
                self.assertEqual(AnitaClient._refresh_in(left), expected)

    # --- requests

    async def test_answers_find_their_requests_in_any_order(self) -> None:
        async def reverses(peer: Peer) -> None:
            await peer.hello()
            asked = [await peer.hear("get_room_members") for _ in range(3)]
            for request in reversed(asked):
                await peer.answer(
                    request, "room.members", {"room": request["payload"]["room"], "members": [], "total": 0}
                )
            await peer.end()

        async with server(reverses) as hub, self.client(f"{hub.url}/ws", token=TOKEN) as client:
            asked = [client.request("get_room_members", {"room": name}) for name in ("a", "b", "c")]
            self.assertEqual([answer["room"] for answer in await asyncio.gather(*asked)], ["a", "b", "c"])

    async def test_what_is_asked_too_early_waits_and_what_was_asked_is_lost(self) -> None:
        async def breaks(peer: Peer) -> None:
            await peer.hello()
            await peer.hear("get_room_members")
            await peer.close(1013, '{"code":"try_later","retry_after_ms":200}')

        async def answers(peer: Peer) -> None:
            await peer.hello()
            heard = await peer.hear("get_room_members")
            await peer.answer(heard, "room.members", {"room": heard["payload"]["room"], "members": [], "total": 0})
            await peer.end()

        async with server(breaks, answers) as hub:
            client = self.client(f"{hub.url}/ws", token=TOKEN)
            early = asyncio.create_task(client.request("get_room_members", {"room": "early"}))
            await asyncio.sleep(0)
            client.start()
            with self.assertRaises(AnitaError) as caught:
                await early
            self.assertEqual((caught.exception.code, caught.exception.retryable), ("disconnected", True))
            self.assertIs(client.state, State.WAITING)
            self.assertEqual((await client.request("get_room_members", {"room": "late"}))["room"], "late")

    async def test_the_queue_is_bounded_and_its_time_is_limited(self) -> None:
        client = self.client("ws://127.0.0.1:9/ws")
        waiting = [asyncio.create_task(client.request("ping")) for _ in range(100)]
        await asyncio.sleep(0)
        with self.assertRaises(AnitaError) as caught:
            await client.request("ping")
        self.assertEqual(caught.exception.code, "queue_full")
        waiting[0].cancel()
        await asyncio.sleep(0)
        with self.assertRaises(AnitaError) as caught:
            await client.request("ping", timeout=0.01)
        self.assertEqual(caught.exception.code, "timeout")
        await client.close()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        self.assertEqual({getattr(result, "code", "cancelled") for result in results}, {"closed", "cancelled"})

    async def test_what_does_not_fit_does_not_leave(self) -> None:
        async with server(greets) as hub, self.client(f"{hub.url}/ws", token=TOKEN) as client:
            with self.assertRaises(AnitaError) as caught:
                await client.request_any("get_device_location", {"device_id": 7})
            self.assertEqual(
                (caught.exception.code, caught.exception.details), ("invalid_payload", {"path": "device_id"})
            )
            with self.assertRaises(AnitaError) as caught:
                await client.request_any("acme.door", {"open": object()})
            self.assertEqual(caught.exception.code, "invalid_payload")
            with self.assertRaises(AnitaError) as caught:
                await client.request("send_to_room", {"room": "a", "name": "b", "data": "ä" * 1000})
            self.assertEqual(caught.exception.code, "too_large")
            self.assertFalse(caught.exception.from_server)

    async def test_what_the_server_says_wrongly_is_left_out_and_counted(self) -> None:
        async def babbles(peer: Peer) -> None:
            await peer.hello()
            for text in ("no JSON", "[1]", '{"type":"uwb.location","payload":{"device_id":1}}', '{"type":"acme.door"}'):
                await peer.connection.send(text)
            await peer.connection.send(b"\x00binary")
            heard = await peer.hear("get_room_members")
            await peer.answer(heard, "room.members", {"room": 7})
            await peer.end()

        async with server(babbles) as hub, self.client(f"{hub.url}/ws", token=TOKEN) as client:
            with self.assertRaises(AnitaError) as caught:
                await client.request("get_room_members", {"room": "a"})
            self.assertEqual(caught.exception.code, "invalid_payload")
            self.assertEqual((client.stats.invalid, client.stats.unknown), (5, 1))
            self.assertIs(client.state, State.ONLINE)

    async def test_streams_that_nobody_holds_are_gone(self) -> None:
        async def talks(peer: Peer) -> None:
            await peer.hello()
            heard = await peer.hear("acme.go")
            for _ in range(3):
                await peer.say("acme.door", {})
            await peer.answer(heard, "acme.gone")
            await peer.end()

        async with server(talks) as hub, self.client(f"{hub.url}/ws", token=TOKEN) as client:
            kept, every = client.messages("acme.door", limit=2), client.messages("*")
            client.messages("acme.door")
            gc.collect()
            self.assertEqual(len(client._streams["acme.door"]), 1)
            await client.request_any("acme.go")
            self.assertEqual((len(kept), kept.dropped, len(every)), (2, 1, 3))

    # --- rooms

    async def test_a_room_is_joined_once_and_left_once(self) -> None:
        heard: list[str] = []

        async def counts(peer: Peer) -> None:
            await peer.hello()
            while True:
                request = await peer.hear()
                heard.append(request["type"])
                answer = {"join_room": "room.joined", "leave_room": "room.left"}[request["type"]]
                await peer.answer(request, answer, {"room": "hall", "epoch": "e", "seq": 0})

        async with server(counts) as hub, self.client(f"{hub.url}/ws", token=TOKEN) as client:
            await asyncio.gather(client.join("hall"), client.join("hall"), client.join("hall"))
            await client.leave("hall")
            await client.leave("hall")
            self.assertEqual((heard, client.rooms), (["join_room"], ("hall",)))
            await client.leave("hall")
            self.assertEqual((heard, client.rooms), (["join_room", "leave_room"], ()))
            async with client.room("hall"):
                self.assertEqual(heard[2:], ["join_room"])
            self.assertEqual(heard[3:], ["leave_room"])
            with self.assertRaises(AnitaError):
                await client.leave("hall")

    @at_once
    async def test_a_room_goes_on_where_it_was_and_says_what_is_lost(self) -> None:
        def note(n: int) -> dict[str, Any]:
            return {"room": "hall", "name": "note", "data": n, "from": {"client_id": "c", "user_id": "u"}}

        async def first(peer: Peer) -> None:
            await peer.hello()
            await peer.answer(await peer.hear("join_room"), "room.joined", {"room": "hall", "epoch": "e", "seq": 4})
            await peer.say("room.message", note(5), room="hall", epoch="e", seq=5)
            await peer.say("room.advanced", {"room": "hall", "epoch": "e", "seq": 7})
            await peer.close(1012)

        async def second(peer: Peer) -> None:
            await peer.hello()
            heard = await peer.hear("join_room")
            self.assertEqual(heard["payload"]["since"], {"epoch": "e", "seq": 7})
            # Live before it was asked from where, and again in its place.
            await peer.say("room.message", note(10), room="hall", epoch="e", seq=10)
            await peer.answer(heard, "room.joined", {"room": "hall", "epoch": "e", "seq": 10, "recovered": True})
            for n in (8, 9, 10, 10, 11):
                await peer.say("room.message", note(n), room="hall", epoch="e", seq=n)
            await peer.say("room.gap", {"room": "hall", "epoch": "e", "from_seq": 12, "to_seq": 20})
            await peer.close(1012)

        async def third(peer: Peer) -> None:
            await peer.hello()
            heard = await peer.hear("join_room")
            self.assertEqual(heard["payload"]["since"], {"epoch": "e", "seq": 20})
            await peer.answer(heard, "room.joined", {"room": "hall", "epoch": "f", "seq": 2, "recovered": False})
            await peer.say("room.message", note(3), room="hall", epoch="f", seq=3)
            await peer.close(1012)

        async def fourth(peer: Peer) -> None:
            await peer.hello()
            heard = await peer.hear("join_room")
            self.assertEqual(heard["payload"]["since"], {"epoch": "f", "seq": 3})
            await peer.refuse(heard, "rate_limited", 20)
            await peer.refuse(await peer.hear("join_room"), "forbidden")
            await peer.end()

        async with server(first, second, third, fourth) as hub:
            client = self.client(f"{hub.url}/ws", token=TOKEN)
            messages, gaps = client.messages("room.message"), client.gaps()
            client.start()
            await client.join("hall")
            await until(lambda: len(gaps) == 3, lambda: f"gaps: {gaps._items}")
            said = []
            while (message := messages.take()) is not None:
                said.append(message.payload["data"])
            self.assertEqual(said, [5, 8, 9, 10, 11, 3])
            expected = [
                Gap("lost", "hall", None, "e", 12, 20),
                Gap("not_recovered", "hall", None, "f", None, 2),
                Gap("refused", "hall"),
            ]
            self.assertEqual([gaps.take(), gaps.take(), gaps.take()], expected)
            self.assertEqual(client.rooms, ())

    async def test_a_room_that_may_not_be_had_is_told_to_all_who_want_it(self) -> None:
        async def refuses(peer: Peer) -> None:
            await peer.hello()
            await peer.refuse(await peer.hear("join_room"), "forbidden")
            await peer.end()

        async with server(refuses) as hub, self.client(f"{hub.url}/ws", token=TOKEN) as client:
            found = await asyncio.gather(client.join("hall"), client.join("hall"), return_exceptions=True)
            self.assertEqual([getattr(each, "code", each) for each in found], ["forbidden", "forbidden"])
            self.assertEqual(client.rooms, ())

    # --- views

    @at_once
    async def test_a_view_is_applied_message_by_message_and_asked_for_again(self) -> None:
        def device(id: str, x: float, **more: Any) -> dict[str, Any]:
            place = {"x": x, "y": 0, "z": 0}
            return {"id": id, "kind": "tag", "status": "connected", "last_seen": None, "location": place, **more}

        async def first(peer: Peer) -> None:
            await peer.hello()
            asked = await peer.hear("subscribe")
            self.assertEqual(asked["payload"], {"mode": "columns", "unit": "cm", "fields": "all", "max_rate_hz": 5})
            await peer.answer(asked, "subscribed", {"subscription": "s1", "epoch": "e", "seq": 0})
            page = {
                "subscription": "s1",
                "page": 1,
                "complete": False,
                "devices": [device("a", 1), device("b", 2, floor=1)],
            }
            await peer.say("view.snapshot", {**page, "refs": [4, 5]})
            page = {"subscription": "s1", "page": 2, "complete": True, "devices": [device("c", 3)]}
            await peer.say("view.snapshot", {**page, "refs": [6]})
            await peer.say("view.left", {"subscription": "s1", "device_ids": ["c", "nobody"]})
            columns = {
                "unit": "cm",
                "timestamp": "2026-01-01T00:00:01.000000Z",
                "refs": [5, 6, 4],
                "x": [250, 1, 150],
                "y": [0, 0, -1],
                "z": [0, 0, 0],
            }
            more = {
                "accuracy": [30, None, None],
                "floor": [None, None, 2],
                "battery": [87.5, None, None],
                "taken_ms_ago": [250, 0, 0],
            }
            await peer.say("uwb.position_columns", {**columns, **more}, subscription="s1")
            # Of another view, or of none.
            await peer.say("uwb.position_columns", {**columns, "x": [9, 9, 9]}, subscription="s2")
            await peer.say("uwb.position_columns", {**columns, "x": [9, 9, 9]})
            changed = await peer.hear("update_subscription")
            self.assertEqual(changed["payload"], {"subscription": "s1", "max_rate_hz": None, "mode": "batch"})
            await peer.answer(changed, "subscription.updated", {"subscription": "s1", "epoch": "e", "seq": 0})
            await peer.close(1012)

        async def second(peer: Peer) -> None:
            await peer.hello()
            asked = await peer.hear("subscribe")
            self.assertEqual(asked["payload"], {"mode": "batch", "unit": "cm", "fields": "all"})
            await peer.answer(asked, "subscribed", {"subscription": "s9", "epoch": "e", "seq": 0})
            page = {"subscription": "s9", "page": 1, "complete": True, "devices": [device("b", 2), device("d", 4)]}
            await peer.say("view.snapshot", page)
            moved = {"b": {"x": 5, "y": 5, "z": 5, "floor": 3}, "unknown": {"x": 1, "y": 1, "z": 1}}
            await peer.say("uwb.position_update", {"positions": moved, "timestamp": "t"}, subscription="s9")
            await peer.answer(await peer.hear("unsubscribe"), "unsubscribed", {"subscription": "s9"})
            await peer.end()

        async with server(first, second) as hub, self.client(f"{hub.url}/ws", token=TOKEN) as client:
            view = await client.subscribe(mode="columns", unit="cm", fields="all", max_rate_hz=5)
            changes = view.changes()
            await until(
                lambda: "a" in view.devices and view.devices["a"].get("floor") == 2,
                lambda: dict(view.devices).__repr__(),
            )
            self.assertEqual(sorted(view.devices), ["a", "b"])
            old = view.devices["b"]
            self.assertEqual(old["location"], {"x": 2.5, "y": 0.0, "z": 0.0})
            self.assertEqual((old.get("accuracy"), old.get("battery")), (0.3, 87.5))
            self.assertNotIn("floor", old)
            self.assertEqual(old.get("timestamp"), "2026-01-01T00:00:00.750000Z")
            await view.update(max_rate_hz=None, mode="batch")
            await until(
                lambda: view.is_live and "d" in view.devices and view.devices["b"].get("floor") == 3, lambda: repr(view)
            )
            self.assertEqual(sorted(view.devices), ["b", "d"])
            self.assertEqual(old["location"], {"x": 2.5, "y": 0.0, "z": 0.0}, "what was read stays as it was")
            change = await anext(changes)
            self.assertEqual((change.changed, change.left, change.is_snapshot), ({"b", "d"}, {"a"}, True))
            await view.close()
            self.assertEqual([each async for each in changes], [])

    @at_once
    async def test_each_fix_goes_on_where_it_was(self) -> None:
        place = {"location": {"x": 1, "y": 1, "z": 1}, "timestamp": "t", "received_at": "t"}

        async def first(peer: Peer) -> None:
            await peer.hello()
            asked = await peer.hear("subscribe")
            self.assertEqual(asked["payload"], {"lane": "every", "since": {"epoch": "e", "seq": 3}})
            await peer.answer(asked, "subscribed", {"subscription": "s1", "epoch": "e", "seq": 9, "recovered": True})
            await peer.say("uwb.location", {"device_id": "a", **place}, subscription="s1", epoch="e", seq=5)
            await peer.say("view.gap", {"subscription": "s1", "epoch": "e", "from_seq": 6, "to_seq": 8})
            await peer.say("uwb.location", {"device_id": "a", **place}, subscription="s1", epoch="e", seq=9)
            await peer.close(1012)

        async def second(peer: Peer) -> None:
            await peer.hello()
            asked = await peer.hear("subscribe")
            self.assertEqual(asked["payload"]["since"], {"epoch": "e", "seq": 9})
            await peer.answer(asked, "subscribed", {"subscription": "s1", "epoch": "f", "seq": 2, "recovered": False})
            await peer.close(1012)

        async def third(peer: Peer) -> None:
            await peer.hello()
            asked = await peer.hear("subscribe")
            self.assertEqual(asked["payload"]["since"], {"epoch": "f", "seq": 2})
            await peer.answer(asked, "subscribed", {"subscription": "s1", "epoch": "f", "seq": 7, "recovered": True})
            await peer.say("uwb.location", {"device_id": "b", **place}, subscription="s1", epoch="f", seq=4)
            await peer.end()

        async with server(first, second, third) as hub:
            client = self.client(f"{hub.url}/ws", token=TOKEN)
            view = client.subscribe(lane="every", since={"epoch": "e", "seq": 3})
            fixes, gaps = view.locations(), client.gaps()
            async with client:
                await view
                self.assertEqual([(await anext(fixes)).seq for _ in range(3)], [5, 9, 4])
                self.assertEqual((await anext(gaps)).to_seq, 8)
                gap = await anext(gaps)
                self.assertEqual((gap.reason, gap.subscription, gap.epoch), ("not_recovered", view, "f"))

    async def test_a_view_that_is_refused_says_so_and_one_that_is_late_is_taken_back(self) -> None:
        async def plays(peer: Peer) -> None:
            await peer.hello()
            await peer.refuse(await peer.hear("subscribe"), "forbidden")
            late = await peer.hear("subscribe")
            await asyncio.sleep(0.3)
            await peer.answer(late, "subscribed", {"subscription": "s1", "epoch": "e", "seq": 0})
            await peer.answer(await peer.hear("unsubscribe"), "unsubscribed", {"subscription": "s1"})
            done.set()
            await peer.end()

        done = asyncio.Event()
        async with server(plays) as hub, self.client(f"{hub.url}/ws", token=TOKEN) as client:
            with self.assertRaises(AnitaError) as caught:
                await client.subscribe()
            self.assertEqual(caught.exception.code, "forbidden")
            with self.assertRaises(AnitaError) as caught:
                await client.subscribe(timeout=0.1)
            self.assertEqual(caught.exception.code, "timeout")
            async with asyncio.timeout(PATIENCE_S):
                await done.wait()
            self.assertEqual(client._views, set())

    # --- the end, and what is printed

    async def test_nothing_is_left_after_the_close(self) -> None:
        async with server(greets) as hub:
            before = asyncio.all_tasks()
            for _ in range(5):
                async with self.client(f"{hub.url}/ws") as client:
                    waiting = asyncio.create_task(client.request("ping"))
                    opening = asyncio.create_task(client.subscribe().open())
                    joining = asyncio.create_task(client.join("hall"))
                    await asyncio.sleep(0)
                for task in (waiting, opening, joining):
                    with self.assertRaises(AnitaError) as caught:
                        await task
                    self.assertEqual(caught.exception.code, "closed")
                self.assertEqual((client.rooms, client._views, client._requests.waiting), ((), set(), 0))
                await client.close()
            left = {
                task
                for task in asyncio.all_tasks() - before
                if "anita" in task.get_name() or "AnitaClient" in repr(task)
            }
            self.assertEqual(left, set())

    async def test_it_can_be_started_again(self) -> None:
        async with server(greets) as hub:
            client = self.client(f"{hub.url}/ws")
            for _ in range(2):
                async with client:
                    self.assertIs(client.state, State.ONLINE)
            self.assertEqual(client.stats.connections, 2)

    @at_once
    async def test_no_token_is_printed_or_logged_at_the_finest_level(self) -> None:
        async def expires(peer: Peer) -> None:
            await peer.hello()
            await peer.hear("authenticate")
            await peer.say("error", {"code": "invalid_token", "message": f"Bad: {TOKEN}", "retryable": False})
            await peer.close(4501)

        # Not the log of the server, which is in this process, too.
        names = ["anita_client", "websockets.client"]
        with mock.patch.object(AnitaClient, "_refresh_in", staticmethod(lambda left: 0.01)):
            async with server(expires) as hub:
                client = self.client(f"{hub.url}/ws", token=lambda reason: TOKEN)
                lines: list[str] = []

                class Lines(logging.Handler):
                    def emit(self, record: logging.LogRecord) -> None:
                        lines.append(self.format(record))

                handler = Lines()
                loggers = [logging.getLogger(name) for name in names]
                for each in loggers:
                    each.addHandler(handler)
                    each.setLevel(logging.DEBUG)
                try:
                    client.start()
                    await self.state(client, State.FAILED)
                finally:
                    for each in loggers:
                        each.removeHandler(handler)
                        each.setLevel(logging.NOTSET)
                lines.append(repr(client))
                lines.append(repr(client._tokens))
                text = "\n".join(lines)
                self.assertIn("Authorization", text)
                self.assertIn("authenticate", text)
                for part in TOKEN.split("."):
                    self.assertNotIn(part, text)


class Views(unittest.TestCase):
    def test_a_view_shows_what_it_is(self) -> None:
        self.assertIn("0 devices", repr(View(mock.Mock(), {"mode": "batch"}, None)))
