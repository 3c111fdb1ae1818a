"""How fast the agents' port begins with those who stand in line: as fast as those before them are served.

Where a whole fleet comes back in a few seconds, the server cannot answer all within the time that an agent waits. If it
began with all of them, most would give up while they are served, and come again: so much would be done for nothing that
nothing gets done. Who stands in line costs nothing, and is served at once when it is their turn.
"""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Final

import trio

SERVED_AT_ONCE: Final = 100
"""Clients that wait for the server: to hear what their credential is worth, or for the welcome."""
BACKLOG: Final = 100
"""Commits that wait for the store. With more, what a host reports waits for too long behind what others had kept."""
PACE_SECONDS: Final = 0.02
"""Between two handfuls of the line: what they cost is seen only when their requests are there."""
PATIENCE_SECONDS: Final = 0.25
"""A handful has its turn after this in any case: where the disk hangs, who would be refused is still told so."""


class Admission:
    """`backlog` gives how many commits wait for the store."""

    def __init__(self, backlog: Callable[[], int], served_at_once: int = SERVED_AT_ONCE) -> None:
        self._backlog, self._served_at_once = backlog, served_at_once
        self._served: set[Hashable] = set()
        self._next = 0.0

    def __len__(self) -> int:
        """How many wait for the server."""
        return len(self._served)

    def begin(self, client: Hashable) -> None:
        """It waits for the server, until `end`."""
        self._served.add(client)

    def end(self, client: Hashable) -> None:
        """It has what it waited for, or has left."""
        self._served.discard(client)

    @contextmanager
    def serve(self) -> Iterator[None]:
        client = object()
        self.begin(client)
        try:
            yield
        finally:
            self.end(client)

    async def turn(self) -> None:
        """Wait until a handful may be begun with."""
        latest = trio.current_time() + PATIENCE_SECONDS
        while True:
            await trio.sleep_until(self._next)
            now = trio.current_time()
            self._next = now + PACE_SECONDS
            if now >= latest or (len(self._served) < self._served_at_once and self._backlog() <= BACKLOG):
                return
