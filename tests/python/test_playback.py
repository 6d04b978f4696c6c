"""Playing the past back, by Python's `websockets` library: a client that knows only the protocol page. ANITA_BIN names the
`anita` program."""

import datetime
import itertools
import time
import unittest

from harness import Server, program

names = itertools.count(1)

UTC = datetime.timezone.utc


def text(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class PlaybackTest(unittest.TestCase):
    """All of it against one plain server on loopback; each test has device ids of its own."""

    @classmethod
    def setUpClass(cls):
        program()
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)
        cls.publisher = cls.server.token("publisher")

    def setUp(self):
        self.device = f"p{next(names)}"
        self.start = datetime.datetime.now(UTC).replace(microsecond=0) - datetime.timedelta(hours=1)

    def hello(self, *arguments, **options):
        client = self.server.hello(*arguments, **options)
        self.addCleanup(client.close)
        return client

    def at(self, seconds):
        return text(self.start + datetime.timedelta(seconds=seconds))

    def report(self, *moments, device=None):
        """A fix at each of these seconds, whose x is the second."""
        items = [
            {"device_id": device or self.device, "location": {"x": it, "y": 0, "z": 0}, "timestamp": self.at(it)}
            for it in moments
        ]
        answer = self.server.http("POST", "/api/v1/locations", token=self.publisher, body={"locations": items})
        self.assertEqual((answer.status, answer.json["accepted"]), (200, len(items)))

    def play(self, client, until, **more):
        asked = {"start_time": self.at(0), "end_time": self.at(until), "device_ids": [self.device], **more}
        return client.ask("play_history", asked)

    def told(self, client, playback, until):
        """All messages of a playback up to one that is so; each names it twice, and nothing else does."""
        found = []
        while True:
            message = client.kept.pop(0) if client.kept else client.receive()
            is_own = message.get("playback") == playback
            self.assertEqual(message["payload"].get("playback") == playback, is_own, message["text"])
            if is_own:
                found.append(message)
                if until(message):
                    return found

    def test_a_period_is_played_as_the_page_says(self):
        # A first tick that is four seconds late still finds the first fix alone.
        self.report(0, *range(120, 180, 2))
        client = self.hello("/ws/uwb")
        began = time.monotonic()
        started = self.play(client, 178.5, speed=30)
        self.assertEqual((started["speed"], started["update_frequency"], started["devices"]), (30, 0.1, 1))
        self.assertEqual((started["start_time"], started["end_time"]), (self.at(0), self.at(178.5)))
        told = self.told(client, started["playback"], lambda it: it["type"] == "playback.ended")
        self.assertGreater(time.monotonic() - began, 5.85)
        self.assertEqual(told[-1]["payload"], {"playback": started["playback"], "reason": "end", "at": self.at(178.5)})
        updates = [it["payload"] for it in told if it["type"] == "uwb.position_update"]
        places = [it["positions"][self.device]["x"] for it in updates]
        self.assertEqual(places, sorted(set(places)), "forward in time")
        self.assertEqual((places[0], places[-1]), (0, 178))
        for update, x in zip(updates, places, strict=True):
            self.assertLessEqual(self.at(x), update["timestamp"], "nothing is told before it was")
        positions = [it["payload"]["at"] for it in told if it["type"] == "playback.position"]
        self.assertGreaterEqual(len(positions), 2)
        self.assertEqual(positions, sorted(positions))

    def test_pause_jump_speed_and_stop(self):
        self.report(*range(100))
        client = self.hello()
        # Long enough that it is not at its end when it is stopped.
        playback = self.play(client, 3_000)["playback"]
        updated = client.ask("update_playback", {"paused": True, "at": self.at(50)})
        self.assertEqual((updated["state"], updated["at"], updated["speed"]), ("paused", self.at(50), 1))
        is_there = lambda it: it["type"] == "uwb.position_update" and it["payload"]["timestamp"] == self.at(50)
        told = self.told(client, playback, is_there)
        self.assertEqual(told[-1]["payload"]["positions"], {self.device: {"x": 50, "y": 0, "z": 0}})
        updated = client.ask("update_playback", {"paused": False, "speed": 100})
        self.assertEqual((updated["state"], updated["at"], updated["speed"]), ("playing", self.at(50), 100))
        self.told(client, playback, lambda it: it["type"] == "uwb.position_update")
        stopped = client.request("stop_playback")
        self.assertEqual((stopped["type"], stopped["payload"]), ("playback.stopped", {"playback": playback}))
        ends = [it for it in client.so_far() if it["type"] == "playback.ended"]
        self.assertEqual([it["payload"]["reason"] for it in ends], ["stopped"])
        self.assertEqual(client.ask("stop_playback"), {})
        self.assertEqual(client.refused("update_playback", {"speed": 2})["code"], "not_found")

    def test_another_one_replaces_it_and_what_is_refused_does_not(self):
        self.report(*range(10))
        client = self.hello()
        first = self.play(client, 3_000)["playback"]
        for change, code in [
            ({"speed": 101}, "out_of_range"),
            ({"update_frequency": 0.01}, "out_of_range"),
            ({"end_time": self.at(-1)}, "out_of_range"),
            ({"end_time": self.at(40 * 86_400), "start_time": self.at(-40 * 86_400)}, "out_of_range"),
            ({"device_ids": ["nobody at all"]}, "not_found"),
            ({"start_time": "yesterday"}, "invalid_payload"),
        ]:
            asked = {"start_time": self.at(0), "end_time": self.at(9), **change}
            self.assertEqual(client.refused("play_history", asked)["code"], code, change)
        second = self.play(client, 3_000)["playback"]
        self.assertNotEqual(first, second)
        ended = client.expect("playback.ended")
        self.assertEqual((ended["payload"]["playback"], ended["payload"]["reason"]), (first, "replaced"))

    def test_what_a_token_may_not_see_is_not_played(self):
        self.report(0, 1, 2)
        self.report(0, 1, 2, device=f"{self.device}-secret")
        client = self.hello(devices=[self.device])
        asked = {"start_time": self.at(0), "end_time": self.at(3), "speed": 10}
        self.assertEqual(
            client.refused("play_history", {**asked, "device_ids": [f"{self.device}-secret"]})["code"], "not_found"
        )
        started = client.ask("play_history", asked)
        self.assertEqual(started["devices"], 1)
        told = self.told(client, started["playback"], lambda it: it["type"] == "playback.ended")
        devices = {id for it in told for id in it["payload"].get("positions", {})}
        self.assertEqual(devices, {self.device})
        publisher = self.hello(role="publisher")
        self.assertEqual(publisher.refused("play_history", asked)["code"], "forbidden")


if __name__ == "__main__":
    unittest.main()
