"""The page docs/ATTACKS.md names every row of the attack table."""

import os
import unittest

import attacks

# What is imported leaves its rows.
import test_attacks_access  # noqa: F401
import test_attacks_bytes  # noqa: F401
import test_attacks_pages  # noqa: F401
import test_attacks_sign_in  # noqa: F401
import test_attacks_tokens  # noqa: F401
import test_attacks_trail  # noqa: F401


class TableTest(unittest.TestCase):
    def test_the_page_names_every_attack(self):
        attacks.ROWS.sort(key=lambda row: row[0])
        if os.environ.get("UPDATE") == "1":
            attacks.PAGE.write_text(attacks.page())
        self.assertEqual(attacks.PAGE.read_text(), attacks.page(), "UPDATE=1 writes the page anew")

    def test_the_tests_of_other_suites_are_there(self):
        for *_row, file, test in attacks.ELSEWHERE:
            with self.subTest(test):
                self.assertRegex((attacks.ROOT / file).read_text(), rf"(fn|def) {test}\(")
