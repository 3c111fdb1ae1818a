"""The table of backup ages: its rows in any order, a page at a time, with all that is shown of them.

What a row is sorted by stands in `plan_ages`, but for a few columns. What else is shown of one (jobs, numbers) is read
for the rows of a page alone, or for all where the list is sorted by it.
"""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, get_args

from rmactors.common import job_stats
from rmactors.common.clock import HOUR
from rmactors.common.vocabulary import JobStatus
from rmactors.server.state.ages import AGE_STATES, AgedHost, AgeState, PlanAge
from rmactors.server.store.database import Database
from rmactors.server.store.queries.plan_ages import plan_ages
from rmactors.server.store.queries.rows import Page

AgeSort = Literal[
    "state", "host", "plan", "repository", "newest_good", "files", "bytes", "limit", "left", "restore_test", "attempt",
    "outcome",
]  # fmt: skip
AGE_SORTS: Final[tuple[AgeSort, ...]] = get_args(AgeSort)
PLACE: Final = (int, str, str, str, str)
"""What follows the value of its column in the place of a row."""

_FOREVER: Final = 1 << 62
_FILES: Final = ("files_total", "total_files_processed", "total_files")
_BYTES: Final = ("bytes_total", "total_bytes_processed", "total_bytes")


@dataclass(frozen=True, slots=True)
class AgeFilter:
    """What the table is narrowed to: hosts with a tag, one host, rows of one state."""

    tag: str | None = None
    host_id: str | None = None
    state: AgeState | None = None


@dataclass(frozen=True, slots=True)
class AgeOrder:
    """By which column, and which way."""

    by: AgeSort = "state"
    descending: bool = False


@dataclass(frozen=True, slots=True)
class GoodJob:
    """The newest good backup: its job, None if it is kept no more, and what it held, as far as that is known."""

    job_id: str | None = None
    files: int | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """The backup that began last. `at` is when."""

    job_id: str
    status: JobStatus
    reason: str | None
    at: int


class AgeRow(NamedTuple):
    """A row with all that is shown of it. `alert_id`: its open `backup_overdue`. `test_job_id`: of the newest good
    restore test, None if it is kept no more; `test_stats` is its JSON object as text."""

    age: PlanAge
    good: GoodJob = GoodJob()
    attempt: Attempt | None = None
    alert_id: str | None = None
    test_job_id: str | None = None
    test_stats: str = "{}"

    @property
    def host(self) -> AgedHost:
        return self.age.host


@dataclass(frozen=True, slots=True)
class AgePage(Page[AgeRow]):
    """Some rows, and how many there are of each state."""

    counts: Mapping[AgeState, int] = field(default_factory=dict)


def backup_ages(
    db: Database,
    wanted: AgeFilter,
    order: AgeOrder,
    now: int,
    limit: int,
    after: tuple[Any, ...] | None = None,
) -> AgePage:
    """As of `now`. `after` is the place of the last row seen in this order. The counts are of all states."""
    ages = plan_ages(db, now, wanted.tag, wanted.host_id)
    counts = dict.fromkeys(AGE_STATES, 0)
    for age in ages:
        counts[age.state] += 1
    rows = [AgeRow(age) for age in ages if wanted.state in (None, age.state)]
    if order.by in _OF_JOBS:
        rows = [_with_jobs(db, row) for row in rows]
    value = _VALUES[order.by]
    placed = [((*value(row), *row.age.place), row) for row in rows]
    if after is not None:
        placed = [each for each in placed if (each[0] < after if order.descending else each[0] > after)]
    first = (heapq.nlargest if order.descending else heapq.nsmallest)(limit + 1, placed, key=lambda each: each[0])
    shown = [row for _place, row in first[:limit]]
    if order.by not in _OF_JOBS:
        shown = [_with_jobs(db, row) for row in shown]
    return AgePage(shown, first[limit - 1][0] if len(first) > limit else None, counts)


def place_shape(by: AgeSort) -> tuple[type, ...]:
    """The types of a place in an order by this column."""
    return (str if by in ("host", "plan", "repository") else int, *PLACE)


# ---- what is shown of a row


def _with_jobs(db: Database, row: AgeRow) -> AgeRow:
    age = row.age
    test_job_id, test_stats = _restore_test(db, age)
    return AgeRow(age, _good_job(db, age), _attempt(db, age), _alert(db, age), test_job_id, test_stats)


def _good_job(db: Database, age: PlanAge) -> GoodJob:
    if age.newest_good_at is None:
        return GoodJob()
    if age.good is None:  # the end of a schedule's run, perhaps a partial one
        found = db.execute(
            "SELECT id, stats FROM jobs WHERE host_id = ? AND kind = 'backup' AND finished_at = ?"
            " AND (plan IS NULL OR plan = ?) ORDER BY id LIMIT 1",
            (age.host.id, age.newest_good_at, age.plan),
        ).fetchone()
        return GoodJob(found[0], *held(found[1])) if found is not None else GoodJob()
    kept = db.execute("SELECT stats FROM jobs WHERE id = ?", (age.good.job_id,)).fetchone()
    if kept is not None:
        return GoodJob(age.good.job_id, *held(kept[0]))
    found = db.execute(
        "SELECT stats FROM good_ends WHERE host_id = ? AND kind = 'backup' AND plan = ?", (age.host.id, age.plan)
    ).fetchone()
    return GoodJob(None, *held(found[0])) if found is not None else GoodJob()


