"""The spool as tasks use it: in a thread, one call at a time, with news for whoever delivers.

Owns the open spool of this process. Must not know about connections.
"""

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import trio

from rmactors import wire
from rmactors.agent import this_host
from rmactors.agent.spool import Mark, Spool, Spooled
from rmactors.agent.state import StateDir

log = logging.getLogger(__name__)

T = TypeVar("T")


class Outbox:
    """Reports on their way out. Every method raises SpoolError where the disk fails."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._limiter = trio.CapacityLimiter(1)
        self._news = trio.Event()
        self._owner = this_host.process_identity()
        self.spool_id = spool.spool_id

    async def add(self, report: wire.Report, mark: Mark | None = None) -> int:
        """On disk when this returns, even if the task that asked is cancelled meanwhile. Returns its `seq`.

        This process answers for the end of a job whose start it adds.
        """
        with trio.CancelScope(shield=True):
            seq = await self._in_thread(lambda: self._spool.add(report, mark, self._owner))
        self.look()
        return seq

    async def pending(self, after: int, most: int) -> list[Spooled]:
        return await self._in_thread(lambda: self._spool.pending(after, most))

    async def count(self) -> int:
        return await self._in_thread(self._spool.count)

    async def holds(self, job_id: str) -> bool:
        """Whether something about that job is still to be delivered."""
        return await self._in_thread(lambda: self._spool.holds(job_id))

    async def ack(self, seqs: Iterable[int]) -> None:
        gone = list(seqs)
        await self._in_thread(lambda: self._spool.ack(gone))

    async def keep_log(self, job_id: str, frames: Sequence[wire.JobLog]) -> None:
        """What a job wrote, to travel with its end. Dropped where the disk has little room: reports come first."""
        await self._in_thread(lambda: self._spool.keep_log(job_id, frames))

    async def log_of(self, job_id: str) -> list[str]:
        """The frames of a kept log, as JSON text."""
        return await self._in_thread(lambda: self._spool.log_of(job_id))

    async def loose_logs(self) -> list[str]:
        """Jobs whose log is here still, and whose end is not."""
        return await self._in_thread(self._spool.loose_logs)

    async def drop_logs(self, job_id: str | None = None) -> None:
        """The log of that job, or every log."""
        await self._in_thread(lambda: self._spool.drop_logs(job_id))

    async def running(self) -> list[str]:
        """Jobs of this host that have begun, and whose process will tell their end: this one's and every `exec`'s."""
        unfinished = await self._in_thread(self._spool.unfinished)
        return [job.started.job_id for job in unfinished if this_host.is_running(job.owner)]

    async def report_orphans(self) -> None:
        """Tell the end of jobs whose process was killed, or went down with the machine: nobody else will."""
        for job in await self._in_thread(self._spool.unfinished):
            if not this_host.is_running(job.owner):
                report = lost(job.started)
                if await self._in_thread(partial(self._spool.add_lost, report)):
                    log.warning("%s job %s: %s", report.kind, report.job_id, report.error)
                    self.look()

    async def knows(self, job_id: str) -> bool:
        return await self._in_thread(lambda: self._spool.knows(job_id))

    async def marks(self) -> dict[str, Mark]:
        return await self._in_thread(self._spool.marks)

    async def set_marks(self, marks: Iterable[Mark], forget: Iterable[str] = ()) -> None:
        kept, gone = list(marks), list(forget)
        await self._in_thread(lambda: self._spool.set_marks(kept, gone))

    async def number(self, name: str) -> int:
        return await self._in_thread(lambda: self._spool.number(name))

    async def count_on(self, name: str) -> None:
        await self._in_thread(lambda: self._spool.count_on(name))

    def look(self) -> None:
        """Something may be new in the spool."""
        self._news.set()
        self._news = trio.Event()

    def news(self) -> trio.Event:
        """Set at the next `look`. Take it before looking, wait after: then nothing is missed."""
        return self._news

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(call, limiter=self._limiter)


def lost(started: wire.JobStarted) -> wire.JobFinished:
    """The end of a job of which only the start is known."""
    return wire.JobFinished(
        seq=0,
        job_id=started.job_id,
        kind=started.kind,
        status="failed",
        reason="lost",
        error="the process that ran it was killed, or the machine went down",
        started_at=started.started_at,
        finished_at=max(wire.utc_now(), started.started_at),
        plan=started.plan,
        schedule_id=started.schedule_id,
        scheduled_for=started.scheduled_for,
    )


@asynccontextmanager
async def open_outbox(state: StateDir) -> AsyncIterator[Outbox]:
    """The outbox of a state dir. Raises SpoolError, StateError."""
    state.make()
    spool = await trio.to_thread.run_sync(Spool, state.spool_file)
    try:
        yield Outbox(spool)
    finally:
        spool.close()
