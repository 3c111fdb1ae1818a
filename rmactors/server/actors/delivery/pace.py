"""How fast a receiver is sent to that has said "too many requests" (HTTP 429). Pure.

Such receivers give out so many requests a second and save up a few for a burst (ntfy: 60, then one in 5 s). What they
give is found out: a gap between two sends that doubles with a 429, and shrinks with each message that is taken. Others
know no gap.
"""

from dataclasses import dataclass
from typing import Final

from rmactors.common.clock import MINUTE, SECOND

FIRST_GAP: Final = 1 * SECOND
LONGEST_GAP: Final = 10 * SECOND
"""A queue that may go again is at its full pace after ten times that."""
SHORTEST_GAP: Final = SECOND // 100
"""Below that, there is none any more."""
SHRINKS_TO: Final = 0.9
FORGOTTEN_AFTER: Final = 15 * MINUTE
"""Without a 429. By then, what is saved up for a burst is there again."""


@dataclass(slots=True)
class Pace:
    """Times are microseconds.

    gap        between two sends; 0: as many at once as the queue allows
    free_at    nothing goes out before
    slowed_at  when the gap last grew. What is answered within the gap after that was sent at the pace before: it says
               nothing about this one
    """

    gap: int = 0
    free_at: int = 0
    slowed_at: int = 0

    def sent(self, now: int) -> None:
        """A message goes out."""
        if self.gap and now >= self.slowed_at + FORGOTTEN_AFTER:
            self.gap = 0
        self.free_at = now + self.gap

    def refused(self, now: int) -> None:
        """The receiver said 429."""
        if now < self.slowed_at + self.gap:
            return
        self.gap = min(max(self.gap * 2, FIRST_GAP), LONGEST_GAP)
        self.slowed_at, self.free_at = now, now + self.gap

    def taken(self, now: int) -> None:
        """The receiver took a message."""
        if now < self.slowed_at + self.gap:
            return
        self.gap = round(self.gap * SHRINKS_TO)
        if self.gap < SHORTEST_GAP:
            self.gap, self.free_at = 0, 0