def _restore_test(db: Database, age: PlanAge) -> tuple[str | None, str]:
    if age.restore_test is None:
        return None, "{}"
    stats, job_id = db.execute(
        "SELECT g.stats, j.id FROM good_ends g LEFT JOIN jobs j ON j.id = g.job_id"
        " WHERE g.host_id = ? AND g.kind = 'restore_test' AND g.plan = ?",
        (age.host.id, age.plan),
    ).fetchone()
    return job_id, stats


def _attempt(db: Database, age: PlanAge) -> Attempt | None:
    """The newest of its schedules' runs of this plan, and of those that name it and no schedule."""
    columns = "SELECT id, status, reason, sort_at FROM jobs"
    newest = "AND kind = 'backup' AND status <> 'queued' ORDER BY sort_at DESC /*pg , id DESC */ LIMIT 1"
    found = [
        db.execute(
            f"{columns} WHERE schedule_id = ? AND (plan IS NULL OR CAST(? AS TEXT) IS NULL OR plan = ?) {newest}",
            (schedule.id, age.plan, age.plan),
        ).fetchone()
        for schedule in age.schedules
    ]
    if age.plan is not None or not age.schedules:
        subject = f"plan:{age.plan}" if age.plan is not None else ""
        found.append(
            db.execute(
                f"{columns} INDEXED BY jobs_loose WHERE host_id = ? AND subject = ? AND schedule_id IS NULL {newest}",
                (age.host.id, subject),
            ).fetchone()
        )
    return max((Attempt(*each) for each in found if each is not None), key=lambda each: each.at, default=None)


def _alert(db: Database, age: PlanAge) -> str | None:
    """The open `backup_overdue` of the schedule whose limit ends first, else of another."""
    if age.state != "overdue":
        return None
    first = [age.limited_by] if age.limited_by is not None else []
    for schedule in (*first, *age.schedules):
        found = db.execute(
            "SELECT id FROM alerts WHERE host_id = ? AND kind = 'backup_overdue' AND subject = ?"
            " AND resolved_at IS NULL",
            (age.host.id, schedule.id),
        ).fetchone()
        if found is not None:
            alert_id: str = found[0]
            return alert_id
    return None


# ---- orders


def _of_state(row: AgeRow) -> tuple[int, int]:
    """Overdue: the longest first; in time: the next first; without a limit: the oldest first."""
    age = row.age
    since = age.newest_good_at or 0 if age.state == "no_limit" else age.due_at
    return AGE_STATES.index(age.state), _FOREVER if since is None else min(since, _FOREVER)


def _number(value: int | None, without: int = -1) -> tuple[int, int]:
    return (without if value is None else min(value, _FOREVER)), 0


_ENDS: Final = ("failed", "partial", "cancelled", "skipped", "running", "succeeded", None)
"""Outcomes, worst first."""


def _of_outcome(row: AgeRow) -> tuple[int, int]:
    attempt = row.attempt
    return (_ENDS.index(attempt.status), attempt.at) if attempt is not None else (len(_ENDS), 0)


_VALUES: Final[Mapping[AgeSort, Callable[[AgeRow], tuple[int | str, int]]]] = {
    "state": _of_state,
    "host": lambda row: (row.age.host.name_key, 0),
    "plan": lambda row: ((row.age.plan or "").casefold(), 0),
    "repository": lambda row: (row.age.repository, 0),
    "newest_good": lambda row: _number(row.age.newest_good_at),
    "files": lambda row: _number(row.good.files),
    "bytes": lambda row: _number(row.good.bytes),
    "limit": lambda row: _number(_micros(row.age.limit_hours), _FOREVER),
    "left": lambda row: _number(row.age.due_at, _FOREVER),
    "restore_test": lambda row: _number(row.age.restore_test.at if row.age.restore_test is not None else None),
    "attempt": lambda row: _number(row.attempt.at if row.attempt is not None else None),
    "outcome": _of_outcome,
}
"""What each column is sorted by. What is not known is the oldest, or the least; no limit is the longest."""
_OF_JOBS: Final[frozenset[AgeSort]] = frozenset({"files", "bytes", "attempt", "outcome"})
"""Columns whose values are read for each row."""


# ---- small things


def held(stats: str) -> tuple[int | None, int | None]:
    """(files, bytes) that a backup held, by its statistics; None where they do not say."""
    found = job_stats.fit(stats).values
    return _first(found, _FILES), _first(found, _BYTES)


def _first(found: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        value = found.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
            return min(int(value), _FOREVER)
    return None


def _micros(hours: float | None) -> int | None:
    return min(round(hours * HOUR), _FOREVER) if hours is not None else None
