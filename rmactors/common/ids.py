"""ULIDs: made by the sender of a write, so that the same write can be repeated with the same id."""

import hashlib
import os
import re
import time
from functools import lru_cache
from itertools import count
from typing import Final

from ulid import ULID

_DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = [first + second for first in _DIGITS for second in _DIGITS]
"""What ten bits are written as."""
_PLACES: Final = range(70, -1, -10)
_BACK: Final = 1_000
"""Milliseconds by which a clock that is slowed down may seem to go back; one that was set begins from there."""
_TO_DIGITS_OF_INT: Final = str.maketrans(dict(zip(_DIGITS, "0123456789abcdefghijklmnopqrstuv", strict=True)))
_AS_WRITTEN_HERE: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_SHAPE = re.compile(r"[0-9A-Za-z]{26}")


def new() -> str:
    """A fresh ULID. Unique; those of one thread are in the order in which they were made, while the clock does not go
    back. Otherwise two of one millisecond sort at random.

    Every alert and every delivery has one. The library takes several times as long for it, and asks the system for
    random bytes each time: another thread gets its turn then.
    """
    milliseconds, random_part = _fresh.next(time.time_ns() // 1_000_000)
    return _time_part(milliseconds) + "".join([_PAIRS[random_part >> place & 1023] for place in _PLACES])


class _Fresh:
    """Random within a millisecond first, then counted on from there."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """In a process that was forked, too: the one that it was forked from counts on as well."""
        self._now = 0, count()

    def next(self, milliseconds: int) -> tuple[int, int]:
        """Threads share the counter, or have one each: either way, no number comes twice."""
        known, numbers = self._now
        if milliseconds > known or milliseconds < known - _BACK:
            known = milliseconds
            numbers = count(int.from_bytes(os.urandom(10)) >> 1)  # there is room to count
            self._now = known, numbers
        return known, next(numbers)


_fresh = _Fresh()
os.register_at_fork(after_in_child=_fresh.begin)


@lru_cache(maxsize=1)
def _time_part(milliseconds: int) -> str:
    return "".join([_PAIRS[milliseconds >> place & 1023] for place in range(40, -1, -10)])


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
