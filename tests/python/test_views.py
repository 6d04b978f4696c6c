"""Views over a real server, by Python's `websockets` library: a client that knows only the protocol page. ANITA_BIN names the
`anita` program."""

import itertools
import json
import socket
import time
import unittest

from harness import PATIENCE, RawClient, Server, program, wait_for

names = itertools.count(1)


def box(min_x, min_y, max_x, max_y):
    return {"box": {"min_x": min_x, "min_y": min_y, "max_x": max_x, "max_y": max_y}}


class Seen:
    """What a client knows of a view when it does what the page says, and nothing else."""

    def __init__(self, client, subscription):
        self.client, self.subscription = client, subscription
        self.devices, self.refs = {}, {}

    def is_own(self, message):
        return self.subscription in (message.get("subscription"), message["payload"].get("subscription"))

    def take(self, message):
        kind, payload = message["type"], message["payload"]
        if kind == "view.snapshot" and payload["page"] == 1:
            self.devices, self.refs = {}, {}
        if kind in ("view.snapshot", "view.entered"):
            for index, device in enumerate(payload["devices"]):
                self.devices[device["id"]] = device["location"]
                if "refs" in payload:
                    self.refs[payload["refs"][index]] = device["id"]
        elif kind == "view.left":
            for id in payload["device_ids"]:
                self.devices.pop(id, None)
        elif kind == "uwb.position_update":
            for id, place in payload["positions"].items():
                assert id in self.devices, f"{id} moved, and never entered"
                self.devices[id] = {axis: place[axis] for axis in "xyz"}
        elif kind == "uwb.position_columns":
            per_metre = {"mm": 1_000, "cm": 100}[payload["unit"]]
            for ref, *place in zip(payload["refs"], payload["x"], payload["y"], payload["z"], strict=True):
                assert self.refs[ref] in self.devices
                self.devices[self.refs[ref]] = dict(zip("xyz", (it / per_metre for it in place), strict=True))

    def now(self):
        """The devices, after all that was sent before this moment; what is not of the view stays with the client."""
        heard = self.client.so_far()
        for message in heard:
            if self.is_own(message):
                self.take(message)
            else:
                self.client.kept.append(message)
        return {id: (place["x"], place["y"]) for id, place in self.devices.items()}


