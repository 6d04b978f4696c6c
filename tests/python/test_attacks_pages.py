"""Attacks by pages and by what is shown: foreign origins, cookies, paths, headers, logs."""

import http.client
import re
import subprocess
import unittest

from attacks import attack
from harness import PATIENCE, Server, program, wait_for

POINT = {"x": 1, "y": 2, "z": 3}


class PagesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        program()
        cls.server = Server(heartbeat_secs=5, prepare=cls.with_origin)
        cls.addClassCleanup(cls.server.close)
        cls.own = f"http://127.0.0.1:{cls.server.port}"

    @staticmethod
    def with_origin(_folder, config):
        return config.replace("[auth]", 'allowed_origins = ["https://board.example"]\n[auth]')

    def signed_in(self, server=None, origin=None):
        server, origin = server or self.server, origin or self.own
        begun = server.http("POST", "/api/v1/session", body={"token": server.token("operator", "page")}, headers={"Origin": origin})
        self.assertEqual(begun.status, 200)
        return begun.headers["Set-Cookie"]

    def foreign(self):
        host = f"127.0.0.1:{self.server.port}"
        return [
            "https://evil.example",
            f"https://{host}",
            f"http://{host}.evil.example",
            f"http://evil.example#{host}",
            f"http://{host}@evil.example",
            f"http://user@{host}",
            f"http://{host}/",
            "http://127.0.0.1",
            f"http://localhost:{self.server.port}",
            "https://board.example.evil.example",
            "https://evilboard.example",
            "https://board.example:443",
            "https://board.example/",
            "HTTPS://board.example",
            "http://board.example",
            "https://Board.example",
            "null",
            "file://",
            "",
        ]

    @attack("cross-site WebSocket hijacking: pages of 19 foreign origins, with the cookie of a signed-in page or a good token", "403 before the upgrade")
    def test_a_foreign_page_is_not_upgraded(self):
        cookie = {"Cookie": self.signed_in().split(";")[0]}
        for origin in self.foreign():
            for headers in [cookie, {"Authorization": f"Bearer {self.server.token()}"}]:
                answer = self.upgrade({"Origin": origin, **headers})
                self.assertEqual(answer.status, 403, origin)
        for origin in [self.own, "https://board.example"]:
            self.assertEqual(self.upgrade({"Origin": origin, **cookie}).status, 101, origin)

    def upgrade(self, headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE)
        self.addCleanup(connection.close)
        handshake = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
        connection.putrequest("GET", "/ws/uwb")
        for name, value in {**handshake, **headers}.items():
            for one in value if isinstance(value, list) else [value]:
                connection.putheader(name, one)
        connection.endheaders()
        return connection.getresponse()

    @attack("two `Origin` headers, one of them ours", "403")
    def test_two_origins_are_foreign(self):
        cookie = {"Cookie": self.signed_in().split(";")[0]}
        for origins in [[self.own, "https://evil.example"], ["https://evil.example", self.own], [self.own, self.own]]:
            self.assertEqual(self.upgrade({"Origin": origins, **cookie}).status, 403, origins)

    @attack("cross-site request forgery: changing something with the cookie, from a foreign page or without an origin", "403; nothing is changed")
    def test_a_cookie_changes_nothing_from_elsewhere(self):
        cookie = {"Cookie": self.signed_in().split(";")[0]}
        body = [{"device_id": "forged", "location": POINT}]
        for origin in [*self.foreign(), None]:
            headers = {**cookie, **({"Origin": origin} if origin is not None else {})}
            for method, path in [("POST", "/api/v1/locations"), ("DELETE", "/api/v1/session"), ("DELETE", "/api/v1/connections/x")]:
                self.assertEqual(self.server.http(method, path, body=body, headers=headers).status, 403, (origin, path))
        self.assertEqual(self.server.http("GET", "/api/v1/devices/forged", token=self.server.token()).status, 404)
        self.assertEqual(self.server.http("GET", "/api/v1/session", headers={**cookie, "Origin": self.own}).status, 200)

    @attack("reading with the cookie from a foreign page", "403, and no `Access-Control` header opens it")
    def test_a_foreign_page_reads_nothing(self):
        cookie = {"Cookie": self.signed_in().split(";")[0]}
        for origin in self.foreign():
            answer = self.server.http("GET", "/api/v1/devices", headers={**cookie, "Origin": origin})
            self.assertEqual(answer.status, 403, origin)
            self.assertFalse([name for name in answer.headers if name.lower().startswith("access-control")])

    @attack("a session that the attacker chose (fixation), and cookies of other shapes", "401; a session's name is made by the server alone")
    def test_a_session_cannot_be_chosen(self):
        good = self.signed_in().split(";")[0].split("=", 1)[1]
        self.assertGreaterEqual(len(good), 32)
        for value in ["mine", "a" * 64, good[:-1], good + "0", good.upper() if good.upper() != good else "x", "../" + good, f'"{good}"', ""]:
            answer = self.server.http("GET", "/api/v1/session", headers={"Cookie": f"anita_session={value}", "Origin": self.own})
            self.assertEqual(answer.status, 401, value)
        begun = self.server.http(
            "POST",
            "/api/v1/session",
            body={"token": self.server.token()},
            headers={"Origin": self.own, "Cookie": "anita_session=" + "a" * 64},
        )
        self.assertNotIn("a" * 64, begun.headers["Set-Cookie"])

    @attack("reading the cookie by script, sending it from other sites, and over plain text", "`HttpOnly`, `SameSite=Strict`, and `Secure` over TLS")
    def test_the_cookie_is_kept_close(self):
        server = Server(tls=True)
        self.addCleanup(server.close)
        cookie = self.signed_in(server, f"https://127.0.0.1:{server.port}")
        for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Secure", "Max-Age="]:
            self.assertIn(attribute, cookie)
        self.assertNotIn("Domain=", cookie)

    @attack("framing, sniffing, inline script and foreign sources on any page", "strict CSP, `nosniff`, `DENY`, no referrer; HSTS over TLS — on errors too")
    def test_every_answer_has_the_security_headers(self):
        for path in ["/", "/index.html", "/api/v1", "/api/v1/devices", "/api/v1/nothing", "/nothing", "/metrics", "/healthz", "/readyz", "/schema/", "/sdk/anita.js", "/ws"]:
            answer = self.server.http("GET", path)
            policy = answer.headers["Content-Security-Policy"]
            self.assertIn("default-src 'none'", policy.replace("default-src 'self'", "default-src 'none'"), path)
            self.assertNotIn("unsafe-eval", policy, path)
            self.assertNotRegex(policy, r"script-src[^;]*(unsafe-inline|\*|http:)", path)
            self.assertIn("frame-ancestors 'none'", policy, path)
            for name, value in [("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"), ("Referrer-Policy", "no-referrer")]:
                self.assertEqual(answer.headers[name], value, path)
            self.assertNotIn("Server", answer.headers, "what runs here is nobody's business")

    @attack("path traversal on assets and schemas: dots, escaped dots, backslashes, NUL, absolute paths", "404 or 400 or the dashboard; never a file")
    def test_paths_lead_nowhere_else(self):
        below = ["../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..\\", "..%5c", "....//", "..;/", "%252e%252e%252f", "..%00/", "..%c0%af"]
        for root in ["/", "/assets/", "/schema/", "/sdk/", "/api/v1/devices/", "/ws/"]:
            for part in below:
                for target in ["etc/passwd", "anita.toml", "jwt.secret"]:
                    path = root + part * 8 + target
                    answer = self.server.http("GET", path)
                    self.assertIn(answer.status, (200, 400, 401, 404, 405, 426), path)
                    for leak in ["root:", "secret_file", (self.server.folder / "jwt.secret").read_text().strip()]:
                        self.assertNotIn(leak, answer.body, path)
        for path in ["//etc/passwd", "/%00", "/index.html%00.js", "/.git/config", "/jwt.secret", "/anita.db", "/schema/%2e%2e%2f%2e%2e%2fetc%2fpasswd"]:
            answer = self.server.http("GET", path)
            self.assertNotIn("root:", answer.body)
            self.assertNotIn("SQLite format", answer.body)

    @attack("script in names: ids, rooms and messages that are HTML", "they come as JSON that no browser takes for a page")
    def test_names_are_no_markup(self):
        script = '<script>alert(1)</script>'
        token = self.server.token("operator")
        self.server.http("POST", "/api/v1/locations", token=token, body=[{"device_id": script, "location": POINT}])
        for path in ["/api/v1/devices", "/api/v1/history", f"/api/v1/devices/%3Cscript%3E", f"/api/v1/{script.replace('/', '%2f')}".replace("<", "%3C").replace(">", "%3E")]:
            answer = self.server.http("GET", path, token=token)
            self.assertNotIn("html", answer.headers["Content-Type"], path)
            self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")

    @attack("asking for a login by the wrong door: a spoofed `X-Forwarded-For` or `Forwarded` of a stranger, to be taken for a neighbour", "it is not believed")
    def test_forwarded_addresses_of_strangers_are_not_believed(self):
        client = self.server.client("/ws", self.server.token("viewer", "spoof"), headers={"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9"})
        self.addCleanup(client.close)
        client.expect("system.connection")
        shown = self.server.http("GET", "/api/v1/connections", token=self.server.token("admin")).json["connections"]
        addresses = {it["address"] for it in shown if it["user_id"] == "spoof"}
        self.assertEqual(addresses, {"127.0.0.1"})

    @attack("log injection: line breaks, escape sequences and whole log lines in paths, headers, ids, names and rooms", "each log line begins with a time; no control character is in it")
    def test_nothing_that_comes_in_writes_lines_into_the_log(self):
        server = Server(more='[log]\nlevel = "trace"')
        self.addCleanup(server.close)
        evil = "x\r\n2026-01-01T00:00:00Z ERROR owned\x1b[31m"
        token = server.token("operator")
        client = server.hello(role="operator")
        self.addCleanup(client.close)
        for type, payload in [
            ("get_device_location", {"device_id": evil}),
            ("join_room", {"room": evil}),
            ("send_to_room", {"room": "r", "name": evil, "data": evil}),
            ("register_device", {"device_id": "d", "name": evil}),
            (evil, {}),
            ("report_location", {"device_id": evil, "location": POINT}),
        ]:
            client.request(type, payload)
        client.send_text(evil)
        server.http("GET", "/%0d%0aowned%1b", headers={"User-Agent": "a\tb"})
        server.http("GET", "/api/v1/devices/%0d%0aERROR%20owned", token=token)
        server.http("POST", "/api/v1/locations", token=token, body=evil.encode())
        server.stop()
        log = (server.folder / "server.log").read_bytes()
        self.assertIn(b"TRACE", log.upper(), "the log is as talkative as it can be")
        self.assertIsNone(re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", log), "no control character")
        self.assertNotRegex(log, rb"(?m)^2026-01-01T00:00:00Z ERROR owned")

    @attack("secrets in logs, errors, the printed configuration: tokens of every way in, the secret, the cookie", "they are in none of them, at any level")
    def test_secrets_are_never_written(self):
        server = Server(more='[log]\nlevel = "trace"')
        self.addCleanup(server.close)
        secret = (server.folder / "jwt.secret").read_text().strip()
        good, bad = server.token("viewer"), server.token("viewer")[:-3] + "xyz"
        own = f"http://127.0.0.1:{server.port}"
        cookies = []
        for token in [good, bad]:
            for options in [{"path": f"/ws?token={token}"}, {"path": "/ws", "token": token}, {"path": "/ws", "subprotocols": ["anita.v1", f"anita.bearer.{token}"]}]:
                server.client(**options).close()
            with server.client("/ws") as client:
                client.send("authenticate", {"token": token})
                client.receive()
            begun = server.http("POST", "/api/v1/session", body={"token": token}, headers={"Origin": own})
            cookies += [begun.headers["Set-Cookie"].split(";")[0].split("=")[1]] if begun.status == 200 else []
            server.http("GET", f"/api/v1/devices?token={token}", token=token)
            server.http("GET", f"/nothing?token={token}")
        for cookie in cookies:
            server.client("/ws", origin=own, headers={"Cookie": f"anita_session={cookie}"}).close()
        self.assertEqual(len(cookies), 1)
        server.stop()
        printed = subprocess.run([server.program, "check-config", "--config", server.config], capture_output=True, text=True)
        for hidden in [secret, *cookies, *(token.split(".")[2] for token in [good, bad])]:
            self.assertNotIn(hidden, server.log())
            self.assertNotIn(hidden, printed.stdout + printed.stderr)

    @attack("the metrics, the audit trail and the connections, without a token or with a small one", "401 or 403")
    def test_what_operators_read_is_theirs(self):
        for path in ["/api/v1/audit", "/api/v1/connections", "/api/v1/devices", "/api/v1/history", "/api/v1/events", "/api/v1/site", "/api/v1/session"]:
            self.assertEqual(self.server.http("GET", path).status, 401, path)
        for path in ["/api/v1/audit", "/api/v1/connections"]:
            self.assertEqual(self.server.http("GET", path, token=self.server.token("viewer")).status, 403, path)


if __name__ == "__main__":
    unittest.main()
