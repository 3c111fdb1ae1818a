"""Long answers of restic, written down as they come and given out in pages, for some minutes.

Owns what is kept: small ones in memory, longer ones in a file without a name in the agent's state dir, so that nothing
is left of them whatever happens. Each is made by a task of its own, which goes on behind the first page.
"""

import bisect
import math
import os
import tempfile
from array import array
from collections.abc import Awaitable, Callable, Hashable, Sequence
from pathlib import Path
from typing import Final

import trio

from rmactors.agent.live_requests.refusal import Refused, internal_error
from rmactors.common.disk import LEAST_FREE

IN_MEMORY: Final = 1 << 20
"""Bytes of a listing; a longer one goes into a file."""
MOST_BYTES: Final = 256 << 20
MOST_ENTRIES: Final = 1_000_000
MOST_KEPT: Final = 8
KEPT_SECONDS: Final = 300.0
"""For so long nobody has asked for a page of it."""
LONGEST_PAGE: Final = 900_000
"""Bytes, so that the whole response is under 1 MiB."""
_MARKED: Final = 500
_LOOK_BYTES: Final = 4 << 20
"""So much is written between two looks at the room that is left on the disk."""

Make = Callable[["Listing"], Awaitable[None]]
"""Adds the entries as they come. Raises Refused if they cannot be had."""


class Listing:
    """One answer, entry by entry. It is complete when `done`; `trouble` is why it will never be. `count` are the
    entries that can be had already.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY, dir=str(folder))  # noqa: SIM115 - closed by `close`
        self._marks = array("Q")
        self._heads: list[tuple[int, bytes]] = []
        self._written = 0
        self._bytes = 0
        self._looked_at = 0
        self._news = trio.Event()
        self._waiting = 0
        self._scope = trio.CancelScope()
        self.count = 0
        self.done = False
        self.trouble: Refused | None = None
        self.asked_at = trio.current_time()

    async def fill(self, make: Make) -> None:
        """Until it is complete, or will not be."""
        with self._scope:
            try:
                await make(self)
                self.done = True
            except Refused as refused:
                self.trouble = refused
            except OSError as error:
                self.trouble = Refused("failed", f"a long list cannot be kept in {self._folder}: {error.strerror}")
            except Exception as error:
                self.trouble = internal_error(error)
        self._tell()

    async def page(self, start: int, limit: int) -> tuple[list[bytes], bool]:
        """Entries from number `start` on, as soon as they are there, and whether more follow. Raises Refused."""
        self._waiting += 1
        answered = False
        try:
            while self.count <= start + limit and not self.done and self.trouble is None:
                await self._news.wait()
            answered = True
        finally:
            self._waiting -= 1
            self.asked_at = trio.current_time()
            if not answered and self._waiting == 0:
                self.stop()
        if self.count <= start + limit and self.trouble is not None:
            raise self.trouble
        entries = self._read(start, min(limit, max(self.count - start, 0)))
        return entries, start + len(entries) < self.count

    def stop(self) -> None:
        """Nobody waits for it any more. Nothing happens if it is complete."""
        if not self.done and self.trouble is None:
            self.trouble = Refused("failed", "it was called off")
        self._scope.cancel()

    def close(self) -> None:
        """It is gone; what still waits for it is told so."""
        self.done, self.count = False, 0
        self.stop()
        self._tell()
        self._file.close()

    @property
    def is_of_use(self) -> bool:
        return self.trouble is None

    @property
    def is_waited_for(self) -> bool:
        return self._waiting > 0

    def add(self, entries: Sequence[bytes], *, whole: bool = True) -> None:
        """Entries as JSON without line ends. Not `whole`: `begin_with` says what they begin with. Raises Refused."""
        if not entries or self.trouble is not None:
            return
        at = self._bytes
        for number, entry in enumerate(entries, self._written):
            if number % _MARKED == 0:
                self._marks.append(at)
            at += len(entry) + 1
        if at > MOST_BYTES or self._written + len(entries) > MOST_ENTRIES:
            raise Refused("failed", f"there is more than this agent lists: the first {self.count} entries were shown")
        if at > IN_MEMORY and at > self._looked_at:
            self._look_at_room()
            self._looked_at = at + _LOOK_BYTES
        self._file.seek(0, os.SEEK_END)
        self._file.write(b"\n".join([*entries, b""]))
        self._bytes = at
        self._written += len(entries)
        if whole:
            self.begin_with(b"")

    def begin_with(self, head: bytes) -> None:
        """Of all entries that were added since the last call. From now on they can be had."""
        if self.trouble is None and self._written > self.count:
            if not self._heads or self._heads[-1][1] != head:
                self._heads.append((self.count, head))
            self.count = self._written
            self._tell()

    def _look_at_room(self) -> None:
        found = os.statvfs(self._folder)
        if found.f_bavail * found.f_frsize < LEAST_FREE:
            raise Refused("failed", f"a long list cannot be kept in {self._folder}: its disk is nearly full")

    def _read(self, start: int, number: int) -> list[bytes]:
        if number <= 0:
            return []
        self._file.seek(self._marks[start // _MARKED])
        for _ in range(start % _MARKED):
            self._file.readline()
        entries: list[bytes] = []
        size = 0
        group = bisect.bisect_right(self._heads, start, key=lambda one: one[0]) - 1
        while len(entries) < number:
            if group + 1 < len(self._heads) and start + len(entries) >= self._heads[group + 1][0]:
                group += 1
            entry = self._heads[group][1] + self._file.readline()[:-1]
            size += len(entry) + 1
            if entries and size > LONGEST_PAGE:
                break
            entries.append(entry)
        return entries

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()


class Listings:
    """Those of one connection, by what they are of. `start` runs a task that fills one."""

    def __init__(self, folder: Path, start: Callable[[Callable[[], Awaitable[None]]], None]) -> None:
        self._folder = folder
        self._start = start
        self._kept: dict[Hashable, Listing] = {}

    def get(self, key: Hashable) -> Listing | None:
        found = self._kept.get(key)
        return found if found is not None and found.is_of_use else None

    def open(self, key: Hashable, make: Make) -> Listing:
        """The one that is kept, or one that is made now."""
        if (found := self.get(key)) is not None:
            self._kept[key] = self._kept.pop(key)  # the newest last
            return found
        self._drop(key)
        self._make_room()
        listing = self._kept[key] = Listing(self._folder)
        self._start(lambda: listing.fill(make))
        return listing

    def drop_idle(self) -> float:
        """Those that nobody asked for. Seconds until the next one may be."""
        now = trio.current_time()
        for key, listing in list(self._kept.items()):
            if not listing.is_waited_for and now - listing.asked_at >= KEPT_SECONDS:
                self._drop(key)
        return min((one.asked_at + KEPT_SECONDS - now for one in self._kept.values()), default=math.inf)

    def close(self) -> None:
        for key in list(self._kept):
            self._drop(key)

    def _make_room(self) -> None:
        for key, listing in list(self._kept.items()):
            if not listing.is_waited_for and (not listing.is_of_use or len(self._kept) >= MOST_KEPT):
                self._drop(key)

    def _drop(self, key: Hashable) -> None:
        if (listing := self._kept.pop(key, None)) is not None:
            listing.close()
