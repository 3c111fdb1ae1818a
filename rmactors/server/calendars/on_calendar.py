"""systemd's calendar arithmetic: when a timer with `OnCalendar=` elapses. Pure, as `cron` is, and with its functions.

An expression may end with a time zone; without one it is read in the zone of its schedule. As systemd does, and cron
does not: a time that clocks leave out is left out, and of an hour that comes twice only the first counts, for what
runs every minute as for what runs once a day. This module must not read a clock.
"""

import re
from collections.abc import Iterator
from datetime import UTC, tzinfo
from functools import lru_cache
from itertools import takewhile
from typing import Final

from oncalendar import BaseIterator, OnCalendarError

from rmactors.common import clock, cron
from rmactors.common.zones import zone as zone_of

_LONGEST: Final = 200
_DAYS_FROM_END: Final = re.compile(r"~\S+")
_STEPS: Final = re.compile(r"(\d+)\.\.(\d+)/(\d+)")
_OPEN_STEPS: Final = re.compile(r"(?<![.\d])(\d+)/(\d+)")
"""To the end of the hour, the day or whatever it is in."""
_GROWTH: Final = 8
"""How fast the search for the newest fire reaches back."""


def check(expr: str, zone: str, now_micros: int) -> None:
    """Raises ValueError with a sentence for people: not systemd's syntax, no fire after now, unknown zone."""
    for word in _parts(expr)[0].split():
        _check_steps(expr, word)
    if next_fire(expr, zone, now_micros) is None:
        raise ValueError(f"OnCalendar expression {expr!r} never fires from now on")


def check_readable(expr: str, zone: str) -> None:
    """Raises ValueError where expression or zone cannot be read here. Quick: it looks for no fire."""
    _, named = _parts(expr)
    zone_of(zone if named is None else named)


def next_fire(expr: str, zone: str, after_micros: int) -> int | None:
    """The first fire later than `after_micros`; None after the last (an expression may name years).

    Raises ValueError where it is not one.
    """
    return next(_forwards(expr, zone, after_micros), None)


def fires_between(expr: str, zone: str, after_micros: int, until_micros: int) -> Iterator[int]:
    """All fires later than `after_micros` and no later than `until_micros`, oldest first."""
    return takewhile(lambda at: at <= until_micros, _forwards(expr, zone, after_micros))


def previous_fire(expr: str, zone: str, at_micros: int, not_before: int) -> int | None:
    """The newest fire at or before `at_micros`; None where it would lie before `not_before`."""

    def after(micros: int) -> int | None:
        fire = next_fire(expr, zone, micros)
        return fire if fire is not None and fire <= at_micros else None

    # The library only counts forwards: reach back until something fires, then halve what lies between.
    back = clock.MINUTE
    while (found := after(max(at_micros - back, not_before - 1))) is None:
        if at_micros - back < not_before:
            return None
        back *= _GROWTH
    nothing_after = at_micros
    while (later := after(found)) is not None:
        found, middle = later, (later + nothing_after) // 2
        if (later := after(middle)) is not None:
            found = later
        else:
            nothing_after = middle
    return found


def _forwards(expr: str, zone: str, after_micros: int) -> Iterator[int]:
    """Fires later than `after_micros`, each once."""
    text, named = _parts(expr)
    where = zone_of(zone) if named is None else zone_of(named)
    newest = after_micros
    for fire in _from(text, where, after_micros):
        if fire > newest:  # asked within the hour that comes again, it begins with what was in the first
            newest = fire
            yield fire


def _from(text: str, where: tzinfo, after_micros: int) -> Iterator[int]:
    for fire in BaseIterator(text, clock.to_datetime(after_micros).astimezone(where)):
        yield clock.from_datetime(fire.astimezone(UTC))


@lru_cache(maxsize=4096)
def _parts(expr: str) -> tuple[str, str | None]:
    """The expression without its time zone, and that. Raises ValueError."""
    text = " ".join(expr.split())
    if len(text) > _LONGEST:
        raise ValueError(f"an OnCalendar expression has at most {_LONGEST} characters")
    if "=" in text:
        raise ValueError(f"OnCalendar expression {expr!r}: give what stands behind the equals sign, for one timer")
    head, _, last = text.rpartition(" ")
    zone = last if head and any(letter.isalpha() for letter in last) else None  # nothing else there has letters
    if zone is not None and not _is_cron(text):
        try:
            zone_of(zone)
        except ValueError as error:
            raise ValueError(f"OnCalendar expression {expr!r}: {error}") from None
        text = head
    try:
        BaseIterator(text, clock.to_datetime(0))
    except OnCalendarError as error:
        raise ValueError(_in_words(expr, text, str(error))) from None
    return _DAYS_FROM_END.sub(lambda days: _STEPS.sub(_in_full, days[0]), text), zone


def _check_steps(expr: str, word: str) -> None:
    """Of a date or a time. Raises ValueError for a step that leads nowhere: the library takes it, systemd does not.
    Only of what is new: what is stored already goes on."""
    if ":" in word:
        for part, last in zip(word.split(":"), (23, 59, 59), strict=False):
            _check_step(expr, part, last)
    elif not any(letter.isalpha() for letter in word):  # days of the week, or a word like daily
        date, from_end, day = word.partition("~")
        if not from_end:
            date, _, day = word.rpartition("-")
            _check_step(expr, day, 31)
        _check_step(expr, date.rpartition("-")[2], 12)
        for start, step in _OPEN_STEPS.findall(day) if from_end else ():
            if int(step) >= int(start):
                raise ValueError(_no_step(expr, start, step))


def _check_step(expr: str, part: str, last: int) -> None:
    for start, step in _OPEN_STEPS.findall(part):
        if int(start) + int(step) > last:
            raise ValueError(_no_step(expr, start, step))


def _no_step(expr: str, start: str, step: str) -> str:
    return (
        f"OnCalendar expression {expr!r}: no step of {step} fits after {start}, and systemd refuses it: write {start}"
    )


def _in_full(steps: re.Match[str]) -> str:
    """The days of a range with a step before the end of a month: the library counts them from the other end."""
    start, stop, step = map(int, steps.groups())
    return ",".join(map(str, range(start, stop + 1, step)))


def _in_words(expr: str, text: str, detail: str) -> str:
    if _is_cron(text):
        detail = "this is a cron expression: give it as cron"
    elif text.startswith("@"):
        detail = "a moment in seconds since 1970 comes once: give a date and a time"
    elif "." in text.replace("..", "").rpartition(":")[2]:
        detail = "fractions of a second are not taken: leave them out"
    elif detail.startswith("Bad"):
        detail = f"bad {detail.removeprefix('Bad ').replace('-', ' ')}"
    else:
        detail = "write days of the week, a date and a time, like Mon..Fri *-*-* 02:30; or a word like daily or weekly"
    return f"OnCalendar expression {expr!r}: {detail}"


def _is_cron(text: str) -> bool:
    try:
        cron.check(text, "UTC")
    except ValueError:
        return False
    return True
