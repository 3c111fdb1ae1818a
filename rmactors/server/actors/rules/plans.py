"""The same backup: what a run of a plan means for every alert and schedule that is about this plan.

An end is judged first for the subject that it belongs to: its schedule, else its plan. Beyond that,

- a good one counts for the plan, whichever schedule, operator or command it came from: it resolves what is open about
  it, and is remembered, so that an older failure that arrives late raises nothing;
- a bad one that belongs to no schedule (*Run now*, `exec`) joins the open alert of a schedule that runs the same plan,
  where there is one: people hear of one cause once. One that belongs to a schedule is its own schedule's affair;
- the real end of a lost job goes wherever its loss went.
"""

from dataclasses import replace

from rmactors.common.vocabulary import FAILURE_ALERT
from rmactors.server.actors.rules import crowd, outcomes
from rmactors.server.actors.rules.outcomes import Outcome, good_enough, is_end_of_loss, verdict_of
from rmactors.server.messages.reports import EndReport
from rmactors.server.messages.schedules import MarkGood
from rmactors.server.messages.writes import Write
from rmactors.server.state.alert_state import Decision, Key, Track, expect
from rmactors.server.state.host_state import Book, Schedule, Verdict, keep


def plan_of(report_plan: str | None, schedule: Schedule | None) -> str | None:
    """The plan of a run: the one that its report names, else the one that its schedule names."""
    return report_plan or (schedule.plan if schedule is not None else None)


def runs_plan(book: Book, schedule: Schedule, plan: str) -> bool:
    """Whether a schedule runs that plan: it names it, or it names none, and its host has no other or its newest
    outcome was of it."""
    if schedule.plan is not None:
        return schedule.plan == plan
    if schedule.by_agent and book.plans == (plan,):
        return True
    kind = FAILURE_ALERT.get(schedule.kind)
    head = book.track(Key(schedule.host_id, kind, schedule.id)).head if kind is not None else None
    return head is not None and head.plan == plan


def mark_good(book: Book, report: EndReport, schedule: Schedule | None) -> tuple[MarkGood, ...]:
    """For each schedule that a good end counts for, when that was, unless a newer one is known.

    One whose schedule wants to hear of partial runs is not served by a partial run of another.
    """
    if not good_enough(report.status, report.reason, schedule.on_partial if schedule is not None else "alert"):
        return ()
    plan = plan_of(report.plan, schedule)
    marked: list[MarkGood] = []
    for known in book.schedules.values():
        served = known is schedule or (plan is not None and runs_plan(book, known, plan))
        if (
            known.kind == report.kind and not known.deleted and served
            and good_enough(report.status, report.reason, known.on_partial)
            and report.finished_at > (known.last_good_at or 0)
        ):  # fmt: skip
            known.last_good_at = report.finished_at
            marked.append(MarkGood(known.id, report.finished_at))
    return tuple(marked)


def judge(book: Book, own: Key, outcome: Outcome, fresh_id: str) -> Verdict:
    """What an outcome does to the alert of `own`, its subject, and to the others about its plan.

    A deleted schedule has no alerts any more; what was backed up under it still counts for its plan.
    """
    others = [other for other in _related(book, own, outcome) if _concerns(book, own, other, outcome)]
    joins = own.subject not in book.schedules and any(book.track(other).alert is not None for other in others)
    built_on = _built_on(book, own, others, outcome)
    teller = None if joins else crowd.teller(book, own, fresh_id)
    keys, was = [own, *others], book.track(own)
    were_held = [key in book.held_back() for key in keys]
    verdicts = []
    if not _is_deleted(book, own):
        verdicts.append(_judge_own(book, own, outcome, None if joins or teller else fresh_id, teller))
    held_back = teller is not None and _is_held_back(was, book.track(own), outcome, teller)
    counted_on = crowd.counted_on(book, verdicts[0].writes if verdicts else (), held_back)
    for other in others:
        schedule = book.schedules.get(other.subject)
        label, zone = (schedule.name, schedule.slots.timezone) if schedule is not None else (outcome.plan or "", "UTC")
        seen = replace(outcome, label=label, zone=zone)
        verdicts.append(keep(book, other, outcomes.judge(other, book.track(other), seen, None)))
    changed = were_held != [key in book.held_back() for key in keys]
    verdicts.append(crowd.told(book, held_back, changed, outcome.now, fresh_id))
    return Verdict(
        counted_on + tuple(write for verdict in verdicts for write in verdict.writes) + built_on,
        any(verdict.changed for verdict in verdicts),
        "; ".join(verdict.why for verdict in verdicts if verdict.why) or "its schedule is deleted",
    )


