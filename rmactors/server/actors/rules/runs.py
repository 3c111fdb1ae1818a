"""What the start, the end and the loss of a run lead to."""

from dataclasses import replace

from rmactors.common.clock import seconds
from rmactors.common.vocabulary import DEFAULT_MAX_RUNTIME_SECONDS, FAILURE_ALERT, OnPartial
from rmactors.server.actors.rules import alert_limit, host_conditions, overdue, plans, suspicious, wording
from rmactors.server.actors.rules.missed_runs import grace, mark, missed
from rmactors.server.actors.rules.outcomes import Outcome
from rmactors.server.messages.jobs import SaveEnd, SaveLoss, SaveStart
from rmactors.server.messages.reasons import Reason
from rmactors.server.messages.reports import EndReport, LostJob, StartReport
from rmactors.server.messages.schedules import MarkRun
from rmactors.server.state import clocks
from rmactors.server.state.alert_state import AlertKey, Size
from rmactors.server.state.host_state import Decision, HostState, Schedule, apply


def start(host: HostState, report: StartReport, least_grace: float) -> Decision:
    subject, schedule, warning = _subject(host, report.plan, report.schedule_id)
    longest = schedule.max_runtime_seconds if schedule is not None else DEFAULT_MAX_RUNTIME_SECONDS
    patience = grace(schedule.slots, report.received_at, least_grace) if schedule is not None else seconds(least_grace)
    began = clocks.start_here(report.started_at, report.received_at, host.clock_offset)
    deadline = began + seconds(longest) + patience
    ran = _ran(host, schedule, report, least_grace)
    return Decision(
        (SaveStart(report, _accepted(host, report.schedule_id), subject, deadline, warning), *ran.writes),
        ran.changed,
        (Reason.RUN_BEGAN, *ran.reasons),
    )


def end(host: HostState, report: EndReport, fresh_id: str, least_grace: float) -> Decision:
    subject, schedule, warning = _subject(host, report.plan, report.schedule_id)
    ran = _ran(host, schedule, report, least_grace)
    warning = "; ".join(each for each in (warning, report.warning) if each) or None
    good = plans.mark_good(host, report, schedule)
    no_longer = overdue.after_good(host, good, report.received_at)
    writes = (SaveEnd(report, _accepted(host, report.schedule_id), subject, warning), *ran.writes, *good, *no_longer)
    changed = ran.changed or bool(good)
    kind = FAILURE_ALERT.get(report.kind)
    if kind is None:
        return Decision(writes, changed, (Reason.NO_RULE,))
    outcome = Outcome(
        report.job_id, report.kind, _label(schedule, report.plan), report.status, report.reason, report.error,
        report.exit_code, _on_partial(schedule), report.finished_at, report.received_at, report.spool_id, report.seq,
        plan=plans.plan_of(report.plan, schedule), zone=_zone(schedule),
    )  # fmt: skip
    key, size = AlertKey(report.host_id, kind, subject), Size(report.files_total, report.bytes_total)
    judged = plans.judge(host, key, outcome, fresh_id)
    writes, changed = (*writes, *judged.writes), changed or judged.changed
    if (report.kind, report.status) != ("backup", "succeeded") or size == Size(None, None):
        return Decision((*writes, *alert_limit.forget(host)), changed, judged.reasons)
    measured = suspicious.judge(host, key, outcome, size, fresh_id)
    writes, changed = (*writes, *measured.writes), changed or measured.changed
    return Decision((*writes, *alert_limit.forget(host)), changed, judged.reasons + measured.reasons)


def loss(host: HostState, lost: LostJob, fresh_id: str) -> Decision:
    subject, schedule, _ = _subject(host, lost.plan, lost.schedule_id)
    kind = FAILURE_ALERT.get(lost.kind)
    if kind is None:
        return Decision((SaveLoss(lost),), False, (Reason.NO_RULE,))
    at = clocks.earlier(lost.at, host.clock_offset)  # the ends that come after it carry the host's own times
    outcome = Outcome(
        lost.job_id, lost.kind, _label(schedule, lost.plan), "failed", "lost", lost.detail, None, _on_partial(schedule),
        at, lost.at, lost=True, plan=plans.plan_of(lost.plan, schedule), zone=_zone(schedule),
    )  # fmt: skip
    judged = plans.judge(host, AlertKey(lost.host_id, kind, subject), outcome, fresh_id)
    return Decision((SaveLoss(lost), *judged.writes), judged.changed, judged.reasons)


def _ran(host: HostState, schedule: Schedule | None, report: StartReport | EndReport, least_grace: float) -> Decision:
    """A run of a schedule: which slot it counts for, and whether that ends a `stale_schedule`."""
    if schedule is None:
        return Decision((), False, (Reason.NO_SCHEDULE,))
    now, offset = report.received_at, host.clock_offset
    said = report.started_at if report.said_start is None else report.said_start
    began = clocks.latest_start(said, now, offset)
    slot, free = mark(schedule.slots, report.scheduled_for, began, clocks.later(now, offset))
    known = schedule.slots
    if (slot or 0) <= (known.last_slot_at or 0) and (free or 0) <= (known.last_run_at or 0):
        return Decision((MarkRun(schedule.id, slot, free, known=True),), False, (Reason.RUN_KNOWN,))
    schedule.slots = replace(
        known,
        last_slot_at=max(known.last_slot_at or 0, slot or 0) or None,
        last_run_at=max(known.last_run_at or 0, free or 0) or None,
    )
    marked = MarkRun(schedule.id, slot, free)
    key = AlertKey(schedule.host_id, "stale_schedule", schedule.id)
    if key not in host.alert_states or missed(schedule.slots, clocks.earlier(now, offset), least_grace) is not None:
        return Decision((marked,), True, (Reason.RUN_NOTED,))
    cleared = apply(
        host, key, host_conditions.resolve(key, host.state_of(key), wording.running_again(schedule.name), now)
    )
    return Decision((marked, *cleared.writes), True, cleared.reasons)


# ---- small questions


def _subject(host: HostState, plan: str | None, schedule_id: str | None) -> tuple[str, Schedule | None, str | None]:
    """(subject, schedule, warning) of a job: its schedule, else its plan, else nothing."""
    warning = None
    if schedule_id is not None:
        schedule = host.schedules.get(schedule_id)
        if schedule is not None and schedule.deleted:
            return schedule_id, None, "its schedule was deleted"
        if schedule is not None:
            return schedule_id, schedule, None
        warning = f"schedule {schedule_id} is not one of this host's; counted as none"
    return (f"plan:{plan}" if plan else ""), None, warning


def _accepted(host: HostState, schedule_id: str | None) -> str | None:
    return schedule_id if schedule_id in host.schedules else None


def _label(schedule: Schedule | None, plan: str | None) -> str:
    return schedule.name if schedule is not None else plan or ""


def _on_partial(schedule: Schedule | None) -> OnPartial:
    return schedule.on_partial if schedule is not None else "alert"


def _zone(schedule: Schedule | None) -> str:
    return schedule.slots.timezone if schedule is not None else "UTC"
