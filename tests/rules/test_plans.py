"""The same backup: what a run of a plan means for the schedules and alerts of that plan, one row a case."""

from dataclasses import replace

import pytest

from rmactors.common.clock import DAY, HOUR
from rmactors.common.vocabulary import JobEnd, JobKind, JobReason
from rmactors.server.actors.rules.decisions import Decidable, decide
from rmactors.server.messages.alerts import ExpectAlertState, RaiseAlert, ResolveAlert, TouchAlert
from rmactors.server.messages.answers import no_reply
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.reports import EndReport, LostJob
from rmactors.server.messages.requests import Change, HostReturned, JudgeEnd, JudgeLoss, Resolve
from rmactors.server.messages.schedules import DeleteSchedule, MarkGood, SaveSchedule
from rmactors.server.state.alert_state import AlertKey
from rmactors.server.state.host_state import HostState, Schedule, plan_named
from rmactors.server.state.slots import Slots
from tests.rules.asked import AUDIT, FLOOR, NOON


def schedule(name: str, plan: str | None = None, **changes: object) -> Schedule:
    slots = Slots("0 3 * * *", "UTC", NOON - 30 * DAY, 0.0, NOON - 9 * HOUR)
    made = Schedule(name, "host", name.title(), True, "alert", 3600.0, slots, "backup", plan=plan)
    return replace(made, **changes)  # type: ignore[arg-type]


def a_book(*schedules: Schedule, plans: tuple[str, ...] = ("data", "music")) -> HostState:
    return HostState("host", True, False, schedules={known.id: known for known in schedules}, plans=plans)


def ended(
    job: str,
    status: JobEnd,
    at: int = NOON,
    *,
    plan: str | None = None,
    of: str | None = None,
    kind: JobKind = "backup",
    reason: JobReason = "error",
    seq: int | None = None,
) -> JudgeEnd:
    report = EndReport(
        "host", job, kind, plan, of, None, status, reason, None, 1, at, at, "{}", "spool" if seq else None, seq, at
    )  # fmt: skip
    return JudgeEnd(report, no_reply)


def marked(host: HostState, request: JudgeEnd) -> dict[str, int]:
    """Which schedules a good end counts for, and when it was."""
    decision = decide(host, request, "fresh", FLOOR)
    found = {write.schedule_id: write.at for write in decision.writes if isinstance(write, MarkGood)}
    assert decision.changed or not found
    for schedule_id, at in found.items():
        assert host.schedules[schedule_id].last_good_at == at
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
        # for every schedule of its plan, no matter who ran it, and for no other
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
    host = a_book(*(replace(known) for known in schedules), plans=plans)
    assert marked(host, request_) == dict.fromkeys(counts_for, NOON)


def test_an_older_good_end_takes_nothing_back() -> None:
    host = a_book(replace(DATA))
    assert marked(host, ended("A", "succeeded", NOON, plan="data")) == {"data-nightly": NOON}
    assert marked(host, ended("B", "succeeded", NOON - HOUR, plan="data")) == {}


def test_an_external_schedule_runs_the_plan_that_its_newest_outcome_named() -> None:
    host = a_book(replace(NAMES_NONE, by_agent=False))
    marked(host, ended("A", "failed", of="names-none", plan="data"))
    assert marked(host, ended("B", "succeeded", NOON + HOUR, plan="music")) == {}
    assert marked(host, ended("C", "succeeded", NOON + HOUR, plan="data")) == {"names-none": NOON + HOUR}


def test_what_a_hello_says_of_plans_counts_from_then_on() -> None:
    host = a_book(replace(NAMES_NONE), plans=("data", "music"))
    decide(host, HostReturned("host", NOON, plans=("data",)), "fresh", FLOOR)
    decide(host, HostReturned("host", NOON), "fresh", FLOOR)  # heard again: it says nothing of plans
    assert marked(host, ended("A", "succeeded", plan="data")) == {"names-none": NOON}


