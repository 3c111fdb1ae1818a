"""When schedules fire. Times are written as UTC; the zones are what is being tested."""

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmactors.common import clock, cron


def at(text: str) -> int:
    return clock.from_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))


def fires(expr: str, zone: str, start: str, end: str) -> list[str]:
    return [f"{clock.to_datetime(t):%m-%d %H:%M}" for t in cron.fires_between(expr, zone, at(start), at(end))]


def test_the_next_fire_is_later_than_now_even_when_now_is_a_fire() -> None:
    assert cron.next_fire("0 3 * * *", "UTC", at("2026-11-23T03:00")) == at("2026-11-24T03:00")
    assert cron.next_fire("0 3 * * *", "UTC", at("2026-11-23T02:59:59.999")) == at("2026-11-23T03:00")


def test_the_previous_fire_includes_now() -> None:
    assert cron.previous_fire("0 3 * * *", "UTC", at("2026-11-23T03:00"), 0) == at("2026-11-23T03:00")
    assert cron.previous_fire("0 3 * * *", "UTC", at("2026-11-23T02:59:59.999"), 0) == at("2026-11-22T03:00")


def test_a_previous_fire_before_the_limit_is_none() -> None:
    now = at("2026-11-23T02:00")
    assert cron.previous_fire("0 3 * * *", "UTC", now, at("2026-11-22T03:00")) == at("2026-11-22T03:00")
    assert cron.previous_fire("0 3 * * *", "UTC", now, at("2026-11-22T03:01")) is None


@pytest.mark.parametrize(
    ("expr", "zone", "start", "end", "expected"),
    [
        # the hour that comes twice: a daily slot in it fires once, at the first
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", "2026-10-26T12:00", ["10-25 00:30", "10-26 01:30"]),
        # the hour that is missing: the slot moves to the first minute that exists
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", "2026-03-30T12:00", ["03-29 01:00", "03-30 00:30"]),
        # every hour means every hour that passes
        (
            "0 * * * *",
            "Europe/Berlin",
            "2026-10-24T23:30",
            "2026-10-25T02:30",
            ["10-25 00:00", "10-25 01:00", "10-25 02:00"],
        ),
        # asked within the hour that comes again: its slot was in the first
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10", "2026-10-26T12:00", ["10-26 01:30"]),
        # the slot of the missing hour meets the one that is there already: one fire, not two
        ("0 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00", "2026-03-30T00:30", ["03-29 01:00", "03-30 00:00"]),
        # clocks change by half an hour: every sixth hour is every sixth hour, at both changes
        (
            "0 */6 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T12:00",
            "2026-04-05T14:00",
            ["04-04 13:00", "04-04 19:30", "04-05 01:30", "04-05 07:30", "04-05 13:30"],
        ),
        (
            "0 */6 * * *",
            "Australia/Lord_Howe",
            "2026-10-03T12:00",
            "2026-10-04T14:00",
            ["10-03 13:30", "10-03 19:00", "10-04 01:00", "10-04 07:00", "10-04 13:00"],
        ),
        ("0 */12 * * *", "Australia/Lord_Howe", "2026-04-04T14:00", "2026-04-05T02:00", ["04-05 01:30"]),
        (
            "*/30 0 * * *",
            "Australia/Lord_Howe",
            "2026-04-05T00:00",
            "2026-04-05T15:00",
            ["04-05 13:30", "04-05 14:00"],
        ),
        # half past one is shown twice, at +11 and at +10:30
        (
            "30 * * * *",
            "Australia/Lord_Howe",
            "2026-04-04T14:00",
            "2026-04-04T16:30",
            ["04-04 14:30", "04-04 15:00", "04-04 16:00"],
        ),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T14:00", "2026-10-04T00:00", ["10-03 15:30"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00", "2026-04-05T16:00", ["04-04 14:45", "04-05 15:15"]),
        # what has a star in it is not made good for in the missing hour, what names its hours is
        ("*/30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", "2026-03-29T23:00", []),
        ("0 0-23 * * *", "Europe/Berlin", "2026-10-24T23:30", "2026-10-25T02:30", ["10-25 00:00", "10-25 02:00"]),
        # asked in the first of the two hours, the second is still to come, and what is left of the first
        (
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-10-25T00:10",
            "2026-10-25T01:40",
            ["10-25 00:30", "10-25 01:00", "10-25 01:30"],
        ),
        # midnight itself is missing
        ("0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00", "2018-11-05T12:00", ["11-04 03:00", "11-05 02:00"]),
        # Monday to Friday leaves the weekend alone
        ("0 3 * * 1-5", "UTC", "2026-11-20T00:00", "2026-11-24T00:00", ["11-20 03:00", "11-23 03:00"]),
    ],
)
def test_slots_follow_the_clock_on_the_wall(expr: str, zone: str, start: str, end: str, expected: list[str]) -> None:
    assert fires(expr, zone, start, end) == expected


