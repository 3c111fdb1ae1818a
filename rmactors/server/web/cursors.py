"""Where a list goes on: its sort key as the text of a cursor, for the API and for the URLs of pages. Pure."""

import base64
import binascii
from typing import Any

import msgspec

from rmactors.server.web.validation import text_errors


def cursor_text(after: tuple[Any, ...] | None) -> str | None:
    """A sort key as `next_cursor`."""
    if after is None:
        return None
    return base64.urlsafe_b64encode(msgspec.json.encode(list(after))).decode().rstrip("=")


def sort_key(text: str, shape: tuple[type, ...]) -> tuple[Any, ...] | None:
    """The sort key in a cursor, whose parts have the types in `shape`; None for a text that this list never gave."""
    try:
        parts = msgspec.json.decode(base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)))
    except (msgspec.DecodeError, binascii.Error, UnicodeError, ValueError, RecursionError):
        return None
    if not isinstance(parts, list) or [type(part) for part in parts] != list(shape):
        return None
    if any(isinstance(part, int) and not -(1 << 63) <= part < 1 << 63 for part in parts) or text_errors(parts):
        return None
    return tuple(parts)
