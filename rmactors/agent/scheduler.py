"""The schedules of this host, kept on disk, and the wait for their slots: also while the server is away.

owns      the schedules as last told, and how far each has come
receives  schedules from the link
sends     due runs to the job runner
restart   from the state dir; a slot counts as taken once its run's start is in the spool
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

import trio

from rmactors.agent.due_runs import Due, definition, due, reconcile
from rmactors.agent.report_queue import ReportQueue
from rmactors.agent.spool import Mark
from rmactors.agent.state_dir import KeptSchedules, StateDir, StateError
from rmactors.common import clock, wire

log = logging.getLogger(__name__)

_LONGEST_SLEEP: Final = 30.0
"""A sleeping machine stops the clock that sleeps are measured by, and the wall clock can be set: look now and then."""


class Scheduler:
    """Wakes the job runner when a slot comes."""

    def __init__(
        self, state: StateDir, queue: ReportQueue, start: Callable[[Due], Awaitable[None]], jitter: float
    ) -> None:
        self._state = state
        self._queue = queue
        self._start = start
        self._jitter = jitter
        self._kept = state.schedules()
        self._saved = True
        self._marks: dict[str, Mark] = {}
        self._changed = trio.Event()

    @property
    def schedules(self) -> tuple[wire.ScheduleInfo, ...]:
        return self._kept.schedules

    async def on_schedules(self, host_id: str, told: wire.Welcome | wire.Schedules) -> None:
        """New schedules, or the same again."""
        kept = KeptSchedules(host_id, told.schedules_rev, tuple(told.schedules))
        if kept != self._kept or not self._saved:
            self._save(kept)
        if kept != self._kept:
            self._kept = kept
            await self._reconcile()
            self._changed.set()

    def _save(self, kept: KeptSchedules) -> None:
        """If the disk takes nothing, once more when they are heard again: as soon as the agent says that it does."""
        try:
            self._state.save_schedules(kept)
            self._saved = True
        except StateError as error:
            self._saved = False
            log.error("the schedules are in force but not kept: %s", error)

    def look_again(self) -> None:
        """What is due may be due at another time."""
        self._changed.set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled. Started once it knows how far schedules have come: `on_schedules` only after that."""
        self._marks = await self._queue.marks()
        await self._reconcile()
        task_status.started()
        while True:
            self._changed = trio.Event()
            now = clock.now()
            runs, next_look = due(self._kept.schedules, self._marks, now, self._kept.host_id, self._jitter)
            if any(run.slot is None for run in runs) and await self._learn_ends():
                continue
            for run in runs:
                self._marks[run.schedule.id] = replace(
                    self._marks[run.schedule.id], definition=definition(run.schedule), slot=run.mark
                )
                await self._start(run)
            pause = _LONGEST_SLEEP if next_look is None else max(0.0, (next_look - clock.now()) / clock.SECOND)
            with trio.move_on_after(min(pause, _LONGEST_SLEEP)):
                await self._changed.wait()

    async def _learn_ends(self) -> bool:
        """Intervals count from the end of a run, which the job runner has put into the spool: whether there are any."""
        known = await self._queue.marks()
        newer = {
            id: known[id]
            for id, mark in self._marks.items()
            if id in known and known[id].definition == mark.definition and known[id].slot > mark.slot
        }
        self._marks |= newer
        return bool(newer)

    async def _reconcile(self) -> None:
        fresh, gone = reconcile(self._kept.schedules, self._marks, clock.now())
        for mark in fresh:
            self._marks[mark.schedule_id] = mark
        for schedule_id in gone:
            del self._marks[schedule_id]
        if fresh or gone:
            await self._queue.set_marks(fresh, gone)