@pytest.mark.parametrize(
    ("alias", "fields"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
    ],
)
def test_an_alias_fires_as_its_fields_do(alias: str, fields: str) -> None:
    start = at("2026-05-05T05:05")
    assert cron.next_fire(alias, "Asia/Kathmandu", start) == cron.next_fire(fields, "Asia/Kathmandu", start)


@pytest.mark.parametrize(
    ("expr", "says"),
    [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("0 0 3 * * *", "five fields"),
        ("@reboot", "@hourly"),
        ("weekly", "on_calendar"),
        ("*-*-* 02:30", "on_calendar"),
        ("Mon..Fri 02:30", "on_calendar"),
        ("61 * * * *", "bad minute"),
        ("* * * * FOO", "bad day of week"),
        ("0 0 31 2 *", "never fires"),
        ("0 0 30 2 *", "never fires"),
        ("0 0 */30 2 1#5", "never fires"),  # a fifth Monday in February is the 29th, */30 are the 1st and the 31st
        ("*/0 * * * *", "bad minute"),
        ("1," * 500 + "1 * * * *", "at most"),
    ],
)
def test_an_expression_that_cannot_be_used_says_why(expr: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        cron.check(expr, "UTC")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "Europe", "../etc/passwd", "Z", "\0", "CET+99:99x"])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="unknown time zone"):
        cron.check("@daily", zone)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_a_zone_that_exists_is_taken(zone: str) -> None:
    cron.check_zone(zone)
    with pytest.raises(ValueError, match="unknown time zone"):
        cron.check_zone(f"{zone}!")


def test_beyond_the_calendar_nothing_fires() -> None:
    with pytest.raises(ValueError, match="never fires"):
        cron.next_fire("0 3 * * *", "UTC", at("9999-12-31T23:00"))
    with pytest.raises(ValueError, match="never fires"):
        cron.previous_fire("0 3 * * *", "Europe/Berlin", at("0001-01-01T02:00"), at("0001-01-01T00:00"))


def test_leap_day_fires_every_four_years() -> None:
    assert cron.next_fire("0 0 29 2 *", "UTC", at("2026-01-01")) == at("2028-02-29")


EXPRESSIONS = [
    "30 2 * * *",
    "0 * * * *",
    "*/15 * * * *",
    "15 1,3 * * 0",
    "0 0 1 * *",
    "45 2 29 2 *",
    "0 4 * * 1-5",
    "5-10 2 * 3,10 *",
]
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Africa/Casablanca",
]


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(EXPRESSIONS),
    st.sampled_from(ZONES),
    st.integers(at("2015-01-01"), at("2035-01-01")),
)
def test_backwards_and_forwards_agree(expr: str, zone: str, now: int) -> None:
    following = cron.next_fire(expr, zone, now)
    assert following > now
    assert cron.previous_fire(expr, zone, following, 0) == following
    before = cron.previous_fire(expr, zone, now, 0)
    assert before is not None
    assert before <= now
    assert cron.next_fire(expr, zone, before) == following


# ---- against a reading of the same rules that looks at every minute

