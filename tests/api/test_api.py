"""REST, fuzzed from its own OpenAPI document by Schemathesis, a fuzzer that knows nothing of us.

For each role: no answer of 500 or more, and no status, content type or body that the document does not have. The seed is
fixed, so a run can be repeated; `ANITA_API_SEED` is another one, `ANITA_API_EXAMPLES` more examples of each operation.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python"))

from harness import Server

SEED = os.environ.get("ANITA_API_SEED", "7")
EXAMPLES = os.environ.get("ANITA_API_EXAMPLES", "8")

# Nobody is told to come back later: that would be all that the fuzzer sees.
MORE = """
[limits]
viewer_requests_per_second = 1_000_000
publisher_requests_per_second = 1_000_000
[[site.zones]]
name = "Storage"
polygon = [[0, 0], [10, 0], [10, 8], [0, 8]]
"""


class TheDocument(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(more=MORE)
        cls.addClassCleanup(cls.server.close)
        # What the examples of the document ask for.
        items = [
            {"device_id": device, "location": {"x": 1.0 + index, "y": 2.0, "z": 0.5}, "timestamp": time, "battery": 50}
            for device in ("tag-7", "tag-8")
            for index, time in enumerate(f"2026-03-01T{hour:02}:00:00Z" for hour in range(24))
        ]
        reported = cls.server.http("POST", "/api/v1/locations", token=cls.server.token("publisher"), body=items)
        assert reported.json["accepted"] == 48, reported.body

    def fuzz(self, role, *more):
        """Runs the fuzzer with a token of a role, and gives back its report."""
        with tempfile.TemporaryDirectory(prefix="anita-api-") as folder:
            report = pathlib.Path(folder) / "report.json"
            command = [os.environ["ANITA_SCHEMATHESIS"], "--config-file", str(HERE / "schemathesis.toml"), "run"]
            command += [f"http://127.0.0.1:{self.server.port}/api/v1/openapi.json", "--no-color", "--seed", SEED]
            command += ["--max-examples", EXAMPLES, "--generation-database", "none", "--continue-on-failure"]
            command += ["--report", "json", "--report-json-path", str(report)]
            if role:
                command += ["--header", f"Authorization: Bearer {self.server.token(role)}"]
            run = subprocess.run([*command, *more], cwd=folder, capture_output=True, text=True, timeout=600)
            found = json.loads(report.read_text()) if report.exists() else {}
        self.assertEqual(run.returncode, 0, f"{role}:\n{run.stdout[-8000:]}\n{run.stderr[-2000:]}")
        self.assertEqual(found["stop_reason"], "completed")
        self.assertEqual(found["operations"]["tested"], found["operations"]["selected"])
        return found

    def answered(self, found, operation):
        """How many requests of an operation were answered, and not refused."""
        phases = found["valid_rates"].get(operation, {})
        return sum(phase["accepted"] for phase in phases.values())

    def test_as_an_admin(self):
        found = self.fuzz("admin")
        self.assertGreater(found["test_cases"]["generated"], 500)
        # It came farther than the refusals. (Not asked of operations without examples: what is made for them is random.)
        operations = ["GET /api/v1/devices/{id}", "GET /api/v1/history/{id}", "GET /api/v1/history/{id}/track"]
        operations += ["GET /api/v1/history", "GET /api/v1/snapshot", "GET /api/v1/visits", "GET /api/v1/audit"]
        operations += ["GET /api/v1/density", "GET /api/v1/sources", "GET /api/v1/rooms", "GET /api/v1/configuration"]
        for operation in [*operations, "POST /api/v1/locations", "POST /api/v1/tokens"]:
            self.assertGreater(self.answered(found, operation), 0, operation)

    def test_as_one_who_looks(self):
        self.fuzz("viewer", "--phases", "examples,coverage,fuzzing")

    def test_as_one_who_reports(self):
        found = self.fuzz("publisher", "--phases", "examples,coverage")
        self.assertEqual(self.answered(found, "GET /api/v1/devices"), 0)

    def test_as_nobody(self):
        found = self.fuzz(None, "--phases", "examples,coverage")
        for operation in ("GET /api/v1/devices", "GET /api/v1/audit", "POST /api/v1/locations"):
            self.assertEqual(self.answered(found, operation), 0, operation)

    def test_as_one_who_mistypes(self):
        token = self.server.token("viewer")
        for path in ("/api/v1/history/tag-7", "/api/v1/devices", "/api/v1/site", "/api/v1/session"):
            refused = self.server.http("GET", f"{path}?start_tme=2026-03-01T00:00:00Z", token=token)
            self.assertEqual((refused.status, refused.json["code"]), (400, "invalid_payload"), path)
            self.assertEqual(refused.json["details"], {"path": "start_tme"})
        refused = self.server.http("GET", "/api/v1/history/tag-7?limit=1&limit=2", token=token)
        self.assertEqual(refused.json["detail"], "limit: is there twice.")
        # Probes may put into their queries what they like.
        self.assertEqual(self.server.http("GET", "/healthz?nonce=1").status, 200)

    def test_the_server_met_no_fault_of_its_own(self):
        """Runs last, by its name."""
        faults = [line for line in self.server.log().splitlines() if " ERROR " in line or "panicked" in line]
        self.assertEqual(faults, [])
        self.assertEqual(self.server.http("GET", "/healthz").status, 200)


if __name__ == "__main__":
    unittest.main()
