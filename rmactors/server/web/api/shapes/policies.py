"""Policies, as the API shows them."""

import msgspec
from msgspec import Struct

from rmactors.common.vocabulary import JobKind, OnPartial, ScheduleMode
from rmactors.server.store.queries.policies import PolicyRow
from rmactors.server.web.api.shapes.rows import JsonObject, json_object, shaped


class Policy(Struct):
    id: str
    name: str
    host_tags: list[str]
    kind: JobKind
    cron: str | None
    on_calendar: str | None
    every_hours: float | None
    timezone: str
    mode: ScheduleMode
    grace_seconds: float
    max_runtime_seconds: float
    max_age_hours: float | None
    on_partial: OnPartial
    params: JsonObject
    spread_minutes: int
    enabled: bool


def policy(row: PolicyRow) -> Policy:
    return shaped(Policy, row, host_tags=msgspec.json.decode(row.host_tags), params=json_object(row.params))
