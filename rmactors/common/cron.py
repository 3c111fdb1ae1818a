"""Cron arithmetic: when a schedule fires. Pure: times come in and go out as microseconds since 1970, UTC.

Expressions have five fields or are one of the aliases below, and are read in an IANA time zone. If clocks
change, a daily slot fires exactly once: in the gap it moves to the first minute that exists, in the repeated
hour it takes the first one. One with a star for minute or hour fires whenever clocks show it, as cron does. This
module must not read a clock.
"""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import takewhile
from typing import Final

from cronsim import CronSim, CronSimError

from rmactors.common import clock
from rmactors.common.zones import zone as zone_of

ALIASES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
_SYSTEMDS: Final = frozenset(
    ("minutely", "hourly", "daily", "weekly", "monthly", "quarterly", "semiannually", "yearly", "annually")
)
"""Not the aliases without their sign: systemd's `weekly` is on Monday, cron's `@weekly` on Sunday."""
_NEAR_A_CHANGE: Final = timedelta(hours=3)
_LONGEST: Final = 200
_CHECKED_FROM: Final = 1_735_689_600 * clock.SECOND  # 2025-01-01: any fixed moment does


def check(expr: str, zone: str) -> None:
    """Raises ValueError with a sentence for people: not a cron expression, never fires, unknown zone."""
    next_fire(expr, zone, _CHECKED_FROM)


def check_zone(zone: str) -> None:
    """Raises ValueError if `zone` is no IANA time zone."""
    zone_of(zone)


def check_readable(expr: str, zone: str) -> None:
    """Raises ValueError as `check` does, where expression or zone cannot be read here. Quick: it looks for no fire."""
    five_fields(expr)
    zone_of(zone)


def next_fire(expr: str, zone: str, after_micros: int) -> int:
    """The first fire later than `after_micros`. Raises ValueError as `check` does."""
    return next(_forwards(expr, zone, after_micros))


def fires_between(expr: str, zone: str, after_micros: int, until_micros: int) -> Iterator[int]:
    """All fires later than `after_micros` and no later than `until_micros`, oldest first."""
    return takewhile(lambda at: at <= until_micros, _forwards(expr, zone, after_micros))


def previous_fire(expr: str, zone: str, at_micros: int, not_before: int) -> int | None:
    """The newest fire at or before `at_micros`; None if it would lie before `not_before`."""
    fields, where = five_fields(expr), zone_of(zone)
    at = clock.to_datetime(at_micros).astimezone(where)
    wall = _first(CronSim(fields, at.replace(tzinfo=None) + timedelta(microseconds=1), reverse=True), expr)
    found = wall.replace(tzinfo=where)
    if change := max(_change_near(at, where), _change_near(found, where), -_turned_back(wall, where)):
        # On the wall's clock backwards is not how time passed here: count forwards from well before.
        well_before = change + _NEAR_A_CHANGE
        earlier = _first(CronSim(fields, wall - well_before, reverse=True), expr).replace(tzinfo=where)
        start = _micros(earlier) - _micros_of(well_before)
        newest = max(fires_between(expr, zone, start, at_micros), default=not_before - 1)
        return newest if newest >= not_before else None
    micros = _micros(found)
    if micros > at_micros:  # asked about a time before the calendar begins
        raise ValueError(f"cron expression {expr!r} never fires")
    return micros if micros >= not_before else None


def repeated(zone: str, at_micros: int) -> int:
    """How long before `at_micros` clocks on the wall showed the same time, in microseconds; 0 if they did not."""
    where = zone_of(zone)
    local = clock.to_datetime(at_micros).astimezone(where)
    return _micros_of(_turned_back(local.replace(tzinfo=None), where)) if local.fold else 0


