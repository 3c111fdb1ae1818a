"""The spool as tasks use it: in a thread, one call at a time, with news for what sends them.

Owns the open spool of this process. Must not know about connections.
"""

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol, TypeVar

import trio

from rmactors.agent import this_host
from rmactors.agent.keeper import Keeper, Problem
from rmactors.agent.spool import Mark, Spooled, Unfinished
from rmactors.agent.state_dir import StateDir
from rmactors.common import wire

log = logging.getLogger(__name__)

T = TypeVar("T")


class Source(Protocol):
    """Reports under numbers of one spool, and the logs that go before their ends. Blocking."""

    @property
    def spool_id(self) -> str: ...
    def pending(self, after: int, most: int) -> list[Spooled]: ...
    def count(self) -> int: ...
    def holds(self, job_id: str) -> bool: ...
    def ack(self, seqs: Sequence[int]) -> None: ...
    def keep_log(self, job_id: str, frames: Sequence[wire.JobLog]) -> None: ...
    def log_of(self, job_id: str) -> list[str]: ...
    def loose_logs(self) -> list[str]: ...
    def drop_logs(self, job_id: str | None = None) -> None: ...


class Calls:
    """Calls that block, in a thread, one at a time. `after` runs behind each, also if its caller is cancelled."""

    def __init__(self, after: Callable[[], None]) -> None:
        self._limiter = trio.CapacityLimiter(1)
        self._after = after

    async def __call__(self, call: Callable[[], T]) -> T:
        try:
            return await trio.to_thread.run_sync(call, limiter=self._limiter)
        finally:
            self._after()


class Lane:
    """Reports on the way out, under the numbers of one spool: what one connection delivers."""

    def __init__(self, source: Source, calls: Calls) -> None:
        self._source = source
        self._calls = calls
        self._news = trio.Event()

    @property
    def spool_id(self) -> str:
        return self._source.spool_id

    async def belong_to(self, host_id: str) -> None:
        """What is delivered is about that host."""

    async def pending(self, after: int, most: int) -> list[Spooled]:
        return await self._calls(lambda: self._source.pending(after, most))

    async def count(self) -> int:
        return await self._calls(self._source.count)

    async def holds(self, job_id: str) -> bool:
        """Whether something about that job is still to be delivered."""
        return await self._calls(lambda: self._source.holds(job_id))

    async def ack(self, seqs: Iterable[int], of: str) -> None:
        """These numbers `of` that spool. If another one has taken its place, they stand for other reports there."""
        gone = list(seqs)
        await self._calls(lambda: self._source.ack(gone) if self._source.spool_id == of else None)

    async def keep_log(self, job_id: str, frames: Sequence[wire.JobLog]) -> None:
        """What a job wrote, to travel with its end. Raises SpoolError if the disk has little room: reports come
        first."""
        await self._calls(lambda: self._source.keep_log(job_id, frames))

    async def log_of(self, job_id: str) -> list[str]:
        """The frames of a kept log, as JSON text."""
        return await self._calls(lambda: self._source.log_of(job_id))

    async def loose_logs(self) -> list[str]:
        """Jobs whose log is here still, and whose end is not."""
        return await self._calls(self._source.loose_logs)

    async def drop_logs(self, job_id: str | None = None) -> None:
        """The log of that job, or every log."""
        await self._calls(lambda: self._source.drop_logs(job_id))

    def look(self) -> None:
        """Something may be new in the spool."""
        self._news.set()
        self._news = trio.Event()

    def news(self) -> trio.Event:
        """Set at the next `look`. Take it before looking, wait after: then nothing is missed."""
        return self._news


