"""The jobs of this host: each accepted once, one at a time per repository, reported at start and end.

owns      which jobs are accepted, and the turn at each repository
receives  commands of the server's (`on_command`) and due runs (`start_due`)
sends     reports to the queue, progress and lines to the live feed
restart   what was accepted and not started is asked for again, by the server or by its schedule
"""

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import trio

from rmactors.agent import this_host
from rmactors.agent.agent_file import AgentFile, Repository
from rmactors.agent.due_runs import Due, definition
from rmactors.agent.job_end import as_shells_say, stats_of
from rmactors.agent.job_spec import JobRefused, JobSpec, spec_for
from rmactors.agent.livefeed import LiveFeed
from rmactors.agent.process import Stop
from rmactors.agent.report_queue import ReportQueue
from rmactors.agent.restic_job import STOPPED, ResticJob
from rmactors.agent.restic_locks import Leftovers
from rmactors.agent.restic_steps import JobResult
from rmactors.agent.restore_test.folder import PrivateFolders
from rmactors.agent.spool import Mark
from rmactors.agent.verdict import JobVerdict
from rmactors.common import clock, ids, wire
from rmactors.common.logs import fields
from rmactors.common.race import race
from rmactors.common.vocabulary import DEFAULT_MAX_RUNTIME_SECONDS, JobKind
from rmactors.common.wire import ScheduleInfo

log = logging.getLogger(__name__)

MOST_JOBS: Final = 1_000
"""Accepted at a time: beyond it the server sends the command again, as it does whenever the agent comes back."""
_LAST_WORDS_SECONDS: Final = 60.0
"""How long an end is tried to be written where the disk is slow and the agent may be about to stop."""


@dataclass(frozen=True, slots=True)
class Request:
    """A job to do. `slot` is the schedule's slot in microseconds, where it comes from one.

    `mark` is how far its schedule has come with it; with `counts_from_end`, as far as its end.
    """

    job_id: str
    kind: JobKind
    params: dict[str, Any]
    schedule_id: str | None = None
    slot: int | None = None
    max_runtime_seconds: float = DEFAULT_MAX_RUNTIME_SECONDS
    mark: Mark | None = None
    counts_from_end: bool = False


