"""The same backup: what a run of a plan means for every alert and schedule that is about this plan.

An end is judged first for the subject that it belongs to: its schedule, else its plan. Beyond that,

- a good one counts for the plan, whichever schedule, operator or command it came from: it resolves what is open about
  it, and is remembered, so that an older failure that arrives late raises nothing;
- a bad one that belongs to no schedule (*Run now*, `exec`) joins the open alert of a schedule that runs the same plan,
  if there is one: people hear of one cause once. One that belongs to a schedule is its own schedule's affair;
- the real end of a lost job goes wherever its loss went.
"""

from msgspec.structs import replace

from rmactors.common.vocabulary import FAILURE_ALERT
from rmactors.server.actors.rules import alert_limit, outcomes
from rmactors.server.actors.rules.outcomes import Outcome, good_enough, is_end_of_loss, verdict_of
from rmactors.server.messages.reasons import Reason
from rmactors.server.messages.reports import EndReport
from rmactors.server.messages.schedules import MarkGood
from rmactors.server.messages.writes import Write
from rmactors.server.state.ages import plans_run
from rmactors.server.state.alert_state import AlertDecision, AlertKey, AlertState, expect
from rmactors.server.state.host_state import Decision, HostState, Schedule, apply


def plan_of(report_plan: str | None, schedule: Schedule | None) -> str | None:
    """The plan of a run: the one that its report names, else the one that its schedule names."""
    return report_plan or (schedule.plan if schedule is not None else None)


def runs_plan(host: HostState, schedule: Schedule, plan: str) -> bool:
    """Whether a schedule runs that plan: it names it, or it names none, and its host has no other or its newest
    outcome was of it."""
    kind = FAILURE_ALERT.get(schedule.kind)
    last = host.state_of(AlertKey(schedule.host_id, kind, schedule.id)).last if kind is not None else None
    last_plan = last.plan if last is not None else None
    return plan in plans_run(schedule.plan, schedule.by_agent, host.plans, last_plan)


def mark_good(host: HostState, report: EndReport, schedule: Schedule | None) -> tuple[MarkGood, ...]:
    """For each schedule that a good end counts for, when that was, unless a newer one is known.

    One whose schedule wants to hear of partial runs is not served by a partial run of another.
    """
    if not good_enough(report.status, report.reason, schedule.on_partial if schedule is not None else "alert"):
        return ()
    plan = plan_of(report.plan, schedule)
    marked: list[MarkGood] = []
    for known in host.schedules.values():
        served = known is schedule or (plan is not None and runs_plan(host, known, plan))
        if (
            known.kind == report.kind and not known.deleted and served
            and good_enough(report.status, report.reason, known.on_partial)
            and report.finished_at > (known.last_good_at or 0)
        ):  # fmt: skip
            known.last_good_at = report.finished_at
            marked.append(MarkGood(known.id, report.finished_at))
    return tuple(marked)


def judge(host: HostState, own: AlertKey, outcome: Outcome, fresh_id: str) -> Decision:
    """What an outcome does to the alert of `own`, its subject, and to the others about its plan.

    A deleted schedule has no alerts any more; what was backed up under it still counts for its plan.
    """
    others = [other for other in _related(host, own, outcome) if _concerns(host, own, other, outcome)]
    joins = own.subject not in host.schedules and any(host.state_of(other).alert is not None for other in others)
    built_on = _built_on(host, own, others, outcome)
    covering_alert = None if joins else alert_limit.covering_alert(host, own, fresh_id)
    keys, was = [own, *others], host.state_of(own)
    were_held = [key in host.held_back() for key in keys]
    decisions = []
    if not _is_deleted(host, own):
        decisions.append(_judge_own(host, own, outcome, None if joins or covering_alert else fresh_id, covering_alert))
    held_back = covering_alert is not None and _is_held_back(was, host.state_of(own), outcome, covering_alert)
    counted_on = alert_limit.counted_on(host, decisions[0].writes if decisions else (), held_back)
    for other in others:
        schedule = host.schedules.get(other.subject)
        label, zone = (schedule.name, schedule.slots.timezone) if schedule is not None else (outcome.plan or "", "UTC")
        seen = replace(outcome, label=label, zone=zone)
        decisions.append(apply(host, other, outcomes.judge(other, host.state_of(other), seen, None)))
    changed = were_held != [key in host.held_back() for key in keys]
    decisions.append(alert_limit.update(host, held_back, changed, outcome.now, fresh_id))
    return Decision(
        counted_on + tuple(write for verdict in decisions for write in verdict.writes) + built_on,
        any(verdict.changed for verdict in decisions),
        tuple(reason for decision in decisions for reason in decision.reasons) or (Reason.SCHEDULE_GONE,),
    )


