"""The shared conversations, against the real program: each script is a test."""

from __future__ import annotations

import pathlib
import unittest
from collections.abc import Awaitable, Callable

from .conversation import Conversation, fits
from .harness import ROOT, program

SCRIPTS = sorted((ROOT / "conformance/client").glob("*.script"))


class Conversations(unittest.IsolatedAsyncioTestCase):
    """A test for each script is added below."""

    def setUp(self) -> None:
        program()


def played(path: pathlib.Path) -> Callable[[Conversations], Awaitable[None]]:
    async def test(_self: Conversations) -> None:
        await Conversation(path.read_text()).play()

    test.__doc__ = path.read_text().splitlines()[0].removeprefix("# ")
    return test


for script in SCRIPTS:
    setattr(Conversations, f"test_{script.stem}", played(script))


class Patterns(unittest.TestCase):
    def test_the_scripts_are_there(self) -> None:
        self.assertGreaterEqual(len(SCRIPTS), 13)

    def test_a_pattern_fits_what_has_all_its_members(self) -> None:
        for pattern, value, is_fit in [
            ({"a": 1}, {"a": 1, "b": 2}, True),
            ({"a": "…"}, {"a": None}, True),
            ({"a": "…"}, {}, False),
            ([{"a": 1}], [{"a": 1, "b": 2}], True),
            ([{"a": 1}], [{"a": 1}, {"a": 1}], False),
            ([], [], True),
            ([], {}, False),
            (1, 1.0, True),
            (1, True, False),
        ]:
            with self.subTest(pattern=pattern, value=value):
                self.assertIs(fits(pattern, value), is_fit)
