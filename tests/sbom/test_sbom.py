"""The bill of materials is what its standard says, and has all that goes into the program: by other tools than ours."""

import json
import os
import pathlib
import re
import subprocess
import unittest

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = pathlib.Path(os.environ["ANITA_ROOT"])


class TheBill(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.text = pathlib.Path(os.environ["ANITA_SBOM"]).read_text()
        cls.bill = json.loads(cls.text)
        cls.parts = {(it["purl"].split("/")[0], it["name"], it["version"]): it for it in cls.bill["components"]}

    def test_it_is_valid_to_the_letter(self):
        fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(self.text)
        self.assertIsNone(fault, fault)

    def test_it_has_every_crate_that_cargo_links(self):
        tree = ["cargo", "tree", "--locked", "--package", "anita", "--edges", "normal", "--prefix", "none"]
        printed = subprocess.run(tree, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        linked = set(re.findall(r"^(\S+) v(\S+)", printed, re.MULTILINE)) - {("anita", "0.1.0")}
        inside = {(it[1], it[2]) for it, part in self.parts.items() if it[0] == "pkg:cargo" and part["scope"] == "required"}
        self.assertGreater(len(linked), 100)
        self.assertEqual(inside, linked)

    def test_it_has_every_package_that_the_dashboard_is_bundled_from(self):
        tree = ["npm", "ls", "--all", "--json", "--omit", "dev", "--omit", "peer", "--workspace", "dashboard"]
        printed = subprocess.run(tree, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        used = {}

        def walk(tree):
            for name, package in tree.get("dependencies", {}).items():
                if "version" in package:
                    used[name] = package["version"]
                walk(package)

        walk(json.loads(printed))
        listed = {name: version for kind, name, version in self.parts if kind == "pkg:npm"}
        self.assertIn("preact", used)
        self.assertEqual(listed, used)

    def test_what_others_made_has_its_hash_and_its_licence(self):
        for name, part in self.parts.items():
            is_ours = part["name"].startswith(("anita", "@anita/"))
            self.assertTrue(is_ours or part.get("hashes"), name)
            self.assertTrue(part.get("licenses"), name)

    def test_every_reference_leads_somewhere(self):
        known = {it["bom-ref"] for it in [*self.bill["components"], self.bill["metadata"]["component"]]}
        self.assertEqual({it["ref"] for it in self.bill["dependencies"]}, known)
        for dependency in self.bill["dependencies"]:
            self.assertLessEqual(set(dependency["dependsOn"]), known)

    def test_it_says_nothing_of_the_machine_that_made_it(self):
        self.assertNotIn(str(ROOT), self.text)
        self.assertNotIn("timestamp", self.bill["metadata"])


if __name__ == "__main__":
    unittest.main()
