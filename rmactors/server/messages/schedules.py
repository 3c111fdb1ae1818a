"""Writes about schedules and their runs."""

from dataclasses import dataclass

from rmactors.common.vocabulary import (
    JobKind,
    OnPartial,
    ScheduleMode,
)
from rmactors.server.messages.audit import Audit


@dataclass(frozen=True, slots=True)
class SaveSchedule:
    """Makes the schedule or replaces what it says. `anchor_at` is when its slots begin to count.

    Exactly one of `cron`, `on_calendar` and `every_hours` is given. `policy_id` is the policy that makes it, None: a
    person; it never changes. `paused`: it is off because its host is. Refused `not_found`, or `conflict` if the policy
    is gone or has another schedule on this host.
    """

    schedule_id: str
    host_id: str
    name: str
    kind: JobKind
    cron: str | None
    timezone: str
    enabled: bool
    mode: ScheduleMode
    grace_seconds: float
    max_runtime_seconds: float
    on_partial: OnPartial
    params: str
    at: int
    anchor_at: int
    audit: Audit
    on_calendar: str | None = None
    every_hours: float | None = None
    max_age_hours: float | None = None
    policy_id: str | None = None
    paused: bool = False


@dataclass(frozen=True, slots=True)
class DeleteSchedule:
    schedule_id: str
    at: int
    audit: Audit


@dataclass(frozen=True, slots=True)
class MarkRun:
    """A run of a schedule began: for the slot `slot_at`, or at `run_at` without naming one.

    With `known` it changes nothing, and expects that this run or a later one is on disk already.
    """

    schedule_id: str
    slot_at: int | None
    run_at: int | None
    known: bool = False


@dataclass(frozen=True, slots=True)
class MarkGood:
    """A run of the schedule, or of its plan, had a good end at `at`. An older one than is known changes nothing."""

    schedule_id: str
    at: int
