"""When systemd's timers elapse. What is expected here is what `systemd-analyze calendar` of systemd 252 says."""

import os
import shutil
import subprocess
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmactors.common import clock
from rmactors.server.calendars import on_calendar


def at(text: str) -> int:
    return clock.from_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))


def fires(expr: str, zone: str, start: str, end: str) -> list[str]:
    found = on_calendar.fires_between(expr, zone, at(start), at(end))
    return [f"{clock.to_datetime(t):%m-%d %H:%M:%S}" for t in found]


def the_next(expr: str, zone: str = "UTC", after: str = "2026-11-01T00:00") -> str | None:
    fire = on_calendar.next_fire(expr, zone, at(after))
    return None if fire is None else f"{clock.to_datetime(fire):%Y-%m-%d %H:%M:%S}"


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        # systemd's words; its week begins on Monday, cron's @weekly on Sunday
        ("minutely", "2026-11-01 00:01:00"),
        ("hourly", "2026-11-01 01:00:00"),
        ("daily", "2026-11-02 00:00:00"),
        ("DAILY", "2026-11-02 00:00:00"),
        ("weekly", "2026-11-02 00:00:00"),
        ("monthly", "2026-12-01 00:00:00"),
        ("quarterly", "2027-01-01 00:00:00"),
        ("semiannually", "2027-01-01 00:00:00"),
        ("yearly", "2027-01-01 00:00:00"),
        # times, with and without seconds and dates
        ("02:30", "2026-11-01 02:30:00"),
        ("*-*-* 02:30:15", "2026-11-01 02:30:15"),
        ("*-*-*", "2026-11-02 00:00:00"),
        ("*:0/15", "2026-11-01 00:15:00"),
        ("*:*:0/10", "2026-11-01 00:00:10"),
        ("0/2:00", "2026-11-01 02:00:00"),
        ("1,3,5..9/2:00", "2026-11-01 01:00:00"),
        # days of the week, lists and ranges of them
        ("Mon..Fri 02:30", "2026-11-02 02:30:00"),
        ("Mon-Fri 02:30", "2026-11-02 02:30:00"),
        ("monday 3:00", "2026-11-02 03:00:00"),
        ("Sat,Thu,Mon..Wed,Sat..Sun", "2026-11-02 00:00:00"),
        ("Sat *-*-1..7 04:00", "2026-11-07 04:00:00"),
        # counted from the end of the month
        ("*-*~1 05:00", "2026-11-30 05:00:00"),
        ("*-02~03", "2027-02-26 00:00:00"),
        ("Mon *-05~07/1", "2027-05-31 00:00:00"),
        ("*-*~08..16/7", "2026-11-16 00:00:00"),  # steps begin at the end that is named first: 15 and 8 days from it
        ("*-*~03..05/5", "2026-11-28 00:00:00"),
        ("*-*~01,03..05/2 04:00", "2026-11-26 04:00:00"),
        ("*-*~5/4 04:00", "2026-11-26 04:00:00"),
        ("0/23:00", "2026-11-01 23:00:00"),
        ("*-02-29", "2028-02-29 00:00:00"),
        ("2027-01-01", "2027-01-01 00:00:00"),
        # its last fire has been
        ("2020-01-01", None),
        ("1..5-*-* 00:00", None),
    ],
)
def test_the_next_fire_is_systemds(expr: str, expected: str | None) -> None:
    assert the_next(expr) == expected


@pytest.mark.parametrize(
    ("expr", "zone", "start", "end", "expected"),
    [
        # the hour that is missing is left out: no run that day
        ("*-*-* 02:30", "Europe/Berlin", "2026-03-28T12:00", "2026-03-30T12:00", ["03-30 00:30:00"]),
        ("daily", "America/Santiago", "2026-09-05T12:00", "2026-09-07T12:00", ["09-07 03:00:00"]),
        # of the hour that comes twice the first counts, for what runs every hour and oftener too
        ("*-*-* 02:30", "Europe/Berlin", "2026-10-24T12:00", "2026-10-26T12:00", ["10-25 00:30:00", "10-26 01:30:00"]),
        ("hourly", "Europe/Berlin", "2026-10-24T23:30", "2026-10-25T02:30", ["10-25 00:00:00", "10-25 02:00:00"]),
        ("*:0/30", "Europe/Berlin", "2026-10-25T00:20", "2026-10-25T02:10", ["10-25 00:30:00", "10-25 02:00:00"]),
        # asked within the second of the two
        ("*:0/15", "Europe/Berlin", "2026-10-25T01:10", "2026-10-25T02:10", ["10-25 02:00:00"]),
        # by half an hour
        ("*:0/15", "Australia/Lord_Howe", "2026-04-04T14:40", "2026-04-04T15:40", ["04-04 14:45:00", "04-04 15:30:00"]),
        # its own zone goes before the schedule's
        ("02:30 Asia/Kathmandu", "Europe/Berlin", "2026-11-01T00:00", "2026-11-02T00:00", ["11-01 20:45:00"]),
        ("daily UTC", "Europe/Berlin", "2026-11-01T12:00", "2026-11-02T12:00", ["11-02 00:00:00"]),
    ],
)
def test_it_fires_as_systemd_does_where_clocks_change(
    expr: str, zone: str, start: str, end: str, expected: list[str]
) -> None:
    assert fires(expr, zone, start, end) == expected


