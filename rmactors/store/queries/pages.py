"""Reads that only pages need: counts for the shell, what the dashboard says, strips, what a job grew to."""

# ruff: noqa: S608 - what is put into the SQL here are column names of dataclasses and marks; values are always bound

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from rmactors.store.queries import jobs
from rmactors.store.queries.hosts import HostRow, HostView
from rmactors.store.queries.jobs import JobRow
from rmactors.store.queries.rows import columns, placeholders, read
from rmactors.store.queries.schedules import ScheduleRow
from rmactors.vocabulary import SEVERITY_OF

_CRITICAL_KINDS = [kind for kind, severity in SEVERITY_OF.items() if severity == "critical"]


@dataclass(frozen=True, slots=True)
class OpenAlerts:
    """How many alerts are neither resolved nor acknowledged, and how many of them are critical."""

    open: int
    critical: int


@dataclass(frozen=True, slots=True)
class AlertCount:
    """Alerts of one host and kind that are neither resolved nor acknowledged."""

    host_id: str
    kind: str
    many: int


@dataclass(frozen=True, slots=True)
class SubjectRuns:
    """The runs of one subject (a schedule's id, `plan:<name>` or empty), oldest first.

    `runs` is one text, `0s,1s,2f`: the day, counted from 0, and the first letter of `succeeded`, `partial`, `failed`
    or `running`. So what a fleet has in common is equal, and a page of five hundred hosts reads few rows.
    """

    host_id: str
    subject: str
    runs: str


@dataclass(frozen=True, slots=True)
class Days:
    """Days of equal length: the first has this number; times in microseconds."""

    first: int
    start: int
    end: int
    length: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """What the dashboard and the list of hosts are made from. `running` has at most one job for each host."""

    hosts: list[HostView]
    host_count: int
    backed_up: int
    alerts: list[AlertCount]
    running: dict[str, JobRow]
    runs: list[SubjectRuns]


@dataclass(frozen=True, slots=True)
class SizePoint:
    """How much one successful run held. `stats` is the agent's JSON object as text."""

    at: int
    stats: str


def open_alerts(db: sqlite3.Connection) -> OpenAlerts:
    """Both from an index."""
    row = db.execute(
        "SELECT (SELECT count(*) FROM alerts WHERE resolved = 0 AND acknowledged_at IS NULL),"
        " (SELECT count(*) FROM alerts WHERE resolved_at IS NULL AND acknowledged_at IS NULL"
        f" AND kind IN ({placeholders(_CRITICAL_KINDS)}))",
        _CRITICAL_KINDS,
    ).fetchone()
    return OpenAlerts(*row)


def alert_counts(db: sqlite3.Connection) -> list[AlertCount]:
    """Of each host and kind."""
    rows = db.execute(
        "SELECT host_id, kind, count(*) FROM alerts WHERE resolved = 0 AND acknowledged_at IS NULL"
        " GROUP BY host_id, kind"
    )
    return read(AlertCount, rows)


def host_count(db: sqlite3.Connection) -> int:
    found: int = db.execute("SELECT count(*) FROM hosts WHERE deleted_at IS NULL").fetchone()[0]
    return found


def host_names(db: sqlite3.Connection, limit: int = 1000) -> list[tuple[str, str]]:
    """(id, name), by name."""
    rows = db.execute("SELECT id, name FROM hosts WHERE deleted_at IS NULL ORDER BY name_key LIMIT ?", (limit,))
    return [(row[0], row[1]) for row in rows]


def names_of(db: sqlite3.Connection, host_ids: Sequence[str]) -> dict[str, str]:
    """Names of hosts, also of deleted ones."""
    rows = db.execute(f"SELECT id, name FROM hosts WHERE id IN ({placeholders(host_ids)})", list(host_ids))
    return {row[0]: row[1] for row in rows}


