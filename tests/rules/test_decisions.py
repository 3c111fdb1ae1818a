"""What each request about a host leads to: which subject a report concerns, and the writes that follow."""

from dataclasses import replace

import pytest
from msgspec import structs

from rmactors.common import clock
from rmactors.common.clock import DAY, HOUR, MINUTE
from rmactors.common.vocabulary import JobEnd, JobKind
from rmactors.server.actors.rules.decisions import Decidable, decide
from rmactors.server.actors.rules.missed_runs import check_missed_run
from rmactors.server.messages.alerts import (
    AcknowledgeAlert,
    ExpectAlertState,
    RaiseAlert,
    ResolveAlert,
    SaveAlertState,
    TouchAlert,
)
from rmactors.server.messages.answers import no_reply
from rmactors.server.messages.hosts import DeleteHost
from rmactors.server.messages.jobs import SaveEnd, SaveLoss, SaveStart
from rmactors.server.messages.reasons import Reason
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
from rmactors.server.messages.schedules import DeleteSchedule, MarkRun, SaveSchedule
from rmactors.server.messages.silences import CreateSilence, DeleteSilence
from rmactors.server.messages.writes import Write
from rmactors.server.state.alert_state import EMPTY, AlertDecision, AlertKey
from rmactors.server.state.host_state import Decision, HostState, Schedule, apply
from rmactors.server.state.slots import Slots
from tests.rules.asked import AUDIT, FLOOR, NOON, THREE


def host(**changes: object) -> HostState:
    """A host with a schedule `s`, daily at 03:00, known since a month."""
    slots = Slots("0 3 * * *", "UTC", NOON - 30 * DAY, 0.0, THREE, None)
    schedule = Schedule("s", "host", "Nightly", True, "alert", 3600.0, slots, "backup")
    return HostState("host", True, False, schedules={"s": replace(schedule, **changes)})  # type: ignore[arg-type]


def start(job: str = "job", *, schedule: str | None = "s", at: int = NOON, slot: int | None = None) -> JudgeStart:
    return JudgeStart(StartReport("host", job, "backup", None, schedule, slot, at, max(at, NOON)), no_reply)


def end(
    status: JobEnd = "failed",
    job: str = "job",
    *,
    schedule: str | None = "s",
    plan: str | None = None,
    kind: JobKind = "backup",
    at: int = NOON,
    slot: int | None = None,
) -> JudgeEnd:
    report = EndReport(
        "host", job, kind, plan, schedule, slot, status, "error", None, 1, at, at, "{}", None, None, max(at, NOON)
    )  # fmt: skip
    return JudgeEnd(report, no_reply)


def save(**changes: object) -> Change:
    write = SaveSchedule(
        "s", "host", "Nightly", "backup", "0 3 * * *", "UTC", True, "agent", 0.0, 3600.0, "alert", "{}", NOON,
        NOON, AUDIT,
    )  # fmt: skip
    return Change(replace(write, **changes), no_reply)  # type: ignore[arg-type]


def tell(given: HostState, request: Decidable, fresh: str = "fresh") -> Decision:
    return decide(given, request, fresh, FLOOR)


def only(writes: tuple[Write, ...], kind: type[Write]) -> Write:
    (found,) = [write for write in writes if type(write) is kind]
    return found


def kinds(decision: Decision) -> list[str]:
    return [type(write).__name__ for write in decision.writes]


@pytest.mark.parametrize(
    ("request_", "subject", "warning"),
    [
        (end(schedule="s"), "s", None),
        (end(schedule="s", plan="home"), "s", None),  # the schedule goes before the plan
        (end(schedule=None, plan="home"), "plan:home", None),
        (end(schedule=None), "", None),
        (end(schedule=None, plan=""), "", None),
        (end(schedule="other", plan="home"), "plan:home", "schedule other is not one of this host's; counted as none"),
        (end(schedule="other"), "", "schedule other is not one of this host's; counted as none"),
    ],
)
def test_the_subject_of_a_job(request_: JudgeEnd, subject: str, warning: str | None) -> None:
    writes = tell(host(), request_).writes
    assert writes[0] == SaveEnd(request_.report, "s" if subject == "s" else None, subject, warning)
    raised = only(writes, RaiseAlert)
    assert isinstance(raised, RaiseAlert)
    assert raised.subject == subject


