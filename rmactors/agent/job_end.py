"""What the report of a job's end says beside its verdict: its numbers, and its exit code. Pure."""

import json
from typing import Any, Final

import msgspec

from rmactors.common import wire

MOST_STATS: Final = wire.MAX_FRAME_BYTES // 2
"""Bytes."""


def stats_of(numbers: dict[str, Any], seconds: float) -> msgspec.Raw:
    """A job's numbers as the wire wants them, `duration_seconds` among them. Large integers stay exact.

    What would not fit a frame is left out: a report that cannot be sent would hold up all behind it.
    """
    duration = {"duration_seconds": round(seconds, 3)}
    encoded = json.dumps(duration | numbers).encode()
    return msgspec.Raw(encoded if len(encoded) <= MOST_STATS else json.dumps(duration).encode())


def as_shells_say(code: int) -> int:
    """The exit code of a process, 128 + the signal's number if one ended it."""
    return code if code >= 0 else 128 - code
