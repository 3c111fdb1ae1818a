"""When a schedule runs, and when it last did."""

from dataclasses import dataclass
from typing import Final

from rmactors.server.calendars.when import When

TIMING: Final = ("cron", "on_calendar", "every_hours", "timezone", "enabled", "mode", "kind", "grace_seconds")
"""What decides about slots: when one of these changes, they count from then on (`anchor_at`)."""


_NO_SLOTS: Final = When(None, None, None, "UTC")


@dataclass(frozen=True, slots=True)
class Slots:
    """A schedule as this rule sees it. Times in microseconds, durations in seconds.

    One of `cron`, `on_calendar` and `every_hours` is given. `external`: something else than the agent starts it.
    """

    cron: str | None
    timezone: str
    anchor_at: int
    grace_seconds: float
    last_slot_at: int | None = None
    last_run_at: int | None = None
    on_calendar: str | None = None
    every_hours: float | None = None
    external: bool = False

    @property
    def when(self) -> When:
        """Without slots where expression or zone cannot be read here: nothing is missed then, and one such schedule
        keeps no other from being judged. Its host's page says so."""
        found = When(self.cron, self.on_calendar, self.every_hours, self.timezone)
        return _NO_SLOTS if found.trouble() else found

    def is_slot(self, at: int) -> bool:
        """Whether the expression fires at `at`."""
        return self.when.previous_fire(at, not_before=at) == at
