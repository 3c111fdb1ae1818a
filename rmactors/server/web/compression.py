"""Which answers go out compressed: text, above a small size, for who takes gzip, and never beside a secret.

gzip alone: every browser and program has it, and so has the standard library.

A compressed length tells whether a text that somebody chose occurs in the secret beside it, too (BREACH). So what may
hold a secret goes out as it is: answers to what is no GET, where a new token is shown, and all that strangers get but
static files. A route says by `holds_secret` that it is otherwise.
"""

import gzip
from typing import Final

import trio
from quart import Response, request
from quart.wrappers.response import DataBody
from werkzeug.datastructures import Accept

from rmactors.server.web.access import rule_at_hand

SMALLEST: Final = 1024
"""Bytes: less than that fits into one packet with its headers anyway."""
_BESIDE_THE_LOOP: Final = 1 << 14
"""Bytes that take well under a millisecond. More is compressed in a thread: zlib lets the others run meanwhile."""
_LEVEL: Final = 5
_TYPES: Final = frozenset(
    {"application/json", "application/problem+json", "application/manifest+json", "image/svg+xml", "text/javascript"}
)
_LIMITER: Final = trio.CapacityLimiter(2)


def takes_gzip(accepted: Accept) -> bool:
    """Whether an `Accept-Encoding` has gzip in it, and does not like the bare text better."""
    quality = accepted.quality("gzip")
    plain = next((each for name, each in accepted if name.lower() == "identity"), 0)
    return quality > 0 and quality >= plain


def is_text(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind in _TYPES or (kind.startswith("text/") and kind != "text/event-stream")


def squeeze(data: bytes, level: int = _LEVEL) -> bytes:
    """The same bytes each time: there is no date in it."""
    return gzip.compress(data, level, mtime=0)


def vary(response: Response) -> None:
    """Say that another `Accept-Encoding` gets other bytes."""
    response.vary.add("Accept-Encoding")


def _may_hold_secret() -> bool:
    """Whether the answer to the request at hand may show a secret."""
    rule = rule_at_hand()
    if rule.holds_secret is not None:
        return rule.holds_secret
    return rule.need == "public" or request.method not in {"GET", "HEAD"}


async def compress(response: Response) -> None:
    """Compress the answer at hand, if its type, its size and its reader allow it.

    What is streamed, a part of something, without a body or encoded already stays as it is.
    """
    body = response.response
    if not isinstance(body, DataBody) or response.status_code in (204, 206, 304):
        return
    headers = response.headers
    if (
        "Content-Encoding" in headers
        or "Content-Range" in headers
        or "no-transform" in headers.get("Cache-Control", "")
    ):
        return
    data = body.data
    if len(data) < SMALLEST or not is_text(headers.get("Content-Type", "")) or _may_hold_secret():
        return
    vary(response)
    if not takes_gzip(request.accept_encodings):
        return
    small = len(data) < _BESIDE_THE_LOOP
    response.set_data(squeeze(data) if small else await trio.to_thread.run_sync(squeeze, data, limiter=_LIMITER))
    headers["Content-Encoding"] = "gzip"
    if (tag := headers.get("ETag")) is not None and not tag.startswith("W/"):
        headers["ETag"] = f"W/{tag}"  # these are other bytes of the same text
