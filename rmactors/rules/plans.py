"""The same backup: what a run of a plan means for the schedules that run that plan.

A good end counts for the plan, whichever schedule, operator or command it came from.
"""

from rmactors.messages.reports import EndReport
from rmactors.messages.writes import MarkGood, Write
from rmactors.rules.host import Book, Schedule
from rmactors.rules.outcomes import good_enough
from rmactors.rules.track import Key
from rmactors.vocabulary import FAILURE_ALERT


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


def mark_good(book: Book, report: EndReport, schedule: Schedule | None) -> tuple[Write, ...]:
    """For each schedule that a good end counts for, when that was, unless a newer one is known.

    One whose schedule wants to hear of partial runs is not served by a partial run of another.
    """
    if not good_enough(report.status, report.reason, schedule.on_partial if schedule is not None else "alert"):
        return ()
    plan = plan_of(report.plan, schedule)
    marked: list[Write] = []
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
