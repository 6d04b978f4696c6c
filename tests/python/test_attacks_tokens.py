"""Attacks by tokens: forged, borrowed, stretched (RFC 8725)."""

import hashlib
import http.server
import json
import secrets
import shutil
import threading
import time
import unittest

from attacks import attack, b64, claims, rsa_jwk, rsa_key, signed_hs256, signed_rs256
from harness import PATIENCE, Server, need, program


class ForgedTest(unittest.TestCase):
    """Against a server with a shared secret."""

    @classmethod
    def setUpClass(cls):
        program()
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)
        cls.secret = (cls.server.folder / "jwt.secret").read_bytes().rstrip(b"\n")

    def refused(self, token, why="invalid_token", code=4501):
        """By every way in: the header, the query, the subprotocol, the message, REST and the session."""
        where = token[:80]
        ways = [
            lambda: self.server.client("/ws/uwb", token),
            lambda: self.server.client(f"/ws/uwb?token={token}"),
            lambda: self.server.client("/ws/uwb", subprotocols=["anita.v1", f"anita.bearer.{token}"]),
        ]
        if "=" in token:
            ways.pop()  # no subprotocol can be written so (RFC 6455 §4.1)
        for way in ways:
            with way() as client:
                closed = client.closed()
            self.assertEqual((closed.code, closed.error["code"]), (code, why), where)
            self.assertEqual([it["type"] for it in closed.before], ["error"], "nothing is told before")
        with self.server.client("/ws") as client:
            client.send("authenticate", {"token": token})
            closed = client.closed()
        self.assertEqual((closed.code, closed.error["code"]), (code, why), where)
        answer = self.server.http("GET", "/api/v1/devices", token=token)
        self.assertEqual((answer.status, answer.json["code"]), (401, why), where)
        answer = self.server.http("POST", "/api/v1/session", body={"token": token})
        self.assertIn((answer.status, answer.json["code"]), [(401, why), (413, "too_large")], where)
        self.assertNotIn("Set-Cookie", answer.headers)

    def test_the_forger_of_these_tests_makes_good_tokens_where_nothing_is_forged(self):
        with self.server.client("/ws", signed_hs256(self.secret, claims())) as client:
            self.assertEqual(client.expect("system.connection")["payload"]["roles"], ["admin"])

    @attack("a token with `alg: none`, in any case, with and without a signature", "`invalid_token`, close 4501")
    def test_tokens_without_a_signature_are_refused(self):
        for name in ["none", "None", "NONE", "nOnE", "", "null"]:
            head, body = b64({"alg": name, "typ": "JWT"}), b64(claims())
            self.refused(f"{head}.{body}.")
            self.refused(f"{head}.{body}.{b64(b'x' * 32)}")

    @attack("an algorithm of the same family, or of another, with the same secret", "`invalid_token`, close 4501")
    def test_another_algorithm_than_the_keys_is_refused(self):
        for name in ["HS384", "HS512", "RS256", "ES256", "PS256", "EdDSA", "hs256", "HS256 "]:
            self.refused(signed_hs256(self.secret, claims(), alg=name))
        # The secret is right, and so is the signature: only the algorithm is not the key's.
        for name, hash in [("HS384", hashlib.sha384), ("HS512", hashlib.sha512)]:
            self.refused(signed_hs256(self.secret, claims(), alg=name, hash=hash))

    @attack("keys that the token itself brings: `jwk`, `jku`, `x5u`, `x5c`, and `kid` as a path or a query", "`invalid_token`; nothing is fetched")
    def test_a_token_cannot_choose_its_own_key(self):
        asked = []

        class Host(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_error(404)

            def log_message(self, *_):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Host) as host:
            threading.Thread(target=host.serve_forever, daemon=True).start()
            url = f"http://127.0.0.1:{host.server_port}/keys"
            mine = secrets.token_bytes(32)
            headers = [
                {"jwk": {"kty": "oct", "k": b64(mine), "alg": "HS256"}},
                {"jku": url},
                {"x5u": url},
                {"x5c": [b64(mine)]},
                {"jku": url, "kid": "1"},
                {"kid": "../../../../dev/null"},
                {"kid": "' UNION SELECT 'x"},
                {"kid": url},
            ]
            for header in headers:
                self.refused(signed_hs256(mine, claims(), **header))
                # The file /dev/null as a key is an empty one.
                self.refused(signed_hs256(b"", claims(), **header))
            host.shutdown()
        self.assertEqual(asked, [])

    @attack("a signature that is cut, flipped, empty, doubled or of another token", "`invalid_token`, close 4501")
    def test_a_signature_has_to_fit_to_the_last_bit(self):
        good = signed_hs256(self.secret, claims())
        head, body, signature = good.split(".")
        other = signed_hs256(self.secret, claims(sub="alice", roles=["viewer"])).split(".")
        flipped = signature[:-2] + ("A" if signature[-2] != "A" else "B") + signature[-1]
        for token in [
            f"{head}.{body}",
            f"{head}.{body}.",
            f"{head}.{body}.{signature[:-6]}",
            f"{head}.{body}.{flipped}",
            f"{head}.{body}.{other[2]}",
            f"{head}.{other[1]}.{signature}",
            f"{head}.{body}.{signature}.{signature}",
            f"{good}=",
            f"{head}.{body}={'.' + signature}",
            f".{body}.{signature}",
            "..",
            ".",
        ]:
            self.refused(token)

    @attack("a token that has run out, long ago or by more than the leeway", "`token_expired`, close 4401: come back with a fresh one")
    def test_what_has_run_out_is_refused(self):
        for seconds in [6, 60, 86_400 * 400]:
            self.refused(signed_hs256(self.secret, claims(exp=int(time.time()) - seconds)), "token_expired", 4401)

    @attack("going on with a socket after its token has run out", "`token_expired`, close 4401")
    def test_a_socket_ends_with_its_token(self):
        # The leeway is five seconds more.
        with self.server.client("/ws", signed_hs256(self.secret, claims(exp=int(time.time()) + 3))) as client:
            client.expect("system.connection")
            closed = client.closed(2 * PATIENCE)
        self.assertEqual((closed.code, closed.error["code"]), (4401, "token_expired"))

    @attack("a token that is not valid yet", "`invalid_token`, close 4501")
    def test_what_is_not_valid_yet_is_refused(self):
        self.refused(signed_hs256(self.secret, claims(nbf=int(time.time()) + 600)))

    @attack("a token for another audience, of another issuer, or of nobody", "`invalid_token`, close 4501")
    def test_a_token_for_somebody_else_is_refused(self):
        for changes in [
            {"aud": "other"},
            {"aud": ["other", "anitaa"]},
            {"aud": []},
            {"aud": None},
            {"aud": "ANITA"},
            {"iss": "evil"},
            {"iss": None},
            {"iss": "anita/"},
            {"iss": ["anita"]},
            {"sub": None},
            {"sub": ""},
            {"sub": "x" * 300},
        ]:
            self.refused(signed_hs256(self.secret, claims(**changes)))

    @attack("claims of other types, without an end, or with an end that no clock shows", "`invalid_token`, close 4501")
    def test_claims_that_make_no_sense_are_refused(self):
        for changes in [
            {"exp": None},
            {"exp": "never"},
            {"exp": "99999999999"},
            {"exp": 1e300},
            {"exp": -1e300},
            {"exp": [1]},
            {"nbf": "now"},
            {"nbf": 1e300},
            {"roles": {"admin": True}},
            {"devices": ["["]},
            {"rooms": 7},
        ]:
            self.refused(signed_hs256(self.secret, claims(**changes)))
        for body in [b"", b"[]", b"null", b"{", b'{"sub":"a","sub":"b"}', b"\xff\xfe", b'"x"']:
            self.refused(signed_hs256(self.secret, body))

    @attack("a name with line breaks or control characters, to write into logs", "`invalid_token`, close 4501")
    def test_a_subject_cannot_write_lines_into_the_log(self):
        for name in ["a\nadmin signed in", "a\r\nx", "a\x1b[31m", "a\x00b", "a\u0085b"]:
            self.refused(signed_hs256(self.secret, claims(sub=name)))

    @attack("a role or a permission that does not exist, and roles by other names", "it allows nothing: `forbidden`")
    def test_unknown_roles_allow_nothing(self):
        for roles in [["root"], ["Admin"], ["admin "], ["*"], [], None]:
            with self.server.client("/ws", signed_hs256(self.secret, claims(roles=roles))) as client:
                self.assertEqual(client.expect("system.connection")["payload"]["permissions"], [], roles)
                self.assertEqual(client.refused("get_active_devices")["code"], "forbidden")

    @attack("a critical header extension (`crit`) that is not understood", "`invalid_token`, close 4501 (RFC 7515 §4.1.11)")
    def test_a_critical_extension_is_not_ignored(self):
        self.refused(signed_hs256(self.secret, claims(), crit=["exp"]))
        self.refused(signed_hs256(self.secret, claims(), crit=["b64"], b64=False))

    @attack("a token of more than 8 KiB", "`invalid_token`, close 4501, before it is read")
    def test_a_token_that_is_too_long_is_refused(self):
        self.refused(signed_hs256(self.secret, claims(pad="x" * 9_000)))

    @attack("another user's token at a refresh", "`conflict`; the socket goes on as who it was")
    def test_a_socket_cannot_change_its_user(self):
        client = self.server.hello(role="viewer", subject="alice")
        self.addCleanup(client.close)
        error = client.refused("authenticate", {"token": self.server.token("admin", "bob")})
        self.assertEqual(error["code"], "conflict")
        self.assertEqual(client.refused("report_location", {"device_id": "t", "location": {"x": 1, "y": 1, "z": 1}})["code"], "forbidden")

    @attack("a forged token at a refresh", "`invalid_token`; the socket goes on with its own rights")
    def test_a_forged_refresh_changes_nothing(self):
        client = self.server.hello(role="viewer", subject="alice")
        self.addCleanup(client.close)
        forged = signed_hs256(b"x" * 32, claims(sub="alice"))
        self.assertEqual(client.refused("authenticate", {"token": forged})["code"], "invalid_token")
        self.assertEqual(client.refused("get_room_members", {"room": "r"})["code"], "forbidden")


