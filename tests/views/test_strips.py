"""The 30-day strip: which day is what, in shapes and in words."""

from collections.abc import Iterable
from zoneinfo import ZoneInfo

import pytest

from rmactors.common import clock
from rmactors.server.calendars.when import When
from rmactors.server.web.views import strips
from rmactors.server.web.views.times import Moment

NOW = clock.from_rfc3339("2026-11-23T12:00:00Z")
UTC = Moment(NOW)
LAST = strips.DAYS - 1


def past(runs: str, expected: Iterable[int] = (), counts_from: int = 0) -> strips.Past:
    return strips.past(strips.window(UTC), runs, frozenset(expected), counts_from, NOW)


def of(runs: str, expected: Iterable[int] = (), counts_from: int = 0) -> tuple[strips.Day, ...]:
    return past(runs, expected, counts_from).days


@pytest.mark.parametrize(
    ("run", "day"),
    [
        ("3succeeded", "good"),
        ("3partial", "partial"),
        ("3failed", "failed"),
        ("3running", "running"),
        ("3failed,3skipped,3queued", "failed"),
        ("3cancelled", "none"),
    ],
)
def test_a_day_is_what_its_run_became(run: str, day: strips.Day) -> None:
    assert of(run)[3] == day


@pytest.mark.parametrize(
    ("runs", "day"),
    [
        ("3failed,3succeeded", "recovered"),
        ("3partial,3succeeded", "recovered"),
        ("3failed,3succeeded,3succeeded", "recovered"),  # what was put right stays to be seen
        ("3succeeded,3failed", "failed"),
        ("3failed,3succeeded,3failed", "failed"),
        ("3failed,3succeeded,3partial", "partial"),
        ("3failed,3partial", "failed"),  # the files that the failed run was to save are not all there
        ("3partial,3failed", "failed"),
        ("3failed,4succeeded", "failed"),  # the next day's run is the next day's
        ("3failed,3skipped,3cancelled,3queued", "failed"),
        ("3succeeded,3succeeded", "good"),
        ("3running,3failed", "running"),
        ("3failed,3running", "running"),
    ],
)
def test_a_day_is_as_bad_as_its_worst_run_that_was_not_made_good(runs: str, day: strips.Day) -> None:
    assert of(runs)[3] == day


def test_a_day_on_which_something_was_due_and_nothing_ran_is_missed() -> None:
    assert of("", [3])[3] == "missed"
    assert of("4succeeded", [3])[3:5] == ("missed", "good")


def test_today_is_not_missed_before_it_is_over() -> None:
    assert of("", [LAST])[LAST] == "none"


def test_days_before_the_schedule_was_made_are_not_missed() -> None:
    made = strips.window(UTC).starts[10]
    found = of("", range(30), made)
    assert (found[9], found[10]) == ("none", "missed")


def test_the_words_count_runs_and_the_days_without_one() -> None:
    found = strips.strip("home", past("1succeeded,2succeeded,3failed", [4]))
    assert found.words == "home, last 30 days: 2 good, 1 failed, did not run on 1 day, 26 days with nothing due"
    assert [kind for kind, _path in found.paths] == ["good", "failed", "missed", "none"]


def test_an_hourly_host_with_a_failure_every_other_day_does_not_look_like_a_good_one() -> None:
    runs = [f"{day}{'failed' if hour == 2 and day % 5 < 2 else 'succeeded'}" for day in range(30) for hour in range(24)]
    found = strips.strip("hourly", past(",".join(runs), range(30)))
    assert found.words == "hourly, last 30 days: 708 good, 12 failed, 12 days recovered by a later run"
    assert found.days.count("recovered") == 12


def test_words_of_every_kind() -> None:
    runs = "0succeeded,0partial,1failed,2failed,2succeeded,3running,4skipped"
    found = strips.strip("x", past(runs, [5, 6]))
    assert found.words == (
        "x, last 30 days: 2 good, 1 partial, 2 failed, 1 running, 1 day recovered by a later run,"
        " did not run on 2 days, 24 days with nothing due"
    )


def test_kinds_of_day_differ_in_shape_not_only_in_colour() -> None:
    shapes = {day: path for day, path, _word in strips.legend() if day != "running"}
    assert len(set(shapes.values())) == len(shapes)


def test_where_clocks_change_a_day_is_an_hour_longer_and_stays_one_day() -> None:
    moment = Moment(clock.from_rfc3339("2026-10-30T12:00:00Z"), ZoneInfo("Europe/Berlin"))
    shown = strips.window(moment)
    change = shown.index(clock.from_rfc3339("2026-10-25T12:00:00Z"))
    assert change is not None
    assert shown.starts[change + 1] - shown.starts[change] == 25 * clock.HOUR
    spans = shown.spans()
    assert [(span.first, span.length // clock.HOUR) for span in spans] == [(0, 24), (change, 25), (change + 1, 24)]
    assert spans[0].end == spans[1].start


def test_expected_days_follow_the_schedules_own_zone() -> None:
    shown = strips.window(UTC)
    weekly = strips.expected_days(shown, When("0 4 * * 0", None, None, "UTC"))
    assert {clock.to_datetime(shown.starts[day]).weekday() for day in weekly} == {6}
    assert len(strips.expected_days(shown, When("@daily", None, None, "Asia/Tokyo"))) == strips.DAYS
    assert strips.expected_days(shown, When("0 4 * * 0", None, None, "Middle/Earth")) == frozenset()
