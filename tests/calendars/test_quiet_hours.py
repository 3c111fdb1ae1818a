"""When it is quiet: by the clocks of a zone, over midnight, where clocks change, on some days only."""

import json

import pytest

from rmactors.common import clock
from rmactors.common.clock import DAY, HOUR, MINUTE
from rmactors.server.calendars.quiet_hours import Night, QuietHours


def quiet(begin: str = "22:00", end: str = "07:00", zone: str = "Europe/Berlin", *days: str) -> QuietHours:
    found = QuietHours.from_json(json.dumps({"timezone": zone, "from": begin, "to": end, "days": days}))
    assert found is not None
    return found


def at(text: str) -> int:
    return clock.from_rfc3339(text)


def test_no_quiet_hours_are_none() -> None:
    assert QuietHours.from_json(None) is None


@pytest.mark.parametrize(
    ("moment", "night"),
    [
        ("2026-06-10T21:59:59+02:00", None),
        ("2026-06-10T22:00:00+02:00", ("2026-06-10T22:00:00+02:00", "2026-06-11T07:00:00+02:00")),
        ("2026-06-11T00:30:00+02:00", ("2026-06-10T22:00:00+02:00", "2026-06-11T07:00:00+02:00")),
        ("2026-06-11T06:59:59.999999+02:00", ("2026-06-10T22:00:00+02:00", "2026-06-11T07:00:00+02:00")),
        ("2026-06-11T07:00:00+02:00", None),
    ],
)
def test_quiet_hours_over_midnight_end_the_next_day(moment: str, night: tuple[str, str] | None) -> None:
    assert quiet().at(at(moment)) == (Night(at(night[0]), at(night[1])) if night else None)
    assert quiet().over_at(at(moment)) == (at(night[1]) if night else at(moment))


def test_quiet_hours_within_a_day_end_on_it() -> None:
    lunch = quiet("12:00", "13:30", "UTC")
    assert lunch.at(at("2026-06-10T11:59:00Z")) is None
    assert lunch.at(at("2026-06-10T12:00:00Z")) == Night(at("2026-06-10T12:00:00Z"), at("2026-06-10T13:30:00Z"))
    assert lunch.at(at("2026-06-10T13:30:00Z")) is None


def test_days_are_those_on_which_they_begin() -> None:
    fridays = quiet("22:00", "07:00", "UTC", "fri")  # 2026-06-12 is a Friday
    assert fridays.at(at("2026-06-12T23:00:00Z")) is not None
    assert fridays.at(at("2026-06-13T06:00:00Z")) is not None, "Saturday morning belongs to Friday's night"
    assert fridays.at(at("2026-06-13T23:00:00Z")) is None
    assert fridays.at(at("2026-06-12T06:00:00Z")) is None


def test_a_beginning_that_clocks_skip_is_the_first_minute_after_it() -> None:
    assert quiet("02:30", "05:00").at(at("2026-03-29T03:00:00+02:00")) == Night(
        at("2026-03-29T03:00:00+02:00"), at("2026-03-29T05:00:00+02:00")
    )
    assert quiet("02:30", "05:00").at(at("2026-03-29T01:59:00+01:00")) is None


def test_an_end_that_clocks_skip_is_the_first_minute_after_it() -> None:
    assert quiet("22:00", "02:30").over_at(at("2026-03-29T01:00:00+01:00")) == at("2026-03-29T03:00:00+02:00")


def test_times_that_come_twice_are_those_of_the_first_time() -> None:
    assert quiet("22:00", "02:30").over_at(at("2026-10-25T01:00:00+02:00")) == at("2026-10-25T02:30:00+02:00")
    assert quiet("22:00", "02:30").at(at("2026-10-25T02:15:00+01:00")) is None, "it was over before clocks went back"
    assert quiet("02:30", "05:00").at(at("2026-10-25T02:45:00+02:00")) == Night(
        at("2026-10-25T02:30:00+02:00"), at("2026-10-25T05:00:00+01:00")
    )


def test_a_night_in_which_clocks_change_is_an_hour_shorter_or_longer() -> None:
    shorter, longer = quiet().at(at("2026-03-29T00:00:00+01:00")), quiet().at(at("2026-10-25T00:00:00+02:00"))
    assert shorter is not None
    assert longer is not None
    assert (shorter.end - shorter.begin, longer.end - longer.begin) == (8 * HOUR, 10 * HOUR)


def test_where_two_touch_the_later_one_counts() -> None:
    """02:15 and 02:30 are both skipped in that night, so one ends where the next begins."""
    nearly_always = quiet("02:30", "02:15")
    night = nearly_always.at(at("2026-03-29T03:00:00+02:00"))
    assert night is not None
    assert night.begin == at("2026-03-29T03:00:00+02:00")


def test_a_zone_that_is_not_known_any_more_is_read_as_utc() -> None:
    assert quiet("22:00", "07:00", "Mars/Olympus").over_at(at("2026-06-10T23:00:00Z")) == at("2026-06-11T07:00:00Z")


@pytest.mark.parametrize("begin", ["22:00", "00:00", "12:00", "02:30"])
@pytest.mark.parametrize("end", ["07:00", "23:59", "02:00"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns"])
def test_what_is_quiet_is_what_the_clocks_say_on_any_day_on_which_they_do_not_change(
    begin: str, end: str, zone: str
) -> None:
    hours = quiet(begin, end, zone)
    start = at("2026-06-10T00:00:00Z")
    for moment in range(start, start + 2 * DAY, 7 * MINUTE):
        shown = clock.to_datetime(moment).astimezone(hours._zone()).strftime("%H:%M")
        expected = begin <= shown < end if begin < end else shown >= begin or shown < end
        assert (hours.at(moment) is not None) == expected, shown
        assert hours.at(hours.over_at(moment)) is None
