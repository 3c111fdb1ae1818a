"""When a host that says nothing is silent, and whether its clock was set. Pure: times come in, those of silence all on
one clock that never jumps."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Liveness:
    """Silence is measured from the last sign of life, and judged only after the server's restart grace.

    Seconds on the monotonic clock. `offline_after` is how long a host may be silent.
    """

    last_sign: float
    offline_after: float
    not_before: float

    def deadline(self) -> float:
        """When the host is silent, if nothing is heard until then."""
        return max(self.last_sign + self.offline_after, self.not_before)

    def is_silent(self, now: float) -> bool:
        return now >= self.deadline()


class SilenceMonitor:
    """Over the silence of one host: each is told once, and again where the first time came to nothing.

    Times and durations as in `Liveness`. Not `watched` is a host whose agent was never here: it is never silent.
    """

    def __init__(self, offline_after: float, not_before: float, last_sign: float, *, watched: bool) -> None:
        self._not_before = not_before
        self._liveness = Liveness(last_sign, offline_after, not_before)
        self._watched = watched
        self._told = False

    def begin(self) -> None:
        """The agent is here, and whoever has to know is told."""
        self._watched, self._told = True, False

    def sign(self, now: float) -> bool:
        """A sign of life. True where it ends a silence that was told."""
        self._liveness = replace(self._liveness, last_sign=now, not_before=self._not_before)
        returned, self._told = self._told, False
        return returned

    def deadline(self) -> float:
        """When there is a silence to be told, if nothing is heard until then."""
        return self._liveness.deadline() if self._has_to_tell() else float("inf")

    def is_newly_silent(self, now: float) -> bool:
        """True where there is a silence to be told now; it counts as told from here on."""
        falls = self._has_to_tell() and self._liveness.is_silent(now)
        self._told = self._told or falls
        return falls

    def extend_grace(self, not_before: float) -> None:
        """Nobody is judged before this."""
        self._not_before = not_before
        self._liveness = replace(self._liveness, not_before=max(self._liveness.not_before, not_before))

    def _has_to_tell(self) -> bool:
        return self._watched and not self._told

    def report_again(self, not_before: float) -> None:
        """The silence that was told did not get to disk."""
        self._told = False
        self._liveness = replace(self._liveness, not_before=not_before)


CLOCK_SET = 5.0
"""Seconds by which a clock has to differ from what is known: the way of a frame is no change."""


class HostClockMonitor:
    """How far a host's clock is from the server's, in seconds, and whether that has changed.

    One frame may have been held up somewhere, and a pile of them comes in at once after that. So a clock counts as set
    when two heartbeats in a row say the same that is new.
    """

    def __init__(self) -> None:
        self._known: float | None = None
        self._heard: float | None = None

    def on_hello(self, offset: float | None) -> None:
        """Counts at once: schedules are judged by it from now on."""
        self._known, self._heard = offset, None

    def has_changed(self, offset: float) -> bool:
        """What a heartbeat says. True where it is known to be so from here on."""
        before, self._heard = self._heard, offset
        new = self._known is None or abs(offset - self._known) > CLOCK_SET
        if not new or before is None or abs(offset - before) > CLOCK_SET:
            return False
        self._known = offset
        return True