@pytest.mark.parametrize(
    ("expr", "says"),
    [
        ("", "days of the week, a date and a time"),
        ("Mon Tue 02:00", "days of the week, a date and a time"),
        ("25:00", "bad hour"),
        ("*:*/15", "bad minute"),
        ("*-13-01", "bad month"),
        ("21/11:00", "no step of 11 fits after 21, and systemd refuses it: write 21"),
        ("02:58,55/5", "no step of 5 fits after 55"),
        ("*:*:57/3", "no step of 3 fits after 57"),
        ("*-*-29/3", "no step of 3 fits after 29"),
        ("12/1-01", "no step of 1 fits after 12"),
        ("*-12/1~01", "no step of 1 fits after 12"),
        ("*-*~05/5", "no step of 5 fits after 05"),
        ("Fri..Mon 02:00", "bad day of week"),
        ("02:30 Europe/Berln", "unknown time zone 'Europe/Berln'"),
        ("02:30 Berlin", "unknown time zone 'Berlin'"),
        ("daily Z", "write UTC"),
        ("0 3 * * MON", "give it as cron"),
        ("02:30:00.5", "fractions of a second"),
        ("@1895716396", "a moment in seconds since 1970"),
        ("OnCalendar=daily", "behind the equals sign"),
        ("0 3 * * *", "give it as cron"),
        ("@weekly", "give it as cron"),
        ("1," * 500 + "1:00", "at most"),
        ("*-02-30", "never fires"),
        ("2020-01-01", "never fires from now on"),
    ],
)
def test_an_expression_that_cannot_be_used_says_why(expr: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        on_calendar.check(expr, "UTC", at("2026-11-01"))


@pytest.mark.parametrize(
    "expr", ["daily", "Mon *-05~07/1", "*-1/3-01..28/9 0/6:00", "*:0/15:50..59/20", "*-*~08..16/7"]
)
def test_steps_that_systemd_takes_are_taken(expr: str) -> None:
    on_calendar.check(expr, "UTC", at("2026-11-01"))


def test_a_step_that_was_stored_before_such_were_refused_goes_on() -> None:
    assert the_next("21/11:00") == "2026-11-01 21:00:00"


def test_a_zone_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown time zone"):
        on_calendar.check("daily", "Mars/Olympus", at("2026-11-01"))
    on_calendar.check("daily", "Europe/Berlin", at("2026-11-01"))


def test_the_previous_fire_is_the_newest_up_to_now_and_not_older_than_asked() -> None:
    now = at("2026-11-23T03:00")
    assert on_calendar.previous_fire("03:00", "UTC", now, 0) == now
    assert on_calendar.previous_fire("03:00", "UTC", now - 1, 0) == now - clock.DAY
    assert on_calendar.previous_fire("03:00", "UTC", now - 1, now - clock.DAY) == now - clock.DAY
    assert on_calendar.previous_fire("03:00", "UTC", now - 1, now - clock.DAY + 1) is None
    assert on_calendar.previous_fire("2026-01..02-* *:*:*", "UTC", now, 0) == at("2026-02-28T23:59:59")


def test_at_the_end_of_the_calendar_nothing_fires() -> None:
    assert on_calendar.next_fire("daily", "UTC", at("9999-12-31T23:59:59")) is None
    assert on_calendar.next_fire("daily", "Asia/Tokyo", at("9999-12-31T23:00")) is None


def test_a_step_of_days_has_the_first_of_january_which_systemd_252_leaves_out() -> None:
    """systemd 257 has it. Where the host's own leaves it out, the backup did not run, and that is to be told."""
    expected = ["12-22 00:00:00", "12-29 00:00:00", "01-01 00:00:00", "01-08 00:00:00"]
    assert fires("*-*-01/7", "UTC", "2026-12-20", "2027-01-10") == expected


EXPRESSIONS = ["hourly", "*:0/20", "*-*-* 02:30", "Mon..Fri 01:15", "monthly", "*-*~1 23:59:59", "Sun *-*-1..7 02:00"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Casablanca"]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(EXPRESSIONS), st.sampled_from(ZONES), st.integers(at("2020-01-01"), at("2035-01-01")))
def test_backwards_and_forwards_agree(expr: str, zone: str, now: int) -> None:
    following = on_calendar.next_fire(expr, zone, now)
    assert following is not None
    assert following > now
    assert on_calendar.previous_fire(expr, zone, following, 0) == following
    before = on_calendar.previous_fire(expr, zone, now, 0)
    assert before is not None
    assert before <= now
    assert on_calendar.next_fire(expr, zone, before) == following


ANALYZE = shutil.which("systemd-analyze")


@pytest.mark.skipif(ANALYZE is None, reason="there is no systemd-analyze here")
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize("expr", ["hourly", "*:0/15", "*-*-* 02:30", "0/6:00", "Sun 02:30", "weekly", "*-*~1 05:00"])
def test_the_systemd_of_this_machine_says_the_same_around_a_change(expr: str, zone: str) -> None:
    start = at("2026-10-24T20:00") if zone == "Europe/Berlin" else at("2026-10-31T20:00")
    told = subprocess.run(
        [str(ANALYZE), "calendar", "--iterations=12", f"--base-time=@{start // clock.SECOND}", expr],
        env={**os.environ, "TZ": zone, "LC_ALL": "C.UTF-8"}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    lines = [line.partition(":")[2].split() for line in told.splitlines() if "(in UTC)" in line]
    theirs = [at(f"{words[1]}T{words[2]}") for words in lines]
    ours = list(on_calendar.fires_between(expr, zone, start, theirs[-1]))
    assert len(theirs) == 12
    assert ours == theirs