class ReportQueue(Lane):
    """What is in the spool file; and `unwritten`, what is in memory because the file cannot be written.

    A full disk makes nothing fail here, but where a method says so: then there is a `problem`.
    """

    def __init__(self, keeper: Keeper) -> None:
        super().__init__(keeper, Calls(self._see))
        self._keeper = keeper
        self._owner = this_host.process_identity()
        self._seen = keeper.problem
        self._turned = trio.Event()
        self.unwritten = Lane(keeper.memory, self._calls)

    @property
    def problem(self) -> Problem | None:
        """Why the spool cannot be written; None if it can."""
        return self._keeper.problem

    def turned(self) -> trio.Event:
        """Set when there is a `problem`, or none any more. Take it before looking, wait after."""
        return self._turned

    async def add(self, report: wire.Report, mark: Mark | None = None, owner: str | None = None) -> bool:
        """On disk when this returns, even if the task that asked is cancelled meanwhile; else it is `unwritten`, and
        False is returned.

        This process answers for the end of a job whose start it adds, unless another one is named as its `owner`.
        """
        with trio.CancelScope(shield=True):
            written = await self._calls(lambda: self._keeper.add(report, mark, owner or self._owner))
        (self if written else self.unwritten).look()
        return written

    async def belong_to(self, host_id: str) -> None:
        """What is about another host stays here, until this machine is that one again."""
        await self._calls(lambda: self._keeper.belong_to(host_id))

    async def mend(self) -> bool:
        """Try to write what is unwritten. Whether all is on disk now."""
        with trio.CancelScope(shield=True):
            mended = await self._calls(self._keeper.mend)
        if mended:
            self.look()
        return mended

    async def running(self) -> list[str]:
        """Jobs of this host that have begun, and whose process will tell their end: this one's and every `exec`'s. Also
        those whose end is told by another connection than the one that delivers the file."""
        unfinished = await self._calls(self._keeper.unfinished)
        ended = [report.ends for report in await self.unwritten.pending(0, 1_000) if report.ends is not None]
        return [job.started.job_id for job in unfinished if this_host.is_running(job.owner)] + ended

    async def owners(self) -> set[str]:
        """The processes that answer for jobs that have begun and not ended (`this_host.process_identity`)."""
        return {job.owner for job in await self._calls(self._keeper.unfinished)}

    async def report_orphans(self, patience: float = 0.0) -> None:
        """Tell the end of jobs whose process was killed, or went down with the machine: nobody else will.

        What such a process handed over before it ended may not be kept yet: that has so many seconds of `patience`.
        """
        gone = await self._orphans()
        if gone and patience:
            await trio.sleep(patience)
            seen = {job.started.job_id for job in gone}
            gone = [job for job in await self._orphans() if job.started.job_id in seen]
        for job in gone:
            report = lost(job.started)
            if await self._calls(partial(self._keeper.add_lost, report)):
                log.warning("%s job %s: %s", report.kind, report.job_id, report.error)
                self.look()
                self.unwritten.look()

    async def _orphans(self) -> list[Unfinished]:
        return [job for job in await self._calls(self._keeper.unfinished) if not this_host.is_running(job.owner)]

    async def knows(self, job_id: str) -> bool:
        """Whether this host has taken on that job, in this life or, as far as that can be read, an earlier one."""
        return await self._calls(lambda: self._keeper.knows(job_id))

    async def marks(self) -> dict[str, Mark]:
        return await self._calls(self._keeper.marks)

    async def set_marks(self, marks: Iterable[Mark], forget: Iterable[str] = ()) -> None:
        kept, gone = list(marks), list(forget)
        await self._calls(lambda: self._keeper.set_marks(kept, gone))

    async def number(self, name: str) -> int:
        """Raises SpoolError."""
        return await self._calls(lambda: self._keeper.number(name))

    async def count_on(self, name: str) -> None:
        """Raises SpoolError."""
        await self._calls(lambda: self._keeper.count_on(name))

    def _see(self) -> None:
        if (self._seen is None) != (self._keeper.problem is None):
            self._turned.set()
            self._turned = trio.Event()
        self._seen = self._keeper.problem


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
async def open_queue(state: StateDir) -> AsyncIterator[ReportQueue]:
    """The queue of a state dir, also if that cannot be written. Raises StateError if there is none."""
    state.reach()
    keeper = await trio.to_thread.run_sync(Keeper, state.spool_file)
    try:
        yield ReportQueue(keeper)
    finally:
        keeper.close()