MINUTE_FIELDS = st.sampled_from(["*", "0", "30", "15,45", "*/15", "*/30", "5-10", "0,30"])
HOUR_FIELDS = st.sampled_from(["*", "*/2", "*/6", "*/12", "0", "1", "2", "3", "0-23", "1-3", "0,12", "23"])
CHANGES = [
    ("Europe/Berlin", "2026-03-29T01:00"),
    ("Europe/Berlin", "2026-10-25T01:00"),
    ("America/New_York", "2026-03-08T07:00"),
    ("America/New_York", "2026-11-01T06:00"),
    ("Australia/Lord_Howe", "2026-04-04T15:00"),
    ("Australia/Lord_Howe", "2026-10-03T15:30"),
    ("America/Santiago", "2026-04-05T03:00"),  # midnight comes twice
    ("America/Santiago", "2026-09-06T04:00"),  # midnight is missing
    ("America/Havana", "2025-11-02T05:00"),
    ("Africa/Cairo", "2026-04-23T22:00"),
    ("Antarctica/Troll", "2026-03-29T01:00"),  # by two hours
    ("Antarctica/Troll", "2026-10-25T01:00"),
    ("Asia/Kathmandu", "1985-12-31T18:30"),  # by a quarter of an hour, for good
    ("Asia/Pyongyang", "2015-08-14T15:00"),
    ("Pacific/Apia", "2011-12-30T10:00"),  # a day is missing
]


def field(text: str, lowest: int, highest: int) -> set[int]:
    """The numbers that one field of an expression means."""
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        numbers = range(lowest, highest + 1) if span == "*" else range(int(first), int(last or first) + 1)
        found.update(numbers[:: int(step or 1)])
    return found


@cache
def wall_minutes(zone: str, change: int) -> list[tuple[int, datetime]]:
    """(instant, what the wall shows) of every minute of the days around a change."""
    where = ZoneInfo(zone)
    return [
        (t, clock.to_datetime(t).astimezone(where).replace(tzinfo=None))
        for t in range(change - 2 * clock.DAY, change + 2 * clock.DAY, clock.MINUTE)
    ]


def slowly(expr: str, zone: str, change: int) -> set[int]:
    """Every fire in the days around a change, by looking at each minute."""
    minute, hour = expr.split()[:2]
    minutes, hours = field(minute, 0, 59), field(hour, 0, 23)
    shown = wall_minutes(zone, change)
    if minute.startswith("*") or hour.startswith("*"):
        return {t for t, wall in shown if wall.minute in minutes and wall.hour in hours}
    first: dict[datetime, int] = {}
    for t, wall in shown:
        first.setdefault(wall, t)
    found = set()
    wall, last = shown[0][1], shown[-1][1]
    while wall <= last:
        if wall.minute in minutes and wall.hour in hours:
            found.add(next(first[later] for n in range(2000) if (later := wall + timedelta(minutes=n)) in first))
        wall += timedelta(minutes=1)
    return found


@settings(max_examples=300, deadline=None)
@given(MINUTE_FIELDS, HOUR_FIELDS, st.sampled_from(CHANGES), st.integers(-30 * 60, 30 * 60))
def test_around_a_change_of_clocks_it_fires_as_a_look_at_every_minute_says(
    minute: str, hour: str, change: tuple[str, str], start: int
) -> None:
    zone, moment = change[0], at(change[1])
    expr = f"{minute} {hour} * * *"
    begin, end = moment + start * clock.MINUTE, moment + 40 * clock.HOUR
    expected = sorted(t for t in slowly(expr, zone, moment) if begin < t <= end)
    assert list(cron.fires_between(expr, zone, begin, end)) == expected
    newest = max((t for t in slowly(expr, zone, moment) if t <= begin), default=None)
    if newest is not None:
        assert cron.previous_fire(expr, zone, begin, 0) == newest


def test_how_long_before_the_wall_showed_the_same_time() -> None:
    assert cron.repeated("Europe/Berlin", at("2026-10-25T00:59")) == 0
    assert cron.repeated("Europe/Berlin", at("2026-10-25T01:00")) == clock.HOUR
    assert cron.repeated("Europe/Berlin", at("2026-10-25T02:00")) == 0
    assert cron.repeated("Australia/Lord_Howe", at("2026-04-04T15:00")) == 30 * clock.MINUTE
    assert cron.repeated("UTC", at("2026-10-25T01:00")) == 0
