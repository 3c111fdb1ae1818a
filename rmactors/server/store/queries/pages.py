"""Reads that only pages need: counts for the shell, what the dashboard says, strips, what a job grew to."""

# ruff: noqa: S608 - what is put into the SQL here are column names of dataclasses and marks; values are always bound

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rmactors.common.vocabulary import ALERTS, JobKind, JobStatus, ScheduleMode
from rmactors.server.calendars.when import When
from rmactors.server.store.database import Database
from rmactors.server.store.queries import host_lists, jobs
from rmactors.server.store.queries.accounts import CodeAlarm, code_alarms
from rmactors.server.store.queries.channels import Glance, glance
from rmactors.server.store.queries.host_lists import EVERY_HOST, HostFilter, HostSort, Selected
from rmactors.server.store.queries.hosts import HostRow
from rmactors.server.store.queries.jobs import JobRow
from rmactors.server.store.queries.rows import columns, placeholders, read, tuples
from rmactors.server.store.queries.schedules import counted_from

_CRITICAL_KINDS = [kind for kind, traits in ALERTS.items() if traits.severity == "critical"]


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

    `runs` is one text, `0succeeded,1succeeded,2failed`: the day, counted from 0, and the status. So what a fleet has
    in common is equal, and a page of five hundred hosts reads few rows.
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


class ListedHost(NamedTuple):
    """As much of a host as a list shows. `tags` is a JSON list as text."""

    id: str
    name: str
    tags: str
    first_hello_at: int | None
    first_report_at: int | None
    last_seen_at: int | None
    last_backup_at: int = 0


class ListedSchedule(NamedTuple):
    """As much of a schedule as a strip and the next run need."""

    id: str
    host_id: str
    name: str
    kind: JobKind
    cron: str | None
    on_calendar: str | None
    every_hours: float | None
    timezone: str
    enabled: int
    mode: ScheduleMode
    created_at: int
    anchor_at: int
    last_run_at: int | None
    last_good_at: int | None

    @property
    def when(self) -> When:
        return When(self.cron, self.on_calendar, self.every_hours, self.timezone)

    @property
    def counted_from(self) -> int:
        return counted_from(self.mode, self.created_at, self.last_run_at, self.last_good_at)


class ListedJob(NamedTuple):
    """How a host's newest backup ended. `stats` is the agent's JSON object as text."""

    status: JobStatus
    reason: str | None
    stats: str
    started_at: int | None
    finished_at: int | None


class ListedView(NamedTuple):
    """A host in a list. `last_jobs` has its newest ended backup, if there is one.

    These four are as narrow and as cheap to make as can be: five hundred of each are read for one page.
    """

    host: ListedHost
    schedules: list[ListedSchedule]
    last_jobs: dict[str, ListedJob]


@dataclass(frozen=True, slots=True)
class Fleet:
    """What the dashboard and the list of hosts are made from. `running` has at most one job for each host; `alerts` are
    of all hosts. `matching` is how many hosts the filter finds. Grouped by tag, `places` has (tag, host) of each row,
    and `tags` how many rows each tag has."""

    hosts: list[ListedView]
    host_count: int
    backed_up: int
    alerts: list[AlertCount]
    running: dict[str, JobRow]
    runs: list[SubjectRuns]
    matching: int = 0
    places: list[tuple[str, str]] = field(default_factory=list)
    tags: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HostsWanted:
    """Which hosts, in which order, and how many of them past how many. A host is online if it was heard from since
    `heard_since`."""

    heard_since: int
    limit: int
    wanted: HostFilter = EVERY_HOST
    sort: HostSort = "name"
    skip: int = 0
    by_tag: bool = False


@dataclass(frozen=True, slots=True)
class SizePoint:
    """How much one successful run held. `stats` is the agent's JSON object as text."""

    at: int
    stats: str


def open_alerts(db: Database) -> OpenAlerts:
    """Both from an index."""
    row = db.execute(
        "SELECT (SELECT count(*) FROM alerts WHERE resolved = 0 AND acknowledged_at IS NULL),"
        " (SELECT count(*) FROM alerts WHERE resolved_at IS NULL AND acknowledged_at IS NULL"
        f" AND kind IN ({placeholders(_CRITICAL_KINDS)}))",
        _CRITICAL_KINDS,
    ).fetchone()
    return OpenAlerts(*row)


def around_a_page(db: Database, since: int) -> tuple[OpenAlerts, list[CodeAlarm], Glance]:
    """What stands on every page: open alerts, whose second factor was tried often since then, and how channels do."""
    return open_alerts(db), code_alarms(db, since), glance(db)


def alert_counts(db: Database) -> list[AlertCount]:
    """Of each host and kind."""
    rows = db.execute(
        "SELECT host_id, kind, count(*) FROM alerts INDEXED BY alerts_open_of_hosts"
        " WHERE resolved = 0 AND acknowledged_at IS NULL GROUP BY host_id, kind ORDER BY host_id, kind"
    )
    return read(AlertCount, rows)