@pytest.mark.parametrize(
    ("kind", "raises"),
    [
        ("backup", "backup_failed"),
        ("forget", "forget_failed"),
        ("prune", "prune_failed"),
        ("check", "check_failed"),
        ("restore_test", "restore_test_failed"),
        ("init", None),
        ("unlock", None),
        ("restore", None),
        ("diff", None),
        ("snapshots", None),
    ],
)
def test_which_kinds_raise_what(kind: JobKind, raises: str | None) -> None:
    raised = [write.kind for write in tell(host(), end(kind=kind)).writes if isinstance(write, RaiseAlert)]
    assert raised == ([raises] if raises else [])
    loss = LostJob("host", "job", kind, None, None, NOON, NOON, "gone")
    lost = [write.kind for write in tell(host(), JudgeLoss(loss, no_reply)).writes if isinstance(write, RaiseAlert)]
    assert lost == ([raises] if raises else [])


def test_kinds_of_one_subject_do_not_touch_each_other() -> None:
    given = host()
    tell(given, end("failed", "a", kind="backup"), "first")
    tell(given, end("failed", "b", kind="check"), "second")
    assert given.key_of("first") == AlertKey("host", "backup_failed", "s")
    assert given.key_of("second") == AlertKey("host", "check_failed", "s")
    resolved = only(tell(given, end("succeeded", "c", kind="check")).writes, ResolveAlert)
    assert isinstance(resolved, ResolveAlert)
    assert resolved.alert_id == "second"
    assert given.key_of("second") is None


def test_partial_is_judged_by_the_schedule() -> None:
    assert "RaiseAlert" in kinds(tell(host(), end("partial")))
    assert "RaiseAlert" not in kinds(tell(host(on_partial="ok"), end("partial")))
    assert "RaiseAlert" in kinds(tell(host(on_partial="ok"), end("partial", schedule=None)))


def test_a_late_report_of_a_deleted_schedule_is_kept_and_raises_nothing() -> None:
    given = host(deleted=True)
    assert kinds(tell(given, end())) == ["SaveEnd"]
    assert only(tell(given, end()).writes, SaveEnd) == SaveEnd(end().report, "s", "s", "its schedule was deleted")
    assert kinds(tell(given, start())) == ["SaveStart"]
    loss = LostJob("host", "job", "backup", None, "s", NOON, NOON, "gone")
    assert kinds(tell(given, JudgeLoss(loss, no_reply))) == ["SaveLoss"]


def test_a_loss_raises_under_the_jobs_subject() -> None:
    loss = LostJob("host", "job", "backup", None, "s", NOON, NOON, "its agent came back and does not know of it")
    decision = tell(host(), JudgeLoss(loss, no_reply))
    assert kinds(decision) == ["SaveLoss", "SaveAlertState", "RaiseAlert"]
    assert decision.writes[0] == SaveLoss(loss)
    assert decision.changed


# ---- runs and slots


@pytest.mark.parametrize(
    ("schedule", "grace", "deadline"),
    [
        ("s", 0.0, NOON + HOUR + round(2.4 * HOUR)),  # its longest run time and its grace: a tenth of a day
        ("s", 3 * 3600.0, NOON + 4 * HOUR),
        (None, 0.0, NOON + DAY + 5 * MINUTE),
    ],
)
def test_the_deadline_of_a_run(schedule: str | None, grace: float, deadline: int) -> None:
    given = host()
    known = given.schedules["s"]
    given.schedules["s"] = replace(known, slots=replace(known.slots, grace_seconds=grace))
    saved = only(tell(given, start(schedule=schedule)).writes, SaveStart)
    assert isinstance(saved, SaveStart)
    assert saved.deadline_at == deadline


def test_the_deadline_of_a_run_that_began_in_the_year_one_is_a_number() -> None:
    saved = only(tell(host(), start(at=clock.from_rfc3339("0001-01-01T00:00:00Z"))).writes, SaveStart)
    assert isinstance(saved, SaveStart)
    assert saved.deadline_at < 0


