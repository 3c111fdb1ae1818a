"""What agents said, in the server's own terms: times in microseconds, clamped to the time of receipt."""

from msgspec import Struct

from rmactors.common.vocabulary import JobEnd, JobKind, JobReason


class StartReport(Struct, frozen=True):
    """A job began on a host. `said_start` is the start as the host said it, if that was in the future."""

    host_id: str
    job_id: str
    kind: JobKind
    plan: str | None
    schedule_id: str | None
    scheduled_for: int | None
    started_at: int
    received_at: int
    said_start: int | None = None


class EndReport(Struct, frozen=True):
    """A job ended on a host. `stats` is the agent's JSON object as text; `files_total` and `bytes_total` are what it
    says of what a backup holds, None if it does not.

    `spool_id` and `seq` say which spool it came from and at which place; without a spool, None. `warning` is what
    the agent wants an operator to see although it did not decide the outcome, `unknown_schedule` the name of a schedule
    that the run was to belong to, and that its host does not have.
    `said_start` is the start as the host said it, if that was in the future.
    """

    host_id: str
    job_id: str
    kind: JobKind
    plan: str | None
    schedule_id: str | None
    scheduled_for: int | None
    status: JobEnd
    reason: JobReason
    error: str | None
    exit_code: int | None
    started_at: int
    finished_at: int
    stats: str
    spool_id: str | None
    seq: int | None
    received_at: int
    warning: str | None = None
    unknown_schedule: str | None = None
    files_total: int | None = None
    bytes_total: int | None = None
    said_start: int | None = None


class LostJob(Struct, frozen=True):
    """A job that was running and will not be heard of again, as far as the server can tell at `at`."""

    host_id: str
    job_id: str
    kind: JobKind
    plan: str | None
    schedule_id: str | None
    started_at: int
    at: int
    detail: str


Report = StartReport | EndReport
