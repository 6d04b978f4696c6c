"""`anita replay` of the 12-tag recording at ten times its speed: every fix is heard by a subscriber, or was replaced by a newer one and
counted. Skipped where the recording is not there."""

import csv
import pathlib
import subprocess
import threading
import unittest

from harness import Server, program, wait_for

RECORDING = pathlib.Path(__file__).resolve().parents[3] / "shared/data/uci-ubisense-tags/three_people_12_tags/positions.csv"


class ReplayTest(unittest.TestCase):
    def test_every_fix_of_a_recording_is_heard_or_accounted_for(self):
        anita = program()
        if not RECORDING.is_file():
            raise unittest.SkipTest(f"the recording {RECORDING} is not there")
        with RECORDING.open() as file:
            recorded = list(csv.DictReader(file))
        server = Server(heartbeat_secs=25)
        self.addCleanup(server.close)
        listener = server.hello("/ws/uwb")
        self.addCleanup(listener.close)
        heard, is_over = [], threading.Event()

        def listen():
            while not is_over.is_set():
                try:
                    message = listener.receive(0.2)
                except TimeoutError:
                    continue
                if message["type"] == "uwb.location":
                    heard.append(message["payload"])

        reader = threading.Thread(target=listen)
        reader.start()
        self.addCleanup(reader.join)
        self.addCleanup(is_over.set)
        command = [anita, "replay", "--url", f"http://127.0.0.1:{server.port}", "--file", str(RECORDING), "--speed", "10"]
        command += ["--token", server.token("publisher")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"{len(recorded)} sent: {len(recorded)} accepted, 0 refused", done.stdout)

        newest = server.metric("anita_fixes_total", source="http", outcome="newest")
        self.assertEqual(newest, len(recorded))

        def all_is_accounted_for():
            return len(heard) + server.metric("anita_positions_replaced_total") == newest

        wait_for(all_is_accounted_for, f"{newest} fixes heard or replaced")
        last = {row["tag_id"]: (float(row["x_m"]), float(row["y_m"])) for row in recorded}
        self.assertEqual(len(last), 12)
        for tag, (x, y) in last.items():
            location = [it for it in heard if it["device_id"] == tag][-1]["location"]
            self.assertEqual((location["x"], location["y"]), (x, y), tag)


if __name__ == "__main__":
    unittest.main()
