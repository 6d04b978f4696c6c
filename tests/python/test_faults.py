"""A broker that is frozen, killed and started again while it is under load: others are served meanwhile, and the source goes on by
itself. Needs mosquitto; ANITA_TEST_REQUIRE_SERVICES=1 wants it. What the database, the disk and the issuer can do wrong is tried
by crates/anita/tests (survival, identity)."""

import contextlib
import itertools
import json
import signal
import subprocess
import threading
import time
import unittest

from harness import PATIENCE, Broker, Server, program, wait_for


class Gateway:
    """Publishes a tag that moves, fifty times a second, over another connection each second."""

    def __init__(self, broker):
        self.broker, self.is_over, self.pipe = broker, threading.Event(), None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        command = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.broker.port), "-q", "0", "-t", "tags", "-l"]
        for x in itertools.count():
            if self.is_over.is_set():
                return
            if x % 50 == 0:
                self.hang_up()
                quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
                self.pipe = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, **quiet)
            data = {"coordinates": {"x": x, "y": 0, "z": 0}}
            message = [{"version": "1", "alive": True, "tagId": "walker", "success": True, "timestamp": time.time(), "data": data}]
            with contextlib.suppress(OSError):
                self.pipe.stdin.write(json.dumps(message) + "\n")
                self.pipe.stdin.flush()
            self.is_over.wait(0.02)

    def hang_up(self):
        if self.pipe:
            self.pipe.kill()
            with contextlib.suppress(OSError):
                self.pipe.communicate()

    def close(self):
        self.is_over.set()
        self.thread.join()
        self.hang_up()


class BrokerFaultsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        program()
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
        cls.gateway = Gateway(cls.broker)
        cls.addClassCleanup(cls.gateway.close)

    def moves(self):
        """Waits until the tag has moved twice from now on."""
        with self.server.hello("/ws/uwb") as viewer:
            for _ in range(2):
                viewer.expect("uwb.location", lambda payload: payload["device_id"] == "walker")

    def others_are_served(self, rounds=20):
        """A report by REST is heard by a viewer, again and again; returns the longest time, seconds."""
        longest, token = 0, self.server.token("publisher")
        with self.server.hello("/ws/uwb") as viewer:
            for x in range(rounds):
                began_at = time.monotonic()
                item = {"device_id": "other", "location": {"x": x + 1, "y": 0, "z": 0}}
                self.assertEqual(self.server.http("POST", "/api/v1/locations", token=token, body=item).status, 200)
                viewer.expect("uwb.location", lambda payload: payload["device_id"] == "other" and payload["location"]["x"] == x + 1)
                longest = max(longest, time.monotonic() - began_at)
        return longest

    def source(self):
        return self.server.http("GET", "/readyz").json["sources"][0]

    def test_a_frozen_broker_holds_up_nobody_and_goes_on(self):
        self.moves()
        self.broker.process.send_signal(signal.SIGSTOP)
        try:
            self.assertLess(self.others_are_served(), PATIENCE)
            self.assertEqual(self.server.http("GET", "/healthz").status, 200)
        finally:
            self.broker.process.send_signal(signal.SIGCONT)
        self.moves()

    def test_a_broker_that_is_killed_is_waited_for_and_comes_back(self):
        self.moves()
        restarts = self.source()["restarts"]
        self.broker.kill()
        wait_for(lambda: self.source()["state"] != "connected", "the source notices")
        self.assertLess(self.others_are_served(), PATIENCE)
        self.broker.start()
        wait_for(lambda: self.source()["state"] == "connected", "the source is connected again", seconds=60)
        self.assertGreater(self.source()["restarts"], restarts)
        self.moves()


if __name__ == "__main__":
    unittest.main()
