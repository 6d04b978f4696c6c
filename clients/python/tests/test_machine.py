"""The states as a table, and what else is decided without a clock or a socket."""

from __future__ import annotations

import json
import unittest

from .harness import ROOT

from anita_client.backoff import obeyed, pause  # isort: skip
from anita_client.closing import Advice, Reason, advice_of, reason_of
from anita_client.errors import AnitaError, of_close, of_payload
from anita_client.machine import Closed, Event, Link, Lost, Opened, Rested, Started, State, Warned, Welcomed, step

FAULT = AnitaError("unreachable", "nobody is there", retryable=True)
BACK, FRESH, AWAY = Advice.COME_BACK, Advice.FRESH_TOKEN, Advice.STAY_AWAY


def lost(advice: Advice = BACK, at: float = 0.0, after: float | None = None, *, can_renew: bool = True) -> Lost:
    return Lost(at, advice, FAULT, after, can_renew)


def after(*events: Event) -> Link:
    link = Link()
    for event in events:
        link = step(link, event)
    return link


UP: tuple[Event, ...] = (Started(), Opened(), Welcomed(100.0))


class Machine(unittest.TestCase):
    def test_every_state_and_event_leads_where_the_table_says(self) -> None:
        ways: dict[State, tuple[Event, ...]] = {
            State.IDLE: (),
            State.CONNECTING: (Started(),),
            State.AUTHENTICATING: (Started(), Opened()),
            State.ONLINE: UP,
            State.WAITING: (Started(), lost()),
            State.CLOSED: (Started(), Closed()),
            State.FAILED: (Started(), lost(AWAY)),
        }
        events: list[Event] = [Started(), Opened(), Welcomed(1.0), Warned(1.0), lost(), lost(AWAY), Rested(), Closed()]
        # The states in the order of the events; a dot is no change.
        table = {
            State.IDLE: "connecting . . . . . . closed",
            State.CONNECTING: ". authenticating . . waiting failed . closed",
            State.AUTHENTICATING: ". . online . waiting failed . closed",
            State.ONLINE: ". . . . waiting failed . closed",
            State.WAITING: ". . . . . . connecting closed",
            State.CLOSED: "connecting . . . . . . .",
            State.FAILED: "connecting . . . . . . closed",
        }
        self.assertEqual(set(table), set(State))
        for state, row in table.items():
            self.assertIs(after(*ways[state]).state, state)
            for event, target in zip(events, row.split(), strict=True):
                with self.subTest(state=state, event=event):
                    found = after(*ways[state], event).state
                    self.assertIs(found, state if target == "." else State(target))

    def test_what_waits_knows_how_often_and_why(self) -> None:
        for events, attempt, reason in [
            ((Started(), lost()), 1, "connect"),
            ((Started(), lost(), Rested(), lost()), 2, "connect"),
            ((Started(), lost(), Rested(), Opened(), lost()), 2, "connect"),
            # Online for less than five seconds counts as no success.
            ((*UP, lost(at=104.9)), 1, "connect"),
            ((Started(), lost(), Rested(), Opened(), Welcomed(100.0), lost(at=104.9)), 2, "connect"),
            ((Started(), lost(), Rested(), Opened(), Welcomed(100.0), lost(at=105.0)), 1, "connect"),
            ((*UP, lost(FRESH, at=200.0)), 1, "rejected"),
            # The network is no fault of the token: it is still the fresh one that is asked for.
            ((*UP, lost(FRESH, at=200.0), Rested(), lost()), 2, "rejected"),
        ]:
            with self.subTest(events=events):
                link = after(*events)
                self.assertEqual((link.state, link.attempt, link.reason), (State.WAITING, attempt, reason))
                self.assertIs(link.error, FAULT)

    def test_a_fresh_token_is_tried_once(self) -> None:
        once = (*UP, lost(FRESH, at=200.0), Rested(), Opened())
        self.assertIs(after(*once, lost(FRESH, at=201.0)).state, State.FAILED)
        self.assertIs(after(*once, Welcomed(201.0), lost(FRESH, at=202.0)).state, State.FAILED)
        # One that has lasted was good, and has run out in its turn.
        self.assertIs(after(*once, Welcomed(201.0), lost(FRESH, at=300.0)).state, State.WAITING)
        self.assertIs(after(*UP, lost(FRESH, at=200.0, can_renew=False)).state, State.FAILED)

    def test_the_server_says_when_to_come_back(self) -> None:
        self.assertEqual(after(*UP, Warned(3.0), lost()).retry_after, 3.0)
        self.assertEqual(after(*UP, Warned(3.0), lost(after=1.0)).retry_after, 1.0)
        self.assertEqual(after(*UP, Warned(3.0), lost(after=0.0)).retry_after, 0.0)
        self.assertIsNone(after(*UP, lost()).retry_after)
        # It holds once.
        again = (*UP, Warned(3.0), lost(), Rested())
        self.assertIsNone(after(*again).retry_after)
        self.assertIsNone(after(*again, lost()).retry_after)

    def test_a_new_start_remembers_nothing(self) -> None:
        self.assertEqual(after(Started(), lost(), Closed(), Started()), Link(State.CONNECTING))
        self.assertEqual(after(Started(), lost(AWAY), Started()), Link(State.CONNECTING))
        self.assertIsNone(after(*UP).error)


