"""What runs when, and how many runs begin in each hour."""

from collections import Counter

import pytest

from rmactors.common import clock
from rmactors.server.store.queries.calendar import Interval, Plan, Planned, PlannedRun
from rmactors.server.web.views import calendar, lists
from rmactors.server.web.views.calendar import CALENDAR
from rmactors.server.web.views.times import Moment, zone_named

NOW = clock.from_rfc3339("2026-11-23T12:20:00Z")
MOMENT = Moment(NOW)
NIGHTLY = Planned("0 2 * * *", None, "UTC", "backup", 300)
HOURLY = Planned("30 * * * *", None, "UTC", "backup", 4)
TIMER = Planned(None, "Mon..Fri 02:30", "Europe/Berlin", "check", 5)


def page(plan: Plan, given: dict[str, str], moment: Moment = MOMENT) -> calendar.Calendar:
    hours = 168 if given.get("range") else 24
    counted = calendar.load(plan, calendar.hour_of(moment), moment.now, hours)
    return calendar.calendar(lists.asked(CALENDAR, given), counted, [], [], ["prod"], moment)


def test_each_hour_counts_what_begins_in_it() -> None:
    shown = page(Plan([NIGHTLY, HOURLY, TIMER], []), {})
    by_hour = {hour.begins.words: hour for hour in shown.hours}
    assert len(shown.hours) == 25, "the first has begun, and the last does not end"
    assert (by_hour["Mon 23 Nov, 12:00"].runs, by_hour["Mon 23 Nov, 13:00"].runs) == (4, 4)
    assert (by_hour["Tue 24 Nov, 02:00"].runs, by_hour["Tue 24 Nov, 02:00"].kinds) == (304, "Backup 304")
    assert by_hour["Tue 24 Nov, 01:00"].kinds == "Check 5, Backup 4", "02:30 in Berlin"
    assert by_hour["Tue 24 Nov, 02:00"].width == 400
    assert shown.lede == (
        "401 runs in the next 24 hours, most of them from Tue 24 Nov, 02:00 on: 304 in that hour."
    )  # fmt: skip


@pytest.mark.parametrize("at", ["02:38", "01:59", "02:00", "03:00"])
@pytest.mark.parametrize(("given", "runs", "rows"), [({}, 300, 25), ({"range": "7d"}, 2100, 8)])
def test_what_runs_once_a_day_is_counted_once_a_day_at_any_minute(
    at: str, given: dict[str, str], runs: int, rows: int
) -> None:
    moment = Moment(clock.from_rfc3339(f"2026-11-23T{at}:00.000001Z"))
    shown = page(Plan([NIGHTLY], []), given, moment)
    assert shown.lede.startswith(f"{runs:,} runs in the next ")
    assert len(shown.hours or shown.days) == rows


def test_what_has_begun_is_not_counted_any_more() -> None:
    gone = Planned("10 12 * * *", None, "UTC", "backup", 7)
    counted = calendar.load(Plan([gone], []), calendar.hour_of(MOMENT), NOW, 24)
    assert counted.hours[0] == Counter()
    assert sum(sum(hour.values()) for hour in counted.hours) == counted.hours[24]["backup"] == 7, "tomorrow's"


def test_an_interval_counts_once_and_at_once_if_it_is_over() -> None:
    over = Interval("backup", 24.0, "external", NOW - 100 * clock.HOUR, None, None)
    later = Interval("check", 24.0, "external", NOW - 100 * clock.HOUR, None, NOW - 20 * clock.HOUR)
    far = Interval("check", 720.0, "external", NOW, None, None)
    counted = calendar.load(Plan([], [over, later, far]), calendar.hour_of(MOMENT), NOW, 24)
    assert counted.hours[0] == Counter({"backup": 1})
    assert counted.hours[4] == Counter({"check": 1})
    assert sum(sum(hour.values()) for hour in counted.hours) == 2


def test_a_week_is_days_with_a_bar_for_each_hour() -> None:
    shown = page(Plan([NIGHTLY], []), {"range": "7d"})
    assert [day.name for day in shown.days][:2] == ["Mon 23 Nov", "Tue 24 Nov"]
    assert shown.days[1].words == "Tue 24 Nov: 300 runs, most from 02:00 on (300)"
    assert (shown.days[1].bars[2], shown.days[1].bars[3]) == ((32, 0, 40), (48, 40, 0))
    assert shown.days[0].words == "Mon 23 Nov: nothing"
    assert shown.hours == ()
    assert shown.lede.startswith("2,100 runs in the next 7 days")


def test_hours_are_those_of_the_viewer() -> None:
    moment = Moment(NOW, zone_named("Asia/Kolkata"))
    assert moment.clock_time(calendar.hour_of(moment)).words == "17:00:00"
    assert page(Plan([NIGHTLY], []), {}, moment).hours[0].begins.words == "Mon 23 Nov, 17:00"


def test_nothing_planned_is_said_and_what_cannot_be_read_counts_as_nothing() -> None:
    odd = Planned("0 2 * * *", None, "Gone/Away", "backup", 1)
    assert page(Plan([odd], []), {}).lede == "Nothing is planned in the next 24 hours."
    assert page(Plan([], []), {"range": "7d"}).lede == "Nothing is planned in the next 7 days."


def test_what_is_too_much_to_count_is_said() -> None:
    every_minute = [Planned(f"*/1 * * {month} *", None, "UTC", "backup", 2) for month in ("11", "11,12", "10-12")]
    many = [each for each in every_minute for _ in range(40)]
    counted = calendar.load(Plan(many, []), calendar.hour_of(MOMENT), NOW, 168)
    assert counted.left_out > 0
    shown = calendar.calendar(lists.asked(CALENDAR, {"range": "7d"}), counted, [], [], [], MOMENT)
    assert shown.note == f"{counted.left_out} schedules run too often to be counted here."


def test_the_next_runs_are_those_that_come_first() -> None:
    coming = calendar.soonest(Plan([NIGHTLY, HOURLY, TIMER], []), NOW, 5)
    assert [group for _at, group in coming] == [HOURLY, TIMER]
    who = [[PlannedRun("S" * 26, "Hourly", "backup", "H" * 26, "nas1")]]
    counted = calendar.load(Plan([], []), calendar.hour_of(MOMENT), NOW, 24)
    shown = calendar.calendar(lists.asked(CALENDAR, {"tag": "prod"}), counted, coming, who, ["prod"], MOMENT)
    assert [(run.at.words, run.host, run.schedule, run.kind_name) for run in shown.runs] == [
        ("in 10 min", "nas1", "Hourly", "Backup")
    ]
    assert [(choice.value, choice.chosen) for choice in shown.tags] == [("prod", True)]
    assert shown.ranges[1] == ("/calendar?tag=prod&range=7d", "7 days", False)
