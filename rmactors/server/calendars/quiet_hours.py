"""Quiet hours: from when to when a channel is left alone. Pure: times are microseconds since 1970, UTC.

They are read on the clocks of their zone. A beginning or an end that clocks skip is at the first minute that exists;
one that comes twice is at its first time. This module must not read a clock.
"""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from rmactors.common import clock
from rmactors.common.vocabulary import WEEKDAYS
from rmactors.common.zones import zone as zone_named


@dataclass(frozen=True, slots=True)
class Night:
    """One time of quiet, from `begin` on, until before `end`."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class QuietHours:
    """`begin` and `end` by the clocks of `zone`; an end that is not after the beginning is that of the next day.
    `days` are those on which they begin, Monday is 0."""

    zone: str
    begin: time
    end: time
    days: frozenset[int]

    @staticmethod
    def from_json(text: str | None) -> "QuietHours | None":
        """As a channel's are stored; None for none."""
        if text is None:
            return None
        found = json.loads(text)
        days = frozenset(WEEKDAYS.index(day) for day in found["days"]) or frozenset(range(7))
        begin, end = (time.fromisoformat(found[name]) for name in ("from", "to"))
        return QuietHours(found["timezone"], begin, end, days)

    def at(self, micros: int) -> Night | None:
        """The quiet hours in which that moment lies. Of two (clocks may push them together), the later ones."""
        zone = self._zone()
        today = clock.to_datetime(micros).astimezone(zone).date()
        for day in (today, today - timedelta(days=1)):
            if day.weekday() in self.days:
                night = self._of(day, zone)
                if night.begin <= micros < night.end:
                    return night
        return None

    def over_at(self, micros: int) -> int:
        """When it is not quiet any more: the moment itself, where it is not quiet."""
        night = self.at(micros)
        return night.end if night is not None else micros

    def _of(self, day: date, zone: tzinfo) -> Night:
        until = day if self.end > self.begin else day + timedelta(days=1)
        return Night(_micros(datetime.combine(day, self.begin), zone), _micros(datetime.combine(until, self.end), zone))

    def _zone(self) -> tzinfo:
        try:
            return zone_named(self.zone)
        except ValueError:  # it was known when it was stored
            return UTC


def _micros(wall: datetime, zone: tzinfo) -> int:
    """When clocks show this first, or the first minute after it that they do show."""
    while True:
        at = wall.replace(tzinfo=zone).astimezone(UTC)
        if at.astimezone(zone).replace(tzinfo=None) == wall:
            return clock.from_datetime(at)
        wall += timedelta(minutes=1)
