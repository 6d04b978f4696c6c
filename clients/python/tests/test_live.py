"""Against the real program: TLS, forms of views, the table of devices, and the examples of the README."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import os
import pathlib
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import textwrap
import unittest
import zipfile
from datetime import UTC, datetime
from typing import Any

from .harness import HERE, PATIENCE_S, Server, in_time, program, until

from anita_client import AnitaClient, AnitaError, View, wire  # isort: skip


def place(x: float, id: str = "tag-1", **more: Any) -> dict[str, Any]:
    return {"device_id": id, "location": {"x": x, "y": 2, "z": 0}, **more}


def is_moved(view: View) -> bool:
    return len(view.devices) == 2 and view.devices["tag-1"].get("floor") == 3


def has_no_floor(view: View) -> bool:
    return "floor" not in view.devices["tag-1"]


@in_time
class Live(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        program()

    async def server(self, **options: Any) -> Server:
        server = Server(**options)
        self.addCleanup(server.close)
        await server.start()
        return server

    def client(self, server: Server, path: str = "/ws", role: str = "operator", **options: Any) -> AnitaClient:
        return AnitaClient(server.url(path), token=lambda reason: server.token(role, "alice"), **options)

    async def test_a_fingerprint_or_a_file_says_whom_to_trust(self) -> None:
        server = await self.server(tls=True)
        fingerprint = server.fingerprint()
        assert fingerprint is not None
        asked: list[str] = []

        def token(reason: str) -> str:
            asked.append(reason)
            return server.token("viewer", "alice")

        pem = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", server.port))
        file = server.folder / "server.pem"
        file.write_text(pem)
        self.assertEqual(
            hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest(), fingerprint.replace(":", "").lower()
        )
        trusts: list[dict[str, Any]] = [
            {"fingerprint": fingerprint},
            {"ca_file": file},
            {"ssl": ssl.create_default_context(cafile=file)},
        ]
        for options in trusts:
            with self.subTest(options=options):
                async with AnitaClient(server.url("/ws"), token=token, **options) as client:
                    await client.ping()
        distrusts: list[dict[str, Any]] = [{"fingerprint": "00" * 32}, {}]
        for wrong in distrusts:
            with self.subTest(options=wrong), self.assertRaises(AnitaError) as caught:
                await AnitaClient(server.url("/ws"), token=token, **wrong).__aenter__()
            self.assertEqual(caught.exception.code, "untrusted")
            self.assertIn("certificate", str(caught.exception))

    async def test_every_form_of_a_view_shows_the_same(self) -> None:
        server = await self.server()
        await server.report(place(1.2344, accuracy=0.25, floor=2, battery=50))
        forms: list[dict[str, Any]] = [
            {"mode": "batch"},
            {"mode": "single"},
            {"mode": "columns"},
            {"mode": "columns", "unit": "cm"},
        ]
        async with self.client(server) as client:
            views = [await client.subscribe(fields="all", **form) for form in forms]
            for view in views:
                self.assertEqual(view.devices["tag-1"]["location"], {"x": 1.234, "y": 2.0, "z": 0.0})
            await server.report(place(5.678, accuracy=0.5, floor=3, battery=40))
            await server.report(place(7, "tag-2"))
            for view, x in zip(views, (5.678, 5.678, 5.678, 5.68), strict=True):
                await until(functools.partial(is_moved, view), repr(view))
                device = view.devices["tag-1"]
                self.assertEqual(device["location"], {"x": x, "y": 2.0, "z": 0.0})
                self.assertEqual((device.get("accuracy"), device.get("battery")), (0.5, 40.0))
            # What is not said any more is not known any more.
            await server.report(place(6))
            for view in views:
                await until(functools.partial(has_no_floor, view), repr(view))
                await view.close()
            self.assertEqual((await client.request("get_connection_stats"))["subscriptions"], [])

    async def test_a_view_changes_and_pauses_and_comes_back_as_it_was(self) -> None:
        server = await self.server()
        for x, id in ((1, "a"), (11, "b")):
            await server.report(place(x, id))

        def box(x: float) -> wire.ViewFilter:
            return {"area": {"box": {"min_x": x, "min_y": 0, "max_x": x + 10, "max_y": 10}}}

        async with self.client(server) as client, client.subscribe(view=box(0)) as view:
            self.assertEqual(list(view.devices), ["a"])
            await view.update(view=box(10))
            await until(lambda: list(view.devices) == ["b"], repr(view))
            await server.end(signal.SIGKILL)
            await until(lambda: not view.is_live, repr(view))
            await view.update(view=box(0))
            await server.start()
            await until(lambda: view.is_live and list(view.devices) == ["a"], repr(view))
            await view.update(max_rate_hz=0)
            await server.report(place(2, "a"))
            await client.ping()
            self.assertEqual(view.devices["a"]["location"]["x"], 1.0)  # type: ignore[index]
            await view.update(max_rate_hz=None)
            await until(lambda: view.devices["a"]["location"]["x"] == 2.0, repr(view))  # type: ignore[index]

    async def test_the_table_follows_status_names_and_removals(self) -> None:
        server = await self.server(more="[devices]\nstale_after_secs = 4\ndisconnected_after_secs = 10\n")
        async with self.client(server) as client, client.devices() as table:
            # From the beginning on: whoever looks late has missed what it was at first.
            changes, statuses = table.changes(), [""]
            await server.report(place(1))
            while statuses[-1] != "disconnected":
                change = await anext(changes)
                self.assertEqual((change.changed, change.left), ({"tag-1"}, frozenset()))
                if statuses[-1] != table["tag-1"]["status"]:
                    statuses.append(table["tag-1"]["status"])
            self.assertEqual(statuses[1:], ["connected", "stale", "disconnected"])
            await server.report(place(4, floor=3))
            await until(lambda: table["tag-1"]["status"] == "connected", lambda: repr(dict(table)))
            await client.request("update_device", {"device_id": "tag-1", "name": "Cart"})
            self.assertEqual(table["tag-1"].get("name"), "Cart")
            await client.request("remove_device", {"device_id": "tag-1"})
            await until(lambda: not table, lambda: repr(dict(table)))
            self.assertTrue(table.is_live)
            await server.end(signal.SIGTERM)
            await server.start()
            await server.report(place(1, "tag-9"))
            await until(lambda: table.is_live and list(table) == ["tag-9"], lambda: repr(dict(table)))

    async def test_each_fix_is_heard_once_in_its_order(self) -> None:
        server = await self.server()
        async with self.client(server) as client, client.subscribe(lane="every") as view:
            fixes = view.locations()
            for x in range(5):
                await server.report(place(x))
            heard = [await anext(fixes) for _ in range(5)]
            self.assertEqual([fix.payload["location"]["x"] for fix in heard], [0.0, 1.0, 2.0, 3.0, 4.0])
            self.assertEqual(sorted({fix.seq for fix in heard}), [fix.seq for fix in heard])

    async def test_the_past_is_played_back_and_marked(self) -> None:
        server = await self.server()
        await server.report(place(1))
        async with self.client(server) as client:
            at = (await client.request("get_device_location", {"device_id": "tag-1"}))["timestamp"]
            moved = client.messages("uwb.position_update", where=lambda message: message.playback is not None)
            ended = client.messages("playback.ended")
            until_now = datetime.now(UTC).isoformat()
            asked: wire.PlayHistory = {"start_time": at, "end_time": until_now, "speed": 100}
            started = await client.request("play_history", asked)
            self.assertEqual((await anext(moved)).playback, started["playback"])
            self.assertEqual((await anext(ended)).payload["reason"], "end")

    # --- what people read first

    async def test_the_examples_of_the_page_run(self) -> None:
        server = await self.server()
        for id in ("cart-7", "cart-8"):
            await server.report(place(3, id))
        page = (HERE.parent / "README.md").read_text()
        examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
        self.assertGreaterEqual(len(examples), 7)
        token = server.token("operator", "alice")

        async def issue_token_somewhere(reason: str) -> str:
            return token

        for number, example in enumerate(examples):
            with self.subTest(example=example):
                printed: list[tuple[Any, ...]] = []
                names: dict[str, Any] = {
                    "AnitaClient": AnitaClient,
                    "url": server.url("/ws/uwb"),
                    "token": token,
                    "ca_file": None,
                    "issue_token_somewhere": issue_token_somewhere,
                    "print": lambda *words: printed.append(words),  # noqa: B023
                }
                exec("async def example():\n" + textwrap.indent(example, "    "), names)
                running = asyncio.create_task(names["example"]())
                try:
                    await self.until_printed(server, running, printed, needs_words="print(" in example, number=number)
                finally:
                    running.cancel()
                    await asyncio.wait([running])
                if not running.cancelled():
                    self.assertIsNone(running.exception())

    async def until_printed(
        self, server: Server, running: asyncio.Task[None], printed: list[Any], *, needs_words: bool, number: int
    ) -> None:
        """Until an example has ended or, where it goes on for ever, has printed something; things move meanwhile."""
        async with self.client(server) as other, other.room("hall") as room:
            ends_at = asyncio.get_running_loop().time() + 2 * PATIENCE_S
            while not running.done() and not (needs_words and len(printed) > 1):
                self.assertLess(asyncio.get_running_loop().time(), ends_at, f"example {number} printed {printed}")
                await server.report(place(len(printed) + 1, "cart-7"))
                await room.send("note", {"text": "hello"})
        if needs_words:
            self.assertTrue(printed)

    async def test_the_example_program_prints_positions(self) -> None:
        server = await self.server()
        await server.report(place(1))
        environment = {
            **os.environ,
            "PYTHONPATH": str(HERE.parent / "src"),
            "ANITA_TOKEN": server.token("viewer", "bob"),
        }
        command = [sys.executable, str(HERE.parent / "examples/print_positions.py"), server.url("/ws"), "--count", "1"]
        program = await asyncio.create_subprocess_exec(*command, env=environment, stdout=subprocess.PIPE)
        try:
            assert program.stdout is not None
            self.assertIn(b"tag-1 {'x': 1.0", await program.stdout.readline())
            await server.report(place(2))
            self.assertIn(b"tag-1 {'x': 2.0", await program.stdout.readline())
            self.assertEqual(await program.wait(), 0)
        finally:
            if program.returncode is None:
                program.kill()
                await program.wait()


class Package(unittest.TestCase):
    def test_types_are_strict(self) -> None:
        done = subprocess.run([sys.executable, "-m", "mypy"], cwd=HERE.parent, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_wheel_has_all_of_it(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            build = "from hatchling.build import build_wheel; print(build_wheel(__import__('sys').argv[1]))"
            done = subprocess.run(
                [sys.executable, "-c", build, folder], cwd=HERE.parent, capture_output=True, text=True, check=False
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            names = set(zipfile.ZipFile(next(pathlib.Path(folder).glob("*.whl"))).namelist())
        ours = {f"anita_client/{file.name}" for file in (HERE.parent / "src/anita_client").iterdir() if file.is_file()}
        self.assertIn("anita_client/py.typed", ours)
        self.assertLessEqual(ours, names)


if __name__ == "__main__":
    unittest.main()
