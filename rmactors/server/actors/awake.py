"""Whether this server itself was away: stopped, paused, suspended with its machine. Pure: times come in.

After such a gap every deadline has passed at once, and what hosts said meanwhile waits unread. So a gap is like a start
of the server: for its grace nobody is judged silent or late.
"""

from dataclasses import dataclass

LEAST_GAP, LARGEST_GAP = 1.0, 3.0
"""Seconds. A shorter pause is none; a longer one always is."""
LEAST_GRACE = 2.0
"""Seconds after a gap, however short the grace: what waits in the sockets is read first."""
LONGEST = 10
"""So many graces in a row at most: on a machine that stops again and again, hosts are judged in the end."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Seconds of three clocks. `monotonic` stands still in a suspended machine, `wall` goes on; `cpu` is what the
    process has used."""

    monotonic: float
    wall: float
    cpu: float


class Awake:
    """Asked at least twice as often as its shortest gap, and by everybody who is about to judge."""

    def __init__(self, grace: float, patience: float, now: Moment) -> None:
        """Seconds. `grace` is that of a start, which `now` is. `patience`: the shortest time after which anybody is
        judged."""
        self._grace = max(grace, LEAST_GRACE)
        self._gap = min(LARGEST_GAP, max(LEAST_GAP, patience / 4))
        self._last = now
        self._began = now.monotonic
        self._grace_until = now.monotonic + grace

    def grace_until(self, now: Moment) -> float:
        """On the monotonic clock: nobody is judged before this."""
        last, self._last = self._last, now
        gap = max(now.monotonic - last.monotonic, now.wall - last.wall)
        # A process that was busy all the time was not away.
        if gap > self._gap and now.cpu - last.cpu < gap / 2:
            if last.monotonic >= self._grace_until:
                self._began = now.monotonic
            self._grace_until = min(now.monotonic, self._began + (LONGEST - 1) * self._grace) + self._grace
        return self._grace_until
