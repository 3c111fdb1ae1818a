"""Jobs and their logs, as the API shows them."""

from typing import Literal

from msgspec import Struct

from rmactors.common.vocabulary import (
    JobKind,
    JobStatus,
)
from rmactors.server.store.queries.jobs import JobRow
from rmactors.server.store.queries.jobs import LogLine as LogLineRow
from rmactors.server.web.api.shapes.rows import JsonObject, json_object, shaped
from rmactors.server.web.fields import Time
from rmactors.server.web.what_was_sent import first_statistics, statistics


class Job(Struct):
    id: str
    host_id: str
    kind: JobKind
    plan: str | None
    schedule_id: str | None
    scheduled_for: Time | None
    status: JobStatus
    reason: str | None
    error: str | None
    exit_code: int | None
    warning: str | None
    queued_at: Time | None
    started_at: Time | None
    finished_at: Time | None
    cancel_requested_at: Time | None
    params: JsonObject
    stats: JsonObject


class LogLine(Struct):
    line: int | None
    stream: Literal["stdout", "stderr", "gap"]
    text: str


def job(row: JobRow) -> Job:
    return shaped(Job, row, params=json_object(row.params), stats=statistics(row.stats))


def listed_job(row: JobRow) -> Job:
    """Of long statistics, the first."""
    return shaped(Job, row, params=json_object(row.params), stats=first_statistics(row.stats))


def log_line(row: LogLineRow) -> LogLine:
    return shaped(LogLine, row)
