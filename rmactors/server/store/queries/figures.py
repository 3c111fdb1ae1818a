"""What `/metrics` and `rmactors doctor` read of the database. All on one snapshot; nothing here scans a long table."""

import sqlite3
from dataclasses import dataclass
from typing import Any, TypeAlias

from rmactors.server.store.database import Database
from rmactors.server.store.queries.repositories import repository_views
from rmactors.server.store.queries.rows import tuples
from rmactors.server.store.queries.waiting import waiting

SERIES = 5_000
"""Schedules, and hosts, whose last success is shown. A larger fleet's others are counted, not named."""


@dataclass(frozen=True, slots=True)
class Queued:
    """One channel's queue. `oldest_at` is when its oldest message was made, None if it is empty, or kept while the
    channel is off. `held_until`: the receiver wants quiet until then, which may be over."""

    channel: str
    kind: str
    waiting: int
    oldest_at: int | None
    dead: int
    failing: bool
    held_until: int | None = None


GoodRun: TypeAlias = tuple[str, str, str, int]
"""The newest good end, of a schedule or (with an empty name of the schedule) of any job of this kind on the host: names
of host and schedule, kind of job, time in microseconds. A plain tuple: there are ten thousand."""


@dataclass(frozen=True, slots=True)
class RepositoryFigures:
    """One repository: restic's id of it, what the first of its hosts calls it, and what is known. Times in
    microseconds."""

    id: str
    name: str
    size_bytes: int | None
    snapshots: int | None
    last_check_at: int | None


@dataclass(frozen=True, slots=True)
class Figures:
    """`open_alerts` maps (severity, `open` or `acknowledged`) to how many; times in microseconds, sizes in bytes."""

    hosts: int
    open_alerts: dict[tuple[str, str], int]
    queues: list[Queued]
    oldest_due_at: int | None
    good_runs: list[GoodRun]
    size: int
    free: int
    repositories: list[RepositoryFigures]


def figures(db: Database, at: int, series: int = SERIES) -> Figures:
    """Everything as of `at`, at most `series` good runs of schedules and as many of hosts."""
    alerts = {
        (severity, "acknowledged" if acknowledged else "open"): number
        for severity, acknowledged, number in db.execute(
            "SELECT severity, acknowledged_at IS NOT NULL, count(*) FROM alerts WHERE resolved = 0 GROUP BY 1, 2"
        )
    }
    (hosts,) = db.execute("SELECT count(*) FROM hosts WHERE deleted_at IS NULL").fetchone()
    size, free = space(db)
    return Figures(
        hosts=hosts,
        open_alerts=alerts,
        queues=queues(db, at),
        oldest_due_at=oldest_unsent(db, at),
        good_runs=_good_runs(db, series),
        size=size,
        free=free,
        repositories=_repositories(db)[:series],
    )


_OF_SCHEDULES = (
    " FROM schedules JOIN tracks ON tracks.host_id = schedules.host_id AND tracks.kind = schedules.kind || '_failed'"
    " AND tracks.subject = schedules.id WHERE schedules.deleted_at IS NULL AND tracks.last_good_at IS NOT NULL"
)
"""What an outcome is decided by knows when a schedule ended well last: one row of it, by its key."""
_OF_HOSTS = (
    " FROM tracks WHERE last_good_at IS NOT NULL AND kind LIKE '%\\_failed' ESCAPE '\\' GROUP BY host_id, kind"
    " HAVING EXISTS (SELECT 1 FROM hosts WHERE hosts.id = tracks.host_id AND hosts.deleted_at IS NULL)"
)


