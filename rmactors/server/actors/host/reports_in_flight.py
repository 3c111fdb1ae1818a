"""A host's jobs under way: which run, which reports of them are on their way to disk, which are lost. Pure.

What a report says counts from its arrival on, and is taken back where it does not get to disk. Times are microseconds
and come in.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, assert_never

from rmactors.server.messages.answers import Answer, Committed, Duplicate, Failed, Refused, Stale
from rmactors.server.messages.connections import AgentConnection
from rmactors.server.messages.jobs import JobStarted
from rmactors.server.messages.reports import EndReport, LostJob, StartReport
from rmactors.server.state.host import RunningJob

LINES_HELD = 2_000
"""Log lines kept while the start of their job is on its way to disk; more are dropped, as lines may be."""
EARLY_CHARACTERS = 1 << 20
"""Of lines that come before anything else is known of their job, so much text is kept in memory."""
WAITERS = 100
"""Who waits for one event. Our agent is one; who is not told an ack sends again, and is told then."""
OVERDUE = "it has not ended within its longest run time"
UNKNOWN = "its agent came back and does not know of it"

Waiter = tuple[AgentConnection, int]
"""Who waits for an ack, and for which `seq`."""
Line = tuple[int, str, str]
"""Number, stream, text."""


Kind = Literal["start", "end", "loss"]
KINDS: tuple[Kind, ...] = ("start", "end", "loss")


class JobEvent(NamedTuple):
    """What befell a job; it is on its way to disk once at a time."""

    job_id: str
    kind: Kind


@dataclass(slots=True)
class InFlightReport:
    """An event on its way to disk, and what waits for it: acks, and log lines of the job that began."""

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
    """Jobs that run as far as is known here alone, to be given up once the spooled reports are in."""
    arrived: set[JobEvent | int] = field(default_factory=set)
    """Spooled reports that have come in, while others are to come: one that is sent again counts once."""


class JobTracker:
    """Of one host. `longest` is how long a job may run until its own longest run time is known."""

    def __init__(self, host_id: str, running: Iterable[RunningJob], longest: int) -> None:
        self._host_id = host_id
        self._longest = longest
        self._running = {job.id: job for job in running}
        self._deadlines: list[tuple[int, str]] = []
        """A heap. Entries that are not true any more stay until they come first."""
        self._scheduled: set[tuple[int, str]] = set()
        for job in self._running.values():
            self._schedule(job)
        self._reports: dict[JobEvent, InFlightReport] = {}
        self._handshake: _Handshake | None = None
        self._early: tuple[str, list[Line]] = ("", [])

    def __len__(self) -> int:
        """How many steps are on their way to disk."""
        return len(self._reports)

    def runs(self, job_id: str) -> bool:
        return job_id in self._running

    def started(self) -> set[str]:
        """Jobs that their agent has reported as started and not as ended."""
        return self._running.keys() | {event.job_id for event in self._reports if event.kind == "start"}

    # ---- reports

    def join(self, event: JobEvent, waiter: Waiter) -> bool:
        """Whether the same is on its way already; then `waiter` waits for it too."""
        report = self._reports.get(event)
        if report is None:
            return False
        if len(report.waiting) < WAITERS:
            report.waiting.append(waiter)
        return True

    def on_start(self, report: StartReport, waiter: Waiter) -> None:
        """The report of a start sets out."""
        self._reports[JobEvent(report.job_id, "start")] = InFlightReport([waiter], self._early_lines(report.job_id))
        job = RunningJob(
            report.job_id, report.kind, report.plan, report.schedule_id, report.started_at,
            report.started_at + self._longest,
        )  # fmt: skip
        self._running.setdefault(job.id, job)

    def on_end(self, report: EndReport, waiter: Waiter) -> None:
        """The report of an end sets out. The job runs until it is on disk."""
        self._reports[JobEvent(report.job_id, "end")] = InFlightReport([waiter], self._early_lines(report.job_id))

    def resolve(self, event: JobEvent, answer: Answer) -> InFlightReport | None:
        """The end of a way, and what waited for it. None where nothing was on it: it set out before a restart."""
        report = self._reports.pop(event, None)
        if report is None:
            return None
        match answer:
            case Committed() | Duplicate():
                self._on_disk(event, answer)
            case Refused():
                if event.kind == "start":
                    self._running.pop(event.job_id, None)
            case Failed() | Stale():  # as if it had never come
                if event.kind == "start":
                    self._running.pop(event.job_id, None)
                if report.lost_job is not None:
                    self._restore(report.lost_job)
            case _:
                assert_never(answer)
        if event.job_id in self._running:
            self._schedule(self._running[event.job_id])
        return report

    def _schedule(self, job: RunningJob) -> None:
        entry = (job.deadline_at, job.id)
        if entry not in self._scheduled:
            self._scheduled.add(entry)
            heapq.heappush(self._deadlines, entry)

    def _drop_first(self) -> None:
        self._scheduled.discard(heapq.heappop(self._deadlines))

    def _on_disk(self, event: JobEvent, answer: Committed | Duplicate) -> None:
        job = self._running.get(event.job_id)
        if event.kind == "end":
            self._running.pop(event.job_id, None)
            return
        match answer:
            case Committed(results=(JobStarted(deadline_at),)) if job is not None:
                self._running[event.job_id] = replace(job, deadline_at=deadline_at)
            case _:  # known already, or a loss
                pass

    def drop_unless_running(self, job_id: str, running: Iterable[RunningJob]) -> None:
        """`running` are the jobs that run as far as is on disk: one that was known there already may have ended."""
        if all(job.id != job_id for job in running):
            self._running.pop(job_id, None)

    def hold_lines(self, job_id: str, lines: list[Line]) -> bool:
        """Keep log lines until what tells of their job is on disk. False where they may be written down at once.

        Of a job that nothing was heard of, they may come before its start or end, as from `exec`: the newest such lines
        are written down at once, for a job that is on disk after all, and kept for a report that follows.
        """
        telling = self._reports.get(JobEvent(job_id, "start"))
        if telling is None and not self.runs(job_id):
            telling = self._reports.get(JobEvent(job_id, "end"))
        if telling is not None:
            telling.lines += lines[: max(0, LINES_HELD - len(telling.lines))]
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
        """When the first job is overdue; None where none can be, as things stand."""
        return None if self._awaits_spooled() or self._first() is None else self._deadlines[0][0]

    def lose_overdue(self, at: int) -> list[LostJob]:
        """Losses that set out now: of jobs that have run for too long."""
        overdue: list[RunningJob] = []
        while not self._awaits_spooled() and (job := self._first()) is not None and job.deadline_at <= at:
            self._drop_first()
            overdue.append(job)
        return self._lose(overdue, at, OVERDUE)

    def _awaits_spooled(self) -> bool:
        """What was spooled for days tells of old starts, and their ends are right behind."""
        return self._handshake is not None and self._handshake.spooled > 0

    def _first(self) -> RunningJob | None:
        """The job with the first deadline of those of which no report is on its way: one whose report is, comes back
        here when that has arrived. Costs the same with ten jobs and with ten thousand."""
        while self._deadlines:
            deadline, job_id = self._deadlines[0]
            job = self._running.get(job_id)
            if job is not None and job.deadline_at == deadline and not self._in_flight(job_id):
                return job
            self._drop_first()
        return None

    def _in_flight(self, job_id: str) -> bool:
        return any(JobEvent(job_id, kind) in self._reports for kind in KINDS)

    # ---- jobs that their agent does not know

    def agent_connected(self, spooled: int, known: Iterable[str]) -> None:
        """An agent says hello: so many spooled reports follow, and these jobs run. It owes nothing yet."""
        self._handshake = _Handshake(spooled, frozenset(known))

    def agent_disconnected(self) -> None:
        self._handshake = None

    def reconcile(self, at: int) -> list[LostJob]:
        """Losses that set out now. From here on the agent owes what it does not know."""
        assert self._handshake is not None
        self._handshake.missing_jobs = self._running.keys() - self._handshake.known
        return self.lose_missing(at)

    def spooled_arrived(self, report: JobEvent | int, at: int) -> list[LostJob]:
        """One of the spooled reports has come in: what it tells, or its `seq` where it cannot be taken.

        Losses that set out now: after the last, what is owed still. Agents send again what is not acked for a while, so
        each report counts once.
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
        """Losses that set out now, none while spooled reports are to come in. A job whose end is on its way is none."""
        if self._handshake is None or self._handshake.spooled:
            return []
        missing, self._handshake.missing_jobs = self._handshake.missing_jobs, set()
        jobs = [self._running[job_id] for job_id in missing & self._running.keys()]
        return self._lose([job for job in jobs if JobEvent(job.id, "end") not in self._reports], at, UNKNOWN)

    def _lose(self, jobs: list[RunningJob], at: int, detail: str) -> list[LostJob]:
        losses = []
        for job in jobs:
            event = JobEvent(job.id, "loss")
            if event in self._reports:
                continue
            self._reports[event] = InFlightReport(lost_job=job)
            self._running.pop(job.id)
            losses.append(
                LostJob(self._host_id, job.id, job.kind, job.plan, job.schedule_id, job.started_at, at, detail)
            )
        return losses

    def _restore(self, job: RunningJob) -> None:
        """Its loss did not get to disk: it runs, and is given up anew."""
        self._running[job.id] = job
        if self._handshake is not None and job.id not in self._handshake.known:
            self._handshake.missing_jobs.add(job.id)
