"""Python's `websockets` library as a client that knows only the protocol page: the rows G1 to G16 of the brief, each tried on a
real server. ANITA_BIN names the `anita` program."""

import concurrent.futures
import hashlib
import itertools
import json
import random
import re
import signal
import socket
import ssl
import struct
import subprocess
import time
import unittest
from datetime import datetime, timedelta, timezone

from websockets.exceptions import ConnectionClosed, InvalidStatus

from harness import PATIENCE, RawClient, Server, program, wait_for

TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"


def now(**later):
    moment = datetime.now(timezone.utc) + timedelta(**later)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def item(device, x, y=0.0, z=0.0, **more):
    return {"device_id": device, "location": {"x": x, "y": y, "z": z}, **more}


class ProtocolTest(unittest.TestCase):
    """All of it against one plain server on loopback."""

    @classmethod
    def setUpClass(cls):
        program()
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)

    def open(self, client):
        self.addCleanup(client.close)
        return client

    def hello(self, *arguments, **options):
        return self.open(self.server.hello(*arguments, **options))

    def report(self, *items):
        """Reports by REST, and fails unless all are taken."""
        response = self.server.http("POST", "/api/v1/locations", token=self.server.token("publisher"), body=list(items))
        self.assertEqual((response.status, response.json), (200, {"accepted": len(items), "refused": []}))

    # --- G1: connections and rooms

    def test_g01_rooms_are_joined_left_and_heard_by_the_others(self):
        alice, bob = self.hello(role="operator", subject="alice"), self.hello(role="operator", subject="bob")
        joined = alice.ask("join_room", {"room": "hall-1"})
        self.assertEqual((joined["room"], joined["seq"]), ("hall-1", 0))
        self.assertTrue(joined["epoch"])
        bob.ask("join_room", {"room": "hall-1"})
        members = alice.ask("get_room_members", {"room": "hall-1"})
        self.assertEqual((members["total"], [it["user_id"] for it in members["members"]]), (2, ["alice", "bob"]))
        self.assertEqual(members["members"][0]["client_id"], alice.hello["client_id"])

        sent = alice.ask("send_to_room", {"room": "hall-1", "name": "note", "data": {"text": "hé", "n": 1.50}})
        self.assertEqual((sent["room"], sent["epoch"], sent["seq"]), ("hall-1", joined["epoch"], 1))
        heard = bob.expect("room.message")
        sender = {"client_id": alice.hello["client_id"], "user_id": "alice"}
        data = {"room": "hall-1", "name": "note", "data": {"text": "hé", "n": 1.5}, "from": sender}
        self.assertEqual(heard["payload"], data)
        self.assertEqual((heard["room"], heard["epoch"], heard["seq"]), ("hall-1", joined["epoch"], 1))
        self.assertNotIn("room.message", [it["type"] for it in alice.so_far()], "the sender is excluded")

        self.assertEqual(bob.ask("leave_room", {"room": "hall-1"}), {"room": "hall-1"})
        alice.ask("send_to_room", {"room": "hall-1", "name": "note", "data": 2})
        self.assertNotIn("room.message", [it["type"] for it in bob.so_far()], "who left hears no more")
        self.assertEqual(bob.refused("leave_room", {"room": "hall-1"})["code"], "not_found")
        for name in ["", "a b", "x" * 1_000, "caf\u00e9", "\u0000"]:
            error = alice.refused("join_room", {"room": name})
            self.assertEqual((error["code"], error["details"]["path"]), ("invalid_payload", "room"), name)

    def test_g01_however_a_socket_ends_nothing_of_it_stays(self):
        watcher = self.hello(role="operator", subject="watcher")
        connections = lambda: self.server.metric("anita_connections")
        wait_for(lambda: connections() == 1, "those of other tests are gone")
        watcher.ask("join_room", {"room": "ends"})
        polite = self.server.hello(role="operator")
        polite.ask("join_room", {"room": "ends"})
        rude = RawClient(self.server, token=self.server.token("operator"))
        rude.send_frame(1, b'{"type":"join_room","payload":{"room":"ends"}}')
        total = lambda: watcher.ask("get_room_members", {"room": "ends"})["total"]
        wait_for(lambda: total() == 3, "all are in the room")
        self.assertEqual(connections(), 3)
        polite.close()
        rude.vanish()
        wait_for(lambda: total() == 1, "both are out of the room")
        wait_for(lambda: connections() == 1, "both are gone")

    def test_g01_messages_are_numbered_and_what_was_missed_comes_after_a_return(self):
        speaker = self.hello(role="operator", subject="speaker")
        listener = self.hello(subject="listener")
        speaker.ask("join_room", {"room": "numbered"})
        joined = listener.ask("join_room", {"room": "numbered"})
        say = lambda n: speaker.ask("send_to_room", {"room": "numbered", "name": "n", "data": n})
        say(1)
        last = listener.expect("room.message")
        listener.close()
        for n in (2, 3):
            say(n)
        back = self.hello(subject="listener")
        since = {"epoch": last["epoch"], "seq": last["seq"]}
        again = back.ask("join_room", {"room": "numbered", "since": since})
        self.assertTrue(again["recovered"], again)
        missed = [back.expect("room.message") for _ in range(2)]
        self.assertEqual([(it["seq"], it["payload"]["data"]) for it in missed], [(2, 2), (3, 3)])
        other = self.hello(subject="other")
        lost = other.ask("join_room", {"room": "numbered", "since": {"epoch": "another", "seq": 1}})
        self.assertEqual((lost["recovered"], lost["epoch"]), (False, joined["epoch"]))

    def test_g01_the_uwb_endpoint_joins_its_room_by_itself(self):
        listener, plain = self.hello("/ws/uwb", subject="auto"), self.hello("/ws", subject="plain")
        operator = self.hello(role="operator")
        members = operator.ask("get_room_members", {"room": "uwb"})["members"]
        ids = [it["client_id"] for it in members]
        self.assertIn(listener.hello["client_id"], ids)
        self.assertNotIn(plain.hello["client_id"], ids)
        self.report(item("auto-1", 1.0))
        heard = listener.expect("uwb.location", lambda payload: payload["device_id"] == "auto-1")
        self.assertEqual(heard["payload"]["location"], {"x": 1.0, "y": 0.0, "z": 0.0})
        self.assertNotIn("uwb.location", [it["type"] for it in plain.so_far()])

    # --- G2: routing

    def test_g02_messages_are_routed_by_their_type(self):
        client = self.hello(role="admin")
        self.report(item("routed", 1.0))
        requests = [
            ("ping", {}, "system.pong"),
            ("authenticate", {"token": self.server.token("admin")}, "system.token_refreshed"),
            ("join_room", {"room": "routing"}, "room.joined"),
            ("get_room_members", {"room": "routing"}, "room.members"),
            ("send_to_room", {"room": "routing", "name": "n", "data": None}, "room.sent"),
            ("leave_room", {"room": "routing"}, "room.left"),
            ("get_active_devices", {}, "uwb.device_list"),
            ("get_device_location", {"device_id": "routed"}, "uwb.location"),
            ("register_device", {"device_id": "routed-2"}, "uwb.device_registered"),
            ("subscribe", {"view": {"devices": ["routed-*"]}}, "subscribed"),
            ("update_subscription", {"subscription": "s1", "max_rate_hz": 1}, "subscription.updated"),
            ("get_connection_stats", {}, "system.connection_stats"),
            ("unsubscribe", {"subscription": "s1"}, "unsubscribed"),
            ("update_device", {"device_id": "routed-2", "name": "n"}, "device.updated"),
            ("remove_device", {"device_id": "routed-2"}, "device.removed"),
            ("start_position_tracking", {"device_ids": []}, "uwb.tracking_started"),
            ("stop_position_tracking", {}, "uwb.tracking_stopped"),
            ("report_location", item("routed", 2.0), "uwb.locations_reported"),
            ("get_location_history", {"device_id": "routed"}, "uwb.location_history"),
            ("play_history", {"start_time": "2026-03-01T12:00:00Z", "end_time": "2026-03-01T12:10:00Z"}, "playback.started"),
            ("update_playback", {"paused": True}, "playback.updated"),
            ("stop_playback", {}, "playback.stopped"),
        ]
        for type, payload, answer in requests:
            self.assertEqual(client.request(type, payload)["type"], answer, type)
        for type in ["no_such_type", "system.heartbeat", "", "GET_ACTIVE_DEVICES"]:
            self.assertEqual(client.refused(type)["code"], "unknown_type", type)
        # Every request that the server documents is one of these.
        document = self.server.http("GET", "/schema/").json
        self.assertEqual(set(it["type"] for it in document["requests"]), set(type for type, _, _ in requests))

    def test_g02_requests_of_one_client_are_answered_in_order(self):
        client = self.hello(role="publisher")
        for n in range(200):
            client.send("ping", id=n)
        ids = [client.expect("system.pong")["id"] for _ in range(200)]
        self.assertEqual(ids, list(range(200)))

    # --- G3: the ways to authenticate

    def test_g03_four_ways_to_bring_a_token_end_in_the_same_hello(self):
        token = self.server.token("viewer", "alice")
        by_subprotocol = {"subprotocols": ["anita.v1", f"anita.bearer.{token}"]}
        clients = {
            "header": self.open(self.server.client("/ws", token)),
            "query": self.open(self.server.client(f"/ws?token={token}")),
            "subprotocol": self.open(self.server.client("/ws", **by_subprotocol)),
            "message": self.open(self.server.client("/ws")),
        }
        self.assertEqual(clients["subprotocol"].socket.subprotocol, "anita.v1")
        self.assertIsNone(clients["header"].socket.subprotocol)
        required = clients["message"].expect("system.auth_required")["payload"]
        self.assertTrue(required["auth_methods"] and required["message"])
        clients["message"].send("authenticate", {"token": token}, id=1)
        for way, client in clients.items():
            hello = client.expect("system.connection")
            self.assertEqual(hello.get("id"), 1 if way == "message" else None, way)
            payload = hello["payload"]
            self.assertEqual((payload["user_id"], payload["status"]), ("alice", "authenticated"), way)
        self.assertEqual(len({client.ask("ping") and way for way, client in clients.items()}), 4)

    def test_g03_the_hello_says_who_what_and_until_when(self):
        client = self.hello(role="viewer", subject="alice", ttl="30m")
        hello = client.hello
        self.assertEqual((hello["roles"], hello["protocol"]), (["viewer"], "anita.v1"))
        self.assertEqual(sorted(hello["permissions"]), ["devices.read", "history.read", "rooms.join"])
        self.assertEqual(hello["heartbeat_interval_secs"], 10)
        self.assertRegex(hello["expires_at"], TIME)
        expires_at = datetime.fromisoformat(hello["expires_at"])
        self.assertAlmostEqual((expires_at - datetime.now(timezone.utc)).total_seconds(), 1_800, delta=60)
        self.assertEqual(hello["limits"]["message_bytes"], 262_144)
        self.assertEqual((hello["limits"]["devices_per_page"], hello["limits"]["locations_per_report"]), (1_000, 1_000))
        self.assertEqual(hello["limits"]["requests_per_second"], 50)
        self.assertEqual(self.hello(role="publisher").hello["limits"]["requests_per_second"], 1_000)
        self.assertNotIn("system.connection", [it["type"] for it in client.so_far()], "it comes once")

    def test_g03_the_session_of_a_page_counts_for_its_own_origin_only(self):
        own = f"http://127.0.0.1:{self.server.port}"
        token = self.server.token("viewer", "page")
        headers = {"Origin": own}
        begun = self.server.http("POST", "/api/v1/session", body={"token": token}, headers=headers)
        self.assertEqual((begun.status, begun.json["user_id"]), (200, "page"))
        cookie = begun.headers["Set-Cookie"]
        for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"]:
            self.assertIn(attribute, cookie)
        cookie = {"Cookie": cookie.split(";")[0]}
        page = self.open(self.server.client("/ws/uwb", origin=own, headers=cookie))
        self.assertEqual(page.expect("system.connection")["payload"]["user_id"], "page")
        # A program that has the cookie and no origin is no page.
        stranger = self.open(self.server.client("/ws", headers=cookie))
        self.assertEqual(stranger.receive()["type"], "system.auth_required")
        for foreign in ["https://evil.example", f"https://127.0.0.1:{self.server.port}", f"{own}.evil.example", "null"]:
            with self.assertRaises(InvalidStatus) as refused:
                self.server.client("/ws/uwb", origin=foreign, headers=cookie)
            self.assertEqual(refused.exception.response.status_code, 403, foreign)
            begun = self.server.http("POST", "/api/v1/session", body={"token": token}, headers={"Origin": foreign})
            self.assertEqual(begun.status, 403, foreign)
        ended = self.server.http("DELETE", "/api/v1/session", headers={**headers, **cookie})
        self.assertEqual(ended.status, 204)
        closed = page.closed()
        self.assertEqual((closed.code, closed.reason), (4509, {"code": "logged_out"}))
        gone = self.open(self.server.client("/ws", origin=own, headers=cookie))
        self.assertEqual(gone.receive()["type"], "system.auth_required")

    def test_g03_a_wrong_token_is_told_and_sent_away(self):
        good = self.server.token("viewer")
        head, body, signature = good.split(".")
        wrong = ["nonsense", f"{head}.{body}.{signature[:-4]}AAAA", f"{head}.{body}.", f"{body}.{head}.{signature}"]
        for token in wrong:
            with self.server.client("/ws/uwb", token) as client:
                closed = client.closed()
            self.assertEqual((closed.code, closed.reason), (4501, {"code": "invalid_token"}), token)
            self.assertEqual([it["type"] for it in closed.before], ["error"], token)
            self.assertEqual((closed.error["code"], closed.error["retryable"]), ("invalid_token", False))
        with self.server.client("/ws") as client:
            client.send("authenticate", {"token": "nonsense"}, id="a")
            closed = client.closed()
        self.assertEqual((closed.code, closed.before[-1]["id"]), (4501, "a"))

    def test_g03_before_the_token_only_authenticate_is_listened_to(self):
        cases = [
            ('{"type":"get_active_devices"}', 4500, "unauthenticated"),
            ("not json", 4500, "invalid_json"),
            ("[]", 4500, "invalid_message"),
            ('{"type":"authenticate","payload":{}}', 4500, "invalid_payload"),
            (json.dumps({"type": "authenticate", "payload": {"token": "x" * 20_000}}), 1009, "too_large"),
        ]
        for text, code, error in cases:
            with self.server.client("/ws") as client:
                client.send_text(text)
                closed = client.closed()
            self.assertEqual((closed.code, closed.error["code"]), (code, error), text[:60])

    def test_g03_nobody_waits_for_a_token_longer_than_ten_seconds(self):
        began_at = time.monotonic()
        with self.server.client("/ws") as client:
            closed = client.closed(2 * PATIENCE)
            took = time.monotonic() - began_at
        self.assertEqual(closed.code, 4408)
        self.assertEqual(closed.error["code"], "unauthenticated")
        # Not before its time; after it as soon as a busy machine can.
        self.assertTrue(9.9 < took < 10 + PATIENCE, took)

    def test_g03_a_token_that_runs_out_closes_with_the_advice_to_come_back(self):
        client = self.hello(subject="short", ttl="3s")
        expires_at = datetime.fromisoformat(client.hello["expires_at"])
        closed = client.closed(2 * PATIENCE)
        late = (datetime.now(timezone.utc) - expires_at).total_seconds()
        self.assertEqual((closed.code, closed.reason), (4401, {"code": "token_expired"}))
        self.assertEqual((closed.error["code"], closed.error["retryable"]), ("token_expired", True))
        self.assertGreater(late, 4.5, "there are five seconds of leeway")
        expired = self.server.token(ttl="1s")
        wait_for(lambda: self.is_expired(expired), "the token is not accepted any more", 2 * PATIENCE, every=0.5)

    def is_expired(self, token):
        with self.server.client("/ws", token) as client:
            first = client.receive()
            if first["type"] == "system.connection":
                return False
            closed = client.closed()
            self.assertEqual((first["payload"]["code"], closed.code), ("token_expired", 4401))
            return True

    def test_g03_a_fresh_token_of_the_same_subject_keeps_the_socket(self):
        somebody_elses = self.server.token("operator", "somebody-else")
        narrow = self.server.token("viewer", "fresh", rooms=["kept"])
        client = self.hello(role="operator", subject="fresh", ttl="10s")
        other = client.refused("authenticate", {"token": somebody_elses})
        self.assertEqual(other["code"], "conflict")
        bad = client.refused("authenticate", {"token": "nonsense"})
        self.assertEqual(bad["code"], "invalid_token")
        client.ask("join_room", {"room": "kept"})
        client.ask("join_room", {"room": "lost"})
        refreshed = client.ask("authenticate", {"token": narrow})
        self.assertEqual(refreshed["roles"], ["viewer"])
        self.assertEqual(client.expect("room.left")["payload"], {"room": "lost"})
        self.assertEqual(client.refused("register_device", {"device_id": "d"})["code"], "forbidden")
        old_end = datetime.fromisoformat(client.hello["expires_at"]) + timedelta(seconds=6)
        is_past = lambda: client.ask("ping") and datetime.now(timezone.utc) > old_end
        wait_for(is_past, "the old token's end passes", 2 * PATIENCE, every=0.2)

    # --- G4: roles and patterns

    def test_g04_roles_decide_about_actions(self):
        viewer, publisher = self.hello(role="viewer"), self.hello(role="publisher")
        operator = self.hello(role="operator")
        forbidden = {
            viewer: ["report_location", "register_device", "update_device", "remove_device", "send_to_room"],
            publisher: ["get_active_devices", "get_location_history", "join_room", "start_position_tracking"],
        }
        payloads = {
            "report_location": item("roles", 1.0),
            "send_to_room": {"room": "r", "name": "n", "data": 1},
            "start_position_tracking": {"device_ids": []},
            "join_room": {"room": "r"},
            "get_active_devices": {},
        }
        before = self.server.metric("anita_forbidden_total")
        for client, types in forbidden.items():
            for type in types:
                error = client.refused(type, payloads.get(type, {"device_id": "roles"}))
                self.assertEqual((error["code"], error["retryable"]), ("forbidden", False), type)
                self.assertTrue(error["details"]["permission"], type)
        self.assertEqual(self.server.metric("anita_forbidden_total"), before + 9)
        self.assertEqual(publisher.ask("report_location", item("roles", 1.0)), {"accepted": 1, "refused": []})
        self.assertEqual(operator.ask("report_location", item("roles", 2.0)), {"accepted": 1, "refused": []})
        self.assertEqual(viewer.ask("get_device_location", {"device_id": "roles"})["location"]["x"], 2.0)
        refused = self.server.http("POST", "/api/v1/locations", token=self.server.token("viewer"), body=[item("a", 1.0)])
        self.assertEqual((refused.status, refused.json["code"]), (403, "forbidden"))
        self.assertEqual(self.server.metric("anita_forbidden_total"), before + 10, "REST is counted like sockets")
        self.assertEqual(self.server.http("GET", "/api/v1/devices").status, 401)
        self.assertIn("outcome=", self.plain_log(), "a refused action leaves an audit line")

    def plain_log(self):
        return re.sub(r"\x1b\[[0-9;]*m", "", self.server.log())

    def test_g04_a_payload_does_not_matter_where_the_action_is_forbidden(self):
        viewer = self.hello(role="viewer")
        self.assertEqual(viewer.refused("register_device", {"device_id": 7})["code"], "forbidden")

    def test_g04_device_patterns_narrow_lists_answers_and_pushes(self):
        self.report(item("ward-1", 1.0), item("ward-2", 2.0), item("store-1", 3.0))
        nurse = self.hello("/ws/uwb", subject="nurse", devices=["ward-*"])
        listed = [it["id"] for it in nurse.ask("get_active_devices", {})["devices"]]
        self.assertEqual(sorted(it for it in listed if it.startswith(("ward-", "store-"))), ["ward-1", "ward-2"])
        self.assertEqual([it for it in listed if not it.startswith("ward-")], [])
        hidden = nurse.refused("get_device_location", {"device_id": "store-1"})
        unknown = nurse.refused("get_device_location", {"device_id": "store-0"})
        self.assertEqual((hidden["code"], unknown["code"]), ("not_found", "not_found"))
        self.assertEqual(hidden["message"].replace("store-1", "store-0"), unknown["message"], "exactly alike")
        self.assertEqual(nurse.refused("get_location_history", {"device_id": "store-1"})["code"], "not_found")
        nurse.ask("start_position_tracking", {"device_ids": ["ward-1", "store-1"], "update_frequency": 0.05})
        update = nurse.expect("uwb.position_update")["payload"]
        self.assertEqual(list(update["positions"]), ["ward-1"])
        self.report(item("store-1", 4.0), item("store-2", 4.0), item("ward-1", 5.0))
        nurse.expect("uwb.location", lambda it: it["device_id"] == "ward-1" and it["location"]["x"] == 5.0)
        seen = json.dumps([it["text"] for it in nurse.so_far()])
        self.assertNotIn("store-", seen, "nothing of it is pushed")
        reporter = self.hello(role="publisher", devices=["ward-*"])
        answer = reporter.ask("report_location", {"locations": [item("ward-1", 6.0), item("store-1", 6.0)]})
        self.assertEqual((answer["accepted"], [it["index"] for it in answer["refused"]]), (1, [1]))
        self.assertEqual(answer["refused"][0]["code"], "not_found")

    def test_g04_room_patterns_and_the_right_to_the_room_uwb(self):
        guest = self.hello(subject="guest", rooms=["lobby*"])
        guest.ask("join_room", {"room": "lobby-1"})
        for room in ["uwb", "office"]:
            self.assertEqual(guest.refused("join_room", {"room": room})["code"], "forbidden")
        token = self.server.token("viewer", "guest", rooms=["lobby*"])
        with self.server.client("/ws/uwb", token) as client:
            closed = client.closed()
        self.assertEqual((closed.code, closed.error["code"]), (4503, "forbidden"))
        # A publisher opens any endpoint, and does not hear the room.
        publisher = self.hello("/ws/uwb", role="publisher")
        self.report(item("unheard", 1.0))
        self.assertNotIn("uwb.location", [it["type"] for it in publisher.so_far()])

    def test_g04_health_schemas_and_documents_are_public(self):
        for path in ["/healthz", "/readyz", "/metrics", "/schema/", "/schema/errors", "/api/v1", "/api/v1/openapi.json", "/"]:
            self.assertEqual(self.server.http("GET", path).status, 200, path)
        for path in ["/api/v1/devices", "/api/v1/history/x", "/api/v1/connections", "/api/v1/session"]:
            self.assertEqual(self.server.http("GET", path).status, 401, path)

    # --- G6 to G8: what a client needs to come back, and its four events

    def test_g06_ranges_and_advice_of_close_codes_are_published(self):
        for close in self.server.http("GET", "/schema/errors").json["close_codes"]:
            if close["number"] >= 4000:
                comes_back = close["advice"] != "stay_away"
                self.assertEqual(comes_back, close["number"] < 4500, close)

    def test_g07_numbers_and_ids_round_trip_to_the_letter(self):
        client, listener = self.hello(role="operator"), self.hello(subject="letters")
        for id in ["7", "1.50", "-0", "1e3", "12345678901234567890123", '"a"', '"\\u00e9\\""', '""', '"7"']:
            client.send_text(f'{{"id":{id},"type":"ping","payload":{{}}}}')
            answer = client.expect("system.pong")["text"]
            self.assertIn(f'"id":{id},', answer)
        client.ask("join_room", {"room": "letters"})
        listener.ask("join_room", {"room": "letters"})
        data = '{"n":[1.50,-0.0,1E+2,12345678901234567890123,0.1],"t":"é\\u0000\\ud83d\\ude00"}'
        client.send_text(f'{{"type":"send_to_room","payload":{{"room":"letters","name":"n","data":{data}}}}}')
        self.assertIn(f'"data":{data}', listener.expect("room.message")["text"])
        for id in ["true", "null", "{}", "[]", f'"{"x" * 200}"']:
            client.send_text(f'{{"id":{id},"type":"ping"}}')
            message = client.receive()
            while message["type"] not in ("error", "system.pong"):
                message = client.receive()
            expected = "system.pong" if id == "null" else "error"
            self.assertEqual(message["type"], expected, id)

    def test_g08_open_message_close_and_error_can_be_told_apart(self):
        client = self.hello()
        self.assertEqual(client.socket.response.status_code, 101)
        client.ask("ping")
        client.close()
        self.assertEqual((client.socket.close_code, client.socket.close_exc.rcvd.code), (1000, 1000))
        with self.assertRaises(InvalidStatus) as refused:
            self.server.client("/ws", self.server.token(), origin="https://evil.example")
        self.assertEqual(refused.exception.response.status_code, 403)
        problem = json.loads(refused.exception.response.body)
        self.assertEqual((problem["code"], problem["status"]), ("forbidden", 403))
        self.assertTrue(problem["remedy"])

    # --- G9: the envelope

    def test_g09_what_is_no_message_is_refused_with_its_code_and_the_socket_goes_on(self):
        client = self.hello(role="operator")
        deep = '{"type":"ping","payload":' + '{"a":' * 20 + "1" + "}" * 20 + "}"
        cases = [
            ("", "invalid_json"),
            ("hello", "invalid_json"),
            ('{"type":"ping"', "invalid_json"),
            ('{"type":"ping"} x', "invalid_json"),
            ('{"type":"ping"}{"type":"ping"}', "invalid_json"),
            ('{"type":"ping","type":"ping"}', "invalid_json"),
            ('{"type":"ping","payload":{"a":1,"a":1}}', "invalid_json"),
            ('{"type":"ping","payload":{"a":NaN}}', "invalid_json"),
            ("{'type':'ping'}", "invalid_json"),
            (deep, "invalid_json"),
            ("[]", "invalid_message"),
            ('[{"type":"ping"}]', "invalid_message"),
            ("1", "invalid_message"),
            ("null", "invalid_message"),
            ('"ping"', "invalid_message"),
            ("{}", "invalid_message"),
            ('{"payload":{}}', "invalid_message"),
            ('{"type":1}', "invalid_message"),
            ('{"type":null}', "invalid_message"),
            ('{"type":"pong"}', "unknown_type"),
        ]
        for text, code in cases:
            client.send_text(text)
            error = client.expect("error")
            self.assertEqual((error["payload"]["code"], error.get("id")), (code, None), text)
            self.assertTrue(error["payload"]["message"])
        client.send_text('{"type":"ping"}')
        client.expect("system.pong")
        client.send_text(' {"more": [1], "type":"ping","payload":{"more":1} } ')
        client.expect("system.pong")

    def test_g09_a_wrong_payload_names_the_path(self):
        client = self.hello(role="operator")
        point = {"x": 1, "y": 2, "z": 3}
        cases = [
            ("get_device_location", {}, ""),
            ("get_device_location", {"device_id": 7}, "device_id"),
            ("get_device_location", {"device_id": ""}, "device_id"),
            ("report_location", {"device_id": "p", "location": {**point, "x": "far"}}, "location.x"),
            ("report_location", {"device_id": "p", "location": {"x": 1, "y": 2}}, "location"),
            ("report_location", {"device_id": "p", "location": point, "timestamp": "yesterday"}, "timestamp"),
            ("report_location", {"locations": 3}, "locations"),
            ("start_position_tracking", {"device_ids": "all"}, "device_ids"),
            ("get_location_history", {"device_id": "p", "start_time": 3}, "start_time"),
            ("send_to_room", {"room": "r", "name": "", "data": 1}, "name"),
        ]
        for type, payload, path in cases:
            error = client.refused(type, payload)
            self.assertEqual((error["code"], error["details"]["path"]), ("invalid_payload", path), (type, payload))
        for payload in ["[]", "3", "null", '"x"']:
            client.send_text(f'{{"type":"ping","id":1,"payload":{payload}}}')
            answer = client.receive()
            while answer.get("id") != 1:
                answer = client.receive()
            # JSON's null is as good as no payload.
            expected = ("system.pong", None) if payload == "null" else ("error", "invalid_payload")
            self.assertEqual((answer["type"], answer["payload"].get("code")), expected, payload)

    def test_g09_frames_that_break_the_protocol_close_with_their_codes(self):
        binary = self.hello()
        binary.socket.send(b"{}")
        closed = binary.closed()
        self.assertEqual((closed.code, closed.error["code"]), (1003, "invalid_message"))

        large = self.hello()
        large.send_text(json.dumps({"type": "ping", "payload": {"x": "x" * 300_000}}))
        self.assertEqual(large.closed().code, 1009)

        cases = [
            (1007, [(1, b'{"type":"\xff\xfe"}', True)]),
            (1007, [(1, b"\xc3", False), (0, b"\x28", True)]),
            (1002, [(3, b"", True)]),
            (1002, [(0, b"x", True)]),
            (1002, [(9, b"x" * 126, True)]),
            (1009, [(1, b"x" * 200_000, False), (0, b"x" * 200_000, True)]),
        ]
        for code, frames in cases:
            with RawClient(self.server, token=self.server.token()) as raw:
                for opcode, payload, is_last in frames:
                    raw.send_frame(opcode, payload, is_last=is_last)
                self.assertEqual(raw.until_close()[0], code, frames[0][:1])

    # --- G11: lists

    def test_g11_the_list_comes_in_pages_ordered_by_id(self):
        ids = [f"page-{n:03}" for n in range(25)]
        self.report(*(item(id, 1.0) for id in random.sample(ids, len(ids))))
        client = self.hello(devices=["page-*"])
        after, pages = None, []
        while True:
            page = client.ask("get_active_devices", {"limit": 10, **({"after": after} if after else {})})
            self.assertEqual(page["total"], 25)
            pages.append([it["id"] for it in page["devices"]])
            after = page.get("next")
            if after is None:
                break
        self.assertEqual([len(page) for page in pages], [10, 10, 5])
        self.assertEqual(sum(pages, []), ids)
        whole = client.ask("get_active_devices")
        self.assertNotIn("next", whole)
        device = whole["devices"][0]
        self.assertEqual((device["kind"], device["status"]), ("tag", "connected"))
        self.assertRegex(device["last_seen"], TIME)
        self.assertEqual(device["location"], {"x": 1.0, "y": 0.0, "z": 0.0})
        for limit in [0, 1_001]:
            self.assertEqual(client.refused("get_active_devices", {"limit": limit})["code"], "out_of_range")
        rest = self.server.http("GET", "/api/v1/devices?limit=10", token=self.server.token(devices=["page-*"]))
        self.assertEqual([it["id"] for it in rest.json["devices"]], ids[:10])

    def test_g11_kinds_and_status_choose(self):
        operator = self.hello(role="operator", devices=["pick-*"])
        operator.ask("register_device", {"device_id": "pick-anchor", "kind": "anchor", "initial_location": {"x": 0, "y": 0, "z": 3}})
        operator.ask("report_location", item("pick-tag", 1.0))
        listed = lambda **payload: [it["id"] for it in operator.ask("get_active_devices", payload)["devices"]]
        self.assertEqual(listed(kinds=["anchor"]), ["pick-anchor"])
        self.assertEqual(listed(kinds=["tag"]), ["pick-tag"])
        self.assertEqual(listed(status=["connected"]), ["pick-anchor", "pick-tag"])
        self.assertEqual(listed(status=["disconnected"]), [])
        self.assertEqual(operator.refused("get_active_devices", {"kinds": ["robot"]})["code"], "invalid_payload")

    def test_g11_a_registered_device_is_said_and_kept(self):
        operator, listener = self.hello(role="operator"), self.hello("/ws/uwb")
        place = {"x": 1.5, "y": 2.0, "z": 0.25}
        answer = operator.ask("register_device", {"device_id": "reg-1", "initial_location": place, "name": "Lift 1"})
        self.assertEqual(answer, {"device_id": "reg-1", "initial_location": place})
        status = listener.expect("device.status", lambda it: it["device_id"] == "reg-1")
        self.assertEqual((status["payload"]["status"], status["room"]), ("connected", "uwb"))
        self.assertGreater(status["seq"], 0)
        self.assertEqual(listener.ask("get_device_location", {"device_id": "reg-1"})["location"], place)
        changed = operator.ask("update_device", {"device_id": "reg-1", "name": "Lift One"})
        self.assertEqual(changed["device"]["name"], "Lift One")
        heard = listener.expect("device.updated", lambda it: it["device"].get("name") == "Lift One")
        self.assertEqual(heard["payload"]["device"]["id"], "reg-1")
        operator.ask("remove_device", {"device_id": "reg-1"})
        listener.expect("device.removed", lambda it: it["device_id"] == "reg-1")
        self.assertEqual(listener.refused("get_device_location", {"device_id": "reg-1"})["code"], "not_found")
        self.assertEqual(operator.refused("remove_device", {"device_id": "reg-1"})["code"], "not_found")

    # --- G12: live locations, reports, tracking, history

    def test_g12_every_member_hears_each_newest_fix(self):
        listeners = [self.hello("/ws/uwb", subject=f"hears-{n}") for n in range(3)]
        publisher = self.hello(role="publisher")
        taken_at = now(seconds=-1)
        more = {"accuracy": 0.25, "floor": 2, "battery": 81, "timestamp": taken_at}
        publisher.ask("report_location", item("live-1", 1.23456, -0.0001, 3, **more))
        for listener in listeners:
            payload = listener.expect("uwb.location", lambda it: it["device_id"] == "live-1")["payload"]
            received_at = payload.pop("received_at")
            self.assertRegex(received_at, TIME)
            self.assertGreater(received_at, taken_at)
            self.assertEqual(payload, {"device_id": "live-1", "location": {"x": 1.235, "y": 0.0, "z": 3.0}, **more})

    def test_g12_an_old_fix_never_moves_the_live_location(self):
        publisher, viewer = self.hello(role="publisher"), self.hello("/ws/uwb")
        newest, older = now(seconds=-2), now(seconds=-60)
        publisher.ask("report_location", item("order", 1.0, timestamp=newest))
        viewer.expect("uwb.location", lambda it: it["device_id"] == "order")
        answer = publisher.ask("report_location", item("order", 2.0, timestamp=older))
        self.assertEqual(answer, {"accepted": 1, "refused": []}, "it is acknowledged")
        publisher.ask("report_location", item("order", 1.0, timestamp=newest))
        live = viewer.ask("get_device_location", {"device_id": "order"})
        self.assertEqual((live["location"]["x"], live["timestamp"]), (1.0, newest))
        self.assertNotIn("uwb.location", [it["type"] for it in viewer.so_far() if "order" in it["text"]])
        history = viewer.ask("get_location_history", {"device_id": "order"})["history"]
        self.assertEqual([it["timestamp"] for it in history], [newest, older], "kept, and the duplicate once")
        fixes = lambda outcome: self.server.metric("anita_fixes_total", source="websocket", outcome=outcome)
        self.assertGreaterEqual(fixes("late"), 1)
        self.assertGreaterEqual(fixes("duplicate"), 1)

    def test_g12_items_of_a_report_are_refused_one_by_one(self):
        publisher = self.hello(role="publisher")
        items = [
            item("many-1", 1.0),
            item("many-2", "far"),
            item("many-3", 1e8),
            item("many-4", 1.0, timestamp=now(seconds=60)),
            item("", 1.0),
            7,
            item("many-5", 1.0, battery=101),
            item("many-6", 1.0, timestamp=now(seconds=3)),
        ]
        answer = publisher.ask("report_location", {"locations": items})
        self.assertEqual(answer["accepted"], 2)
        codes = [(it["index"], it["code"]) for it in answer["refused"]]
        wrong, outside = "invalid_payload", "out_of_range"
        self.assertEqual(codes, [(1, wrong), (2, outside), (3, outside), (4, wrong), (5, wrong), (6, wrong)])
        self.assertTrue(all(it["message"] for it in answer["refused"]))
        token = self.server.token("publisher")
        rest = self.server.http("POST", "/api/v1/locations", token=token, body=items)
        # The future of many-6 may be the present by now; it is accepted either way.
        self.assertEqual((rest.status, [(it["index"], it["code"]) for it in rest.json["refused"]]), (200, codes))
        lines = "\n".join(json.dumps(it) for it in items)
        headers = {"Content-Type": "application/x-ndjson"}
        ndjson = self.server.http("POST", "/api/v1/locations", token=token, body=lines, headers=headers)
        self.assertEqual([(it["index"], it["code"]) for it in ndjson.json["refused"]], codes)
        too_many = publisher.refused("report_location", {"locations": [item(f"m{n}", 1) for n in range(1_001)]})
        self.assertEqual((too_many["code"], too_many["details"]["limit"]), ("too_large", 1_000))
        self.assertEqual(publisher.ask("report_location", {"locations": [item(f"m{n}", 1) for n in range(1_000)]})["accepted"], 1_000)

    def test_g12_each_client_tracks_at_its_own_rate(self):
        fast, slow = self.hello(subject="fast"), self.hello(subject="slow")
        publisher = self.hello(role="publisher")
        publisher.ask("report_location", item("track", 0.0))
        started = slow.ask("start_position_tracking", {"device_ids": ["track"], "update_frequency": 1})
        self.assertEqual(started, {"device_ids": ["track"], "update_frequency": 1})
        self.assertEqual(fast.ask("start_position_tracking", {"device_ids": ["track"], "update_frequency": 0.1})["update_frequency"], 0.1)
        defaulted = self.hello().ask("start_position_tracking", {"device_ids": []})
        self.assertEqual(defaulted, {"device_ids": [], "update_frequency": 0.5})
        updates = lambda client: [it["payload"] for it in client.so_far() if it["type"] == "uwb.position_update"]
        of_fast, of_slow, steps = [], [], itertools.count(1)

        def has_enough():
            publisher.ask("report_location", item("track", float(next(steps))))
            of_fast.extend(updates(fast))
            of_slow.extend(updates(slow))
            return len(of_fast) >= 20 and len(of_slow) >= 2 and len(of_fast) >= 3 * len(of_slow)

        counts = lambda: f"{len(of_fast)} updates at 0.1 s, {len(of_slow)} at 1 s"
        try:
            wait_for(has_enough, "one hears of the tag several times as often as the other", 2 * PATIENCE, every=0.05)
        except AssertionError as fault:
            fault.add_note(counts())
            raise
        for heard, seconds in [(of_fast, 0.1), (of_slow, 1)]:
            moments = [datetime.fromisoformat(it["timestamp"]) for it in heard]
            span = (moments[-1] - moments[0]).total_seconds()
            # One that was late may be followed by one that is not.
            self.assertLessEqual(len(heard) - 1, span / seconds + 2, f"in {span} s: {counts()}")
        xs = [it["positions"]["track"]["x"] for it in of_fast]
        self.assertEqual(xs, sorted(xs))
        self.assertRegex(of_fast[0]["timestamp"], TIME)
        self.assertEqual(fast.ask("stop_position_tracking"), {})
        fast.so_far()  # One more update may have come before the answer to the stop, which ends them.
        publisher.ask("report_location", item("track", -1.0))
        wait_for(lambda: updates(slow), "the slow one goes on", every=0.2)
        self.assertEqual(updates(fast), [])
        for frequency in [0, 0.001, -1, 1e9]:
            error = slow.refused("start_position_tracking", {"device_ids": [], "update_frequency": frequency})
            self.assertEqual(error["code"], "out_of_range", frequency)

    def test_g12_history_is_newest_first_in_pages(self):
        publisher, viewer = self.hello(role="publisher"), self.hello()
        times = [now(seconds=n - 100) for n in range(30)]
        publisher.ask("report_location", {"locations": [item("past", float(n), timestamp=it) for n, it in enumerate(times)]})
        ask = lambda **payload: viewer.ask("get_location_history", {"device_id": "past", **payload})
        seen, after = [], None
        for size in [12, 12, 6]:
            page = ask(limit=12, **({"after": after} if after else {}))
            self.assertEqual(len(page["history"]), size)
            seen += [it["timestamp"] for it in page["history"]]
            after = page.get("next")
        self.assertIsNone(after, "the last page has no next")
        self.assertEqual(seen, times[::-1])
        self.assertEqual([it["location"]["x"] for it in ask(limit=3)["history"]], [29.0, 28.0, 27.0])
        part = ask(start_time=times[10], end_time=times[12])
        self.assertEqual([it["timestamp"] for it in part["history"]], times[12:9:-1])
        self.assertEqual((part["start_time"], part["end_time"], part["device_id"]), (times[10], times[12], "past"))
        self.assertRegex(part["history"][0]["received_at"], TIME)
        self.assertEqual(viewer.refused("get_location_history", {"device_id": "past", "limit": 1_001})["code"], "out_of_range")
        self.assertEqual(viewer.refused("get_location_history", {"device_id": "no-such"})["code"], "not_found")
        backwards = {"device_id": "past", "start_time": times[12], "end_time": times[10]}
        self.assertEqual(viewer.refused("get_location_history", backwards)["code"], "invalid_payload")

    # --- G13, G14: errors, and their remedies

    def test_g13_every_error_has_a_stable_code_a_sentence_and_a_published_remedy(self):
        registry = {it["code"]: it for it in self.server.http("GET", "/schema/errors").json["errors"]}
        for code in """invalid_json invalid_message unknown_type invalid_payload unauthenticated forbidden not_found
                conflict rate_limited too_large unavailable internal""".split():
            self.assertTrue(registry[code]["message"] and registry[code]["remedy"], code)
        client = self.hello()
        for type, payload in [("no_such", {}), ("get_device_location", {"device_id": "no-such"}), ("register_device", {"device_id": "d"})]:
            error = client.refused(type, payload)
            self.assertEqual(error["retryable"], registry[error["code"]]["retryable"])

    def test_g13_an_endpoint_that_is_not_there_is_told_over_the_socket(self):
        with self.server.client("/ws/nowhere", self.server.token()) as client:
            closed = client.closed()
        self.assertEqual((closed.code, closed.error["code"]), (4504, "not_found"))

    def test_g14_problems_of_rest_carry_the_same_codes_with_the_remedy(self):
        token = self.server.token("publisher")
        cases = [
            ("POST", "/api/v1/locations", {"token": token, "body": "not json"}, 400, "invalid_json"),
            ("POST", "/api/v1/locations", {"token": token, "body": "{}"}, 400, "invalid_payload"),
            ("POST", "/api/v1/locations", {"token": "nonsense", "body": "[]"}, 401, "invalid_token"),
            ("GET", "/api/v1/devices", {"token": token}, 403, "forbidden"),
            ("GET", "/api/v1/devices/no-such", {"token": self.server.token()}, 404, "not_found"),
        ]
        for method, path, options, status, code in cases:
            problem = self.server.http(method, path, **options)
            self.assertEqual((problem.status, problem.json["code"]), (status, code), path)
            self.assertIn("application/problem+json", problem.headers["Content-Type"])
            self.assertTrue(problem.json["remedy"] and problem.json["detail"])

    # --- G15: small messages and limits

    def test_g15_requests_over_the_rate_are_refused_with_a_time_to_wait(self):
        client = self.hello(role="viewer")
        for n in range(300):
            client.send("ping", id=n)
        refused = client.expect("error")["payload"]
        self.assertEqual((refused["code"], refused["retryable"]), ("rate_limited", True))
        self.assertGreater(refused["retry_after_ms"], 0)
        answers = ("error", "system.pong")
        wait_for(lambda: sum(it["type"] in answers for it in client.kept) == 299 or client.keep(), "all are answered")
        client.kept.clear()
        time.sleep(refused["retry_after_ms"] / 1_000)
        self.assertEqual(client.request("ping")["type"], "system.pong", "it is answered again")

    def test_g15_a_refusal_for_the_rate_names_its_request(self):
        client = self.hello(role="viewer")
        for n in range(300):
            client.send("ping", id=n)
        refused = client.expect("error")
        self.assertEqual(refused["payload"]["code"], "rate_limited")
        self.assertIn("id", refused, "an error repeats the id of its request")

    def test_g15_the_schemas_that_are_published_hold(self):
        schema = self.server.http("GET", "/schema/report_location.json")
        self.assertEqual((schema.status, schema.headers["Content-Type"]), (200, "application/schema+json"))
        location = self.server.http("GET", "/schema/uwb.location.json").json
        self.assertIn("timestamp", location["required"])
        self.assertEqual(self.server.http("GET", "/schema/asyncapi.json").json["asyncapi"][:2], "3.")
        self.assertEqual(self.server.http("GET", "/api/v1/openapi.json").json["openapi"][:2], "3.")

    # --- G16: the guide's example

    def test_g16_the_guides_example_sends_at_once_and_gets_its_list(self):
        self.report(item("guide-1", 1.0))
        with self.server.client(f"/ws/uwb?token={self.server.token()}") as client:
            client.send_text('{"type":"get_active_devices","payload":{}}')
            devices = client.expect("uwb.device_list")["payload"]["devices"]
        self.assertIn("guide-1", [device["id"] for device in devices])