class JobRunner:
    """Does the jobs of one agent. `run` it in a nursery; the rest may be called any time after it started."""

    def __init__(
        self,
        agent_file: AgentFile,
        queue: ReportQueue,
        feed: LiveFeed,
        *,
        spare_cache: str | None = None,
        private_folders: PrivateFolders | None = None,
    ) -> None:
        self._file = agent_file
        self._queue = queue
        self._feed = feed
        self._active: dict[str, tuple[Request, Stop]] = {}
        self._turns: dict[str, trio.Lock] = {}
        self._nursery: trio.Nursery | None = None
        self._spare_cache = spare_cache
        self._private_folders = private_folders
        self._leftovers = Leftovers()
        self.schedules: dict[str, ScheduleInfo] = {}

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled; then running jobs are stopped and their ends put into the spool."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            await trio.sleep_forever()

    def is_busy(self, repository: Repository) -> bool:
        """Whether a job has this repository just now."""
        turn = self._turns.get(repository.place)
        return turn is not None and turn.locked()

    async def until_idle(self, repository: Repository) -> None:
        """Wait for the end of that job."""
        if (turn := self._turns.get(repository.place)) is not None:
            async with turn:
                pass

    def accepted_jobs(self) -> list[str]:
        """Jobs accepted and not ended, waiting ones too."""
        return list(self._active)

    async def on_command(self, command: wire.RunJob | wire.CancelJob) -> None:
        """A command of the server's. A job that is known already is not done twice."""
        match command:
            case wire.RunJob():
                if command.job_id in self._active or await self._queue.knows(command.job_id):
                    log.info("job %s is known already", command.job_id)
                    return
                if len(self._active) >= MOST_JOBS:
                    log.warning("job %s is not accepted: %d jobs are, and have not ended", command.job_id, MOST_JOBS)
                    return
                schedule = self.schedules.get(command.schedule_id or "")
                mark = None
                if schedule is not None and schedule.every_hours is not None:
                    mark = Mark(schedule.id, definition(schedule), clock.now())
                self._start(
                    Request(
                        command.job_id, command.kind, command.params, command.schedule_id,
                        max_runtime_seconds=_longest(schedule), mark=mark, counts_from_end=mark is not None,
                    )
                )  # fmt: skip
            case wire.CancelJob(job_id=job_id):
                if job_id not in self._active:
                    log.info("job %s, to be cancelled, does not run here", job_id)
                    return
                self._active[job_id][1].ask("cancelled")

    async def start_due(self, due: Due) -> None:
        """A scheduled run. If the one before has not ended yet, a slot is skipped, and that is reported;
        an interval counts from the end of that one."""
        schedule = due.schedule
        mark = Mark(schedule.id, definition(schedule), due.mark)
        request = Request(
            ids.new(), schedule.kind, schedule.params, schedule.id, due.slot, _longest(schedule), mark,
            counts_from_end=due.slot is None,
        )  # fmt: skip
        if any(other.schedule_id == schedule.id for other, _ in self._active.values()):
            if due.slot is None:
                return
            now = wire.utc_now()
            verdict = JobVerdict("skipped", "skipped", "the run before has not ended")
            assert self._nursery is not None  # not waited for: the disk may be slow, other schedules are not to wait
            self._nursery.start_soon(self._report_end, request, None, now, JobResult(verdict, None, {}), 0.0)
            return
        self._start(request)

    def _start(self, request: Request) -> None:
        assert self._nursery is not None
        stop = Stop()
        self._active[request.job_id] = (request, stop)
        self._nursery.start_soon(self._do, request, stop, name=f"job:{request.job_id}")

    async def _do(self, request: Request, stop: Stop) -> None:
        try:
            await self._do_in_turn(request, stop)
        finally:
            del self._active[request.job_id]

    async def _do_in_turn(self, request: Request, stop: Stop) -> None:
        asked_at = wire.utc_now()
        try:
            spec = spec_for(self._file, request.kind, request.params, request.job_id, this_host.hostname())
        except JobRefused as refused:
            log.warning("refused: %s", refused, extra=_said("job.refused", request))
            outcome = JobResult(JobVerdict("failed", "refused", str(refused)), None, {})
            named = request.params.get("plan")
            plan = named[:200] if isinstance(named, str) else None
            await self._report_end(request, plan, asked_at, outcome, 0.0)
            return
        turn = self._turns.setdefault(spec.repository.place, trio.Lock())
        if not await _its_turn(turn, stop):
            outcome = JobResult(JobVerdict("cancelled", "cancelled", "cancelled before it began"), None, {})
            await self._report_end(request, spec.plan_name, asked_at, outcome, 0.0)
            return
        try:
            await self._do_now(request, spec, stop)
        finally:
            turn.release()

    async def _do_now(self, request: Request, spec: JobSpec, stop: Stop) -> None:
        started_at, started = wire.utc_now(), trio.current_time()
        said = _said("job.started", request, plan=spec.plan_name, repository=spec.repository_name)
        log.info("a job begins", extra=said)
        await self._report_start(request, spec, started_at)
        job = ResticJob(request.job_id, spec, self._file, self._feed, stop, self._queue)
        job.spare_cache, job.leftovers = self._spare_cache, self._leftovers
        job.private_folders = self._private_folders
        job.max_runtime_seconds = request.max_runtime_seconds
        outcome = STOPPED
        stop.within(request.max_runtime_seconds)
        try:
            outcome = await job.run()
        except Exception:
            log.exception("a job failed in the agent itself", extra=_said("job.crashed", request))
            outcome = JobResult(JobVerdict("failed", "error", "an internal error of the agent; see its log"), None, {})
        finally:
            self._feed.ended(request.job_id)
            # Also when the agent is being stopped: restic is gone by now, and the end is known.
            with trio.move_on_after(_LAST_WORDS_SECONDS, shield=True):
                await self._report_end(request, spec.plan_name, started_at, outcome, trio.current_time() - started)

    async def _report_start(self, request: Request, spec: JobSpec, started_at: datetime) -> None:
        report = wire.JobStarted(
            seq=0, job_id=request.job_id, kind=request.kind, plan=spec.plan_name, schedule_id=request.schedule_id,
            scheduled_for=_time(request.slot), started_at=started_at,
        )  # fmt: skip
        await self._queue.add(report, request.mark)

    async def _report_end(
        self, request: Request, plan: str | None, started_at: datetime, outcome: JobResult, seconds: float
    ) -> None:  # fmt: skip
        verdict = outcome.verdict
        said = _said("job.ended", request, plan=plan, status=verdict.status, reason=verdict.reason, error=verdict.error)
        log.info("a job ended", extra=said)
        report = wire.JobFinished(
            seq=0, job_id=request.job_id, kind=request.kind, status=verdict.status, reason=verdict.reason,
            started_at=started_at, finished_at=max(wire.utc_now(), started_at),
            exit_code=None if outcome.exit_code is None else as_shells_say(outcome.exit_code), error=verdict.error,
            plan=plan, schedule_id=request.schedule_id,
            scheduled_for=_time(request.slot), stats=stats_of(outcome.stats, seconds),
        )  # fmt: skip
        mark = request.mark
        if mark is not None and request.counts_from_end:
            mark = replace(mark, slot=clock.now())
        await self._queue.add(report, mark)


def _said(event: str, request: Request, **values: object) -> dict[str, Any]:
    """What every line about a job says of it."""
    return fields(event, job_id=request.job_id, kind=request.kind, schedule_id=request.schedule_id, **values)


async def _its_turn(turn: trio.Lock, stop: Stop) -> bool:
    """Wait for the repository; False if the job is to stop first."""

    async def acquire() -> bool:
        await turn.acquire()
        return True

    return await race(acquire, stop.wait) is not None


def _longest(schedule: ScheduleInfo | None) -> float:
    """Seconds after which a run is stopped."""
    return (
        schedule.max_runtime_seconds if schedule and schedule.max_runtime_seconds > 0 else DEFAULT_MAX_RUNTIME_SECONDS
    )


def _time(micros: int | None) -> datetime | None:
    return None if micros is None else clock.to_datetime(micros)
