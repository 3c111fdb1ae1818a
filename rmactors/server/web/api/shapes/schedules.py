"""Schedules, as the API shows them."""

from msgspec import Struct

from rmactors.common import clock
from rmactors.common.vocabulary import (
    JobKind,
    OnPartial,
    ScheduleMode,
)
from rmactors.server.store.queries.schedules import ScheduleRow
from rmactors.server.web.api.shapes.rows import JsonObject, json_object, shaped
from rmactors.server.web.fields import Time
from rmactors.server.web.views.schedules import next_run


class Schedule(Struct):
    id: str
    host_id: str
    name: str
    kind: JobKind
    cron: str | None
    on_calendar: str | None
    every_hours: float | None
    timezone: str
    enabled: bool
    mode: ScheduleMode
    grace_seconds: float
    max_runtime_seconds: float
    max_age_hours: float | None
    on_partial: OnPartial
    params: JsonObject
    policy_id: str | None
    next_fire_at: Time | None
    last_outcome: str | None


def schedule(row: ScheduleRow, now: int) -> Schedule:
    """Also if this machine no longer knows its time zone: then `next_fire_at` is null."""
    due = next_run(row.when, now, row.counted_from) if row.enabled else None
    next_fire_at = clock.to_rfc3339(due) if due is not None else None
    return shaped(Schedule, row, enabled=row.wanted, params=json_object(row.params), next_fire_at=next_fire_at)