def test_a_changed_schedule_keeps_when_its_last_good_end_was_and_runs_its_new_plan() -> None:
    host = a_book(replace(DATA, last_good_at=NOON - DAY))
    audit = Audit(NOON, "anna", "user", "x.y", "x", "y")
    write = SaveSchedule(
        "data-nightly", "host", "Nightly", "backup", "0 3 * * *", "UTC", True, "external", 0.0, 3600.0, "alert",
        '{"plan": "music"}', NOON, NOON, audit,
    )  # fmt: skip
    decide(host, Change(write, no_reply), "fresh", FLOOR)
    saved = host.schedules["data-nightly"]
    assert (saved.plan, saved.by_agent, saved.last_good_at) == ("music", False, NOON - DAY)


@pytest.mark.parametrize(
    ("params", "plan"), [("{}", None), ('{"plan": "data"}', "data"), ('{"plan": ""}', None), ('{"plan": 7}', None)]
)
def test_the_plan_that_params_name(params: str, plan: str | None) -> None:
    assert plan_named(params) == plan


# ---- alerts


def told(host: HostState, step: Decidable | str, fresh: str) -> list[str]:
    """What one step of a story does, a word each: `raises plan:data`, `touches s`, `corrects s`, `resolves s`.

    `resolve SUBJECT` is an operator's, `delete SCHEDULE` too.
    """
    subjects = {state.alert.id: key.subject for key, state in host.alert_states.items() if state.alert is not None}
    if isinstance(step, str):
        word, subject = step.split()
        if word == "delete":
            step = Change(DeleteSchedule(subject, NOON, AUDIT), no_reply)
        else:
            alert = next(id for id, of in subjects.items() if of == subject)
            step = Resolve(alert, "anna", None, NOON, AUDIT, no_reply)
    did = []
    for write in decide(host, step, fresh, FLOOR).writes:
        match write:
            case RaiseAlert():
                did.append(f"raises {write.subject}")
            case TouchAlert():
                did.append(f"{'touches' if write.again else 'corrects'} {subjects[write.alert_id]}")
            case ResolveAlert():
                did.append(f"resolves {subjects[write.alert_id]}")
            case _:
                pass
    return did


def at(hour: int) -> int:
    return NOON + hour * HOUR


def run(status: JobEnd, hour: int, of: str | None = None, plan: str | None = "data", job: str = "", seq: int = 0,
        kind: JobKind = "backup", reason: JobReason = "error") -> JudgeEnd:  # fmt: skip
    """An end at an hour: by hand, or of a schedule."""
    name = job or f"{status} {hour} {of} {plan}"
    return ended(name, status, at(hour), plan=plan, of=of, kind=kind, reason=reason, seq=seq or None)


def lost(hour: int, job: str, of: str | None = None, plan: str | None = "data") -> JudgeLoss:
    return JudgeLoss(LostJob("host", job, "backup", plan, of, at(hour) - HOUR, at(hour), "gone"), no_reply)


NIGHT, DAY_TIME, OTHER = "data-nightly", "data-noon", "music-nightly"


