"""Attacks on signing in at an issuer: the browser, what it brings back, and where it goes, against a real issuer."""

import http.client
import json
import pathlib
import shutil
import subprocess
import unittest
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

from attacks import attack
from harness import PATIENCE, Server, need, program, wait_for

ROOT = pathlib.Path(__file__).parents[2]
SECRET = "a secret of the client, not of the issuer"
STEPS_MAX = 20


class Issuer:
    """`oidc-provider` on Node, in a process of its own."""

    def __init__(self):
        command = ["node", str(ROOT / "issuer" / "provider.mjs")]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.address = self._next()["issuer"]

    def _next(self):
        while not (line := self.process.stdout.readline()).startswith("{"):
            if not line:
                raise AssertionError("the issuer ended")
        return json.loads(line)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._next()

    def close(self):
        self.process.kill()
        self.process.communicate()


class Browser:
    """Goes where it is told, and keeps cookies by host and port. One that is patient comes back when it is told to."""

    def __init__(self, *, patient=True):
        self.cookies = {}
        self.patient = patient

    def ask(self, method, address, *, form=None, headers=()):
        url = urllib.parse.urlsplit(address)
        kept = self.cookies.setdefault(url.netloc, {})
        connection = http.client.HTTPConnection(url.netloc, timeout=PATIENCE)
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in kept.items()), **dict(headers)}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            path = url.path + (f"?{url.query}" if url.query else "")
            connection.request(method, path, body=form and urllib.parse.urlencode(form), headers=headers)
            response = connection.getresponse()
            response.body = response.read().decode(errors="replace")
        finally:
            connection.close()
        for line in response.headers.get_all("Set-Cookie") or []:
            name, value = line.split(";")[0].split("=", 1)
            kept[name] = value
        location = response.headers["Location"]
        response.location = location and urllib.parse.urljoin(address, location)
        return response

    def get(self, address, **more):
        def answered():
            answer = self.ask("GET", address, **more)
            is_refused = self.patient and "sign_in_error=rate_limited" in (answer.location or "")
            return None if is_refused else answer

        return wait_for(answered, "there is room", every=0.1)

    def at_issuer(self, address, login="alice"):
        """Signs in at the issuer: the address that it is sent back to, without going there."""
        issuer = urllib.parse.urlsplit(address).netloc
        forms = [{"prompt": "login", "login": login, "password": "any"}, {"prompt": "consent"}]
        for _step in range(STEPS_MAX):
            is_form = "/interaction/" in address
            answer = self.ask("POST", address, form=forms.pop(0)) if is_form else self.get(address)
            asked, address = address, answer.location
            if address is None:
                raise AssertionError(f"{answer.status} at {asked}")
            if urllib.parse.urlsplit(address).netloc != issuer:
                return address
        raise AssertionError("signing in does not end")


def changed(address, **changes):
    """An address with other parameters; `None` takes one away."""
    url = urllib.parse.urlsplit(address)
    pairs = {**dict(urllib.parse.parse_qsl(url.query)), **changes}
    query = urllib.parse.urlencode({name: value for name, value in pairs.items() if value is not None})
    return url._replace(query=query).geturl()


def parameter(address, name):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query))[name]


class SignInTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        program()
        need(shutil.which("node") and (ROOT / "node_modules" / "oidc-provider").is_dir(), "no Node with oidc-provider (npm ci)")
        cls.issuer = Issuer()
        cls.addClassCleanup(cls.issuer.close)
        cls.server = Server(heartbeat_secs=5, prepare=cls.with_issuer)
        cls.addClassCleanup(cls.server.close)
        cls.own = f"http://127.0.0.1:{cls.server.port}"
        cls.issuer.ask(f"redirect {cls.own}/api/v1/sign-in/oidc/callback")

    @classmethod
    def with_issuer(cls, folder, config):
        (folder / "client.secret").write_text(SECRET + "\n")
        listen = next(line for line in config.splitlines() if line.startswith("listen"))
        public = listen.replace("listen = \"", "public_url = \"http://")
        return config.replace(listen, f"{listen}\n{public}") + f"""
[log]
level = "debug"
[[auth.issuers]]
issuer = "{cls.issuer.address}"
discovery = true
token_type = "at+jwt"
roles_claims = ["scope"]
roles_allowed = ["viewer"]
[auth.issuers.sign_in]
client_id = "board"
client_secret_file = "client.secret"
scopes = ["openid", "viewer"]
resource = "urn:anita"
"""

    def sent(self, browser, return_to="/", **more):
        """Where the server sends a browser."""
        query = urllib.parse.urlencode({"return": return_to})
        answer = browser.get(f"{self.own}/api/v1/sign-in/oidc?{query}", **more)
        self.assertEqual(answer.status, 303)
        return answer.location

    def back(self, browser, login="alice"):
        return browser.at_issuer(self.sent(browser), login)

    def assert_nobody(self, answer, word):
        self.assertEqual(answer.status, 303, answer.body)
        self.assertEqual(answer.location, f"{self.own}/?sign_in_error={word}")
        self.assertNotIn("anita_session", str(answer.headers))

    def assert_signed_in(self, browser, subject="alice"):
        answer = browser.get(f"{self.own}/api/v1/session", headers={"Origin": self.own})
        self.assertEqual((answer.status, json.loads(answer.body)["user_id"]), (200, subject))

    @attack("login CSRF: the answer to the attacker's own sign-in, given to another browser, also one that is signing in", "nobody is signed in; the answer is used up")
    def test_an_answer_is_for_the_browser_that_began(self):
        attacker, victim = Browser(), Browser()
        answer = self.back(attacker, "mallory")
        self.assert_nobody(victim.get(answer), "other_browser")
        self.assert_nobody(attacker.get(answer), "expired")
        self.sent(victim)
        self.assert_nobody(victim.get(self.back(attacker, "mallory")), "other_browser")
        forged = Browser()
        forged.cookies = {f"127.0.0.1:{self.server.port}": {"anita_sign_in": "a" * 64}}
        self.assert_nobody(forged.get(self.back(attacker, "mallory")), "other_browser")

    @attack("an answer of the issuer that is used again, with a state that is guessed, left out or there twice", "nobody is signed in")
    def test_a_state_is_good_once(self):
        browser = Browser()
        answer = self.back(browser)
        for state in ["guessed", "a" * 64, None, "' OR 1=1 --"]:
            self.assert_nobody(browser.get(changed(answer, state=state)), "expired")
        self.assert_nobody(browser.get(answer + "&state=" + parameter(answer, "state")), "expired")
        self.assertEqual(browser.get(answer).location, f"{self.own}/")
        self.assert_signed_in(browser)
        self.assert_nobody(browser.get(answer), "expired")

    @attack("mix-up: the answer of another issuer, or of one that does not say who it is", "nobody is signed in; each way has an address of its own besides")
    def test_an_answer_is_of_the_issuer_that_was_asked(self):
        browser = Browser()
        for issuer in ["https://evil.example", self.issuer.address + "/", "", None]:
            self.assert_nobody(browser.get(changed(self.back(browser), iss=issuer)), "other_issuer")
        self.assertEqual(browser.get(self.back(browser).replace("/oidc/", "/other/")).status, 404)

    @attack("a stolen code in the thief's own sign-in, a code that was exchanged before, an invented one", "the issuer does not take it: PKCE binds a code to the server's verifier")
    def test_a_code_is_for_one_sign_in(self):
        victim, thief = Browser(), Browser()
        stolen = parameter(self.back(victim), "code")
        self.assert_nobody(thief.get(changed(self.back(thief, "mallory"), code=stolen)), "issuer_refused")
        answer = self.back(victim)
        self.assertEqual(victim.get(answer).location, f"{self.own}/")
        self.assert_nobody(thief.get(changed(self.back(thief, "mallory"), code=parameter(answer, "code"))), "issuer_refused")
        self.assert_nobody(thief.get(changed(self.back(thief, "mallory"), code="invented")), "issuer_refused")

    @attack("changing the question on its way to the issuer: nonce, challenge, address to come back to", "`bad_token`, or the issuer refuses")
    def test_the_question_to_the_issuer_can_not_be_changed(self):
        browser = Browser()
        changed_nonce = changed(self.sent(browser), nonce="another")
        self.assert_nobody(browser.get(browser.at_issuer(changed_nonce)), "bad_token")
        challenge = changed(self.sent(browser), code_challenge="E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
        self.assert_nobody(browser.get(browser.at_issuer(challenge)), "issuer_refused")
        elsewhere = changed(self.sent(browser), redirect_uri="https://evil.example/callback")
        answer = browser.get(elsewhere)
        self.assertEqual((answer.status, answer.location), (400, None), "the issuer knows where its client is")

    @attack("open redirect: other sites, schemes, the interface or a header line as the place to come back to", "the beginning of the page")
    def test_the_way_back_leads_to_the_page(self):
        evil = ["https://evil.example/", "//evil.example", "/\\evil.example", "///evil.example", "javascript:alert(1)", "/a/..//evil.example", "/%2f%2fevil.example"]
        evil += ["/api/v1/session", "/ws", "/\r\nSet-Cookie: a=b", "/\u2215evil.example", "@evil.example", ".evil.example", "/" + "a" * 3_000]
        for path in evil:
            browser = Browser()
            answer = browser.get(browser.at_issuer(self.sent(browser, path)))
            self.assertEqual(answer.location, f"{self.own}/", path)
            self.assert_signed_in(browser)

    @attack("a forged `Host` or `X-Forwarded-Host`, to have people sent back to another server", "issuers send people back to `server.public_url`, whatever a request says")
    def test_the_host_of_a_request_moves_nobody(self):
        browser = Browser()
        forged = [{"Host": "evil.example"}, {"Host": f"127.0.0.1:{self.server.port}", "X-Forwarded-Host": "evil.example"}, {"Host": "evil.example", "Forwarded": "host=evil.example"}]
        for headers in forged:
            address = self.sent(browser, headers=headers)
            self.assertNotIn("evil", address)
            address = address if address.startswith(self.issuer.address) else browser.get(address).location
            self.assertEqual(parameter(address, "redirect_uri"), f"{self.own}/api/v1/sign-in/oidc/callback")

    @attack("a foreign page that sends a browser to sign in", "the page with its button; nothing has begun")
    def test_a_foreign_page_begins_no_sign_in(self):
        browser = Browser()
        self.assertEqual(self.sent(browser, headers={"Sec-Fetch-Site": "cross-site"}), f"{self.own}/")
        self.assertNotIn("anita_sign_in", str(browser.cookies))

    @attack("a flood of sign-ins from one address", "`rate_limited` beyond 20 a second; at most 1,000 are under way, and those that are signed in notice nothing")
    def test_a_flood_of_sign_ins_is_refused(self):
        refusal = f"{self.own}/?sign_in_error=rate_limited"
        with ThreadPoolExecutor(max_workers=40) as crowd:  # One after the other may be slower than what is allowed.
            wait_for(lambda: refusal in crowd.map(lambda _: self.sent(Browser(patient=False)), range(40)), "a refusal", every=0)
        self.assertEqual(self.server.http("GET", "/api/v1/session", token=self.server.token()).status, 200)
        counted = {dict(labels).get("outcome") for (name, labels) in self.server.metrics() if name == "anita_sign_in_outcomes_total"}
        self.assertIn("rate_limited", counted)

    @attack("codes, states, verifiers, tokens and the client's secret in logs, answers and the audit trail", "they are in none of them, at any level")
    def test_what_signs_somebody_in_is_never_written(self):
        browser = Browser()
        asked = self.sent(browser)
        answer = browser.at_issuer(asked)
        landed = browser.get(answer)
        secrets = [parameter(answer, "code"), parameter(answer, "state"), parameter(asked, "nonce"), SECRET, "eyJ"]
        again = browser.get(answer)
        trail = self.server.http("GET", "/api/v1/audit?limit=1000", token=self.server.token("admin")).body
        shown = self.server.http("GET", "/api/v1/configuration", token=self.server.token("admin")).body
        for place in [self.server.log(), str(landed.headers), landed.body, str(again.headers), trail, shown]:
            for secret in secrets:
                self.assertNotIn(secret, place)
