"""A live part of a page, as the answer to a browser that has an earlier version of it.

`If-None-Match` names that version. 304 where the part is still like that; where the server remembers it and `Accept`
has `LINES`, the lines that changed; else all of it.
"""

from typing import Final

import msgspec
import trio
from quart import Response, current_app, request
from quart.wrappers.response import DataBody

from rmactors.server.web.changed_lines import Change, KnownVersions, tag_of

LINES: Final = "application/vnd.rmactors.lines+json"
_LIMITER: Final = trio.CapacityLimiter(2)


class Lines(msgspec.Struct):
    """`size` is how many UTF-16 units the whole text has, as JavaScript counts them."""

    lines: list[Change]
    size: int


async def shorten(response: Response) -> None:
    """Make a part's whole answer as short as its reader can take it."""
    body = response.response
    if request.method != "GET" or response.status_code != 200 or not isinstance(body, DataBody):
        return
    known: KnownVersions = current_app.extensions.setdefault("rmactors.sent_parts", KnownVersions())
    has = request.headers.get("If-None-Match")
    base = has if LINES in request.headers.get("Accept", "") else None
    tag, changed = await trio.to_thread.run_sync(_compare, body.data, known, base, limiter=_LIMITER)
    response.headers["ETag"] = tag
    if has == tag:
        response.set_data(b"")
        response.status_code = 304
        response.headers.pop("Content-Type", None)
        response.headers.pop("Content-Length", None)
    elif changed is not None:
        response.set_data(changed)
        response.headers["Content-Type"] = LINES


def _compare(data: bytes, known: KnownVersions, has: str | None) -> tuple[str, bytes | None]:
    """The tag of this version, and what changed since the one that the reader has; None if that is not known, or
    no shorter."""
    text = data.decode()
    tag = tag_of(text)
    if has == tag:
        return tag, None
    made = known.changes(has, text) if has is not None else None
    known.add(tag, text)
    if made is None:
        return tag, None
    packed = msgspec.json.encode(Lines(made, len(text.encode("utf-16-le")) // 2))
    return tag, packed if len(packed) < len(data) else None
