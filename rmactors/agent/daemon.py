"""The running agent: its tree of tasks on one screen.

agent nursery
├─ jobs        jobs, one at a time per repository
├─ scheduler   schedules, also while the server is away  → jobs
├─ wakeups     a byte from `exec` or `enroll`            → queue
├─ handover    what an `exec` cannot write               → queue
├─ mender      a spool that cannot be written            → queue, link
├─ requests    what the server asks while somebody waits
├─ unwritten   the server: what is in memory alone
├─ zones       time zone data that was updated           → scheduler, link
├─ restic      a restic that was installed or updated    → link
├─ orphans     jobs whose process was killed             → queue
├─ leftovers   restored files of tests that were killed
└─ link        the server: hello, reports, heartbeats, commands → jobs, scheduler
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import trio
from msgspec.structs import replace

from rmactors import __version__
from rmactors.agent import introduction, pipes, this_host, unwritten
from rmactors.agent.agent_file import AgentFile
from rmactors.agent.connection import Timings
from rmactors.agent.job_runner import JobRunner
from rmactors.agent.live_requests.answering import LiveRequests
from rmactors.agent.livefeed import LiveFeed
from rmactors.agent.report_queue import ReportQueue, open_queue
from rmactors.agent.restore_test.folder import PrivateFolders, clear_left_over
from rmactors.agent.scheduler import Scheduler
from rmactors.agent.server_link import Callbacks, ServerLink, report_once
from rmactors.agent.state_dir import StateDir
from rmactors.agent.this_host import Restic
from rmactors.common import ids, wire, zones

log = logging.getLogger(__name__)

ORPHANS_SECONDS: Final = 60.0
HANDED_SECONDS: Final = 10.0
"""After this, what an `exec` handed over as it ended is kept, also on a slow disk that is full."""
LOOK_SECONDS: Final = 3600.0
"""So often the agent looks whether its machine was updated."""


async def run_agent(
    agent_file: AgentFile,
    state_dir: Path,
    *,
    timings: Timings | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run the agent until cancelled; running jobs are then stopped and their ends kept in the spool.

    Raises NotEnrolled, AlreadyRunning or StateError if it cannot even begin; a state dir that is full or read-only
    is no reason. `task_status` is told once it runs (connected or not).
    """
    state = StateDir(state_dir)
    state.reach()
    state.credential()
    state.make_runs_lock()
    with state.held():
        async with open_queue(state) as queue:
            await _Agent(agent_file, state, queue, timings or Timings()).run(task_status)


