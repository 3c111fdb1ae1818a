"""Hosts whose clocks are wrong: what they run counts, and what they did not run is missed all the same."""

from dataclasses import replace

import pytest

from rmactors.common import clock
from rmactors.common.clock import DAY, HOUR, MINUTE, SECOND
from rmactors.server.actors.rules.decisions import decide
from rmactors.server.actors.rules.missed_runs import check_missed_run
from rmactors.server.messages.alerts import RaiseAlert, ResolveAlert
from rmactors.server.messages.answers import no_reply
from rmactors.server.messages.jobs import SaveStart
from rmactors.server.messages.reports import EndReport, LostJob, StartReport
from rmactors.server.messages.requests import JudgeEnd, JudgeLoss, JudgeStart
from rmactors.server.messages.schedules import MarkRun
from rmactors.server.state import clocks
from rmactors.server.state.host_state import Decision, HostState, Schedule
from rmactors.server.state.slots import Slots

THREE = clock.from_rfc3339("2026-11-23T03:00:00Z")
FLOOR = 300.0
DAILY, HOURLY = "0 3 * * *", "0 * * * *"


def host(offset_seconds: float, cron: str = HOURLY, **changes: object) -> HostState:
    """A host with one schedule `s`, whose last run was for the slot before three o'clock."""
    before = THREE - (DAY if cron == DAILY else HOUR)
    schedule = Schedule(
        "s", "host", "Hourly", True, "alert", 600.0, Slots(cron, "UTC", before - DAY, 0.0, before), "backup"
    )
    offset = clocks.believed(offset_seconds)
    return HostState("host", True, False, clock_offset=offset, schedules={"s": replace(schedule, **changes)})  # type: ignore[arg-type]


def start(said: int, received: int, slot: int | None = None, job: str = "job") -> JudgeStart:
    """As the host actor makes it of a report."""
    clamped = min(said, received)
    report = StartReport(
        "host", job, "backup", None, "s", slot, clamped, received, said if said > received else None
    )  # fmt: skip
    return JudgeStart(report, no_reply)


def end(said: int, received: int, finished: int, job: str = "job") -> JudgeEnd:
    clamped = min(said, received)
    report = EndReport(
        "host", job, "backup", None, "s", None, "succeeded", "ok", None, 0, clamped, min(finished, received), "{}",
        None, None, received, said_start=said if said > received else None,
    )  # fmt: skip
    return JudgeEnd(report, no_reply)


def tell(given: HostState, request: JudgeStart | JudgeEnd | JudgeLoss, fresh: str = "fresh") -> Decision:
    return decide(given, request, fresh, FLOOR)


def is_missed(given: HostState, now: int) -> bool:
    """Whether a check of the schedule raises something."""
    decision, _ = check_missed_run(given, given.schedules["s"], now, "stale", FLOOR, not_before=0)
    return any(isinstance(write, RaiseAlert) for write in decision.writes)


@pytest.mark.parametrize(
    ("told", "microseconds"),
    [
        (None, 0),  # the hello had no utc_now
        (0.0, 0),
        (1.9, 0),  # the way of a frame
        (-1.9, 0),
        (2.0, 2 * SECOND),
        (91.0, 91 * SECOND),
        (-600.5, round(-600.5 * SECOND)),
        (3600.0, HOUR),
        (3600.1, 0),  # wrong, and shown so, but not followed
        (-7200.0, 0),
        (1e12, 0),
    ],
)
def test_how_much_of_an_offset_is_followed(told: float | None, microseconds: int) -> None:
    assert clocks.believed(told) == microseconds


def test_a_clock_ahead_starts_its_runs_before_the_servers_slot_and_they_count() -> None:
    """The clamped start, 02:58:30, is no start for three o'clock."""
    given = host(91)
    ran = tell(given, start(said=THREE + SECOND, received=THREE - 90 * SECOND))
    assert MarkRun("s", None, THREE + SECOND) in ran.writes
    assert not is_missed(given, THREE + 30 * MINUTE)


def test_a_clock_ahead_is_no_licence_to_name_any_time() -> None:
    given = host(91)
    tell(given, start(said=THREE + 20 * HOUR, received=THREE - HOUR + MINUTE))
    assert given.schedules["s"].slots.last_run_at == THREE - HOUR + MINUTE + 91 * SECOND
    assert is_missed(given, THREE + 30 * MINUTE)