class HeartbeatTest(unittest.TestCase):
    """G10: signs of life. Two intervals are longer than a client that means well is held up on a busy machine."""

    INTERVAL = 4.0

    @classmethod
    def setUpClass(cls):
        program()
        cls.server = Server(heartbeat_secs=int(cls.INTERVAL))
        cls.addClassCleanup(cls.server.close)

    def test_g10_the_server_gives_signs_of_life(self):
        # The library answers the server's pings: it is not taken for silent.
        with self.server.hello() as client:
            self.assertEqual(client.hello["heartbeat_interval_secs"], self.INTERVAL)
            beats = [client.expect("system.heartbeat")["payload"] for _ in range(4)]
        for beat in beats:
            self.assertRegex(beat["server_time"], TIME)
        uptimes = [beat["uptime_seconds"] for beat in beats]
        steps = [after - before for before, after in zip(uptimes, uptimes[1:])]
        self.assertTrue(all(self.INTERVAL - 0.01 < step < PATIENCE for step in steps), steps)

    def test_g10_who_says_nothing_for_two_intervals_is_sent_away(self):
        token = self.server.token()
        began_at = time.monotonic()
        with RawClient(self.server, token=token) as raw:
            code, why, before = raw.until_close(2 * PATIENCE)
            took = time.monotonic() - began_at
        self.assertEqual((code, why), (4410, {"code": "silence"}))
        self.assertTrue(2 * self.INTERVAL < took < 2 * self.INTERVAL + PATIENCE, took)
        self.assertGreaterEqual([opcode for opcode, _ in before].count(9), 1, "it was pinged")

    def test_g10_any_frame_is_a_sign_of_life(self):
        with RawClient(self.server, token=self.server.token()) as raw:
            pongs = 0
            # The third ping is later than the end of somebody who is silent.
            while pongs < 3:
                opcode, payload = raw.receive_frame()
                self.assertNotEqual(opcode, 8, payload)
                if opcode == 9:
                    # An unsolicited one does as well as an answer.
                    raw.send_frame(10, b"whatever")
                    pongs += 1


