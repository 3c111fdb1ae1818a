"""The two reports about a run that `exec` wraps, and its log: into the spool, and to the server if no agent runs.

What cannot be written into the spool goes to the memory of a running agent, or to the server from here. Whatever goes
wrong with it, the wrapped command does not notice.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

import trio

from rmactors.agent import introduction, pipes, started_by, this_host
from rmactors.agent.connection import LinkDown, Timings
from rmactors.agent.job_end import as_shells_say, stats_of
from rmactors.agent.masking import masked
from rmactors.agent.report_queue import Lane, ReportQueue, open_queue
from rmactors.agent.server_link import report_once
from rmactors.agent.spool import SpoolError
from rmactors.agent.state_dir import KeptSchedules, NotEnrolled, StateDir, StateError
from rmactors.agent.verdict import JobVerdict
from rmactors.agent.wrapped import Wrapped
from rmactors.common import ids, wire
from rmactors.common.vocabulary import JobKind

LONGEST_TEXT: Final = 200
"""Characters of a text in the stats."""
_MOST_HANDED: Final = 1_000
_SHORT_SECONDS: Final = 2.0
"""A command that is over sooner gets one connection for its start and its end."""
_HAND_OVER_SECONDS: Final = 1.0
"""An agent that starts waits a few times as long."""


class RunReporter:
    """The start and the end of one run. Raises nothing: what goes wrong is said through `say`."""

    def __init__(
        self,
        state: StateDir,
        kind: JobKind,
        plan: str | None,
        schedule: str | None,
        timings: Timings,
        seconds: float,
        say: Callable[[str], None],
    ) -> None:
        self._state = state
        self._kind = kind
        self._plan = plan.encode("utf-8", "replace").decode()[:200] if plan else None
        self._schedule = schedule
        self._schedule_id: str | None = None
        self._timings = timings
        self._seconds = seconds
        self._say = say
        self._job_id = ids.new()
        self._instance_id = ids.new()
        self._started_at = wire.utc_now()
        self._started = trio.current_time()
        self._queue: ReportQueue | None = None
        self._begun = trio.Event()
        self._asking = trio.CancelScope(deadline=trio.current_time() + seconds)
        self._delivering = trio.CancelScope()
        self._handing_over = trio.CancelScope()
        self._enrolled = True
        self._turn = trio.Lock()
        self._told: Sequence[wire.ScheduleInfo] = ()
        self._why_untold = ""
        self._trouble: Exception | None = None
        self._warnings: list[str] = []
        self._unknown_schedule: str | None = None

    async def begin(self, stack: AsyncExitStack) -> None:
        """Put the start into the spool, and deliver it while the command runs, if no agent does."""
        try:
            try:
                self._state.reach()
                self._queue = await stack.enter_async_context(open_queue(self._state))
                if not self._agent_runs():  # it does so itself, and it alone knows what was handed over to it
                    await self._queue.report_orphans()
                self._enrolled = self._is_enrolled()
                await self._resolve_schedule()
                start = wire.JobStarted(
                    seq=0, job_id=self._job_id, kind=self._kind, plan=self._plan,
                    schedule_id=self._schedule_id, started_at=self._started_at,
                )  # fmt: skip
                is_written = await self._queue.add(start)
            finally:
                self._begun.set()
            async with trio.open_nursery() as nursery:
                if not is_written:
                    await nursery.start(self._hand_over_again, start)
                if await self._agent_delivers():
                    return
                await trio.sleep(_SHORT_SECONDS)
                with trio.move_on_after(self._seconds):
                    await self._deliver()
        except Exception as error:
            self._trouble = error  # it matters where the end is not told either

    async def _hand_over_again(
        self, start: wire.JobStarted, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Until the command has ended: an agent may start, or start again, and know only what it is told."""
        with self._handing_over, self._state.run_in_memory():
            task_status.started()
            while True:
                await trio.sleep(_HAND_OVER_SECONDS)
                async with self._turn:
                    pipes.hand_over(self._state, wire.encode(start), this_host.process_identity())

    async def end(self, code: int, verdict: JobVerdict, wrapped: Wrapped) -> None:
        """Put the end into the spool and see to its delivery."""
        finished_at = max(wire.utc_now(), self._started_at)
        self._delivering.deadline = trio.current_time() + self._seconds
        self._asking.deadline = min(self._asking.deadline, self._delivering.deadline)
        await self._begun.wait()
        self._handing_over.cancel()  # the end is handed over behind the start, once
        if self._queue is None:
            self._excuse(self._trouble)
            return
        stats = self._stats(wrapped.output.summary.numbers or {}, verdict.warning)
        report = wire.JobFinished(
            seq=0, job_id=self._job_id, kind=self._kind, plan=self._plan, schedule_id=self._schedule_id,
            status=verdict.status, reason=verdict.reason, error=verdict.error and masked(verdict.error),
            exit_code=as_shells_say(code), started_at=self._started_at, finished_at=finished_at,
            stats=stats_of(stats, trio.current_time() - self._started),
        )  # fmt: skip
        try:
            written = await self._keep(report, list(wrapped.lines.frames(self._job_id)))
            if await self._agent_delivers():
                return
            with self._delivering:
                await self._deliver()
        except Exception as error:
            self._excuse(error)
            return
        if not written and await self._queue.unwritten.holds(self._job_id):
            self._excuse(None)

    def hurry(self) -> None:
        """Somebody wants this process to end: what is not delivered stays in the spool for the next who tries."""
        self._asking.cancel()
        self._delivering.cancel()

    def _stats(self, numbers: Mapping[str, Any], warning: str | None) -> dict[str, Any]:
        stats: dict[str, Any] = {**numbers, **started_by.systemd()}
        if self._unknown_schedule is not None:
            stats["unknown_schedule"] = self._unknown_schedule
        if warnings := [*self._warnings, *([masked(warning)] if warning else [])]:
            stats["warning"] = "; ".join(warnings)[:LONGEST_TEXT]
        return stats

    async def _keep(self, report: wire.JobFinished, frames: Sequence[wire.JobLog]) -> bool:
        """The end and its log, in the spool or in memory: whether it is on disk. The report is worth more than the log,
        and does not wait for it."""
        assert self._queue is not None
        unkept = None
        try:
            await self._queue.keep_log(self._job_id, frames)
        except SpoolError as error:
            unkept = error
        written = await self._queue.add(report)
        if unkept is not None and written:
            self._say(f"the output is not kept for the server: {unkept}")
        elif unkept is not None:
            await self._queue.unwritten.keep_log(self._job_id, frames)
        return written

    def _excuse(self, error: Exception | None) -> None:
        """Nothing about reporting may touch the command, a bug of ours included: it is said, and that is all."""
        problem = self._queue.problem if self._queue is not None else None
        if error is not None and not isinstance(error, StateError | SpoolError):
            self._say(f"this run is not reported: {error!r}")
        elif problem is None:
            self._say(f"this run is not reported: {error}")
        else:
            why = error or self._why_untold or "the server does not answer in time"
            self._say(
                f"this run is not reported: it cannot be kept, {problem.cause.words}; nor be sent, {why}."
                f" What helps: {problem.cause.advice}"
            )

    def _is_enrolled(self) -> bool:
        assert self._queue is not None
        try:
            self._state.credential()
        except NotEnrolled as error:
            self._why_untold = str(error)
            if self._queue.problem is None:
                self._say(f"{error}; the outcome is kept in {self._state.path} until then")
            return False
        return True

    def _agent_runs(self) -> bool:
        try:
            return self._state.agent_runs()
        except StateError:
            return False

    async def _agent_delivers(self) -> bool:
        """Whether the running agent sees to everything: to what is in the spool, and to what it is handed over here."""
        try:
            if not self._state.agent_runs():
                return False
            self._state.wake_agent()
        except StateError:
            return False  # neither did
        assert self._queue is not None
        lane = self._queue.unwritten
        async with self._turn:
            for report in await lane.pending(0, _MOST_HANDED):
                if not pipes.hand_over(self._state, report.frame, this_host.process_identity()):
                    return False
                await lane.ack([report.seq], lane.spool_id)
        return True

    async def _deliver(self) -> None:
        """Try once; what cannot be delivered now stays in the spool for the next who tries.

        Of runs that end together one delivers at a time, and for all: each would send the reports of all the others,
        and be one connection more of this host, which may have few. What is in memory is this run's own.
        """
        if not self._enrolled or self._queue is None:
            return
        async with self._turn:
            if await self._queue.unwritten.count() and not await self._delivers(self._queue.unwritten):
                return  # the spool's would fare no better
        if self._agent_runs():
            return
        async with self._state.turn(self._seconds / 2, self._is_delivered) as is_due:
            if is_due:
                await self._delivers(self._queue)

    async def _delivers(self, lane: Lane) -> bool:
        try:
            await report_once(self._state, lane, await self._hello(lane), self._timings, self._on_welcome)
        except LinkDown as down:
            self._why_untold = down.reason
            return False
        return True

    async def _is_delivered(self) -> bool:
        """Whether somebody else has taken along what this run has to tell."""
        assert self._queue is not None
        if self._queue.problem is not None:
            return not await self._queue.count()
        return not await self._queue.holds(self._job_id)

    async def _hello(self, lane: Lane) -> wire.Hello:
        assert self._queue is not None
        return await introduction.of_a_reporter(self._instance_id, self._queue, lane)

    async def _resolve_schedule(self) -> None:
        if self._schedule is None:
            return
        self._schedule_id = self._look_up()
        asked = ""
        if self._schedule_id is None and self._enrolled and not self._agent_runs():
            asked = ", and the server could not be asked"
            with self._asking:
                try:
                    assert self._queue is not None
                    hello = await self._hello(self._queue)
                    await report_once(self._state, self._queue, hello, self._timings, self._on_welcome)
                    asked = ""
                except LinkDown as down:
                    asked = f", and the server could not be asked: {down.reason}"
            self._schedule_id = self._look_up()
        if self._schedule_id is None:
            name = self._schedule.encode("utf-8", "replace").decode()[:LONGEST_TEXT]
            self._say(f"no schedule {self._schedule!r} is known for this host{asked}; reported without one")
            self._warnings.append(f"no schedule {name!r} is known for this host{asked}; counted without one")
            if not asked and self._enrolled:
                self._unknown_schedule = name

    def _look_up(self) -> str | None:
        for info in [*self._told, *self._state.schedules().schedules]:
            if self._schedule in (info.name, info.id):
                return info.id
        return None

    def _on_welcome(self, welcome: wire.Welcome) -> None:
        self._told = welcome.schedules
        if self._agent_runs():  # it keeps them itself
            return
        try:
            kept = KeptSchedules(welcome.host_id, welcome.schedules_rev, tuple(welcome.schedules))
            self._state.save_schedules(kept)
        except StateError:
            pass  # for this run they are known
