"""How old the newest good backup of a schedule may get, whatever happened meanwhile."""

from dataclasses import replace

import pytest

from rmactors.common.clock import DAY, HOUR, MINUTE
from rmactors.common.vocabulary import JobEnd, JobKind, JobReason
from rmactors.server.actors.rules import overdue
from rmactors.server.actors.rules.decisions import Decidable, decide
from rmactors.server.messages.alerts import RaiseAlert, ResolveAlert, TouchAlert
from rmactors.server.messages.answers import no_reply
from rmactors.server.messages.reasons import Reason
from rmactors.server.messages.reports import EndReport
from rmactors.server.messages.requests import Acknowledge, Change, JudgeEnd, Resolve
from rmactors.server.messages.schedules import DeleteSchedule, MarkGood, SaveSchedule
from rmactors.server.state import ages
from rmactors.server.state.alert_state import AlertKey
from rmactors.server.state.host_state import Decision, HostState, Schedule, limit_hours
from rmactors.server.state.slots import Slots
from tests.rules.asked import AUDIT, NOON

MADE = NOON - 30 * DAY
KEY = AlertKey("host", "backup_overdue", "s")


def host(**changes: object) -> HostState:
    """A host with a schedule `s` that wants a good backup every 26 hours, and had one 25 hours before noon."""
    slots = Slots("0 3 * * *", "Europe/Berlin", MADE, 0.0)
    schedule = Schedule("s", "host", "Nightly", True, "alert", 3600.0, slots, "backup", last_good_at=NOON - 25 * HOUR)
    schedule = replace(schedule, created_at=MADE, limit_hours=26.0)
    return HostState("host", True, False, schedules={"s": replace(schedule, **changes)})  # type: ignore[arg-type]


def check(given: HostState, now: int, fresh: str = "fresh") -> tuple[Decision, int | None]:
    return overdue.check_overdue(given, given.schedules["s"], now, fresh)


def raised(given: HostState, now: int = NOON + 2 * HOUR) -> HostState:
    (write,) = [write for write in check(given, now)[0].writes if isinstance(write, RaiseAlert)]
    assert write.alert_id == "fresh"
    return given


def end(
    status: JobEnd = "succeeded",
    at: int = NOON + 3 * HOUR,
    *,
    reason: JobReason = "ok",
    kind: JobKind = "backup",
    received: int | None = None,
) -> JudgeEnd:
    came = at if received is None else received
    report = EndReport("host", "job", kind, None, "s", None, status, reason, None, 0, at, at, "{}", None, None, came)
    return JudgeEnd(report, no_reply)


def save(**changes: object) -> Change:
    write = SaveSchedule(
        "s", "host", "Nightly", "backup", "0 3 * * *", "Europe/Berlin", True, "agent", 0.0, 3600.0, "alert", "{}",
        NOON + 3 * HOUR, MADE, AUDIT, max_age_hours=26.0,
    )  # fmt: skip
    return Change(replace(write, **changes), no_reply)  # type: ignore[arg-type]


def resolutions(given: HostState, request: Decidable) -> list[str]:
    """What is said of each alert about age that a request ends."""
    open_alert = given.state_of(KEY).alert
    writes = decide(given, request, "another", 300.0).writes
    about_age = open_alert.id if open_alert is not None else None
    return [write.message or "" for write in writes if isinstance(write, ResolveAlert) and write.alert_id == about_age]


@pytest.mark.parametrize(
    ("kind", "max_age", "every", "limit"),
    [
        ("backup", None, None, None),  # not judged
        ("backup", 26.0, None, 26.0),
        ("backup", None, 24.0, 48.0),  # an interval without a limit: twice that
        ("backup", 30.0, 24.0, 30.0),
        ("check", None, 24.0, None),  # it is about backups
        ("forget", 26.0, None, None),
    ],
)
def test_the_limit_of_a_schedule(
    kind: JobKind, max_age: float | None, every: float | None, limit: float | None
) -> None:
    assert limit_hours(kind, max_age, every) == limit


