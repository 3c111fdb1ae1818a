"""A host's jobs: which run, which are lost, and which reports of them are in flight. Pure.

A report is in flight from its arrival until the rules have answered: it is on disk, or never will be, or failed.
What a report says counts from its arrival on, and is taken back if it does not get to disk. Times are microseconds.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from rmactors.server.actors.host.translate import Line
from rmactors.server.messages.answers import Committed, Duplicate
from rmactors.server.messages.connections import AgentConnection
from rmactors.server.messages.jobs import JobStarted
from rmactors.server.messages.reports import EndReport, LostJob, StartReport
from rmactors.server.state.host import RunningJob

LINES_HELD = 2_000
"""Log lines kept while the start of their job is in flight; more are dropped, as lines may be."""
EARLY_CHARACTERS = 1 << 20
"""Of lines that come before anything else is known of their job, so much text is kept in memory."""
WAITERS = 100
"""Acks that wait for one event. An agent of ours waits for one; one without an ack sends again, and gets it then."""
OVERDUE = "it has not ended within its longest run time"
UNKNOWN = "its agent came back and does not know of it"

Waiter = tuple[AgentConnection, int]
"""A connection that waits for an ack, and for which `seq`."""
Kind = Literal["start", "end", "loss"]
KINDS: tuple[Kind, ...] = ("start", "end", "loss")


class JobEvent(NamedTuple):
    """What happened to a job. It is in flight once at a time."""

    job_id: str
    kind: Kind


@dataclass(slots=True)
class InFlightReport:
    """What waits until an event is on disk: acks, and log lines of its job."""

    waiting: list[Waiter] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    lost_job: RunningJob | None = None
    """As it ran, before it was thought to be lost."""


@dataclass(slots=True)
class _Handshake:
    """What the hello of an agent leaves open."""

    spooled: int
    """So many of its reports are still to come in."""
    known: frozenset[str]
    """Jobs that run as far as the agent knows."""
    missing_jobs: set[str] = field(default_factory=set)
    """Jobs that run as far as the server alone knows, lost once the spooled reports are in."""
    arrived: set[JobEvent | int] = field(default_factory=set)
    """Spooled reports that have come in, while others are to come: one that is sent again counts once."""


class JobTracker:
    """Of one host. `longest` is how long a job may run until its own longest run time is known.

    An event goes in with `join` or `on_start` or `on_end`, or is given out as a loss. Its answer takes it out: `take`,
    and then one of `on_saved`, `on_refused`, `on_failed`.
    """

    def __init__(self, host_id: str, running: Iterable[RunningJob], longest: int) -> None:
        self._host_id = host_id
        self._longest = longest
        self._running = {job.id: job for job in running}
        self._deadlines: list[tuple[int, str]] = []
        """A heap. Entries that are not true any more stay until they come first."""
        self._scheduled: set[tuple[int, str]] = set()
        for job_id in self._running:
            self._schedule(job_id)
        self._in_flight: dict[JobEvent, InFlightReport] = {}
        self._handshake: _Handshake | None = None
        self._early: tuple[str, list[Line]] = ("", [])

    def __len__(self) -> int:
        """How many events are in flight."""
        return len(self._in_flight)

    def runs(self, job_id: str) -> bool:
        return job_id in self._running

    def started(self) -> set[str]:
        """Jobs that their agent has reported as started and not as ended."""
        return self._running.keys() | {event.job_id for event in self._in_flight if event.kind == "start"}

    # ---- reports

    def join(self, event: JobEvent, waiter: Waiter) -> bool:
        """Whether the same event is in flight already; then `waiter` waits for it too."""
        report = self._in_flight.get(event)
        if report is None:
            return False
        if len(report.waiting) < WAITERS:
            report.waiting.append(waiter)
        return True

    def on_start(self, report: StartReport, waiter: Waiter) -> None:
        self._in_flight[JobEvent(report.job_id, "start")] = InFlightReport([waiter], self._early_lines(report.job_id))
        job = RunningJob(
            report.job_id, report.kind, report.plan, report.schedule_id, report.started_at,
            report.started_at + self._longest,
        )  # fmt: skip
        self._running.setdefault(job.id, job)

    def on_end(self, report: EndReport, waiter: Waiter) -> None:
        """The job runs until its end is on disk."""
        self._in_flight[JobEvent(report.job_id, "end")] = InFlightReport([waiter], self._early_lines(report.job_id))

    def take(self, event: JobEvent) -> InFlightReport | None:
        """Remove and return the in-flight report; None if it was sent before a restart."""
        return self._in_flight.pop(event, None)

    def on_saved(self, event: JobEvent, deadline_at: int | None = None) -> None:
        """It is on disk. `deadline_at`: when the job that began will be overdue, as far as is known."""
        if event.kind == "end":
            self._running.pop(event.job_id, None)
        elif deadline_at is not None and event.job_id in self._running:
            self._running[event.job_id] = replace(self._running[event.job_id], deadline_at=deadline_at)
        self._schedule(event.job_id)

    def on_refused(self, event: JobEvent) -> None:
        """It never gets to disk. A job whose start is refused never was; a refused end ends nothing."""
        if event.kind == "start":
            self._running.pop(event.job_id, None)
        self._schedule(event.job_id)

    def on_failed(self, event: JobEvent, report: InFlightReport) -> None:
        """As if it had never come: its agent sends it again. A job that was lost runs, and is lost again later."""
        if event.kind == "start":
            self._running.pop(event.job_id, None)
        if (job := report.lost_job) is not None:
            self._running[job.id] = job
            if self._handshake is not None and job.id not in self._handshake.known:
                self._handshake.missing_jobs.add(job.id)
        self._schedule(event.job_id)

    def drop_unless_running(self, job_id: str, running: Iterable[RunningJob]) -> None:
        """`running` are the jobs that run as far as is on disk: one whose start was there already may have ended."""
        if all(job.id != job_id for job in running):
            self._running.pop(job_id, None)

    # ---- log lines

    def hold_lines(self, job_id: str, lines: list[Line]) -> bool:
        """Keep log lines until the report of their job is on disk. False if they may be written down at once.

        They may come before the first report of their job, as from `exec`: the newest such lines are written down at
        once, for a job that is on disk after all, and kept for a report that follows.
        """
        report = self._in_flight.get(JobEvent(job_id, "start"))
        if report is None and not self.runs(job_id):
            report = self._in_flight.get(JobEvent(job_id, "end"))
        if report is not None:
            report.lines += lines[: max(0, LINES_HELD - len(report.lines))]
            return True
        if not self.runs(job_id):
            self._keep_early(job_id, lines)
        return False

    def _keep_early(self, job_id: str, lines: list[Line]) -> None:
        kept = self._early_lines(job_id)
        room = EARLY_CHARACTERS - sum(len(text) for _, _, text in kept)
        for line in lines[: LINES_HELD - len(kept)]:
            room -= len(line[2])
            if room < 0:
                break
            kept.append(line)
        self._early = job_id, kept

    def _early_lines(self, job_id: str) -> list[Line]:
        """Takes what came early of that job."""
        early_id, lines = self._early
        if early_id != job_id:
            return []
        self._early = "", []
        return lines

    # ---- jobs that are overdue

    def first_deadline(self) -> int | None:
        """When the first job is overdue; None if none can be, as things stand."""
        return None if self._awaits_spooled() or self._first() is None else self._deadlines[0][0]

    def lose_overdue(self, at: int) -> list[LostJob]:
        """Jobs that have exceeded their maximum run time, as loss reports."""
        overdue: list[RunningJob] = []
        while not self._awaits_spooled() and (job := self._first()) is not None and job.deadline_at <= at:
            self._drop_first()
            overdue.append(job)
        return self._lose(overdue, at, OVERDUE)

    def _awaits_spooled(self) -> bool:
        """What was spooled for days tells of old starts, and their ends are right behind."""
        return self._handshake is not None and self._handshake.spooled > 0

    def _first(self) -> RunningJob | None:
        """The job with the first deadline of those without a report in flight. One with such a report is scheduled
        again when that is answered. Costs the same with ten jobs and with ten thousand."""
        while self._deadlines:
            deadline, job_id = self._deadlines[0]
            job = self._running.get(job_id)
            in_flight = any(JobEvent(job_id, kind) in self._in_flight for kind in KINDS)
            if job is not None and job.deadline_at == deadline and not in_flight:
                return job
            self._drop_first()
        return None

    def _schedule(self, job_id: str) -> None:
        job = self._running.get(job_id)
        if job is not None and (entry := (job.deadline_at, job_id)) not in self._scheduled:
            self._scheduled.add(entry)
            heapq.heappush(self._deadlines, entry)

    def _drop_first(self) -> None:
        self._scheduled.discard(heapq.heappop(self._deadlines))

    # ---- jobs that their agent does not know

    def agent_connected(self, spooled: int, known: Iterable[str]) -> None:
        """An agent says hello: so many spooled reports follow, and these jobs run. None is missing yet."""
        self._handshake = _Handshake(spooled, frozenset(known))

    def agent_disconnected(self) -> None:
        self._handshake = None

    def reconcile(self, at: int) -> list[LostJob]:
        """From here on, jobs that the agent does not know are missing. Losses that can be reported now."""
        assert self._handshake is not None
        self._handshake.missing_jobs = self._running.keys() - self._handshake.known
        return self.lose_missing(at)

    def spooled_arrived(self, report: JobEvent | int, at: int) -> list[LostJob]:
        """One of the spooled reports has come in: its event, or its `seq` if it cannot be taken.

        After the last one, the jobs that are still missing, as loss reports. Agents send again what is not acked for a
        while, so each report counts once.
        """
        handshake = self._handshake
        if handshake is None or not handshake.spooled or report in handshake.arrived:
            return []
        handshake.arrived.add(report)
        handshake.spooled -= 1
        if not handshake.spooled:
            handshake.arrived.clear()
        return self.lose_missing(at)

    def lose_missing(self, at: int) -> list[LostJob]:
        """The missing jobs as loss reports, unless spooled reports are still to come in. A job whose end is in flight
        is not lost."""
        if self._handshake is None or self._handshake.spooled:
            return []
        missing, self._handshake.missing_jobs = self._handshake.missing_jobs, set()
        jobs = [self._running[job_id] for job_id in missing & self._running.keys()]
        return self._lose([job for job in jobs if JobEvent(job.id, "end") not in self._in_flight], at, UNKNOWN)

    def _lose(self, jobs: list[RunningJob], at: int, detail: str) -> list[LostJob]:
        losses = []
        for job in jobs:
            event = JobEvent(job.id, "loss")
            if event in self._in_flight:
                continue
            self._in_flight[event] = InFlightReport(lost_job=job)
            self._running.pop(job.id)
            losses.append(
                LostJob(self._host_id, job.id, job.kind, job.plan, job.schedule_id, job.started_at, at, detail)
            )
        return losses


def deadline_of(answer: Committed | Duplicate) -> int | None:
    """When the job that began will be overdue; None if this answer does not say."""
    match answer:
        case Committed(results=(JobStarted(deadline_at),)):
            return deadline_at
        case _:
            return None
