"""The spool as tasks use it: in a thread, one call at a time, with news for whoever delivers.

Owns the open spool of this process. Must not know about connections.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TypeVar

import trio

from rmactors import wire
from rmactors.agent.spool import Mark, Spool, Spooled
from rmactors.agent.state import StateDir

T = TypeVar("T")


class Outbox:
    """Reports on their way out. Every method raises SpoolError where the disk fails."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._limiter = trio.CapacityLimiter(1)
        self._news = trio.Event()
        self.spool_id = spool.spool_id

    async def add(self, report: wire.Report, mark: Mark | None = None) -> int:
        """On disk when this returns, even if the task that asked is cancelled meanwhile. Returns its `seq`."""
        with trio.CancelScope(shield=True):
            seq = await self._in_thread(lambda: self._spool.add(report, mark))
        self.look()
        return seq

    async def pending(self, after: int, most: int) -> list[Spooled]:
        return await self._in_thread(lambda: self._spool.pending(after, most))

    async def count(self) -> int:
        return await self._in_thread(self._spool.count)

    async def ack(self, seqs: Iterable[int]) -> None:
        gone = list(seqs)
        await self._in_thread(lambda: self._spool.ack(gone))

    async def knows(self, job_id: str) -> bool:
        return await self._in_thread(lambda: self._spool.knows(job_id))

    async def marks(self) -> dict[str, Mark]:
        return await self._in_thread(self._spool.marks)

    async def set_marks(self, marks: Iterable[Mark], forget: Iterable[str] = ()) -> None:
        kept, gone = list(marks), list(forget)
        await self._in_thread(lambda: self._spool.set_marks(kept, gone))

    async def next_number(self, name: str) -> int:
        return await self._in_thread(lambda: self._spool.next_number(name))

    def look(self) -> None:
        """Something may be new in the spool."""
        self._news.set()
        self._news = trio.Event()

    def news(self) -> trio.Event:
        """Set at the next `look`. Take it before looking, wait after: then nothing is missed."""
        return self._news

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(call, limiter=self._limiter)


@asynccontextmanager
async def open_outbox(state: StateDir) -> AsyncIterator[Outbox]:
    """The outbox of a state dir. Raises SpoolError, StateError."""
    state.make()
    spool = await trio.to_thread.run_sync(Spool, state.spool_file)
    try:
        yield Outbox(spool)
    finally:
        spool.close()
