"""An OpenID provider that says whatever a test wants, also what none should. Its keys and signatures are real."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from rmactors.common import clock

CLIENT_ID, CLIENT_SECRET = "restic-manager", "a secret: with % and +"


def new_key(kid: str | None = "one") -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"} if kid is not None else {"use": "sig"})


@dataclass
class LyingProvider:
    """Good until a test changes something. `claims` are laid over those of a good token, None takes one out."""

    issuer: str = ""
    key: RSAKey = field(default_factory=new_key)
    published: list[RSAKey] | None = None
    """None: `key` alone."""
    claims: dict[str, Any] = field(default_factory=lambda: {"groups": ["ops"], "preferred_username": "anna"})
    header: dict[str, Any] = field(default_factory=dict)
    discovery: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] | None = None
    token_answer: tuple[int, bytes] | None = None
    used: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """What was wrong with token requests."""
    challenges: dict[str, tuple[str, str]] = field(default_factory=dict)

    def authorize(self, url: str) -> tuple[str, str]:
        """What the user's browser does there: (code, state), for a request that is as it must be."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT_ID
        assert query["code_challenge_method"] == "S256"
        assert "openid" in query["scope"].split()
        code = f"code-{len(self.challenges)}"
        self.challenges[code] = (query["code_challenge"], query["nonce"])
        return code, query["state"]

    def answer(self, method: str, path: str, headers: Any, body: str) -> tuple[int, bytes]:
        self.asked.append(path)
        match path:
            case "/.well-known/openid-configuration":
                base = self.issuer
                found = {
                    "issuer": base, "authorization_endpoint": f"{base}/authorize?tenant=1",
                    "token_endpoint": f"{base}/token", "jwks_uri": f"{base}/jwks",
                    "id_token_signing_alg_values_supported": ["RS256", "none", "HS256"],
                } | self.discovery  # fmt: skip
                if self.userinfo is not None:
                    found["userinfo_endpoint"] = f"{base}/userinfo"
                return 200, json.dumps(found).encode()
            case "/jwks":
                keys = self.published if self.published is not None else [self.key]
                return 200, json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()
            case "/token":
                return self._token(headers.get("Authorization", ""), body)
            case "/userinfo":
                assert headers["Authorization"] == "Bearer the-access-token"
                return 200, json.dumps(self.userinfo).encode()
            case _:
                return 404, b"{}"

    def _token(self, authorization: str, body: str) -> tuple[int, bytes]:
        if self.token_answer is not None:
            return self.token_answer
        form = {name: values[0] for name, values in parse_qs(body).items()}
        basic = base64.b64decode(authorization.removeprefix("Basic ")).decode().split(":", 1)
        if [unquote_plus(part) for part in basic] != [CLIENT_ID, CLIENT_SECRET]:
            return 401, b'{"error": "invalid_client"}'
        code = form["code"]
        challenge, nonce = self.challenges.get(code, ("", ""))
        digest = sha256(form["code_verifier"].encode()).digest()
        if code in self.used or base64.urlsafe_b64encode(digest).decode().rstrip("=") != challenge:
            self.wrong.append(code)
            return 400, b'{"error": "invalid_grant", "error_description": "grant request is invalid"}'
        self.used.add(code)
        return 200, json.dumps({"access_token": "the-access-token", "id_token": self.token(nonce)}).encode()

    def token(self, nonce: str) -> str:
        now = clock.now() // clock.SECOND
        good = {
            "iss": self.issuer, "sub": "subject-1", "aud": CLIENT_ID, "exp": now + 300, "iat": now, "nonce": nonce,
        } | self.claims  # fmt: skip
        claims = {name: value for name, value in good.items() if value is not None}
        header = {"alg": "RS256", "kid": self.key.kid} | self.header
        header = {name: value for name, value in header.items() if value is not None}
        if header["alg"] == "none":
            parts = (json.dumps(part, separators=(",", ":")).encode() for part in (header, claims))
            return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."
        if header["alg"] == "HS256":
            return jwt.encode(header, claims, OctKey.import_key(CLIENT_SECRET), algorithms=["HS256"])
        return jwt.encode(header, claims, self.key, algorithms=[header["alg"]])


@contextmanager
def lying_provider() -> Iterator[LyingProvider]:
    """There for as long as the block lasts."""
    provider = LyingProvider()

    class Answerer(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            status, content = provider.answer(self.command, urlsplit(self.path).path, self.headers, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answerer) as served:
        thread = Thread(target=served.serve_forever)
        thread.start()
        provider.issuer = f"http://127.0.0.1:{served.server_address[1]}"
        try:
            yield provider
        finally:
            served.shutdown()
            thread.join()