def test_without_an_offset_a_start_in_the_future_is_its_receipt() -> None:
    given = host(0)
    tell(given, start(said=THREE + SECOND, received=THREE - 90 * SECOND))
    assert given.schedules["s"].slots.last_run_at == THREE - 90 * SECOND
    assert is_missed(given, THREE + 30 * MINUTE)


def test_the_end_alone_tells_of_the_start_as_well() -> None:
    given = host(91)
    tell(given, end(said=THREE + SECOND, received=THREE - 80 * SECOND, finished=THREE + 10 * SECOND))
    assert not is_missed(given, THREE + 30 * MINUTE)


def test_a_clock_far_ahead_names_a_slot_later_than_the_next_and_that_counts() -> None:
    given = host(3000, "*/30 * * * *")
    received = THREE - 3000 * SECOND
    tell(given, start(said=THREE + SECOND, received=received, slot=THREE))
    assert given.schedules["s"].slots.last_slot_at == THREE


def test_a_clock_behind_starts_late_by_the_servers_and_is_waited_for() -> None:
    given = host(-600)
    late = THREE + 9 * MINUTE  # its own 02:59: grace is six minutes
    assert not is_missed(given, late)
    tell(given, start(said=THREE + SECOND, received=THREE + 10 * MINUTE + SECOND))
    assert not is_missed(given, THREE + 30 * MINUTE)


def test_a_clock_behind_does_not_hide_a_run_that_did_not_begin() -> None:
    given = host(-600)
    assert not is_missed(given, THREE + 16 * MINUTE)
    assert is_missed(given, THREE + 16 * MINUTE + SECOND)


def test_a_clock_ahead_does_not_make_a_miss_sooner() -> None:
    given = host(600)
    assert not is_missed(given, THREE + 6 * MINUTE)
    assert is_missed(given, THREE + 6 * MINUTE + SECOND)


def test_a_run_that_someone_with_the_right_time_starts_on_a_host_with_a_slow_clock_counts() -> None:
    given = host(-600)
    tell(given, start(said=THREE - 10 * MINUTE + SECOND, received=THREE + SECOND))
    assert not is_missed(given, THREE + 30 * MINUTE)


@pytest.mark.parametrize("offset", [-600, 0, 600])
def test_a_schedule_is_looked_at_again_when_it_can_be_missed_and_not_before(offset: int) -> None:
    given = host(offset)
    _, again = check_missed_run(given, given.schedules["s"], THREE - MINUTE, "stale", FLOOR, not_before=0)
    assert again == THREE + 6 * MINUTE + max(0, -offset) * SECOND + 1
    assert not is_missed(given, again - 2)
    assert is_missed(given, again)


def test_a_run_on_a_slow_clock_ends_an_alert_about_its_slot() -> None:
    given = host(0)
    assert is_missed(given, THREE + 8 * MINUTE)
    given.clock_offset = clocks.believed(-600)
    ran = tell(given, start(said=THREE + SECOND, received=THREE + 10 * MINUTE + SECOND))
    assert any(isinstance(write, ResolveAlert) for write in ran.writes)


def test_a_job_on_a_slow_clock_has_its_whole_run_time() -> None:
    """It may run for ten minutes; by the server's clock it began ten minutes after what it says."""
    received = THREE + 10 * MINUTE + SECOND
    (saved,) = (w for w in tell(host(-600), start(THREE, received)).writes if isinstance(w, SaveStart))
    assert saved.deadline_at == THREE + 10 * MINUTE + 10 * MINUTE + 6 * MINUTE


def test_a_success_on_a_slow_clock_is_later_than_a_loss_that_the_server_saw() -> None:
    given = host(-600)
    lost = LostJob("host", "old", "backup", None, "s", THREE - HOUR, THREE + 5 * MINUTE, "gone")
    assert any(isinstance(write, RaiseAlert) for write in tell(given, JudgeLoss(lost, no_reply)).writes)
    after = tell(given, end(THREE + MINUTE, received=THREE + 12 * MINUTE, finished=THREE + 2 * MINUTE))
    assert any(isinstance(write, ResolveAlert) for write in after.writes)


def test_a_schedule_without_slots_is_never_looked_at_again_whatever_the_clock() -> None:
    slots = Slots(None, "UTC", THREE - DAY, 0.0, every_hours=24)
    given = host(-600, slots=slots)
    assert check_missed_run(given, given.schedules["s"], THREE, "stale", FLOOR, not_before=0)[1] is None