class Pauses(unittest.TestCase):
    def test_the_pause_is_between_nothing_and_what_the_page_says(self) -> None:
        for attempt, most in [(0, 0.5), (1, 1.0), (2, 2.0), (5, 16.0), (6, 20.0), (7, 20.0), (10_000, 20.0)]:
            with self.subTest(attempt=attempt):
                self.assertEqual(pause(attempt, lambda: 0.0), 0.0)
                self.assertEqual(pause(attempt, lambda: 0.5), most / 2)
                self.assertEqual(pause(attempt, lambda: 1.0), most)

    def test_what_the_server_says_is_obeyed_and_spread(self) -> None:
        self.assertEqual(obeyed(10.0, lambda: 0.0), 10.0)
        self.assertAlmostEqual(obeyed(10.0, lambda: 1.0), 13.0)


class Closes(unittest.TestCase):
    def test_the_table_is_the_servers_own(self) -> None:
        rows = json.loads((ROOT / "conformance/wire/close_codes.json").read_text())
        self.assertGreater(len(rows), 15)
        names = {
            "come_back": Advice.COME_BACK,
            "stay_away": Advice.STAY_AWAY,
            "fresh_token": Advice.FRESH_TOKEN,
            "come_back_with_fresh_token": Advice.FRESH_TOKEN,
        }
        for row in rows:
            with self.subTest(code=row["code"]):
                self.assertIs(advice_of(row["code"]), names[row["advice"]])
                self.assertIsNotNone(reason_of(row["reason"]).code)
                self.assertTrue(of_close(row["code"], None).message)

    def test_unknown_codes_go_by_their_range(self) -> None:
        for code, advice in [
            (None, BACK),
            (1005, BACK),
            (1006, BACK),
            (1014, BACK),
            (3000, BACK),
            (4000, BACK),
            (4402, BACK),
            (4499, BACK),
            (4505, AWAY),
            (4510, AWAY),
            (4999, AWAY),
        ]:
            with self.subTest(code=code):
                self.assertIs(advice_of(code), advice)

    def test_reasons_are_read_whoever_wrote_them(self) -> None:
        for text, reason in [
            ("", Reason()),
            ('{"code":"restart","retry_after_ms":1500}', Reason("restart", 1.5)),
            ('{"code":"restart"}', Reason("restart")),
            ("bye", Reason()),
            ("[1]", Reason()),
            ('{"code":7,"retry_after_ms":"soon"}', Reason()),
            ('{"retry_after_ms":-1}', Reason()),
            ('{"retry_after_ms":true}', Reason()),
            ('{"retry_after_ms":Infinity}', Reason()),
            ("[" * 100_000, Reason()),
        ]:
            with self.subTest(text=text[:40]):
                self.assertEqual(reason_of(text), reason)


class Errors(unittest.TestCase):
    def test_an_error_says_what_the_server_said_and_what_to_do(self) -> None:
        error = of_payload(
            {
                "code": "rate_limited",
                "message": "Slower.",
                "retryable": True,
                "retry_after_ms": 250,
                "details": {"n": 1},
            }
        )
        self.assertEqual(
            (error.code, error.retryable, error.retry_after, error.details), ("rate_limited", True, 0.25, {"n": 1})
        )
        self.assertTrue(error.from_server)
        self.assertEqual(str(error), "rate_limited: Slower.")
        self.assertIn("retry_after_ms", error.remedy)
        self.assertEqual(vars(error.again()), vars(error))

    def test_every_fault_has_a_remedy(self) -> None:
        for error in [
            AnitaError("disconnected", ""),
            AnitaError("queue_full", ""),
            AnitaError("from_a_newer_server", "", from_server=True),
            *(of_close(code, None) for code in (4401, 4501, 4503, 4504, 4509, 4777)),
        ]:
            with self.subTest(code=error.code):
                self.assertGreater(len(error.remedy), 10)
        self.assertNotEqual(AnitaError("timeout", "").remedy, AnitaError("timeout", "", from_server=True).remedy)