def _good_runs(db: Database, most: int) -> list[GoodRun]:
    """At most so many of schedules, and so many of hosts."""
    of_schedules: list[GoodRun] = tuples(
        db.execute(
            "SELECT (SELECT name FROM hosts WHERE hosts.id = schedules.host_id), schedules.name, schedules.kind,"  # noqa: S608
            f" tracks.last_good_at{_OF_SCHEDULES} ORDER BY schedules.id LIMIT ?",
            (most,),
        )
    ).fetchall()
    of_hosts: list[GoodRun] = tuples(
        db.execute(
            "SELECT (SELECT name FROM hosts WHERE hosts.id = tracks.host_id), '', replace(kind, '_failed', ''),"  # noqa: S608
            f" max(last_good_at){_OF_HOSTS} ORDER BY host_id, kind LIMIT ?",
            (most,),
        )
    ).fetchall()
    return of_schedules + of_hosts


def left_off(db: Database, series: int = SERIES) -> int:
    """How many good runs `figures` leaves out. Looks at each schedule and host: tens of milliseconds in a large fleet,
    in which Python does other things."""
    schedules: int = db.execute(f"SELECT count(*){_OF_SCHEDULES}").fetchone()[0]
    hosts: int = db.execute(f"SELECT count(*) FROM (SELECT 1{_OF_HOSTS}) AS found").fetchone()[0]  # noqa: S608
    return max(0, schedules - series) + max(0, hosts - series)


def _repositories(db: Database) -> list[RepositoryFigures]:
    found = []
    for view in repository_views(db):
        check = view.cares.get("check")
        found.append(
            RepositoryFigures(
                view.id, view.uses[0].name, view.row.size_bytes, view.row.snapshots, check.at if check else None
            )
        )
    return found


def space(db: Database) -> tuple[int, int]:
    """Bytes of the database, and how many of them are free for reuse."""
    if not isinstance(db, sqlite3.Connection):  # nothing is free there but within tables, which VACUUM knows
        (size,) = db.execute("SELECT pg_database_size(current_database())").fetchone()
        return size, 0
    page, pages, free = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in _PRAGMAS)
    return page * pages, page * free


_PRAGMAS = ("page_size", "page_count", "freelist_count")


def queues(db: Database, at: int) -> list[Queued]:
    """From the two partial indexes: what was delivered is never looked at."""
    return [
        Queued(row[0], row[1], row[2], _oldest(db, row, at), row[4], row[5] is not None, row[6])
        for row in db.execute(
            "SELECT name, kind,"
            " (SELECT count(*) FROM deliveries WHERE channel_id = channels.id AND state = 'queued'),"
            " (SELECT min(created_at) FROM deliveries WHERE channel_id = channels.id AND state = 'queued'"
            " AND channels.enabled = 1),"
            " (SELECT count(*) FROM deliveries WHERE channel_id = channels.id AND state = 'dead' AND dismissed = 0),"
            " failing_since, held_until, id, quiet_hours FROM channels ORDER BY created_at, id"
        )
    ]


def _oldest(db: Database, row: tuple[Any, ...], at: int) -> int | None:
    """Without what only waits for the end of quiet hours."""
    oldest: int | None = row[3]
    if oldest is None or row[8] is None:
        return oldest
    return waiting(db, row[7], row[8], at).oldest_at


def oldest_unsent(connection: Database, at: int) -> int | None:
    """Since when the oldest delivery that could have been sent by `at` waits; None if none does. What is kept for a
    channel that is off waits for somebody to switch it on."""
    (found,) = connection.execute(
        "SELECT min(deliveries.created_at) FROM deliveries JOIN channels ON channels.id = channel_id AND enabled = 1"
        " AND quiet_hours IS NULL WHERE state = 'queued' AND (attempts > 0 OR due_at <= ?)",
        (at,),
    ).fetchone()
    with_quiet = connection.execute(
        "SELECT id, quiet_hours FROM channels WHERE enabled = 1 AND quiet_hours IS NOT NULL"
    )
    oldest = [found, *(waiting(connection, row[0], row[1], at, due=True).oldest_at for row in with_quiet.fetchall())]
    return min((each for each in oldest if each is not None), default=None)