def _is_held_back(before: AlertState, after: AlertState, outcome: Outcome, covering_alert: str) -> bool:
    """Whether this outcome is a failure that raised nothing, because of too many alerts; not one in a loss's place."""
    if after is before or after.alert is not None or after.last is None or is_end_of_loss(before.last, outcome):
        return False
    return after.last.job_id == outcome.job_id and after.last.told_by == covering_alert


def _judge_own(
    host: HostState, own: AlertKey, outcome: Outcome, fresh_id: str | None, held_back_by: str | None
) -> Decision:
    """For its own subject. If nothing is known of a schedule yet, the newest good end of its plan is."""
    state = host.state_of(own)
    of_plan = _key_of_plan(own, outcome.plan) if outcome.plan is not None else own
    known = host.state_of(of_plan)
    if of_plan == own or known.good is None or state.last or state.alert or verdict_of(outcome) != "bad":
        return apply(host, own, outcomes.judge(own, state, outcome, fresh_id, held_back_by))
    seeded = replace(state, last=known.good, good=known.good, last_good_at=known.good.at)
    decision = outcomes.judge(own, seeded, outcome, fresh_id, held_back_by)
    after = state if decision.state is seeded else decision.state
    return apply(host, own, AlertDecision(after, (*decision.writes, expect(of_plan, known)), decision.reason))


def _related(host: HostState, own: AlertKey, outcome: Outcome) -> list[AlertKey]:
    """The other keys that may be about the same plan: its own, those of the schedules that run it, and those whose
    newest outcome was of it. And wherever its loss went, if it was lost before."""
    keys = [key for key in host.losses() if key.kind == own.kind and is_end_of_loss(host.state_of(key).last, outcome)]
    if outcome.plan is not None:
        keys.append(_key_of_plan(own, outcome.plan))
        for schedule in host.schedules.values():
            key = AlertKey(own.host_id, own.kind, schedule.id)
            last = host.state_of(key).last
            about = runs_plan(host, schedule, outcome.plan) or (last is not None and last.plan == outcome.plan)
            if about and not schedule.deleted:
                keys.append(key)
    return [key for key in dict.fromkeys(keys) if key != own]


def _concerns(host: HostState, own: AlertKey, other: AlertKey, outcome: Outcome) -> bool:
    """Whether an outcome of `own` is to be judged for `other`, which is about the same plan."""
    state, verdict = host.state_of(other), verdict_of(outcome)
    if is_end_of_loss(state.last, outcome):
        return True
    schedule = host.schedules.get(other.subject)
    if schedule is not None and outcome.status == "partial":
        alike = good_enough(outcome.status, outcome.reason, schedule.on_partial) == (verdict == "good")
        if not alike:  # its schedule sees a partial run with other eyes
            return False
    if verdict == "good":
        return schedule is None or other in host.alert_states
    joins = own.subject not in host.schedules and host.state_of(own).alert is None
    return verdict == "bad" and joins and state.alert is not None


def _built_on(host: HostState, own: AlertKey, others: list[AlertKey], outcome: Outcome) -> tuple[Write, ...]:
    """For what is decided about a plan: that the schedules which were left alone are on disk as they are known here.
    What they ran last says which plan they are about, and an alert that is open keeps another from being raised."""
    if outcome.plan is None or not host.schedules or (verdict_of(outcome) == "bad" and own.subject in host.schedules):
        return ()
    keys = (AlertKey(own.host_id, own.kind, schedule_id) for schedule_id in host.schedules)
    left = (key for key in keys if key in host.alert_states and key != own and key not in others)
    return tuple(expect(key, host.state_of(key)) for key in left)


def _key_of_plan(own: AlertKey, plan: str) -> AlertKey:
    return AlertKey(own.host_id, own.kind, f"plan:{plan}")


def _is_deleted(host: HostState, own: AlertKey) -> bool:
    schedule = host.schedules.get(own.subject)
    return schedule is not None and schedule.deleted
