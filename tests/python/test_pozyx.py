"""The recorded messages of a Pozyx gateway through a real Mosquitto into `/ws/uwb`. Skipped where mosquitto or the recording is not
there; ANITA_TEST_REQUIRE_SERVICES=1 wants mosquitto."""

import json
import pathlib
import subprocess
import unittest

from harness import Broker, Server, program, wait_for

RECORDING = pathlib.Path(__file__).resolve().parents[3] / "shared/data/pozyx-mqtt/tags.ndjson"

# What the recording holds: see its README.
MESSAGES, POSITIONS, FAILURES = 320, 318, 2
TAGS = {"6934", "6938", "6952"}


class PozyxTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        program()
        if not RECORDING.is_file():
            raise unittest.SkipTest(f"the recording {RECORDING} is not there")
        cls.lines = RECORDING.read_text().splitlines()
        cls.broker = Broker()
        cls.addClassCleanup(cls.broker.close)
        source = f"""
[[sources]]
name = "hall"
type = "mqtt"
url = "mqtt://127.0.0.1:{cls.broker.port}"
format = "pozyx"
"""
        cls.server = Server(more=source)
        cls.addClassCleanup(cls.server.close)
        wait_for(cls.is_connected, "the source is connected")

    @classmethod
    def is_connected(cls):
        sources = cls.server.http("GET", "/readyz").json["sources"]
        return [(it["name"], it["state"]) for it in sources] == [("hall", "connected")]

    def publish(self, lines):
        command = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.broker.port), "-q", "1", "-t", "tags", "-l"]
        subprocess.run(command, input="".join(f"{line}\n" for line in lines), text=True, check=True, timeout=30)

    def fixes(self, *outcomes):
        return sum(self.server.metric("anita_fixes_total", source="hall", outcome=it) for it in outcomes)

    def positions(self):
        return self.fixes("newest", "late", "duplicate")

    def test_a_recorded_hall_is_heard_and_every_message_is_accounted_for(self):
        listener = self.server.hello("/ws/uwb")
        self.publish(self.lines)
        counts = lambda: (self.positions(), self.fixes("no_position"))
        wait_for(lambda: counts() == (POSITIONS, FAILURES), f"{POSITIONS} positions and {FAILURES} failures")
        self.assertEqual(sum(counts()), MESSAGES)

        newest = {}
        for message in (message for line in self.lines for message in json.loads(line)):
            if message["success"] and message["timestamp"] > newest.get(message["tagId"], {"timestamp": 0})["timestamp"]:
                newest[message["tagId"]] = message
        self.assertEqual(set(newest), TAGS)
        live = {tag: listener.ask("get_device_location", {"device_id": tag}) for tag in TAGS}
        for tag, message in newest.items():
            expected = {axis: value / 1_000 for axis, value in message["data"]["coordinates"].items()}
            self.assertEqual(live[tag]["location"], expected, tag)
        heard = []

        def last_heard():
            heard.extend(it["payload"] for it in listener.so_far() if it["type"] == "uwb.location")
            return {it["device_id"]: it["timestamp"] for it in heard}

        # The answer to a request does not wait for what is pushed.
        newest_times = {tag: live[tag]["timestamp"] for tag in TAGS}
        wait_for(lambda: last_heard() == newest_times, "the newest of each tag is heard")
        self.assertLessEqual(len(heard), self.fixes("newest"))
        for tag in TAGS:
            times = [it["timestamp"] for it in heard if it["device_id"] == tag]
            self.assertEqual(times, sorted(times), "a listener never sees a tag go back in time")
            self.assertEqual(times[-1], live[tag]["timestamp"])

        # The older lines again: they are counted, and the live state does not move.
        newest_count = self.fixes("newest")
        self.publish(self.lines[:200])
        wait_for(lambda: sum(counts()) == MESSAGES + 200, "the older lines are counted as well")
        self.assertEqual(self.fixes("newest"), newest_count)
        again = {tag: listener.ask("get_device_location", {"device_id": tag}) for tag in TAGS}
        self.assertEqual(again, live)
        self.assertNotIn("uwb.location", [it["type"] for it in listener.so_far()])

    def test_what_is_no_message_of_a_gateway_is_counted_and_harms_nothing(self):
        malformed = lambda: self.server.metric("anita_source_malformed", source="hall")
        before = malformed()
        self.publish(["not json", "{}", '[{"version":"2.0"}]'])
        wait_for(lambda: malformed() >= before + 3, "three malformed messages")
        self.assertTrue(self.is_connected())


if __name__ == "__main__":
    unittest.main()
