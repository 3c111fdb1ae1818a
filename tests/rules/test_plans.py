"""The same backup: what a run of a plan means for the schedules and alerts of that plan, one row a case."""

from dataclasses import replace

import pytest

from rmactors import clock
from rmactors.clock import DAY, HOUR
from rmactors.messages.reports import EndReport
from rmactors.messages.requests import Change, HostReturned, JudgeEnd
from rmactors.messages.writes import Audit, MarkGood, SaveSchedule, no_reply
from rmactors.rules.book import decide
from rmactors.rules.host import Book, Schedule, plan_named
from rmactors.rules.slots import Slots
from rmactors.vocabulary import JobEnd, JobKind, Reason

NOON = clock.from_rfc3339("2026-11-23T12:00:00Z")
FLOOR = 300.0


def schedule(name: str, plan: str | None = None, **changes: object) -> Schedule:
    slots = Slots("0 3 * * *", "UTC", NOON - 30 * DAY, 0.0, NOON - 9 * HOUR)
    made = Schedule(name, "host", name.title(), True, "alert", 3600.0, slots, "backup", plan=plan)
    return replace(made, **changes)  # type: ignore[arg-type]


def a_book(*schedules: Schedule, plans: tuple[str, ...] = ("data", "music")) -> Book:
    return Book("host", True, False, schedules={known.id: known for known in schedules}, plans=plans)


def ended(
    job: str,
    status: JobEnd,
    at: int = NOON,
    *,
    plan: str | None = None,
    of: str | None = None,
    kind: JobKind = "backup",
    reason: Reason = "error",
    seq: int | None = None,
) -> JudgeEnd:
    report = EndReport(
        "host", job, kind, plan, of, None, status, reason, None, 1, at, at, "{}", "spool" if seq else None, seq, at
    )  # fmt: skip
    return JudgeEnd(report, no_reply)


def marked(book: Book, request: JudgeEnd) -> dict[str, int]:
    """Which schedules a good end counts for, and when it was."""
    verdict = decide(book, request, "fresh", FLOOR)
    found = {write.schedule_id: write.at for write in verdict.writes if isinstance(write, MarkGood)}
    assert verdict.changed or not found
    for schedule_id, at in found.items():
        assert book.schedules[schedule_id].last_good_at == at
    return found


DATA = schedule("data-nightly", "data")
NOON_TOO = schedule("data-noon", "data")
MUSIC = schedule("music-nightly", "music")
NAMES_NONE = schedule("names-none")