class ConfusedTest(unittest.TestCase):
    """Against a server with a public key."""

    @classmethod
    def setUpClass(cls):
        program()
        need(shutil.which("openssl"), "openssl is not installed")
        cls.server = Server(prepare=cls.with_public_key)
        cls.addClassCleanup(cls.server.close)

    @classmethod
    def with_public_key(cls, folder, config):
        cls.private, cls.public = rsa_key(folder, "issuer")
        return config.replace('secret_file = "jwt.secret"', f'public_key_file = "{cls.public.name}"')

    def test_the_issuers_tokens_are_accepted(self):
        with self.server.client("/ws", signed_rs256(self.private, claims())) as client:
            client.expect("system.connection")

    @attack("algorithm confusion: HS256 with the public key as the secret", "`invalid_token`, close 4501")
    def test_a_public_key_is_no_secret(self):
        pem = self.public.read_bytes()
        der = b"".join(line for line in pem.splitlines() if not line.startswith(b"-----"))
        for key in [pem, pem.rstrip(b"\n"), pem.replace(b"\n", b"\r\n"), der, b""]:
            with self.server.client("/ws", signed_hs256(key, claims())) as client:
                closed = client.closed()
            self.assertEqual((closed.code, closed.error["code"]), (4501, "invalid_token"))

    @attack("a token of another RSA key, with the key in its header", "`invalid_token`, close 4501")
    def test_another_key_of_the_same_kind_is_refused(self):
        mine, public = rsa_key(self.server.folder, "mine")
        for header in [{}, {"kid": "1"}, {"x5c": [b64(public.read_bytes())]}]:
            with self.server.client("/ws", signed_rs256(mine, claims(), **header)) as client:
                self.assertEqual(client.closed().code, 4501)