def test_it_is_raised_once_the_newest_good_backup_is_older_than_the_limit() -> None:
    given = host()
    assert check(given, NOON + HOUR) == (Decision((), False, (Reason.NOT_OVERDUE,)), NOON + HOUR + 1)
    decision, again = check(given, NOON + HOUR + 1)
    (write,) = [write for write in decision.writes if isinstance(write, RaiseAlert)]
    assert (write.host_id, write.kind, write.subject, write.severity) == ("host", "backup_overdue", "s", "critical")
    assert decision.changed
    assert again is not None
    assert again > NOON + HOUR + 1


def test_the_message_says_how_old_it_is_and_when_the_last_one_was_in_the_schedules_zone() -> None:
    (write,) = [write for write in check(host(), NOON + 26 * HOUR)[0].writes if isinstance(write, RaiseAlert)]
    assert write.message == (
        "Nightly has had no good backup for 2 days 3 hours (limit 26 hours). "
        "Last good one: Sunday 2026-11-22 12:00 CET."
    )


def test_without_a_good_backup_age_counts_from_when_the_schedule_was_made() -> None:
    given = host(last_good_at=None, created_at=NOON)
    assert check(given, NOON + 26 * HOUR)[1] == NOON + 26 * HOUR + 1
    (write,) = [write for write in check(given, NOON + 26 * HOUR + 1)[0].writes if isinstance(write, RaiseAlert)]
    assert write.message == (
        "Nightly has had no good backup for 26 hours (limit 26 hours). No earlier good one is known."
    )


def test_an_edit_does_not_make_the_schedule_younger() -> None:
    given = host(last_good_at=None)
    decide(given, save(anchor_at=NOON, grace_seconds=60.0), "fresh", 300.0)
    assert ages.due_at(given.schedules["s"]) == MADE + 26 * HOUR + 1


def test_a_new_schedule_begins_when_it_is_made() -> None:
    given = HostState("host", True, False)
    decide(given, save(at=NOON, max_age_hours=None, cron=None, every_hours=24.0), "fresh", 300.0)
    assert ages.due_at(given.schedules["s"]) == NOON + 48 * HOUR + 1


@pytest.mark.parametrize("changes", [{"limit_hours": None}, {"enabled": False}, {"deleted": True}])
def test_what_has_no_limit_or_is_not_expected_is_not_judged(changes: dict[str, object]) -> None:
    decision, again = check(host(**changes), NOON + 300 * DAY)
    assert (decision.writes, again) == ((), None)


@pytest.mark.parametrize(
    ("status", "reason"),
    [("failed", "error"), ("cancelled", "cancelled"), ("skipped", "skipped"), ("partial", "partial")],
)
def test_an_end_that_is_not_good_changes_nothing_about_it(status: JobEnd, reason: JobReason) -> None:
    given = raised(host())
    assert resolutions(given, end(status, reason=reason)) == []
    assert ages.due_at(given.schedules["s"]) == NOON + HOUR + 1


def test_a_good_end_resolves_it_and_a_partial_one_where_that_is_good_enough() -> None:
    given = raised(host())
    assert resolutions(given, end()) == ["Nightly has a good backup again."]
    assert ages.due_at(given.schedules["s"]) == NOON + 29 * HOUR + 1
    given = raised(host(on_partial="ok"))
    assert resolutions(given, end("partial", reason="partial")) == ["Nightly has a good backup again."]
    given = raised(host(on_partial="ok"))
    assert resolutions(given, end("partial", reason="no_source")) == []


def test_a_good_end_that_comes_late_counts_by_when_it_was() -> None:
    given = raised(host(), NOON + 3 * DAY)
    assert resolutions(given, end(at=NOON, received=NOON + 3 * DAY)) == []  # three days old itself
    assert given.schedules["s"].last_good_at == NOON
    assert resolutions(given, end(at=NOON + 2 * DAY, received=NOON + 3 * DAY)) == ["Nightly has a good backup again."]


