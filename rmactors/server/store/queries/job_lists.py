"""Which jobs a list shows, in which order: one selection for the page and its sheet.

There may be millions. By time they are read along an index from where the page begins; by anything else, the newest few
thousand that the filter finds are put into order, and the page says so.
"""

# ruff: noqa: S608 - what is put into the SQL here are our own words; values are always bound

from collections.abc import Mapping
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Any, Final, Literal

from rmactors.server.store.database import Database
from rmactors.server.store.queries import host_lists
from rmactors.server.store.queries.host_lists import batched, literal
from rmactors.server.store.queries.jobs import JobRow
from rmactors.server.store.queries.rows import Page, columns, placeholders, read

JobSort = Literal["when", "-when", "kind", "-kind", "host", "-host", "status", "-status", "took", "-took"]
SORTED: Final = 5_000
"""The newest jobs that are put into another order than that of time."""
SEARCHED: Final = 2_000
"""The newest jobs whose plan and schedule are searched for a text; names of hosts are searched for all."""
_FEW_HOSTS: Final = 50
"""For so many hosts the jobs of each are read, instead of walking along all jobs."""
_LIKE: Final = "LIKE ? ESCAPE '\\'"
_BADLY: Final = ("partial", "failed", "cancelled", "skipped")
_RARE: Final = ("init", "unlock", "restore", "diff", "snapshots", "restore_test")
_Place = tuple[int, str]


@dataclass(frozen=True, slots=True)
class JobFilter:
    """What a list of jobs is narrowed to. `host_id` is one host; `host` a part of the names of several, `tag` one of
    their tags; `q` a part of the name of a host, a plan or a schedule."""

    q: str = ""
    host_id: str | None = None
    host: str = ""
    tag: str = ""
    kind: str | None = None
    status: str | None = None


_BY: Final[Mapping[str, str]] = {
    "kind": "kind",
    "status": "status",
    "host": "(SELECT name_key FROM hosts WHERE hosts.id = jobs.host_id)",
    "took": "coalesce(finished_at - started_at, -1)",
}


def listed(
    db: Database, wanted: JobFilter, sort: JobSort, limit: int,
    after: tuple[Any, ...] | None = None, skip: int = 0,
) -> tuple[Page[JobRow], int]:  # fmt: skip
    """Some jobs, past `after` where they are sorted by time, else past `skip` of them; and how many there are to sort,
    0 by time."""
    by, descending = sort.removeprefix("-"), sort.startswith("-")
    if by == "when":
        places = _places(db, wanted, limit + 1, after, descending=descending)
        rows = _rows(db, [job_id for _at, job_id in places[:limit]])
        return Page(rows, places[limit - 1] if len(places) > limit else None), 0
    newest = [job_id for _at, job_id in _places(db, wanted, SORTED, None, descending=True)]
    keys: dict[str, Any] = {}
    for some in batched(newest):
        keys |= dict(
            map(
                tuple, db.execute(f"SELECT id, {_BY[by]} FROM jobs WHERE id IN ({placeholders(some)})", some).fetchall()
            )
        )
    ordered = sorted(
        (job_id for job_id in newest if job_id in keys), key=lambda job_id: keys[job_id], reverse=descending
    )
    return Page(_rows(db, ordered[skip : skip + limit]), None), len(ordered)


def _rows(db: Database, ids: list[str]) -> list[JobRow]:
    """In this order."""
    found: dict[str, JobRow] = {}
    for some in batched(ids):
        rows = db.execute(f"SELECT {columns(JobRow)} FROM jobs WHERE id IN ({placeholders(some)})", some)
        found |= {row.id: row for row in read(JobRow, rows)}
    return [found[job_id] for job_id in ids]


def _places(
    db: Database, wanted: JobFilter, limit: int, after: tuple[Any, ...] | None, *, descending: bool
) -> list[_Place]:
    """Sort key and id of the first `limit` past `after`."""
    start = after or ((1 << 62, "") if descending else (-1, ""))
    reading = _Reading(db, limit, start, descending)
    where, bound = _exact(wanted)
    hosts, hosts_bound = host_lists.ids_of(wanted.host, wanted.tag)
    sources: list[list[_Place]]
    if wanted.host_id is not None:
        sources = _searched(reading, wanted.q, f"{where} AND host_id = ?", [*bound, wanted.host_id], "")
    elif hosts:
        few = reading.few(hosts, hosts_bound)
        if few is not None:
            sources = [
                place
                for host_id in few
                for place in _searched(reading, wanted.q, f"{where} AND host_id = ?", [*bound, host_id], "")
            ]
        else:
            sources = _searched(
                reading, wanted.q, f"{where} AND host_id IN ({hosts})", [*bound, *hosts_bound], _index(wanted)
            )
    else:
        sources = _searched(reading, wanted.q, where, bound, _index(wanted))
    merged = merge(*sources, reverse=descending)
    return list(islice(dict.fromkeys(merged), limit))


