"""Attacks by tokens: forged, borrowed, stretched (RFC 8725)."""

import http.server
import json
import secrets
import threading
import time
import unittest

from attacks import attack, b64, claims, rsa_key, signed_hs256, signed_rs256
from harness import Server, need, program
import shutil


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

    @attack("a token that is not valid yet", "`invalid_token`, close 4501")
    def test_what_is_not_valid_yet_is_refused(self):
        self.refused(signed_hs256(self.secret, claims(nbf=int(time.time()) + 60)))

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
            {"roles": "admin"},
            {"roles": {"admin": True}},
            {"devices": "*"},
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


if __name__ == "__main__":
    unittest.main()
