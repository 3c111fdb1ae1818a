"""What is planned: schedules that run at the same times counted together, and who they are."""

# ruff: noqa: S608 - what is put into the SQL here are our own words; values are always bound

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from rmactors.common.vocabulary import JobKind, ScheduleMode
from rmactors.server.calendars.when import When
from rmactors.server.store.database import Database
from rmactors.server.store.queries.host_lists import ids_of
from rmactors.server.store.queries.rows import read
from rmactors.server.store.queries.schedules import counted_from

_ON: Final = "deleted_at IS NULL AND enabled = 1"
_MOST_INTERVALS: Final = 50_000


class Planned(NamedTuple):
    """So many schedules of a kind that run at the same times."""

    cron: str | None
    on_calendar: str | None
    timezone: str
    kind: JobKind
    many: int

    @property
    def when(self) -> When:
        return When(self.cron, self.on_calendar, None, self.timezone)


class Interval(NamedTuple):
    """A schedule that runs so long after its last run."""

    kind: JobKind
    every_hours: float
    mode: ScheduleMode
    created_at: int
    last_run_at: int | None
    last_good_at: int | None

    @property
    def next_at(self) -> int | None:
        when = When(None, None, self.every_hours, "UTC")
        return when.next_run(0, counted_from(self.mode, self.created_at, self.last_run_at, self.last_good_at))


class PlannedRun(NamedTuple):
    """A schedule of a host that is one of those counted together."""

    id: str
    name: str
    kind: JobKind
    host_id: str
    host_name: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is enabled, of hosts with a tag or of all."""

    slots: list[Planned]
    intervals: list[Interval]


def plan(db: Database, tag: str) -> Plan:
    """From an index alone, unless only some hosts are wanted."""
    hosts, bound = ids_of(None, tag)
    only = f" AND host_id IN ({hosts})" if hosts else ""
    slots = db.execute(
        f"SELECT cron, on_calendar, timezone, kind, count(*) FROM schedules INDEXED BY schedules_planned WHERE {_ON}"
        f" AND (cron IS NOT NULL OR on_calendar IS NOT NULL){only} GROUP BY cron, on_calendar, timezone, kind",
        bound,
    )
    intervals = db.execute(
        "SELECT kind, every_hours, mode, created_at, last_run_at, last_good_at FROM schedules"
        f" INDEXED BY schedules_planned WHERE {_ON} AND cron IS NULL AND on_calendar IS NULL{only} LIMIT ?",
        (*bound, _MOST_INTERVALS),
    )
    return Plan(read(Planned, slots), read(Interval, intervals))


def who(db: Database, groups: Sequence[Planned], tag: str, limit: int) -> list[list[PlannedRun]]:
    """The schedules of each of these, by host; at most so many of all of them together."""
    hosts, bound = ids_of(None, tag)
    only = f" AND s.host_id IN ({hosts})" if hosts else ""
    found: list[list[PlannedRun]] = []
    for group in groups:
        way = "s.cron = ?" if group.cron is not None else "s.cron IS NULL AND s.on_calendar = ?"
        rows = db.execute(
            "SELECT s.id, s.name, s.kind, h.id, h.name FROM schedules s INDEXED BY schedules_planned"
            f" JOIN hosts h ON h.id = s.host_id WHERE s.deleted_at IS NULL AND s.enabled = 1 AND {way}"
            f" AND s.timezone = ? AND s.kind = ?{only} LIMIT ?",
            (group.cron if group.cron is not None else group.on_calendar, group.timezone, group.kind, *bound, limit),
        )
        found.append(read(PlannedRun, rows))
        limit -= len(found[-1])
        if limit <= 0:
            break
    return found
