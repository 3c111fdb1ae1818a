"""The running agent: its tree of tasks on one screen.

agent nursery
├─ jobs          jobs, one at a time per repository
├─ scheduler   schedules, also while the server is away  → jobs
├─ wakeups     a byte from `exec` or `enroll`            → queue
├─ handover    what an `exec` cannot write               → queue
├─ mender      a spool that cannot be written            → queue, link
├─ unwritten   the server: what is in memory alone
├─ zones       time zone data that was updated           → scheduler, link
├─ restic      a restic that was installed or updated    → link
├─ orphans     jobs whose process was killed             → queue
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
from rmactors.agent.livefeed import LiveFeed
from rmactors.agent.report_queue import ReportQueue, open_queue
from rmactors.agent.scheduler import Scheduler
from rmactors.agent.server_link import Callbacks, Link, report_once
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

    Raises NotEnrolled, AlreadyRunning or StateError where it cannot even begin; a state dir that is full or read-only
    is no reason. `task_status` is told once it runs (connected or not).
    """
    timings = timings or Timings()
    state = StateDir(state_dir)
    state.reach()
    state.credential()
    state.make_runs_lock()
    with state.held():
        async with open_queue(state) as queue:
            feed = LiveFeed()
            job_runner = JobRunner(agent_file, queue, feed, spare_cache=str(state.path / "cache"))
            scheduler = Scheduler(state, queue, job_runner.start_due, agent_file.jitter_seconds)
            job_runner.schedules = {schedule.id: schedule for schedule in scheduler.schedules}
            restic_told: list[Restic] = []  # what the newest hello said, or the next one will
            announced = unwritten.Announced(timings.mend)

            async def look() -> None:
                restic_told[:] = [await trio.to_thread.run_sync(this_host.look_at_restic, agent_file.restic)]

            async def make_hello(instance_id: str, connection: int) -> wire.Hello:
                (restic,) = restic_told
                problem = queue.problem
                announced.said(problem is not None)
                running = list(dict.fromkeys([*job_runner.accepted_jobs(), *await queue.running()]))
                spooled = await queue.count()
                return replace(
                    introduction.of_this_host(instance_id, queue.spool_id, problem),
                    restic=wire.ResticInfo(restic.version) if restic.version else None,
                    restic_problem=restic.problem,
                    plans=agent_file.wire_plans(),
                    running_jobs=running,
                    spooled=spooled,
                    connection=connection,
                )

            async def tell_unwritten() -> None:
                hello = await introduction.of_a_reporter(ids.new(), queue, queue.unwritten)
                # What a welcome says is used by the link alone.
                await report_once(state, queue.unwritten, hello, timings, lambda _: None, agent_file.certificate)

            async def on_schedules(host_id: str, told: wire.Welcome | wire.Schedules) -> None:
                job_runner.schedules = {schedule.id: schedule for schedule in told.schedules}
                await scheduler.on_schedules(host_id, told)

            callbacks = Callbacks(on_schedules=on_schedules, on_command=job_runner.on_command)
            link = Link(state, queue, feed, look, make_hello, callbacks, timings, agent_file.certificate)

            async def connect() -> None:
                await pipes.until_runs_are_known(state, queue, timings.runs)
                await link.run()

            def zones_changed() -> None:
                scheduler.look_again()
                link.say_hello_again("the time zone data was updated")

            def restic_changed() -> None:
                link.say_hello_again("restic is another than before")

            await queue.report_orphans()
            try:
                async with trio.open_nursery() as nursery:
                    await nursery.start(job_runner.run, name="jobs")
                    await nursery.start(scheduler.run, name="scheduler")
                    nursery.start_soon(pipes.watch_wakeup_pipe, state, queue, name="wakeups")
                    nursery.start_soon(pipes.receive_handovers, state, queue, name="handover")
                    mender = (queue, announced, link.say_hello_again, timings.mend)
                    nursery.start_soon(unwritten.mend, *mender, name="mender")
                    nursery.start_soon(unwritten.deliver, queue, tell_unwritten, timings, name="unwritten")
                    nursery.start_soon(_look_for_orphans, queue, name="orphans")
                    nursery.start_soon(watch_zones, zones_changed, name="zones")
                    nursery.start_soon(watch_restic, agent_file.restic, restic_told, restic_changed, name="restic")
                    nursery.start_soon(connect, name="link")
                    log.info("agent %s runs, %d reports in the spool", __version__, await queue.count())
                    task_status.started()
            finally:
                await unwritten.last_words(queue, tell_unwritten)


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
