"""When a schedule is to run, given in one of three ways. Pure.

By a cron expression; by systemd's OnCalendar, for what a systemd timer starts; or by an interval in hours, counted from
the last run. The first two name slots; an interval has none. This module must not read a clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rmactors.common import cron
from rmactors.common.clock import HOUR
from rmactors.server.calendars import on_calendar


@dataclass(frozen=True, slots=True)
class When:
    """Exactly one of `cron`, `on_calendar` and `every_hours` is given. `timezone` is an IANA name.

    Its methods take and give microseconds. They raise ValueError for an expression or a zone that cannot be read here.
    """

    cron: str | None
    on_calendar: str | None
    every_hours: float | None
    timezone: str

    @property
    def has_slots(self) -> bool:
        return self.every_hours is None

    def trouble(self) -> str:
        """Why expression or zone cannot be read here, though they could where they were saved: this machine's time zone
        data may be older. Empty where they can."""
        try:
            if self.cron is not None:
                cron.check_readable(self.cron, self.timezone)
            elif self.on_calendar is not None:
                on_calendar.check_readable(self.on_calendar, self.timezone)
        except ValueError as error:
            return str(error)
        return ""

    def next_run(self, now: int, counted_from: int) -> int | None:
        """The next slot after `now`; without slots, the interval after `counted_from`, which may be past already."""
        if self.every_hours is not None:
            return counted_from + round(self.every_hours * HOUR)
        return self.next_fire(now)

    def next_fire(self, after: int) -> int | None:
        """The first slot later than `after`; None where there is none."""
        if self.cron is not None:
            return cron.next_fire(self.cron, self.timezone, after)
        if self.on_calendar is not None:
            return on_calendar.next_fire(self.on_calendar, self.timezone, after)
        return None

    def previous_fire(self, at: int, not_before: int) -> int | None:
        """The newest slot at or before `at`; None where it would lie before `not_before`."""
        if self.cron is not None:
            return cron.previous_fire(self.cron, self.timezone, at, not_before)
        if self.on_calendar is not None:
            return on_calendar.previous_fire(self.on_calendar, self.timezone, at, not_before)
        return None

    def fires_between(self, after: int, until: int) -> Iterator[int]:
        """All slots later than `after` and no later than `until`, oldest first."""
        if self.cron is not None:
            return cron.fires_between(self.cron, self.timezone, after, until)
        if self.on_calendar is not None:
            return on_calendar.fires_between(self.on_calendar, self.timezone, after, until)
        return iter(())
