"""Reads of jobs and of what they wrote."""

# ruff: noqa: S608 - what is put into the SQL here are column names of dataclasses; values are always bound

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rmactors.common.vocabulary import JOB_KINDS, JobKind, JobStatus
from rmactors.server.store.database import Database
from rmactors.server.store.queries.rows import Page, columns, placeholders, read


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job. `params` and `stats` are JSON objects as text."""

    id: str
    host_id: str
    kind: JobKind
    plan: str | None
    schedule_id: str | None
    scheduled_for: int | None
    status: JobStatus
    reason: str | None
    error: str | None
    exit_code: int | None
    params: str
    stats: str
    warning: str | None
    queued_at: int | None
    started_at: int | None
    finished_at: int | None
    cancel_requested_at: int | None
    sort_at: int


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that a job wrote. Where some are missing, one with stream `gap` and no number says how many."""

    line: int | None
    stream: str
    text: str


_SELECT = f"SELECT {columns(JobRow)} FROM jobs"


def job(db: Database, job_id: str) -> JobRow | None:
    row = db.execute(f"{_SELECT} WHERE id = ?", (job_id,)).fetchone()
    return JobRow(*row) if row is not None else None


def jobs_named(db: Database, job_ids: Sequence[str]) -> list[JobRow]:
    """In this order."""
    rows = read(JobRow, db.execute(f"{_SELECT} WHERE id IN ({placeholders(job_ids)})", job_ids))
    found = {row.id: row for row in rows}
    return [found[job_id] for job_id in job_ids if job_id in found]


def jobs(
    db: Database,
    limit: int,
    after: tuple[Any, ...] | None = None,
    host_id: str | None = None,
    kind: str | None = None,
    status: str | None = None,
    schedule_id: str | None = None,
) -> Page[JobRow]:
    """Newest first, by when they were asked for or began."""
    conditions, parameters = ["(sort_at, id) < (?, ?)"], list(after or (1 << 62, ""))
    for column, value in (("host_id", host_id), ("kind", kind), ("status", status), ("schedule_id", schedule_id)):
        if value is not None:
            conditions.append(f"{column} = ?")
            parameters.append(value)
    rows = db.execute(
        f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY sort_at DESC, id DESC LIMIT ?", (*parameters, limit + 1)
    ).fetchall()
    items = read(JobRow, rows[:limit])
    return Page(items, (items[-1].sort_at, items[-1].id) if len(rows) > limit else None)


TEXT: Final = "substr(text, 1, 1000)"
"""Of a line as it is shown: older ones may be longer than any that is taken now."""
BEFORE_THE_FIRST: Final = -1
"""The number that stands before a log's first line."""


def log_lines(db: Database, job_id: str, limit: int, after: tuple[Any, ...] | None = None) -> Page[LogLine]:
    """What a job wrote, from the first line on, with a gap wherever numbers are missing."""
    (last,) = after or (BEFORE_THE_FIRST,)
    rows = db.execute(
        f"SELECT line, stream, {TEXT} FROM job_logs WHERE job_id = ? AND line > ? ORDER BY line LIMIT ?",
        (job_id, last, limit + 1),
    ).fetchall()
    lines = read(LogLine, rows)
    items = with_gaps(lines, last)
    if len(items) <= limit:
        return Page(items, None)
    shown, following = items[:limit], items[limit]
    # A page that ends with a gap is followed by one that begins with a line, and does not say it again.
    return Page(shown, (following.line - 1 if following.line is not None else shown[-1].line,))


def with_gaps(lines: list[LogLine], last: int | None) -> list[LogLine]:
    """The lines in order and, between them, how many are missing. `last` is the number of the line before the first;
    None if that is not known. A log whose first line has the number 1 is complete: an agent may count from there."""
    items: list[LogLine] = []
    if last == BEFORE_THE_FIRST and lines and lines[0].line == 1:
        last = 0
    for entry in lines:
        assert entry.line is not None
        if last is not None and entry.line > last + 1:
            items.append(LogLine(None, "gap", f"{entry.line - last - 1} lines left out"))
        items.append(entry)
        last = entry.line
    return items


def last_jobs(db: Database, host_ids: list[str]) -> dict[str, dict[str, JobRow]]:
    """For each host and kind of job, the one that ended last: one step into the index for each, however many ran."""
    found: dict[str, dict[str, JobRow]] = {host_id: {} for host_id in host_ids}
    kinds = " UNION ALL ".join(f"SELECT '{kind}' AS kind" for kind in JOB_KINDS)
    rows = db.execute(
        f"{_SELECT} WHERE id IN (SELECT (SELECT j.id FROM jobs j WHERE j.host_id = h.id AND j.kind = k.kind"
        " AND j.finished_at IS NOT NULL ORDER BY j.finished_at DESC /*pg , j.id DESC */ LIMIT 1)"
        f" FROM hosts h CROSS JOIN ({kinds}) k WHERE h.id IN ({placeholders(host_ids)})) /*pg ORDER BY id */",
        host_ids,
    )
    for row in read(JobRow, rows):
        found[row.host_id][row.kind] = row
    return found