class ViewsTest(unittest.TestCase):
    """All of it against one plain server on loopback; each test has device ids and a corner of the site of its own."""

    @classmethod
    def setUpClass(cls):
        program()
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)
        cls.publisher = cls.server.token("publisher")

    def setUp(self):
        self.name = f"v{next(names)}"

    def hello(self, *arguments, **options):
        client = self.server.hello(*arguments, **options)
        self.addCleanup(client.close)
        return client

    def report(self, **places):
        """Reports by REST where devices are: `a=(1, 2)`."""
        items = [
            {"device_id": f"{self.name}-{id}", "location": {"x": x, "y": y, "z": 0.5}} for id, (x, y) in places.items()
        ]
        answer = self.server.http("POST", "/api/v1/locations", token=self.publisher, body=items)
        self.assertEqual((answer.status, answer.json["accepted"]), (200, len(items)))

    def subscribe(self, client, **payload):
        payload.setdefault("view", {"devices": [f"{self.name}-*"]})
        answer = client.ask("subscribe", payload)
        self.assertTrue(answer["epoch"])
        self.assertIsInstance(answer["seq"], int)
        return Seen(client, answer["subscription"])

    def shows(self, seen, **places):
        """Waits until the view shows exactly these devices there."""
        wanted = {f"{self.name}-{id}": place for id, place in places.items()}
        self.assertTrue(wait_for(lambda: seen.now() == wanted, f"{wanted}, and not {seen.now()}"))

    def test_an_area_shows_who_is_in_it_who_comes_and_who_goes(self):
        self.report(a=(1, 1), b=(50, 50))
        view = {"devices": [f"{self.name}-*"], "area": box(0, 0, 10, 10)}
        seen = self.subscribe(self.hello(), view=view)
        self.shows(seen, a=(1, 1))
        self.report(a=(2, 3))
        self.shows(seen, a=(2, 3))
        self.report(b=(10, 10))
        self.shows(seen, a=(2, 3), b=(10, 10))
        self.report(a=(11, 3), c=(5, 5))
        self.shows(seen, b=(10, 10), c=(5, 5))

    def test_a_map_that_pans_keeps_what_it_knows(self):
        self.report(a=(1, 1), b=(8, 8), c=(30, 30))
        only = {"devices": [f"{self.name}-*"]}
        client = self.hello()
        seen = self.subscribe(client, view={**only, "area": box(0, 0, 10, 10)})
        self.shows(seen, a=(1, 1), b=(8, 8))
        pan = {"subscription": seen.subscription, "view": {**only, "area": box(5, 5, 40, 40)}}
        self.assertEqual(client.ask("update_subscription", pan)["subscription"], seen.subscription)
        kept = client.so_far()
        self.assertNotIn("view.snapshot", [it["type"] for it in kept if seen.is_own(it)], "only the difference comes")
        client.kept.extend(kept)
        self.shows(seen, b=(8, 8), c=(30, 30))
        for step in range(20):
            area = box(step, step, step + 10, step + 10)
            client.send("update_subscription", {"subscription": seen.subscription, "view": {**only, "area": area}})
            self.report(a=(step + 1, step + 2), b=(8, 8 + step / 100))
        self.shows(seen, a=(20, 21))

    def test_columns_are_the_same_in_fewer_bytes(self):
        places = {f"t{index:03}": (index / 10, index / 7) for index in range(100)}
        client = self.hello()
        columns, batch = self.subscribe(client, mode="columns"), self.subscribe(client)
        self.report(**places)
        rounded = {id: (round(x, 3), round(y, 3)) for id, (x, y) in places.items()}
        self.shows(batch, **rounded)
        self.shows(columns, **rounded)
        self.report(**{id: (x + 1, y) for id, (x, y) in places.items()})
        one = client.expect("uwb.position_update")
        other = client.expect("uwb.position_columns")
        client.kept += [one, other]
        if len(one["payload"]["positions"]) == len(other["payload"]["refs"]):
            self.assertLess(2 * len(other["text"]), len(one["text"]))
        moved = {id: (round(x + 1, 3), y) for id, (x, y) in rounded.items()}
        self.shows(columns, **moved)
        self.shows(batch, **moved)

    def test_a_paused_view_is_silent_and_goes_on_with_what_is_so_then(self):
        self.report(a=(1, 1), b=(2, 2))
        client = self.hello()
        seen = self.subscribe(client, max_rate_hz=20)
        self.shows(seen, a=(1, 1), b=(2, 2))
        client.ask("update_subscription", {"subscription": seen.subscription, "max_rate_hz": 0})
        self.report(a=(3, 1), c=(4, 4))
        watcher = self.subscribe(self.hello())
        self.shows(watcher, a=(3, 1), b=(2, 2), c=(4, 4))
        self.shows(seen, a=(1, 1), b=(2, 2))
        client.ask("update_subscription", {"subscription": seen.subscription, "max_rate_hz": None})
        self.shows(seen, a=(3, 1), b=(2, 2), c=(4, 4))

    def test_a_rate_shows_a_device_that_stops_where_it_stopped(self):
        self.report(a=(0, 0))
        client = self.hello()
        seen = self.subscribe(client, max_rate_hz=5)
        self.shows(seen, a=(0, 0))
        began = time.monotonic()
        for step in range(1, 41):
            self.report(a=(step, 0))
        self.shows(seen, a=(40, 0))
        stats = client.ask("get_connection_stats")
        spent = time.monotonic() - began
        self.assertLessEqual(stats["positions_delivered"], 5 * spent + 2)
        shown = [it for it in stats["subscriptions"] if it["subscription"] == seen.subscription]
        self.assertEqual(shown[0]["devices"], 1)

    def test_rights_narrow_a_view_also_while_it_is_open(self):
        self.report(**{"near": (1, 1), "far": (2, 2)})
        narrow = {"devices": [f"{self.name}-near"]}
        client = self.hello(subject="nina", **narrow)
        seen = self.subscribe(client, view={})
        self.shows(seen, near=(1, 1))
        wide = self.hello(subject="willi")
        widely = self.subscribe(wide)
        self.shows(widely, near=(1, 1), far=(2, 2))
        wide.ask("authenticate", {"token": self.server.token("viewer", "willi", **narrow)})
        self.shows(widely, near=(1, 1))
        self.report(far=(3, 3), near=(1, 4))
        self.shows(widely, near=(1, 4))
        self.shows(seen, near=(1, 4))
        refused = self.hello(role="publisher").refused("subscribe")
        self.assertEqual((refused["code"], refused["details"]["permission"]), ("forbidden", "devices.read"))

    def test_what_is_no_view_is_refused_with_its_path(self):
        client = self.hello()
        wrong = [
            ({"view": {"area": {"polygon": [[0, 0], [1, 1]]}}}, "view.area"),
            ({"view": {"area": {"box": [0, 0, 1, 1]}}}, "view.area.box"),
            ({"max_rate_hz": 101}, "max_rate_hz"),
            ({"mode": "binary"}, "mode"),
            ({"lane": "every", "max_rate_hz": 1}, "lane"),
        ]
        for payload, path in wrong:
            refused = client.refused("subscribe", payload)
            self.assertEqual((refused["code"], refused["details"]["path"]), ("invalid_payload", path))
        self.assertEqual(client.refused("unsubscribe", {"subscription": "s1"})["code"], "not_found")
        for _ in range(16):
            client.ask("subscribe", {"max_rate_hz": 0})
        self.assertEqual(client.refused("subscribe")["code"], "limit_reached")

    def test_the_lane_every_tells_each_fix_and_goes_on_after_a_return(self):
        client = self.hello()
        view = {"devices": [f"{self.name}-*"]}
        asked = client.ask("subscribe", {"lane": "every", "view": view})
        for step in range(1, 6):
            self.report(a=(step, 0))
        heard = [client.expect("uwb.location") for _ in range(5)]
        self.assertEqual([it["payload"]["location"]["x"] for it in heard], [1, 2, 3, 4, 5])
        self.assertEqual({(it["subscription"], it["epoch"]) for it in heard}, {(asked["subscription"], asked["epoch"])})
        numbers = [it["seq"] for it in heard]
        self.assertEqual(numbers, sorted(set(numbers)))
        client.close()
        for step in range(6, 9):
            self.report(a=(step, 0))
        again = self.hello()
        since = {"epoch": asked["epoch"], "seq": numbers[2]}
        self.assertTrue(again.ask("subscribe", {"lane": "every", "view": view, "since": since})["recovered"])
        missed = [again.expect("uwb.location") for _ in range(5)]
        self.assertEqual([it["payload"]["location"]["x"] for it in missed], [4, 5, 6, 7, 8])
        self.assertEqual([it["seq"] for it in missed[:2]], numbers[3:])

    def test_nothing_of_a_view_comes_after_its_end(self):
        self.report(a=(1, 1))
        client = self.hello()
        seen = self.subscribe(client)
        self.shows(seen, a=(1, 1))
        for step in range(20):
            self.report(a=(step, 2))
        client.send("unsubscribe", {"subscription": seen.subscription}, id="end")
        self.report(a=(99, 2))
        kept = client.so_far()
        end = next(index for index, it in enumerate(kept) if it.get("id") == "end")
        self.assertEqual(kept[end]["type"], "unsubscribed")
        self.assertEqual([it["text"] for it in kept[end + 1 :] if seen.is_own(it)], [])

    def test_who_does_not_read_is_kept_and_finds_everything_current(self):
        ids = [f"t{index:03}" for index in range(400)]
        self.report(**{id: (0, 0) for id in ids})
        with RawClient(self.server, token=self.server.token("viewer")) as slow:
            payload = {"view": {"devices": [f"{self.name}-*"]}, "fields": "all"}
            slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            slow.send_frame(1, json.dumps({"type": "subscribe", "payload": payload}).encode())
            watcher = self.subscribe(self.hello())
            # Far more than the kernel takes for a client that does not read.
            rounds = 200
            for step in range(1, rounds + 1):
                self.report(**{id: (step, 1) for id in ids})
                if step % 10 == 0:
                    slow.send_frame(10)  # It does not read, but it lives.
            self.shows(watcher, **{id: (rounds, 1) for id in ids})
            last, paces, told = {}, 0, 0
            slow.socket.settimeout(PATIENCE)
            while len(last) < len(ids) or any(place != (rounds, 1) for place in last.values()) or not paces:
                opcode, text = slow.receive_frame()
                if opcode == 9:
                    slow.send_frame(10, text)
                if opcode != 1:
                    continue
                message = json.loads(text)
                paces += message["type"] == "system.pace"
                for id, place in message["payload"].get("positions", {}).items():
                    self.assertLessEqual(last.get(id, (0, 0))[0], place["x"], "never an older position than before")
                    last[id] = (place["x"], place["y"])
                    told += 1
            self.assertLess(told, rounds * len(ids), "it was told fewer")


if __name__ == "__main__":
    unittest.main()
