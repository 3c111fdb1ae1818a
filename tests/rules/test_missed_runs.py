"""Whether a slot was missed: times are UTC, zones are what is tested. Europe/Berlin is UTC+1, in summer UTC+2."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmactors.common import clock, cron
from rmactors.common.clock import DAY, HOUR, MINUTE, SECOND
from rmactors.server.actors.rules.missed_runs import EARLY, check_missed_run, grace, mark, missed, next_check
from rmactors.server.state.host_state import HostState, Schedule
from rmactors.server.state.slots import Slots

FLOOR = 300.0


def at(text: str) -> int:
    return clock.from_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))


def slots(
    expr: str,
    zone: str = "UTC",
    *,
    anchor: str = "2026-01-01",
    grace_seconds: float = 0.0,
    slot: str | None = None,
    run: str | None = None,
) -> Slots:
    return Slots(expr, zone, at(anchor), grace_seconds, at(slot) if slot else None, at(run) if run else None)


@pytest.mark.parametrize(
    ("given", "now", "expected"),
    [
        # daily at 03:00: grace is a tenth of 24 h, so until 05:24
        (slots("0 3 * * *", slot="2026-11-22T03:00"), "2026-11-23T05:24:00", None),
        (slots("0 3 * * *", slot="2026-11-22T03:00"), "2026-11-23T05:24:00.000001", "2026-11-23T03:00"),
        (slots("0 3 * * *", slot="2026-11-23T03:00"), "2026-11-23T12:00", None),
        # what is set counts where it is longer, the server's floor where that is
        (slots("0 * * * *", slot="2026-11-23T03:00"), "2026-11-23T04:06", None),  # a tenth of an hour
        (slots("0 * * * *", slot="2026-11-23T03:00"), "2026-11-23T04:06:01", "2026-11-23T04:00"),
        (slots("*/5 * * * *", slot="2026-11-23T03:55"), "2026-11-23T04:05", None),  # the floor: five minutes
        (slots("*/5 * * * *", slot="2026-11-23T03:55"), "2026-11-23T04:05:01", "2026-11-23T04:00"),
        (slots("0 * * * *", grace_seconds=3600, slot="2026-11-23T03:00"), "2026-11-23T05:00", None),
        (slots("0 * * * *", grace_seconds=3600, slot="2026-11-23T03:00"), "2026-11-23T05:00:01", "2026-11-23T04:00"),
        # a tenth of a month is cut at six hours
        (slots("0 0 1 * *", slot="2026-10-01"), "2026-11-01T06:00", None),
        (slots("0 0 1 * *", slot="2026-10-01"), "2026-11-01T06:00:01", "2026-11-01"),
        # Monday to Friday: nothing is missed at the weekend, and Monday's grace is a tenth of three days
        (slots("0 3 * * 1-5", slot="2026-11-20T03:00"), "2026-11-22T23:00", None),
        (slots("0 3 * * 1-5", slot="2026-11-20T03:00"), "2026-11-23T09:00", None),
        (slots("0 3 * * 1-5", slot="2026-11-20T03:00"), "2026-11-23T09:00:01", "2026-11-23T03:00"),
        (slots("0 3 * * 1-5", slot="2026-11-19T03:00"), "2026-11-22T23:00", "2026-11-20T03:00"),  # Friday was
        # slots at or before the anchor (made, enabled, changed) are not judged
        (slots("0 3 * * *", anchor="2026-11-23T04:00"), "2026-11-23T23:00", None),
        (slots("0 3 * * *", anchor="2026-11-23T03:00"), "2026-11-23T23:00", None),
        (slots("0 3 * * *", anchor="2026-11-23T02:59:59"), "2026-11-23T23:00", "2026-11-23T03:00"),
        # a run that named no slot counts for what was due from then on, a minute early included
        (slots("0 3 * * *", run="2026-11-23T03:00"), "2026-11-23T12:00", None),
        (slots("0 3 * * *", run="2026-11-23T02:59"), "2026-11-23T12:00", None),
        (slots("0 3 * * *", run="2026-11-23T02:58:59"), "2026-11-23T12:00", "2026-11-23T03:00"),
        (slots("0 3 * * *", run="2026-11-23T05:20"), "2026-11-23T12:00", None),
        # a run for an older slot does not count for a newer one, however late it began
        (slots("0 3 * * *", slot="2026-11-22T03:00", run="2026-11-22T03:05"), "2026-11-23T12:00", "2026-11-23T03:00"),
        # only the newest slot whose grace is over is judged: what ran after an outage is enough
        (slots("0 * * * *", slot="2026-11-23T09:00"), "2026-11-23T09:30", None),
        (slots("0 * * * *", slot="2026-11-20T09:00"), "2026-11-23T09:30", "2026-11-23T09:00"),
        # uneven slots: the second of a pair is over sooner than the first
        (slots("0 0,1 * * *", slot="2026-11-22T01:00"), "2026-11-23T01:05", None),
        (slots("0 0,1 * * *", slot="2026-11-22T01:00"), "2026-11-23T01:06:01", "2026-11-23T01:00"),
        (slots("0 0,1 * * *", slot="2026-11-23T01:00"), "2026-11-23T05:00", None),
        # Europe/Berlin, clocks go forward on 29 March at 02:00: the slot of 02:30 is at 03:00 that day
        (slots("30 2 * * *", "Europe/Berlin", slot="2026-03-28T01:30"), "2026-03-29T01:00", None),
        (slots("30 2 * * *", "Europe/Berlin", slot="2026-03-28T01:30"), "2026-03-29T03:30", "2026-03-29T01:00"),
        (slots("30 2 * * *", "Europe/Berlin", slot="2026-03-29T01:00"), "2026-03-29T23:00", None),
        (slots("30 2 * * *", "Europe/Berlin", slot="2026-03-29T01:00"), "2026-03-30T02:30", None),
        (slots("30 2 * * *", "Europe/Berlin", slot="2026-03-29T01:00"), "2026-03-30T02:52", "2026-03-30T00:30"),
        # clocks go back on 25 October at 03:00: 02:30 comes twice and the slot is the first one, once
        (slots("30 2 * * *", "Europe/Berlin", slot="2026-10-24T00:30"), "2026-10-25T02:54", None),
        (slots("30 2 * * *", "Europe/Berlin", slot="2026-10-24T00:30"), "2026-10-25T02:55", "2026-10-25T00:30"),
        (slots("30 2 * * *", "Europe/Berlin", slot="2026-10-25T00:30"), "2026-10-25T23:00", None),
        (
            slots("30 2 * * *", "Europe/Berlin", slot="2026-10-25T00:30"),
            "2026-10-26T03:59",
            None,
        ),  # 25 h: 2.5 h of grace
        (slots("30 2 * * *", "Europe/Berlin", slot="2026-10-25T00:30"), "2026-10-26T04:01", "2026-10-26T01:30"),
        # hourly through both changes
        (slots("0 * * * *", "Europe/Berlin", slot="2026-03-29T01:00"), "2026-03-29T01:59", None),
        (slots("0 * * * *", "Europe/Berlin", slot="2026-10-25T00:00"), "2026-10-25T01:07", "2026-10-25T01:00"),
        # never yet run, and the first slot after the anchor is still within its grace
        (slots("0 3 * * *", anchor="2026-11-22T12:00"), "2026-11-23T04:00", None),
    ],
)
def test_what_is_missed(given: Slots, now: str, expected: str | None) -> None:
    assert missed(given, at(now), FLOOR) == (at(expected) if expected else None)


@pytest.mark.parametrize(
    ("expr", "slot", "configured", "expected"),
    [
        ("0 3 * * *", "2026-11-23T03:00", 0.0, round(2.4 * HOUR)),
        ("0 3 * * 1-5", "2026-11-23T03:00", 0.0, 6 * HOUR),  # a tenth of 72 h is more than six
        ("0 3 * * 1-5", "2026-11-24T03:00", 0.0, round(2.4 * HOUR)),
        ("* * * * *", "2026-11-23T03:00", 0.0, 5 * MINUTE),
        ("* * * * *", "2026-11-23T03:00", 7.5, 5 * MINUTE),
        ("* * * * *", "2026-11-23T03:00", 450.5, round(450.5 * SECOND)),
        ("0 3 * * *", "2026-11-23T03:00", 86400.0, DAY),  # what is set may be more than six hours
        ("0 0 29 2 *", "2028-02-29", 0.0, 6 * HOUR),
        ("0 3 * * *", "2026-11-23T14:00", 0.0, round(2.4 * HOUR)),  # of the newest slot until then
        ("0 0 29 2 *", "1903-01-01", 0.0, 5 * MINUTE),  # no slot for seven years: the floor
    ],
)
def test_grace_is_the_largest_of_three(expr: str, slot: str, configured: float, expected: int) -> None:
    assert grace(slots(expr, grace_seconds=configured), at(slot), FLOOR) == expected


@pytest.mark.parametrize(
    ("scheduled_for", "started", "now", "expected"),
    [
        ("2026-11-23T03:00", "2026-11-23T03:10", "2026-11-23T03:10", ("2026-11-23T03:00", None)),  # the slot it names
        ("2026-11-22T03:00", "2026-11-23T03:10", "2026-11-23T03:10", ("2026-11-22T03:00", None)),  # an older one
        (None, "2026-11-23T03:10", "2026-11-23T03:10", (None, "2026-11-23T03:10")),  # none
        ("2026-11-23T03:01", "2026-11-23T03:10", "2026-11-23T03:10", (None, "2026-11-23T03:10")),  # no slot at all
        ("2026-11-23T03:00", "2026-11-23T02:50", "2026-11-23T02:50", ("2026-11-23T03:00", None)),  # a fast clock
        ("2090-11-23T03:00", "2026-11-23T03:10", "2026-11-23T03:10", (None, "2026-11-23T03:10")),  # a mad one
        ("2026-11-25T03:00", "2026-11-23T03:10", "2026-11-23T03:10", (None, "2026-11-23T03:10")),  # not the next one
        ("0001-01-01T00:00", "2026-11-23T03:10", "2026-11-23T03:10", (None, "2026-11-23T03:10")),
        ("9999-12-31T23:59", "2026-11-23T03:10", "2026-11-23T03:10", (None, "2026-11-23T03:10")),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Africa/Abidjan"])
def test_which_slot_a_run_counts_for(
    scheduled_for: str | None, started: str, now: str, expected: tuple[str | None, str | None], zone: str
) -> None:
    slot, free = mark(slots("0 3 * * *", zone), at(scheduled_for) if scheduled_for else None, at(started), at(now))
    assert (slot, free) == tuple(at(text) if text else None for text in expected)


@pytest.mark.parametrize(
    ("given", "now", "expected"),
    [
        (slots("0 3 * * *"), "2026-11-23T01:00", "2026-11-23T05:24:00.000001"),
        (slots("0 3 * * *"), "2026-11-23T04:00", "2026-11-23T05:24:00.000001"),  # today's grace is still running
        (slots("0 3 * * *"), "2026-11-23T05:24:00.000001", "2026-11-24T05:24:00.000001"),
        (slots("0 0,1 * * *"), "2026-11-23T00:30", "2026-11-23T01:06:00.000001"),  # the second of a pair comes first
        (slots("0 3 * * *", anchor="2026-11-23T03:30"), "2026-11-23T04:00", "2026-11-24T05:24:00.000001"),
    ],
)
def test_when_to_look_again(given: Slots, now: str, expected: str) -> None:
    assert clock.to_datetime(next_check(given, at(now), FLOOR)) == clock.to_datetime(at(expected))


EXPRESSIONS = ["30 2 * * *", "0 * * * *", "*/15 * * * *", "0 3 * * 1-5", "0 0 1 * *", "0 0,1,13 * * *", "45 2 * 3,10 0"]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(EXPRESSIONS),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    st.integers(at("2026-01-01"), at("2027-01-01")),
    st.integers(0, 40 * DAY),
    st.sampled_from([0.0, 60.0, 7200.0]),
)
def test_nothing_is_missed_between_two_looks(expr: str, zone: str, now: int, since_run: int, configured: float) -> None:
    """Who looks when told to sees every slot that is missed, at the first microsecond at which it is."""
    given_slots = Slots(expr, zone, now - 60 * DAY, configured, None, now - since_run)
    again = next_check(given_slots, now, FLOOR)
    assert again > now
    if missed(given_slots, now, FLOOR) is None:
        assert missed(given_slots, again - 1, FLOOR) is None


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(EXPRESSIONS), st.integers(at("2026-01-01"), at("2027-01-01")), st.integers(0, EARLY))
def test_a_run_for_the_newest_slot_is_always_enough(expr: str, now: int, early: int) -> None:
    newest = cron.previous_fire(expr, "Europe/Berlin", now, 0)
    assert newest is not None
    assert missed(Slots(expr, "Europe/Berlin", 0, 0.0, newest, None), now, FLOOR) is None
    assert missed(Slots(expr, "Europe/Berlin", 0, 0.0, None, newest - early), now, FLOOR) is None


# ---- systemd, and what it does not do


def systemds(expr: str, zone: str, run: str, **changes: object) -> Slots:
    """A schedule by cron that something on the host starts, last at `run`."""
    given = Slots(expr, zone, at("2026-01-01"), 0.0, None, at(run), external=True)
    return replace(given, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "now", "expected"),
    [
        # Europe/Berlin, 25 October: systemd's hourly timer runs at 02:00 CEST (00:00Z) and then at 03:00 CET (02:00Z)
        (systemds("0 * * * *", "Europe/Berlin", "2026-10-25T00:00:20"), "2026-10-25T01:59", None),
        (systemds("0 * * * *", "Europe/Berlin", "2026-10-25T00:00:20"), "2026-10-25T02:05", None),
        (systemds("0 * * * *", "Europe/Berlin", "2026-10-25T00:00:20"), "2026-10-25T02:07", "2026-10-25T02:00"),
        # a true miss is seen in that night too
        (systemds("0 * * * *", "Europe/Berlin", "2026-10-24T23:00:20"), "2026-10-25T00:07", "2026-10-25T00:00"),
        (systemds("0 * * * *", "Europe/Berlin", "2026-10-24T23:00:20"), "2026-10-25T01:07", "2026-10-25T01:00"),
        # finer ones: 02:45 CEST is the last before 03:00 CET
        (systemds("*/15 * * * *", "Europe/Berlin", "2026-10-25T00:45:20"), "2026-10-25T01:55", None),
        (systemds("*/15 * * * *", "Europe/Berlin", "2026-10-25T00:30:20"), "2026-10-25T01:55", "2026-10-25T01:45"),
        (systemds("0 */2 * * *", "Europe/Berlin", "2026-10-25T00:00:20"), "2026-10-25T02:55", None),
        # clocks go back by half an hour: 01:30 and 01:45 come twice, at 14:30Z and at 15:00Z
        (systemds("*/15 * * * *", "Australia/Lord_Howe", "2026-04-04T14:45:20"), "2026-04-04T15:25", None),
        (
            systemds("*/15 * * * *", "Australia/Lord_Howe", "2026-04-04T14:30:20"),
            "2026-04-04T15:25",
            "2026-04-04T15:15",
        ),
        # the agent goes by cron's hours, both of them
        (
            systemds("0 * * * *", "Europe/Berlin", "2026-10-25T00:00:20", external=False),
            "2026-10-25T01:59",
            "2026-10-25T01:00",
        ),
        # as systemd writes it, there is no slot in the second hour
        (
            systemds("", "Europe/Berlin", "2026-10-25T00:00:20", cron=None, on_calendar="hourly"),
            "2026-10-25T01:59",
            None,
        ),
        (
            systemds("", "Europe/Berlin", "2026-10-24T23:00:20", cron=None, on_calendar="hourly"),
            "2026-10-25T01:59",
            "2026-10-25T00:00",
        ),
        # and none in the hour that is missing
        (
            systemds("", "Europe/Berlin", "2026-03-28T01:30:20", cron=None, on_calendar="02:30"),
            "2026-03-29T23:00",
            None,
        ),
        # its weekly is on Monday, cron's @weekly on Sunday
        (systemds("", "UTC", "2026-11-16T00:00:20", cron=None, on_calendar="weekly"), "2026-11-22T23:00", None),
        (systemds("", "UTC", "2026-11-16T00:00:20", cron=None, on_calendar="weekly"), "2026-11-23T07:00", "2026-11-23"),
        (systemds("@weekly", "UTC", "2026-11-16T00:00:20"), "2026-11-22T23:00", "2026-11-22"),
    ],
)
def test_what_systemd_starts(given: Slots, now: str, expected: str | None) -> None:
    assert missed(given, at(now), FLOOR) == (at(expected) if expected else None)


def test_what_cannot_be_read_here_is_not_judged_and_its_runs_count_for_when_they_began() -> None:
    foreign = slots("0 3 * * *", "Mars/Olympus")
    schedule = Schedule("schedule", "host", "Nightly", True, "alert", 3600.0, foreign, "backup")
    decision, again = check_missed_run(HostState("host", True, True), schedule, at("2026-11-23"), "alert", FLOOR, 0)
    assert (decision.writes, again) == ((), None)
    assert grace(foreign, at("2026-11-23T03:00"), FLOOR) == FLOOR * SECOND
    assert mark(foreign, at("2026-11-23T03:00"), at("2026-11-23T03:10"), at("2026-11-23T03:10")) == (
        None, at("2026-11-23T03:10"),
    )  # fmt: skip


def test_an_interval_has_no_slots_to_miss() -> None:
    given = systemds("", "UTC", "2026-01-01", cron=None, every_hours=24.0)
    now = at("2026-11-23T12:00")
    assert missed(given, now, FLOOR) is None
    assert next_check(given, now, FLOOR) is None
    assert grace(given, now, FLOOR) == 300 * SECOND
    assert mark(given, now - HOUR, now, now) == (None, now)


def test_after_its_last_slot_a_schedule_is_looked_at_until_that_is_over_and_then_no_more() -> None:
    given = systemds("", "UTC", "2025-12-31", cron=None, on_calendar="2026-11-23 03:00", grace_seconds=3600.0)
    slot = at("2026-11-23T03:00")
    assert next_check(given, slot + MINUTE, FLOOR) == slot + HOUR + 1
    assert missed(given, slot + HOUR + 1, FLOOR) == slot
    assert next_check(given, slot + DAY, FLOOR) is None
    assert mark(given, slot, slot, slot + MINUTE) == (slot, None)
    assert mark(given, slot + HOUR, slot, slot + MINUTE) == (None, slot)
