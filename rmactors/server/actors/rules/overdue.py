"""How old the newest good backup of a schedule may get: `backup_overdue`.

It does not ask why there is none: cancelled, skipped, failed, running forever, host away, nothing heard at all. Age
counts from the newest good end, and from when the schedule was made if none is known. It is judged also while the
host is away, for what is not backed up is not backed up.
"""

from collections.abc import Iterable

from rmactors.common.clock import HOUR
from rmactors.server.actors.rules import host_conditions, wording
from rmactors.server.messages.reasons import Reason
from rmactors.server.messages.schedules import MarkGood
from rmactors.server.messages.writes import Write
from rmactors.server.state.ages import counts_from, due_at
from rmactors.server.state.alert_state import AlertKey
from rmactors.server.state.host_state import Decision, HostState, Schedule, apply

AGAIN = HOUR
"""How often the message of an open alert is brought up to date: it says how old the newest good backup is."""


def check_overdue(host: HostState, schedule: Schedule, now: int, fresh_id: str) -> tuple[Decision, int | None]:
    """Whether the schedule is overdue, and when to check again (None: when something about it changes)."""
    due = due_at(schedule, host.clock_offset)
    if due is None or schedule.limit_hours is None:
        return Decision((), False, (Reason.NO_LIMIT,)), None
    if now < due:
        return Decision((), False, (Reason.NOT_OVERDUE,)), due
    key = _key(schedule)
    limit = round(schedule.limit_hours * HOUR)
    text = wording.overdue(
        schedule.name,
        now - counts_from(schedule, host.clock_offset),
        limit,
        schedule.last_good_at or None,
        schedule.slots.timezone,
    )
    return apply(host, key, host_conditions.fire(key, host.state_of(key), text, now, fresh_id)), now + AGAIN


def after_good(host: HostState, marked: Iterable[MarkGood], now: int) -> tuple[Write, ...]:
    """Good ends were noted: what that ends. One that comes late may be too old to."""
    writes: list[Write] = []
    for schedule in (host.schedules[mark.schedule_id] for mark in marked):
        due = due_at(schedule, host.clock_offset)
        if due is None or now < due:
            writes += _resolve(host, schedule, wording.backed_up_again(schedule.name), now)
    return tuple(writes)


def after_change(host: HostState, before: Schedule, after: Schedule, now: int) -> tuple[Write, ...]:
    """An operator changed the schedule: another limit, or none, ends what was raised under the old one."""
    if not after.enabled:
        return _resolve(host, before, wording.not_expected(before.name, "disabled"), now)
    if before.limit_hours != after.limit_hours:
        return _resolve(host, before, wording.other_limit(after.name, removed=after.limit_hours is None), now)
    return ()


def _key(schedule: Schedule) -> AlertKey:
    return AlertKey(schedule.host_id, "backup_overdue", schedule.id)


def _resolve(host: HostState, schedule: Schedule, text: str, now: int) -> tuple[Write, ...]:
    key = _key(schedule)
    return apply(host, key, host_conditions.resolve(key, host.state_of(key), text, now)).writes
