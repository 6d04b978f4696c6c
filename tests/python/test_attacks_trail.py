"""Attacks on the audit trail by somebody who may write the store or its file: nothing is taken or changed without a trace."""

import json
import sqlite3
import subprocess
import unittest

from attacks import attack
from harness import Server, program

LINES = "anita.db.audit.jsonl"


class TrailTest(unittest.TestCase):
    """Each has a trail of a start, eight readings and a stop, with the configuration as it is by default."""

    def setUp(self):
        program()
        self.server = Server()
        self.addCleanup(self.server.close)
        self.lines = self.server.folder / LINES
        self.leave(8)
        self.server.stop()
        self.assertEqual(self.verify(), (0, ""), "whole at first")
        self.copies = {path: path.read_bytes() for path in (self.server.folder / "anita.db", self.lines)}

    def leave(self, count):
        admin = self.server.token("admin")
        for _ in range(count):
            self.assertEqual(self.server.http("GET", "/api/v1/audit?limit=1", token=admin).status, 200)

    def write(self, sql):
        database = sqlite3.connect(self.server.folder / "anita.db")
        with database:
            database.executescript(sql)
        database.close()

    def keep(self, lines):
        """Leaves so many lines of the file."""
        self.lines.write_bytes(b"".join(self.lines.read_bytes().splitlines(keepends=True)[:lines]))

    def undo(self):
        for path, copy in self.copies.items():
            path.write_bytes(copy)
        self.assertEqual(self.verify(), (0, ""))

    def verify(self, *more):
        command = [self.server.program, "audit", "verify", "--config", self.server.config, *more]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return said.returncode, said.stderr

    def assert_broken(self, *words):
        code, said = self.verify()
        self.assertEqual(code, 1, said)
        for word in words:
            self.assertIn(word, said)

    def started(self):
        """Starts the server: what its log says of it, the metric of breaks, and the actions of its entries."""
        before = len(self.server.log())
        self.server.start()
        breaks = self.server.metric("anita_audit_breaks_total")
        self.server.stop()
        command = [self.server.program, "audit", "show", "--config", self.server.config]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
        return self.server.log()[before:], breaks, [json.loads(line)["action"] for line in shown.splitlines()]

    @attack(
        "cutting off the end of the audit trail in the store, after a clean stop",
        "`anita audit verify` names the entries and exits with 1; the next start logs an error, counts it and enters it, and its own entries hide nothing",
    )
    def test_a_cut_end_of_the_trail_shows(self):
        self.write("DELETE FROM audit WHERE seq >= 3")
        self.assert_broken("audit.file has entries 3 to 10, which the store has not", "8 entries were removed")
        log, breaks, actions = self.started()
        self.assertIn("entries were removed from the end of the audit trail", log)
        self.assertEqual(breaks, 2)
        self.assertIn("find audit entries removed", actions)
        self.assertIn("set audit file aside", actions)
        self.assertEqual(self.lines.with_name(f"{LINES}.1").read_bytes(), self.copies[self.lines], "what was cut off is kept")
        self.assert_broken("8 entries after entry 2 were removed, and their numbers given to others")

    @attack(
        "the same, with what SQLite counts set right, so that the store alone shows nothing",
        "the file beside the store shows it, to `anita audit verify` and to the next start",
    )
    def test_a_cut_that_hides_in_the_store_shows_in_the_file(self):
        self.write("DELETE FROM audit WHERE seq >= 3; UPDATE sqlite_sequence SET seq = 2 WHERE name = 'audit'")
        self.assert_broken("audit.file has entries 3 to 10, which the store has not")
        log, breaks, actions = self.started()
        self.assertIn("the last line of the audit file is not in the store", log)
        self.assertEqual(breaks, 1)
        self.assertIn("set audit file aside", actions)

    @attack(
        "cutting off the end of the trail's file, emptying it, removing it, and cutting the store and the file at one place",
        "exit code 1 with the place; the next start writes the file again from the store, and enters it",
    )
    def test_a_cut_end_of_the_file_shows(self):
        self.write("DELETE FROM audit WHERE seq >= 3")
        self.keep(2)
        self.assert_broken("8 entries after entry 2 were removed")
        self.undo()
        self.keep(0)
        self.assert_broken("it is empty, and the store is not")
        self.lines.unlink()
        self.assert_broken("is not there, though the configuration has it")
        self.undo()
        self.keep(4)
        self.assert_broken("entries 5 to 10 are in the store and not in the file")
        log, breaks, actions = self.started()
        self.assertIn("the audit file lacked its last lines", log)
        self.assertEqual(breaks, 0)
        self.assertIn("mend audit file", actions)
        self.assertEqual(self.verify(), (0, ""))

    @attack(
        "editing, removing, inserting and swapping entries of the trail in the store, and lines of its file",
        "exit code 1 with the first place where the chain is broken",
    )
    def test_an_edited_trail_shows(self):
        for sql, words in [
            ("UPDATE audit SET subject = 'bob' WHERE seq = 5", "entry 5 was changed"),
            ("UPDATE audit SET at_us = at_us - 1 WHERE seq = 1", "entry 1 was changed"),
            ("UPDATE audit SET outcome = 'refused' WHERE seq = 10", "entry 10 was changed"),
            ("DELETE FROM audit WHERE seq = 5", "1 entries are missing between 4 and 6"),
            ("INSERT INTO audit (at_us, subject, action, object, outcome) VALUES (1, 'x', 'x', 'x', 'done')", "it was inserted"),
            ("UPDATE audit SET seq = -seq WHERE seq IN (5, 6); UPDATE audit SET seq = 11 + seq WHERE seq < 0", "entry "),
        ]:
            with self.subTest(sql):
                self.write(sql)
                self.assert_broken("the audit trail is broken", words)
                self.undo()
        lines = self.copies[self.lines].splitlines(keepends=True)
        for changed, words in [
            ([line.replace(b'"admin-1"', b'"bob"') for line in lines], "line 2: entry 2 was changed"),
            (lines[:4] + lines[5:], "line 5: 1 entries are missing between"),
            (lines[:4] + [lines[5], lines[4]] + lines[6:], "line 5: "),
            (lines[1:], "line 1: entry 2 does not say what was before it"),
        ]:
            with self.subTest(words):
                self.lines.write_bytes(b"".join(changed))
                self.assert_broken("audit.file: the audit trail is broken", words)
                self.undo()
