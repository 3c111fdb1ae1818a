"""HTTP requests as they go out, before anything is sent."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from rmactors import PRODUCT, __version__
from rmactors.common.text import squeezed
from rmactors.server.channels.base import Preview
from rmactors.server.channels.config import MASK
from rmactors.server.messages.notifications import Notification

USER_AGENT = f"{PRODUCT}/{__version__}"


class CannotBeMade(ValueError):
    """The channel's own settings make no message of this notification. Its words say why; no attempt is made again."""


def make_request(
    url: httpx.URL, headers: Sequence[tuple[str, str]], body: bytes, method: str = "POST"
) -> httpx.Request:
    """A request with these headers and no others, but `Host` and `Content-Length`. Values go out as UTF-8.

    They are text without line breaks. Given as bytes, and the body as a stream, httpx takes a quarter of the time.
    """
    raw = [(name.encode(), value.encode()) for name, value in headers]
    raw = [(b"Host", url.netloc), *raw, (b"Content-Length", b"%d" % len(body))]
    return httpx.Request(method, url, headers=raw, stream=httpx.ByteStream(body))


def json_request(
    url: httpx.URL, notification: Notification, payload: dict[str, Any], content_type: str = "application/json"
) -> httpx.Request:
    """A POST of this payload, in the order of its keys, as UTF-8."""
    headers = [
        ("User-Agent", USER_AGENT),
        ("Content-Type", content_type),
        ("Idempotency-Key", notification.delivery_id),
    ]
    return make_request(url, headers, msgspec.json.encode(payload))


def credentials(request: httpx.Request) -> tuple[str, ...]:
    """What follows the scheme in `Authorization`: a receiver may repeat it as it was sent, and Basic is no cipher."""
    credential = request.headers.get("authorization", "").partition(" ")[2].strip()
    return (credential,) if credential else ()


def preview_of(request: httpx.Request) -> Preview:
    """The request as it would go out. Its secrets are masked already."""
    headers = {name.decode(): value.decode() for name, value in request.headers.raw}
    url = str(request.url).replace(quote(MASK), MASK)
    return Preview({"method": request.method, "url": url, "headers": headers, "body": request.read().decode()})


def one_line(text: str) -> str:
    """The text as one header line: every control character and line end becomes a space."""
    return text.strip() if text.isprintable() else squeezed(text)
