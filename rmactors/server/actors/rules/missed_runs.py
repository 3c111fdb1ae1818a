"""Whether a schedule's slot was missed, and when to check again.

A slot is missed when it is older than the schedule's grace, later than the schedule's anchor (made, enabled or
changed), and no run was started for it. Only the newest such slot is judged. A schedule that is given by an interval
has no slots, so none of them is missed.
"""

from rmactors.common import cron
from rmactors.common.clock import DAY, HOUR, SECOND, seconds
from rmactors.server.actors.rules import host_conditions, wording
from rmactors.server.messages.reasons import Reason
from rmactors.server.state import clocks
from rmactors.server.state.alert_state import AlertKey
from rmactors.server.state.host_state import Decision, HostState, Schedule, apply
from rmactors.server.state.slots import Slots

EARLY = 60 * SECOND
"""A run that names no slot counts for one that is at most this much later."""

SHARE_OF_INTERVAL = 0.1

SHARE_AT_MOST = 6 * HOUR

LOOK_BACK = 5 * 366 * DAY
"""No accepted expression pauses for longer than a leap year's 29 February is away, and a century is not ours."""


def check_missed_run(
    host: HostState, schedule: Schedule, now: int, fresh_id: str, least_grace: float, not_before: int
) -> tuple[Decision, int | None]:
    """Whether a slot of the schedule was missed, and when to check again (None: never by itself). Not judged within a
    grace of `not_before`."""
    patient = clocks.earlier(now, host.clock_offset)
    again = next_check(schedule.slots, patient, least_grace)
    if again is not None:
        again += now - patient
    slot = missed(schedule.slots, patient, least_grace)
    if slot is None:
        return Decision((), False, (Reason.NO_SLOT_MISSED,)), again
    patience = grace(schedule.slots, slot, least_grace)
    if now < not_before + patience:
        return Decision((), False, (Reason.JUST_RETURNED,)), not_before + patience
    key = AlertKey(schedule.host_id, "stale_schedule", schedule.id)
    last = max(schedule.slots.last_slot_at or 0, schedule.slots.last_run_at or 0) or None
    text = wording.stale(schedule.name, slot, last, schedule.slots.timezone)
    decision = apply(host, key, host_conditions.fire(key, host.state_of(key), text, now, fresh_id))
    return decision, again


def mark(slots: Slots, scheduled_for: int | None, started_at: int, now: int) -> tuple[int | None, int | None]:
    """(slot, free start) of a run: the slot it names, or when it began if it names none that exists.

    A host's clock may be ahead, so the next slot may be named already. One further away would hide all before it.
    """
    if scheduled_for is not None and scheduled_for > 0:
        latest = slots.when.next_fire(now)
        if scheduled_for <= (now if latest is None else latest) and slots.is_slot(scheduled_for):
            return scheduled_for, None
    return None, started_at


def grace(slots: Slots, at: int, least_seconds: float) -> int:
    """How late a run may start: the largest of what is set, the floor, and a tenth of the interval that ends at the
    newest slot up to `at`."""
    slot = slots.when.previous_fire(at, not_before=at - LOOK_BACK)
    before = None
    if slot is not None:
        before = slots.when.previous_fire(slot - 1, not_before=slot - LOOK_BACK)
    interval = slot - before if slot is not None and before is not None else 0
    share = min(round(interval * SHARE_OF_INTERVAL), SHARE_AT_MOST)
    return max(_floor(slots, least_seconds), share)


def missed(slots: Slots, now: int, least_seconds: float) -> int | None:
    """The newest slot whose grace is over and that had no run; None if all is well."""
    earliest = slots.anchor_at + 1
    slot = slots.when.previous_fire(now - _floor(slots, least_seconds) - 1, not_before=earliest)
    while slot is not None and slot + grace(slots, slot, least_seconds) >= now:
        slot = slots.when.previous_fire(slot - 1, not_before=earliest)
    if slot is None or _had_run(slots, slot):
        return None
    return slot


def next_check(slots: Slots, now: int, least_seconds: float) -> int | None:
    """When the next slot's grace will be over: nothing can change by itself before. None: nothing will."""
    since = now - _floor(slots, least_seconds) - 1
    following = slots.when.next_fire(since)
    # A tenth of a long interval may reach further than the floor.
    older = slots.when.previous_fire(since, not_before=slots.anchor_at + 1)
    pending = [slot for slot in (following, older) if slot is not None]
    return min((due for slot in pending if (due := slot + grace(slots, slot, least_seconds) + 1) > now), default=None)


def _floor(slots: Slots, least_seconds: float) -> int:
    return max(seconds(slots.grace_seconds), seconds(least_seconds))


def _had_run(slots: Slots, slot: int) -> bool:
    early = 0
    if slots.external and slots.cron is not None:
        # Of an hour that comes twice, systemd's timers run in the first: what ran then counts for the second as well.
        early = cron.repeated(slots.timezone, slot)
    return (slots.last_slot_at or 0) >= slot - early or (slots.last_run_at or 0) >= slot - early - EARLY