class TlsTest(unittest.TestCase):
    """G5: a server with a certificate of its own."""

    @classmethod
    def setUpClass(cls):
        program()
        cls.server = Server(tls=True)
        cls.addClassCleanup(cls.server.close)

    def test_g05_the_certificate_is_the_printed_one_and_pinning_it_is_enough(self):
        der = ssl.PEM_cert_to_DER_cert(self.server.certificate)
        digest = hashlib.sha256(der).hexdigest().upper()
        printed = self.server.printed_fingerprint().replace(":", "")
        self.assertEqual(printed, digest)
        with self.server.hello("/ws/uwb") as client:
            self.assertIn(client.socket.socket.version(), ("TLSv1.2", "TLSv1.3"))
            client.ask("get_active_devices")
        headers = self.server.http("GET", "/readyz").headers
        self.assertIn("max-age=", headers["Strict-Transport-Security"])

    def test_g05_who_does_not_know_the_certificate_or_speaks_plain_text_gets_nowhere(self):
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.server.client("/ws", ssl=ssl.create_default_context())
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=PATIENCE) as plain:
            plain.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = plain.recv(1_000)
        self.assertIn(b" 400 ", answer.split(b"\r\n")[0])
        self.assertIn(b"https://", answer, "the remedy is told")

    def test_g05_plain_text_without_a_certificate_is_refused_at_the_start(self):
        config = self.server.folder / "plain.toml"
        config.write_text('[server]\nlisten = "127.0.0.1:0"\n[auth]\nsecret_file = "jwt.secret"\n[storage]\nurl = "memory"\n')
        ended = subprocess.run([self.server.program, "serve", "--config", str(config)], capture_output=True, text=True, timeout=30)
        self.assertNotEqual(ended.returncode, 0)
        for way_out in ["cert_file", "self_signed", "loopback", "trusted_proxy"]:
            self.assertIn(way_out, ended.stderr)