@pytest.mark.parametrize(
    ("story", "does"),
    [
        # a failed *Run now*, then the schedule's own run is good
        ([run("failed", 1), run("succeeded", 2, NIGHT)], [["raises plan:data"], ["resolves plan:data"]]),
        # the schedule's run failed, then *Run now* is good; the plan is what the schedule says where a report does not
        ([run("failed", 1, NIGHT), run("succeeded", 2)], [["raises data-nightly"], ["resolves data-nightly"]]),
        ([run("failed", 1, NIGHT, None), run("succeeded", 2)], [["raises data-nightly"], ["resolves data-nightly"]]),
        ([run("failed", 1), run("succeeded", 2, NIGHT, None)], [["raises plan:data"], ["resolves plan:data"]]),
        # two schedules of one plan: a bad end is its own schedule's, a good one is everybody's
        ([run("failed", 1, NIGHT), run("failed", 2, DAY_TIME), run("failed", 3, NIGHT), run("succeeded", 4, DAY_TIME)],
         [["raises data-nightly"], ["raises data-noon"], ["touches data-nightly"],
          ["resolves data-noon", "resolves data-nightly"]]),
        ([run("failed", 1), run("failed", 2, NIGHT), run("failed", 3, NIGHT), run("succeeded", 4)],
         [["raises plan:data"], ["raises data-nightly"], ["touches data-nightly"],
          ["resolves plan:data", "resolves data-nightly"]]),
        # other plans', other kinds' and nobody's alerts stay
        ([run("failed", 1, OTHER, "music"), run("failed", 2, plan="music"), run("succeeded", 3)],
         [["raises music-nightly"], ["touches music-nightly"], []]),
        ([run("failed", 1, NIGHT), run("succeeded", 2, NIGHT, kind="forget"), run("succeeded", 3, kind="check")],
         [["raises data-nightly"], [], []]),
        ([run("failed", 1, plan=None), run("succeeded", 2)], [["raises "], []]),
        ([run("failed", 1), run("succeeded", 2, plan=None)], [["raises plan:data"], []]),
        # likewise for forget
        ([run("failed", 1, kind="forget"), run("succeeded", 2, "forgets", kind="forget")],
         [["raises plan:data"], ["resolves plan:data"]]),
        # a bad end by hand joins the open alert of a schedule that runs the plan: one cause, one message
        ([run("failed", 1, NIGHT), run("failed", 2), run("failed", 3), run("succeeded", 4, NIGHT)],
         [["raises data-nightly"], ["touches data-nightly"], ["touches data-nightly"], ["resolves data-nightly"]]),
        # and counts there: the schedule's older success does not close it
        ([run("failed", 1, NIGHT), run("failed", 5), run("succeeded", 3, NIGHT), run("succeeded", 6, NIGHT)],
         [["raises data-nightly"], ["touches data-nightly"], [], ["resolves data-nightly"]]),
        # one that is resolved by hand, or goes with its schedule, tells of nothing any more
        ([run("failed", 1, NIGHT), run("failed", 2), "resolve data-nightly", run("failed", 3)],
         [["raises data-nightly"], ["touches data-nightly"], ["resolves data-nightly"], ["raises plan:data"]]),
        ([run("failed", 1, NIGHT), "delete data-nightly", run("failed", 3)],
         [["raises data-nightly"], ["resolves data-nightly"], ["raises plan:data"]]),
        # cancelled and skipped say nothing to anybody
        ([run("failed", 1, NIGHT), run("cancelled", 2), run("skipped", 3), run("cancelled", 4, DAY_TIME)],
         [["raises data-nightly"], [], [], []]),
        # order: what is older than a good end of its plan opens nothing, no matter whose it is
        ([run("succeeded", 5), run("failed", 3, NIGHT), run("failed", 4, DAY_TIME)], [[], [], []]),
        ([run("succeeded", 5, NIGHT), run("failed", 3), run("failed", 4, DAY_TIME)], [[], [], []]),
        ([run("succeeded", 5), run("failed", 6), run("failed", 3, NIGHT)], [[], ["raises plan:data"], []]),
        ([run("failed", 6), run("succeeded", 5, DAY_TIME), run("failed", 3, NIGHT)], [["raises plan:data"], [], []]),
        # nor does an older good end close a newer failure: for each alert by its own newest outcome
        ([run("failed", 5), run("succeeded", 3, NIGHT)], [["raises plan:data"], []]),
        ([run("failed", 5, NIGHT), run("failed", 2, DAY_TIME), run("succeeded", 3)],
         [["raises data-nightly"], ["raises data-noon"], ["resolves data-noon"]]),
        # by its place in the spool where both came from one, whatever the clock said
        ([run("failed", 5, seq=1), run("succeeded", 3, NIGHT, seq=2)], [["raises plan:data"], ["resolves plan:data"]]),
        ([run("succeeded", 3, seq=2), run("failed", 5, NIGHT, seq=1)], [[], []]),
        ([run("succeeded", 5, seq=1), run("failed", 3, NIGHT, seq=2)], [[], ["raises data-nightly"]]),
        # a deleted schedule: its late failure raises nothing, its late success still was a backup of the plan
        ([run("failed", 1), "delete data-nightly", run("failed", 2, NIGHT), run("succeeded", 3, NIGHT)],
         [["raises plan:data"], [], [], ["resolves plan:data"]]),
        # a lost job, and its real end
        ([lost(5, "A"), run("succeeded", 6, NIGHT)], [["raises plan:data"], ["resolves plan:data"]]),
        ([run("failed", 1, NIGHT), lost(5, "A", DAY_TIME), run("succeeded", 4, DAY_TIME, job="A")],
         [["raises data-nightly"], ["raises data-noon"], ["resolves data-noon", "resolves data-nightly"]]),
        ([run("failed", 1, NIGHT), lost(5, "A"), run("succeeded", 4, job="A")],
         [["raises data-nightly"], ["touches data-nightly"], ["resolves data-nightly"]]),
        ([run("failed", 1, NIGHT), lost(5, "A"), run("failed", 4, job="A"), run("succeeded", 6)],
         [["raises data-nightly"], ["touches data-nightly"], ["corrects data-nightly"], ["resolves data-nightly"]]),
        ([run("failed", 1, NIGHT), lost(5, "A"), run("cancelled", 4, job="A"), run("succeeded", 3, NIGHT)],
         [["raises data-nightly"], ["touches data-nightly"], [], ["resolves data-nightly"]]),
        # a loss whose end names no plan is found all the same
        ([run("failed", 1, NIGHT), lost(5, "A"), run("failed", 4, plan=None, job="A")],
         [["raises data-nightly"], ["touches data-nightly"], ["corrects data-nightly"]]),
        # a good end of the plan is older than the loss: it counts should that turn out to be none
        ([lost(5, "A", NIGHT), run("succeeded", 3), run("cancelled", 4, NIGHT, job="A")],
         [["raises data-nightly"], [], ["resolves data-nightly"]]),
        ([run("succeeded", 3), lost(5, "A", NIGHT), run("failed", 2, NIGHT, job="A")],
         [[], ["raises data-nightly"], ["resolves data-nightly"]]),
    ],
)  # fmt: skip
def test_a_story_of_one_host(story: list[Decidable | str], does: list[list[str]]) -> None:
    host = a_book(*(replace(known) for known in (DATA, NOON_TOO, MUSIC, schedule("forgets", "data", kind="forget"))))
    assert [told(host, step, f"alert {number}") for number, step in enumerate(story)] == does


