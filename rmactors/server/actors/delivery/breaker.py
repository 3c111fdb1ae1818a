"""Whether a channel's receiver answers, and when it is tried again if it does not. Pure.

While the channel is failing, one probe at a time goes out, with growing pauses. A receiver that says "too many
requests" is sent to more slowly afterwards as well: `pace`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from rmactors.common.clock import MINUTE, SECOND
from rmactors.server.actors.delivery.pace import Pace

FIRST_MINUTES = 10 * MINUTE
FIRST_CAP = 5.0
LATER_CAP = 60.0
GROWTH = 1.5


def pause(failures: int, failing_for: int, jitter: Callable[[float, float], float]) -> int:
    """Microseconds until the next probe: from 1 s to 5 s in the first ten minutes, then to 60 s, with jitter."""
    high = min(_cap(failing_for), GROWTH ** min(failures, 20))
    return round(jitter(max(1.0, high / 2), high) * SECOND)


def _cap(failing_for: int) -> float:
    """Seconds."""
    return FIRST_CAP if failing_for < FIRST_MINUTES else LATER_CAP


@dataclass(slots=True)
class Breaker:
    """`jitter(low, high)` gives a number between the two. Times are microseconds.

    failing_since  None: the last attempt was answered
    failures       probes in a row that failed
    probe_at       while it is failing, nothing goes out before
    quiet_until    the receiver asked for quiet (Retry-After), and no success of a send that was in flight ends that
    """

    jitter: Callable[[float, float], float]
    failing_since: int | None = None
    failures: int = 0
    probe_at: int = 0
    quiet_until: int = 0
    pace: Pace = field(default_factory=Pace)

    @property
    def failing(self) -> bool:
        return self.failing_since is not None

    def closed_until(self) -> int:
        """Nothing goes out before."""
        return max(self.quiet_until, self.probe_at if self.failing else self.pace.free_at)

    def answered(self) -> None:
        """The receiver answers."""
        self.failing_since, self.failures, self.probe_at = None, 0, 0

    def failed(
        self, now: int, quiet_until: int | None, *, alone: bool, has_another: bool, throttled: bool = False
    ) -> int:
        """An attempt failed at `now`; gives when its message may be tried again.

        `quiet_until`: what the receiver asked for. `alone`: no other send is in flight, each of which was sent before
        this was known. `has_another`: another alert's message waits. `throttled`: these are too many requests.
        """
        opens = self.failing_since is None
        if self.failing_since is None:
            self.failing_since, self.failures = now, 0
        if opens or alone:
            self.failures += 1
        if quiet_until is not None:
            self.quiet_until = max(self.quiet_until, quiet_until)
        failing_for = now - self.failing_since
        length = pause(self.failures, failing_for, self.jitter)
        if throttled:
            self.pace.refused(now)
            length = max(length, min(self.pace.gap, round(_cap(failing_for) * SECOND)))
        due_at = max(now + length, self.quiet_until)
        # One refusal says little: another alert's message is tried at once. Unless there were too many already.
        at_once = opens and has_another and quiet_until is None and not throttled
        self.probe_at = now if at_once else max(self.probe_at, due_at)
        return due_at