class OperationTest(unittest.TestCase):
    """What an operator does, and what befalls a server."""

    def setUp(self):
        program()
        self.server = Server(heartbeat_secs=5)
        self.addCleanup(self.server.close)

    def test_sigterm_drains(self):
        clients = [self.server.hello("/ws/uwb", subject=f"c{n}") for n in range(5)]
        waiting = self.server.client("/ws")
        stopped = concurrent.futures.ThreadPoolExecutor(1).submit(self.server.stop)
        for client in clients:
            closed = client.closed()
            self.assertEqual((closed.code, closed.reason["code"]), (1012, "restart"))
            told = [it["payload"] for it in closed.before if it["type"] == "system.reconnect"]
            self.assertEqual(len(told), 1)
            self.assertEqual(told[0]["retry_after_ms"], closed.reason["retry_after_ms"])
            self.assertTrue(0 <= told[0]["retry_after_ms"] <= 5_000)
        self.assertEqual(waiting.closed().code, 1012)
        self.assertEqual(stopped.result(timeout=30), 0)

    def test_g06_a_client_comes_back_after_a_restart_and_finds_its_names(self):
        operator = self.server.hello(role="operator")
        place = {"x": 1.0, "y": 2.0, "z": 3.0}
        operator.ask("register_device", {"device_id": "kept-1", "name": "Bett 7 é", "initial_location": place, "kind": "anchor"})
        operator.ask("register_device", {"device_id": "gone-1", "name": "x"})
        operator.ask("remove_device", {"device_id": "gone-1"})
        token = self.server.token("operator")
        self.assertEqual(self.server.stop(), 0)
        self.assertEqual(operator.closed().code, 1012)
        self.server.start()
        with self.server.client("/ws", token) as back:
            back.expect("system.connection")
            everything = {"status": ["connected", "stale", "disconnected"]}
            devices = {it["id"]: it for it in back.ask("get_active_devices", everything)["devices"]}
            self.assertEqual(list(devices), ["kept-1"])
            self.assertEqual((devices["kept-1"]["name"], devices["kept-1"]["kind"]), ("Bett 7 é", "anchor"))
            self.assertEqual(devices["kept-1"]["location"], place)

    def test_what_was_acknowledged_survives_a_kill(self):
        operator = self.server.hello(role="operator")
        operator.ask("register_device", {"device_id": "kept-2", "name": "Name"})
        self.server.stop(signal.SIGKILL)
        self.server.start()
        with self.server.hello() as back:
            devices = back.ask("get_active_devices", {"status": ["connected", "stale", "disconnected"]})["devices"]
            self.assertEqual([(it["id"], it["name"]) for it in devices], [("kept-2", "Name")])

    def test_two_hundred_who_misbehave_leave_nothing_behind_and_disturb_nobody(self):
        server = self.server
        listener, publisher = server.hello("/ws/uwb", subject="calm"), server.hello(role="publisher")
        operator = server.hello(role="operator", subject="speaker")
        for client in (listener, operator):
            client.ask("join_room", {"room": "calm"})
        before = server.metric("anita_connections")
        rooms_before = server.metric("anita_rooms")
        memory_before = resident_bytes(server)
        token, expired = server.token("operator", "bad"), server.token("operator", "late", ttl="1s")
        kinds = [misbehave_garbage, misbehave_binary, misbehave_huge, misbehave_half_open, misbehave_expired]
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            misbehaving = [pool.submit(kinds[n % len(kinds)], server, token, expired) for n in range(200)]
            rounds, worst = 0, 0.0
            while rounds < 30 or not all(it.done() for it in misbehaving):
                rounds += 1
                began_at = time.monotonic()
                publisher.ask("report_location", item("calm", float(rounds)))
                listener.expect("uwb.location", lambda it: it["device_id"] == "calm" and it["location"]["x"] == rounds)
                operator.ask("send_to_room", {"room": "calm", "name": "n", "data": rounds})
                heard = listener.expect("room.message")
                worst = max(worst, time.monotonic() - began_at)
                self.assertEqual((heard["payload"]["data"], heard["seq"]), (rounds, rounds), "none is lost")
            for it in misbehaving:
                it.result()
        self.assertLess(worst, PATIENCE, "the slowest round of a client that behaves")
        wait_for(lambda: server.metric("anita_connections") == before, "all are gone", seconds=30, every=0.1)
        wait_for(lambda: server.metric("anita_rooms") == rooms_before, "the room of the garbage is gone")
        total = operator.ask("get_room_members", {"room": "calm"})["total"]
        self.assertEqual(total, 2)
        # The allocator may keep some; what 200 sockets of 300 KB each would leave behind is ten times as much.
        self.assertLess(resident_bytes(server) - memory_before, 40_000_000)