class Keys:
    """A host that publishes keys (RFC 7517), and remembers what it was asked for."""

    def __init__(self, keys):
        self.asked = asked = []
        body = json.dumps({"keys": keys}).encode()

        class Host(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Host)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class PublishedTest(unittest.TestCase):
    """Against a server that takes the tokens of an issuer with several published keys."""

    ISSUER = "https://id.example"

    @classmethod
    def setUpClass(cls):
        program()
        need(shutil.which("openssl"), "openssl is not installed")
        cls.server = Server(prepare=cls.with_published_keys)
        cls.addClassCleanup(cls.server.close)

    @classmethod
    def with_published_keys(cls, folder, config):
        cls.keys = {name: rsa_key(folder, name) for name in ["a", "b", "evil"]}
        jwk = {name: rsa_jwk(public, name) for name, (_private, public) in cls.keys.items()}
        cls.issuer = Keys([jwk["a"], jwk["b"]])
        # The attacker's key, by the name of a good one.
        cls.evil = Keys([{**jwk["evil"], "kid": "a"}, jwk["evil"]])
        cls.jwk = jwk
        for host in [cls.issuer, cls.evil]:
            cls.addClassCleanup(host.close)
        return config + f"""
[[auth.issuers]]
issuer = "{cls.ISSUER}"
audience = "anita"
jwks_url = "{cls.issuer.url}"
"""

    def signed(self, key, issuer=ISSUER, **header):
        return signed_rs256(self.keys[key][0], claims(iss=issuer, sub=f"{key}-{len(header)}"), **header)

    # A key that is not known may have been published a moment ago: then it is asked for at the issuer, once in a while, and
    # whoever comes meanwhile is told to come back.
    LATER = [(1013, "unavailable"), (503, "unavailable")]

    def refused(self, token, later=()):
        with self.server.client("/ws", token) as client:
            closed = client.closed()
        self.assertIn((closed.code, closed.error["code"]), [(4501, "invalid_token"), *later], token[:80])
        answer = self.server.http("GET", "/api/v1/devices", token=token)
        self.assertIn((answer.status, answer.json["code"]), [(401, "invalid_token"), *later], token[:80])

    def test_tokens_of_each_published_key_are_accepted(self):
        for key in ["a", "b"]:
            with self.server.client("/ws", self.signed(key, kid=key)) as client:
                client.expect("system.connection")

    @attack("at an issuer with several published keys: `jku`, `x5u`, `jwk` or `kid` that point to the attacker's keys, which have a good key's name", "`invalid_token`, close 4501; nothing is fetched there")
    def test_no_header_leads_away_from_the_keys_of_the_issuer(self):
        away = [
            {"jku": self.evil.url},
            {"x5u": self.evil.url},
            {"jwk": {**self.jwk["evil"], "kid": "a"}},
            {"jku": f"{self.issuer.url}@{self.evil.url.removeprefix('http://')}"},
        ]
        for header in away:
            self.refused(self.signed("evil", kid="a", **header))
            self.refused(self.signed("evil", kid="evil", **header), self.LATER)
            self.refused(self.signed("evil", **header))
            # A good token stays good, and its header still leads nowhere.
            with self.server.client("/ws", self.signed("b", kid="b", **header)) as client:
                client.expect("system.connection")
        for kid in [self.evil.url, "../evil", "a' OR '1'='1", "", "A", "a "]:
            self.refused(self.signed("evil", kid=kid), self.LATER)
        self.assertEqual(self.evil.asked, [])
        self.assertEqual({path for path in self.issuer.asked}, {"/jwks"})

    @attack("one published key's name on a token of another one, no name where there are several keys, and a published key as the secret of HS256", "`invalid_token`, close 4501")
    def test_a_token_is_checked_by_the_key_that_it_names_and_no_other(self):
        self.refused(self.signed("b", kid="a"))
        self.refused(self.signed("a", kid="b"))
        self.refused(self.signed("a"))
        public = self.keys["a"][1].read_bytes()
        for secret in [public, public.rstrip(b"\n"), self.jwk["a"]["n"].encode(), json.dumps(self.jwk["a"]).encode()]:
            self.refused(signed_hs256(secret, claims(iss=self.ISSUER), kid="a"))
        # The key of one issuer under the name of another one, which has a secret.
        self.refused(self.signed("a", issuer="anita", kid="a"))
        secret = (self.server.folder / "jwt.secret").read_bytes().rstrip(b"\n")
        self.refused(signed_hs256(secret, claims(iss=self.ISSUER), kid="a"))