def test_a_host_whose_clock_is_behind_has_its_good_ends_later_than_it_says() -> None:
    given = host()
    given.clock_offset = -40 * MINUTE
    assert check(given, NOON + HOUR + 1)[1] == NOON + HOUR + 40 * MINUTE + 1
    given = host(last_good_at=None, created_at=NOON)  # when it was made is known by the server's clock
    given.clock_offset = -40 * MINUTE
    assert check(given, NOON)[1] == NOON + 26 * HOUR + 1


def test_a_good_end_before_the_limit_has_passed_begins_it_again() -> None:
    given = host()
    writes = decide(given, end(at=NOON), "fresh", 300.0).writes
    assert MarkGood("s", NOON) in writes
    assert not [write for write in writes if isinstance(write, ResolveAlert)]
    assert check(given, NOON + 2 * HOUR)[1] == NOON + 26 * HOUR + 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"max_age_hours": 27.0}, "The limit on the age of backups of Nightly was changed."),
        ({"max_age_hours": None}, "The limit on the age of backups of Nightly was removed."),
        ({"kind": "check"}, "The limit on the age of backups of Nightly was removed."),
        ({"enabled": False}, "Nightly is not expected any more: the schedule was disabled."),
        # twice the interval is another limit
        ({"max_age_hours": None, "every_hours": 24.0}, "The limit on the age of backups of Nightly was changed."),
    ],
)
def test_another_limit_ends_what_the_old_one_raised(change: dict[str, object], said: str) -> None:
    assert resolutions(raised(host()), save(**change)) == [said]


@pytest.mark.parametrize("change", [{"name": "Nights"}, {"cron": "@daily", "anchor_at": NOON}, {"grace_seconds": 9.0}])
def test_a_change_of_anything_else_leaves_it_open(change: dict[str, object]) -> None:
    given = raised(host())
    assert resolutions(given, save(**change)) == []
    assert given.state_of(KEY).alert is not None


def test_another_limit_that_is_passed_as_well_raises_again() -> None:
    given = raised(host())
    decide(given, save(max_age_hours=25.0), "another", 300.0)
    (write,) = [write for write in check(given, NOON + 3 * HOUR, "next")[0].writes if isinstance(write, RaiseAlert)]
    assert write.alert_id == "next"


def test_a_deleted_schedule_ends_it() -> None:
    given = raised(host())
    assert len(resolutions(given, Change(DeleteSchedule("s", NOON, AUDIT), no_reply))) == 1


def test_what_was_good_of_another_kind_is_not_a_good_backup() -> None:
    given = host(kind="check", limit_hours=None, last_good_at=NOON)
    decide(given, save(max_age_hours=26.0), "fresh", 300.0)
    assert given.schedules["s"].last_good_at is None


def test_while_it_holds_the_message_keeps_up_and_nobody_is_told_again() -> None:
    given = raised(host())
    decision, again = check(given, NOON + 26 * HOUR)
    (write,) = decision.writes
    assert isinstance(write, TouchAlert)
    assert not write.again
    assert "2 days 3 hours" in write.message
    assert again == NOON + 26 * HOUR + overdue.AGAIN


def test_acknowledged_it_stays_open_and_resolved_by_hand_it_is_quiet_until_a_good_backup() -> None:
    given = raised(host())
    decide(given, Acknowledge("fresh", "anna", None, NOON, AUDIT, no_reply), "x", 300.0)
    alert = given.state_of(KEY).alert
    assert alert is not None
    assert alert.acknowledged
    decide(given, Resolve("fresh", "anna", None, NOON, AUDIT, no_reply), "x", 300.0)
    assert check(given, NOON + 4 * HOUR)[0].writes == ()
    decide(given, end(at=NOON + 5 * HOUR), "x", 300.0)
    raised(given, NOON + 40 * HOUR)


def test_minutes_and_seconds_are_said_where_limits_are_short() -> None:
    given = host(limit_hours=0.5, last_good_at=NOON - 31 * MINUTE)
    (write,) = [write for write in check(given, NOON)[0].writes if isinstance(write, RaiseAlert)]
    assert "for 31 minutes (limit 30 minutes)" in write.message