def _exact(wanted: JobFilter) -> tuple[str, list[Any]]:
    conditions, bound = ["1 = 1"], list[Any]()
    for column, value in (("kind", wanted.kind), ("status", wanted.status)):
        if value is not None:
            conditions.append(f"{column} = ?")
            bound.append(value)
    if wanted.status in _BADLY:
        conditions.append(f"status IN {_BADLY}")
    elif wanted.status in ("queued", "running"):
        conditions.append("status IN ('queued', 'running')")
    elif wanted.kind in _RARE:
        conditions.append(f"kind IN {_RARE}")
    return " AND ".join(conditions), bound


def _index(wanted: JobFilter) -> str:
    """Of a rare status or kind, an index of those jobs alone; else the filter is judged along that of all."""
    if wanted.status in _BADLY:
        return "INDEXED BY jobs_ended_badly"
    if wanted.status in ("queued", "running"):
        return "INDEXED BY jobs_unfinished"
    if wanted.kind in _RARE:
        return "INDEXED BY jobs_of_rare_kinds"
    return "INDEXED BY jobs_by_time"


@dataclass(frozen=True, slots=True)
class _Reading:
    db: Database
    limit: int
    start: tuple[Any, ...]
    descending: bool

    def along(self, where: str, bound: list[Any], index: str) -> list[_Place]:
        """The first ones of which this holds."""
        way, past = ("DESC", "<") if self.descending else ("ASC", ">")
        rows = self.db.execute(
            f"SELECT sort_at, id FROM jobs {index} WHERE {where} AND (sort_at, id) {past} (?, ?)"
            f" ORDER BY sort_at {way}, id {way} LIMIT ?",
            (*bound, *self.start, self.limit),
        )
        return [(row[0], row[1]) for row in rows]

    def among_the_first(
        self, where: str, bound: list[Any], index: str, found: str, found_bound: list[Any]
    ) -> list[_Place]:
        """Those of the first `SEARCHED` of which this holds too."""
        way, past = ("DESC", "<") if self.descending else ("ASC", ">")
        rows = self.db.execute(
            f"SELECT sort_at, id FROM (SELECT sort_at, id, plan, schedule_id, host_id FROM jobs {index} WHERE {where}"
            f" AND (sort_at, id) {past} (?, ?) ORDER BY sort_at {way}, id {way} LIMIT ?) AS first WHERE {found}"
            f" ORDER BY sort_at {way}, id {way} LIMIT ?",
            (*bound, *self.start, SEARCHED, *found_bound, self.limit),
        )
        return [(row[0], row[1]) for row in rows]

    def few(self, hosts: str, bound: list[Any]) -> list[str] | None:
        """The hosts of a SELECT; None if they are many."""
        rows = self.db.execute(f"SELECT id FROM ({hosts}) AS those LIMIT ?", (*bound, _FEW_HOSTS + 1)).fetchall()
        return [row[0] for row in rows] if len(rows) <= _FEW_HOSTS else None


def _searched(reading: _Reading, q: str, where: str, bound: list[Any], index: str) -> list[list[_Place]]:
    """What the filter finds; with a text, by names of hosts on the one hand, by plans and schedules on the other."""
    if not q:
        return [reading.along(where, bound, index)]
    hosts, hosts_bound = host_lists.ids_of(q, None)
    few = reading.few(hosts, hosts_bound)
    pattern = literal(q.casefold())
    found = f"(lower(plan) {_LIKE} OR schedule_id IN (SELECT id FROM schedules WHERE lower(name) {_LIKE}))"
    named = reading.among_the_first(where, bound, index, found, [pattern, pattern])
    if few is None:
        return [named, reading.along(f"{where} AND host_id IN ({hosts})", [*bound, *hosts_bound], index)]
    return [named, *(reading.along(f"{where} AND host_id = ?", [*bound, host_id], "") for host_id in few)]
