"""When schedules fire. Times are written as UTC; the zones are what is being tested."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmactors import clock, cron


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
