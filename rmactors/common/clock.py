"""Wall-clock time as integer microseconds since 1970, UTC: the one form in which the server keeps time.

Shells call `now()`; pure code is handed the time in its messages and never comes here.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Final

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


def seconds(value: float) -> int:
    """A duration in seconds as microseconds."""
    return round(value * SECOND)


_FIRST = (datetime(1000, 1, 2, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_LAST = (datetime(9999, 12, 30, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)


def to_datetime(micros: int) -> datetime:
    """Microseconds as an aware UTC datetime. Beyond what has a date in every zone, it is the first or the last of them:
    a time that nobody can show must not be the end of a page."""
    return _EPOCH + timedelta(microseconds=_FIRST if micros < _FIRST else _LAST if micros > _LAST else micros)


def from_datetime(value: datetime) -> int:
    """An aware datetime as microseconds. Naive ones are refused: which zone they mean is a guess."""
    if value.tzinfo is None:
        raise ValueError("a timestamp needs a zone")
    return (value - _EPOCH) // timedelta(microseconds=1)


def to_rfc3339(micros: int) -> str:
    """Microseconds as RFC 3339 in UTC with `Z`, with milliseconds: `2026-11-23T03:00:12.345Z`."""
    return f"{to_datetime(micros).isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"


def from_rfc3339(text: str) -> int:
    """RFC 3339 text with any offset as microseconds. Raises ValueError if it is not one."""
    return from_datetime(datetime.fromisoformat(text))