def test_a_run_is_noted_once_and_then_expected_to_be() -> None:
    given = host()
    first = tell(given, start(at=NOON + DAY, slot=THREE + DAY))
    assert first.writes[1:] == (MarkRun("s", THREE + DAY, None),)
    assert first.changed
    second = tell(given, end("succeeded", at=NOON + DAY, slot=THREE + DAY))
    assert MarkRun("s", THREE + DAY, None, known=True) in second.writes


def test_a_run_without_a_slot_is_noted_by_its_start() -> None:
    assert tell(host(), start(at=NOON)).writes[1:] == (MarkRun("s", None, NOON),)


def test_a_skipped_run_counts_for_its_slot() -> None:
    decision = tell(host(), end("skipped", at=NOON + DAY, slot=THREE + DAY))
    assert MarkRun("s", THREE + DAY, None) in decision.writes
    assert "RaiseAlert" not in kinds(decision)


def missed() -> HostState:
    """A host whose schedule missed its slot today, with the alert `late` open."""
    given = host(slots=Slots("0 3 * * *", "UTC", NOON - 30 * DAY, 0.0, THREE - DAY, None))
    decision, _ = check_missed_run(given, given.schedules["s"], NOON, "late", FLOOR, not_before=0)
    assert kinds(decision) == ["SaveAlertState", "RaiseAlert"]
    return given


def test_a_missed_slot_raises_and_says_which() -> None:
    given = host(slots=Slots("0 3 * * *", "UTC", NOON - 30 * DAY, 0.0, THREE - DAY, None))
    decision, again = check_missed_run(given, given.schedules["s"], NOON, "late", FLOOR, not_before=0)
    raised = only(decision.writes, RaiseAlert)
    assert raised == RaiseAlert(
        "late", "host", "stale_schedule", "s", "warning",
        "Nightly should have run on Monday 2026-11-23 03:00 UTC and did not start."
        " Last run: Sunday 2026-11-22 03:00 UTC.",
        NOON, reason=Reason.BEGAN,
    )  # fmt: skip
    assert again == THREE + DAY + round(2.4 * HOUR) + 1
    once_more, _ = check_missed_run(given, given.schedules["s"], NOON + HOUR, "other", FLOOR, not_before=0)
    assert kinds(once_more) == ["TouchAlert"]


def test_a_schedule_is_not_judged_within_one_grace_of_its_hosts_return() -> None:
    given = host(slots=Slots("0 3 * * *", "UTC", NOON - 30 * DAY, 0.0, THREE - DAY, None))
    patience = round(2.4 * HOUR)
    early, again = check_missed_run(given, given.schedules["s"], NOON + patience - 1, "late", FLOOR, not_before=NOON)
    assert early.writes == ()
    assert again == NOON + patience
    then, _ = check_missed_run(given, given.schedules["s"], again, "late", FLOOR, not_before=NOON)
    assert "RaiseAlert" in kinds(then)


def test_a_schedule_without_a_missed_slot_is_looked_at_again() -> None:
    given = host()
    decision, again = check_missed_run(given, given.schedules["s"], NOON, "late", FLOOR, not_before=0)
    assert decision.writes == ()
    assert not decision.changed
    assert again is not None
    assert again > NOON


def test_a_schedule_without_slots_is_not_looked_at_again() -> None:
    interval = replace(host().schedules["s"].slots, cron=None, every_hours=24.0)
    given = host(slots=interval)
    decision, again = check_missed_run(given, given.schedules["s"], NOON, "late", FLOOR, not_before=0)
    assert (decision.writes, again) == ((), None)


@pytest.mark.parametrize(
    ("request_", "clears"),
    [
        (start(at=NOON), True),  # a run begins
        (end("succeeded", at=NOON), True),  # or is heard of when it has ended
        (end("skipped", at=NOON), True),
        (start(at=NOON, slot=THREE), True),
        (start(at=NOON, slot=THREE - DAY), False),  # an old run that is told late: today's is still missing
        (start(at=NOON, schedule=None), False),
    ],
)
def test_a_run_ends_a_missed_slot(request_: JudgeStart | JudgeEnd, clears: bool) -> None:
    decision = tell(missed(), request_)
    resolved = [write.alert_id for write in decision.writes if isinstance(write, ResolveAlert)]
    assert resolved == (["late"] if clears else [])