class BorrowedTest(unittest.TestCase):
    """Tickets, sessions and tokens that were somebody's."""

    @classmethod
    def setUpClass(cls):
        program()
        cls.server = Server(prepare=cls.with_two_issuers)
        cls.addClassCleanup(cls.server.close)
        cls.own = f"http://127.0.0.1:{cls.server.port}"
        cls.secret = (cls.server.folder / "jwt.secret").read_bytes().rstrip(b"\n")

    @classmethod
    def with_two_issuers(cls, folder, config):
        config = config.replace("[auth]", 'allowed_origins = ["https://board.example"]\n[auth]')
        cls.partner = secrets.token_hex(32).encode()
        (folder / "partner.secret").write_bytes(cls.partner)
        return config + """
[[auth.issuers]]
issuer = "partner"
audience = "anita"
secret_file = "partner.secret"
roles_allowed = ["viewer"]
"""

    def closed(self, code, *arguments, **options):
        with self.server.client(*arguments, **options) as client:
            closed = client.closed()
        self.assertEqual((closed.code, [it["type"] for it in closed.before]), (code, ["error"]))

    def ticket(self, role="viewer", subject="alice", **headers):
        answer = self.server.http("POST", "/api/v1/tickets", token=self.server.token(role, subject), headers=headers)
        self.assertEqual(answer.status, 201, answer.body)
        return answer.json["ticket"]

    def revoke(self, **what):
        """Revokes; what the answer says of it."""
        answer = self.server.http("POST", "/api/v1/revocations", token=self.server.token("admin", "root"), body=what)
        self.assertEqual(answer.status, 201, answer.body)
        return answer.json

    @attack("a ticket that was used already, that was guessed, or that is nearly right", "`invalid_token`, close 4501")
    def test_a_ticket_opens_one_socket_once(self):
        ticket = self.ticket()
        with self.server.client(f"/ws?ticket={ticket}") as client:
            self.assertEqual(client.expect("system.connection")["payload"]["user_id"], "alice")
        self.closed(4501, f"/ws?ticket={ticket}")
        self.closed(4501, "/ws", subprotocols=["anita.v1", f"anita.ticket.{ticket}"])
        fresh = self.ticket()
        for guess in ["", "x", "0" * len(fresh), fresh[:-1], fresh + "0", fresh.upper()]:
            self.closed(4501, f"/ws?ticket={guess}")
        self.closed(4501, "/ws", subprotocols=["anita.v1", f"anita.ticket.{fresh[:-2]}"])
        with self.server.client("/ws", subprotocols=["anita.v1", f"anita.ticket.{fresh}"]) as client:
            client.expect("system.connection")

    @attack("a ticket of one page, used by a program or by a page of another origin", "`invalid_token`, close 4501; and it is used up")
    def test_a_ticket_is_bound_to_its_origin(self):
        # Both pages may connect; but each with its own ticket.
        other = "https://board.example"
        for made_by, used_by in [(self.own, None), (None, self.own), (self.own, other), (other, self.own), (other, None)]:
            ticket = self.ticket(**({"Origin": made_by} if made_by else {}))
            self.closed(4501, f"/ws?ticket={ticket}", origin=used_by)
            self.closed(4501, f"/ws?ticket={ticket}", origin=made_by)
        for origin in [self.own, other, None]:
            ticket = self.ticket(**({"Origin": origin} if origin else {}))
            with self.server.client(f"/ws?ticket={ticket}", origin=origin) as client:
                client.expect("system.connection")

    @attack("a ticket that has run out", "`invalid_token`, close 4501")
    def test_a_ticket_runs_out(self):
        server = Server(prepare=lambda _folder, config: config.replace("[auth]", "[auth]\nticket_ttl_secs = 8"))
        self.addCleanup(server.close)
        token = server.token()
        issue = lambda: server.http("POST", "/api/v1/tickets", token=token).json
        with server.client(f"/ws?ticket={issue()['ticket']}") as client:
            client.expect("system.connection")
        late = issue()
        time.sleep(late["expires_in_secs"] + 0.1)
        with server.client(f"/ws?ticket={late['ticket']}") as client:
            closed = client.closed()
        self.assertEqual((closed.code, closed.error["code"]), (4501, "invalid_token"))

    @attack("a ticket as a token, and a token as a ticket", "`invalid_token`, close 4501; REST 401")
    def test_tickets_and_tokens_are_two_things(self):
        ticket = self.ticket()
        self.closed(4501, "/ws", ticket)
        self.assertEqual(self.server.http("GET", "/api/v1/devices", token=ticket).status, 401)
        self.closed(4501, f"/ws?ticket={self.server.token()}")

    @attack("a token that was revoked, by its id, its subject or its age, also one that says it is of tomorrow: presented anew, at a refresh, as a session, as a ticket", "`invalid_token`, close 4501 or 4509; REST 401; live sockets end at once")
    def test_what_was_revoked_opens_nothing(self):
        now = int(time.time())
        cases = [
            ("by-id", {"jti": "stolen-1"}, {"jti": "stolen-1"}),
            ("by-subject", {"subject": "by-subject"}, {}),
            ("by-age", {"subject": "by-age", "issued_before": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))}, {"iat": now - 60}),
            ("by-no-age", {"subject": "by-no-age", "issued_before": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))}, {"iat": now + 86_400}),
        ]
        for subject, what, more in cases:
            token = signed_hs256(self.secret, claims(sub=subject, roles=["operator"], **more))
            live = self.server.client("/ws", token)
            self.addCleanup(live.close)
            live.expect("system.connection")
            begun = self.server.http("POST", "/api/v1/session", token=token, headers={"Origin": self.own})
            cookie = {"Cookie": begun.headers["Set-Cookie"].split(";")[0], "Origin": self.own}
            page = self.server.client("/ws", origin=self.own, headers={"Cookie": cookie["Cookie"]})
            self.addCleanup(page.close)
            page.expect("system.connection")
            issued = self.server.http("POST", "/api/v1/tickets", token=token)
            # The same user by another token: of those that are meant, but where it is one token that was stolen.
            other = self.server.client("/ws", signed_hs256(self.secret, claims(sub=subject, roles=["viewer"], iat=now + 1)))
            self.addCleanup(other.close)
            other.expect("system.connection")
            # The sockets are closed before it is answered; until they hear of it, time may pass on a busy machine.
            made = self.revoke(**what, reason="stolen")
            began_at = time.monotonic()
            self.assertEqual(made["connections_closed"], 3 if subject == "by-subject" else 2, subject)
            for socket in [live, page]:
                closed = socket.closed()
                self.assertEqual((closed.code, closed.reason["code"]), (4509, "logged_out"), subject)
            self.assertLess(time.monotonic() - began_at, 10)
            if subject == "by-subject":
                self.assertEqual(other.closed().code, 4509)
            else:
                self.assertEqual(other.refused("authenticate", {"token": token})["code"], "invalid_token")
                self.assertEqual(other.refused("register_device", {"device_id": "d"})["code"], "forbidden")
            with self.server.client("/ws", token) as client:
                self.assertIn(client.closed().code, (4501, 4509), subject)
            with self.server.client(f"/ws?ticket={issued.json['ticket']}") as client:
                self.assertIn(client.closed().code, (4501, 4509), subject)
            for method, path in [("GET", "/api/v1/devices"), ("POST", "/api/v1/session"), ("POST", "/api/v1/tickets")]:
                self.assertEqual(self.server.http(method, path, token=token).status, 401, (subject, path))
            self.assertEqual(self.server.http("GET", "/api/v1/session", headers=cookie).status, 401, subject)
            # Somebody else is not concerned, and what is taken back counts again.
            with self.server.hello(role="viewer", subject="alice") as other:
                other.ask("ping")
            gone = self.server.http("DELETE", f"/api/v1/revocations/{made['id']}", token=self.server.token("admin", "root"))
            self.assertEqual(gone.status, 204)
            with self.server.client("/ws", token) as client:
                client.expect("system.connection")

    @attack("revoking other people's tokens without the right to", "`forbidden`, 403")
    def test_revoking_is_the_administrators(self):
        for role in ["viewer", "publisher", "operator"]:
            token = self.server.token(role)
            for method, path, body in [("POST", "", {"subject": "root"}), ("GET", "", None), ("DELETE", "/x", None)]:
                self.assertEqual(self.server.http(method, f"/api/v1/revocations{path}", token=token, body=body).status, 403)

    @attack("one issuer's key under another issuer's name, and more roles than an issuer may give", "`invalid_token`, close 4501; the roles allow nothing")
    def test_issuers_do_not_speak_for_each_other(self):
        for key, issuer in [(self.partner, "anita"), (self.secret, "partner"), (self.partner, "certificate"), (self.partner, "nobody")]:
            self.closed(4501, "/ws", signed_hs256(key, claims(iss=issuer)))
        with self.server.client("/ws", signed_hs256(self.partner, claims(iss="partner", roles=["admin", "viewer"]))) as client:
            hello = client.expect("system.connection")["payload"]
            self.assertNotIn("tokens.revoke", hello["permissions"])
            self.assertIn("devices.read", hello["permissions"])
            # The same name at another issuer is another user.
            self.assertEqual(client.refused("authenticate", {"token": signed_hs256(self.secret, claims())})["code"], "conflict")

    @attack("going on with a page's sockets after its user has logged out elsewhere", "close 4509 for all of the user's sockets")
    def test_a_logout_ends_every_socket_of_the_user(self):
        token = self.server.token("viewer", "leaving")
        begun = self.server.http("POST", "/api/v1/session", token=token, headers={"Origin": self.own})
        cookie = {"Cookie": begun.headers["Set-Cookie"].split(";")[0], "Origin": self.own}
        sockets = [self.server.client("/ws", token), self.server.client("/ws", origin=self.own, headers={"Cookie": cookie["Cookie"]})]
        for socket in sockets:
            self.addCleanup(socket.close)
            socket.expect("system.connection")
        self.assertEqual(self.server.http("DELETE", "/api/v1/session", headers=cookie).status, 204)
        for socket in sockets:
            self.assertEqual(socket.closed().code, 4509)


if __name__ == "__main__":
    unittest.main()
