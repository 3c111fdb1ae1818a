"""A host's jobs under way: which run, which reports of them are on their way to disk, which are lost. Pure.

What a report says counts from its arrival on, and is taken back where it does not get to disk. Times are microseconds
and come in.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, assert_never

from rmactors.server.messages.answers import Answer, Committed, Duplicate, Failed, Refused, Stale
from rmactors.server.messages.links import Link
from rmactors.server.messages.reports import EndReport, LostJob, StartReport
from rmactors.server.state.host import RunningJob

LINES_HELD = 2_000
"""Log lines kept while the start of their job is on its way to disk; more are dropped, as lines may be."""
EARLY_CHARACTERS = 1 << 20
"""Of lines that come before anything else is known of their job, so much text is kept in memory."""
WAITERS = 100
"""Who waits for one step. Our agent is one; who is not told an ack sends again, and is told then."""
OVERDUE = "it has not ended within its longest run time"
UNKNOWN = "its agent came back and does not know of it"

Waiter = tuple[Link, int]
"""Who waits for an ack, and for which `seq`."""
Line = tuple[int, str, str]
"""Number, stream, text."""


Event = Literal["start", "end", "loss"]
EVENTS: tuple[Event, ...] = ("start", "end", "loss")


class Step(NamedTuple):
    """What befell a job; it is on its way to disk once at a time."""

    job_id: str
    event: Event


@dataclass(slots=True)
class Passage:
    """A step on its way to disk, and what waits for it: acks, and log lines of the job that began."""

    waiting: list[Waiter] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    given_up: RunningJob | None = None
    """As it ran, before it was thought to be lost."""


@dataclass(slots=True)
class _Account:
    """What the hello of an agent leaves open."""

    spooled: int
    """So many of its reports are still to come in."""
    known: frozenset[str]
    """Jobs that run as far as the agent knows."""
    owed: set[str] = field(default_factory=set)
    """Jobs that run as far as is known here alone, to be given up once the spooled reports are in."""
    came_in: set[Step | int] = field(default_factory=set)
    """Spooled reports that have come in, while others are to come: one that is sent again counts once."""


class JobsUnderWay:
    """Of one host. `longest` is how long a job may run until its own longest run time is known."""

    def __init__(self, host_id: str, running: Iterable[RunningJob], longest: int) -> None:
        self._host_id = host_id
        self._longest = longest
        self._running = {job.id: job for job in running}
        self._deadlines: list[tuple[int, str]] = []
        """A heap. Entries that are not true any more stay until they come first."""
        self._watched: set[tuple[int, str]] = set()
        for job in self._running.values():
            self._watch(job)
        self._passages: dict[Step, Passage] = {}
        self._account: _Account | None = None
        self._early: tuple[str, list[Line]] = ("", [])

    def __len__(self) -> int:
        """How many steps are on their way to disk."""
        return len(self._passages)

    def runs(self, job_id: str) -> bool:
        return job_id in self._running

    def begun(self) -> set[str]:
        """Jobs that their agent has reported as started and not as ended."""
        return self._running.keys() | {step.job_id for step in self._passages if step.event == "start"}

    # ---- reports

    def again(self, step: Step, waiter: Waiter) -> bool:
        """Whether the same is on its way already; then `waiter` waits for it too."""
        passage = self._passages.get(step)
        if passage is None:
            return False
        if len(passage.waiting) < WAITERS:
            passage.waiting.append(waiter)
        return True

    def began(self, report: StartReport, waiter: Waiter) -> None:
        """The report of a start sets out."""
        self._passages[Step(report.job_id, "start")] = Passage([waiter], self._early_lines(report.job_id))
        job = RunningJob(
            report.job_id, report.kind, report.plan, report.schedule_id, report.started_at,
            report.started_at + self._longest,
        )  # fmt: skip
        self._running.setdefault(job.id, job)

    def ended(self, report: EndReport, waiter: Waiter) -> None:
        """The report of an end sets out. The job runs until it is on disk."""
        self._passages[Step(report.job_id, "end")] = Passage([waiter], self._early_lines(report.job_id))

    def settle(self, step: Step, answer: Answer) -> Passage | None:
        """The end of a way, and what waited for it. None where nothing was on it: it set out before a restart."""
        passage = self._passages.pop(step, None)
        if passage is None:
            return None
        match answer:
            case Committed() | Duplicate():
                self._on_disk(step, answer)
            case Refused():
                if step.event == "start":
                    self._running.pop(step.job_id, None)
            case Failed() | Stale():  # as if it had never come
                if step.event == "start":
                    self._running.pop(step.job_id, None)
                if passage.given_up is not None:
                    self._restore(passage.given_up)
            case _:
                assert_never(answer)
        if step.job_id in self._running:
            self._watch(self._running[step.job_id])
        return passage

    def _watch(self, job: RunningJob) -> None:
        entry = (job.deadline_at, job.id)
        if entry not in self._watched:
            self._watched.add(entry)
            heapq.heappush(self._deadlines, entry)

    def _unwatch_first(self) -> None:
        self._watched.discard(heapq.heappop(self._deadlines))

    def _on_disk(self, step: Step, answer: Committed | Duplicate) -> None:
        job = self._running.get(step.job_id)
        if step.event == "end":
            self._running.pop(step.job_id, None)
        elif step.event == "start" and isinstance(answer, Committed) and job is not None:
            deadline = next(value for value in answer.values if isinstance(value, int))
            self._running[step.job_id] = replace(job, deadline_at=deadline)

    def keep_if_among(self, job_id: str, running: Iterable[RunningJob]) -> None:
        """`running` are the jobs that run as far as is on disk: one that was known there already may have ended."""
        if all(job.id != job_id for job in running):
            self._running.pop(job_id, None)

    def hold(self, job_id: str, lines: list[Line]) -> bool:
        """Keep log lines until what tells of their job is on disk. False where they may be written down at once.

        Of a job that nothing was heard of, they may come before its start or end, as from `exec`: the newest such lines
        are written down at once, for a job that is on disk after all, and kept for a report that follows.
        """
        telling = self._passages.get(Step(job_id, "start"))
        if telling is None and not self.runs(job_id):
            telling = self._passages.get(Step(job_id, "end"))
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
        return None if self._is_owed_reports() or self._first() is None else self._deadlines[0][0]

    def give_up_overdue(self, at: int) -> list[LostJob]:
        """Losses that set out now: of jobs that have run for too long."""
        overdue: list[RunningJob] = []
        while not self._is_owed_reports() and (job := self._first()) is not None and job.deadline_at <= at:
            self._unwatch_first()
            overdue.append(job)
        return self._give_up(overdue, at, OVERDUE)

    def _is_owed_reports(self) -> bool:
        """What was spooled for days tells of old starts, and their ends are right behind."""
        return self._account is not None and self._account.spooled > 0

    def _first(self) -> RunningJob | None:
        """The job with the first deadline of those of which no report is on its way: one whose report is, comes back
        here when that has arrived. Costs the same with ten jobs and with ten thousand."""
        while self._deadlines:
            deadline, job_id = self._deadlines[0]
            job = self._running.get(job_id)
            if job is not None and job.deadline_at == deadline and not self._moves(job_id):
                return job
            self._unwatch_first()
        return None

    def _moves(self, job_id: str) -> bool:
        return any(Step(job_id, event) in self._passages for event in EVENTS)

    # ---- jobs that their agent does not know

    def agent_came(self, spooled: int, known: Iterable[str]) -> None:
        """An agent says hello: so many spooled reports follow, and these jobs run. It owes nothing yet."""
        self._account = _Account(spooled, frozenset(known))

    def agent_left(self) -> None:
        self._account = None

    def reckon(self, at: int) -> list[LostJob]:
        """Losses that set out now. From here on the agent owes what it does not know."""
        assert self._account is not None
        self._account.owed = self._running.keys() - self._account.known
        return self.give_up_owed(at)

    def spooled_came_in(self, report: Step | int, at: int) -> list[LostJob]:
        """One of the spooled reports has come in: what it tells, or its `seq` where it cannot be taken.

        Losses that set out now: after the last, what is owed still. Agents send again what is not acked for a while, so
        each report counts once.
        """
        account = self._account
        if account is None or not account.spooled or report in account.came_in:
            return []
        account.came_in.add(report)
        account.spooled -= 1
        if not account.spooled:
            account.came_in.clear()
        return self.give_up_owed(at)

    def give_up_owed(self, at: int) -> list[LostJob]:
        """Losses that set out now, none while spooled reports are to come in. A job whose end is on its way is none."""
        if self._account is None or self._account.spooled:
            return []
        owed, self._account.owed = self._account.owed, set()
        jobs = [self._running[job_id] for job_id in owed & self._running.keys()]
        return self._give_up([job for job in jobs if Step(job.id, "end") not in self._passages], at, UNKNOWN)

    def _give_up(self, jobs: list[RunningJob], at: int, detail: str) -> list[LostJob]:
        losses = []
        for job in jobs:
            step = Step(job.id, "loss")
            if step in self._passages:
                continue
            self._passages[step] = Passage(given_up=job)
            self._running.pop(job.id)
            losses.append(
                LostJob(self._host_id, job.id, job.kind, job.plan, job.schedule_id, job.started_at, at, detail)
            )
        return losses

    def _restore(self, job: RunningJob) -> None:
        """Its loss did not get to disk: it runs, and is given up anew."""
        self._running[job.id] = job
        if self._account is not None and job.id not in self._account.known:
            self._account.owed.add(job.id)