def test_an_old_runs_report_does_not_hide_a_missed_slot() -> None:
    given = missed()
    tell(given, start("old", at=THREE - DAY + HOUR, slot=THREE - DAY))
    assert given.key_of("late") == AlertKey("host", "stale_schedule", "s")
    tell(given, start("older", at=THREE - 2 * DAY, slot=THREE - 2 * DAY))
    assert given.schedules["s"].slots.last_slot_at == THREE - DAY


# ---- presence


def test_a_silent_host_is_raised_once_and_resolved_when_it_returns() -> None:
    given = host()
    raised = tell(given, HostWentSilent("host", NOON - HOUR, NOON, no_reply), "quiet")
    assert kinds(raised) == ["SaveAlertState", "RaiseAlert"]
    again = tell(given, HostWentSilent("host", NOON - HOUR, NOON + 1, no_reply))
    assert only(again.writes, TouchAlert).again is False
    returned = tell(given, HostReturned("host", NOON + HOUR))
    assert kinds(returned) == ["SaveAlertState", "ResolveAlert"]
    again = tell(given, HostReturned("host", NOON + HOUR))
    assert again.writes == ()
    assert not again.changed


# ---- operators


def test_an_operator_acknowledges_and_resolves_what_is_open() -> None:
    given = host()
    tell(given, end(), "alert")
    acknowledged = tell(given, Acknowledge("alert", "anna", "on it", NOON, AUDIT, no_reply))
    assert acknowledged.writes == (
        ExpectAlertState("host", "backup_failed", "s", 1),
        AcknowledgeAlert("alert", NOON, "anna", "on it", AUDIT, False),
    )
    twice = tell(given, Acknowledge("alert", "anna", "on it", NOON, AUDIT, no_reply))
    assert twice.writes == acknowledged.writes  # the store says whether the first is on disk
    assert not twice.changed
    touched = tell(given, end(job="next"))
    assert "TouchAlert" in kinds(touched)
    assert given.state_of(AlertKey("host", "backup_failed", "s")).alert is not None
    resolved = tell(given, Resolve("alert", "anna", "fixed", NOON, AUDIT, no_reply))
    assert kinds(resolved) == ["SaveAlertState", "ResolveAlert"]
    assert given.key_of("alert") is None


def test_a_schedule_that_is_not_there_is_left_to_the_store() -> None:
    given = host()
    gone = Change(DeleteSchedule("s", NOON, AUDIT), no_reply)
    assert "DeleteSchedule" in kinds(tell(given, gone))
    for name in ("s", "never was"):
        again = DeleteSchedule(name, NOON, AUDIT)
        left = tell(given, Change(again, no_reply))
        assert left.writes == (again,)
        assert not left.changed


def test_a_request_about_an_alert_that_is_not_open_is_left_to_the_store() -> None:
    assert tell(host(), Acknowledge("gone", "anna", None, NOON, AUDIT, no_reply)).writes == (
        AcknowledgeAlert("gone", NOON, "anna", None, AUDIT),
    )
    assert tell(host(), Resolve("gone", "anna", None, NOON, AUDIT, no_reply)).writes == (
        ResolveAlert("gone", NOON, "anna", None, None, AUDIT),
    )


@pytest.mark.parametrize("enabled", [True, False])
def test_changing_or_disabling_a_schedule_ends_its_missed_slot(enabled: bool) -> None:
    given = missed()
    decision = tell(given, save(enabled=enabled, cron="0 4 * * *", anchor_at=NOON))
    assert kinds(decision) == ["SaveSchedule", "SaveAlertState", "ResolveAlert"]
    after = given.schedules["s"]
    assert (after.enabled, after.slots.cron, after.slots.anchor_at) == (enabled, "0 4 * * *", NOON)
    assert after.slots.last_slot_at == THREE - DAY


