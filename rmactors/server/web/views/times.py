"""Times as people say them: `14 min ago`, `in 9 h`, with the exact one beside it in the viewer's zone.

A `Moment` is the present instant and the viewer's zone. Pure: it is made by the page, never here.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final

from rmactors.common import clock, zones
from rmactors.server.web.views.measures import within
from rmactors.server.web.views.texts import _

_LONGEST: Final = 1_000_000 * 86_400
"""Seconds. A longer duration comes from a broken clock."""


@dataclass(frozen=True, slots=True)
class Time:
    """`words` for reading, `exact` for hovering, `iso` for programs."""

    words: str
    exact: str
    iso: str


def zone_named(name: str | None) -> tzinfo:
    """The IANA zone, UTC where there is none of that name (it may have been removed since it was chosen)."""
    if not name:
        return UTC
    try:
        return zones.zone(name)
    except ValueError:
        return UTC


def duration(seconds: object) -> str:
    """`41 s`, `4 min 10 s`, `1 h 20 min`, `3 d 4 h`: two units at most, rounded down. Empty for what is no number."""
    found = within(seconds, _LONGEST)
    if found is None:
        return ""
    whole = max(0, int(found))
    if 0 < found < 1:
        return _("under a second")
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    parts = [(days, _("d")), (hours, _("h")), (minutes, _("min")), (left, _("s"))]
    first = next((i for i, (n, _unit) in enumerate(parts) if n), 3)
    return " ".join(f"{n} {unit}" for i, (n, unit) in enumerate(parts[first : first + 2]) if n or i == 0)


def rough(seconds: object) -> str:
    """One unit, rounded down: `22 s`, `14 min`, `6 h`, `2 d`. Empty for what is no number."""
    found = within(seconds, _LONGEST)
    if found is None:
        return ""
    whole = max(0, int(found))
    for size, unit in ((86400, _("d")), (3600, _("h")), (60, _("min"))):
        if whole >= size:
            return f"{whole // size} {unit}"
    return f"{whole} {_('s')}"


@dataclass(frozen=True, slots=True)
class Moment:
    """`now` in microseconds, and the zone in which days and hours are read."""

    now: int
    zone: tzinfo = UTC

    def local(self, at: int) -> datetime:
        return clock.to_datetime(at).astimezone(self.zone)

    def ago(self, at: int) -> Time:
        """A time in the past. One in the future (clocks differ) is `just now`.

        In steps of ten seconds, then of minutes: a list that is fetched again says the same of most of its rows.
        """
        seconds = (self.now - at) / clock.SECOND
        if seconds < 10:
            words = _("just now")
        elif seconds < 30 * 86400:
            words = _("%s ago") % rough(seconds if seconds >= 60 else seconds // 10 * 10)
        else:
            words = self.date(at)
        return self._time(at, words)

    def until(self, at: int) -> Time:
        """A time in the future; one that has come is `now`."""
        seconds = (at - self.now) / clock.SECOND
        if seconds < 1:
            return self._time(at, _("now"))
        return self._time(at, _("in %s") % rough(seconds) if seconds < 30 * 86400 else self.date(at))

    def clock_time(self, at: int) -> Time:
        """`04:10:22`, with the date in front on another day than today."""
        when = self.local(at)
        text = when.strftime("%H:%M:%S")
        if when.date() != self.local(self.now).date():
            text = f"{when.day} {when:%b} {when:%H:%M}"
        return self._time(at, text)

    def day_and_time(self, at: int) -> Time:
        """`29 Nov 04:10:22`: for a list that goes back over days."""
        when = self.local(at)
        return self._time(at, f"{when.day} {when:%b} {when:%H:%M:%S}")

    def slot(self, at: int) -> Time:
        """`Tue 3 Nov, 02:00`: for what is planned."""
        when = self.local(at)
        return self._time(at, f"{when:%a} {when.day} {when:%b}, {when:%H:%M}")

    def date(self, at: int) -> str:
        when = self.local(at)
        this_year = when.year == self.local(self.now).year
        return f"{when.day} {when:%b}" if this_year else f"{when.day} {when:%b %Y}"

    def exact(self, at: int) -> str:
        return _exact(at, self.zone)

    def _time(self, at: int, words: str) -> Time:
        return Time(words, _exact(at, self.zone), _iso(at))


# Lists are shown again and again, and most of their times are the same as before.


@lru_cache(maxsize=8192)
def _exact(at: int, zone: tzinfo) -> str:
    when = clock.to_datetime(at).astimezone(zone)
    return f"{when:%Y-%m-%d %H:%M:%S} {when.tzname() or ''}".rstrip()


_iso = lru_cache(maxsize=8192)(clock.to_rfc3339)
