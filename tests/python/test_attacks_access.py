"""Attacks on what somebody may not see or do: guessing, asking sideways, and rights that change in the middle."""

import json
import unittest
from datetime import datetime, timedelta, timezone
from urllib.parse import quote

from attacks import attack
from harness import PATIENCE, Server, program, wait_for

POINT = {"x": 1, "y": 2, "z": 3}


class AccessTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        program()
        cls.server = Server(heartbeat_secs=5)
        cls.addClassCleanup(cls.server.close)
        cls.report(*[{"device_id": name, "location": POINT} for name in ["seen-1", "seen-2", "hidden-1", "hidden-2"]])

    @classmethod
    def report(cls, *items):
        answer = cls.server.http("POST", "/api/v1/locations", token=cls.server.token("publisher"), body=list(items))
        assert (answer.status, answer.json["accepted"]) == (200, len(items)), answer.body

    def hello(self, *arguments, **options):
        client = self.server.hello(*arguments, **options)
        self.addCleanup(client.close)
        return client

    # --- enumeration

    @attack("guessing devices: hidden ones and such that do not exist, by every request", "the same answer to the letter, `not_found`")
    def test_a_hidden_device_and_none_cannot_be_told_apart(self):
        client = self.hello(role="operator", subject="narrow", devices=["seen-*"])

        def told(type, payload, id):
            answer = client.request(type, payload(id))
            answer.pop("id")
            return answer["type"], json.dumps(answer["payload"]).replace(id, "ID")

        requests = [
            ("get_device_location", lambda id: {"device_id": id}),
            ("get_location_history", lambda id: {"device_id": id}),
            ("update_device", lambda id: {"device_id": id, "name": "mine"}),
            ("remove_device", lambda id: {"device_id": id}),
            ("register_device", lambda id: {"device_id": id}),
            ("report_location", lambda id: {"device_id": id, "location": POINT}),
            ("start_position_tracking", lambda id: {"device_ids": [id]}),
            ("play_history", lambda id: {"device_ids": [id], "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-01T01:00:00Z"}),
        ]
        for type, payload in requests:
            hidden, none = told(type, payload, "hidden-1"), told(type, payload, "absent-1")
            self.assertEqual(hidden, none, type)
        token = self.server.token("operator", "narrow", devices=["seen-*"])
        paths = [
            "/api/v1/devices/ID",
            "/api/v1/history/ID",
            "/api/v1/history/ID/track",
            "/api/v1/history?devices=ID",
            "/api/v1/snapshot?devices=ID&at=2026-01-01T00:00:00Z",
        ]
        for path in paths:
            answers = [self.server.http("GET", path.replace("ID", id), token=token) for id in ["hidden-1", "absent-1"]]
            shown = [(it.status, it.body.replace("hidden-1", "ID").replace("absent-1", "ID")) for it in answers]
            self.assertEqual(shown[0], shown[1], path)
        everybody = self.server.token("viewer")
        still = self.server.http("GET", "/api/v1/devices/hidden-1", token=everybody)
        self.assertEqual((still.status, still.json.get("name")), (200, None), "nothing was changed")

    @attack("seeing hidden devices sideways: lists, totals, pages, rooms, views by any id or pattern, history of all, events", "they are on none of them")
    def test_a_hidden_device_is_on_no_list(self):
        client = self.hello("/ws/uwb", role="viewer", subject="narrow", devices=["seen-*"])
        listed = client.ask("get_active_devices", {"limit": 1000})
        self.assertEqual(listed["total"], 2)
        client.ask("subscribe", {"devices": ["hidden-1", "seen-1"]})
        client.ask("subscribe", {"device_patterns": ["*"]})
        client.ask("subscribe", {})
        client.ask("start_position_tracking", {"device_ids": ["hidden-1", "hidden-2", "seen-2"], "update_frequency": 0.05})
        client.refused("get_active_devices", {"after": 7})
        self.assertEqual(client.ask("get_active_devices", {"after": "hidden-0"})["devices"][0]["id"], "seen-1")
        operator = self.hello(role="operator")
        for round in range(3):
            self.report(*[{"device_id": name, "location": {**POINT, "x": round}} for name in ["hidden-1", "seen-1", "hidden-2", "seen-2"]])
            operator.ask("update_device", {"device_id": "hidden-1", "name": f"round {round}"})
        client.expect("uwb.location", lambda payload: payload["device_id"] == "seen-2" and payload["location"]["x"] == 2)
        for message in client.so_far():
            self.assertNotIn("hidden", message["text"])
        token = self.server.token("viewer", "narrow", devices=["seen-*"])
        for path in ["/api/v1/devices", "/api/v1/history", "/api/v1/snapshot?at=2100-01-01T00:00:00Z", "/api/v1/events", "/api/v1/events?room=uwb"]:
            answer = self.server.http("GET", path, token=token)
            self.assertIn(answer.status, (200, 400), path)
            self.assertNotIn("hidden", answer.body, path)

    @attack("exports of several devices, hidden ones among them by id, by pattern or by asking for all, in every format", "what may be seen and nothing else; a hidden one is refused exactly as one that is not there")
    def test_an_export_of_several_devices_holds_what_may_be_seen(self):
        token = self.server.token("viewer", "narrow-exports", devices=["seen-*"])
        for format in ["csv", "ndjson", "geojson"]:

            def export(devices, format=format, token=token):
                path = f"/api/v1/history?format={format}" + (f"&devices={devices}" if devices else "")
                return self.server.http("GET", path, token=token)

            for devices in ["", "*", "seen-1,hidden-*", "%7Bhidden,seen%7D-*", "%5Bhs%5D*", "seen-1&devices=*-1"]:
                answer = export(devices)
                self.assertEqual(answer.status, 200, (format, devices, answer.body))
                self.assertIn("seen-1", answer.body)
                self.assertNotIn("hidden", answer.body, (format, devices))
            for mixed in ["ID", "seen-1,ID", "ID,seen-2", "seen-1&devices=ID"]:
                answers = [export(mixed.replace("ID", id)) for id in ["hidden-1", "absent-1"]]
                shown = [(it.status, it.body.replace("hidden-1", "ID").replace("absent-1", "ID")) for it in answers]
                self.assertEqual(shown[0], shown[1], (format, mixed))
            # With the right to, they are there.
            self.assertIn("hidden-1", export("hidden-*", token=self.server.token("viewer", "wide-exports")).body)

    @attack("who was in an area, page by page, from a hidden device's name on, and by areas that hold hidden devices alone", "hidden devices are on no page, in no cursor and make no page shorter")
    def test_visits_tell_of_no_hidden_device(self):
        narrow = self.server.token("viewer", "narrow-visits", devices=["seen-*"])
        wide = self.server.token("viewer", "wide-visits")
        # Alone in a corner of the site: an area that only a hidden device was in.
        self.report({"device_id": "hidden-alone", "location": {"x": 500, "y": 500, "z": 0}})
        now = datetime.now(timezone.utc)
        period = "&".join(f"{name}={(now + timedelta(minutes=by)).strftime('%Y-%m-%dT%H:%M:%SZ')}" for name, by in [("start_time", -60), ("end_time", 60)])

        def visits(token, x=0, after="", limit=1000):
            box = quote(json.dumps({"box": {"min_x": x - 10, "min_y": x - 10, "max_x": x + 10, "max_y": x + 10}}))
            path = f"/api/v1/visits?{period}&area={box}&limit={limit}" + (f"&after={quote(after)}" if after else "")
            return self.server.http("GET", path, token=token)

        def devices(answer):
            return {it["device_id"] for it in answer.json["visits"]}

        self.assertLessEqual({"hidden-1", "hidden-2", "seen-1", "seen-2"}, devices(visits(wide)), "they were there")
        self.assertEqual(devices(visits(wide, x=500)), {"hidden-alone"})
        allowed = devices(visits(narrow))
        self.assertTrue({"seen-1", "seen-2"} <= allowed and all(it.startswith("seen-") for it in allowed), allowed)
        alone, empty = visits(narrow, x=500), visits(narrow, x=900)
        self.assertEqual((alone.status, alone.json["visits"], alone.json.get("next")), (200, [], None))
        self.assertEqual(alone.body, empty.body, "an area of hidden devices is an empty one")
        # Page by page: cursors name nobody hidden, and an end is an end.
        seen, after = [], ""
        for _page in range(20):
            page = visits(narrow, after=after, limit=1)
            self.assertEqual(page.status, 200, page.body)
            self.assertNotIn("hidden", page.body)
            seen += [it["device_id"] for it in page.json["visits"]]
            after = page.json.get("next", "")
            if not after:
                break
        self.assertEqual(set(seen), allowed)
        # Cursors that somebody else got, and such that are made up.
        others = visits(wide, limit=1).json["next"]
        for cursor in [others, "hidden-1", "hidden-2", "absent-1"]:
            page = visits(narrow, after=cursor)
            self.assertIn(page.status, (200, 400), page.body)
            self.assertNotIn("hidden", page.body.replace(cursor, ""))

    @attack("guessing rooms: those outside the token, and such that nobody is in", "the same `forbidden` or `not_found`, whether or not the room is there")
    def test_a_closed_room_and_none_cannot_be_told_apart(self):
        owner = self.hello(role="operator")
        owner.ask("join_room", {"room": "secret/plans"})
        client = self.hello(role="operator", subject="narrow", rooms=["public/*"])
        requests = [
            ("join_room", lambda room: {"room": room}),
            ("get_room_members", lambda room: {"room": room}),
            ("send_to_room", lambda room: {"room": room, "name": "x", "data": 1}),
            ("leave_room", lambda room: {"room": room}),
        ]
        for type, payload in requests:
            answers = []
            for room in ["secret/plans", "secret/nobody"]:
                answer = client.request(type, payload(room))
                answers.append((answer["type"], json.dumps(answer["payload"]).replace(room, "ROOM")))
            self.assertEqual(answers[0], answers[1], type)
        self.assertEqual([it["type"] for it in owner.so_far() if it["type"] == "room.message"], [])
        # What was said there is kept, and shown to those who may be there alone.
        friend = self.hello(role="operator")
        friend.ask("send_to_room", {"room": "secret/plans", "name": "plan", "data": 1})

        def events(room, **options):
            return self.server.http("GET", f"/api/v1/events?room={room}", token=self.server.token("operator", **options))

        wait_for(lambda: events("secret/plans").json["events"], "the event is kept")
        answers = [events(room, subject="narrow", rooms=["public/*"]) for room in ["secret/plans", "secret/nobody"]]
        self.assertEqual(*[(it.status, it.body.replace("plans", "ROOM").replace("nobody", "ROOM")) for it in answers])

    @attack("speaking in a room in the name of the server, or of somebody else", "a name of the protocol stays inside `room.message`, which says who spoke")
    def test_nobody_speaks_as_the_server(self):
        listener, speaker = self.hello(role="operator"), self.hello(role="operator")
        listener.ask("join_room", {"room": "talk"})
        forged = {"device_id": "seen-1", "status": "disconnected"}
        more = {"from": listener.hello["client_id"], "type": "device.status", "seq": 7}
        speaker.ask("send_to_room", {"room": "talk", "name": "device.status", "data": forged, **more})
        told = listener.expect("room.message")
        self.assertEqual((told["payload"]["name"], told["payload"]["data"], told["seq"]), ("device.status", forged, 1))
        self.assertEqual(told["payload"]["from"]["client_id"], speaker.hello["client_id"])
        for message in listener.so_far():
            self.assertNotEqual(message["type"], "device.status")

    @attack("guessing connection ids, and closing other people's connections", "`forbidden` without the right; ids have 128 bits or more of randomness")
    def test_connections_are_the_administrators(self):
        ids = {self.hello().hello["client_id"] for _ in range(5)}
        self.assertTrue(len(ids) == 5 and all(len(id) >= 20 for id in ids), ids)
        for role in ["viewer", "publisher", "operator"]:
            for method, path in [("GET", "/api/v1/connections"), ("DELETE", f"/api/v1/connections/{next(iter(ids))}"), ("GET", "/api/v1/audit")]:
                self.assertEqual(self.server.http(method, path, token=self.server.token(role)).status, 403, (role, path))

    @attack("cursors and pages that are forged or another token's", "`invalid_payload`, or the page as one's own rights allow")
    def test_cursors_open_nothing(self):
        self.report(*[{"device_id": "hidden-1", "location": {**POINT, "x": number}} for number in range(5)])
        everything = self.hello(role="viewer", subject="all")
        page = everything.ask("get_location_history", {"device_id": "hidden-1", "limit": 2})
        narrow = self.hello(role="viewer", subject="narrow", devices=["seen-*"])
        self.assertEqual(narrow.refused("get_location_history", {"device_id": "hidden-1", "after": page["next"]})["code"], "not_found")
        answer = narrow.request("get_location_history", {"device_id": "seen-1", "after": page["next"]})
        self.assertNotIn("hidden", answer["text"])
        for cursor in ["", "x", "' OR 1=1 --", page["next"] + "x", page["next"][:-1], "\x00", "🜁" * 50, "-1", "9" * 60]:
            answer = everything.request("get_location_history", {"device_id": "hidden-1", "after": cursor})
            self.assertTrue(answer["type"] == "uwb.location_history" or answer["payload"]["code"] == "invalid_payload", cursor)

    @attack("SQL and globs in names: ids, rooms, filters, patterns", "they are names and nothing else")
    def test_names_are_never_read_as_queries(self):
        names = ["'; DROP TABLE fixes; --", '" OR ""="', "%", "_", "*", "?", "[a-z]", "seen-1' --", "$1", "{}", "..", "../../etc/passwd", "<script>"]
        self.report(*[{"device_id": name, "location": POINT} for name in names])
        client = self.hello(role="viewer")
        for name in names:
            self.assertEqual(client.ask("get_device_location", {"device_id": name})["device_id"], name)
            history = client.ask("get_location_history", {"device_id": name})["history"]
            self.assertEqual(len(history), 1, name)
        # An id that looks like a glob opens nothing but itself.
        operator = self.hello(role="operator")
        for name in names:
            operator.ask("remove_device", {"device_id": name})
        self.assertTrue({"seen-1", "seen-2", "hidden-1"} <= {it["id"] for it in client.ask("get_active_devices", {"limit": 1000})["devices"]})

    # --- rights that change

    @attack("going on with old rights after a token with fewer was taken: rooms, views, tracking, history, playback", "not one message more with what is hidden now")
    def test_narrowed_rights_hold_at_once(self):
        client = self.hello("/ws/uwb", role="operator", subject="changing")
        client.ask("subscribe", {})
        client.ask("start_position_tracking", {"device_ids": ["hidden-1", "seen-1"], "update_frequency": 0.05})
        client.ask("join_room", {"room": "secret"})
        speaker = self.hello(role="operator")
        speaker.ask("send_to_room", {"room": "secret", "name": "before", "data": 1})
        client.expect("room.message")
        self.report({"device_id": "hidden-1", "location": {**POINT, "x": 50}})
        client.expect("uwb.location", lambda payload: payload["location"]["x"] == 50)
        # A minute of the past that takes ten seconds, with both devices in all of it.
        began_at = datetime.now(timezone.utc) - timedelta(minutes=10)
        at = lambda second: (began_at + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        devices = ["past-hidden-1", "seen-past-1"]
        for device in devices:
            self.report(*[{"device_id": device, "location": POINT, "timestamp": at(second)} for second in range(60)])
        fewer = self.server.token("viewer", "changing", devices=["seen-*"], rooms=["uwb"])
        asked = {"start_time": at(0), "end_time": at(60), "device_ids": devices, "speed": 6, "update_frequency": 0.05}
        client.ask("play_history", asked)
        client.expect("uwb.position_update", lambda payload: "past-hidden-1" in payload["positions"])
        client.ask("authenticate", {"token": fewer})
        client.kept.clear()
        speaker.ask("join_room", {"room": "secret"})
        speaker.ask("send_to_room", {"room": "secret", "name": "after", "data": 1})
        client.expect("playback.ended", seconds=2 * PATIENCE)
        for number in range(20):
            self.report({"device_id": "hidden-1", "location": {**POINT, "x": 60 + number}}, {"device_id": "seen-1", "location": {**POINT, "x": 60 + number}})
        client.expect("uwb.location", lambda payload: payload["location"]["x"] == 79 and payload["device_id"] == "seen-1")
        for type, payload in [
            ("get_device_location", {"device_id": "hidden-1"}),
            ("get_location_history", {"device_id": "hidden-1"}),
        ]:
            self.assertEqual(client.refused(type, payload)["code"], "not_found")
        self.assertEqual(client.refused("send_to_room", {"room": "secret", "name": "x", "data": 1})["code"], "forbidden")
        played = 0
        for message in client.so_far():
            if message["type"] != "view.left":
                self.assertNotIn('"hidden-1"', message["text"])
                self.assertNotIn("past-hidden-1", message["text"])
            self.assertNotEqual(message["type"], "room.message")
            played += '"seen-past-1"' in message["text"]
        self.assertGreater(played, 0, "the playback went on with the other device")

    @attack("freezing a device with a time in the future", "`out_of_range`: five seconds are allowed")
    def test_the_future_is_refused(self):
        publisher = self.hello(role="publisher")
        for ahead in [20, 60, 86_400 * 365]:
            when = (datetime.now(timezone.utc) + timedelta(seconds=ahead)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            answer = publisher.ask("report_location", {"device_id": "seen-1", "location": POINT, "timestamp": when})
            self.assertEqual((answer["accepted"], answer["refused"][0]["code"]), (0, "out_of_range"), ahead)

    @attack("a viewer who reports, registers, removes, speaks and administrates", "`forbidden`, each time, and an entry in the audit trail")
    def test_a_viewer_changes_nothing(self):
        client = self.hello(role="viewer", subject="curious")
        tries = [
            ("report_location", {"device_id": "seen-1", "location": POINT}, "locations.report"),
            ("register_device", {"device_id": "new"}, "devices.write"),
            ("update_device", {"device_id": "seen-1", "name": "mine"}, "devices.write"),
            ("remove_device", {"device_id": "seen-1"}, "devices.write"),
            ("send_to_room", {"room": "uwb", "name": "x", "data": 1}, "rooms.send"),
            ("get_room_members", {"room": "uwb"}, "rooms.members"),
        ]
        before = self.server.metric("anita_forbidden_total")
        for type, payload, _ in tries:
            self.assertEqual(client.refused(type, payload)["code"], "forbidden", type)
        token = self.server.token("viewer", "curious")
        by_rest = [
            ("POST", "/api/v1/locations", [{"device_id": "a", "location": POINT}], "POST /api/v1/locations", "locations.report"),
            ("DELETE", "/api/v1/connections/c-1", None, "DELETE /api/v1/connections/{id}", "connections.manage, id c-1"),
            ("POST", "/api/v1/tokens", {"subject": "curious"}, "POST /api/v1/tokens", "tokens.mint"),
            ("POST", "/api/v1/revocations", {"sub": "admin"}, "POST /api/v1/revocations", "tokens.revoke"),
            ("GET", "/api/v1/configuration", None, "GET /api/v1/configuration", "configuration.read"),
            ("PUT", "/api/v1/plans/hall%0Aforged", {"name": "x"}, "PUT /api/v1/plans/{id}", "plans.write, id hall%0Aforged"),
        ]
        for method, path, body, _, _ in by_rest:
            self.assertEqual(self.server.http(method, path, token=token, body=body).status, 403, path)
        self.assertEqual(self.server.metric("anita_forbidden_total"), before + len(tries) + len(by_rest), "each is counted")
        admin = self.server.token("admin")
        expected = {(type, object) for type, _, object in tries} | {(action, object) for *_, action, object in by_rest}

        def tried():
            entries = self.server.http("GET", "/api/v1/audit?limit=1000", token=admin).json["entries"]
            return {(it["action"], it["object"]) for it in entries if it["subject"] == "curious" and it["outcome"] == "forbidden"}

        wait_for(lambda: expected <= tried(), "the trail tells of each")
        self.assertEqual(tried(), expected)

    @attack("more devices than there may be, from a publisher who invents ids", "`limit_reached` for the new ones; those that are there go on")
    def test_invented_devices_are_bounded(self):
        server = Server(more="[devices]\ndevices_max = 10")
        self.addCleanup(server.close)
        items = [{"device_id": f"invented-{number}", "location": POINT} for number in range(50)]
        answer = server.http("POST", "/api/v1/locations", token=server.token("publisher"), body=items)
        self.assertEqual((answer.json["accepted"], {it["code"] for it in answer.json["refused"]}), (10, {"limit_reached"}))
        again = server.http("POST", "/api/v1/locations", token=server.token("publisher"), body=items[:10])
        self.assertEqual(again.json["accepted"], 10)


if __name__ == "__main__":
    unittest.main()