def schedule_names(db: sqlite3.Connection, schedule_ids: Sequence[str]) -> dict[str, str]:
    """Names of schedules, also of deleted ones."""
    rows = db.execute(f"SELECT id, name FROM schedules WHERE id IN ({placeholders(schedule_ids)})", list(schedule_ids))
    return {row[0]: row[1] for row in rows}


def fleet(db: sqlite3.Connection, days: Sequence[Days], now_less_a_day: int, limit: int, q: str = "") -> Fleet:
    """At most `limit` hosts by name, those with open alerts first; `q` is a part of their name or of a tag."""
    counts = alert_counts(db)
    troubled = sorted({count.host_id for count in counts})
    literal = q.casefold().replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    where, parameters = "deleted_at IS NULL", []
    if q:
        where += " AND (name_key LIKE ? ESCAPE '\\' OR lower(tags) LIKE ? ESCAPE '\\')"
        parameters = [f"%{literal}%", f"%{literal}%"]
    ids = [row[0] for row in db.execute(f"SELECT id FROM hosts WHERE {where} ORDER BY name_key, id", parameters)]
    among = set(troubled)
    wanted = sorted(ids, key=lambda host_id: host_id not in among)[:limit]  # stable: by name within
    views = {view.host.id: view for view in _views_of_backups(db, wanted)}
    return Fleet(
        hosts=[views[host_id] for host_id in wanted if host_id in views],
        host_count=len(ids) if not q else host_count(db),
        backed_up=backed_up_since(db, now_less_a_day),
        alerts=counts,
        running=running_jobs(db, wanted),
        runs=runs_by_day(db, days, wanted, backups_only=True),
    )


def backed_up_since(db: sqlite3.Connection, since: int) -> int:
    """How many hosts have a backup that ended well, or in part, since then."""
    found: int = db.execute(
        "SELECT count(*) FROM hosts h WHERE h.deleted_at IS NULL AND EXISTS (SELECT 1 FROM jobs j"
        " WHERE j.host_id = h.id AND j.kind = 'backup' AND j.finished_at > ? AND j.status IN ('succeeded', 'partial'))",
        (since,),
    ).fetchone()[0]
    return found


def running_jobs(db: sqlite3.Connection, host_ids: Sequence[str]) -> dict[str, JobRow]:
    """For each host, the job that it runs, the one that began last where there are several."""
    rows = db.execute(
        f"SELECT {columns(JobRow)} FROM jobs WHERE status = 'running' AND host_id IN ({placeholders(host_ids)})"
        " ORDER BY sort_at",
        list(host_ids),
    )
    return {row.host_id: row for row in read(JobRow, rows)}


def runs_by_day(
    db: sqlite3.Connection, days: Sequence[Days], host_ids: Sequence[str], *, backups_only: bool = False
) -> list[SubjectRuns]:
    """What ran on each day: of every schedule of these hosts, and of the plans that are backed up without one."""
    only = " AND kind = 'backup'" if backups_only else ""
    scheduled = (
        "schedule_id IN (SELECT id FROM schedules WHERE deleted_at IS NULL"
        f" AND host_id IN ({placeholders(host_ids)}){only})"
    )
    loose = f"schedule_id IS NULL AND kind = 'backup' AND host_id IN ({placeholders(host_ids)})"
    found: dict[tuple[str, str], list[str]] = {}
    for span in days:
        for which, order in ((scheduled, "schedule_id, sort_at"), (loose, "host_id, subject, sort_at")):
            rows = db.execute(
                "SELECT host_id, subject, group_concat(run) FROM (SELECT host_id, subject, schedule_id,"
                f" (? + (sort_at - ?) / ?) || substr(status, 1, 1) AS run FROM jobs WHERE {which}"
                " AND sort_at >= ? AND sort_at < ? AND status IN ('succeeded', 'partial', 'failed', 'running')"
                f" ORDER BY {order}) AS ran GROUP BY {order.removesuffix(', sort_at')}",
                (span.first, span.start, span.length, *host_ids, span.start, span.end),
            )
            for host_id, subject, runs in rows:
                found.setdefault((host_id, subject), []).append(runs)
    return [SubjectRuns(*key, ",".join(runs)) for key, runs in found.items()]


