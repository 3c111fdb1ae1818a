"""A host, and what the rules may be asked about it. Anyone who asks hears nothing: answers are effects here."""

from dataclasses import replace
from itertools import count
from typing import Any

from msgspec import structs

from rmactors.common import clock
from rmactors.common.clock import DAY, HOUR
from rmactors.common.vocabulary import JobEnd
from rmactors.server.actors.rules.pipeline import HostPipeline
from rmactors.server.messages.answers import no_reply
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.reports import EndReport, LostJob, StartReport
from rmactors.server.messages.requests import (
    Acknowledge,
    Change,
    HostReturned,
    HostWentSilent,
    JudgeEnd,
    JudgeLoss,
    JudgeStart,
    Resolve,
)
from rmactors.server.messages.schedules import SaveSchedule
from rmactors.server.state.alert_state import AlertKey, AlertState, OpenAlert
from rmactors.server.state.host_state import HostState, Schedule
from rmactors.server.state.slots import Slots

NOON = clock.from_rfc3339("2026-11-23T12:00:00Z")
THREE = NOON - 9 * HOUR
AUDIT = Audit(NOON, "anna", "user", "x.y", "x", "y")
FLOOR = 300.0
FAILED = AlertKey("host", "backup_failed", "")
OFFLINE = AlertKey("host", "agent_offline", "")


def schedule(id: str = "s", host_id: str = "host", **changes: Any) -> Schedule:
    """Daily at 03:00, known since a month, run yesterday."""
    slots = Slots("0 3 * * *", "UTC", NOON - 30 * DAY, 0.0, THREE - DAY, None)
    return replace(Schedule(id, host_id, "Nightly", True, "alert", 3600.0, slots, "backup"), **changes)


def host(*schedules: Schedule, id: str = "host", **changes: Any) -> HostState:
    return replace(HostState(id, True, False, schedules={each.id: each for each in schedules}), **changes)


def with_alert(alert: str = "alert", key: AlertKey = FAILED) -> HostState:
    """A host with this alert open."""
    state = AlertState(OpenAlert(alert, "warning", NOON), version=1)
    return host(id=key.host_id, alert_states={key: state})


def pipeline(of: HostState | None = None) -> HostPipeline:
    numbers = count(1)
    return HostPipeline(of if of is not None else host(schedule()), FLOOR, lambda: f"alert{next(numbers)}")


def start(job: str = "job", host_id: str = "host", schedule_id: str | None = None) -> JudgeStart:
    return JudgeStart(StartReport(host_id, job, "backup", None, schedule_id, None, NOON, NOON), no_reply)


def end(
    job: str = "job", status: JobEnd = "failed", host_id: str = "host", schedule_id: str | None = None, **changes: Any
) -> JudgeEnd:
    report = EndReport(
        host_id, job, "backup", None, schedule_id, None, status, "error", None, 1, NOON, NOON, "{}", None, None, NOON
    )  # fmt: skip
    return JudgeEnd(structs.replace(report, **changes), no_reply)


def lost(job: str = "job", at: int = NOON) -> JudgeLoss:
    return JudgeLoss(LostJob("host", job, "backup", None, None, NOON - HOUR, at, "gone"), no_reply)


def resolve(alert: str = "alert", by: str = "anna", *, meant: bool = False) -> Resolve:
    return Resolve(alert, by, None, NOON, AUDIT, no_reply, meant)


def acknowledge(alert: str = "alert", by: str = "anna") -> Acknowledge:
    return Acknowledge(alert, by, None, NOON, AUDIT, no_reply)


def silent(host_id: str = "host") -> HostWentSilent:
    return HostWentSilent(host_id, NOON - HOUR, NOON, no_reply)


def returned(host_id: str = "host", **changes: Any) -> HostReturned:
    return HostReturned(host_id, NOON, **changes)


def save(id: str = "s", host_id: str = "host", **changes: Any) -> Change:
    write = SaveSchedule(
        id, host_id, "Nightly", "backup", "0 3 * * *", "UTC", True, "agent", 0.0, 3600.0, "alert", "{}", NOON, NOON,
        AUDIT,
    )  # fmt: skip
    return Change(replace(write, **changes), no_reply)
