"""Attacks by pages and by what is shown: foreign origins, cookies, paths, headers, logs."""

import http.client
import re
import socket
import subprocess
import unittest

from attacks import attack, claims, signed_hs256
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
            with self.server.client("/ws", origin=origin, headers=cookie) as page:
                page.expect("system.connection")
        # What is no page has no use for the cookie of one.
        with self.server.client("/ws", headers=cookie) as program:
            self.assertEqual(program.receive()["type"], "system.auth_required")

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
            preflight = {"Origin": origin, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
            answers = [answer, *(self.server.http("OPTIONS", path, headers=preflight) for path in ["/api/v1/devices", "/readyz"])]
            answers += [self.server.http("GET", "/api/v1/devices", token=token, headers={"Origin": origin}) for token in [None, self.server.token()]]
            for answer in answers:
                self.assertFalse([name for name in answer.headers if name.lower().startswith("access-control")], origin)

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
        secure = Server(tls=True)
        self.addCleanup(secure.close)
        paths = ["/", "/index.html", "/api/v1", "/api/v1/devices", "/api/v1/nothing", "/nothing", "/metrics", "/healthz", "/readyz", "/schema/", "/sdk/anita.js", "/ws"]
        asked = [(server, "GET", path, {}) for server in [self.server, secure] for path in paths]
        foreign, publisher = {"Origin": "https://evil.example"}, {"Authorization": f"Bearer {self.server.token('publisher')}"}
        for method, path, headers in [("PUT", "/api/v1/devices", {}), ("POST", "/api/v1/session", foreign), ("POST", "/api/v1/locations", publisher)]:
            asked.append((self.server, method, path, headers))
        seen = set()
        for server, method, path, headers in asked:
            answer = server.http(method, path, headers=headers)
            seen.add(answer.status)
            self.assertEqual("Strict-Transport-Security" in answer.headers, server is secure, path)
            policy = answer.headers["Content-Security-Policy"]
            self.assertIn("default-src 'none'", policy.replace("default-src 'self'", "default-src 'none'"), path)
            self.assertNotIn("unsafe-eval", policy, path)
            self.assertNotRegex(policy, r"script-src[^;]*(unsafe-inline|\*|http:)", path)
            self.assertIn("frame-ancestors 'none'", policy, path)
            for name, value in [("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"), ("Referrer-Policy", "no-referrer")]:
                self.assertEqual(answer.headers[name], value, path)
            self.assertNotIn("Server", answer.headers, "what runs here is nobody's business")
        self.assertLessEqual({200, 400, 401, 403, 404, 405}, seen)

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

    @attack("hops that the client wrote before those of a trusted proxy, to be another or a neighbour; a neighbour of the proxy that is none", "the hop that the proxy wrote counts; 403 for who is no proxy")
    def test_only_what_the_proxy_wrote_counts(self):
        way_in = 'plaintext = "trusted_proxy"\ntrusted_proxies = ["127.0.0.1"]'
        server = Server(prepare=lambda _folder, config: config.replace('plaintext = "loopback"', way_in))
        self.addCleanup(server.close)
        shown = lambda: server.http("GET", "/api/v1/connections", token=server.token("admin")).json["connections"]
        for said in ["203.0.113.9, 198.51.100.7", "127.0.0.1, 198.51.100.7", "198.51.100.7, 127.0.0.1", "x, 198.51.100.7"]:
            headers = {"X-Forwarded-For": said, "Forwarded": "for=203.0.113.9"}
            with server.client("/ws", server.token("viewer", "spoof"), headers=headers) as client:
                client.expect("system.connection")
                self.assertEqual([(it["user_id"], it["address"]) for it in shown()], [("spoof", "198.51.100.7")], said)
            # The metrics are for neighbours, and for those who may read them.
            self.assertEqual(server.http("GET", "/metrics", headers=headers).status, 401, said)
            wait_for(lambda: not shown(), "the client is gone")
        self.assertEqual(self.from_elsewhere(server, b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")[:13], b"HTTP/1.1 403 ")

    @attack("a header of the PROXY protocol by somebody who is no proxy, and none or a wrong one by the proxy", "the end of the connection; nothing is answered")
    def test_the_proxy_protocol_is_for_proxies(self):
        request = b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        header = b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n"
        way_in = 'plaintext = "trusted_proxy"\ntrusted_proxies = ["127.0.0.1"]\nproxy_protocol = "required"'

        class BehindProxy(Server):
            def is_ready(server):
                return self.is_open(server) and self.from_elsewhere(server, header + request, "127.0.0.1").startswith(b"HTTP/1.1 200 ")

        server = BehindProxy(prepare=lambda _folder, config: config.replace('plaintext = "loopback"', way_in))
        self.addCleanup(server.close)
        self.assertEqual(self.from_elsewhere(server, header + request), b"")
        for wrong in [b"", b"PROXY TCP4 x\r\n", b"\r\n\r\n\0\r\nQUIX\n"]:
            self.assertEqual(self.from_elsewhere(server, wrong + request, "127.0.0.1"), b"", wrong)
        # Where no proxy is, the header is no request.
        self.assertEqual(self.from_elsewhere(self.server, header + request, "127.0.0.1")[:13], b"HTTP/1.1 400 ")

    def is_open(self, server):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", server.port)) == 0

    def from_elsewhere(self, server, said, address="127.0.0.2"):
        """All that is answered to somebody who comes from that address."""
        heard = b""
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE, source_address=(address, 0)) as plain:
            try:
                plain.sendall(said)
                while data := plain.recv(65_536):
                    heard += data
            except ConnectionError:
                pass
        return heard

    @attack("DNS rebinding: a page whose own name was made to point to the server", "403 where `server.hosts` says the server's names")
    def test_a_foreign_name_is_not_the_servers(self):
        server = Server(prepare=lambda _folder, config: config.replace("[auth]", 'hosts = ["anita.example"]\n[auth]'))
        self.addCleanup(server.close)
        token = server.token()
        for host, status in [("anita.example", 200), ("evil.example", 403), (f"127.0.0.1:{server.port}", 403), ("anita.example.evil.example", 403), ("", 403)]:
            self.assertEqual(server.http("GET", "/api/v1/devices", token=token, headers={"Host": host}).status, status, host)
            rebound = {"Host": host, "Origin": f"http://{host}", "Upgrade": "websocket", "Connection": "Upgrade"}
            rebound |= {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
            if status == 403:
                self.assertEqual(server.http("GET", "/ws", token=token, headers=rebound).status, status, host)
                self.assertEqual(server.http("GET", "/", headers={"Host": host}).status, status, host)

    @attack("log injection: line breaks, escape sequences, whole log lines and turned text in paths, headers, ids, names, rooms and subjects", "each log line begins with a time, as text and as JSON; nothing in it controls or turns anything")
    def test_nothing_that_comes_in_writes_lines_into_the_log(self):
        for format in ["text", "json"]:
            self.inject(format)

    def inject(self, format):
        server = Server(more=f'[log]\nlevel = "trace"\nformat = "{format}"\nlines_per_second = 0')
        self.addCleanup(server.close)
        # No control characters, so that they are names; but a terminal turns around what follows, or begins a line.
        turned = "owned\u202e\u2028\u2066\ufeffx"
        secret = (server.folder / "jwt.secret").read_bytes().rstrip(b"\n")
        with server.client("/ws", signed_hs256(secret, claims(sub=turned, roles=["viewer"], rooms=["uwb"]))) as viewer:
            viewer.expect("system.connection")
            viewer.refused("remove_device", {"device_id": turned})
            viewer.refused("join_room", {"room": turned})
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
        log = (server.folder / "server.log").read_bytes().decode()
        self.assertIn("TRACE", log.upper(), "the log is as talkative as it can be")
        self.assertIn("owned", log, "what was sent is in it")
        found = re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]", log)
        self.assertIsNone(found, "no control character")
        begin = {"text": r"\d{4}-\d\d-\d\dT[\d:.]+Z +[A-Z]+ ", "json": r'\{"timestamp":"\d{4}-'}[format]
        for line in log.rstrip("\n").split("\n"):
            self.assertRegex(line, rf"^({begin}|listening on http://127)")
        self.assertNotRegex(log, r"(?m)^2026-01-01T00:00:00Z ERROR owned")

    @attack("secrets in logs, errors, the printed configuration: tokens of every way in, tickets, the secret, the cookie", "they are in none of them, at any level")
    def test_secrets_are_never_written(self):
        server = Server(more='[log]\nlevel = "trace"\nlines_per_second = 0')
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
        tickets = [server.http("POST", "/api/v1/tickets", token=good).json["ticket"] for _ in range(2)]
        for options in [{"path": f"/ws?ticket={tickets[0]}"}, {"path": "/ws", "subprotocols": ["anita.v1", f"anita.ticket.{tickets[1]}"]}]:
            for _ in range(2):  # once as it should be, and once more
                server.client(**options).close()
        server.stop()
        printed = subprocess.run([server.program, "check-config", "--config", server.config], capture_output=True, text=True)
        for hidden in [secret, *cookies, *tickets, *(token.split(".")[2] for token in [good, bad])]:
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