def resident_bytes(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        line = next(line for line in status if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1_024


def misbehave_garbage(server, token, _expired):
    """Joins a room, sends garbage, and vanishes."""
    raw = RawClient(server, token=token)
    raw.send_frame(1, b'{"type":"join_room","payload":{"room":"calm"}}')
    raw.send_frame(1, b'{"type":"join_room","payload":{"room":"garbage"}}')
    try:
        for _ in range(50):
            raw.send_frame(1, random.choice([b"{", b"[]", b'{"type":"x"}', b"\x00" * 100, b'{"type":7}']))
        raw.socket.sendall(random.randbytes(500))
    except OSError:
        pass
    raw.vanish()


def misbehave_binary(server, token, _expired):
    with RawClient(server, token=token) as raw:
        raw.send_frame(2, random.randbytes(1_000))
        code, _, _ = raw.until_close()
        assert code == 1003, code


def misbehave_huge(server, token, _expired):
    with RawClient(server, "/ws/uwb", token=token) as raw:
        try:
            # The head of a frame of a gigabyte, and some of it.
            raw.socket.sendall(struct.pack("!BBQ", 0x81, 0xFF, 1 << 30) + b"mask" + b"x" * 300_000)
        except OSError:
            return
        code, _, _ = raw.until_close()
        assert code == 1009, code


def misbehave_half_open(server, token, _expired):
    """Never reads, never answers, and is still there when the server gives it up."""
    raw = RawClient(server, "/ws/uwb", token=token)
    raw.send_frame(1, b'{"type":"start_position_tracking","payload":{"device_ids":[],"update_frequency":0.02}}')
    half = random.choice([b"\x81", b"\x81\xfe", b"\x81\x85mask", b"\x01\x82mask"])
    raw.socket.sendall(half)
    code, _, _ = raw.until_close(4 * PATIENCE)
    assert code == 4410, code
    raw.socket.close()


def misbehave_expired(server, _token, expired):
    try:
        with server.client("/ws/uwb", expired) as client:
            closed = client.closed(2 * PATIENCE)
            assert closed.code == 4401, closed.code
    except ConnectionClosed:
        pass


if __name__ == "__main__":
    unittest.main()