@pytest.mark.parametrize(
    ("story", "does"),
    [
        # a partial run that its own schedule calls good is a good end of the plan
        ([run("failed", 1), run("partial", 2, "lenient")], [["raises plan:data"], ["resolves plan:data"]]),
        # but not for a schedule that wants to hear of them: it would be raised and resolved by turns
        ([run("partial", 1, "strict"), run("partial", 2, "lenient"), run("succeeded", 3, "lenient")],
         [["raises strict"], [], ["resolves strict"]]),
        # a partial run by hand is nobody's good one, and no recurrence where partial is well
        ([run("failed", 1, "lenient"), run("partial", 2), run("succeeded", 3)],
         [["raises lenient"], ["raises plan:data"], ["resolves plan:data", "resolves lenient"]]),
        ([run("failed", 1, "strict"), run("partial", 2), run("partial", 3, "lenient")],
         [["raises strict"], ["touches strict"], []]),
        # a source that is missing is never well
        ([run("partial", 1, "lenient", reason="no_source")], [["raises lenient"]]),
        ([run("failed", 1), run("partial", 2, "lenient", reason="no_source")],
         [["raises plan:data"], ["raises lenient"]]),
        ([run("failed", 1, "lenient"), run("partial", 2, reason="no_source")],
         [["raises lenient"], ["touches lenient"]]),
    ],
)  # fmt: skip
def test_whether_partial_is_good_is_for_each_schedule_to_say(
    story: list[Decidable | str], does: list[list[str]]
) -> None:
    host = a_book(schedule("lenient", "data", on_partial="ok"), schedule("strict", "data"))
    assert [told(host, step, f"alert {number}") for number, step in enumerate(story)] == does


def test_a_schedule_that_names_no_plan_is_about_the_one_that_it_ran() -> None:
    host = a_book(replace(NAMES_NONE))  # on a host with two plans
    story = [
        run("succeeded", 2),
        run("failed", 1, "names-none"),  # older than a good end of the plan
        run("failed", 3, "names-none"),
        run("succeeded", 4, plan="music"),
        run("succeeded", 5),
    ]
    does = [[], [], ["raises names-none"], [], ["resolves names-none"]]
    assert [told(host, step, f"alert {number}") for number, step in enumerate(story)] == does


