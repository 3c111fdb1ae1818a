"""A notification as a message of Web Push: JSON that the browser's service worker (`web/static/sw.js`) shows, encrypted
for that browser alone (RFC 8291), and what the push service between must know (RFC 8030, RFC 8292). Pure.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import http_ece
import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid02

from rmactors.common import clock
from rmactors.common.vocabulary import Severity
from rmactors.server.channels import plain
from rmactors.server.channels.config import MASK
from rmactors.server.channels.request import USER_AGENT, make_request
from rmactors.server.channels.telling import ENDINGS, title
from rmactors.server.channels.webpush import keys
from rmactors.server.messages.notifications import Notification

MAX_BYTES: Final = 3_993
"""Of the JSON: a push service takes 4,096, and the encryption adds 103."""
MAX_TEXT: Final = 1_000
"""Bytes of the text as JSON has it. No phone shows more."""
_SHORTEST_TEXT: Final = 100
RECORD_BYTES: Final = 4_096
TTL_SECONDS: Final = 86_400
_CLAIM_SECONDS: Final = 12 * 3_600
"""A push service believes a signature for a day at most."""

_URGENCY: Final[dict[Severity, str]] = {"critical": "high", "warning": "normal", "info": "low"}


def shown(notification: Notification) -> bytes:
    """What the service worker is told, as JSON. `tag`: messages with one tag are one notification on the screen.

    No `act_link`: everyone who may read alerts can make a channel of this kind, and that link is for those who may act.
    """
    found = {
        "title": title(notification),
        "body": "",
        "url": notification.link,
        "tag": topic(notification),
        "event": notification.event,
    }
    room = MAX_BYTES - len(msgspec.json.encode(found))
    if room < _SHORTEST_TEXT:  # an address of this server that leaves no room: its first page is found without one
        found["url"] = "/"
        room = MAX_BYTES - len(msgspec.json.encode(found))
    found["body"] = plain.text(notification, min(room, MAX_TEXT), _in_json)
    return msgspec.json.encode(found)


def topic(notification: Notification) -> str:
    """What waits at the push service under a topic is replaced by what comes: an alert's raise by its resolution.

    A group stands for several alerts, and is replaced by none of them.
    """
    about = notification.delivery_id if notification.group else notification.alert_id
    return base64.urlsafe_b64encode(hashlib.sha256(about.encode()).digest()[:24]).decode()


def urgency(notification: Notification) -> str:
    """Whether a phone is woken for it."""
    return "low" if notification.event in ENDINGS else _URGENCY[notification.severity]


def render(
    notification: Notification, url: httpx.URL, config: Mapping[str, Any], base_url: str, at: int
) -> httpx.Request:
    """The request as it goes out at `at` (microseconds). It differs each time, as each has a key of its own."""
    own = keys.private_key(config["vapid_key"])
    claims = {
        "aud": origin(url), "exp": at // clock.SECOND + _CLAIM_SECONDS, "sub": contact(base_url),
    }  # fmt: skip
    signed: str = Vapid02(own).sign(claims)["Authorization"]
    content: bytes = http_ece.encrypt(
        shown(notification), private_key=ec.generate_private_key(ec.SECP256R1()), dh=keys.browser_key(config["p256dh"]),
        auth_secret=keys.auth_secret(config["auth"]), version="aes128gcm", rs=RECORD_BYTES,
    )  # fmt: skip
    return make_request(url, _headers(notification, signed), content)


def render_preview(notification: Notification, url: httpx.URL) -> httpx.Request:
    """The same with the body as it is before it is encrypted."""
    return make_request(url, _headers(notification, f"vapid t={MASK},k={MASK}"), shown(notification))


def origin(url: httpx.URL) -> str:
    """Scheme and host of the push service, for which the signature is good."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def contact(base_url: str) -> str:
    """Whom a push service may write to about us. It must look like an address that is somebody's."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if parts.scheme == "https" and re.fullmatch(r"[\w-]+(\.[\w-]+)+", host, re.ASCII):
        return f"https://{host}"
    return "mailto:restic-manager@localhost"


def _headers(notification: Notification, signed: str) -> list[tuple[str, str]]:
    return [
        ("User-Agent", USER_AGENT),
        ("Authorization", signed),
        ("Content-Type", "application/octet-stream"),
        ("Content-Encoding", "aes128gcm"),
        ("TTL", str(TTL_SECONDS)),
        ("Urgency", urgency(notification)),
        ("Topic", topic(notification)),
    ]


def _in_json(text: str) -> int:
    """Bytes of the text inside of a JSON string."""
    return len(msgspec.json.encode(text.encode(errors="replace").decode())) - 2