def _is_held_back(before: Track, after: Track, outcome: Outcome, teller: str) -> bool:
    """Whether this outcome is a failure that raised nothing, because of too many alerts; not one in a loss's place."""
    if after is before or after.alert is not None or after.head is None or is_end_of_loss(before.head, outcome):
        return False
    return after.head.job_id == outcome.job_id and after.head.told_by == teller


def _judge_own(book: Book, own: Key, outcome: Outcome, fresh_id: str | None, held_back_by: str | None) -> Verdict:
    """For its own subject. Where nothing is known of a schedule yet, the newest good end of its plan is."""
    track = book.track(own)
    of_plan = _key_of_plan(own, outcome.plan) if outcome.plan is not None else own
    known = book.track(of_plan)
    if of_plan == own or known.good is None or track.head or track.alert or verdict_of(outcome) != "bad":
        return keep(book, own, outcomes.judge(own, track, outcome, fresh_id, held_back_by))
    seeded = replace(track, head=known.good, good=known.good, last_good_at=known.good.at)
    decision = outcomes.judge(own, seeded, outcome, fresh_id, held_back_by)
    after = track if decision.track is seeded else decision.track
    return keep(book, own, Decision(after, (*decision.writes, expect(of_plan, known)), decision.why))


def _related(book: Book, own: Key, outcome: Outcome) -> list[Key]:
    """The other keys that may be about the same plan: its own, those of the schedules that run it, and those whose
    newest outcome was of it. And wherever its loss went, if it was lost before."""
    keys = [key for key in book.losses() if key.kind == own.kind and is_end_of_loss(book.track(key).head, outcome)]
    if outcome.plan is not None:
        keys.append(_key_of_plan(own, outcome.plan))
        for schedule in book.schedules.values():
            key = Key(own.host_id, own.kind, schedule.id)
            head = book.track(key).head
            about = runs_plan(book, schedule, outcome.plan) or (head is not None and head.plan == outcome.plan)
            if about and not schedule.deleted:
                keys.append(key)
    return [key for key in dict.fromkeys(keys) if key != own]


def _concerns(book: Book, own: Key, other: Key, outcome: Outcome) -> bool:
    """Whether an outcome of `own` is to be judged for `other`, which is about the same plan."""
    track, verdict = book.track(other), verdict_of(outcome)
    if is_end_of_loss(track.head, outcome):
        return True
    schedule = book.schedules.get(other.subject)
    if schedule is not None and outcome.status == "partial":
        alike = good_enough(outcome.status, outcome.reason, schedule.on_partial) == (verdict == "good")
        if not alike:  # its schedule sees a partial run with other eyes
            return False
    if verdict == "good":
        return schedule is None or other in book.tracks
    joins = own.subject not in book.schedules and book.track(own).alert is None
    return verdict == "bad" and joins and track.alert is not None


def _built_on(book: Book, own: Key, others: list[Key], outcome: Outcome) -> tuple[Write, ...]:
    """For what is decided about a plan: that the schedules which were left alone are on disk as they are known here.
    What they ran last says which plan they are about, and an alert that is open keeps another from being raised."""
    if outcome.plan is None or (verdict_of(outcome) == "bad" and own.subject in book.schedules):
        return ()
    keys = (Key(own.host_id, own.kind, schedule_id) for schedule_id in book.schedules)
    left = (key for key in keys if key in book.tracks and key != own and key not in others)
    return tuple(expect(key, book.track(key)) for key in left)


def _key_of_plan(own: Key, plan: str) -> Key:
    return Key(own.host_id, own.kind, f"plan:{plan}")


def _is_deleted(book: Book, own: Key) -> bool:
    schedule = book.schedules.get(own.subject)
    return schedule is not None and schedule.deleted
