"""A cron expression for many hosts, each at its own minute of a window. Pure.

A host's place in the window comes from a hash of its id and the policy's: it is the same every night and after every
restart, and does not depend on which other hosts there are. A wider window moves hosts apart, and leaves their order.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Final

from cronsim import CronSim

from rmactors.common import cron

LONGEST_MINUTES: Final = 24 * 60
_ANY: Final = datetime(2025, 1, 1, tzinfo=UTC)
_MOST_DAYS: Final = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FEWEST_DAYS: Final = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class CannotShift(ValueError):
    """No cron expression fires at these times: the sentence says why."""


def minute_of(policy_id: str, host_id: str, window_minutes: int) -> int:
    """The host's minute in the window: from 0 to one less than `window_minutes`; 0 without a window."""
    place = int.from_bytes(sha256(f"{policy_id} {host_id}".encode()).digest()[:8], "big")
    return place * window_minutes >> 64


@lru_cache(maxsize=8192)
def shifted(expr: str, minutes: int) -> str:
    """The expression that fires so many minutes later each time, at most a day. Raises ValueError for what is no
    cron expression, CannotShift where none does.

    What does not change stays as it was written. In a zone whose clocks change it is the wall's clock that shows the
    later time.
    """
    fields = cron.five_fields(expr)
    if minutes == 0:
        return expr
    minute, hour, day, month, weekday = fields.split()
    parsed = CronSim(fields, _ANY)
    every_day = day == month == weekday == "*"
    moved = [divmod(h * 60 + m + minutes, 24 * 60) for h in parsed.hours for m in parsed.minutes]
    if not every_day and len({days for days, _ in moved}) > 1:
        raise CannotShift("some runs of a day would come before midnight and some after it")
    times = {time for _, time in moved}
    hours, within = {time // 60 for time in times}, {time % 60 for time in times}
    if len(times) != len(hours) * len(within):
        raise CannotShift("some of its minutes would come in the next hour")
    if not every_day and moved[0][0] == 1:
        day, weekday = _next_day(parsed, day, month, weekday)
    minute = minute if within == parsed.minutes else _listed(within)
    hour = hour if hours == parsed.hours else _listed(hours)
    return f"{minute} {hour} {day} {month} {weekday}"


@lru_cache(maxsize=512)
def widest(expr: str, window_minutes: int) -> tuple[int, str]:
    """How wide a window the expression can be spread over, at most `window_minutes`, and why no further. Raises
    ValueError for what is no cron expression."""
    every_day = cron.five_fields(expr).endswith(" * * *")  # then an hour more changes nothing but the hours
    for minutes in range(1, min(window_minutes, 61) if every_day else window_minutes):
        try:
            shifted(expr, minutes)
        except CannotShift as why:
            return minutes, str(why)
    return window_minutes, ""


def _next_day(parsed: CronSim, day: str, month: str, weekday: str) -> tuple[str, str]:
    """The fields for days, for what comes a day later."""
    days, weekdays = parsed.days, parsed.weekdays
    if any(not isinstance(each, int) for each in weekdays) or min(days) < 0:
        raise CannotShift("the day after one that is counted from the end of the month, or within it, has no name")
    if day != "*" and weekday != "*" and (day.startswith("*") or weekday.startswith("*")):
        raise CannotShift("the day after one that is chosen in both ways has no name")
    if month != "*" and (weekday != "*" or day == "*"):
        raise CannotShift("some runs would come in the month after")
    if day != "*":
        for number in parsed.months:
            if any(_FEWEST_DAYS[number] <= each <= _MOST_DAYS[number] for each in days):
                raise CannotShift("some runs would come in the month after")
        day = _listed({each + 1 for each in days if each < max(_MOST_DAYS)})
    if weekday != "*":
        weekday = _listed({(each + 1) % 7 for each in weekdays if isinstance(each, int)})
    return day, weekday


def _listed(numbers: Iterable[int]) -> str:
    """`1,3-5` of {1, 3, 4, 5}."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