def host_count(db: Database) -> int:
    counted = db.execute("SELECT count(*) FROM hosts INDEXED BY hosts_by_good_backup WHERE deleted_at IS NULL")
    found: int = counted.fetchone()[0]
    return found


def host_names(db: Database, limit: int = 1000) -> list[tuple[str, str]]:
    """(id, name), by name."""
    rows = db.execute("SELECT id, name FROM hosts WHERE deleted_at IS NULL ORDER BY name_key LIMIT ?", (limit,))
    return [(row[0], row[1]) for row in rows]


def names_like(db: Database, q: str, limit: int) -> list[str]:
    """Names of hosts that have this in them, by name; those that begin with it first."""
    pattern = host_lists.literal(q.casefold())
    rows = db.execute(
        "SELECT name FROM hosts WHERE deleted_at IS NULL AND name_key LIKE ? ESCAPE '\\'"
        " ORDER BY name_key NOT LIKE ? ESCAPE '\\', name_key LIMIT ?",
        (pattern, pattern[1:], limit),
    )
    return [row[0] for row in rows]


def names_of(db: Database, host_ids: Sequence[str]) -> dict[str, str]:
    """Names of hosts, also of deleted ones."""
    return {
        row[0]: row[1]
        for some in host_lists.batched(host_ids)
        for row in db.execute(f"SELECT id, name FROM hosts WHERE id IN ({placeholders(some)})", some)
    }


def schedule_names(db: Database, schedule_ids: Sequence[str]) -> dict[str, str]:
    """Names of schedules, also of deleted ones."""
    return {
        row[0]: row[1]
        for some in host_lists.batched(schedule_ids)
        for row in db.execute(f"SELECT id, name FROM schedules WHERE id IN ({placeholders(some)})", some)
    }


def fleet(db: Database, days: Sequence[Days], now_less_a_day: int, hosts: HostsWanted) -> Fleet:
    """Some hosts with what a list shows of each, and the counts above it."""
    places: list[tuple[str, str]] = []
    tags: dict[str, int] = {}
    if hosts.by_tag:
        places, selected, tags = host_lists.grouped(db, hosts.wanted, hosts.heard_since, hosts.limit, hosts.skip)
    else:
        selected = host_lists.select(
            db, hosts.wanted, hosts.sort, hosts.heard_since, hosts.limit, skip=hosts.skip
        )  # fmt: skip
    return _fleet(db, days, now_less_a_day, selected, places, tags)


def _fleet(
    db: Database,
    days: Sequence[Days],
    now_less_a_day: int,
    selected: Selected,
    places: list[tuple[str, str]],
    tags: dict[str, int],
) -> Fleet:
    ids = selected.ids
    views = {view.host.id: view for view in _listed(db, ids)}
    theirs = {own.id: own.host_id for view in views.values() for own in view.schedules}
    return Fleet(
        hosts=[views[host_id] for host_id in ids if host_id in views],
        host_count=host_count(db),
        backed_up=backed_up_since(db, now_less_a_day),
        alerts=alert_counts(db),
        running=running_jobs(db, ids),
        runs=runs_by_day(db, days, ids, theirs),
        matching=selected.matching,
        places=places,
        tags=tags,
    )


def backed_up_since(db: Database, since: int) -> int:
    """How many hosts have a backup that ended well, or in part, since then: from an index."""
    found: int = db.execute(
        "SELECT count(*) FROM hosts WHERE deleted_at IS NULL AND last_good_backup_at > ?", (since,)
    ).fetchone()[0]
    return found


def running_jobs(db: Database, host_ids: Sequence[str]) -> dict[str, JobRow]:
    """For each host, the job that it runs, the one that began last if there are several."""
    if not host_ids:  # an index cannot be told to be used for nothing
        return {}
    unfinished = (
        f"SELECT {columns(JobRow)} FROM jobs INDEXED BY jobs_unfinished WHERE status IN ('queued', 'running')"
        f" AND host_id IN ({placeholders(host_ids)})"
    )
    found = [job for job in read(JobRow, db.execute(unfinished, list(host_ids))) if job.status == "running"]
    return {job.host_id: job for job in sorted(found, key=lambda job: job.sort_at)}