def test_a_schedule_that_runs_another_plan_now_is_closed_by_the_plan_that_failed_or_the_one_it_runs() -> None:
    change = SaveSchedule(
        NIGHT, "host", "Nightly", "backup", "0 3 * * *", "UTC", True, "agent", 0.0, 3600.0, "alert",
        '{"plan": "music"}', NOON, NOON, AUDIT,
    )  # fmt: skip
    for plan, does in (("data", ["resolves data-nightly"]), ("music", ["resolves data-nightly"]), ("films", [])):
        host = a_book(replace(DATA))
        told(host, run("failed", 1, NIGHT), "alert")
        told(host, Change(change, no_reply), "none")
        assert told(host, run("succeeded", 2, plan=plan), "none") == does


def test_a_message_says_when_the_last_good_one_of_the_plan_was() -> None:
    host = a_book(replace(DATA))
    told(host, run("succeeded", 1), "none")
    (raised,) = [w for w in decide(host, run("failed", 2, NIGHT), "a", FLOOR).writes if isinstance(w, RaiseAlert)]
    assert "Last good one: Monday 2026-11-23 13:00 UTC." in raised.message


def test_times_are_in_the_zone_of_the_schedule_that_the_alert_is_about() -> None:
    host = a_book(replace(DATA, slots=replace(DATA.slots, timezone="Europe/Berlin")), replace(MUSIC))
    told(host, run("succeeded", 1), "none")
    (raised,) = [w for w in decide(host, lost(3, "A", NIGHT), "a", FLOOR).writes if isinstance(w, RaiseAlert)]
    assert "Last good one: Monday 2026-11-23 14:00 CET." in raised.message
    (touched,) = [w for w in decide(host, run("failed", 4), "b", FLOOR).writes if isinstance(w, TouchAlert)]
    assert "Last good one: Monday 2026-11-23 14:00 CET." in touched.message  # joined
    (raised,) = [w for w in decide(host, run("failed", 5, OTHER), "c", FLOOR).writes if isinstance(w, RaiseAlert)]
    assert "Last good one: Monday 2026-11-23 13:00 UTC." in raised.message


def test_a_message_names_what_its_alert_is_about() -> None:
    host = a_book(replace(DATA))
    told(host, run("failed", 1, NIGHT), "a")
    touched, resolved = (
        next(
            write for write in decide(host, step, "none", FLOOR).writes if isinstance(write, TouchAlert | ResolveAlert)
        )
        for step in (run("failed", 2), run("succeeded", 3))
    )
    assert touched.message.startswith("Backup of Data-Nightly failed")
    assert resolved.message == "Data-Nightly is backed up again."


def test_what_is_decided_about_a_plan_is_built_on_what_every_schedule_ran_last() -> None:
    host = a_book(replace(DATA), replace(MUSIC))
    told(host, run("failed", 1, OTHER, "music"), "a")
    key = AlertKey("host", "backup_failed", OTHER)
    expected = ExpectAlertState("host", "backup_failed", OTHER, 1)
    assert expected in decide(host, run("succeeded", 2), "none", FLOOR).writes
    assert expected in decide(host, run("failed", 3), "b", FLOOR).writes
    assert expected not in decide(host, run("failed", 4, NIGHT), "c", FLOOR).writes  # which is its own affair
    assert host.state_of(key).version == 1


def test_a_restore_test_by_hand_closes_what_its_schedule_raised_and_nothing_about_backups() -> None:
    weekly = schedule("data-tests", "data", kind="restore_test")
    host = a_book(weekly, replace(DATA), plans=("data",))

    def does(request_: JudgeEnd, fresh_id: str = "fresh") -> list[tuple[str, str]]:
        writes = decide(host, request_, fresh_id, FLOOR).writes
        raised = [(write.kind, write.subject) for write in writes if isinstance(write, RaiseAlert)]
        return raised + [("resolved", write.alert_id) for write in writes if isinstance(write, ResolveAlert)]

    failed = ended("A", "failed", of="data-tests", plan="data", kind="restore_test", reason="corrupt")
    assert does(failed, "test") == [("restore_test_failed", "data-tests")]
    assert does(ended("B", "failed", plan="data"), "backup") == [("backup_failed", "plan:data")]
    assert does(ended("C", "succeeded", NOON + HOUR, plan="data", kind="restore_test")) == [("resolved", "test")]
    assert does(ended("D", "succeeded", NOON + HOUR, plan="data")) == [("resolved", "backup")]
