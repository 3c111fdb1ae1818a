"""Signed links in messages, with which an alert is acknowledged or silenced without signing in. Pure.

A link's token is `alert id (16 bytes) | channel id (16) | end (4, seconds) | HMAC-SHA256 of these (18 of its bytes)` in
URL-safe base64: 72 characters without a bit to spare, so that no second spelling of one is a token too. It is not
stored: it is good for as long as its key is there, its end has not come, and alert and channel say so.
"""

import base64
import hashlib
import hmac
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rmactors.common import ids
from rmactors.common.clock import DAY, SECOND

PURPOSE: Final = "action links"
"""What its keys are derived for."""
LASTS: Final = 7 * DAY
"""From the event that the message is about. The end of the alert ends it sooner."""

_FIELDS: Final = struct.Struct(">16s16sI")
_LAST_END: Final = (1 << 32) - 1
_MAC_BYTES: Final = 18
_SHAPE: Final = re.compile(r"[0-9A-Za-z_-]{72}")


@dataclass(frozen=True, slots=True)
class ActionLink:
    """What a genuine token is about. `ends_at` in microseconds."""

    alert_id: str
    channel_id: str
    ends_at: int


def token_for(key: bytes, alert_id: str, channel_id: str, issued_at: int) -> str:
    """The token of one alert in a message on one channel. `issued_at` in microseconds: the same one gives the same
    token, so that a message that is sent again says the same."""
    end = min((issued_at + LASTS) // SECOND, _LAST_END)
    said = _FIELDS.pack(ids.to_bytes(alert_id), ids.to_bytes(channel_id), end)
    return base64.urlsafe_b64encode(said + _mac(key, said)).decode()


def read(keys: Sequence[bytes], token: str) -> ActionLink | None:
    """What the token is about, if one of the keys has signed it. Whether it has ended is the caller's to look at."""
    if _SHAPE.fullmatch(token) is None:
        return None
    whole = base64.urlsafe_b64decode(token)
    said, mac = whole[:-_MAC_BYTES], whole[-_MAC_BYTES:]
    if not any(hmac.compare_digest(_mac(key, said), mac) for key in keys):
        return None
    alert, channel, end = _FIELDS.unpack(said)
    return ActionLink(ids.from_bytes(alert), ids.from_bytes(channel), end * SECOND)


def _mac(key: bytes, said: bytes) -> bytes:
    return hmac.digest(key, said, hashlib.sha256)[:_MAC_BYTES]
