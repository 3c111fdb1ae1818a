"""Reads of schedules, each with how its newest ended run went."""

# ruff: noqa: S608 - what is put into the SQL here are column names of dataclasses; values are always bound

from dataclasses import dataclass
from typing import Any

from rmactors.common.vocabulary import JobKind, OnPartial, ScheduleMode
from rmactors.server.calendars.when import When
from rmactors.server.store.database import Database
from rmactors.server.store.queries.rows import Page, columns, placeholders, read


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """A schedule, with one of `cron`, `on_calendar` and `every_hours`. Durations in seconds, `params` a JSON object as
    text. `paused`: it is off because its host is, and on again when that ends."""

    id: str
    host_id: str
    name: str
    kind: JobKind
    cron: str | None
    timezone: str
    enabled: int
    mode: ScheduleMode
    grace_seconds: float
    max_runtime_seconds: float
    on_partial: OnPartial
    params: str
    created_at: int
    anchor_at: int
    last_run_at: int | None
    last_outcome: str | None
    on_calendar: str | None = None
    every_hours: float | None = None
    max_age_hours: float | None = None
    last_good_at: int | None = None
    policy_id: str | None = None
    paused: int = 0

    @property
    def wanted(self) -> bool:
        """Whether it is on, but for a pause of its host."""
        return bool(self.enabled or self.paused)

    @property
    def when(self) -> When:
        return When(self.cron, self.on_calendar, self.every_hours, self.timezone)

    @property
    def counted_from(self) -> int:
        return counted_from(self.mode, self.created_at, self.last_run_at, self.last_good_at)


def counted_from(mode: ScheduleMode, created_at: int, last_run_at: int | None, last_good_at: int | None) -> int:
    """From when an interval counts: the newest good end, or any run if the agent keeps it; else when it was made."""
    newest = max(last_good_at or 0, (last_run_at or 0) if mode == "agent" else 0)
    return newest or created_at


_OUTCOME = (
    "(SELECT status FROM jobs WHERE jobs.schedule_id = s.id AND jobs.finished_at IS NOT NULL"
    " ORDER BY sort_at DESC /*pg , id DESC */ LIMIT 1)"
)
_SELECT = (
    "SELECT " + columns(ScheduleRow, "s").replace("s.last_outcome", f"{_OUTCOME} AS last_outcome") + " FROM schedules s"
)


def schedule(db: Database, schedule_id: str) -> ScheduleRow | None:
    """Not a deleted one."""
    row = db.execute(f"{_SELECT} WHERE s.id = ? AND s.deleted_at IS NULL", (schedule_id,)).fetchone()
    return ScheduleRow(*row) if row is not None else None


def schedules(db: Database, host_id: str, limit: int, after: tuple[Any, ...] | None = None) -> Page[ScheduleRow]:
    """A host's, in the order in which they were made."""
    created, last_id = after or (-1, "")
    rows = db.execute(
        f"{_SELECT} WHERE s.host_id = ? AND s.deleted_at IS NULL AND (s.created_at, s.id) > (?, ?)"
        " ORDER BY s.created_at, s.id LIMIT ?",
        (host_id, created, last_id, limit + 1),
    ).fetchall()
    items = read(ScheduleRow, rows[:limit])
    return Page(items, (items[-1].created_at, items[-1].id) if len(rows) > limit else None)


def schedules_of(db: Database, host_ids: list[str]) -> dict[str, list[ScheduleRow]]:
    """All schedules of some hosts."""
    found: dict[str, list[ScheduleRow]] = {host_id: [] for host_id in host_ids}
    rows = db.execute(
        f"{_SELECT} WHERE s.host_id IN ({placeholders(host_ids)}) AND s.deleted_at IS NULL ORDER BY s.created_at, s.id",
        host_ids,
    )
    for row in read(ScheduleRow, rows):
        found[row.host_id].append(row)
    return found
