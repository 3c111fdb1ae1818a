"""Reads of policies, and of the schedules that they made."""

# ruff: noqa: S608 - what is put into the SQL here are column names of dataclasses; values are always bound

from dataclasses import dataclass
from typing import Any

from rmactors.common.vocabulary import JobKind, OnPartial, ScheduleMode
from rmactors.server.calendars.when import When
from rmactors.server.store.database import Database
from rmactors.server.store.queries.rows import Page, columns, read


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """A policy, with one of `cron`, `on_calendar` and `every_hours`. `host_tags` (a JSON list) and `params` (an object)
    as text."""

    id: str
    name: str
    name_key: str
    host_tags: str
    kind: JobKind
    cron: str | None
    on_calendar: str | None
    every_hours: float | None
    timezone: str
    enabled: int
    mode: ScheduleMode
    grace_seconds: float
    max_runtime_seconds: float
    max_age_hours: float | None
    on_partial: OnPartial
    params: str
    spread_minutes: int

    @property
    def wanted(self) -> bool:
        return bool(self.enabled)

    @property
    def when(self) -> When:
        return When(self.cron, self.on_calendar, self.every_hours, self.timezone)


_SELECT = f"SELECT {columns(PolicyRow)} FROM policies WHERE deleted_at IS NULL"


def policy(db: Database, policy_id: str) -> PolicyRow | None:
    """Not a deleted one."""
    row = db.execute(f"{_SELECT} AND id = ?", (policy_id,)).fetchone()
    return PolicyRow(*row) if row is not None else None


def policies(db: Database, limit: int, after: tuple[Any, ...] | None = None) -> Page[PolicyRow]:
    """By name."""
    rows = db.execute(
        f"{_SELECT} AND (name_key, id) > (?, ?) ORDER BY name_key, id LIMIT ?", (*(after or ("", "")), limit + 1)
    ).fetchall()
    items = read(PolicyRow, rows[:limit])
    return Page(items, (items[-1].name_key, items[-1].id) if len(rows) > limit else None)


def policy_name(db: Database, policy_id: str) -> str:
    """Also of a deleted one; empty where there is none."""
    row = db.execute("SELECT name FROM policies WHERE id = ?", (policy_id,)).fetchone()
    return row[0] if row is not None else ""


def schedules_by_policy(db: Database) -> dict[str, int]:
    """How many schedules each policy has made, without those that are deleted."""
    return dict(
        db.execute(
            "SELECT policy_id, count(*) FROM schedules WHERE policy_id IS NOT NULL AND deleted_at IS NULL"
            " GROUP BY policy_id"
        ).fetchall()
    )
