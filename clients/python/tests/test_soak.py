"""Clients of one process for a while, with the real server killed again and again: nothing of them grows."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import math
import os
import pathlib
import re
import signal
import time
import tracemalloc
import unittest
from collections.abc import Callable
from dataclasses import dataclass

from .harness import Server, program, until
from .soak import Bound, Course, course, kills, minutes

from anita_client import AnitaClient, DeviceTable, State  # isort: skip

CLIENTS = 3
DEVICES = 30
REPORT_EVERY_S = 0.2
# How long the server stays away, from and to.
AWAY_S = (0.2, 1.5)
# A pause between two attempts is 20 s at most; the machine may be busy.
BACK_S = 60.0
# So many tasks more than at first may be under way for a moment.
TASKS_MORE = 2


class Judgement(unittest.TestCase):
    def test_a_figure_is_judged_by_the_medians_of_its_first_and_last_quarter(self) -> None:
        strict = Bound(0.1, 1)
        cases: list[tuple[list[float], bool]] = [
            ([10, 10, 10, 10], True),
            ([10, 10, 10, 12], True),
            ([10, 10, 10, 12.1], False),
            ([10, 10, 500, 500, 500, 500, 10, 10], True),
            ([40 + kill for kill in range(50)], False),
        ]
        for samples, is_flat in cases:
            with self.subTest(samples=samples):
                self.assertIs(course("figure", samples, strict).is_flat, is_flat)
        said = str(course("heap, MB", [10, 10, 10, 20.456], strict))
        self.assertEqual(said, "soak: heap, MB: 10 at first, 20.46 at last (12 allowed), 20.46 at most: NOT FLAT")
        with self.assertRaisesRegex(ValueError, "3 samples have no quarters"):
            course("heap", [1, 2, 3], strict)


@dataclass(frozen=True)
class Sample:
    traced_bytes: int
    objects: int
    tasks: int
    sockets: int
    connections: int


FIGURES: list[tuple[str, Callable[[Sample], float], Bound, Bound]] = [
    # The bound of ten minutes, and that of half a minute, in which much is done for the first time.
    ("traced memory, MB", lambda it: it.traced_bytes / 1e6, Bound(0.1, 0.3), Bound(0.3, 2)),
    ("objects", lambda it: it.objects, Bound(0.02, 1_000), Bound(0.1, 10_000)),
    ("tasks", lambda it: it.tasks, Bound(0, TASKS_MORE), Bound(0, TASKS_MORE)),
    ("sockets", lambda it: it.sockets, Bound(0, 1), Bound(0, 1)),
    ("connections of the server", lambda it: it.connections, Bound(0, 0), Bound(0, 0)),
]


def sockets() -> int:
    count = 0
    for entry in pathlib.Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            count += os.readlink(entry).startswith("socket:")
    return count


class Follower:
    """A client with everything that it can keep."""

    def __init__(self, server: Server, token: str) -> None:
        self.client = AnitaClient(server.url("/ws/uwb"), token=lambda reason: token)
        self.table: DeviceTable = self.client.devices()
        self.heard = 0
        self.changed = 0
        self.states: list[State] = []

    async def run(self) -> None:
        async with (
            self.client as client,
            self.table,
            client.subscribe(mode="columns", max_rate_hz=5) as view,
            client.room("hall"),
            asyncio.TaskGroup() as group,
        ):
            group.create_task(self._listen())
            group.create_task(self._watch())
            async for _ in view.changes():
                self.changed += 1

    async def _listen(self) -> None:
        async for _ in self.client.messages("uwb.location", policy="latest"):
            self.heard += 1

    async def _watch(self) -> None:
        async for state in self.client.states():
            self.states = [*self.states[-10:], state]

    def is_back(self, connections: int) -> bool:
        """Whether it has said hello more often than before; on a busy machine it may have had to twice."""
        return (
            self.client.state is State.ONLINE
            and self.client.stats.connections > connections
            and self.table.is_live
            and len(self.table) == DEVICES
        )

    def __repr__(self) -> str:
        return f"{self.client!r}, {self.client.stats}, {self.table!r}, error {self.client.error!r}"


class Soak(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        program()

    async def test_nothing_is_left_behind(self) -> None:
        wanted, times = minutes(), kills(minutes())
        server = Server()
        self.addCleanup(server.close)
        await server.start()
        token = server.token("viewer", "alice", ttl="8h")
        publisher = server.token("publisher", "gateway", ttl="8h")
        followers = [Follower(server, token) for _ in range(CLIENTS)]
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        async with asyncio.timeout(wanted * 60 + 300):
            tasks = [asyncio.create_task(follower.run()) for follower in followers]
            feeding = asyncio.create_task(self.feed(server, publisher))
            try:
                samples = await self.kill_and_start(server, followers, wanted * 60, times)
            finally:
                feeding.cancel()
                for task in tasks:
                    task.cancel()
                await asyncio.wait([feeding, *tasks])
        self.assertEqual([follower.client.stats.invalid for follower in followers], [0] * CLIENTS)
        courses = [
            course(f"client in Python: {name}", [of(sample) for sample in samples], long if wanted >= 5 else short)
            for name, of, long, short in FIGURES
        ]
        print("\n" + "\n".join(map(str, courses)), flush=True)
        steep: list[Course] = [course for course in courses if not course.is_flat]
        self.assertEqual(steep, [])

    async def feed(self, server: Server, token: str) -> None:
        """Devices that move, whenever there is a server."""
        turn = 0
        while True:
            turn += 1
            locations = [
                {"device_id": f"tag-{index}", "location": {"x": index + math.sin(turn / 10), "y": 0, "z": 1}}
                for index in range(DEVICES)
            ]
            # Between a kill and a start there is nobody.
            with contextlib.suppress(OSError):
                await asyncio.to_thread(server.http, "POST", "/api/v1/locations", locations, token)
            await asyncio.sleep(REPORT_EVERY_S)

    async def back(self, followers: list[Follower], connections: list[int]) -> None:
        """Everybody is there, and hears of what moves."""
        for follower, before in zip(followers, connections, strict=True):
            await until(functools.partial(follower.is_back, before), functools.partial(repr, follower), BACK_S)
            heard, changed = follower.heard, follower.changed
            await until(
                lambda it=follower, heard=heard, changed=changed: it.heard > heard and it.changed > changed,  # type: ignore[misc]
                "it hears of what moves",
                BACK_S,
            )

    async def kill_and_start(
        self, server: Server, followers: list[Follower], seconds: float, times: int
    ) -> list[Sample]:
        await self.back(followers, [0] * CLIENTS)
        samples: list[Sample] = []
        began = time.monotonic()
        for kill in range(1, times + 1):
            connections = [follower.client.stats.connections for follower in followers]
            await server.end(signal.SIGKILL)
            for follower in followers:
                await until(lambda it=follower: it.client.state is not State.ONLINE, "it notices")  # type: ignore[misc]
            await asyncio.sleep(AWAY_S[0] + (AWAY_S[1] - AWAY_S[0]) * kill / times)
            await server.start()
            await self.back(followers, connections)
            await asyncio.sleep(max(0.0, began + kill * seconds / times - time.monotonic()))
            samples.append(await self.sample(server, samples[0].tasks if samples else None))
        return samples

    async def sample(self, server: Server, tasks: int | None) -> Sample:
        """When all is at rest: what is only on its way out is not left behind."""
        ends_at = time.monotonic() + BACK_S
        while True:
            _, text = await asyncio.to_thread(server.http, "GET", "/metrics")
            found = re.search(rb"^anita_connections (\d+)$", text, re.MULTILINE)
            assert found is not None
            now = int(found[1]), len(asyncio.all_tasks())
            if now[0] == CLIENTS and (tasks is None or now[1] <= tasks + TASKS_MORE):
                break
            self.assertLess(time.monotonic(), ends_at, f"connections, tasks: {now}, and not {CLIENTS}, {tasks}")
            await asyncio.sleep(0.05)
        gc.collect()
        gc.collect()
        objects = len(gc.get_objects())
        return Sample(tracemalloc.get_traced_memory()[0], objects, len(asyncio.all_tasks()), sockets(), int(found[1]))
