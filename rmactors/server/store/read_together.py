"""One query that many ask at the same time, each for a key of its own.

Where a fleet comes back, ten thousand hosts ask what their credential is worth and what waits for them. A turn of a
thread for each would cost more than what is read, and pages that are opened meanwhile would stand behind all of them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Generic, NoReturn, TypeVar

import trio

from rmactors.server.runtime.mailbox import Mailbox
from rmactors.server.store.database import Database
from rmactors.server.store.reader import Reader

K = TypeVar("K")
R = TypeVar("R")

AT_ONCE: Final = 100
"""Keys that are read in one go at most."""


@dataclass(slots=True, eq=False)
class _Asker(Generic[K, R]):
    key: K
    is_done: trio.Event = field(default_factory=trio.Event)
    found: list[R] = field(default_factory=list)
    """Empty: it has to read alone."""


class ReadTogether(Generic[K, R]):
    """Answers those who ask, as long as `run` runs. A read begins as soon as the one before it has ended, and answers
    all who have asked by then: what they get was read after they asked."""

    def __init__(self, reader: Reader, query: Callable[[Database, K], R]) -> None:
        self._reader, self._query = reader, query
        self._askers: Mailbox[_Asker[K, R]] = Mailbox("read together", 0)

    async def read(self, key: K) -> R:
        """`query(connection, key)`. Raises DatabaseError if the database cannot be read."""
        asker: _Asker[K, R] = _Asker(key)
        self._askers.put_unbounded(asker)
        await asker.is_done.wait()
        return asker.found[0] if asker.found else await self._reader.run(self._query, key)

    async def run(self) -> NoReturn:
        """If a read fails, each who waited for it reads alone: what is wrong with one key is no other's trouble."""
        while True:
            askers = await self._askers.receive_many(AT_ONCE)
            try:
                found = await self._reader.run(self._each, [asker.key for asker in askers])
            except Exception:  # each sees its own
                found = []
            for number, asker in enumerate(askers):
                asker.found = found[number : number + 1]
                asker.is_done.set()

    def _each(self, connection: Database, keys: Iterable[K]) -> list[R]:
        return [self._query(connection, key) for key in keys]
