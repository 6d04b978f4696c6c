"""What goes over the wire: the golden messages that server and clients share, shapes, the envelope, generated files."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys
import unittest

from .harness import HERE, ROOT

from anita_client.envelope import Message, NotAMessage, decode, encode  # isort: skip
from anita_client.payload_shapes import ANSWERS, PAYLOADS
from anita_client.shapes import Misfit, check

WIRE = ROOT / "conformance/wire"

# What only the server sees: equal keys, depth, lengths, ranges, the rules of names and ids, which types there are.
SERVER_ONLY = re.compile(
    "out_of_range|too_long|too_many|of_three|at_once|duplicate|nested|is_empty|with_a_|without_a_zone|surrogate|unknown_type"
    "|in_capitals"
)


def files(kind: str) -> list[pathlib.Path]:
    return sorted((WIRE / kind).glob("**/*.json"))


def misfit_of(text: str) -> Misfit | None:
    message = decode(text)
    return check(message.type, message.payload)


class Golden(unittest.TestCase):
    def test_valid_messages_are_read_checked_and_written_as_they_were(self) -> None:
        self.assertGreater(len(files("valid")), 100)
        for file in files("valid"):
            with self.subTest(file=file.name):
                text = file.read_text().strip()
                message = decode(text)
                self.assertIn(message.type, PAYLOADS)
                self.assertIsNone(check(message.type, message.payload))
                self.assertEqual(message.members, json.loads(text))
                again = decode(encode(message.type, message.payload, 7))
                self.assertEqual((again.type, again.payload, again.id), (message.type, message.payload, 7))

    def test_invalid_messages_are_found(self) -> None:
        refused = [file for file in files("invalid") if not SERVER_ONLY.search(file.stem)]
        self.assertGreater(len(refused), 50)
        for file in refused:
            with self.subTest(file=file.name):
                written = json.loads(file.read_text())
                try:
                    misfit = misfit_of(written["text"])
                except NotAMessage:
                    continue
                assert misfit is not None, written["text"]
                # The server names the object in which something is missing, this client what is missing.
                path = written.get("path", "")
                self.assertTrue(misfit.path.startswith(path) or path.startswith(misfit.path), misfit)


class Shapes(unittest.TestCase):
    def test_misfits_are_named_with_their_place(self) -> None:
        item = {"device_id": "a", "location": {"x": 1, "y": 2, "z": 3}}
        device = {"id": "a", "kind": "tag", "status": "stale", "last_seen": None, "location": None}
        fix = {**item, "timestamp": "t", "received_at": "t"}
        for type, payload, path in [
            ("ping", {}, None),
            ("ping", {"more": 1}, None),
            ("ping", [], ""),
            ("get_device_location", {}, "device_id"),
            ("get_device_location", {"device_id": 7}, "device_id"),
            ("get_active_devices", {"limit": True}, "limit"),
            ("get_active_devices", {"limit": 1.5}, "limit"),
            ("get_active_devices", {"limit": -1}, "limit"),
            ("get_active_devices", {"limit": None, "kinds": ["tag", "drone"]}, "kinds[1]"),
            ("report_location", item, None),
            ("report_location", {"locations": [item]}, None),
            (
                "report_location",
                {"locations": [item, {**item, "location": {"x": 1, "y": float("nan"), "z": 0}}]},
                "locations[1].location.y",
            ),
            ("subscribe", {"view": {"area": {"polygon": [[0, 0], [1, 0], [1, 1]]}}}, None),
            ("subscribe", {"view": {"area": {"polygon": [[0, 0, 0]]}}}, "view.area.polygon[0]"),
            ("subscribe", {"view": {"area": {"circle": {"x": 1, "y": 1}}}}, "view.area.circle.radius_m"),
            ("subscribe", {"view": {"area": {"square": 1}}}, "view.area.polygon"),
            ("uwb.location", fix, None),
            ("uwb.location", {**fix, "floor": "1"}, "floor"),
            ("uwb.device_list", {"devices": [device], "total": 1}, None),
            ("uwb.device_list", {"devices": [device, {**device, "kind": "boat"}], "total": 1}, "devices[1].kind"),
            (
                "uwb.position_update",
                {"positions": {"a": {"x": 1, "y": 1, "z": None}}, "timestamp": "t"},
                "positions.a.z",
            ),
            ("error", {"code": "of_a_newer_server", "message": "", "retryable": False}, None),
            ("acme.door", {"open": 1}, None),
        ]:
            with self.subTest(type=type, payload=payload):
                misfit = check(type, payload)
                self.assertEqual(None if misfit is None else misfit.path, path)

    def test_every_request_has_an_answer_with_a_shape(self) -> None:
        self.assertGreater(len(ANSWERS), 20)
        for request, answer in ANSWERS.items():
            self.assertIn(request, PAYLOADS)
            self.assertIn(answer, PAYLOADS)


class Envelope(unittest.TestCase):
    def test_members_beside_the_payload_are_kept(self) -> None:
        text = '{"type":"a","payload":{"n":1},"id":"7","room":"r","epoch":"e","seq":3,"subscription":"s","playback":"p","new":1}'
        message: Message[object] = decode(text)
        self.assertEqual(
            (message.type, message.payload, message.id, message.room, message.epoch, message.seq),
            ("a", {"n": 1}, "7", "r", "e", 3),
        )
        self.assertEqual((message.subscription, message.playback, message.members["new"]), ("s", "p", 1))
        self.assertEqual(decode('{"type":"a"}').payload, {})

    def test_what_is_no_envelope_is_refused(self) -> None:
        texts: list[str | bytes] = [
            "",
            "words",
            "[]",
            "7",
            "{}",
            '{"type":1}',
            '{"type":"a","payload":1}',
            '{"type":"a","payload":null}',
            '{"type":"a","id":{}}',
            '{"type":"a","id":true}',
            '{"type":"a","seq":"1"}',
            '{"type":"a","seq":true}',
            '{"type":"a","room":1}',
            '{"type":"a","payload":{"x":NaN}}',
            '{"type":"a"}{',
            b'{"type":"\xff"}',
            "[" * 100_000,
        ]
        for text in texts:
            with self.subTest(text=text[:40]), self.assertRaises(NotAMessage):
                decode(text)

    def test_what_has_no_json_is_not_written(self) -> None:
        for payload in [{"x": float("inf")}, {"x": object()}, {"x": {1, 2}}]:
            with self.subTest(payload=payload), self.assertRaises((TypeError, ValueError)):
                encode("a", payload, 1)


class Generated(unittest.TestCase):
    def test_what_is_generated_is_up_to_date(self) -> None:
        command = [sys.executable, str(HERE.parent / "scripts/generate.py"), "--check"]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
