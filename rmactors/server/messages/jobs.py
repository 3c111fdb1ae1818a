"""Writes about jobs and their output."""

from msgspec import Struct

from rmactors.common.vocabulary import JobKind
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.reports import EndReport, LostJob, StartReport


class SaveStart(Struct, frozen=True):
    """Duplicate if the start or the end is known already; Refused `foreign_job` for another host's job.
    Result: `JobStarted`."""

    report: StartReport
    schedule_id: str | None
    subject: str
    deadline_at: int
    warning: str | None


class JobStarted(Struct, frozen=True):
    """From `deadline_at` on, the job has exceeded its longest run time."""

    deadline_at: int


class SaveEnd(Struct, frozen=True):
    """Duplicate if a real end is known already (a lost one gives way); Refused `foreign_job`.

    `schedule_id` is the one that counts: None if the report names one that is not its host's.
    """

    report: EndReport
    schedule_id: str | None
    subject: str
    warning: str | None


class SaveLoss(Struct, frozen=True):
    """Expects the job to be running still."""

    loss: LostJob


class SaveLogLines(Struct, frozen=True):
    """Lines of a job's output: (line number, stream, text). Lines that are there already stay."""

    host_id: str
    job_id: str
    lines: tuple[tuple[int, str, str], ...]


class QueueJob(Struct, frozen=True):
    """A job that an operator asks for. Refused `not_found` if host or schedule is not there."""

    job_id: str
    host_id: str
    kind: JobKind
    schedule_id: str | None
    params: str
    at: int
    audit: Audit


class CancelJob(Struct, frozen=True):
    """Refused `not_found`, or `conflict` for a job that has ended. A job never sent ends here and now."""

    job_id: str
    at: int
    audit: Audit