@pytest.mark.parametrize(
    ("schedules", "plans", "request_", "counts_for"),
    [
        # a run of a schedule counts for it, with or without a plan's name
        ([NAMES_NONE], (), ended("A", "succeeded", of="names-none"), {"names-none"}),
        ([DATA], (), ended("A", "succeeded", of="data-nightly", plan="data"), {"data-nightly"}),
        # for every schedule of its plan, whoever ran it, and for no other
        ([DATA, NOON_TOO, MUSIC], (), ended("A", "succeeded", plan="data"), {"data-nightly", "data-noon"}),
        ([DATA, NOON_TOO], (), ended("A", "succeeded", of="data-noon", plan="data"), {"data-nightly", "data-noon"}),
        ([DATA, NOON_TOO], (), ended("A", "succeeded", of="data-noon"), {"data-nightly", "data-noon"}),
        ([DATA], (), ended("A", "succeeded", plan="music"), set()),
        ([DATA], (), ended("A", "succeeded"), set()),
        # a schedule that names no plan runs the only one of its host, where the agent keeps it
        ([NAMES_NONE], ("data",), ended("A", "succeeded", plan="data"), {"names-none"}),
        ([NAMES_NONE], ("data", "music"), ended("A", "succeeded", plan="data"), set()),
        ([replace(NAMES_NONE, by_agent=False)], ("data",), ended("A", "succeeded", plan="data"), set()),
        # only of the schedule's own kind, and none that is deleted
        ([schedule("forgets", "data", kind="forget")], (), ended("A", "succeeded", plan="data"), set()),
        ([schedule("restores", "data", kind="restore")], (), ended("A", "succeeded", plan="data", kind="restore"),
         {"restores"}),
        ([DATA], (), ended("A", "succeeded", of="data-nightly", kind="forget"), set()),
        ([replace(DATA, deleted=True)], (), ended("A", "succeeded", of="data-nightly", plan="data"), set()),
        # only a good end, and good is what the schedule says
        ([DATA], (), ended("A", "failed", of="data-nightly", plan="data"), set()),
        ([DATA], (), ended("A", "skipped", of="data-nightly", plan="data"), set()),
        ([DATA], (), ended("A", "partial", of="data-nightly", plan="data"), set()),
        ([replace(DATA, on_partial="ok")], (), ended("A", "partial", of="data-nightly", plan="data"), {"data-nightly"}),
        ([replace(DATA, on_partial="ok")], (),
         ended("A", "partial", of="data-nightly", plan="data", reason="no_source"), set()),
        ([replace(DATA, on_partial="ok"), NOON_TOO], (), ended("A", "partial", of="data-nightly"), {"data-nightly"}),
        ([replace(DATA, on_partial="ok")], (), ended("A", "partial", plan="data"), set()),  # by nobody's leave
    ],
)  # fmt: skip
def test_a_good_end_counts_for_the_schedules_of_its_plan(
    schedules: list[Schedule], plans: tuple[str, ...], request_: JudgeEnd, counts_for: set[str]
) -> None:
    book = a_book(*(replace(known) for known in schedules), plans=plans)
    assert marked(book, request_) == dict.fromkeys(counts_for, NOON)


def test_an_older_good_end_takes_nothing_back() -> None:
    book = a_book(replace(DATA))
    assert marked(book, ended("A", "succeeded", NOON, plan="data")) == {"data-nightly": NOON}
    assert marked(book, ended("B", "succeeded", NOON - HOUR, plan="data")) == {}


def test_an_external_schedule_runs_the_plan_that_its_newest_outcome_named() -> None:
    book = a_book(replace(NAMES_NONE, by_agent=False))
    marked(book, ended("A", "failed", of="names-none", plan="data"))
    assert marked(book, ended("B", "succeeded", NOON + HOUR, plan="music")) == {}
    assert marked(book, ended("C", "succeeded", NOON + HOUR, plan="data")) == {"names-none": NOON + HOUR}


def test_what_a_hello_says_of_plans_counts_from_then_on() -> None:
    book = a_book(replace(NAMES_NONE), plans=("data", "music"))
    decide(book, HostReturned("host", NOON, plans=("data",)), "fresh", FLOOR)
    decide(book, HostReturned("host", NOON), "fresh", FLOOR)  # heard again: it says nothing of plans
    assert marked(book, ended("A", "succeeded", plan="data")) == {"names-none": NOON}


def test_a_changed_schedule_keeps_when_its_last_good_end_was_and_runs_its_new_plan() -> None:
    book = a_book(replace(DATA, last_good_at=NOON - DAY))
    audit = Audit(NOON, "anna", "user", "x.y", "x", "y")
    write = SaveSchedule(
        "data-nightly", "host", "Nightly", "backup", "0 3 * * *", "UTC", True, "external", 0.0, 3600.0, "alert",
        '{"plan": "music"}', NOON, NOON, audit,
    )  # fmt: skip
    decide(book, Change(write, no_reply), "fresh", FLOOR)
    saved = book.schedules["data-nightly"]
    assert (saved.plan, saved.by_agent, saved.last_good_at) == ("music", False, NOON - DAY)


@pytest.mark.parametrize(
    ("params", "plan"), [("{}", None), ('{"plan": "data"}', "data"), ('{"plan": ""}', None), ('{"plan": 7}', None)]
)
def test_the_plan_that_params_name(params: str, plan: str | None) -> None:
    assert plan_named(params) == plan