def sizes(db: sqlite3.Connection, host_id: str, kind: str, subject: str, limit: int = 60) -> list[SizePoint]:
    """Statistics of the newest good runs of a subject, oldest first."""
    rows = db.execute(
        "SELECT finished_at, stats FROM jobs WHERE host_id = ? AND kind = ? AND finished_at IS NOT NULL AND subject = ?"
        " AND status IN ('succeeded', 'partial') ORDER BY finished_at DESC LIMIT ?",
        (host_id, kind, subject, limit),
    )
    return read(SizePoint, rows.fetchall()[::-1])


def tail(db: sqlite3.Connection, job_id: str, lines: int) -> tuple[list[jobs.LogLine], bool]:
    """The last lines of a job's output, and whether there are more before them."""
    rows = db.execute(
        "SELECT line, stream, text FROM job_logs WHERE job_id = ? ORDER BY line DESC LIMIT ?", (job_id, lines + 1)
    ).fetchall()
    return read(jobs.LogLine, rows[:lines][::-1]), len(rows) > lines


def subject_of(db: sqlite3.Connection, job_id: str) -> str:
    """What a job is about, as alerts name it; empty where there is no such job."""
    row = db.execute("SELECT subject FROM jobs WHERE id = ?", (job_id,)).fetchone()
    return row[0] if row is not None else ""


def tags_in_use(db: sqlite3.Connection) -> list[str]:
    """For choosing, by name."""
    rows = db.execute("SELECT tags FROM hosts WHERE deleted_at IS NULL AND tags <> '[]'")
    return sorted({tag for row in rows for tag in json.loads(row[0])})


def _views_of_backups(db: sqlite3.Connection, host_ids: Sequence[str]) -> list[HostView]:
    """Hosts with their schedules (without the outcome of each) and their newest backup alone."""
    among = f"host_id IN ({placeholders(host_ids)})"
    theirs: dict[str, list[ScheduleRow]] = {host_id: [] for host_id in host_ids}
    selected = columns(ScheduleRow).replace("last_outcome", "NULL")
    for schedule in read(
        ScheduleRow,
        db.execute(
            f"SELECT {selected} FROM schedules WHERE {among} AND deleted_at IS NULL ORDER BY created_at, id",
            list(host_ids),
        ),
    ):
        theirs[schedule.host_id].append(schedule)
    newest = {
        job.host_id: job
        for job in read(
            JobRow,
            db.execute(
                f"SELECT {columns(JobRow, 'j')} FROM hosts h JOIN jobs j ON j.id = (SELECT id FROM jobs"
                " WHERE host_id = h.id AND kind = 'backup' AND finished_at IS NOT NULL"
                " ORDER BY finished_at DESC LIMIT 1)"
                f" WHERE h.id IN ({placeholders(host_ids)})",
                list(host_ids),
            ),
        )
    }
    rows = read(
        HostRow,
        db.execute(f"SELECT {columns(HostRow)} FROM hosts WHERE id IN ({placeholders(host_ids)})", list(host_ids)),
    )
    return [HostView(row, theirs[row.id], {"backup": newest[row.id]} if row.id in newest else {}) for row in rows]


def enrolled_since(db: sqlite3.Connection, at: int) -> list[HostRow]:
    """Hosts that came since then, newest first."""
    rows = db.execute(
        f"SELECT {columns(HostRow)} FROM hosts WHERE deleted_at IS NULL AND enrolled_at >= ? ORDER BY enrolled_at DESC"
        " LIMIT 20",
        (at,),
    )
    return read(HostRow, rows)


def open_of_host(db: sqlite3.Connection, host_id: str) -> int:
    """How many of a host's alerts are neither resolved nor acknowledged."""
    found: int = db.execute(
        "SELECT count(*) FROM alerts WHERE host_id = ? AND resolved = 0 AND acknowledged_at IS NULL", (host_id,)
    ).fetchone()[0]
    return found
