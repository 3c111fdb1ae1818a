"""Lines that take turns, so that who stands in a short one does not wait for all of a long one. Pure."""

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Turns(Generic[K, T]):
    """A line for each key. What is next comes from the line whose turn is longest ago."""

    def __init__(self) -> None:
        self._lines: OrderedDict[K, deque[T]] = OrderedDict()
        self._of_length: dict[int, dict[K, None]] = {}
        """The keys of the lines that are so long: to look through thousands for the longest takes too long."""
        self._longest = 0
        self._length = 0

    def __len__(self) -> int:
        """Of all lines together."""
        return self._length

    def join(self, key: K, item: T) -> None:
        line = self._lines.setdefault(key, deque())
        line.append(item)
        self._changed(key, len(line) - 1, len(line))

    def next(self) -> T:
        """The first of the line whose turn it is. Raises KeyError if the line is empty."""
        key, line = self._lines.popitem(last=False)
        item = line.popleft()
        if line:
            self._lines[key] = line
        self._changed(key, len(line) + 1, len(line))
        return item

    def longest(self) -> tuple[K, int]:
        """The key of the longest line, and how long that is. Raises KeyError if nobody is in line."""
        return next(iter(self._of_length[self._longest])), self._longest

    def send_away(self, key: K) -> T:
        """The one that stands longest in this line, out of turn. Raises KeyError if there is no such line."""
        line = self._lines[key]
        item = line.popleft()
        if not line:
            del self._lines[key]
        self._changed(key, len(line) + 1, len(line))
        return item

    def _changed(self, key: K, before: int, after: int) -> None:
        """A line is one longer or one shorter than before."""
        self._length += after - before
        if before:
            same = self._of_length[before]
            del same[key]
            if not same:
                del self._of_length[before]
        if after:
            self._of_length.setdefault(after, {})[key] = None
        if after > self._longest or self._longest not in self._of_length:
            self._longest = after
