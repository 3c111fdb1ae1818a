"""Cron arithmetic: when a schedule fires. Pure: times come in and go out as microseconds since 1970, UTC.

Expressions have five fields or are one of the aliases below, and are read in an IANA time zone. Where clocks
change, a daily slot fires exactly once: in the gap it moves to the first minute that exists, in the repeated
hour it takes the first one. This module must not read a clock.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import takewhile
from typing import Final

from cronsim import CronSim, CronSimError

from rmactors import clock
from rmactors.zones import zone as zone_of

ALIASES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
_NEAR_A_CHANGE: Final = timedelta(hours=3)
_LONGEST: Final = 200
_CHECKED_FROM: Final = 1_735_689_600 * clock.SECOND  # 2025-01-01: any fixed moment does


def check(expr: str, zone: str) -> None:
    """Raises ValueError with a sentence for people: not a cron expression, never fires, unknown zone."""
    next_fire(expr, zone, _CHECKED_FROM)


def check_zone(zone: str) -> None:
    """Raises ValueError where `zone` is no IANA time zone."""
    zone_of(zone)


def next_fire(expr: str, zone: str, after_micros: int) -> int:
    """The first fire later than `after_micros`. Raises ValueError as `check` does."""
    return _micros(next(_forwards(expr, zone, after_micros)))


def fires_between(expr: str, zone: str, after_micros: int, until_micros: int) -> Iterator[int]:
    """All fires later than `after_micros` and no later than `until_micros`, oldest first."""
    return takewhile(lambda at: at <= until_micros, map(_micros, _forwards(expr, zone, after_micros)))


def previous_fire(expr: str, zone: str, at_micros: int, not_before: int) -> int | None:
    """The newest fire at or before `at_micros`; None where it would lie before `not_before`."""
    fields, where = _fields(expr), zone_of(zone)
    at = clock.to_datetime(at_micros).astimezone(where)
    found = _first(CronSim(fields, at + timedelta(microseconds=1), reverse=True), expr)
    if _clocks_change_near(at, where) or _clocks_change_near(found, where):
        # Counting backwards over a change of clocks may differ from counting forwards, which is what fires.
        start = _micros(_first(CronSim(fields, found - _NEAR_A_CHANGE, reverse=True), expr)) - clock.MINUTE
        newest = max(fires_between(expr, zone, start, at_micros), default=not_before - 1)
        return newest if newest >= not_before else None
    micros = _micros(found)
    return micros if micros >= not_before else None


def _forwards(expr: str, zone: str, after_micros: int) -> Iterator[datetime]:
    """Fires later than `after_micros`, each once, for ever."""
    fires = CronSim(_fields(expr), clock.to_datetime(after_micros).astimezone(zone_of(zone)))
    newest = after_micros
    while True:
        fire = _first(fires, expr)
        if _micros(fire) > newest:  # asked within the repeated hour, cronsim begins with what was in the first
            newest = _micros(fire)
            yield fire


def _first(fires: CronSim, expr: str) -> datetime:
    try:
        return next(fires)
    except (StopIteration, OverflowError):
        raise ValueError(f"cron expression {expr!r} never fires") from None


@lru_cache(maxsize=4096)
def _fields(expr: str) -> str:
    """The expression as five fields. Raises ValueError."""
    text = " ".join(expr.split())
    if text.startswith("@"):
        if text.lower() not in ALIASES:
            raise ValueError(f"cron expression {expr!r} is not one of {', '.join(ALIASES)}")
        return ALIASES[text.lower()]
    if len(text) > _LONGEST:
        raise ValueError(f"a cron expression has at most {_LONGEST} characters")
    if len(text.split()) != 5:
        raise ValueError(f"cron expression {expr!r} needs five fields: minute, hour, day of month, month, day of week")
    try:
        next(CronSim(text, datetime(2025, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise ValueError(_in_words(expr, text, str(error))) from None
    except (StopIteration, OverflowError):
        raise ValueError(f"cron expression {expr!r} never fires") from None
    return text


def _in_words(expr: str, text: str, detail: str) -> str:
    day = text.split()[2]
    if detail == "Bad day-of-month" and day.isdigit() and 1 <= int(day) <= 31:
        return f"cron expression {expr!r} never fires: none of its months has a day {int(day)}"
    return f"cron expression {expr!r}: {detail[:1].lower()}{detail[1:].replace('-', ' ')}"


def _clocks_change_near(at: datetime, zone: tzinfo) -> bool:
    if zone is UTC:
        return False
    moment = at.astimezone(UTC)
    return (moment - _NEAR_A_CHANGE).astimezone(zone).utcoffset() != (moment + _NEAR_A_CHANGE).astimezone(
        zone
    ).utcoffset()


def _micros(fire: datetime) -> int:
    return clock.from_datetime(fire.astimezone(UTC))
