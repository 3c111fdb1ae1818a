"""Refusals that may be another's than the receiver's, and when they are believed. Pure.

An ingress whose receiver restarts says 404, a proxy 401, a captive portal 302; a name server that blocks a name says
0.0.0.0. All may be well a second later, so one such answer ends nothing. But a receiver that says so for good must not
be asked for a day: a few tries over ten minutes.
"""

from dataclasses import dataclass

from rmactors.common.clock import MINUTE, SECOND

BELIEVED_AFTER = 10 * MINUTE
FEWEST = 4
"""Tries that it takes at least, however long ago the first was: this process may have stood still in between."""
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 160.0


@dataclass(frozen=True, slots=True)
class Refusals:
    """How many in a row, the first and the last when (microseconds). What comes within a second counts as one."""

    since: int
    last: int
    count: int = 1

    def believed(self, now: int, not_before: int = 0) -> bool:
        """Whether they have lasted long enough; for what came later, from then on (`not_before`)."""
        return self.count >= FEWEST and now >= max(self.since, not_before) + BELIEVED_AFTER

    def next_at(self, now: int) -> int:
        """When to try again: after 5 s, then after twice as long each time, and again when ten minutes are over."""
        wanted = now + round(min(FIRST_PAUSE * 2 ** (self.count - 1), LONGEST_PAUSE) * SECOND)
        end = self.since + BELIEVED_AFTER
        return end if now < end < wanted else wanted


def one_more(before: Refusals | None, now: int) -> Refusals:
    """With the one that came now."""
    if before is None:
        return Refusals(now, now)
    if now < before.last + SECOND:
        return before
    return Refusals(before.since, now, before.count + 1)
