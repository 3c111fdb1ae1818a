"""What each request about a host leads to.

Every function takes the host's state and a message, changes the state to what is true from now on, and returns the
writes that put it on disk. If one of those fails, the state in memory is wrong from there on and is read again.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from rmactors.server.actors.rules import host_conditions, operators, overdue, runs, suspicious, wording
from rmactors.server.messages.alerts import ResolveAlert
from rmactors.server.messages.hosts import DeleteHost
from rmactors.server.messages.reasons import Reason
from rmactors.server.messages.requests import (
    Acknowledge,
    Asked,
    Change,
    HostReturned,
    HostWentSilent,
    JudgeEnd,
    JudgeLoss,
    JudgeStart,
    Resolve,
)
from rmactors.server.messages.schedules import DeleteSchedule, SaveSchedule
from rmactors.server.messages.silences import CreateSilence, DeleteSilence
from rmactors.server.messages.writes import Write
from rmactors.server.state.alert_state import EMPTY, AlertKey
from rmactors.server.state.host_state import Decision, HostState, Schedule, apply, limit_hours, plan_named
from rmactors.server.state.slots import Slots

Decidable = Asked | HostReturned


def decide(host: HostState, request: Decidable, fresh_id: str, least_grace: float) -> Decision:
    """What `request` leads to. `fresh_id` names an alert that is raised; `least_grace` in seconds."""
    match request:
        case JudgeStart(report=report):
            return runs.start(host, report, least_grace)
        case JudgeEnd(report=report):
            return runs.end(host, report, fresh_id, least_grace)
        case JudgeLoss(loss=loss):
            return runs.loss(host, loss, fresh_id)
        case HostWentSilent():
            return host_conditions.judge(host, request, fresh_id)
        case HostReturned():
            if request.plans is not None:
                host.plans = request.plans
            return host_conditions.judge(host, request, fresh_id)
        case Acknowledge():
            about = host.key_of(request.alert_id)
            if about is None:
                return Decision((operators.plain(request),), False, (Reason.NOT_OPEN,))
            decided = operators.acknowledge(
                about, host.state_of(about), request.by, request.note, request.at, request.audit
            )
            return apply(host, about, decided)
        case Resolve():
            about = host.key_of(request.alert_id)
            if about is None:
                return Decision((operators.plain(request),), False, (Reason.NOT_OPEN,))
            if about.kind == "backup_suspicious" and request.meant:
                return suspicious.meant(host, about, request)
            return apply(host, about, operators.resolve(about, host.state_of(about), request))
        case Change():
            return _change(host, request.write)
        case _:
            assert_never(request)


# ---- operators' changes


def _change(
    host: HostState, write: SaveSchedule | DeleteSchedule | DeleteHost | CreateSilence | DeleteSilence
) -> Decision:
    match write:
        case SaveSchedule():
            return _save_schedule(host, write)
        case DeleteSchedule():
            return _delete_schedule(host, write)
        case DeleteHost():
            ended = _end_all(host, list(host.alert_states), "the host was deleted", write.at, Reason.HOST_DELETED)
            return Decision((*ended, write), True, (Reason.HOST_DELETED,))
        case CreateSilence() | DeleteSilence():
            return Decision((write,), False, (Reason.SILENCE_CHANGED,))
        case _:
            assert_never(write)


def _save_schedule(host: HostState, write: SaveSchedule) -> Decision:
    known = host.schedules.get(write.schedule_id)
    ended: tuple[Write, ...] = ()
    # A new name alone leaves the slot missed.
    if known is not None and (write.anchor_at != known.slots.anchor_at or not write.enabled):
        key = AlertKey(write.host_id, "stale_schedule", write.schedule_id)
        text = wording.not_expected(known.name, "changed" if write.enabled else "disabled")
        ended = apply(host, key, host_conditions.resolve(key, host.state_of(key), text, write.at)).writes
    fresh = Slots(
        write.cron, write.timezone, write.anchor_at, write.grace_seconds, on_calendar=write.on_calendar,
        every_hours=write.every_hours, external=write.mode == "external",
    )  # fmt: skip
    last_good_at, created_at = None, write.at
    if known is not None:
        fresh = replace(fresh, last_slot_at=known.slots.last_slot_at, last_run_at=known.slots.last_run_at)
        last_good_at, created_at = known.last_good_at if write.kind == known.kind else None, known.created_at
    saved = host.schedules[write.schedule_id] = Schedule(
        write.schedule_id, write.host_id, write.name, write.enabled, write.on_partial, write.max_runtime_seconds, fresh,
        write.kind, write.mode == "agent", plan_named(write.params), last_good_at, created_at=created_at,
        limit_hours=limit_hours(write.kind, write.max_age_hours, write.every_hours),
    )  # fmt: skip
    if known is not None:
        ended += overdue.after_change(host, known, saved, write.at)
    return Decision((write, *ended), True, (Reason.SCHEDULE_SAVED,))


def _delete_schedule(host: HostState, write: DeleteSchedule) -> Decision:
    known = host.schedules.get(write.schedule_id)
    if known is None or known.deleted:
        return Decision((write,), False, (Reason.SCHEDULE_GONE,))
    known.deleted = True
    about = [key for key in host.alert_states if key.subject == write.schedule_id]
    ended = _end_all(host, about, "the schedule was deleted", write.at, Reason.SCHEDULE_DELETED)
    return Decision((*ended, write), True, (Reason.SCHEDULE_DELETED,))


def _end_all(host: HostState, keys: Iterable[AlertKey], note: str, at: int, reason: Reason) -> list[Write]:
    writes: list[Write] = []
    for key in keys:
        alert = host.state_of(key).alert
        host.put(key, EMPTY)
        if alert is not None:
            writes.append(ResolveAlert(alert.id, at, "rule", note, reason=reason))
    return writes
