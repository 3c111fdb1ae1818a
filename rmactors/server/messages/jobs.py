"""Writes about jobs and their output."""

from dataclasses import dataclass

from rmactors.common.vocabulary import JobKind
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.reports import EndReport, LostJob, StartReport


@dataclass(frozen=True, slots=True)
class SaveStart:
    """Duplicate if the start or the end is known already; Refused `foreign_job` for another host's job.
    Result: `JobStarted`."""

    report: StartReport
    schedule_id: str | None
    subject: str
    deadline_at: int
    warning: str | None


@dataclass(frozen=True, slots=True)
class JobStarted:
    """From `deadline_at` on, the job has exceeded its longest run time."""

    deadline_at: int


@dataclass(frozen=True, slots=True)
class SaveEnd:
    """Duplicate if a real end is known already (a lost one gives way); Refused `foreign_job`.

    `schedule_id` is the one that counts: None if the report names one that is not its host's.
    """

    report: EndReport
    schedule_id: str | None
    subject: str
    warning: str | None


@dataclass(frozen=True, slots=True)
class SaveLoss:
    """Expects the job to be running still."""

    loss: LostJob


@dataclass(frozen=True, slots=True)
class SaveLogLines:
    """Lines of a job's output: (line number, stream, text). Lines that are there already stay."""

    host_id: str
    job_id: str
    lines: tuple[tuple[int, str, str], ...]


@dataclass(frozen=True, slots=True)
class QueueJob:
    """A job that an operator asks for. Refused `not_found` if host or schedule is not there."""

    job_id: str
    host_id: str
    kind: JobKind
    schedule_id: str | None
    params: str
    at: int
    audit: Audit


@dataclass(frozen=True, slots=True)
class CancelJob:
    """Refused `not_found`, or `conflict` for a job that has ended. A job never sent ends here and now."""

    job_id: str
    at: int
    audit: Audit
