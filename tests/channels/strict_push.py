"""A push service as strict as the standards ask (RFC 8030, 8188, 8291, 8292), and the browser behind it.

All is judged with the primitives of `cryptography` and with `http_ece`'s other side, nothing with what is tested.
"""

import base64
import json
import os
import re
from dataclasses import dataclass, field
from typing import Any

import http_ece
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rmactors.common import clock
from tests.channels.receivers import Request, Stream, replies

PATH = "/wpush/v2/gAAAAABk-a-secret-of-some-length"


def to_text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def from_text(text: str) -> bytes:
    assert re.fullmatch(r"[0-9A-Za-z_-]+", text), "base64url without padding"
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Subscription:
    """What a browser keeps, and what it gives away."""

    server_key: str
    """The `applicationServerKey` that it was made for."""
    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    auth: bytes = field(default_factory=lambda: os.urandom(16))

    @property
    def p256dh(self) -> str:
        return to_text(self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))

    def given(self, endpoint: str) -> dict[str, str]:
        return {"endpoint": endpoint, "p256dh": self.p256dh, "auth": to_text(self.auth)}


class StrictPushService:
    """Takes what is for its one subscription, and shows it as the browser decrypts it.

    `origin` is set once it listens.
    """

    def __init__(self, subscription: Subscription, now: int) -> None:
        self.subscription, self.now, self.origin = subscription, now, ""
        self.shown: list[dict[str, Any]] = []
        self.waiting: dict[str, dict[str, Any]] = {}
        """By topic: what a browser that was away gets."""

    async def __call__(self, stream: Stream, request: Request) -> None:
        status, why = self._fault(request)
        words = {201: "Created", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 413: "Payload Too Large",
                 403: "Forbidden"}[status]  # fmt: skip
        location = {"Location": f"{self.origin}/m/1"} if status == 201 else {}
        await replies(f"{status} {words}", why.encode(), **location)(stream, request)

    def _fault(self, request: Request) -> tuple[int, str]:
        method, path, _ = request.line.split()
        if (method, path) != ("POST", PATH):
            return 404, "no such subscription"
        if len(request.body) > 4096:
            return 413, "too large"
        if (status := self._of_claims(request.headers.get("authorization", "")))[0] != 200:
            return status
        headers = request.headers
        if not re.fullmatch(r"[0-9]{1,9}", headers.get("ttl", "")):
            return 400, "TTL is needed"
        if headers.get("urgency", "normal") not in ("very-low", "low", "normal", "high"):
            return 400, "no such urgency"
        if not re.fullmatch(r"[0-9A-Za-z_-]{1,32}", topic := headers.get("topic", "x")):
            return 400, "not a topic"
        if headers.get("content-encoding") != "aes128gcm":
            return 400, "not an encoding"
        told = http_ece.decrypt(
            request.body, private_key=self.subscription.private, auth_secret=self.subscription.auth,
            version="aes128gcm",
        )  # fmt: skip
        self.shown.append(json.loads(told))
        self.waiting[topic] = self.shown[-1]
        return 201, ""

    def _of_claims(self, authorization: str) -> tuple[int, str]:
        """RFC 8292: signed by the key that the subscription was made for, for this origin, for a day at most."""
        found = re.fullmatch(r"vapid t=([\w-]+)\.([\w-]+)\.([\w-]+), ?k=([\w-]+)", authorization)
        if found is None:
            return 401, "vapid is needed"
        header, claims, signature, key = found.groups()
        if key != self.subscription.server_key:
            return 403, "not the key that this subscription was made for"
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), from_text(key))
        raw = from_text(signature)
        if len(raw) != 64:
            return 401, "not a signature of ES256"
        try:
            halves = int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
            public.verify(encode_dss_signature(*halves), f"{header}.{claims}".encode(), ec.ECDSA(SHA256()))
        except InvalidSignature:
            return 401, "the signature is wrong"
        if json.loads(from_text(header)).get("alg") != "ES256":
            return 401, "not ES256"
        said, now = json.loads(from_text(claims)), self.now // clock.SECOND
        if said.get("aud") != self.origin:
            return 401, f"this is {self.origin}, not {said.get('aud')}"
        if not isinstance(said.get("exp"), int) or not now < said["exp"] <= now + 86_400:
            return 401, "expired, or for longer than a day"
        if not re.fullmatch(r"(mailto:[^@\s]+@\S+|https://\S+)", str(said.get("sub"))):
            return 401, "no contact"
        return 200, ""