def test_a_new_name_alone_leaves_the_slot_missed() -> None:
    given = missed()
    decision = tell(given, save(name="Nights", anchor_at=given.schedules["s"].slots.anchor_at))
    assert kinds(decision) == ["SaveSchedule"]
    assert given.schedules["s"].name == "Nights"
    assert given.state_of(AlertKey("host", "stale_schedule", "s")).alert is not None


def test_changing_a_schedule_keeps_the_alerts_about_its_jobs() -> None:
    given = host()
    tell(given, end(), "failed")
    assert kinds(tell(given, save(grace_seconds=60.0))) == ["SaveSchedule"]
    assert given.key_of("failed") == AlertKey("host", "backup_failed", "s")


def test_a_new_schedule_has_no_past() -> None:
    given = HostState("host", True, False)
    assert kinds(tell(given, save())) == ["SaveSchedule"]
    assert given.schedules["s"].slots == Slots("0 3 * * *", "UTC", NOON, 0.0, None, None)


def test_deleting_a_schedule_ends_every_alert_of_it_and_no_other() -> None:
    given = missed()
    tell(given, end(at=THREE - DAY), "failed")
    tell(given, end(schedule=None, plan="home"), "other")
    tell(given, end("succeeded", job="check", kind="check", at=THREE - DAY), "none")
    decision = tell(given, Change(DeleteSchedule("s", NOON, AUDIT), no_reply))
    resolved = {write.alert_id for write in decision.writes if isinstance(write, ResolveAlert)}
    assert resolved == {"late", "failed"}
    assert given.key_of("other") is not None
    assert given.schedules["s"].deleted


def test_deleting_a_host_ends_every_alert_of_it() -> None:
    given = missed()
    tell(given, end(at=THREE - DAY), "failed")
    tell(given, HostWentSilent("host", NOON - HOUR, NOON, no_reply), "silent")
    decision = tell(given, Change(DeleteHost("host", NOON, AUDIT), no_reply))
    resolved = {write.alert_id for write in decision.writes if isinstance(write, ResolveAlert)}
    assert resolved == {"late", "failed", "silent"}
    assert decision.writes[-1] == DeleteHost("host", NOON, AUDIT)
    assert given.alert_states == {}


@pytest.mark.parametrize(
    "write",
    [
        CreateSilence("z", None, None, None, NOON, NOON + HOUR, None, "works", "anna", NOON, AUDIT),
        DeleteSilence("z", NOON, AUDIT),
    ],
)
def test_a_silence_begins_and_ends_no_alert(write: CreateSilence | DeleteSilence) -> None:
    decision = tell(host(), Change(write, no_reply))
    assert decision.writes == (write,)
    assert not decision.changed


def test_what_is_decided_is_what_is_remembered() -> None:
    given = host()
    tell(given, end("failed", "a"), "alert")
    touch = only(tell(given, end("failed", "b", at=NOON + 1)).writes, TouchAlert)
    assert touch == TouchAlert(
        "alert", "Backup of Nightly failed: exit code 1. No earlier good one is known.", NOON + 1, True, "b"
    )
    assert given.state_of(AlertKey("host", "backup_failed", "s")).version == 2
    saved = only(tell(given, end("succeeded", "c", at=NOON + 2)).writes, SaveAlertState)
    assert isinstance(saved, SaveAlertState)
    assert saved.version == 3


def test_an_empty_track_takes_no_room() -> None:
    given = host()
    key = AlertKey("host", "agent_offline", "")
    assert not apply(given, key, AlertDecision(EMPTY, (), "nothing")).changed
    assert key not in given.alert_states


def test_what_the_agent_warns_of_stands_on_the_job_beside_our_own_warning() -> None:
    request = end("succeeded")
    warned = JudgeEnd(structs.replace(request.report, warning="a restic in this command failed"), no_reply)
    saved = only(tell(host(), warned).writes, SaveEnd)
    assert isinstance(saved, SaveEnd)
    assert saved.warning == "a restic in this command failed"
    foreign = JudgeEnd(structs.replace(warned.report, schedule_id="other"), no_reply)
    both = only(tell(host(), foreign).writes, SaveEnd)
    assert isinstance(both, SaveEnd)
    assert both.warning == "schedule other is not one of this host's; counted as none; a restic in this command failed"