def _forwards(expr: str, zone: str, after_micros: int) -> Iterator[int]:
    """Fires later than `after_micros`, each once, forever."""
    fields, where = five_fields(expr), zone_of(zone)
    newest = after_micros
    for fire in _in_order(fields, where, clock.to_datetime(after_micros).astimezone(where), expr):
        if fire > newest:  # asked within the repeated hour, it begins with what was in the first
            newest = fire
            yield fire


def _in_order(fields: str, zone: tzinfo, after: datetime, expr: str) -> Iterator[int]:
    """Fires from about `after` on, oldest first.

    The expression is read on the wall's clock, and what it says is brought to real time here: cronsim steps by whole
    hours over a change of half an hour, and so misses what lies behind it.
    """
    # As cron does: what has a star for minute or hour runs whenever the wall shows it, twice in the hour that comes
    # twice and never in the one that is missing; everything else runs once a day, whatever clocks do.
    whenever = any(field.startswith("*") for field in fields.split()[:2])
    wall = after.replace(tzinfo=None)
    if whenever:  # what comes again was before `after` on the wall
        wall -= max(_turned_back(wall, zone), timedelta())
    second_time: deque[int] = deque()
    fires = CronSim(fields, wall)
    while True:
        wall = _first(fires, expr)
        if _exists(wall, zone):
            first = _micros(wall.replace(tzinfo=zone))
        elif whenever:
            continue
        else:
            first = _micros(_first_that_exists(wall, zone).replace(tzinfo=zone))
        while second_time and second_time[0] <= first:
            yield second_time.popleft()
        yield first
        if whenever and (shift := _turned_back(wall, zone)):
            second_time.append(first + _micros_of(shift))


def _turned_back(wall: datetime, zone: tzinfo) -> timedelta:
    """By how much clocks are turned back over this time, so that it is shown again; negative if it is left out."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    return first - second if first is not None and second is not None else timedelta()


def _exists(wall: datetime, zone: tzinfo) -> bool:
    """Whether clocks on the wall ever show this time."""
    return wall.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) == wall


def _first_that_exists(wall: datetime, zone: tzinfo) -> datetime:
    while not _exists(wall, zone):
        wall += timedelta(minutes=1)
    return wall


def _first(fires: CronSim, expr: str) -> datetime:
    try:
        return next(fires)
    except (StopIteration, OverflowError):
        raise ValueError(f"cron expression {expr!r} never fires") from None


@lru_cache(maxsize=4096)
def five_fields(expr: str) -> str:
    """The expression as its five fields, an alias written out. Raises ValueError as `check` does."""
    text = " ".join(expr.split())
    if text.startswith("@"):
        if text.lower() not in ALIASES:
            raise ValueError(f"cron expression {expr!r} is not one of {', '.join(ALIASES)}")
        return ALIASES[text.lower()]
    if len(text) > _LONGEST:
        raise ValueError(f"a cron expression has at most {_LONGEST} characters")
    if ":" in text or text.lower() in _SYSTEMDS:
        raise ValueError(
            f"cron expression {expr!r}: this is how systemd writes it; give it as on_calendar, for what systemd starts"
        )
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
    if detail == "Bad day-of-month" and day.isdecimal() and 1 <= int(day) <= 31:
        return f"cron expression {expr!r} never fires: none of its months has a day {int(day)}"
    return f"cron expression {expr!r}: {detail[:1].lower()}{detail[1:].replace('-', ' ')}"


def _change_near(at: datetime, zone: tzinfo) -> timedelta:
    """By how much clocks change within a few hours of `at`; nothing if they do not."""
    moment = at.astimezone(UTC)
    before, after = (then.astimezone(zone).utcoffset() for then in (moment - _NEAR_A_CHANGE, moment + _NEAR_A_CHANGE))
    return abs(after - before) if before is not None and after is not None else timedelta()


def _micros(fire: datetime) -> int:
    return clock.from_datetime(fire.astimezone(UTC))


def _micros_of(length: timedelta) -> int:
    return length // timedelta(microseconds=1)
