"""How old the newest good backup of each plan is, and whether that is too old. Pure.

The rules judge schedules by this (`rules/overdue.py`), and the table of backup ages shows plans by it, so that both say
the same.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Protocol

from rmactors.common.clock import HOUR
from rmactors.server.state.host_state import limit_hours

AgeState = Literal["overdue", "never", "no_limit", "ok"]
"""`never`: no good backup is known, and none is overdue yet. `no_limit`: nothing says how old it may get."""
AGE_STATES: Final[tuple[AgeState, ...]] = ("overdue", "never", "no_limit", "ok")
"""Worst first."""
_FOREVER_HOURS: Final = 876_600.0
"""A century."""
MOST_REPORTED: Final = 50
"""Plans of one host that are known from reports alone: it may make up as many as it likes. The newest are shown."""


class Limited(Protocol):
    """A schedule, as far as its limit goes."""

    @property
    def limit_hours(self) -> float | None: ...
    @property
    def enabled(self) -> bool: ...
    @property
    def deleted(self) -> bool: ...
    @property
    def last_good_at(self) -> int | None: ...
    @property
    def created_at(self) -> int: ...


def counts_from(schedule: Limited, clock_offset: int = 0) -> int:
    """From when the age counts, by the server's clock: the newest good end, and the host's clock may have been behind
    when it told; without one, when the schedule was made."""
    if schedule.last_good_at:
        return schedule.last_good_at - min(0, clock_offset)
    return schedule.created_at


def due_at(schedule: Limited, clock_offset: int = 0) -> int | None:
    """From when on the schedule is overdue, should no good end come; None if that is not judged."""
    if schedule.limit_hours is None or schedule.deleted or not schedule.enabled:
        return None
    return counts_from(schedule, clock_offset) + round(min(schedule.limit_hours, _FOREVER_HOURS) * HOUR) + 1


def plans_run(named: str | None, by_agent: bool, host_plans: Sequence[str], last_plan: str | None) -> tuple[str, ...]:
    """The plans that a schedule runs: the one that it names; else its host's only one, if the agent keeps the schedule,
    and the one that its newest outcome was of (`last_plan`)."""
    if named is not None:
        return (named,)
    only = tuple(host_plans) if by_agent and len(host_plans) == 1 else ()
    return only if last_plan is None or last_plan in only else (*only, last_plan)


# ---- the table


class BackupSchedule(NamedTuple):
    """A schedule of kind backup that is not deleted. `plan` is the one that it names, `last_plan` the one that its
    newest outcome was of. As cheap to make as can be, like what follows: a fleet has thousands."""

    id: str
    name: str
    enabled: bool
    by_agent: bool
    plan: str | None
    last_plan: str | None
    max_age_hours: float | None
    every_hours: float | None
    last_good_at: int | None
    created_at: int
    deleted: bool = False

    @property
    def limit_hours(self) -> float | None:
        return limit_hours("backup", self.max_age_hours, self.every_hours)


@dataclass(frozen=True, slots=True)
class AgedHost:
    """A host. `plans` maps the plans of its agent's file to their repositories; None: it has not told. `clock_offset`
    is its clock minus the server's, as far as that is followed."""

    id: str
    name: str
    name_key: str
    tags: tuple[str, ...]
    plans: Mapping[str, str] | None
    clock_offset: int = 0


class End(NamedTuple):
    """A job that ended well, and when."""

    job_id: str
    at: int


class PlanAge(NamedTuple):
    """One row. `plan` is None for what names none: what a schedule runs, or reports without either.

    `newest_good_at` is None if no good backup is known; `good` is its job, None if that is not known. The limit is that
    of `limited_by`, the schedule whose limit ends first, at `due_at`; all three None if there is none. `in_file`: the
    agent's file has the plan; None: the host has not told. `schedules` are those that back it up.
    """

    host: AgedHost
    plan: str | None
    repository: str
    in_file: bool | None
    schedules: tuple[BackupSchedule, ...]
    newest_good_at: int | None
    good: End | None
    limited_by: BackupSchedule | None
    due_at: int | None
    state: AgeState
    restore_test: End | None

    @property
    def limit_hours(self) -> float | None:
        return self.limited_by.limit_hours if self.limited_by is not None else None

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Where it stands among those that are otherwise alike; no two rows have the same."""
        of_schedule = self.schedules[0].id if self.plan is None and self.schedules else ""
        return self.host.name_key, self.host.id, self.plan or "", of_schedule


@dataclass(frozen=True, slots=True)
class Heard:
    """What reports told of a host, by plan: the newest good backups, the newest good restore tests, and what was tried
    and never went well. `loose`: there are backups that name neither a plan nor a schedule; `loose_good` is the newest
    good one of them."""

    good: Mapping[str, End]
    tested: Mapping[str, End]
    tried: Collection[str] = ()
    loose: bool = False
    loose_good: End | None = None


def ages_of(
    host: AgedHost, schedules: Sequence[BackupSchedule], heard: Heard, alerted: Collection[str], now: int
) -> list[PlanAge]:
    """The rows of one host, as of `now`. `alerted` are the schedules whose `backup_overdue` is open."""
    in_file = host.plans or {}
    by_plan: dict[str, list[BackupSchedule]] = {plan: [] for plan in in_file}
    of_no_plan: list[BackupSchedule] = []
    for schedule in schedules:
        plans = plans_run(schedule.plan, schedule.by_agent, tuple(in_file), schedule.last_plan)
        for plan in plans:
            by_plan.setdefault(plan, []).append(schedule)
        if not plans:
            of_no_plan.append(schedule)
    newest = sorted(heard.good, key=lambda plan: heard.good[plan].at, reverse=True)
    reported = [plan for plan in (*newest, *heard.tried) if plan not in by_plan][:MOST_REPORTED]
    for plan in reported:
        by_plan[plan] = []
    rows = [_age(host, plan, theirs, heard, alerted, now) for plan, theirs in by_plan.items()]
    rows += [_age(host, None, [schedule], heard, alerted, now) for schedule in of_no_plan]
    if heard.loose:
        rows.append(_age(host, None, [], heard, alerted, now))
    return rows


def _age(
    host: AgedHost,
    plan: str | None,
    schedules: Sequence[BackupSchedule],
    heard: Heard,
    alerted: Collection[str],
    now: int,
) -> PlanAge:
    good = heard.good.get(plan) if plan is not None else None if schedules else heard.loose_good
    newest = good.at if good is not None else None
    due = limited_by = None
    is_overdue = False
    for schedule in schedules:
        at = schedule.last_good_at
        if at and at != newest and (newest is None or at > newest) and not _is_of_another(at, plan, heard):
            newest = at
        ends = due_at(schedule, host.clock_offset)
        if ends is not None and (due is None or ends < due):
            due, limited_by = ends, schedule
        is_overdue = is_overdue or schedule.id in alerted
    state: AgeState
    if is_overdue or (due is not None and due <= now):
        state = "overdue"
    elif newest is None:
        state = "never"
    else:
        state = "no_limit" if due is None else "ok"
    repository, in_file = "", None
    if host.plans is not None and plan is not None:
        repository, in_file = host.plans.get(plan, ""), plan in host.plans
    return PlanAge(
        host, plan, repository, in_file, tuple(schedules), newest,
        good if good is not None and good.at == newest else None, limited_by, due, state,
        heard.tested.get(plan) if plan is not None else None,
    )  # fmt: skip


def _is_of_another(at: int, plan: str | None, heard: Heard) -> bool:
    """Whether the good end at that time was of another plan: a schedule that was changed to this one keeps it."""
    return any(end.at == at for other, end in heard.good.items() if other != plan)
