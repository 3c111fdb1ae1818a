"""A notification as a webhook's request. Pure: the caller gives the time and sends it."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

import httpx

from rmactors.common import clock
from rmactors.server.channels.config import MASK
from rmactors.server.channels.request import USER_AGENT, CannotBeMade, make_request
from rmactors.server.channels.webhook.own_body import own_body
from rmactors.server.channels.webhook.template import TemplateFault
from rmactors.server.channels.webhook.usual_body import body
from rmactors.server.messages.notifications import Notification

JSON: Final = "application/json"


def render(notification: Notification, url: httpx.URL, config: Mapping[str, Any], at: int) -> httpx.Request:
    """The request as it goes out at `at` (microseconds). Raises CannotBeMade."""
    content = body(notification)
    if template := config.get("body_template"):
        try:
            content = own_body(template, notification)
        except TemplateFault as error:
            raise CannotBeMade(f"the body template makes no body of this: {error}") from None
    headers = [
        ("User-Agent", USER_AGENT),
        ("Content-Type", config.get("content_type") or JSON),
        ("Idempotency-Key", notification.delivery_id),
    ]
    if token := config.get("bearer_token"):
        headers.append(("Authorization", f"Bearer {token.strip()}"))
    if (name := config.get("header_name")) and (value := config.get("header_value")):
        headers.append((name, value.strip()))
    if secret := config.get("signing_secret"):
        stamp = at // clock.SECOND
        headers += [
            ("webhook-id", notification.delivery_id),
            ("webhook-timestamp", str(stamp)),
            ("webhook-signature", sign(secret, notification.delivery_id, stamp, content)),
        ]
    return make_request(url, headers, content)


def sign(secret: str, message_id: str, stamp: int, content: bytes) -> str:
    """The Standard Webhooks signature of a message sent at `stamp` (seconds), version 1."""
    if secret == MASK:  # a preview shows where it stands
        return f"v1,{MASK}"
    signed = b"%s.%d.%s" % (message_id.encode(), stamp, content)
    return "v1," + base64.b64encode(hmac.digest(signing_key(secret), signed, hashlib.sha256)).decode()


def signing_key(secret: str) -> bytes:
    """The bytes that sign: base64 behind `whsec_`, else the text itself. Raises ValueError with a sentence."""
    if not secret.startswith("whsec_"):
        return secret.encode()
    text = secret.removeprefix("whsec_")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError("What follows whsec_ must be base64.")
    return key