class _Agent:
    """What its tasks have in common, and what passes between them."""

    def __init__(self, agent_file: AgentFile, state: StateDir, queue: ReportQueue, timings: Timings) -> None:
        self._file = agent_file
        self._state = state
        self._queue = queue
        self._timings = timings
        feed = LiveFeed()
        spare_cache = str(state.path / "cache")
        self._folders = PrivateFolders(state.path, agent_file.restore_test_dir)
        self._left_over = self._folders.left_over()
        self._jobs = JobRunner(agent_file, queue, feed, spare_cache=spare_cache, private_folders=self._folders)
        self._requests = LiveRequests(agent_file, queue, state.path, spare_cache=spare_cache, jobs=self._jobs)
        self._scheduler = Scheduler(state, queue, self._jobs.start_due, agent_file.jitter_seconds)
        self._jobs.schedules = {schedule.id: schedule for schedule in self._scheduler.schedules}
        self._restic_told: list[Restic] = []  # what the newest hello said, or the next one will
        self._announced = unwritten.Announced(timings.mend)
        callbacks = Callbacks(on_schedules=self._on_schedules, on_command=self._jobs.on_command)
        self._link = ServerLink(
            state, queue, feed, self._look, self._hello, callbacks, self._requests, timings, agent_file.certificate
        )  # fmt: skip

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        queue, state, link = self._queue, self._state, self._link
        await queue.report_orphans()
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._jobs.run, name="jobs")
                await nursery.start(self._scheduler.run, name="scheduler")
                await nursery.start(self._requests.run, name="requests")
                nursery.start_soon(pipes.watch_wakeup_pipe, state, queue, name="wakeups")
                nursery.start_soon(pipes.receive_handovers, state, queue, name="handover")
                mender = (queue, self._announced, link.say_hello_again, self._timings.mend)
                nursery.start_soon(unwritten.mend, *mender, name="mender")
                nursery.start_soon(unwritten.deliver, queue, self._deliver_unwritten, self._timings, name="unwritten")
                nursery.start_soon(_look_for_orphans, queue, name="orphans")
                nursery.start_soon(clear_left_over, self._folders, self._left_over, name="leftovers")
                nursery.start_soon(watch_zones, self._zones_changed, name="zones")
                restic = (self._file.restic, self._restic_told, self._restic_changed)
                nursery.start_soon(watch_restic, *restic, name="restic")
                nursery.start_soon(self._connect, name="link")
                log.info("agent %s runs, %d reports in the spool", __version__, await queue.count())
                task_status.started()
        finally:
            await unwritten.last_words(queue, self._deliver_unwritten)

    async def _connect(self) -> None:
        await pipes.until_runs_are_known(self._state, self._queue, self._timings.runs)
        await self._link.run()

    async def _look(self) -> None:
        self._restic_told[:] = [await trio.to_thread.run_sync(this_host.look_at_restic, self._file.restic)]

    async def _hello(self, instance_id: str, connection: int) -> wire.Hello:
        (restic,) = self._restic_told
        problem = self._queue.problem
        self._announced.said(problem is not None)
        running = list(dict.fromkeys([*self._jobs.accepted_jobs(), *await self._queue.running()]))
        spooled = await self._queue.count()
        return replace(
            introduction.of_this_host(instance_id, self._queue.spool_id, problem),
            restic=wire.ResticInfo(restic.version) if restic.version else None,
            restic_problem=restic.problem,
            plans=self._file.wire_plans(),
            allow=list(self._file.allow),
            restore_targets=self._file.restore_targets,
            running_jobs=running,
            spooled=spooled,
            connection=connection,
        )

    async def _deliver_unwritten(self) -> None:
        hello = await introduction.of_a_reporter(ids.new(), self._queue, self._queue.unwritten)
        # What a welcome says is used by the link alone.
        await report_once(
            self._state, self._queue.unwritten, hello, self._timings, lambda _: None, self._file.certificate
        )  # fmt: skip

    async def _on_schedules(self, host_id: str, told: wire.Welcome | wire.Schedules) -> None:
        self._jobs.schedules = {schedule.id: schedule for schedule in told.schedules}
        await self._scheduler.on_schedules(host_id, told)

    def _zones_changed(self) -> None:
        self._scheduler.look_again()
        self._link.say_hello_again("the time zone data was updated")

    def _restic_changed(self) -> None:
        self._link.say_hello_again("restic is another than before")


async def _look_for_orphans(queue: ReportQueue) -> None:
    """An `exec` that was killed cannot tell so itself."""
    while True:
        await trio.sleep(ORPHANS_SECONDS)
        await queue.report_orphans(HANDED_SECONDS)


async def watch_zones(
    tell: Callable[[], None], every: float = LOOK_SECONDS, refresh: Callable[[], bool] = zones.refresh
) -> None:
    """Systems and packages are updated while the agent runs: look at their time zone data now and then."""
    while True:
        await trio.sleep(every)
        if await trio.to_thread.run_sync(refresh):
            log.info("new time zone data: version %s", zones.version() or "unknown")
            tell()


async def watch_restic(
    restic: str, told: Sequence[Restic], tell: Callable[[], None], every: float = LOOK_SECONDS
) -> None:
    """Tell when restic is another than the one in `told` (empty as long as no hello was said)."""
    while True:
        await trio.sleep(every)
        found = await trio.to_thread.run_sync(this_host.look_at_restic, restic)
        if told and found != told[-1]:
            tell()
