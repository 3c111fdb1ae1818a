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
        self._length = 0

    def __len__(self) -> int:
        """Of all lines together."""
        return self._length

    def join(self, key: K, item: T) -> None:
        self._lines.setdefault(key, deque()).append(item)
        self._length += 1

    def next(self) -> T:
        """The first of the line whose turn it is. Raises KeyError if the line is empty."""
        key, line = self._lines.popitem(last=False)
        item = line.popleft()
        self._length -= 1
        if line:
            self._lines[key] = line
        return item

    def longest(self) -> K:
        """The key of the longest line. Raises ValueError if the line is empty."""
        return max(self._lines, key=lambda key: len(self._lines[key]))

    def send_away(self, key: K) -> T:
        """The one that stands longest in this line, out of turn. Raises KeyError if there is no such line."""
        line = self._lines[key]
        item = line.popleft()
        self._length -= 1
        if not line:
            del self._lines[key]
        return item
