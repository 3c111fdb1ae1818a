"""ULIDs: made by the sender of a write, so that the same write can be repeated with the same id."""

import hashlib
import os
import re
import time
from functools import lru_cache
from typing import Final

from ulid import ULID

_DIGITS: Final = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_DIGIT_OF_BYTE: Final = _DIGITS * 8
"""Each byte's last five bits, as they are written."""
_TO_DIGITS_OF_INT: Final = str.maketrans(dict(zip(_DIGITS.decode(), "0123456789abcdefghijklmnopqrstuv", strict=True)))
_AS_WRITTEN_HERE: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_SHAPE = re.compile(r"[0-9A-Za-z]{26}")


def new() -> str:
    """A fresh ULID. Unique, but never an order: two of one millisecond sort at random.

    Every alert and every delivery has one. The library takes ten times as long for it.
    """
    try:
        random_part = _random_parts.pop()
    except IndexError:
        random_part = _more_random_parts()
    return _time_part(time.time_ns() // 1_000_000) + random_part


_random_parts: Final[list[str]] = []
"""Made many at a time: another thread gets its turn whenever the system is asked."""
os.register_at_fork(after_in_child=_random_parts.clear)


def _more_random_parts() -> str:
    """One for the caller; the others are for later."""
    made = os.urandom(16 * 256).translate(_DIGIT_OF_BYTE).decode()
    first, *others = [made[start : start + 16] for start in range(0, len(made), 16)]
    _random_parts.extend(others)
    return first


@lru_cache(maxsize=1)
def _time_part(milliseconds: int) -> str:
    return bytes(_DIGITS[milliseconds >> place & 31] for place in range(45, -1, -5)).decode()


def derived(*parts: str) -> str:
    """The id of what these texts name: always the same one, so that it is written once however often it is told."""
    return str(ULID(hashlib.sha256("\0".join(parts).encode()).digest()[:16]))


def to_bytes(text: str) -> bytes:
    """The 16 bytes of an id. Raises ValueError for what is none."""
    if _AS_WRITTEN_HERE.fullmatch(text):
        return int(text.translate(_TO_DIGITS_OF_INT), 32).to_bytes(16)
    return ULID.from_str(text).bytes


def from_bytes(raw: bytes) -> str:
    """The id that has these 16 bytes."""
    return str(ULID(raw))


def looks_valid(text: str) -> bool:
    """Whether `text` has the shape of an id. Says nothing about whether something has that id."""
    return _SHAPE.fullmatch(text) is not None