def runs_by_day(
    db: Database, days: Sequence[Days], host_ids: Sequence[str], schedules: Mapping[str, str]
) -> list[SubjectRuns]:
    """What ran on each day: of these schedules (id → host), and of the plans these hosts back up without one.

    Each from an index that has all of it, in the order of which a group's runs are put together.
    """
    scheduled = f"schedule_id IN ({placeholders(schedules)})"
    loose = (
        f"schedule_id IS NULL AND kind = 'backup' AND host_id IN ({placeholders(host_ids)})"
        " AND status IN ('succeeded', 'partial', 'failed', 'running')"
    )
    found: dict[tuple[str, str], list[str]] = {}
    for span in days:
        for index, group, which, ids in (
            ("jobs_by_schedule", "schedule_id", scheduled, tuple(schedules)),
            ("jobs_loose", "host_id, subject", loose, host_ids),
        ):
            if not ids:  # an index cannot be told to be used for nothing
                continue
            rows = db.execute(
                f"SELECT {group}, group_concat((? + (sort_at - ?) / ?) || status /*pg ORDER BY sort_at, id */)"
                f" FROM jobs INDEXED BY {index}"
                f" WHERE {which} AND sort_at >= ? AND sort_at < ? GROUP BY {group} /*pg ORDER BY {group} */",
                (span.first, span.start, span.length, *ids, span.start, span.end),
            )
            for owner, *subject, runs in rows:
                key = (owner, subject[0]) if subject else (schedules[owner], owner)
                found.setdefault(key, []).append(runs)
    return [SubjectRuns(*key, ",".join(runs)) for key, runs in found.items()]


def sizes(db: Database, host_id: str, kind: str, subject: str, limit: int = 60) -> list[SizePoint]:
    """Statistics of the newest good runs of a subject, oldest first."""
    rows = db.execute(
        "SELECT finished_at, stats FROM jobs WHERE host_id = ? AND kind = ? AND finished_at IS NOT NULL AND subject = ?"
        " AND status IN ('succeeded', 'partial') ORDER BY finished_at DESC /*pg , id DESC */ LIMIT ?",
        (host_id, kind, subject, limit),
    )
    return read(SizePoint, rows.fetchall()[::-1])


def tail(db: Database, job_id: str, lines: int, most: int) -> tuple[list[jobs.LogLine], bool]:
    """The last lines of a job's output, as many as fit into `most` bytes, and whether there are more before them."""
    found: list[jobs.LogLine] = []
    cut = False
    for line, stream, text in db.execute(
        f"SELECT line, stream, {jobs.TEXT} FROM job_logs WHERE job_id = ? ORDER BY line DESC LIMIT ?",
        (job_id, lines + 1),
    ):
        most -= len(text.encode()) + 1
        if len(found) == lines or most < 0:
            cut = True
            break
        found.append(jobs.LogLine(line, stream, text))
    return jobs.with_gaps(found[::-1], None if cut else jobs.BEFORE_THE_FIRST), cut


def subject_of(db: Database, job_id: str) -> str:
    """What a job is about, as alerts name it; empty if there is no such job."""
    row = db.execute("SELECT subject FROM jobs WHERE id = ?", (job_id,)).fetchone()
    return row[0] if row is not None else ""


def tags_in_use(db: Database) -> list[str]:
    """For choosing, by name."""
    return [count.tag for count in host_lists.tag_counts(db)]


def _listed(db: Database, host_ids: Sequence[str]) -> list[ListedView]:
    """Hosts with their schedules and their newest backup alone."""
    marks, bound = placeholders(host_ids), list(host_ids)
    theirs: dict[str, list[ListedSchedule]] = {host_id: [] for host_id in host_ids}
    for schedule in read(
        ListedSchedule,
        db.execute(
            f"SELECT {columns(ListedSchedule)} FROM schedules WHERE host_id IN ({marks}) AND deleted_at IS NULL"
            " ORDER BY created_at, id",
            bound,
        ),
    ):
        theirs[schedule.host_id].append(schedule)
    rows = db.execute(
        f"SELECT {columns(ListedHost, 'h')}, {columns(ListedJob, 'j')} FROM hosts h LEFT JOIN jobs j ON j.id ="
        " (SELECT id FROM jobs WHERE host_id = h.id AND kind = 'backup' AND finished_at IS NOT NULL"
        f" ORDER BY finished_at DESC /*pg , id DESC */ LIMIT 1) WHERE h.id IN ({marks})",
        bound,
    )
    rows = tuples(rows)
    width = len(ListedHost._fields)
    return [
        ListedView(
            ListedHost._make(row[:width]),
            theirs[row[0]],
            {"backup": ListedJob._make(row[width:])} if row[width] is not None else {},
        )
        for row in rows
    ]


def enrolled_since(db: Database, at: int) -> list[HostRow]:
    """Hosts that came since then, newest first."""
    rows = db.execute(
        f"SELECT {columns(HostRow)} FROM hosts WHERE deleted_at IS NULL AND enrolled_at >= ?"
        " ORDER BY enrolled_at DESC /*pg , id */ LIMIT 20",
        (at,),
    )
    return read(HostRow, rows)


def open_of_host(db: Database, host_id: str) -> int:
    """How many of a host's alerts are neither resolved nor acknowledged."""
    found: int = db.execute(
        "SELECT count(*) FROM alerts WHERE host_id = ? AND resolved = 0 AND acknowledged_at IS NULL", (host_id,)
    ).fetchone()[0]
    return found
