"""Which files of a snapshot are tested. Pure: the same listing, bounds and random numbers give the same files.

By chance alone, a sample of twenty would be twenty of the many small files. So files are sorted into strata by size
and by age, each stratum keeps a random few of its files (a reservoir, so that memory does not grow with the listing),
and the sample takes turns among the strata.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final

SIZES: Final = (1 << 10, 1 << 16, 1 << 20, 1 << 24, 1 << 28)
"""Bytes at which the next class of sizes begins."""
AGES: Final = (1, 7, 30, 365)
"""Days before the snapshot at which the next class of ages begins."""
_DAY: Final = 86_400 * 10**9

Stratum = tuple[int, int]
"""Class of size, class of age."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as a snapshot has it: its absolute path, bytes, and times in nanoseconds. None: restic does not tell one
    that can be read."""

    path: str
    size: int
    mtime: int | None
    ctime: int | None


@dataclass(slots=True)
class _Reservoir:
    kept: list[Entry] = field(default_factory=list)
    seen: int = 0


class Sampler:
    """Takes the entries of one snapshot, made at `at` (nanoseconds), and draws at most so many files and bytes."""

    def __init__(self, most_files: int, most_bytes: int, at: int, random: Random) -> None:
        self._files = most_files
        self._bytes = most_bytes
        self._at = at
        self._random = random
        self._reservoirs: dict[Stratum, _Reservoir] = {}
        self.files = 0
        """That were listed."""
        self.too_large = 0
        """Of these, those that alone are more than may be restored."""
        self.smallest_too_large: int | None = None

    def take(self, entry: Entry) -> None:
        self.files += 1
        if entry.size > self._bytes:
            self.too_large += 1
            self.smallest_too_large = min(entry.size, self.smallest_too_large or entry.size)
            return
        reservoir = self._reservoirs.setdefault(self._stratum(entry), _Reservoir())
        reservoir.seen += 1
        if len(reservoir.kept) < self._files:
            reservoir.kept.append(entry)
        elif (place := self._random.randrange(reservoir.seen)) < self._files:
            reservoir.kept[place] = entry

    def draw(self) -> list[Entry]:
        """The sample, in no order. To be called once."""
        waiting = {stratum: one.kept[:] for stratum, one in sorted(self._reservoirs.items())}
        for kept in waiting.values():
            self._random.shuffle(kept)
        drawn: list[Entry] = []
        left = self._bytes
        sizes: Counter[int] = Counter()
        ages: Counter[int] = Counter()
        while len(drawn) < self._files:
            # Half of what is left at most, as long as there are such files: one large file leaves room for others.
            fitting = self._fitting(waiting, left // 2) or self._fitting(waiting, left)
            if not fitting:
                break
            stratum = min(fitting, key=lambda one: (sizes[one[0]], ages[one[1]], self._random.random()))
            entry = waiting[stratum].pop(fitting[stratum])
            drawn.append(entry)
            left -= entry.size
            sizes[stratum[0]] += 1
            ages[stratum[1]] += 1
        return drawn

    def _stratum(self, entry: Entry) -> Stratum:
        days = float("inf") if entry.mtime is None else (self._at - entry.mtime) / _DAY
        return bisect_right(SIZES, entry.size), bisect_right(AGES, days)

    def _fitting(self, waiting: dict[Stratum, list[Entry]], most: int) -> dict[Stratum, int]:
        """The place of the next entry that fits, by stratum."""
        return dict(_places(waiting, most))


def _places(waiting: dict[Stratum, list[Entry]], most: int) -> Iterator[tuple[Stratum, int]]:
    for stratum, entries in waiting.items():
        place = next((n for n in range(len(entries) - 1, -1, -1) if entries[n].size <= most), None)
        if place is not None:
            yield stratum, place
