"""Writes about policies. The schedules that they make are `SaveSchedule` and `DeleteSchedule`, as any."""

from dataclasses import dataclass

from rmactors.common.vocabulary import JobKind, OnPartial, ScheduleMode
from rmactors.server.messages.audit import Audit


@dataclass(frozen=True, slots=True)
class SavePolicy:
    """Makes the policy or replaces what it says. Refused `name_taken`, or `not_found` if it was deleted.

    Exactly one of `cron`, `on_calendar` and `every_hours` is given; `params` is a JSON object as text.
    """

    policy_id: str
    name: str
    host_tags: tuple[str, ...]
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
    params: str
    spread_minutes: int
    at: int
    audit: Audit


@dataclass(frozen=True, slots=True)
class DeletePolicy:
    """Its schedules are deleted after it, by who looks after policies."""

    policy_id: str
    at: int
    audit: Audit
